//! Reader of an object's keys. Keys that remain unread are reported as skipped.

use std::{collections::BTreeMap, time::Duration};

use super::{
    error::{Position, Unresolved},
    resolved::Skipped,
    units,
    yaml::{Node, Value},
};

/// The unread keys of one object.
#[derive(Debug)]
pub(super) struct Fields {
    /// The place of the object, or of its parent when it is absent.
    pub(super) at: Position,
    path: String,
    map: BTreeMap<String, Node>,
}

impl Fields {
    /// The keys of an object; empty for other values.
    pub(super) fn of(node: Node, path: String) -> Self {
        let map = if let Value::Map(map) = node.value { map } else { BTreeMap::new() };
        Self { at: node.at, path, map }
    }

    pub(super) fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        self.map.remove(key)
    }

    /// The object under a key.
    pub(super) fn object(&mut self, key: &str) -> Fields {
        let path = self.path(key);
        match self.take(key) {
            Some(node) => Fields::of(node, path),
            None => Fields { at: self.at.clone(), path, map: BTreeMap::new() },
        }
    }

    /// The objects in the list under a key.
    pub(super) fn objects(&mut self, key: &str) -> Vec<Fields> {
        let path = self.path(key);
        let items = self.list(key).into_iter().enumerate();
        items.map(|(number, node)| Fields::of(node, format!("{path}[{number}]"))).collect()
    }

    pub(super) fn list(&mut self, key: &str) -> Vec<Node> {
        match self.take(key).map(|node| node.value) {
            Some(Value::List(items)) => items,
            _ => Vec::new(),
        }
    }

    /// The text under a key; an empty text counts as absent.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let text = self.take(key)?.printed()?;
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        self.list(key).iter().filter_map(Node::printed).collect()
    }

    pub(super) fn truth(&mut self, key: &str) -> bool {
        self.take(key).is_some_and(|node| node.value == Value::Truth(true))
    }

    /// The non-negative number under a key.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<u64>, Unresolved> {
        let path = self.path(key);
        let Some(node) = self.take(key) else { return Ok(None) };
        match node.value {
            Value::Whole(number) => {
                let wanted = "a number that is not negative";
                u64::try_from(number).map(Some).map_err(|_| Unresolved::WrongKind {
                    at: node.at,
                    path,
                    wanted: wanted.to_owned(),
                })
            }
            Value::Huge(number) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    /// The duration under a key. Docker takes a negative one, and the engine refuses it.
    pub(super) fn duration(&mut self, key: &str) -> Result<Option<Duration>, Unresolved> {
        let path = self.path(key);
        let Some(node) = self.take(key) else { return Ok(None) };
        match node.text().and_then(units::duration) {
            Some(duration) => Ok(Some(duration)),
            None => Err(Unresolved::WrongKind { at: node.at, path, wanted: "a duration that is not negative".to_owned() }),
        }
    }

    pub(super) fn pairs(&mut self, key: &str) -> BTreeMap<String, String> {
        let map = self.object(key).map;
        map.into_iter().map(|(key, node)| (key, node.printed().unwrap_or_default())).collect()
    }

    /// One of the words under a key; by default the first.
    pub(super) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)], wanted: &'static str) -> Result<T, Unresolved> {
        let path = self.path(key);
        let Some(node) = self.take(key) else { return Ok(words[0].1) };
        let text = node.text().unwrap_or_default();
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let default = text.is_empty().then_some(words[0].1);
        found.or(default).ok_or(Unresolved::WrongKind { at: node.at, path, wanted: wanted.to_owned() })
    }

    /// Reports the unread keys as skipped.
    pub(super) fn rest(self, skipped: &mut Vec<Skipped>) {
        let Self { path, map, .. } = self;
        let skip = |(key, node): (String, Node)| Skipped { path: format!("{path}.{key}"), value: json(&node).to_string() };
        skipped.extend(map.into_iter().map(skip));
    }

    /// The unread keys.
    pub(super) fn each(self) -> impl Iterator<Item = (String, Fields, Node)> {
        let Self { path, map, .. } = self;
        map.into_iter().map(move |(key, node)| {
            let fields = Fields::of(node.clone(), format!("{path}.{key}"));
            (key, fields, node)
        })
    }
}

/// A value as JSON.
fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Truth(truth) => (*truth).into(),
        Value::Whole(number) => (*number).into(),
        Value::Number(number) => (*number).into(),
        Value::Huge(number) => (*number).into(),
        Value::Text(text) | Value::Date(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(map) => map.iter().map(|(key, node)| (key.clone(), json(node))).collect(),
    }
}
