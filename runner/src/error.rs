//! How a command fails, with the exit code and the remedy. The one place where errors get either.

pub use harness::model::exit_code::ExitCode as Exit;

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
