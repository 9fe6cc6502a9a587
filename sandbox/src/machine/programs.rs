//! Programs of the machine: finding them, and running one to its end.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

use crate::error::{ProgramError, SandboxError};

/// The longest that a program may take: apt and npm download what they install.
const TIMEOUT: Duration = Duration::from_secs(1800);
/// The number of lines of a failed program's standard error that the error quotes.
const QUOTED_LINES: usize = 2;

/// Runs a program to its end and returns its standard output. An error quotes the last lines of its standard error.
pub(crate) async fn run(program: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Vec<u8>, SandboxError> {
    run_with(&[], program, args).await
}

/// [`run`] with these variables besides those of this process.
pub(crate) async fn run_with(
    variables: &[(&str, &OsStr)],
    program: &str,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<Vec<u8>, SandboxError> {
    let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
    command.envs(variables.iter().copied());
    command.args(args).stdin(Stdio::null()).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8").kill_on_drop(true);
    let failed = |source: ProgramError| SandboxError::program(program, source);
    // The timeout drops the future, and that kills the program.
    let output = tokio::time::timeout(TIMEOUT, command.output()).await;
    let output = output.map_err(|_| failed(ProgramError::Timeout(TIMEOUT)))?.map_err(|error| failed(error.into()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = errors.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
    Err(failed(if last.is_empty() { ProgramError::Status(output.status) } else { ProgramError::Output(last.join("; ")) }))
}

/// The path of a program. `PATH` is not used: it may lack the folders of the administrator's programs. Go's own archive has a
/// folder that no distribution uses.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/go/bin"]
        .into_iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failed_program_error_quotes_its_last_lines_in_order() {
        let failed = run("sh", ["-c", "printf 'one\\ntwo\\n\\nthree\\n' >&2; exit 3"]).await.unwrap_err();
        assert_eq!(failed.with_causes(), "sh failed: two; three");
    }
}
