//! Errors of commands: kind, chain of causes and hints.
//!
//! The kind alone decides the exit code, and [`report`] alone prints an error, so that every command fails in the same form: the
//! message, then its causes, then what to do.

use std::{
    error::Error,
    fmt,
    io::{self, Write},
    iter,
};

use harness::model::exit_code::ExitCode;

/// An error of any type.
type AnyError = Box<dyn Error + Send + Sync>;

/// What kind of failure an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line, a settings file or the request cannot be used.
    Usage,
    /// The host, its engine or a folder of this machine is not fit.
    Host,
    /// The recipe cannot be used.
    Recipe,
    /// Nothing is left to run.
    NothingToRun,
}

impl ErrorKind {
    /// The exit code of a command that fails with it.
    pub fn exit_code(self) -> ExitCode {
        match self {
            ErrorKind::Usage => ExitCode::Usage,
            ErrorKind::Host => ExitCode::Inconclusive,
            ErrorKind::Recipe => ExitCode::Red,
            ErrorKind::NothingToRun => ExitCode::NothingRan,
        }
    }
}

/// An error that ends a command.
#[derive(Debug)]
pub struct CommandError {
    kind: ErrorKind,
    error: AnyError,
    hints: Vec<String>,
}

impl CommandError {
    /// An error of this kind: a message, or an error with its causes.
    pub fn new(kind: ErrorKind, error: impl Into<AnyError>) -> Self {
        Self { kind, error: error.into(), hints: Vec::new() }
    }

    /// An error of the kind [`ErrorKind::Usage`].
    pub fn usage(error: impl Into<AnyError>) -> Self {
        Self::new(ErrorKind::Usage, error)
    }

    /// An error of the kind [`ErrorKind::Host`].
    pub fn host(error: impl Into<AnyError>) -> Self {
        Self::new(ErrorKind::Host, error)
    }

    /// The same error as the cause of `message`.
    #[must_use]
    pub fn context(self, message: impl Into<String>) -> Self {
        let error = Box::new(WithContext { message: message.into(), source: self.error });
        Self { error, ..self }
    }

    /// The same error with one more hint: what the user can do, as a sentence.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same error with more hints.
    #[must_use]
    pub fn hints(mut self, hints: impl IntoIterator<Item = String>) -> Self {
        self.hints.extend(hints);
        self
    }

    /// The exit code of a command that fails with it.
    pub fn exit_code(&self) -> ExitCode {
        self.kind.exit_code()
    }

    /// Message and causes in one line, separated by colons, for a line that has something else before it.
    pub fn in_one_line(&self) -> String {
        iter::once(self.to_string()).chain(causes(self)).collect::<Vec<_>>().join(": ")
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for CommandError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// A message with its cause.
#[derive(Debug)]
struct WithContext {
    message: String,
    source: AnyError,
}

impl fmt::Display for WithContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for WithContext {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// The causes of an error, the nearest first.
fn causes(error: &dyn Error) -> impl Iterator<Item = String> {
    iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string)
}

/// Prints an error on standard error and gives the exit code of its kind.
pub fn report(error: &CommandError) -> ExitCode {
    // Where standard error cannot be written, the exit code is all that is left.
    let _ = writeln!(io::stderr(), "{}", format_error(error));
    error.exit_code()
}

fn format_error(error: &CommandError) -> String {
    let mut lines = vec![format!("Error: {error}")];
    let causes: Vec<String> = causes(error).collect();
    match causes.as_slice() {
        [] => {}
        [cause] => lines.push(format!("Caused by: {cause}")),
        several => {
            lines.push("Caused by:".to_owned());
            lines.extend(several.iter().zip(1..).map(|(cause, number)| format!("  {number}: {cause}")));
        }
    }
    lines.extend(error.hints.iter().map(|hint| format!("Hint: {hint}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_printed_with_message_causes_and_hints_in_this_order() {
        let plain = CommandError::usage("there is no run");
        assert_eq!(format_error(&plain), "Error: there is no run");
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let one = CommandError::host(denied()).context("cannot read /x").hint("Run taster as root.");
        assert_eq!(format_error(&one), "Error: cannot read /x\nCaused by: permission denied\nHint: Run taster as root.");
        let two = one.context("the host is not usable").hint("Name another one.");
        assert_eq!(
            format_error(&two),
            "Error: the host is not usable\nCaused by:\n  1: cannot read /x\n  2: permission denied\n\
             Hint: Run taster as root.\nHint: Name another one."
        );
        assert_eq!(two.in_one_line(), "the host is not usable: cannot read /x: permission denied");
    }

    #[test]
    fn kind_decides_the_exit_code() {
        let codes = [ErrorKind::Usage, ErrorKind::Host, ErrorKind::Recipe, ErrorKind::NothingToRun].map(|kind| {
            let error = CommandError::new(kind, "failed").context("cannot").hint("Wait.");
            error.exit_code().code()
        });
        assert_eq!(codes, [2, 3, 1, 5]);
    }
}
