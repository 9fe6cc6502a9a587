//! Merge of two files as in docker/cli (`cli/compose/loader/merge.go`), including its oddities.

use std::collections::BTreeMap;

use super::{
    shape::{ATTACHMENT, LOGGING, Shape},
    units,
    yaml::{Node, Value},
};

/// Merges a later file's service over the earlier files' service.
pub(super) fn merge(base: Node, over: Node, keys: &[(&'static str, Shape)]) -> Node {
    let at = base.at.clone();
    match (base.value, over.value) {
        (Value::Map(mut base), Value::Map(mut over)) => {
            let mut merged = BTreeMap::new();
            for (key, shape) in keys {
                let value = match (base.remove(*key), over.remove(*key)) {
                    (Some(base), Some(over)) => merge_value(base, over, *shape),
                    // A later file that has the service without these keys still makes docker/cli sort and deduplicate them.
                    (Some(base), None) => keyed(base, None, *shape),
                    (None, Some(over)) => over,
                    (None, None) => continue,
                };
                merged.insert((*key).to_owned(), value);
            }
            // The remaining keys are extensions, which Docker ignores.
            merged.extend(base);
            merged.extend(over);
            Node { at, value: Value::Map(merged) }
        }
        (base, Value::Null) => Node { at, value: base },
        (_, value) => Node { at: over.at, value },
    }
}

fn merge_value(base: Node, over: Node, shape: Shape) -> Node {
    let unless = |keep: bool, base: Node, over: Node| if keep { base } else { over };
    match shape {
        Shape::Text | Shape::TextOrNull | Shape::Size | Shape::Scalar => {
            unless(over.text().is_none_or(str::is_empty), base, over)
        }
        Shape::Duration => {
            let zero = over.text().and_then(units::duration).is_none_or(|duration| duration.is_zero());
            unless(zero, base, over)
        }
        Shape::Whole | Shape::Number => {
            let zero = matches!(over.value, Value::Whole(0)) || matches!(over.value, Value::Number(number) if number == 0.0);
            unless(zero, base, over)
        }
        Shape::Truth => unless(matches!(over.value, Value::Truth(false)), base, over),
        Shape::Count | Shape::External | Shape::Any => over,
        Shape::Texts | Shape::OneOrTexts | Shape::Scalars | Shape::Hosts | Shape::Test | Shape::Records(_) => {
            appended(base, over)
        }
        Shape::Command => unless(matches!(&over.value, Value::List(words) if words.is_empty()), base, over),
        Shape::Labels | Shape::Options | Shape::Ulimits => put_over(base, over, |_| false),
        Shape::Environment => put_over(base, over, |value| value.text().is_none_or(str::is_empty)),
        Shape::Ports | Shape::Mounts | Shape::Uses => keyed(base, Some(over), shape),
        Shape::Networks => networks(base, over),
        Shape::Logging => logging(base, over),
        Shape::Record(keys) | Shape::RecordOrNull(keys) => merge(base, over, keys),
    }
}

fn appended(base: Node, over: Node) -> Node {
    match (base.value, over.value) {
        (Value::List(mut items), Value::List(more)) => {
            items.extend(more);
            Node { at: base.at, value: Value::List(items) }
        }
        (Value::Map(mut map), Value::Map(more)) => {
            map.extend(more);
            Node { at: base.at, value: Value::Map(map) }
        }
        (value, _) => Node { at: base.at, value },
    }
}

/// Merges the keys of `over` into `base`, except empty values of known keys.
fn put_over(base: Node, over: Node, empty: impl Fn(&Node) -> bool) -> Node {
    let (Value::Map(mut map), Value::Map(more)) = (base.value, over.value) else {
        return Node { at: base.at, value: Value::Null };
    };
    for (key, value) in more {
        if !(map.contains_key(&key) && empty(&value)) {
            map.insert(key, value);
        }
    }
    Node { at: base.at, value: Value::Map(map) }
}

/// Merges ports by published number, mounts by target, secrets and configs by source. The last entry with a key wins.
fn keyed(base: Node, over: Option<Node>, shape: Shape) -> Node {
    let key = match shape {
        Shape::Ports => "published",
        Shape::Mounts => "target",
        Shape::Uses => "source",
        _ => return base,
    };
    let items = [Some(base.value), over.map(|over| over.value)].into_iter().flatten();
    let items = items.flat_map(|value| if let Value::List(items) = value { items } else { Vec::new() });
    let key_of = |item: &Node| {
        let value = item.map().and_then(|map| map.get(key)).map(|node| node.value.clone());
        match value {
            Some(Value::Text(text)) => (0, text),
            Some(Value::Whole(number)) => (number, String::new()),
            _ => (0, String::new()),
        }
    };
    let unique: BTreeMap<(i64, String), Node> = items.map(|item| (key_of(&item), item)).collect();
    Node { at: base.at, value: Value::List(unique.into_values().collect()) }
}

/// Replaces aliases even by an empty list, and addresses only by other addresses.
fn networks(base: Node, over: Node) -> Node {
    let (Value::Map(mut map), Value::Map(more)) = (base.value, over.value) else {
        return Node { at: base.at, value: Value::Null };
    };
    for (name, over) in more {
        let merged = match map.remove(&name) {
            Some(base) if over.value == Value::Null => base,
            Some(base) if base.value != Value::Null => {
                let aliases = over.map().and_then(|map| map.get("aliases")).cloned();
                let mut merged = merge(base, over, ATTACHMENT);
                if let Value::Map(map) = &mut merged.value {
                    map.remove("aliases");
                    map.extend(aliases.map(|aliases| ("aliases".to_owned(), aliases)));
                }
                merged
            }
            _ => over,
        };
        map.insert(name, merged);
    }
    Node { at: base.at, value: Value::Map(map) }
}

fn logging(base: Node, over: Node) -> Node {
    let driver = |node: &Node| node.map().and_then(|map| map.get("driver")?.text().map(str::to_owned)).unwrap_or_default();
    let (one, other) = (driver(&base), driver(&over));
    match one == other || one.is_empty() || other.is_empty() {
        true => merge(base, over, LOGGING),
        false => over,
    }
}
