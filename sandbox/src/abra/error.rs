//! The failure of a command.

use std::io;

/// The failure of a command, which ends with exit code 1. The text follows `FATA`.
#[derive(Debug)]
pub(super) struct Fatal(pub(super) String);

impl Fatal {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<io::Error> for Fatal {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// The result of a command or of a part of it.
pub(super) type CommandResult<T = ()> = Result<T, Fatal>;
