//! Protocol between a run and a pack's test program: a context file goes in, an answer file comes out.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    host::Host,
    names::{Domain, RecipeName, RunId, StackName, Zone},
    tested_app::Images,
};

/// The version of both files.
pub const PROTOCOL: u32 = 1;
/// The file in the work folder that one function of a pack leaves to the next.
pub const MEMORY: &str = "memory.json";

/// Context of an executable, in the file that `TASTER_CONTEXT` names and on standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecutableContext {
    /// The version of this document.
    pub version: u32,
    /// The recipe.
    pub recipe: RecipeName,
    /// The run.
    pub run: RunId,
    /// The app's domain.
    pub domain: Domain,
    /// The app's address, without a slash at its end.
    pub url: String,
    /// The app's stack.
    pub stack: StackName,
    /// The images of base and head.
    #[serde(default)]
    pub images: Images,
    /// The address that the domain resolves to; present when DNS does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<SocketAddr>,
    /// A PEM file with certificates to trust besides the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The engine's socket.
    pub engine: PathBuf,
    /// The executable's budget in milliseconds. Then it is killed with its descendants.
    pub budget_ms: u64,
    /// A folder for the executable's own files. It is removed with the run.
    #[serde(rename = "room")]
    pub work_dir: PathBuf,
}

/// Name prefix of files in the work folder that hold one secret each.
pub const SECRET_FILE_PREFIX: &str = "secret-";

/// Context of a pack's test program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionContext {
    /// The version of this file.
    pub version: u32,
    /// The recipe.
    pub recipe: RecipeName,
    /// The run.
    pub run: RunId,
    /// The app's domain.
    pub domain: Domain,
    /// The app's stack.
    pub stack: StackName,
    /// The images of base and head.
    #[serde(default)]
    pub images: Images,
    /// The zone that the host's ingress serves.
    pub zone: Zone,
    /// The address that names of the zone resolve to; present when DNS does not know them.
    pub ingress: Option<SocketAddr>,
    /// A PEM file with certificates to trust.
    pub ca: Option<PathBuf>,
    /// The engine's socket.
    pub engine: PathBuf,
    /// The browser's programs that are installed.
    #[serde(default)]
    pub browser: Tools,
    /// The function's budget in milliseconds.
    pub budget_ms: u64,
    /// The path of the answer file. It must not exist before.
    pub answer: PathBuf,
    /// A folder for files that one function of the pack leaves to the next, and for the files of a configuration.
    #[serde(rename = "room")]
    pub work_dir: PathBuf,
}

impl FunctionContext {
    /// The part of a host file that HTTP needs.
    pub fn host(&self) -> Host {
        Host {
            zone: self.zone.clone(),
            abra: PathBuf::new(),
            server: String::new(),
            engine: self.engine.clone(),
            ingress: self.ingress,
            ca: self.ca.clone(),
            backup: None,
            allow: BTreeMap::new(),
            limits: super::host::Limits::default(),
            ignore: Vec::new(),
        }
    }
}

/// The programs that a browser test needs; absent when not installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// chromedriver.
    pub driver: Option<PathBuf>,
    /// Chromium.
    pub browser: Option<PathBuf>,
    /// certutil of NSS.
    pub certutil: Option<PathBuf>,
}

/// The screenshot's file name, in a run's folder and among attachments.
pub const SCREENSHOT: &str = "screenshot.png";

/// Answer of one function of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The version of this file.
    pub version: u32,
    /// How it ended.
    #[serde(flatten)]
    pub ended: Ended,
    /// Its notes, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The files to keep with the results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The configuration of the app, from a configure hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<AppConfiguration>,
}

/// A file that a function of a pack adds to the results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its name there.
    pub name: String,
    /// Its path, which must be in the work folder.
    pub file: PathBuf,
}

/// Whether an attachment may have this name.
pub fn is_attachable(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=80).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('.')
}

/// How a function of a pack ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "kebab-case")]
pub enum Ended {
    /// Its assertion holds.
    Passed,
    /// Its assertion does not hold.
    Failed {
        /// One sentence.
        sentence: String,
        /// The file and line of the assertion, when known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
    },
    /// It does not apply to this app.
    NotApplicable {
        /// Why.
        reason: String,
    },
    /// A required tool is missing, so the app is not verified.
    ToolAbsent {
        /// The tool, with the remedy.
        what: String,
    },
    /// The function is not written yet.
    Unwritten,
    /// It panicked.
    Panicked {
        /// The panic message.
        sentence: String,
    },
    /// It exceeded its own budget.
    TimedOut {
        /// The budget in milliseconds.
        after_ms: u64,
    },
}

/// The app's configuration before its first deploy, from a configure hook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppConfiguration {
    /// Variables of the app's `.env`, in the order in which they were set.
    pub env: Vec<(String, String)>,
    /// Secrets of the app.
    pub secrets: Vec<InsertedSecret>,
    /// Files for the recipe's checkout: relative paths and texts.
    pub files: BTreeMap<String, String>,
}

/// A secret to insert. Its value exists only in a separate file, which is removed with the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsertedSecret {
    /// Its name in the compose files.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The file that holds the value.
    pub file: PathBuf,
}

/// Whether a relative path stays in the recipe's checkout and outside of `.git`.
pub fn stays_inside(path: &str) -> bool {
    let parts = Path::new(path).components();
    let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(name) if name != ".git");
    !path.is_empty() && parts.into_iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_round_trips() {
        for ended in [
            Ended::Passed,
            Ended::Failed { sentence: "gone".into(), at: Some("custom/a.rs:3".into()) },
            Ended::NotApplicable { reason: "no mail".into() },
            Ended::ToolAbsent { what: "no browser".into() },
            Ended::Unwritten,
            Ended::Panicked { sentence: "oh".into() },
            Ended::TimedOut { after_ms: 3 },
        ] {
            let answer = Answer {
                version: PROTOCOL,
                ended,
                notes: vec!["n".into()],
                configuration: None,
                attachments: vec![Attachment { name: "a.txt".into(), file: "/work/a".into() }],
            };
            let text = serde_json::to_string(&answer).unwrap();
            assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer, "{text}");
        }
        assert_eq!(
            serde_json::from_str::<Answer>("{\"version\": 1, \"ended\": \"passed\"}").unwrap().ended,
            Ended::Passed,
            "a program of others needs no more"
        );
    }

    #[test]
    fn configured_files_stay_in_the_checkout() {
        for (path, inside) in [
            ("compose.oidc.yml", true),
            ("conf/a.tmpl", true),
            ("../x", false),
            ("/etc/x", false),
            ("a/../../x", false),
            (".git/hooks/x", false),
            ("", false),
        ] {
            assert_eq!(stays_inside(path), inside, "{path}");
        }
    }
}
