//! The `.env` of an app, read as godotenv 1.5.1 reads it, on which abra's reader is based, and what `abra.sh` adds to it.
//!
//! The values are those of the Go library, its oddities included: `unit-tests/fixtures/godotenv.jsonl` holds its recorded
//! answers. The comments behind the versions of secrets are abra's own (docs/reference/abra.md 3.3). Where a comment can be read
//! in two ways, the file is refused.

mod edit;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

pub use edit::{Setting, Uneditable, edit};

/// The variables of an `.env`. The last assignment of a variable wins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Env {
    values: BTreeMap<String, String>,
    modifiers: BTreeMap<String, Modifiers>,
    /// The comments that the modifiers are read from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    comments: BTreeMap<String, String>,
}

/// Modifiers of a generated secret, from the comment behind its `SECRET_…_VERSION`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modifiers {
    /// `length=`: the number of random characters; a passphrase without it.
    pub length: Option<u32>,
    /// `charset=`, verbatim.
    pub charset: Option<String>,
    /// False with `generate=false`: the operator inserts the secret by hand.
    pub generate: bool,
}

impl Default for Modifiers {
    fn default() -> Self {
        Self { length: None, charset: None, generate: true }
    }
}

/// One assignment of an `.env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The line on which it begins, counted from 1.
    pub line: usize,
    /// The variable. A text without `=` at the end of a file has the empty name.
    pub key: String,
    /// Its value, with earlier variables filled in.
    pub value: String,
    /// The comment behind the value, without its `#`.
    pub comment: Option<String>,
    /// Its place in the text with plain line ends, from its first character to the end of value and comment.
    span: Range<usize>,
}

/// Error in an `.env`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the .env cannot be read: {fault}")]
pub struct BadEnv {
    /// The line, counted from 1.
    pub line: usize,
    /// The error.
    pub fault: EnvFault,
}

/// The longest value, in bytes. Linux gives no process a longer variable, and values that name earlier ones could grow without end.
const LONGEST_VALUE: usize = 128 << 10;

/// Error in a line of an `.env`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvFault {
    /// A name contains an invalid character.
    #[error("{0:?} is not allowed in a variable's name")]
    Character(char),
    /// A name without `=`.
    #[error("{0:?} has no value")]
    NoValue(String),
    /// A value beyond [`LONGEST_VALUE`].
    #[error("its value is longer than {} KiB, and no process takes such a variable", LONGEST_VALUE >> 10)]
    TooLong,
    /// An unclosed quote.
    #[error("the quote {0} is not closed")]
    Unclosed(char),
    /// `length=` without a number.
    #[error("the length {0:?} is not a number")]
    Length(String),
    /// `generate=` without a truth value.
    #[error("generate={0} is neither true nor false")]
    Generate(String),
    /// A comment of a secret that can be read in two ways.
    #[error("the comment of {0} has a second `#`, and a comment of a secret has one")]
    TwoMarks(String),
    /// A secret that is declared twice with different comments.
    #[error("{0} is declared twice with different comments")]
    TwoComments(String),
}

impl Env {
    /// Parses an `.env` or an `.env.sample`.
    pub fn parse(text: &str) -> Result<Self, BadEnv> {
        let mut env = Self::default();
        for assignment in assignments(text)? {
            let Assignment { line, key, value, comment, .. } = assignment;
            if is_secret_version(&key) {
                let at_line = |fault| BadEnv { line, fault };
                if value.contains(" #") || comment.as_deref().is_some_and(|comment| comment.contains('#')) {
                    return Err(at_line(EnvFault::TwoMarks(key)));
                }
                let read = comment.as_deref().map(read_modifiers).transpose().map_err(at_line)?;
                let declared = env.values.contains_key(&key);
                if declared && read.as_ref() != env.modifiers.get(&key) {
                    return Err(at_line(EnvFault::TwoComments(key)));
                }
                env.modifiers.extend(read.map(|read| (key.clone(), read)));
                env.comments.extend(comment.map(|comment| (key.clone(), comment)));
            }
            env.values.insert(key, value);
        }
        Ok(env)
    }

    /// The value of a variable.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// All variables.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A copy with one variable set. Its modifiers stay.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.values.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The comment behind a `SECRET_…_VERSION`, without its `#`.
    pub fn comment(&self, key: &str) -> Option<&str> {
        self.comments.get(key).map(String::as_str)
    }

    /// The comments behind `SECRET_…_VERSION` variables, by variable.
    pub fn modifiers(&self) -> impl Iterator<Item = (&str, &Modifiers)> {
        self.modifiers.iter().map(|(key, modifiers)| (key.as_str(), modifiers))
    }
}

/// Whether a key holds the version of a secret (docs/reference/abra.md 3.3).
pub fn is_secret_version(key: &str) -> bool {
    key.starts_with("SECRET_") && key.ends_with("_VERSION")
}

/// All assignments of an `.env` in their order.
pub fn assignments(text: &str) -> Result<Vec<Assignment>, BadEnv> {
    let text = plain_line_ends(text);
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut found = Vec::new();
    let mut rest = text.as_str();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(found);
        }
        if rest.starts_with('#') {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
            continue;
        }
        let start = text.len() - rest.len();
        let line = 1 + text[..start].matches('\n').count();
        let at_line = |fault| BadEnv { line, fault };
        let (key, after) = key(rest).map_err(at_line)?;
        let Valued { value, comment, end, rest: after } = value(after, &known).map_err(at_line)?;
        let span = start..text.len() - end.len();
        known.insert(key.clone(), value.clone());
        found.push(Assignment { line, key, value, comment: comment.map(str::to_owned), span });
        rest = after;
    }
}

/// The text with `\n` at the end of each line.
fn plain_line_ends(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Blanks within a line.
fn blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// The name at the beginning of `text`, and what follows its `=` or `:`. The library judges the bytes of a name one by one.
fn key(text: &str) -> Result<(String, &str), EnvFault> {
    let bare =
        text.strip_prefix("export").filter(|rest| rest.starts_with(blank)).map_or(text, |rest| rest.trim_start_matches(blank));
    for (at, byte) in bare.bytes().enumerate() {
        match char::from(byte) {
            '=' | ':' => return Ok((bare[..at].trim_end().to_owned(), bare[at + 1..].trim_start_matches(blank))),
            '_' | '.' => {}
            '\n' => return Err(EnvFault::NoValue(bare[..at].trim_end().to_owned())),
            c if c.is_alphabetic() || c.is_numeric() || blank(c) => {}
            c => {
                let whole = bare.char_indices().rfind(|(start, _)| *start <= at).map_or(c, |(_, whole)| whole);
                return Err(EnvFault::Character(whole));
            }
        }
    }
    match bare.is_empty() {
        true => Err(EnvFault::NoValue("export".to_owned())),
        // The library takes the rest of the file as the value of a variable without a name.
        false => Ok((String::new(), bare)),
    }
}

/// A value at the beginning of a text.
struct Valued<'a> {
    value: String,
    comment: Option<&'a str>,
    /// What follows value and comment.
    end: &'a str,
    /// Where the next assignment is looked for.
    rest: &'a str,
}

/// The value at the beginning of `text`, and the comment behind it.
fn value<'a>(text: &'a str, known: &BTreeMap<String, String>) -> Result<Valued<'a>, EnvFault> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let (line, rest) = text.split_at(text.find(['\n', '\r']).unwrap_or(text.len()));
        // The last `#` behind a blank begins the comment. One at the very beginning belongs to the value.
        let comment = line.match_indices('#').map(|(at, _)| at).rfind(|at| line[..*at].ends_with(blank));
        let end = comment.unwrap_or(line.len());
        let value = expand(line[..end].trim_matches(blank), known)?;
        return Ok(Valued { value, comment: comment.map(|at| &line[at + 1..]), end: rest, rest });
    };
    let bytes = text.as_bytes();
    let close = (1..bytes.len()).find(|at| char::from(bytes[*at]) == quote && bytes[*at - 1] != b'\\');
    let close = close.ok_or(EnvFault::Unclosed(quote))?;
    let inner = text[..close].trim_matches(quote);
    let value = if quote == '"' { expand(&unescape(inner), known)? } else { inner.to_owned() };
    let rest = &text[close + 1..];
    let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
    let comment = line.trim_start_matches(blank).strip_prefix('#');
    let end = if comment.is_some() { &rest[line.len()..] } else { rest };
    Ok(Valued { value, comment, end, rest })
}

/// Replaces `\n` and `\r` by what they mean, then removes each other backslash except before `$`.
fn unescape(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next_if(|next| *next != '\n') } else { None };
        match escaped {
            Some('n') => lines.push('\n'),
            Some('r') => lines.push('\r'),
            Some(other) => lines.extend([c, other]),
            None => lines.push(c),
        }
    }
    let mut out = String::with_capacity(lines.len());
    let mut chars = lines.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next_if(|next| *next != '$') } else { None };
        out.push(escaped.unwrap_or(c));
    }
    out
}

/// Replaces `$NAME` and `${NAME}` with upper-case names by earlier assignments, or by nothing. A bracket before the name is
/// dropped with it, and a closing brace behind it.
fn expand(text: &str, known: &BTreeMap<String, String>) -> Result<String, EnvFault> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        let inner = from[1..].strip_prefix('(').unwrap_or(&from[1..]);
        let inner = inner.strip_prefix('{').unwrap_or(inner);
        let end = inner.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_').unwrap_or(inner.len());
        let (name, after) = inner.split_at(end);
        let after = after.strip_prefix('}').unwrap_or(after);
        let written = &from[..from.len() - after.len()];
        match before.strip_suffix('\\') {
            Some(before) => out.extend([before, written]),
            None if name.is_empty() => out.extend([before, written]),
            None => out.extend([before, known.get(name).map_or("", String::as_str)]),
        }
        rest = after;
        if out.len() > LONGEST_VALUE {
            return Err(EnvFault::TooLong);
        }
    }
    Ok(out + rest)
}

fn read_modifiers(comment: &str) -> Result<Modifiers, EnvFault> {
    let mut modifiers = Modifiers::default();
    for (key, value) in comment.split_whitespace().filter_map(|word| word.split_once('=')) {
        match key {
            "length" => modifiers.length = Some(value.parse().map_err(|_| EnvFault::Length(value.to_owned()))?),
            "charset" => modifiers.charset = Some(value.to_owned()),
            "generate" => modifiers.generate = truth(value).ok_or_else(|| EnvFault::Generate(value.to_owned()))?,
            _ => {}
        }
    }
    Ok(modifiers)
}

/// A truth value as Go's `strconv.ParseBool` reads it.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// The lines `export NAME=value` of an `abra.sh`, which override the `.env`. Only plain words count, because abra does not run
/// the script and cannot evaluate shell expressions.
pub fn exports(script: &str) -> BTreeMap<String, String> {
    let definitions = script.lines().filter_map(|line| line.strip_prefix("export ")?.trim_start().split_once('='));
    let word = |text: &str| {
        let text = text.split_once(char::is_whitespace).map_or(text, |(word, _)| word);
        let quoted = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
        quoted.unwrap_or(text).to_owned()
    };
    let named = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    definitions
        .filter(|(key, _)| named(key))
        .map(|(key, rest)| (key.to_owned(), word(rest)))
        .filter(|(_, v)| !v.is_empty())
        .collect()
}
