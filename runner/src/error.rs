//! How a command fails, with the exit code and the remedy. The one place where errors get either.

use std::process::ExitCode;

/// The exit codes of taster, besides [`BY_SIGNAL`]. What each means is said in [`Exit::meaning`] and nowhere else.
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

/// The exit code of what a signal ended, and what it means.
pub const BY_SIGNAL: (&str, &str) = ("128+n", "ended by signal n, and swept");

impl Exit {
    /// All of them by number.
    pub const ALL: [Exit; 7] =
        [Exit::Green, Exit::Red, Exit::Usage, Exit::Inconclusive, Exit::Residue, Exit::Nothing, Exit::Harness];

    /// What it means, as the README and the reference say it.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Green => "green",
            Exit::Red => "red: the recipe failed",
            Exit::Usage => "usage: the command line, a settings file or the request cannot be used",
            Exit::Inconclusive => "inconclusive: infrastructure, a dependency, a test, or something that was not verified",
            Exit::Residue => {
                "the verdict stands, but something of the run is left or was not seen to be gone, or something of others was changed by it"
            }
            Exit::Nothing => "nothing ran",
            Exit::Harness => "taster itself failed",
        }
    }
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
