//! How a command fails, with the exit code and the remedy. The one place where errors get either.

use std::process::ExitCode;

/// The exit codes of taster, besides 128+n on signal n. The table is in the design of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for was done, and a verdict is green.
    Green = 0,
    /// The verdict is red.
    Red = 1,
    /// The command line, a settings file or the host's policy does not allow it.
    Usage = 2,
    /// Nothing is proved either way, or the host is not fit.
    Inconclusive = 3,
    /// Something of the run is left, or something of others was changed.
    Residue = 4,
    /// Nothing ran.
    Nothing = 5,
    /// taster itself failed.
    Harness = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A command's error: one sentence, what to do about it, and the exit code.
#[derive(Debug)]
pub struct CommandError {
    /// The exit code.
    pub exit: Exit,
    /// One sentence, with the chain of causes.
    pub sentence: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl CommandError {
    /// An error of the user's making.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, sentence: sentence.into(), remedy: None }
    }

    /// An error of the host.
    pub fn host(sentence: impl Into<String>) -> Self {
        Self { exit: Exit::Inconclusive, sentence: sentence.into(), remedy: None }
    }

    /// The same error with what to do about it.
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}
