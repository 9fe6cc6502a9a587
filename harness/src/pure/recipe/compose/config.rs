//! The merged files as one, as `docker stack config` prints them, with the place that each value comes from.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::json;

use super::{
    env::Env,
    error::{Position, Unresolved},
    load::{self, Loaded},
    shape::{ATTACHMENT, BUILD, Keys, LOGGING, MOUNT, PORT, SECTIONS, Shape, USE},
    tree::{Tree, join},
    yaml::{self, Node, Value},
};
use crate::model::names::StackName;

/// What Docker makes of the compose files of an app. Two of them are equal when their values are, wherever they come from.
#[derive(Debug, Clone)]
pub struct MergedFiles(Node);

/// Merges the compose files of `tree` with the variables of `env` as the stack `stack`.
pub fn config(tree: &Tree, env: &Env, stack: &StackName) -> Result<MergedFiles, Unresolved> {
    load::load(tree, &load::variables(tree, env, stack)).map(MergedFiles::of)
}

impl PartialEq for MergedFiles {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::List(one), Value::List(other)) => one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b)),
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|((k, a), (l, b))| k == l && same(a, b))
        }
        // Docker prints a float without a fraction as an integer.
        (Value::Number(float), Value::Whole(whole)) | (Value::Whole(whole), Value::Number(float)) => *float == *whole as f64,
        (one, other) => one == other,
    }
}

impl MergedFiles {
    fn of(loaded: Loaded) -> Self {
        let Loaded { version, mut sections, extensions, .. } = loaded;
        let at =
            version.as_ref().map_or_else(|| Position { file: "compose.yml".into(), line: 1, column: 1 }, |node| node.at.clone());
        let mut root: BTreeMap<String, Node> = extensions;
        root.extend(version.map(|version| ("version".to_owned(), version)));
        for (section, keys) in SECTIONS {
            let objects = sections.remove(section).unwrap_or_default();
            if objects.is_empty() && section != "services" {
                continue;
            }
            let place = objects.values().next().map_or(&at, |object| &object.at).clone();
            let objects = objects.into_iter().map(|(name, object)| (name, shown_record(object, keys))).collect();
            root.insert(section.to_owned(), Node { at: place, value: Value::Map(objects) });
        }
        Self(Node { at, value: Value::Map(root) })
    }

    /// Reads a file that Docker printed.
    pub fn parse(file: &str, text: &str) -> Result<Self, Unresolved> {
        yaml::read(file, text).map(Self)
    }

    /// A copy in which the paths that Docker prints in full begin with `folder`, the recipe's.
    pub fn in_folder(mut self, folder: &str) -> Self {
        let rebase = |node: Option<&mut Node>| {
            if let Some(Value::Text(path)) = node.map(|node| &mut node.value) {
                *path = join(folder, path);
            }
        };
        let Value::Map(root) = &mut self.0.value else { return self };
        for section in ["secrets", "configs"] {
            // Docker leaves the file of an object alone that it does not make of the file.
            for object in objects(root.get_mut(section)).filter(|object| !object.contains_key("external")) {
                rebase(object.get_mut("file"));
            }
        }
        for service in objects(root.get_mut("services")) {
            let Some(Value::List(mounts)) = service.get_mut("volumes").map(|node| &mut node.value) else { continue };
            for mount in mounts {
                let Value::Map(mount) = &mut mount.value else { continue };
                let relative = |path: &str| !super::short::is_windows_absolute(path);
                if mount.get("type").and_then(Node::text) == Some("bind")
                    && mount.get("source").and_then(Node::text).is_some_and(relative)
                {
                    rebase(mount.get_mut("source"));
                }
            }
        }
        self
    }

    /// The values as JSON.
    pub fn json(&self) -> serde_json::Value {
        as_json(&self.0)
    }

    /// The values as JSON below `config`, and below `from` the file and line of each by its JSON pointer.
    pub fn json_with_places(&self) -> serde_json::Value {
        let mut places = BTreeMap::new();
        add_places(&self.0, String::new(), &mut places);
        json!({ "config": self.json(), "from": places })
    }

    /// The values as YAML, each with its file and line in a comment.
    pub fn yaml(&self) -> String {
        let mut out = String::new();
        write_node(&mut out, &self.0, 0, false);
        out
    }
}

fn objects(section: Option<&mut Node>) -> impl Iterator<Item = &mut BTreeMap<String, Node>> {
    let objects = section.and_then(|node| if let Value::Map(objects) = &mut node.value { Some(objects) } else { None });
    objects.into_iter().flat_map(BTreeMap::values_mut).filter_map(|node| match &mut node.value {
        Value::Map(map) => Some(map),
        _ => None,
    })
}

/// An object as Docker prints it: without its empty values.
fn shown_record(node: Node, keys: Keys) -> Node {
    let Value::Map(map) = node.value else { return node };
    let shown = map.into_iter().filter_map(|(key, node)| {
        let shape = keys.iter().find(|(known, _)| *known == key).map(|(_, shape)| *shape);
        match shape {
            Some(shape) => shown(node, shape).map(|node| (key, node)),
            None => Some((key, node)),
        }
    });
    Node { at: node.at, value: Value::Map(shown.collect()) }
}

/// A value as Docker prints it; absent when it is left out.
fn shown(node: Node, shape: Shape) -> Option<Node> {
    let empty = match (&node.value, shape) {
        (_, Shape::Unread) => true,
        (_, Shape::Count | Shape::FileMode | Shape::TruthOrNone | Shape::DurationOrNone) => false,
        (Value::Text(text), Shape::Duration) => text == "0s",
        (Value::Text(text), Shape::Size) => text == "0",
        (Value::Text(text), _) => text.is_empty(),
        (Value::Whole(0) | Value::Truth(false), _) => true,
        (Value::Number(number), _) => *number == 0.0,
        (Value::List(items), _) => items.is_empty(),
        (Value::Map(map), Shape::Labels | Shape::Environment | Shape::Options | Shape::Networks | Shape::Ulimits) => {
            map.is_empty()
        }
        _ => false,
    };
    if empty {
        return None;
    }
    let filled = |node: Node| Some(node).filter(|node| node.map().is_some_and(|map| !map.is_empty()));
    match shape {
        Shape::Record(keys) => filled(shown_record(node, keys)),
        Shape::Build => filled(shown_record(node, BUILD)),
        Shape::Optional(keys) => Some(shown_record(node, keys)),
        Shape::Generic => Some(node),
        Shape::Logging => Some(shown_record(node, LOGGING)),
        Shape::Records(keys) => Some(each(node, keys)),
        Shape::Ports => Some(each(node, PORT)),
        Shape::Mounts => Some(each(node, MOUNT)),
        Shape::Uses => Some(each(node, USE)),
        Shape::Networks => Some(values(node, |node| shown_record(node, ATTACHMENT))),
        Shape::Ulimits => Some(values(node, ulimit)),
        _ => Some(node),
    }
}

fn each(node: Node, keys: Keys) -> Node {
    let Value::List(items) = node.value else { return node };
    Node { at: node.at, value: Value::List(items.into_iter().map(|item| shown_record(item, keys)).collect()) }
}

fn values(node: Node, shown: impl Fn(Node) -> Node) -> Node {
    let Value::Map(map) = node.value else { return node };
    Node { at: node.at, value: Value::Map(map.into_iter().map(|(key, node)| (key, shown(node))).collect()) }
}

/// A limit: a number for both, or an object without its zeros.
fn ulimit(node: Node) -> Node {
    let Value::Map(mut map) = node.value else { return node };
    map.retain(|_, limit| limit.value != Value::Whole(0));
    map.remove("single").unwrap_or(Node { at: node.at, value: Value::Map(map) })
}

fn as_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Truth(truth) => (*truth).into(),
        Value::Whole(number) => (*number).into(),
        Value::Huge(number) => (*number).into(),
        Value::Number(number) => (*number).into(),
        Value::Date(text) | Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(as_json).collect(),
        Value::Map(map) => map.iter().map(|(key, node)| (key.clone(), as_json(node))).collect(),
    }
}

fn add_places(node: &Node, pointer: String, places: &mut BTreeMap<String, String>) {
    match &node.value {
        Value::List(items) if !items.is_empty() => {
            for (number, item) in items.iter().enumerate() {
                add_places(item, format!("{pointer}/{number}"), places);
            }
        }
        Value::Map(map) if !map.is_empty() => {
            for (key, node) in map {
                add_places(node, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        _ => {
            places.insert(pointer, format!("{}:{}", node.at.file, node.at.line));
        }
    }
}

/// Writes a node behind its key or its dash, or at the top.
fn write_node(out: &mut String, node: &Node, depth: usize, after_dash: bool) {
    match &node.value {
        Value::Map(map) if !map.is_empty() => {
            for (number, (key, value)) in in_order(map, depth).into_iter().enumerate() {
                if number > 0 || !after_dash {
                    indent(out, depth);
                }
                let _ = write!(out, "{}:", written(key));
                write_value(out, value, depth);
            }
        }
        Value::List(items) if !items.is_empty() => {
            for item in items {
                indent(out, depth);
                out.push('-');
                match &item.value {
                    Value::Map(map) if !map.is_empty() => {
                        out.push(' ');
                        write_node(out, item, depth + 1, true);
                    }
                    _ => write_value(out, item, depth),
                }
            }
        }
        _ => write_value(out, node, depth),
    }
}

/// The pairs of a map in their order, at the top in that of Docker.
fn in_order(map: &BTreeMap<String, Node>, depth: usize) -> Vec<(&String, &Node)> {
    const TOP: [&str; 6] = ["version", "services", "networks", "volumes", "secrets", "configs"];
    let mut pairs: Vec<_> = map.iter().collect();
    if depth == 0 {
        pairs.sort_by_key(|(key, _)| TOP.iter().position(|top| top == key).unwrap_or(TOP.len()));
    }
    pairs
}

fn write_value(out: &mut String, node: &Node, depth: usize) {
    let scalar = match &node.value {
        Value::Map(map) if !map.is_empty() => None,
        Value::List(items) if !items.is_empty() => None,
        Value::Map(_) => Some("{}".to_owned()),
        Value::List(_) => Some("[]".to_owned()),
        Value::Null => Some("null".to_owned()),
        Value::Text(text) => Some(written(text)),
        Value::Date(text) => Some(text.clone()),
        // Without a point or an exponent a float would be read as an integer.
        Value::Number(number) => Some(format!("{number:?}")),
        _ => node.printed(),
    };
    match scalar {
        Some(scalar) => {
            let file: String = node.at.file.chars().flat_map(char::escape_debug).collect();
            let _ = writeln!(out, " {scalar} # {file}:{}", node.at.line);
        }
        None => {
            out.push('\n');
            write_node(out, node, depth + 1, false);
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// A text as YAML: plain where every reader of YAML takes it for the same text, else in quotes.
fn written(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "/_.-@".contains(c) || c == ':')
        && !text.ends_with(':')
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"].contains(&text.to_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            ' '..='~' => quoted.push(c),
            '\u{a1}'..='\u{1fff}' | '\u{3001}'..='\u{d7ff}' | '\u{10000}'..='\u{1ffff}' if c.is_alphanumeric() => quoted.push(c),
            c => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
        }
    }
    quoted + "\""
}
