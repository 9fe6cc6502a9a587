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
            message: in_plain_words(message),
            closest: unknown.and_then(|key| closest_key(key, schema_for!(T).as_value())),
        }
    })
}

/// A message of the parsers of TOML and JSON in the words of their formats: it speaks of keys, texts, numbers, lists and tables,
/// and not of the types of a program.
pub fn in_plain_words(message: &str) -> String {
    let quoted = |rest: &str| rest.strip_prefix('`').and_then(|rest| rest.split_once('`')).map(|(word, _)| word.to_owned());
    let after = |beginning: &str| message.strip_prefix(beginning);
    let key = |beginning: &str| after(beginning).and_then(quoted);
    if let Some(key) = key("unknown field ") {
        return format!("unknown key `{key}`");
    }
    if let Some(key) = key("missing field ") {
        return format!("key `{key}` is missing");
    }
    if let Some(key) = key("duplicate field ") {
        return format!("key `{key}` is there twice");
    }
    if let Some((word, expected)) =
        after("unknown variant ").and_then(|rest| Some((quoted(rest)?, rest.split_once(", expected ")?.1)))
    {
        return format!("`{word}` is not known here; known are {}", expected.trim_start_matches("one of "));
    }
    if let Some(word) = key("unknown variant ") {
        return format!("`{word}` is not known here");
    }
    let wrong = after("invalid type: ").or_else(|| after("invalid value: "));
    if let Some((found, expected)) = wrong.and_then(|rest| rest.split_once(", expected ")) {
        return format!("{} is needed, and this is {}", kind_expected(expected), kind_found(found));
    }
    if let Some((found, expected)) = after("invalid length ").and_then(|rest| rest.split_once(", expected ")) {
        return format!("{} is needed, and this has {found} entries", kind_expected(expected));
    }
    if message == "invalid socket address syntax" {
        return "this is no address with a port, such as 203.0.113.7:443".to_owned();
    }
    if message.starts_with("data did not match any variant") {
        return "this has no form that is known here".to_owned();
    }
    message.to_owned()
}

/// A value in words: `the number 3` for ``integer `3` ``.
fn kind_found(found: &str) -> String {
    let value = found.split_once('`').and_then(|(_, rest)| rest.rsplit_once('`')).map(|(value, _)| value);
    match (found.split_whitespace().next(), value) {
        (Some("integer" | "floating"), Some(value)) => format!("the number {value}"),
        (Some("boolean"), Some(value)) => format!("`{value}`"),
        (Some("string"), _) => format!("the text {}", found.trim_start_matches("string ")),
        (Some("sequence"), _) => "a list".to_owned(),
        (Some("map" | "newtype" | "struct"), _) => "a table".to_owned(),
        (Some("null" | "unit" | "Option"), _) => "nothing".to_owned(),
        _ => found.to_owned(),
    }
}

/// What a parser expects, in words.
fn kind_expected(expected: &str) -> String {
    let expected = expected.split(" at line ").next().unwrap_or(expected);
    match expected.split_whitespace().next() {
        _ if expected == "a string" || expected == "a borrowed string" => "a text".to_owned(),
        _ if expected == "a boolean" => "`true` or `false`".to_owned(),
        _ if expected == "a sequence" => "a list".to_owned(),
        _ if expected == "a map" => "a table".to_owned(),
        Some("u8" | "u16" | "u32" | "u64" | "usize") => "a whole number from 0 on".to_owned(),
        Some("i8" | "i16" | "i32" | "i64" | "isize") => "a whole number".to_owned(),
        Some("f32" | "f64") => "a number".to_owned(),
        Some("struct" | "internally" | "adjacently") => "a table".to_owned(),
        Some("enum" | "variant") => "one of the known words".to_owned(),
        Some("tuple" | "array") => "a list".to_owned(),
        _ => expected.to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_of_a_parser_speaks_of_keys_and_values() {
        for (message, words) in [
            ("unknown field `ingres`, expected `zone` or `ingress`", "unknown key `ingres`"),
            ("missing field `zone`", "key `zone` is missing"),
            ("duplicate field `zone`", "key `zone` is there twice"),
            (
                "unknown variant `maybe`, expected `required` or `advisory`",
                "`maybe` is not known here; known are `required` or `advisory`",
            ),
            ("unknown variant `x`, expected one of `a`, `b`, `c`", "`x` is not known here; known are `a`, `b`, `c`"),
            ("invalid type: integer `3`, expected a string", "a text is needed, and this is the number 3"),
            ("invalid type: string \"a, b\", expected a sequence", "a list is needed, and this is the text \"a, b\""),
            ("invalid type: boolean `true`, expected u64", "a whole number from 0 on is needed, and this is `true`"),
            ("invalid value: integer `-1`, expected u16", "a whole number from 0 on is needed, and this is the number -1"),
            ("invalid type: map, expected a string", "a text is needed, and this is a table"),
            ("invalid type: sequence, expected struct Host", "a table is needed, and this is a list"),
            ("invalid type: null, expected internally tagged enum Source", "a table is needed, and this is nothing"),
            ("data did not match any variant of untagged enum Allowed", "this has no form that is known here"),
            ("a domain is lower-case letters", "a domain is lower-case letters"),
        ] {
            assert_eq!(in_plain_words(message), words, "{message}");
        }
    }
}
