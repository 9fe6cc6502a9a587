//! Why a function of a pack does not hold.

use std::{error::Error, panic::Location};

/// Why a function of a pack does not hold, or why it does not apply.
///
/// Every error becomes one by `?`, and so does a sentence; the line with the `?` is what a report points at.
///
/// ```
/// use harness::author::Failed;
///
/// fn parsed(text: &str) -> Result<u16, Failed> {
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
/// A condition that has to hold is one line with [`ensure`].
pub struct Failed {
    sentence: String,
    at: String,
    kind: Kind,
}

/// What it means that a function does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An assertion does not.
    Assertion,
    /// It does not apply to this app.
    NotApplicable,
    /// Something that it takes is not on this machine.
    ToolAbsent,
    /// Nobody has written it yet.
    Unwritten,
}

impl Failed {
    #[track_caller]
    pub(super) fn because(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), at: here(), kind: Kind::Assertion }
    }

    #[track_caller]
    pub(super) fn not_applicable(reason: impl Into<String>) -> Self {
        Self { sentence: reason.into(), at: here(), kind: Kind::NotApplicable }
    }

    pub(super) fn at_place(sentence: impl Into<String>, place: &Location<'_>) -> Self {
        Self { sentence: sentence.into(), at: told(place), kind: Kind::Assertion }
    }

    pub(super) fn tool_absent(what: impl Into<String>, place: &Location<'_>) -> Self {
        Self { sentence: what.into(), at: told(place), kind: Kind::ToolAbsent }
    }

    /// Several failures in one sentence, which names the places of all.
    pub(super) fn of_several(sentence: String) -> Self {
        Self { sentence, at: String::new(), kind: Kind::Assertion }
    }

    /// What does not hold, or why it does not apply.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// The file and the line; empty when the sentence names several.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Whether the function applies to this app; else this is no failure.
    pub fn applies(&self) -> bool {
        self.kind != Kind::NotApplicable
    }

    /// The function is only a place for a test that nobody has written yet; it proves nothing either way.
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
    told(Location::caller())
}

/// The file of a pack from `recipes/` on: `build.rs` names it in full, and where it was compiled is nobody's business.
fn told(place: &Location<'_>) -> String {
    let file = place.file();
    let from = file.rfind("/recipes/").map_or(0, |at| at + 1);
    format!("{}:{}", &file[from..], place.line())
}

impl std::fmt::Debug for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.sentence, self.at)
    }
}

// That `Failed` is no `Error` itself is what lets everything that is one become a `Failed`.
impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failed {
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

/// Fails with `sentence` unless `holds`.
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
pub fn ensure(holds: bool, sentence: impl Into<String>) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(Failed::because(sentence)) }
}
