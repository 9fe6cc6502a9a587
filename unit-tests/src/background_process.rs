//! Commands that do not end by themselves.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};

use crate::{engine::until, test_env::signal};

/// A command that goes on until it is told to end. One that a test forgets, or fails beside, is killed.
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
        let said = File::create(&log).unwrap();
        Self { child: command.stdout(Stdio::null()).stderr(said).spawn().unwrap(), log }
    }

    /// The whole lines that it has said so far.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn said(&self) -> String {
        let mut said = fs::read(&self.log).unwrap();
        let whole = said.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        said.truncate(whole);
        String::from_utf8(said).unwrap()
    }

    /// How it has ended by itself, if it has.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Interrupts it and waits for its end.
    ///
    /// # Panics
    /// If it is not there any more, or does not end within a minute.
    pub fn interrupt(mut self) {
        signal(self.child.id(), "INT");
        until("what was interrupted has ended", || self.ended().is_some());
    }
}

impl Drop for BackgroundProcess {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn whole_lines_of_what_goes_on_can_be_read_and_it_ends_when_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut line = Command::new("sh");
        line.args(["-c", "printf 'one\\ntw\\303' >&2; touch said; exec sleep 1000"]).current_dir(&dir);
        let endless = BackgroundProcess::start(&mut line, dir.path().join("log"));
        let proc = format!("/proc/{}", endless.child.id());
        until("it has spoken", || dir.path().join("said").exists());
        assert_eq!(endless.said(), "one\n");
        drop(endless);
        assert!(!Path::new(&proc).exists());
    }
}
