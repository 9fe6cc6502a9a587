//! Changes of an `.env`, which abra reads back as they were meant.

use super::{Assignment, BadEnv, Env, assignments, plain_line_ends};

/// A variable to set in an `.env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub key: String,
    /// Its value.
    pub value: String,
    /// The comment behind it, without its `#`: none if it is empty, the one that is there if it is absent.
    pub comment: Option<String>,
}

impl Setting {
    /// A variable that keeps its comment.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into(), comment: None }
    }
}

impl From<(&str, &str)> for Setting {
    fn from((key, value): (&str, &str)) -> Self {
        Self::new(key, value)
    }
}

/// Why an `.env` cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Uneditable {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] BadEnv),
    /// No line has this meaning.
    #[error("no line of an .env can express the value of {key}")]
    Inexpressible {
        /// The variable.
        key: String,
    },
}

/// The text of an `.env` with variables set. The last assignment of a variable is replaced, because it is the one that counts,
/// and keeps its comment unless the setting has one; without an assignment a line is added.
pub fn edit(text: &str, settings: &[Setting]) -> Result<String, Uneditable> {
    settings.iter().try_fold(plain_line_ends(text), |text, setting| set(&text, setting))
}

fn set(text: &str, setting: &Setting) -> Result<String, Uneditable> {
    let Setting { key, value, comment } = setting;
    let inexpressible = || Uneditable::Inexpressible { key: key.clone() };
    if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(inexpressible());
    }
    let there = assignments(text)?.into_iter().rfind(|assignment| assignment.key == *key);
    let comment = comment.clone().or_else(|| there.as_ref()?.comment.clone());
    let comment = comment.filter(|comment| !comment.is_empty()).map(|comment| format!(" #{comment}")).unwrap_or_default();
    let forms = forms(value).map(|form| with_line(text, there.as_ref(), &format!("{key}={form}{comment}")));
    let means = |edited: &String| Env::parse(edited).is_ok_and(|env| env.get(key) == Some(value.as_str()));
    forms.into_iter().find(means).ok_or_else(inexpressible)
}

/// The text with a line instead of an assignment, or at its end.
fn with_line(text: &str, there: Option<&Assignment>, line: &str) -> String {
    let Some(span) = there.map(|assignment| assignment.span.clone()) else {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return format!("{text}{end}{line}\n");
    };
    let after = &text[span.end..];
    let end = if after.starts_with('\n') { "" } else { "\n" };
    format!("{}{line}{end}{after}", &text[..span.start])
}

/// The forms of a value on one line, the plainest first: plain, literal, with escapes.
fn forms(value: &str) -> [String; 3] {
    let escaped = value.chars().fold(String::new(), |text, c| match c {
        '\n' => text + "\\n",
        '\r' => text + "\\r",
        '"' | '\\' | '$' => text + "\\" + c.encode_utf8(&mut [0; 4]),
        c => text + c.encode_utf8(&mut [0; 4]),
    });
    let literal = if value.contains('\n') { escaped.clone() } else { value.to_owned() };
    [
        if value.contains('\n') { format!("\"{escaped}\"") } else { value.to_owned() },
        format!("'{literal}'"),
        format!("\"{escaped}\""),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, key: &str, value: &str) -> Option<String> {
        edit(text, &[Setting::new(key, value)]).ok()
    }

    #[test]
    fn setting_replaces_the_last_assignment() {
        for (text, set) in [
            ("A=1\n", "A=1\nK=v\n"),
            ("A=1", "A=1\nK=v\n"),
            ("K=1\nA=2\n", "K=v\nA=2\n"),
            ("K=1\nK=2 # length=3\n", "K=1\nK=v # length=3\n"),
            ("KEY=1\n#K=2\n", "KEY=1\n#K=2\nK=v\n"),
            ("K =1", "K=v\n"),
            ("  export K: 1\nA=2", "  K=v\nA=2"),
            ("K='a\nK=b'\nA=2\n", "K=v\nA=2\n"),
            ("A='a\nK=b'\n", "A='a\nK=b'\nK=v\n"),
            ("K=\"1\" # why\r\nA=2\r\n", "K=v # why\nA=2\n"),
            ("K='1'A=2\n", "K=v\nA=2\n"),
        ] {
            assert_eq!(edited(text, "K", "v").as_deref(), Some(set), "{text:?}");
        }
    }

    #[test]
    fn setting_is_read_back_unchanged() {
        for (value, line) in [
            ("", "K="),
            ("two words", "K=two words"),
            (", `www.a`", "K=, `www.a`"),
            ("it's", "K=it's"),
            ("we are #1", "K='we are #1'"),
            (" padded ", "K=' padded '"),
            ("'quoted'", "K=\"'quoted'\""),
            ("$DOMAIN", "K='$DOMAIN'"),
            ("two\nlines", "K=\"two\\nlines\""),
            ("it's $DOMAIN", "K=\"it's \\$DOMAIN\""),
            ("v\nL=w", "K=\"v\\nL=w\""),
        ] {
            let set = edited("L=1\n", "K", value).unwrap();
            assert_eq!(set, format!("L=1\n{line}\n"), "{value:?}");
            assert_eq!(Env::parse(&set).unwrap().get("K"), Some(value), "{value:?}");
        }
    }

    #[test]
    fn comment_of_a_setting_replaces_the_one_there() {
        for (comment, set) in [(" length=8", "SECRET_A_VERSION=v2 # length=8\n"), ("", "SECRET_A_VERSION=v2\n")] {
            let setting = Setting { comment: Some(comment.into()), ..Setting::new("SECRET_A_VERSION", "v2") };
            assert_eq!(edit("SECRET_A_VERSION=v1 # length=3\n", &[setting]).unwrap(), set);
        }
    }

    #[test]
    fn text_that_cannot_be_read_or_a_value_without_a_form_is_an_error() {
        let key = || "K".to_owned();
        assert!(matches!(edit("A=\"open\n", &[Setting::new("K", "v")]), Err(Uneditable::Unreadable(_))));
        assert_eq!(edit("", &[Setting::new("K", "'#1\" \\")]), Err(Uneditable::Inexpressible { key: key() }));
        for bad in ["K V\nL", "", "A-B", "#K"] {
            assert!(edit("", &[Setting::new(bad, "v")]).is_err(), "{bad:?}");
        }
    }
}
