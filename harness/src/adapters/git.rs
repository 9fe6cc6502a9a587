//! The `git` program, without anything that a repository, a user or a machine may have configured.
//!
//! git runs other programs by its configuration: hooks, filters, file system monitors, helpers, transports. Every call names the
//! repository itself, which is always one of the run's own, and overrides what could start another program or change bytes.

use std::{
    ffi::OsString,
    io::ErrorKind,
    path::Path,
    process::{Output, Stdio},
};

use tokio::{io::AsyncWriteExt, process::Command};

use crate::ports::CheckoutError;

/// The author of the commit of uncommitted changes. It shows only in `git log` of the run's own clone.
pub(super) const AUTHOR: &str = "taster <taster@localhost>";

/// Settings that start no program and change no byte, whatever the repository's own configuration says.
const SETTINGS: [&str; 15] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.autocrlf=false",
    "core.symlinks=true",
    "core.fileMode=true",
    "core.sparseCheckout=false",
    // A graph of commits is derived data, and a forged one would change who is whose ancestor.
    "core.commitGraph=false",
    "core.multiPackIndex=false",
    "gc.auto=0",
    "submodule.recurse=false",
    "credential.helper=",
    "commit.gpgSign=false",
    "advice.detachedHead=false",
];

/// Attributes of all files. `.git/info/attributes` takes precedence over every other place, so that a checkout writes the bytes
/// of the commit, also where another program than this one does it.
const ATTRIBUTES: &str = "* -text -crlf !eol !ident !filter !working-tree-encoding !export-subst\n";

/// The `git` program.
#[derive(Debug, Clone)]
pub(super) struct Git {
    path: OsString,
}

impl Git {
    /// git with this `PATH`.
    pub(super) fn new(path: OsString) -> Self {
        Self { path }
    }

    /// A call without a repository.
    pub(super) fn bare(&self) -> Command {
        let mut git = Command::new("git");
        for setting in SETTINGS {
            git.arg("-c").arg(setting);
        }
        git.env_clear()
            .env("PATH", &self.path)
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ALLOW_PROTOCOL", "file")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        git
    }

    /// A call on the repository in `dir`, with `dir` as its work tree.
    pub(super) fn at(&self, dir: &Path) -> Command {
        self.with_files_of(dir, dir)
    }

    /// A call on the repository in `dir`, with another folder as its work tree.
    pub(super) fn with_files_of(&self, dir: &Path, files: &Path) -> Command {
        let mut git = self.bare();
        git.current_dir(files).env("GIT_DIR", dir.join(".git")).env("GIT_WORK_TREE", files);
        git
    }

    /// What a call on the repository in `dir` prints.
    pub(super) async fn text(&self, dir: &Path, args: &[&str]) -> Result<String, CheckoutError> {
        run(args.first().copied().unwrap_or_default(), self.at(dir).args(args)).await
    }

    /// Makes every later checkout of the repository in `dir` write the bytes of its commits.
    pub(super) fn without_attributes(dir: &Path) -> std::io::Result<()> {
        let info = dir.join(".git/info");
        std::fs::create_dir_all(&info)?;
        std::fs::write(info.join("attributes"), ATTRIBUTES)
    }
}

/// Runs a command and returns the text that it prints.
pub(super) async fn run(action: &str, command: &mut Command) -> Result<String, CheckoutError> {
    output(action, command).await.map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// Runs a command and returns the bytes that it prints.
pub(super) async fn output(action: &str, command: &mut Command) -> Result<Vec<u8>, CheckoutError> {
    checked_output(action, command.output().await)
}

/// Like [`output`], with bytes for the standard input.
pub(super) async fn output_with_input(action: &str, command: &mut Command, input: &[u8]) -> Result<Vec<u8>, CheckoutError> {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| start_error(action, &error))?;
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command that ended early reports the reason itself.
            let _ = stdin.write_all(input).await;
        }
    };
    let ((), done) = tokio::join!(feed, child.wait_with_output());
    checked_output(action, done)
}

fn start_error(action: &str, error: &std::io::Error) -> CheckoutError {
    match error.kind() {
        ErrorKind::NotFound => CheckoutError::NoGit,
        _ => CheckoutError::Git { action: action.to_owned(), message: error.to_string() },
    }
}

fn checked_output(action: &str, done: std::io::Result<Output>) -> Result<Vec<u8>, CheckoutError> {
    let output = done.map_err(|error| start_error(action, &error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let message = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no message").to_owned();
    Err(CheckoutError::Git { action: action.to_owned(), message })
}
