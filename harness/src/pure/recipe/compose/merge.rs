//! Merge of two files as in docker/cli (`cli/compose/loader/merge.go`) with its library (`mergo` 1.0.1), including the oddities.

use std::collections::BTreeMap;

use super::{
    error::Unresolved,
    shape::{BUILD, Keys, Shape},
    yaml::{Node, Value},
};

/// Merges a later file's object over the earlier files' object.
pub(super) fn merge(base: Node, over: Node, keys: Keys) -> Node {
    let at = base.at.clone();
    let (Value::Map(mut base), Value::Map(mut over)) = (base.value, over.value) else {
        return Node { at, value: Value::Null };
    };
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
    Node { at, value: Value::Map(merged) }
}

/// Whether Docker takes a value for unset in a merge.
fn is_zero(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Truth(false) | Value::Whole(0) => true,
        Value::Text(text) => text.is_empty(),
        Value::Number(number) => *number == 0.0,
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Truth(true) | Value::Whole(_) | Value::Huge(_) | Value::Date(_) => false,
    }
}

fn unless(zero: bool, base: Node, over: Node) -> Node {
    if zero { base } else { over }
}

fn merge_value(base: Node, over: Node, shape: Shape) -> Node {
    match shape {
        Shape::Text
        | Shape::Whole
        | Shape::Unsigned
        | Shape::PortNumber
        | Shape::Number
        | Shape::Truth
        | Shape::TruthOrNone
        | Shape::Command => unless(is_zero(&over), base, over),
        Shape::Duration | Shape::DurationOrNone => unless(over.text() == Some("0s"), base, over),
        Shape::Size => unless(over.text() == Some("0"), base, over),
        Shape::Count | Shape::FileMode | Shape::External | Shape::Unread | Shape::Generic => over,
        Shape::Texts | Shape::OneOrTexts | Shape::Scalars | Shape::Hosts | Shape::Test | Shape::Records(_) => {
            appended(base, over)
        }
        Shape::Labels | Shape::Options => put_over(base, over, |_, _| true),
        Shape::Ulimits => put_over(base, over, |_, over| over.value != Value::Null),
        Shape::Environment => put_over(base, over, |base, over| is_zero(base) || !is_zero(over)),
        Shape::Ports | Shape::Mounts | Shape::Uses => keyed(base, Some(over), shape),
        Shape::Networks => networks(base, over),
        Shape::Logging => logging(base, over),
        Shape::Build => merge(base, over, BUILD),
        Shape::Record(keys) | Shape::Optional(keys) => merge(base, over, keys),
    }
}

fn appended(base: Node, over: Node) -> Node {
    match (base.value, over.value) {
        (Value::List(mut items), Value::List(more)) => {
            items.extend(more);
            Node { at: base.at, value: Value::List(items) }
        }
        (value, _) => Node { at: base.at, value },
    }
}

/// Puts the keys of `over` over those of `base`, those of both only where `wins` says so.
fn put_over(base: Node, over: Node, wins: impl Fn(&Node, &Node) -> bool) -> Node {
    let (Value::Map(mut map), Value::Map(more)) = (base.value, over.value) else {
        return Node { at: base.at, value: Value::Null };
    };
    for (key, value) in more {
        if map.get(&key).is_none_or(|base| wins(base, &value)) {
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
    let key_of = |item: &Node| match item.map().and_then(|map| map.get(key)).map(|node| &node.value) {
        Some(Value::Text(text)) => (0, text.clone()),
        Some(Value::Whole(number)) => (*number, String::new()),
        _ => (0, String::new()),
    };
    let unique: BTreeMap<(i64, String), Node> = items.map(|item| (key_of(&item), item)).collect();
    Node { at: base.at, value: Value::List(unique.into_values().collect()) }
}

/// Replaces aliases even by none, addresses only by other addresses, and options never.
fn networks(base: Node, over: Node) -> Node {
    let (Value::Map(mut map), Value::Map(more)) = (base.value, over.value) else {
        return Node { at: base.at, value: Value::Null };
    };
    for (name, over) in more {
        let merged = match (map.remove(&name), over.value) {
            (Some(base), Value::Null) => base,
            (Some(Node { at, value: Value::Map(mut base) }), Value::Map(mut over)) => {
                base.remove("aliases");
                base.extend(over.remove_entry("aliases"));
                for address in ["ipv4_address", "ipv6_address"] {
                    base.extend(over.remove_entry(address).filter(|(_, value)| !is_zero(value)));
                }
                Node { at, value: Value::Map(base) }
            }
            (_, value) => Node { at: over.at, value },
        };
        map.insert(name, merged);
    }
    Node { at: base.at, value: Value::Map(map) }
}

/// Merges drivers and options unless the drivers differ. Docker drops the options of the later file when the earlier one has
/// none.
fn logging(base: Node, over: Node) -> Node {
    let driver = |node: &Node| node.map().and_then(|map| map.get("driver")?.text().map(str::to_owned)).unwrap_or_default();
    let (one, other) = (driver(&base), driver(&over));
    if one != other && !one.is_empty() && !other.is_empty() {
        return over;
    }
    let (Value::Map(mut map), Value::Map(mut more)) = (base.value, over.value) else {
        return Node { at: base.at, value: Value::Null };
    };
    if one.is_empty() {
        map.extend(more.remove_entry("driver"));
    }
    if let Some((key, options)) = map.remove_entry("options") {
        let options = match more.remove("options") {
            Some(more) => put_over(options, more, |_, _| true),
            None => options,
        };
        map.insert(key, options);
    }
    Node { at: base.at, value: Value::Map(map) }
}

/// Merges the extensions of a service: objects by key, lists appended, all else replaced.
pub(super) fn merge_extensions(base: &mut BTreeMap<String, Node>, over: BTreeMap<String, Node>) -> Result<(), Unresolved> {
    for (key, over) in over {
        let merged = match (base.remove(&key), over.value) {
            (Some(Node { at, value: Value::Map(mut map) }), Value::Map(more)) => {
                merge_extensions(&mut map, more)?;
                Node { at, value: Value::Map(map) }
            }
            (Some(Node { at, value: Value::List(mut items) }), Value::List(more)) => {
                items.extend(more);
                Node { at, value: Value::List(items) }
            }
            (Some(base), Value::List(_)) if base.value != Value::Null => {
                let wanted = "of one type in all files, since a list is appended".to_owned();
                return Err(Unresolved::WrongKind { at: over.at, path: key, wanted });
            }
            (_, value) => Node { at: over.at, value },
        };
        base.insert(key, merged);
    }
    Ok(())
}
