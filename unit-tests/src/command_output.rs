//! Commands that tests start: their processes, signals to them, and expectations on what they print.

use std::{
    fmt,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use harness::model::request::DEFAULT_DEADLINE;

use crate::engine::printed;

/// The time limit of a command: the default deadline of a run and time to clean up after it.
const TIME_LIMIT: Duration = DEFAULT_DEADLINE.saturating_add(Duration::from_secs(600));
/// The time limit of a command that ends soon.
const SOON: Duration = Duration::from_secs(60);

/// Exit code and output of a command that has ended.
#[derive(Debug, Clone)]
pub struct CommandOutput {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl CommandOutput {
    /// Waits for the end of `child`.
    ///
    /// # Panics
    /// If the child does not end within [`TIME_LIMIT`]; it is killed then.
    #[track_caller]
    pub fn after(child: Child) -> Self {
        Self::within(child, TIME_LIMIT)
    }

    /// Waits for the end of `child`, for a minute at most.
    ///
    /// # Panics
    /// If the child does not end within a minute; it is killed then.
    #[track_caller]
    pub fn soon(child: Child) -> Self {
        Self::within(child, SOON)
    }

    /// Waits for the end of `child`, for `limit` at most.
    ///
    /// # Panics
    /// If the child does not end within `limit`; it is killed then.
    #[track_caller]
    pub fn within(child: Child, limit: Duration) -> Self {
        // A thread reads both outputs meanwhile: a process blocks once a pipe is full.
        let pid = child.id();
        let (sender, receiver) = channel();
        thread::spawn(move || sender.send(child.wait_with_output()));
        if let Ok(output) = receiver.recv_timeout(limit) {
            return Self::of(output.unwrap());
        }
        // The process may have ended just now; then there is nothing to kill.
        let _ = Command::new("kill").args(["-s", "KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        match receiver.recv_timeout(Duration::from_secs(10)) {
            Ok(output) => panic!("it did not end within {limit:?}:\n{}", Self::of(output.unwrap())),
            Err(_) => panic!("it did not end within {limit:?}, and a process that it started holds its outputs"),
        }
    }

    fn of(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Expects this exit code.
    ///
    /// # Panics
    /// If the command ended otherwise.
    #[track_caller]
    pub fn exit(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Expects `text` in one of the two outputs.
    ///
    /// # Panics
    /// If neither has it.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.contains(text), "the output lacks {text:?}:\n{self}");
        self
    }

    /// Expects `text` in neither output.
    ///
    /// # Panics
    /// If one of them has it.
    #[track_caller]
    pub fn never_says(&self, text: &str) -> &Self {
        assert!(!self.contains(text), "the output has {text:?}:\n{self}");
        self
    }

    /// Whether one of the two outputs has `text`.
    pub fn contains(&self, text: &str) -> bool {
        self.out.contains(text) || self.err.contains(text)
    }
}

impl fmt::Display for CommandOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {:?}\n{}\n{}", self.code, self.err, self.out)
    }
}

/// Starts a command with its outputs kept.
///
/// # Panics
/// If it cannot be started.
#[track_caller]
pub fn started(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends a signal by its name, such as `TERM`.
///
/// # Panics
/// If there is no such process.
#[track_caller]
pub fn signal(pid: u32, name: &str) {
    printed(Command::new("sh").args(["-c", &format!("kill -s {name} {pid}")]), &["kill", name]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Child {
        started(Command::new("sh").args(["-c", line]))
    }

    #[test]
    fn child_with_more_output_than_a_pipe_holds_ends() {
        let output = CommandOutput::soon(shell("head -c 300000 /dev/zero | tr '\\0' x; echo y >&2; exit 3"));

        assert_eq!((output.code, output.out.len(), output.err.as_str()), (Some(3), 300_000, "y\n"));
    }

    #[test]
    #[should_panic(expected = "it did not end within 200ms:\nexit None\n\nso far\n")]
    fn child_beyond_its_limit_is_killed_and_its_output_is_shown() {
        CommandOutput::within(shell("echo so far; exec sleep 1000"), Duration::from_millis(200));
    }
}
