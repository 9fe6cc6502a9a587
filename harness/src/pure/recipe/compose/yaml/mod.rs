//! Compose files as plain data with positions, read as Docker's YAML library reads them (`gopkg.in/yaml.v3` 3.0.1).

mod decode;
mod parse;
mod scalar;
mod scan;

use std::{collections::BTreeMap, sync::Arc};

use super::error::{Position, Unresolved};
use scan::{Malformed, Mark};

/// A value with its position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// A value with the types of Go.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Truth(bool),
    Whole(i64),
    /// An integer above the signed ones.
    Huge(u64),
    Number(f64),
    /// A date or a time in UTC, as RFC 3339 writes it.
    Date(String),
    Text(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn map(&self) -> Option<&BTreeMap<String, Node>> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// Another value with the same position.
    pub(super) fn with(&self, value: Value) -> Self {
        Self { at: self.at.clone(), value }
    }

    /// A scalar as Go prints it; absent for null, lists and maps.
    pub(super) fn printed(&self) -> Option<String> {
        match &self.value {
            Value::Truth(truth) => Some(truth.to_string()),
            Value::Whole(number) => Some(number.to_string()),
            Value::Huge(number) => Some(number.to_string()),
            Value::Number(number) => Some(scalar::go_float(*number)),
            Value::Date(date) => Some(date.trim_end_matches('Z').replacen('T', " ", 1) + " +0000 UTC"),
            Value::Text(text) => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }
}

/// Parses a file. Anchors, aliases and merge keys are expanded.
pub(super) fn read(file: &str, text: &str) -> Result<Node, Unresolved> {
    let file: Arc<str> = file.into();
    let place = |at: Mark| Position { file: file.clone(), line: at.line as u64 + 1, column: at.column as u64 + 1 };
    let refused = |Malformed { at, problem, unclear }| match unclear {
        true => Unresolved::Unclear { at: place(at), message: problem },
        false => Unresolved::NoYaml { at: place(at), message: problem },
    };
    // A mark at the beginning is skipped. Elsewhere the library would skip a character at each line's beginning at random.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(index) = text.find(forbidden) {
        let (line, column) =
            (text[..index].matches('\n').count(), text[..index].chars().rev().take_while(|c| *c != '\n').count());
        let at = Mark { index, line, column };
        return Err(refused(match text[index..].starts_with('\u{feff}') {
            true => Malformed::unclear(at, "a byte order mark within the file"),
            false => Malformed::new(at, "control characters are not allowed"),
        }));
    }
    let (document, root) = parse::parse(text).map_err(refused)?;
    let Some(root) = root else { return Ok(Node { at: place(Mark::default()), value: Value::Null }) };
    decode::decode(&document, root, &place).map_err(refused)
}

/// Characters that the library refuses, and byte order marks.
fn forbidden(c: char) -> bool {
    let allowed = matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        || c >= '\u{10000}';
    !allowed || c == '\u{feff}'
}
