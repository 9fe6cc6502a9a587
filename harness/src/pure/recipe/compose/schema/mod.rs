//! Docker's JSON schemas of compose files, and their evaluation as by the library that Docker uses (`gojsonschema` 1.2.0).
//!
//! The schemas are docker/cli 28.2.2's, unchanged (`cli/compose/schema/data`, Apache-2.0). [`check`] knows the keywords that they
//! use; a test refuses a schema with another one.

use serde_json::Value as Schema;

use super::{
    error::Unresolved,
    short, units,
    yaml::{Node, Value},
};

macro_rules! schemas {
    ($($version:literal),*) => {
        [$(($version, include_str!(concat!("data/config_schema_v", $version, ".json")))),*]
    };
}

const SCHEMAS: [(&str, &str); 14] =
    schemas!["3.0", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13"];

/// The version of files that declare none, or only `3`.
pub(super) const DEFAULT_VERSION: &str = "3.13";

pub(super) fn knows(version: &str) -> bool {
    SCHEMAS.iter().any(|(known, _)| *known == version)
}

/// Checks a file with the schema of its version.
pub(super) fn check(file: &str, root: &Node, version: &str) -> Result<(), Unresolved> {
    let text = SCHEMAS.iter().find(|(known, _)| *known == version).map(|(_, text)| *text);
    let schema: Option<Schema> = text.and_then(|text| serde_json::from_str(text).ok());
    let unknown = || Unresolved::UnknownVersion { file: file.to_owned(), version: version.to_owned() };
    let schema = schema.ok_or_else(unknown)?;
    finite(root, "")?;
    Checker { root: &schema }.value(root, &schema, "")
}

type Done = Result<(), Unresolved>;

/// Docker makes JSON of a file for its schema, which has no infinite numbers.
fn finite(node: &Node, path: &str) -> Done {
    match &node.value {
        Value::Number(number) if !number.is_finite() => Err(wrong(node, path, "a number that is finite")),
        Value::List(items) => items.iter().try_for_each(|item| finite(item, path)),
        Value::Map(map) => map
            .iter()
            .try_for_each(|(key, value)| finite(value, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") })),
        _ => Ok(()),
    }
}

struct Checker<'a> {
    root: &'a Schema,
}

impl Checker<'_> {
    fn value(&self, node: &Node, schema: &Schema, path: &str) -> Done {
        if let Some(reference) = schema.get("$ref").and_then(Schema::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(Ok(()), |target| self.value(node, target, path));
        }
        let kinds = kinds(schema);
        if !kinds.is_empty() && !kinds.iter().any(|kind| is_of(node, kind)) {
            let wanted = worded(&kinds);
            // A version is mostly written as a number.
            return Err(wrong(node, path, &if path == "version" { wanted + ", in quotes" } else { wanted }));
        }
        if let Some(branches) = schema.get("oneOf").and_then(Schema::as_array) {
            self.one_of(node, branches, path)?;
        }
        if let Some(allowed) = schema.get("enum").and_then(Schema::as_array) {
            let allowed: Vec<&str> = allowed.iter().filter_map(Schema::as_str).collect();
            if !node.text().is_some_and(|text| allowed.contains(&text)) {
                return Err(wrong(node, path, &allowed.join(" or ")));
            }
        }
        if let Some(format) = schema.get("format").and_then(Schema::as_str) {
            has_format(node, format, path)?;
        }
        if schema.get("minimum").and_then(Schema::as_i64).is_some_and(|least| below(node, least)) {
            return Err(wrong(node, path, "a number that is not negative"));
        }
        match &node.value {
            Value::List(items) => self.list(items, schema, path),
            Value::Map(_) => self.map(node, schema, path),
            _ => Ok(()),
        }
    }

    /// Exactly one of several forms. The error is that of the form which fits best.
    fn one_of(&self, node: &Node, branches: &[Schema], path: &str) -> Done {
        let errors: Vec<Unresolved> = branches.iter().filter_map(|branch| self.value(node, branch, path).err()).collect();
        match branches.len() - errors.len() {
            1 => return Ok(()),
            0 => {}
            _ => return Err(wrong(node, path, "of one form only")),
        }
        let forms: Vec<&str> = branches.iter().flat_map(|branch| self.forms(branch)).collect();
        let of_no_form = |error: &Unresolved| match error {
            Unresolved::WrongKind { path: at, wanted, .. } => at == path && forms.iter().any(|form| worded(&[*form]) == *wanted),
            _ => false,
        };
        match errors.into_iter().find(|error| !of_no_form(error)) {
            Some(error) => Err(error),
            None => Err(wrong(node, path, &worded(&forms))),
        }
    }

    /// The types that a form allows.
    fn forms<'s>(&'s self, schema: &'s Schema) -> Vec<&'s str> {
        match schema.get("$ref").and_then(Schema::as_str).and_then(|reference| self.root.pointer(reference.strip_prefix('#')?)) {
            Some(target) => self.forms(target),
            None => kinds(schema),
        }
    }

    fn list(&self, items: &[Node], schema: &Schema, path: &str) -> Done {
        if let Some(each) = schema.get("items") {
            for (number, item) in items.iter().enumerate() {
                self.value(item, each, &format!("{path}[{number}]"))?;
            }
        }
        if schema.get("uniqueItems") == Some(&Schema::Bool(true)) {
            let json: Vec<String> = items.iter().map(json).collect();
            let repeated = (1..json.len()).find(|number| json[..*number].contains(&json[*number]));
            if let Some(number) = repeated {
                let at = items[number].at.clone();
                return Err(Unresolved::Repeated { at, path: format!("{path}[{number}]") });
            }
        }
        Ok(())
    }

    fn map(&self, node: &Node, schema: &Schema, path: &str) -> Done {
        let Some(map) = node.map() else { return Ok(()) };
        for key in schema.get("required").and_then(Schema::as_array).into_iter().flatten().filter_map(Schema::as_str) {
            if !map.contains_key(key) {
                let path = if path.is_empty() { "the file" } else { path };
                return Err(Unresolved::MissingKey { at: node.at.clone(), path: path.to_owned(), key: key.to_owned() });
            }
        }
        let closed = schema.get("additionalProperties") == Some(&Schema::Bool(false));
        for (key, value) in map {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let known = schema.get("properties").and_then(|known| known.get(key));
            let patterns = schema.get("patternProperties").and_then(Schema::as_object).into_iter().flatten();
            let mut fits = known.is_some();
            for (_, schema) in patterns.filter(|(pattern, _)| matches(pattern, key)) {
                fits = true;
                self.value(value, schema, &path)?;
            }
            if let Some(schema) = known {
                self.value(value, schema, &path)?;
            }
            if closed && !fits {
                return Err(Unresolved::UnknownKey { at: value.at.clone(), path });
            }
        }
        Ok(())
    }
}

pub(super) fn wrong(node: &Node, path: &str, wanted: &str) -> Unresolved {
    Unresolved::WrongKind { at: node.at.clone(), path: path.to_owned(), wanted: wanted.to_owned() }
}

fn kinds(schema: &Schema) -> Vec<&str> {
    match schema.get("type") {
        Some(Schema::String(kind)) => vec![kind],
        Some(Schema::Array(kinds)) => kinds.iter().filter_map(Schema::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A date is a text in JSON, and a number without a fraction an integer, however it is written.
fn is_of(node: &Node, kind: &str) -> bool {
    match kind {
        "string" => matches!(node.value, Value::Text(_) | Value::Date(_)),
        "boolean" => matches!(node.value, Value::Truth(_)),
        "integer" => match node.value {
            Value::Whole(_) | Value::Huge(_) => true,
            Value::Number(number) => number.fract() == 0.0,
            _ => false,
        },
        "number" => matches!(node.value, Value::Whole(_) | Value::Huge(_) | Value::Number(_)),
        "object" => matches!(node.value, Value::Map(_)),
        "array" => matches!(node.value, Value::List(_)),
        "null" => matches!(node.value, Value::Null),
        _ => false,
    }
}

fn worded(kinds: &[&str]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for kind in kinds {
        let word = match *kind {
            "string" => "a text",
            "boolean" => "true or false",
            "integer" => "a whole number",
            "number" => "a number",
            "object" => "an object",
            "array" => "a list",
            _ => "nothing",
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => String::new(),
    }
}

fn below(node: &Node, least: i64) -> bool {
    match node.value {
        Value::Whole(number) => number < least,
        Value::Number(number) => number < least as f64,
        _ => false,
    }
}

fn has_format(node: &Node, format: &str, path: &str) -> Done {
    match (format, &node.value) {
        ("duration", Value::Text(text)) if units::nanoseconds(text).is_none() => {
            Err(wrong(node, path, "a duration such as 90s or 1m30s, as text"))
        }
        ("duration" | "ports", Value::Date(_)) => Err(wrong(node, path, "a text that is no date")),
        ("ports", Value::Text(text)) if short::ports(text).is_none() => Err(wrong(node, path, short::PORT_FORM)),
        ("ports", Value::Whole(number)) if short::ports(&number.to_string()).is_none() => {
            Err(wrong(node, path, short::PORT_FORM))
        }
        // The library shows the format only what stands before the `/` of a fraction; the loader refuses all fractions.
        ("ports", Value::Huge(_) | Value::Number(_)) => Err(wrong(node, path, short::PORT_FORM)),
        _ => Ok(()),
    }
}

/// The patterns of the schemas.
fn matches(pattern: &str, key: &str) -> bool {
    match pattern {
        "^x-" => key.starts_with("x-"),
        "^[a-zA-Z0-9._-]+$" => !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)),
        "^[a-z]+$" => !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase()),
        "^.+$" => !key.is_empty() && !key.contains('\n'),
        ".+" => key.chars().any(|c| c != '\n'),
        _ => false,
    }
}

/// A value as JSON, which decides whether entries of a list are equal. Numbers are equal when their floats are.
fn json(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Truth(truth) => truth.to_string(),
        Value::Whole(number) => format!("{:?}", *number as f64),
        Value::Huge(number) => format!("{:?}", *number as f64),
        Value::Number(number) => format!("{number:?}"),
        Value::Date(text) | Value::Text(text) => format!("{text:?}"),
        Value::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Value::Map(map) => {
            let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key:?}:{}", json(value))).collect();
            format!("{{{}}}", pairs.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keywords of a schema, and its patterns.
    fn words<'a>(schema: &'a Schema, names: bool, found: &mut Vec<&'a str>) {
        match schema {
            Schema::Object(map) => {
                for (key, value) in map {
                    if !names {
                        found.push(key);
                    }
                    if !names && key == "patternProperties" {
                        found.extend(value.as_object().into_iter().flatten().map(|(pattern, _)| pattern.as_str()));
                    }
                    let names = !names && ["properties", "patternProperties", "definitions"].contains(&key.as_str());
                    words(value, names, found);
                }
            }
            Schema::Array(items) => items.iter().for_each(|item| words(item, false, found)),
            _ => {}
        }
    }

    #[test]
    fn schemas_use_only_keywords_and_patterns_that_are_evaluated() {
        // `anyOf` and `constraints` stand in definitions that nothing refers to.
        let known = [
            "$schema",
            "id",
            "type",
            "default",
            "properties",
            "patternProperties",
            "additionalProperties",
            "definitions",
            "$ref",
            "items",
            "oneOf",
            "format",
            "uniqueItems",
            "required",
            "enum",
            "minimum",
            "anyOf",
            "service",
            "^x-",
            "^[a-zA-Z0-9._-]+$",
            "^[a-z]+$",
            "^.+$",
            ".+",
        ];
        for (version, text) in SCHEMAS {
            let schema: Schema = serde_json::from_str(text).unwrap();
            let mut found = Vec::new();
            words(&schema, false, &mut found);
            let unknown: Vec<_> = found.iter().filter(|word| !known.contains(word)).collect();
            assert!(unknown.is_empty(), "{version}: {unknown:?}");
            assert!(!text.contains("#/definitions/constraints\""), "{version}");
        }
    }
}
