//! The error of a pack's function.

use std::{error::Error, panic::Location};

/// The failure of a pack's function, or the reason why it does not apply.
///
/// `?` converts every error and every sentence. Reports point at the line with the `?`.
///
/// ```
/// use harness::author::TestError;
///
/// fn parsed(text: &str) -> Result<u16, TestError> {
///     if text.is_empty() {
///         return Err("the app gave no number".into());
///     }
///     Ok(text.trim().parse::<u16>()?)
/// }
///
/// assert_eq!(parsed(" 42\n").unwrap(), 42);
/// assert_eq!(parsed("").unwrap_err().sentence(), "the app gave no number");
/// assert!(parsed("x").unwrap_err().at().contains(".rs:"));
/// ```
///
/// [`ensure`] checks a condition in one line.
pub struct TestError {
    sentence: String,
    at: String,
    kind: Kind,
}

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An assertion failed.
    Assertion,
    /// The function does not apply to this app.
    NotApplicable,
    /// A required tool is missing.
    ToolAbsent,
    /// The function is not written yet.
    Unwritten,
}

impl TestError {
    #[track_caller]
    pub(super) fn because(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), at: here(), kind: Kind::Assertion }
    }

    #[track_caller]
    pub(super) fn not_applicable(reason: impl Into<String>) -> Self {
        Self { sentence: reason.into(), at: here(), kind: Kind::NotApplicable }
    }

    pub(super) fn at_place(sentence: impl Into<String>, place: &Location<'_>) -> Self {
        Self { sentence: sentence.into(), at: format_location(place), kind: Kind::Assertion }
    }

    pub(super) fn tool_absent(what: impl Into<String>, place: &Location<'_>) -> Self {
        Self { sentence: what.into(), at: format_location(place), kind: Kind::ToolAbsent }
    }

    /// Joins several failures into one sentence with all places.
    pub(super) fn of_several(sentence: String) -> Self {
        Self { sentence, at: String::new(), kind: Kind::Assertion }
    }

    /// The sentence.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// The file and the line; empty when the sentence has several places.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Whether the function applies to this app. If not, this is not a failure.
    pub fn applies(&self) -> bool {
        self.kind != Kind::NotApplicable
    }

    /// The result of a placeholder for a test that is not written yet. It proves nothing.
    #[track_caller]
    pub fn unwritten() -> Self {
        Self { sentence: "it is not written yet".to_owned(), at: here(), kind: Kind::Unwritten }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }
}

#[track_caller]
fn here() -> String {
    format_location(Location::caller())
}

/// The path of a pack's file from `recipes/` on. `build.rs` includes files by absolute paths, which would reveal the build
/// machine.
fn format_location(place: &Location<'_>) -> String {
    let file = place.file();
    let from = file.rfind("/recipes/").map_or(0, |at| at + 1);
    format!("{}:{}", &file[from..], place.line())
}

impl std::fmt::Debug for TestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.sentence, self.at)
    }
}

// `TestError` does not implement `Error`, so that a blanket conversion from all errors is possible.
impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for TestError {
    #[track_caller]
    fn from(error: E) -> Self {
        let error = error.into();
        let mut sentence = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let words = cause.to_string();
            if !sentence.ends_with(&words) {
                sentence = format!("{sentence}: {words}");
            }
            source = cause.source();
        }
        Self::because(sentence)
    }
}

/// Returns `sentence` as an error unless `holds`.
///
/// ```
/// use harness::author::ensure;
///
/// assert!(ensure(1 < 2, "numbers are out of order").is_ok());
/// assert_eq!(ensure(false, "nothing holds").unwrap_err().sentence(), "nothing holds");
/// ```
///
/// # Errors
/// The sentence.
#[track_caller]
pub fn ensure(holds: bool, sentence: impl Into<String>) -> Result<(), TestError> {
    if holds { Ok(()) } else { Err(TestError::because(sentence)) }
}
