//! Runs the binary in a separate home folder.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Output},
};

/// A home without earlier runs.
pub(crate) struct Taster {
    home: tempfile::TempDir,
}

impl Taster {
    /// An empty home.
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The home.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// taster with `args`, started from home.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taster"));
        command.args(args).env_clear().env("HOME", self.home()).env("PATH", "/usr/bin:/bin").current_dir(self.home());
        command
    }

    /// Runs taster with `args` to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("taster starts")
    }

    /// Runs taster, and expects this exit code and these texts on standard error.
    #[track_caller]
    pub(crate) fn refuses(&self, args: &[&str], exit: i32, texts: &[&str]) {
        stderr_of(&mut self.command(args), exit, texts);
    }

    /// Runs taster, expects success, and gives standard output.
    #[track_caller]
    pub(crate) fn stdout_of(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Writes a file below home.
    pub(crate) fn write(&self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) -> String {
        let path = self.home().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }
}

/// Runs a command, and gives its standard error. Expects this exit code, these texts on standard error, and neither a panic nor
/// an escape sequence.
#[track_caller]
pub(crate) fn stderr_of(command: &mut Command, exit: i32, texts: &[&str]) -> String {
    let output = command.output().expect("taster starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(exit), "{command:?} printed: {stderr}");
    for text in texts {
        assert!(stderr.contains(text), "{command:?} should print {text:?}, but printed: {stderr}");
    }
    assert!(!stderr.contains("panicked") && !stderr.contains('\u{1b}') && !output.stdout.contains(&0x1b), "{stderr}");
    stderr
}
