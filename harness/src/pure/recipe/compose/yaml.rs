//! YAML as plain data with positions, with scalars typed as in Docker's YAML library.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Budget, Options, Spanned, options::AliasLimits};

use super::error::{Position, Unresolved};

/// The maximum nesting of a compose file and of its anchors. Real files need eight and three.
const DEPTH: usize = 32;
const ANCHORS: usize = 4;
/// The maximum size that anchors may add before the file counts as a bomb.
const REPLAYED: usize = 100_000;

/// A value with its position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Truth(bool),
    Whole(i64),
    Number(f64),
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

    /// Another value with the same position.
    pub(super) fn with(&self, value: Value) -> Self {
        Self { at: self.at.clone(), value }
    }

    /// A scalar as Go prints it; absent for null, lists and maps.
    pub(super) fn printed(&self) -> Option<String> {
        match &self.value {
            Value::Truth(truth) => Some(truth.to_string()),
            Value::Whole(number) => Some(number.to_string()),
            Value::Number(number) => Some(go_float(*number)),
            Value::Text(text) => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }
}

/// Go's `%v` of a float: the shortest digits, with an exponent below 10⁻⁴ and from 10²¹ on.
fn go_float(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-4..1e21).contains(&size) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, power) = exponent.strip_prefix('-').map_or(('+', exponent), |power| ('-', power));
    format!("{digits}e{sign}{power:0>2}")
}

/// Parses a file. Anchors, aliases and merge keys are expanded.
pub(super) fn read(file: &str, text: &str) -> Result<Node, Unresolved> {
    let file: Arc<str> = file.into();
    let options = Options {
        budget: Some(Budget { max_depth: DEPTH, ..Budget::default() }),
        alias_limits: AliasLimits {
            max_total_replayed_events: REPLAYED,
            max_replay_stack_depth: ANCHORS,
            ..AliasLimits::default()
        },
        strict_booleans: true,
        with_snippet: false,
        ..Options::default()
    };
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        Unresolved::NoYaml { at: Position { file: file.clone(), line, column }, message: error.to_string().replace('\n', " ") }
    })?;
    let characters: Vec<char> = text.chars().collect();
    Ok(node(&file, &characters, raw))
}

fn node(file: &Arc<str>, characters: &[char], raw: Spanned<Raw>) -> Node {
    let at = Position { file: file.clone(), line: raw.referenced.line(), column: raw.referenced.column() };
    let span = raw.defined.span();
    let written = || characters.get(span.offset()..span.offset() + span.len()).map(|text| text.iter().collect::<String>());
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Truth(truth) => Value::Truth(truth),
        Raw::Whole(number) => Value::Whole(written().and_then(|text| octal(&text)).unwrap_or(number)),
        Raw::Number(number) => Value::Number(number),
        Raw::Text(text) => Value::Text(text),
        Raw::List(list) => Value::List(list.into_iter().map(|item| node(file, characters, item)).collect()),
        Raw::Map(map) => Value::Map(map.into_iter().map(|(key, item)| (key, node(file, characters, item))).collect()),
    };
    Node { at, value }
}

/// An integer with a leading zero is octal in Docker, as in the mode `0444`.
fn octal(written: &str) -> Option<i64> {
    let digits = written.trim();
    let (sign, digits) = digits.strip_prefix('-').map_or((1, digits), |rest| (-1, rest));
    let digits = digits.strip_prefix('0').filter(|rest| !rest.is_empty() && rest.bytes().all(|b| (b'0'..=b'7').contains(&b)))?;
    i64::from_str_radix(digits, 8).ok().map(|number| sign * number)
}

enum Raw {
    Null,
    Truth(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(String, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Raw, E> {
        Ok(Raw::Truth(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Whole(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Raw, E> {
        i64::try_from(number).map(Raw::Whole).map_err(|_| E::custom("a number that is too large"))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = access.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = access.next_key::<Raw>()? {
            let Raw::Text(key) = key else { return Err(A::Error::custom("a key that is not a text")) };
            map.push((key, access.next_value()?));
        }
        Ok(Raw::Map(map))
    }
}
