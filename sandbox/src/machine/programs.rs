//! Programs of the machine: where they are, and running one to its end.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

use crate::error::{ProgramError, SandboxError};

/// The longest that a program of the system may take: apt and npm download what they install.
const PROGRAM: Duration = Duration::from_secs(1800);

/// Runs a program to its end; its last words are the error's.
pub(crate) async fn run(program: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Vec<u8>, SandboxError> {
    let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
    command.args(args).stdin(Stdio::null()).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8").kill_on_drop(true);
    let failed = |source: ProgramError| SandboxError::program(program, source);
    // It is killed when this gives it up.
    let done = tokio::time::timeout(PROGRAM, command.output()).await;
    let done = done.map_err(|_| failed(ProgramError::Timeout(PROGRAM)))?.map_err(|error| failed(error.into()))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let errors = String::from_utf8_lossy(&done.stderr);
    let lines: Vec<&str> = errors.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(2)..];
    Err(failed(if last.is_empty() { ProgramError::Status(done.status) } else { ProgramError::Output(last.join("; ")) }))
}

/// Where a program of the system is. Not `PATH`, which may lack the folders of the administrator's programs.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .into_iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_words_of_a_program_are_told_in_their_order() {
        let failed = run("sh", ["-c", "printf 'one\\ntwo\\n\\nthree\\n' >&2; exit 3"]).await.unwrap_err();
        assert_eq!(failed.with_causes(), "sh failed: two; three");
    }
}
