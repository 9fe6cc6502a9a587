//! A JSON Schema as markdown: tables of keys, of values and of variants, with links between the types. It covers the schemas of
//! serde's types; other keywords of a schema are left out.

use serde_json::{Map, Value};

/// Who writes a document, which decides what a page says about keys that may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// A user: each key is required or has a default.
    User,
    /// taster: each key is present unless the table says otherwise.
    Taster,
}

/// The tables of a schema: those of the document itself, then those of the types that it uses, by name.
pub fn tables(schema: &Value, writer: Writer) -> String {
    let types = Types(schema.get("$defs").and_then(Value::as_object));
    let mut parts = vec![types.keys(schema, writer)];
    parts.extend(types.sections(schema));
    let mut named: Vec<(&String, &Value)> = types.0.into_iter().flatten().collect();
    named.sort_by_key(|(name, _)| *name);
    if !named.is_empty() {
        parts.push("## Types".into());
    }
    for (name, definition) in named {
        parts.push(format!("### {name}"));
        parts.push(described(definition).unwrap_or_default());
        parts.push(types.keys(definition, writer));
        parts.push(types.variants(definition));
        parts.push(types.plain(definition));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n") + "\n"
}

/// The definitions that a schema refers to.
struct Types<'a>(Option<&'a Map<String, Value>>);

impl Types<'_> {
    /// The table of an object's keys; empty when it has none.
    fn keys(&self, schema: &Value, writer: Writer) -> String {
        let keys = properties(schema);
        if keys.is_empty() {
            return String::new();
        }
        let rows = keys.iter().map(|(key, value)| {
            let required = is_required(schema, key);
            let (kind, meaning) = (kind(value), self.meaning(value));
            match writer {
                Writer::User => vec![code(key), kind, default(value, required), meaning],
                Writer::Taster => vec![code(key), absent(kind, value, required), meaning],
            }
        });
        match writer {
            Writer::User => table(&["key", "type", "default", "meaning"], rows),
            Writer::Taster => table(&["key", "type", "meaning"], rows),
        }
    }

    /// The variants of the document itself, a section each.
    fn sections(&self, schema: &Value) -> Vec<String> {
        let variants: Vec<Variant> = members(schema).iter().map(Variant::of).collect();
        let Some(tag) = variants.iter().find_map(|variant| variant.tag) else { return Vec::new() };
        let mut parts = vec![format!("## By `{tag}`")];
        for variant in &variants {
            parts.push(match variant.tag {
                Some(tag) => format!("### `{tag}`: {}", variant.value),
                None => format!("### {}", variant.value),
            });
            parts.push(described(variant.schema).unwrap_or_default());
            let rows = variant.fields.iter().map(|(key, value)| {
                vec![code(key), absent(kind(value), value, is_required(variant.schema, key)), self.meaning(value)]
            });
            if !variant.fields.is_empty() {
                parts.push(table(&["key", "type", "meaning"], rows));
            }
            parts.extend(variant.also.as_ref().map(|also| format!("Besides, the keys of {also}.")));
        }
        parts
    }

    /// The table of a type's variants or values; empty when it has none.
    fn variants(&self, schema: &Value) -> String {
        let variants: Vec<Variant> = members(schema).iter().map(Variant::of).collect();
        if variants.is_empty() {
            return String::new();
        }
        let tag = variants.iter().find_map(|variant| variant.tag).map_or("value".into(), code);
        let bare = variants.iter().all(|variant| variant.fields.is_empty() && variant.also.is_none());
        let rows = variants.iter().map(|variant| {
            let mut row = vec![variant.value.clone(), described(variant.schema).unwrap_or_default()];
            if !bare {
                row.push(self.keys_of(variant));
            }
            row
        });
        if bare { table(&[&tag, "meaning"], rows) } else { table(&[&tag, "meaning", "with"], rows) }
    }

    /// The keys that a variant has besides its tag, in one cell.
    fn keys_of(&self, variant: &Variant) -> String {
        let fields = variant.fields.iter().map(|(key, value)| {
            let kind = absent(kind(value), value, is_required(variant.schema, key));
            match self.meaning(value) {
                meaning if meaning.is_empty() => format!("{} ({kind})", code(key)),
                meaning => format!("{} ({kind}): {meaning}", code(key)),
            }
        });
        let also = variant.also.iter().map(|also| format!("the keys of {also}"));
        fields.chain(also).collect::<Vec<_>>().join("<br>")
    }

    /// The kind of a type that has neither keys nor variants; empty for other types.
    fn plain(&self, schema: &Value) -> String {
        let composed = !properties(schema).is_empty() || !members(schema).is_empty();
        if composed { String::new() } else { format!("Written as: {}.", kind(schema)) }
    }

    /// The meaning of a key: its own description, else that of its type.
    fn meaning(&self, value: &Value) -> String {
        let of_type = || self.0?.get(reference(value)?).and_then(described);
        described(value).or_else(of_type).unwrap_or_default()
    }
}

/// One of several shapes of a value.
struct Variant<'a> {
    schema: &'a Value,
    /// The key that tells the variants apart, where there is one.
    tag: Option<&'a str>,
    /// How the variant is recognised, as markdown.
    value: String,
    /// Its other keys.
    fields: Vec<(&'a str, &'a Value)>,
    /// A type whose keys it has too.
    also: Option<String>,
}

impl<'a> Variant<'a> {
    fn of(schema: &'a Value) -> Self {
        let mut fields = properties(schema);
        let tagged = fields.iter().position(|(_, value)| value.get("const").is_some());
        let tag = tagged.map(|place| fields.remove(place));
        let keys: Vec<String> = fields.iter().map(|(key, _)| code(key)).collect();
        let value = match tag {
            Some((_, value)) => kind(value),
            None if keys.is_empty() => kind(schema),
            None => format!("an object with {}", keys.join(", ")),
        };
        let composed = tag.is_some() || !fields.is_empty();
        let also = reference(schema).filter(|_| composed).map(link);
        Self { schema, tag: tag.map(|(key, _)| key), value, fields, also }
    }
}

/// The values that a schema allows, in a few words with links.
fn kind(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return link(name);
    }
    if let Some(value) = schema.get("const") {
        return literal(value);
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(literal).collect::<Vec<_>>().join(" or ");
    }
    if let [members @ .., last] = all(schema, &["anyOf", "oneOf"]) {
        let members = members.iter().chain([last]);
        return members.map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let [members @ .., last] = all(schema, &["allOf"]) {
        let members = members.iter().chain([last]);
        return members.map(kind).collect::<Vec<_>>().join(" and ");
    }
    match schema.get("type") {
        Some(Value::String(name)) => of_type(name, schema),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).map(|name| of_type(name, schema)).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".into(),
    }
}

fn of_type(name: &str, schema: &Value) -> String {
    match name {
        "array" => match (schema.get("items"), schema.get("prefixItems").and_then(Value::as_array)) {
            (_, Some(items)) => format!("list of {}", items.iter().map(kind).collect::<Vec<_>>().join(", then ")),
            (Some(items), None) if schema.get("uniqueItems") == Some(&Value::Bool(true)) => format!("set of {}", kind(items)),
            (Some(items), None) => format!("list of {}", kind(items)),
            (None, None) => "list".into(),
        },
        "object" => {
            let keys: Vec<String> =
                properties(schema).iter().map(|(key, value)| format!("{} ({})", code(key), kind(value))).collect();
            match schema.get("additionalProperties") {
                _ if !keys.is_empty() => format!("object with {}", keys.join(", ")),
                Some(values @ Value::Object(_)) => format!("map of {}", kind(values)),
                _ => "object".into(),
            }
        }
        "integer" | "number" => {
            let bound = |key: &str| schema.get(key).filter(|bound| bound.as_i64() != Some(0)).map(ToString::to_string);
            match (bound("minimum"), bound("maximum")) {
                (Some(least), Some(most)) => format!("{name} from {least} to {most}"),
                (Some(least), None) => format!("{name} from {least}"),
                (None, Some(most)) => format!("{name} up to {most}"),
                (None, None) => name.into(),
            }
        }
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some(format) => format!("string ({format})"),
            None => "string".into(),
        },
        other => other.into(),
    }
}

/// The kind of a key, with the note that it may be absent although it is never `null`.
fn absent(kind: String, schema: &Value, required: bool) -> String {
    if required || nullable(schema) { kind } else { format!("{kind}; may be absent") }
}

fn nullable(schema: &Value) -> bool {
    let null = |value: &Value| value.get("type") == Some(&Value::from("null"));
    let listed = schema.get("type").and_then(Value::as_array).is_some_and(|types| types.contains(&Value::from("null")));
    listed || all(schema, &["anyOf", "oneOf"]).iter().any(null)
}

fn default(schema: &Value, required: bool) -> String {
    match schema.get("default") {
        Some(Value::Null) => "none".into(),
        Some(Value::Array(values)) if values.is_empty() => "none".into(),
        Some(Value::Object(values)) if values.is_empty() => "none".into(),
        Some(value) => literal(value),
        None if required => "required".into(),
        None => "none".into(),
    }
}

fn properties(schema: &Value) -> Vec<(&str, &Value)> {
    let map = schema.get("properties").and_then(Value::as_object);
    map.into_iter().flatten().map(|(key, value)| (key.as_str(), value)).collect()
}

fn is_required(schema: &Value, key: &str) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|keys| keys.contains(&Value::from(key)))
}

/// The variants of a type. Plain values come from serde's unit variants without descriptions.
fn members(schema: &Value) -> &[Value] {
    all(schema, &["oneOf", "anyOf"])
}

fn all<'a>(schema: &'a Value, keys: &[&str]) -> &'a [Value] {
    keys.iter().find_map(|key| schema.get(key)?.as_array()).map_or(&[], Vec::as_slice)
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

/// The description of a schema as one line of a table. Links of rustdoc lead nowhere here and become plain code.
fn described(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(line.replace("[`", "`").replace("`]", "`").replace('|', "\\|"))
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => code(text),
        other => code(&other.to_string()),
    }
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut lines = vec![format!("| {} |", head.join(" | ")), format!("|{}", "---|".repeat(head.len()))];
    lines.extend(rows.map(|row| format!("| {} |", row.join(" | "))));
    lines.join("\n")
}
