//! Strict reader of TOML settings: an unknown key is an error with line, column and the closest match.

use std::collections::BTreeSet;

use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Error in a settings text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}{}", .closest.as_ref().map(|key| format!("; did you mean `{key}`?")).unwrap_or_default())]
pub struct BadSettings {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The error there.
    pub message: String,
    /// The known key closest to an unknown one.
    pub closest: Option<String>,
}

/// Parses `text`. `T` must deny unknown fields; its schema provides the candidates for the closest match.
pub fn parse<T: DeserializeOwned + JsonSchema>(text: &str) -> Result<T, BadSettings> {
    toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start).min(text.len());
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let message = error.message().lines().next().unwrap_or_default();
        let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        BadSettings {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: match unknown {
                Some(key) => format!("unknown key `{key}`"),
                None => message.to_owned(),
            },
            closest: unknown.and_then(|key| closest_key(key, schema_for!(T).as_value())),
        }
    })
}

/// The key of a schema, at any depth, that is closest to `word`.
fn closest_key(word: &str, schema: &Value) -> Option<String> {
    let mut keys = BTreeSet::new();
    collect_keys(schema, &mut keys);
    closest(word, &keys.into_iter().collect::<Vec<_>>())
}

fn collect_keys<'a>(schema: &'a Value, keys: &mut BTreeSet<&'a str>) {
    match schema {
        Value::Object(fields) => {
            let properties = fields.get("properties").and_then(Value::as_object);
            keys.extend(properties.into_iter().flatten().map(|(key, _)| key.as_str()));
            fields.values().for_each(|inner| collect_keys(inner, keys));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect_keys(inner, keys)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The entry of `known` closest to `word`; absent when none is similar.
pub fn closest(word: &str, known: &[&str]) -> Option<String> {
    let scored = known.iter().map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate));
    scored.filter(|(score, _)| *score > 0.7).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, candidate)| candidate.to_owned())
}
