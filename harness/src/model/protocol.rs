//! What a run and the program of a pack tell each other: a file with the context goes in, a file with the answer comes out.

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
};

/// The version of both files.
pub const PROTOCOL: u32 = 1;
/// The file in the room with what one function of a pack leaves to the next.
pub const MEMORY: &str = "memory.json";

/// What an executable is told about the app: in the file that `TASTER_CONTEXT` names, and on its standard input.
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
    /// The address that the domain resolves to, when DNS does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<SocketAddr>,
    /// A PEM file with certificates to trust besides the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The engine's socket.
    pub engine: PathBuf,
    /// How long the executable may take, in milliseconds; then it is ended with all that it started.
    pub budget_ms: u64,
    /// A folder for what the executable makes. It goes with the run.
    pub room: PathBuf,
}

/// What the names of those files in the room begin with that hold a secret and nothing else.
pub const HIDDEN: &str = "secret-";

/// What the program of a pack is told about the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
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
    /// The zone that the host's ingress serves.
    pub zone: Zone,
    /// The address that names of the zone resolve to, when DNS does not know them.
    pub ingress: Option<SocketAddr>,
    /// A PEM file with certificates to trust.
    pub ca: Option<PathBuf>,
    /// The engine's socket.
    pub engine: PathBuf,
    /// The programs of a browser, as far as they are there.
    #[serde(default)]
    pub browser: Tools,
    /// How long the function may take, in milliseconds.
    pub budget_ms: u64,
    /// Where the answer goes. It must not be there before.
    pub answer: PathBuf,
    /// A folder for what one function of the pack leaves to the next, and for the files of a wiring.
    pub room: PathBuf,
}

impl Context {
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

/// The programs that a browser test takes, as far as they are there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// chromedriver.
    pub driver: Option<PathBuf>,
    /// Chromium.
    pub browser: Option<PathBuf>,
    /// certutil of NSS.
    pub certutil: Option<PathBuf>,
}

/// The file with the picture of the app, in a run's folder and among attachments.
pub const SCREENSHOT: &str = "screenshot.png";

/// What a function of a pack came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The version of this file.
    pub version: u32,
    /// How it ended.
    #[serde(flatten)]
    pub ended: Ended,
    /// What it noted, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The files that are kept with the results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// What is to be wired, when it was asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wiring: Option<Wired>,
}

/// A file that a function of a pack leaves for the results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is called there.
    pub name: String,
    /// Where it lies; it has to be in the room.
    pub file: PathBuf,
}

/// Whether a file that is kept with the results may be called so.
pub fn is_attachable(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=80).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('.')
}

/// How a function of a pack ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "kebab-case")]
pub enum Ended {
    /// What it asserts holds.
    Passed,
    /// What it asserts does not hold.
    Failed {
        /// One sentence.
        sentence: String,
        /// The file and line that said so, when that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
    },
    /// It does not apply to this app.
    NotApplicable {
        /// Why.
        reason: String,
    },
    /// It needs something that is not on this machine, so nothing is known of the app.
    ToolAbsent {
        /// What is not there, with the remedy.
        what: String,
    },
    /// Nobody has written it yet.
    Unwritten,
    /// It panicked.
    Panicked {
        /// The panic's words.
        sentence: String,
    },
    /// It did not end within its own budget.
    TimedOut {
        /// The budget in milliseconds.
        after_ms: u64,
    },
}

/// What an install hook wants of the app before its first deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wired {
    /// Variables of the app's `.env`, in the order in which they were set.
    pub env: Vec<(String, String)>,
    /// Secrets of the app.
    pub secrets: Vec<WiredSecret>,
    /// Files for the recipe's checkout: paths in it, and their texts.
    pub files: BTreeMap<String, String>,
}

/// A secret that is inserted. Its value is only in a file of its own, which goes with the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WiredSecret {
    /// Its name in the compose files.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The file that holds the value.
    pub file: PathBuf,
}

/// Whether a path in a recipe's checkout stays in it and touches nothing of git's.
pub fn stays_inside(path: &str) -> bool {
    let parts = Path::new(path).components();
    let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(name) if name != ".git");
    !path.is_empty() && parts.into_iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_is_written() {
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
                wiring: None,
                attachments: vec![Attachment { name: "a.txt".into(), file: "/room/a".into() }],
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
    fn files_of_a_wiring_stay_in_the_checkout() {
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
