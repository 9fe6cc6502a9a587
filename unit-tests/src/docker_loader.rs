//! Docker's own loader of compose files as the oracle: `docker stack config` of a client of version 24 or newer, which needs no
//! engine.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use data_encoding::BASE64;
use harness::pure::recipe::compose::{Entry, Env, MergedFiles, Tree, Unresolved, config};
use serde::{Deserialize, Serialize};

use crate::compose_cases::ComposeCase;

/// The folder of a recipe, below one that recorded answers do not name.
const FOLDER: &str = "/recipe";

/// A case with Docker's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recorded {
    /// What the case shows, or the seed that made it.
    pub name: String,
    files: BTreeMap<String, RecordedFile>,
    env: BTreeMap<String, String>,
    /// What Docker printed; absent when it refused the files.
    docker: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum RecordedFile {
    Text(String),
    Bytes { base64: String },
}

impl Recorded {
    /// A case with its answer.
    pub fn new(name: &str, case: &ComposeCase, docker: Option<String>) -> Self {
        let file = |bytes: &Vec<u8>| match std::str::from_utf8(bytes) {
            Ok(text) => RecordedFile::Text(text.to_owned()),
            Err(_) => RecordedFile::Bytes { base64: BASE64.encode(bytes) },
        };
        let files = case.files.iter().map(|(path, bytes)| (path.clone(), file(bytes))).collect();
        Self { name: name.to_owned(), files, env: case.env.clone(), docker }
    }

    /// The case.
    pub fn case(&self) -> ComposeCase {
        let bytes = |file: &RecordedFile| match file {
            RecordedFile::Text(text) => text.clone().into_bytes(),
            RecordedFile::Bytes { base64 } => BASE64.decode(base64.as_bytes()).unwrap(),
        };
        ComposeCase { files: self.files.iter().map(|(path, file)| (path.clone(), bytes(file))).collect(), env: self.env.clone() }
    }

    /// The difference between Docker's answer and taster's reading, if there is one.
    pub fn difference(&self) -> Option<String> {
        difference(&self.case(), self.docker.as_deref())
    }

    /// Whether Docker took the files.
    pub fn is_taken(&self) -> bool {
        self.docker.is_some()
    }
}

/// What taster makes of a case.
pub fn read(case: &ComposeCase) -> Result<MergedFiles, Unresolved> {
    let tree: Tree = case.files.iter().map(|(path, bytes)| (path.clone(), Entry::of_bytes(bytes.clone()))).collect();
    let env = case.env.iter().fold(Env::default(), |env, (key, value)| env.with(key, value));
    config(&tree, &env, &"shop".parse().unwrap())
}

/// How taster's reading differs from what Docker printed, or from its refusal.
///
/// The printed form is held against Docker's as well, without its comments.
pub fn difference(case: &ComposeCase, docker: Option<&str>) -> Option<String> {
    let ours = match (docker, read(case)) {
        (None, Err(_)) => return None,
        (None, Ok(_)) => return Some("Docker refuses what taster takes".to_owned()),
        (Some(_), Err(refusal)) if refusal.is_by_design() => return None,
        (Some(_), Err(refusal)) => return Some(format!("taster refuses what Docker takes: {refusal}")),
        (Some(_), Ok(ours)) => ours,
    };
    let theirs = MergedFiles::parse("Docker's answer", docker.unwrap_or_default());
    let printed = MergedFiles::parse("taster's answer", &ours.yaml());
    let ours = ours.in_folder(FOLDER);
    match (theirs, printed.map(|printed| printed.in_folder(FOLDER))) {
        (Ok(theirs), _) if theirs != ours => Some(format!("Docker has {}\ntaster has {}", theirs.json(), ours.json())),
        (_, Ok(printed)) if printed != ours => Some(format!("taster prints {}\nand means {}", printed.json(), ours.json())),
        (Ok(_), Ok(_)) => None,
        (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
    }
}

/// A client of Docker that has the loader.
#[derive(Debug, Clone)]
pub struct DockerLoader {
    program: PathBuf,
    /// Its version, as `28.2.2`.
    pub version: String,
}

impl DockerLoader {
    /// The first client on the `PATH` that is new enough.
    pub fn find() -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("docker")).filter(|program| program.is_file()).find_map(|program| {
            let output = Command::new(&program).arg("--version").stdin(Stdio::null()).output().ok()?;
            let output = String::from_utf8_lossy(&output.stdout).into_owned();
            let version = output.split_whitespace().nth(2)?.trim_end_matches(',').to_owned();
            let major: u32 = version.split('.').next()?.parse().ok()?;
            (major >= 24).then_some(Self { program, version })
        })
    }

    /// What Docker prints for a case; absent when it refuses the files.
    pub fn answer(&self, case: &ComposeCase, above: &Path) -> Option<String> {
        let folder = above.join("recipe");
        for (path, bytes) in &case.files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let mut command = Command::new(&self.program);
        command.env_clear().envs(&case.env).args(["stack", "config"]).current_dir(&folder).stdin(Stdio::null());
        for file in case.env.get("COMPOSE_FILE").map_or("compose.yml", String::as_str).split(':') {
            command.args(["-c", file]);
        }
        let output = command.output().unwrap();
        let text = || String::from_utf8(output.stdout.clone()).unwrap();
        output.status.success().then(|| text().replace(above.to_str().unwrap(), ""))
    }
}
