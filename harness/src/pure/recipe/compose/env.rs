//! The `.env` of an app, read as abra's godotenv reads it, and what `abra.sh` adds to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The variables of an `.env`. The last assignment of a variable wins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Env {
    values: BTreeMap<String, String>,
    modifiers: BTreeMap<String, Modifiers>,
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

/// Error in an `.env`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the .env cannot be read: {fault}")]
pub struct BadEnv {
    /// The line, counted from 1.
    pub line: usize,
    /// The error.
    pub fault: EnvFault,
}

/// Error in a line of an `.env`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvFault {
    /// A name contains an invalid character.
    #[error("{0:?} is not allowed in a variable's name")]
    Character(char),
    /// A name without `=`.
    #[error("{0:?} has no value")]
    NoValue(String),
    /// An unclosed quote.
    #[error("the quote {0} is not closed")]
    Unclosed(char),
    /// `length=` without a number.
    #[error("the length {0:?} is not a number")]
    Length(String),
}

impl Env {
    /// Parses an `.env` or an `.env.sample`.
    pub fn parse(text: &str) -> Result<Self, BadEnv> {
        let text = text.replace("\r\n", "\n");
        let mut env = Self::default();
        let mut rest = text.as_str();
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                return Ok(env);
            }
            if rest.starts_with('#') {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
                continue;
            }
            let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
            let at_line = |fault| BadEnv { line, fault };
            let (key, after) = key(rest).map_err(at_line)?;
            let (value, comment, after) = value(after, &env.values).map_err(at_line)?;
            let modifiers = comment.filter(|_| key.starts_with("SECRET_") && key.ends_with("_VERSION"));
            if let Some(modifiers) = modifiers.map(read_modifiers).transpose().map_err(at_line)? {
                env.modifiers.insert(key.clone(), modifiers);
            }
            env.values.insert(key, value);
            rest = after;
        }
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

    /// The comments behind `SECRET_…_VERSION` variables, by variable.
    pub fn modifiers(&self) -> impl Iterator<Item = (&str, &Modifiers)> {
        self.modifiers.iter().map(|(key, modifiers)| (key.as_str(), modifiers))
    }
}

/// Blanks within a line.
fn blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// The name at the beginning of `text`, and what follows its `=` or `:`.
fn key(text: &str) -> Result<(String, &str), EnvFault> {
    let bare =
        text.strip_prefix("export").filter(|rest| rest.starts_with(blank)).map_or(text, |rest| rest.trim_start_matches(blank));
    for (at, c) in bare.char_indices() {
        match c {
            '=' | ':' => return Ok((bare[..at].trim_end().to_owned(), bare[at + 1..].trim_start_matches(blank))),
            '_' | '.' | '-' => {}
            '\n' => return Err(EnvFault::NoValue(bare[..at].trim_end().to_owned())),
            c if c.is_alphanumeric() || blank(c) => {}
            c => return Err(EnvFault::Character(c)),
        }
    }
    Err(EnvFault::NoValue(bare.trim_end().to_owned()))
}

/// The value at the beginning of `text`, the comment behind it, and what follows both.
fn value<'a>(text: &'a str, known: &BTreeMap<String, String>) -> Result<(String, Option<&'a str>, &'a str), EnvFault> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let (line, after) = text.split_at(text.find(['\n', '\r']).unwrap_or(text.len()));
        // A comment begins after a blank. The blanks between `=` and the value are stripped already, so a leading `#` counts too.
        let marks = line.match_indices('#').map(|(at, _)| at);
        let comment = marks.clone().find(|at| *at == 0 || line[..*at].ends_with(blank));
        let end = comment.unwrap_or(line.len());
        return Ok((expand(line[..end].trim_matches(blank), known), comment.map(|at| &line[at + 1..]), after));
    };
    let mut escaped = false;
    let close = text.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    let Some((close, _)) = close else { return Err(EnvFault::Unclosed(quote)) };
    let inner = text[..close].trim_matches(quote);
    let value = if quote == '"' { expand(&unescape(inner), known) } else { inner.to_owned() };
    let after = &text[close + 1..];
    let line = &after[..after.find('\n').unwrap_or(after.len())];
    Ok((value, line.trim_start_matches(blank).strip_prefix('#'), after))
}

/// Replaces `\n` and `\r`, and removes other backslashes except before `$`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('$')) | ('\\', None) => {
                out.push(c);
                continue;
            }
            ('\\', Some(next)) => out.push(*next),
            (c, _) => {
                out.push(c);
                continue;
            }
        }
        chars.next();
    }
    out
}

/// Replaces `$NAME` and `${NAME}` with upper-case names by earlier assignments, or by nothing.
fn expand(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('\\') {
            out.push_str(before);
            out.push('$');
            rest = &from[1..];
            continue;
        }
        out.push_str(before);
        let inner = from[1..].strip_prefix('{').unwrap_or(&from[1..]);
        let end = inner.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_').unwrap_or(inner.len());
        if end == 0 {
            out.push('$');
            rest = &from[1..];
            continue;
        }
        out.push_str(known.get(&inner[..end]).map_or("", String::as_str));
        rest = inner[end..].strip_prefix('}').unwrap_or(&inner[end..]);
    }
    out + rest
}

fn read_modifiers(comment: &str) -> Result<Modifiers, EnvFault> {
    let mut modifiers = Modifiers::default();
    for (key, value) in comment.split_whitespace().filter_map(|word| word.split_once('=')) {
        match key {
            "length" => modifiers.length = Some(value.parse().map_err(|_| EnvFault::Length(value.to_owned()))?),
            "charset" => modifiers.charset = Some(value.to_owned()),
            "generate" => modifiers.generate = value != "false",
            _ => {}
        }
    }
    Ok(modifiers)
}

/// The lines `export NAME=value` of an `abra.sh`, which override the `.env`. Only plain words count, because abra does not run
/// the script and cannot evaluate shell expressions.
pub(super) fn exports(script: &str) -> BTreeMap<String, String> {
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

/// The lines of a service's `env_file`. A line without `=` refers to the deployer's environment and is left out.
pub(super) fn env_file(text: &str) -> Result<Vec<(String, String)>, (usize, String)> {
    let mut pairs = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').map_or((line, None), |(key, value)| (key, Some(value)));
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err((number + 1, line.to_owned()));
        }
        pairs.extend(value.map(|value| (key.to_owned(), value.to_owned())));
    }
    Ok(pairs)
}
