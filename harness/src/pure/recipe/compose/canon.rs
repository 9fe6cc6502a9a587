//! Canonical form of one file: values are checked against the format, short syntax is expanded, lists of pairs become maps.

use std::collections::BTreeMap;

use super::{
    error::Unresolved,
    shape::{ATTACHMENT, LOGGING, MOUNT, PORT, Shape, ULIMIT, USE},
    short, units,
    yaml::{Node, Value},
};

type Done = Result<Node, Unresolved>;

pub(super) fn wrong(node: &Node, path: &str, wanted: &'static str) -> Unresolved {
    Unresolved::WrongKind { at: node.at.clone(), path: path.to_owned(), wanted }
}

/// The canonical form of a value of this kind.
pub(super) fn canon(node: Node, shape: Shape, path: &str) -> Done {
    let fits = |fits: bool, node: Node, wanted| if fits { Ok(node) } else { Err(wrong(&node, path, wanted)) };
    match shape {
        Shape::Text => fits(matches!(node.value, Value::Text(_)), node, "a text"),
        Shape::TextOrNull => fits(matches!(node.value, Value::Text(_) | Value::Null), node, "a text or nothing"),
        Shape::Whole | Shape::Count => match node.value {
            Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                let text = format!("{number:.0}");
                Ok(node.with(text.parse().map_or(Value::Null, Value::Whole)))
            }
            _ => fits(matches!(node.value, Value::Whole(_)), node, "a whole number"),
        },
        Shape::Number => fits(matches!(node.value, Value::Whole(_) | Value::Number(_)), node, "a number"),
        Shape::Truth => fits(matches!(node.value, Value::Truth(_)), node, "true or false"),
        Shape::Duration => fits(
            node.text().is_some_and(|text| units::duration(text).is_some()),
            node,
            "a duration such as 90s or 1m30s, as text",
        ),
        Shape::Size => fits(node.text().is_some_and(|text| units::bytes(text).is_some()), node, "a size such as 512M, as text"),
        Shape::Scalar => scalar(node, path),
        Shape::Texts => list(node, path, "a list of texts", |item, path| canon(item, Shape::Text, path)),
        Shape::OneOrTexts => match node.value {
            Value::Text(_) => Ok(Node { at: node.at.clone(), value: Value::List(vec![node]) }),
            _ => list(node, path, "a text or a list of texts", |item, path| canon(item, Shape::Text, path)),
        },
        Shape::Scalars => list(node, path, "a list of texts or numbers", scalar),
        Shape::Command => match node.text().map(shell_words::split) {
            Some(Ok(words)) => Ok(texts(&node, words)),
            Some(Err(_)) => Err(wrong(&node, path, "a command whose quotes are closed")),
            None => list(node, path, "a text or a list of texts", |item, path| canon(item, Shape::Text, path)),
        },
        Shape::Test => match node.text() {
            Some(text) => Ok(texts(&node, vec!["CMD-SHELL".to_owned(), text.to_owned()])),
            None => list(node, path, "a text or a list of texts", |item, path| canon(item, Shape::Text, path)),
        },
        Shape::Labels => pairs(node, path, false),
        Shape::Environment => pairs(node, path, true),
        Shape::Options => pairs(node, path, false),
        Shape::Hosts => match node.value {
            Value::Map(_) => pairs(node, path, false),
            _ => list(node, path, "a map or a list of texts", |item, path| canon(item, Shape::Text, path)),
        },
        Shape::Ports => ports(node, path),
        Shape::Mounts => list(node, path, "a list of mounts", mount),
        Shape::Uses => list(node, path, "a list of names or objects", |item, path| match item.value {
            Value::Text(_) => Ok(Node { at: item.at.clone(), value: Value::Map([("source".to_owned(), item)].into()) }),
            _ => record(item, USE, path, true),
        }),
        Shape::Networks => networks(node, path),
        Shape::External => external(node, path),
        Shape::Ulimits => each(node, path, |item, path| match item.value {
            Value::Whole(_) => Ok(item),
            _ => record(item, ULIMIT, path, false),
        }),
        Shape::Logging => record(node, LOGGING, path, false),
        Shape::Record(keys) => record(node, keys, path, false),
        Shape::RecordOrNull(keys) => match node.value {
            Value::Null => Ok(node),
            _ => record(node, keys, path, false),
        },
        Shape::Records(keys) => list(node, path, "a list of objects", |item, path| record(item, keys, path, false)),
        Shape::Any => Ok(node),
    }
}

fn texts(node: &Node, words: Vec<String>) -> Node {
    node.with(Value::List(words.into_iter().map(|word| node.with(Value::Text(word))).collect()))
}

fn scalar(node: Node, path: &str) -> Done {
    match node.value {
        Value::Text(_) | Value::Whole(_) | Value::Number(_) => {
            let text = node.printed().unwrap_or_default();
            Ok(node.with(Value::Text(text)))
        }
        _ => Err(wrong(&node, path, "a text or a number")),
    }
}

fn list(node: Node, path: &str, wanted: &'static str, item: impl Fn(Node, &str) -> Done) -> Done {
    let at = node.at.clone();
    let Value::List(items) = node.value else { return Err(wrong(&node, path, wanted)) };
    let items = items.into_iter().enumerate().map(|(number, node)| item(node, &format!("{path}[{number}]")));
    Ok(Node { at, value: Value::List(items.collect::<Result<_, _>>()?) })
}

fn each(node: Node, path: &str, item: impl Fn(Node, &str) -> Done) -> Done {
    let at = node.at.clone();
    let Value::Map(map) = node.value else { return Err(wrong(&node, path, "an object")) };
    let items = map.into_iter().map(|(key, node)| {
        let path = format!("{path}.{key}");
        Ok((key, item(node, &path)?))
    });
    Ok(Node { at, value: Value::Map(items.collect::<Result<_, Unresolved>>()?) })
}

/// An object with known keys. Keys that begin with `x-` are allowed in services and in objects of sections, others only
/// where the format ignores them.
fn record(node: Node, keys: &[(&str, Shape)], path: &str, open: bool) -> Done {
    let at = node.at.clone();
    let Value::Map(map) = node.value else { return Err(wrong(&node, path, "an object")) };
    let extendable = path.split('.').count() == 2;
    let items = map.into_iter().map(|(key, node)| {
        let path = format!("{path}.{key}");
        let known = keys.iter().find(|(name, _)| *name == key).map(|(_, shape)| *shape);
        let shape = match known {
            Some(shape) => shape,
            None if open || extendable && key.starts_with("x-") => Shape::Any,
            None => return Err(Unresolved::UnknownKey { at: node.at, path }),
        };
        Ok((key, canon(node, shape, &path)?))
    });
    Ok(Node { at, value: Value::Map(items.collect::<Result<_, Unresolved>>()?) })
}

/// `key=value`, as map or as list. Without a value a key is unset or empty.
fn pairs(node: Node, path: &str, unset: bool) -> Done {
    let absent = || if unset { Value::Null } else { Value::Text(String::new()) };
    match &node.value {
        Value::Map(_) => each(node, path, |item, path| match item.value {
            Value::Null => Ok(Node { at: item.at, value: absent() }),
            Value::Truth(_) | Value::List(_) | Value::Map(_) => Err(wrong(&item, path, "a text, a number or nothing")),
            Value::Text(_) | Value::Whole(_) | Value::Number(_) => scalar(item, path),
        }),
        Value::List(items) => {
            let mut map = BTreeMap::new();
            for (number, item) in items.iter().enumerate() {
                let text = item.text().ok_or_else(|| wrong(item, &format!("{path}[{number}]"), "a text"))?;
                let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
                map.insert(key.to_owned(), item.with(value.map_or_else(absent, |value| Value::Text(value.to_owned()))));
            }
            Ok(node.with(Value::Map(map)))
        }
        _ => Err(wrong(&node, path, "a map or a list of texts")),
    }
}

fn ports(node: Node, path: &str) -> Done {
    const WANTED: &str = "a port such as 8080:80, 8080:80/udp or 8000-8001:80-81";
    let at = node.at.clone();
    let Value::List(items) = node.value else { return Err(wrong(&node, path, "a list of ports")) };
    let mut ports = Vec::new();
    for (number, item) in items.into_iter().enumerate() {
        let path = format!("{path}[{number}]");
        if matches!(item.value, Value::Map(_)) {
            ports.push(record(item, PORT, &path, false)?);
            continue;
        }
        let text = match item.value {
            Value::Text(_) | Value::Whole(_) => item.printed().unwrap_or_default(),
            _ => return Err(wrong(&item, &path, WANTED)),
        };
        for (target, published, protocol) in short::ports(&text).ok_or_else(|| wrong(&item, &path, WANTED))? {
            let mut map = BTreeMap::from([
                ("mode".to_owned(), item.with(Value::Text("ingress".to_owned()))),
                ("target".to_owned(), item.with(Value::Whole(target.into()))),
                ("protocol".to_owned(), item.with(Value::Text(protocol))),
            ]);
            map.extend(published.map(|published| ("published".to_owned(), item.with(Value::Whole(published.into())))));
            ports.push(item.with(Value::Map(map)));
        }
    }
    Ok(Node { at, value: Value::List(ports) })
}

fn mount(item: Node, path: &str) -> Done {
    let Some(text) = item.text() else {
        let item = record(item, MOUNT, path, false)?;
        let typed = item.map().is_some_and(|map| map.contains_key("type"));
        return if typed { Ok(item) } else { Err(wrong(&item, path, "a mount with a type")) };
    };
    let mount = short::mount(text).map_err(|wanted| wrong(&item, path, wanted))?;
    let text = |text: &str| item.with(Value::Text(text.to_owned()));
    let mut map = BTreeMap::from([
        ("type".to_owned(), text(if mount.bind { "bind" } else { "volume" })),
        ("target".to_owned(), text(&mount.target)),
        ("read_only".to_owned(), item.with(Value::Truth(mount.read_only))),
    ]);
    if !mount.source.is_empty() {
        map.insert("source".to_owned(), text(&mount.source));
    }
    if let Some(propagation) = &mount.propagation {
        map.insert("bind".to_owned(), item.with(Value::Map([("propagation".to_owned(), text(propagation))].into())));
    }
    if mount.nocopy {
        map.insert("volume".to_owned(), item.with(Value::Map([("nocopy".to_owned(), item.with(Value::Truth(true)))].into())));
    }
    Ok(item.with(Value::Map(map)))
}

fn networks(node: Node, path: &str) -> Done {
    let Value::List(items) = &node.value else {
        return each(node, path, |item, path| canon(item, Shape::RecordOrNull(ATTACHMENT), path));
    };
    let mut map = BTreeMap::new();
    for (number, item) in items.iter().enumerate() {
        let name = item.text().ok_or_else(|| wrong(item, &format!("{path}[{number}]"), "the name of a network"))?;
        map.insert(name.to_owned(), item.with(Value::Null));
    }
    Ok(node.with(Value::Map(map)))
}

/// `external` as an object: whether it is set, and the name of the old form.
fn external(node: Node, path: &str) -> Done {
    let (truth, name) = match &node.value {
        Value::Truth(truth) => (*truth, None),
        Value::Map(map) => {
            let name = map.get("name").filter(|name| name.value != Value::Null);
            match name {
                Some(name) if name.text().is_none() => return Err(wrong(name, &format!("{path}.name"), "a text")),
                name => (true, name.cloned()),
            }
        }
        _ => return Err(wrong(&node, path, "true, false or an object with a name")),
    };
    let mut map = BTreeMap::from([("external".to_owned(), node.with(Value::Truth(truth)))]);
    map.extend(name.map(|name| ("name".to_owned(), name)));
    Ok(node.with(Value::Map(map)))
}
