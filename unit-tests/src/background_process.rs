//! Commands that do not end by themselves.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};

use crate::{command_output::signal, engine::until};

/// A command that runs until it is interrupted. Dropping it kills it.
#[derive(Debug)]
pub struct BackgroundProcess {
    child: Child,
    log: PathBuf,
}

impl BackgroundProcess {
    /// Starts it with its standard error in the file `log`.
    ///
    /// # Panics
    /// If it cannot be started or the file cannot be made.
    pub fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = File::create(&log).unwrap();
        Self { child: command.stdout(Stdio::null()).stderr(file).spawn().unwrap(), log }
    }

    /// The whole lines of its standard error so far.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn output(&self) -> String {
        let mut output = fs::read(&self.log).unwrap();
        let whole = output.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        output.truncate(whole);
        String::from_utf8(output).unwrap()
    }

    /// Its exit status, once it has ended by itself.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Interrupts it and waits for its end.
    ///
    /// # Panics
    /// If it has ended before, or does not end within a minute.
    pub fn interrupt(mut self) {
        signal(self.child.id(), "INT");
        until("the interrupted process has ended", || self.ended().is_some());
    }
}

impl Drop for BackgroundProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn background_process_shows_whole_lines_and_ends_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let mut line = Command::new("sh");
        line.args(["-c", "printf 'one\\ntw\\303' >&2; touch printed; exec sleep 1000"]).current_dir(&dir);
        let process = BackgroundProcess::start(&mut line, dir.path().join("log"));
        let proc = format!("/proc/{}", process.child.id());
        until("it has printed", || dir.path().join("printed").exists());

        assert_eq!(process.output(), "one\n");
        drop(process);

        assert!(!Path::new(&proc).exists());
    }
}
