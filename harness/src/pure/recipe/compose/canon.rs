//! Canonical form of one file: short syntax is expanded, lists of pairs become maps, as docker/cli's loader decodes values
//! (`cli/compose/loader`) after its schema has checked them.

use std::collections::BTreeMap;

use super::{
    error::Unresolved,
    schema::wrong,
    shape::{ATTACHMENT, BUILD, DISCRETE, Keys, LOGGING, MOUNT, PORT, Shape, ULIMIT, USE},
    short, units,
    yaml::{Node, Value},
};

type Done = Result<Node, Unresolved>;

/// The canonical form of a value of this kind. The value is not null: Docker takes null for absence.
fn canon(node: Node, shape: Shape, path: &str) -> Done {
    match shape {
        Shape::Text => match node.value {
            Value::Text(_) => Ok(node),
            _ => Err(wrong(&node, path, "a text")),
        },
        Shape::Whole => number(&node, path, |number| match number {
            Value::Whole(number) => Some(Value::Whole(*number)),
            Value::Huge(number) => Some(Value::Whole(number.cast_signed())),
            Value::Number(number) => Some(Value::Whole(*number as i64)),
            _ => None,
        }),
        Shape::Unsigned | Shape::Count => number(&node, path, unsigned),
        Shape::PortNumber | Shape::FileMode => number(&node, path, |number| match unsigned(number)? {
            Value::Huge(number) => Some(Value::Whole((number & u64::from(u32::MAX)).cast_signed())),
            Value::Whole(number) => Some(Value::Whole(number & i64::from(u32::MAX))),
            _ => None,
        }),
        Shape::Number => number(&node, path, |number| {
            let wide = match number {
                Value::Whole(number) => *number as f64,
                Value::Huge(number) => *number as f64,
                Value::Number(number) => *number,
                _ => return None,
            };
            // The shortest digits of the narrow number, as Docker prints them.
            (wide as f32).to_string().parse().ok().map(Value::Number)
        }),
        Shape::Truth | Shape::TruthOrNone => match node.value {
            Value::Truth(_) => Ok(node),
            _ => Err(wrong(&node, path, "true or false")),
        },
        Shape::Duration | Shape::DurationOrNone => match node.text().and_then(units::nanoseconds) {
            Some(nanos) => Ok(node.with(Value::Text(units::go_duration(nanos)))),
            None => Err(wrong(&node, path, "a duration such as 90s or 1m30s, as text")),
        },
        Shape::Size => {
            let bytes = match &node.value {
                Value::Whole(bytes) => Some(*bytes),
                Value::Text(text) => units::bytes(text),
                _ => None,
            };
            match bytes {
                Some(bytes) => Ok(node.with(Value::Text(bytes.to_string()))),
                None => Err(wrong(&node, path, "a size such as 512M, as text")),
            }
        }
        Shape::Texts => list(node, path, "a list of texts", |item, path| canon(item, Shape::Text, path)),
        Shape::OneOrTexts => match node.value {
            Value::Text(_) => Ok(Node { at: node.at.clone(), value: Value::List(vec![node]) }),
            _ => list(node, path, "a text or a list of texts", |item, path| canon(item, Shape::Text, path)),
        },
        Shape::Scalars => list(node, path, "a list of texts or numbers", |item, _| {
            let text = sprint(&item);
            Ok(item.with(Value::Text(text)))
        }),
        Shape::Command => match node.text().map(short::split_words) {
            Some(Some(words)) => Ok(texts(&node, words)),
            Some(None) => Err(wrong(&node, path, "a command whose quotes are closed")),
            None => list(node, path, "a text or a list of texts", |item, path| canon(item, Shape::Text, path)),
        },
        Shape::Test => match node.text() {
            Some(text) => Ok(texts(&node, vec!["CMD-SHELL".to_owned(), text.to_owned()])),
            None => list(node, path, "a text or a list of texts", |item, path| canon(item, Shape::Text, path)),
        },
        Shape::Labels => pairs(node, path, false),
        Shape::Environment => pairs(node, path, true),
        Shape::Options => match node.value {
            Value::Map(_) => pairs(node, path, false),
            _ => Err(wrong(&node, path, "an object")),
        },
        Shape::Hosts => hosts(node, path),
        Shape::Ports => ports(node, path),
        Shape::Mounts => list(node, path, "a list of mounts", mount),
        Shape::Uses => list(node, path, "a list of names or objects", |item, path| match item.value {
            Value::Text(_) => Ok(Node { at: item.at.clone(), value: Value::Map([("source".to_owned(), item)].into()) }),
            _ => record(item, USE, path),
        }),
        Shape::Networks => networks(node, path),
        Shape::External => external(node, path),
        Shape::Ulimits => each(node, path, ulimit),
        Shape::Logging => record(node, LOGGING, path),
        Shape::Generic => {
            let empty = [("kind", Value::Text(String::new())), ("value", Value::Whole(0))];
            let mut resource: BTreeMap<String, Node> =
                empty.into_iter().map(|(key, value)| (key.to_owned(), node.with(value))).collect();
            let at = node.at.clone();
            if let Value::Map(given) = record(node, DISCRETE, path)?.value {
                resource.extend(given);
            }
            Ok(Node { at, value: Value::Map(resource) })
        }
        Shape::Build => match node.value {
            Value::Text(_) => Ok(node.with(Value::Map([("context".to_owned(), node.clone())].into()))),
            _ => record(node, BUILD, path),
        },
        Shape::Record(keys) | Shape::Optional(keys) => record(node, keys, path),
        Shape::Records(keys) => list(node, path, "a list of objects", |item, path| record(item, keys, path)),
        Shape::Unread => Ok(node),
    }
}

/// The canonical form of an object. Keys that Docker does not know are ignored, but for extensions; the schema has refused them
/// where they are not allowed. Docker knows keys in whatever case.
pub(super) fn record(node: Node, keys: Keys, path: &str) -> Done {
    let at = node.at.clone();
    let map = match node.value {
        Value::Map(map) => map,
        // A date is an object of Go without keys.
        Value::Null | Value::Date(_) => BTreeMap::new(),
        _ => return Err(wrong(&node, path, "an object")),
    };
    let mut record = BTreeMap::new();
    for (key, shape) in keys {
        let mut written = map.iter().filter(|(other, _)| other.to_lowercase() == *key).map(|(_, value)| value);
        let found = written.next();
        // Docker prefers the name of the field in Go, and takes any one without it.
        if let Some(second) = written.next() {
            return Err(Unresolved::Ambiguous { at: second.at.clone(), path: format!("{path}.{key}") });
        }
        if let Some(value) = found.filter(|value| value.value != Value::Null) {
            record.insert((*key).to_owned(), canon(value.clone(), *shape, &format!("{path}.{key}"))?);
        }
    }
    Ok(Node { at, value: Value::Map(record) })
}

fn number(node: &Node, path: &str, decoded: impl Fn(&Value) -> Option<Value>) -> Done {
    decoded(&node.value).map(|value| node.with(value)).ok_or_else(|| wrong(node, path, "a number, not negative unless it may be"))
}

fn unsigned(number: &Value) -> Option<Value> {
    let number = match number {
        Value::Whole(number) => u64::try_from(*number).ok()?,
        Value::Huge(number) => *number,
        Value::Number(number) if *number >= 0.0 => *number as u64,
        _ => return None,
    };
    Some(i64::try_from(number).map_or(Value::Huge(number), Value::Whole))
}

fn texts(node: &Node, words: Vec<String>) -> Node {
    node.with(Value::List(words.into_iter().map(|word| node.with(Value::Text(word))).collect()))
}

/// A value as Go's `fmt.Sprint` prints it.
fn sprint(node: &Node) -> String {
    match &node.value {
        Value::Null => "<nil>".to_owned(),
        Value::List(items) => format!("[{}]", items.iter().map(sprint).collect::<Vec<_>>().join(" ")),
        Value::Map(map) => {
            let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", sprint(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        _ => node.printed().unwrap_or_default(),
    }
}

/// The canonical form of a list. Docker makes zero values of nulls in it, which the schema allows nowhere.
fn list(node: Node, path: &str, wanted: &'static str, item: impl Fn(Node, &str) -> Done) -> Done {
    let at = node.at.clone();
    let Value::List(items) = node.value else { return Err(wrong(&node, path, wanted)) };
    let items = items.into_iter().enumerate().map(|(number, node)| item(node, &format!("{path}[{number}]")));
    Ok(Node { at, value: Value::List(items.collect::<Result<_, _>>()?) })
}

/// The canonical form of a map; nulls stay.
fn each(node: Node, path: &str, item: impl Fn(Node, &str) -> Done) -> Done {
    let at = node.at.clone();
    let Value::Map(map) = node.value else { return Err(wrong(&node, path, "an object")) };
    let items = map.into_iter().map(|(key, node)| {
        let path = format!("{path}.{key}");
        let item = if node.value == Value::Null { node } else { item(node, &path)? };
        Ok((key, item))
    });
    Ok(Node { at, value: Value::Map(items.collect::<Result<_, Unresolved>>()?) })
}

/// `key=value`, as map or as list. Without a value a key is unset or empty.
fn pairs(node: Node, path: &str, unset: bool) -> Done {
    let absent = || if unset { Value::Null } else { Value::Text(String::new()) };
    let mut pairs = BTreeMap::new();
    match &node.value {
        Value::Map(map) => {
            for (key, value) in map {
                let printed = if value.value == Value::Null { absent() } else { Value::Text(sprint(value)) };
                pairs.insert(key.clone(), value.with(printed));
            }
        }
        Value::List(items) => {
            for (number, item) in items.iter().enumerate() {
                let text = item.text().ok_or_else(|| wrong(item, &format!("{path}[{number}]"), "a text"))?;
                let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
                pairs.insert(key.to_owned(), item.with(value.map_or_else(absent, |value| Value::Text(value.to_owned()))));
            }
        }
        _ => return Err(wrong(&node, path, "a map or a list of texts")),
    }
    Ok(node.with(Value::Map(pairs)))
}

/// `name:address`. Docker forgets entries without an address, and prints numbers of a map by their type.
fn hosts(node: Node, path: &str) -> Done {
    let mut hosts: Vec<(Node, String)> = Vec::new();
    match &node.value {
        Value::Map(map) => {
            for (name, value) in map.iter().filter(|(_, value)| value.value != Value::Null) {
                let text = sprint(value);
                let text = match &value.value {
                    Value::Whole(_) => format!("%!s(int={text})"),
                    Value::Huge(_) => format!("%!s(uint64={text})"),
                    Value::Number(_) => format!("%!s(float64={text})"),
                    Value::Text(_) | Value::Date(_) => text,
                    _ => return Err(wrong(value, &format!("{path}.{name}"), "an address")),
                };
                hosts.push((value.clone(), format!("{name}:{text}")));
            }
            hosts.sort_by(|(_, one), (_, other)| one.cmp(other));
        }
        Value::List(items) => {
            for item in items {
                let text = sprint(item);
                let pair = text.split_once('=').or_else(|| text.split_once(':'));
                hosts.extend(pair.map(|(name, address)| (item.clone(), format!("{name}:{address}"))));
            }
        }
        _ => return Err(wrong(&node, path, "a map or a list of texts")),
    }
    let hosts = hosts.into_iter().map(|(node, pair)| {
        let (name, address) = pair.split_once(':').unwrap_or((&pair, ""));
        let bare = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).filter(|inner| !inner.is_empty());
        let text = format!("{name}:{}", bare.unwrap_or(address));
        node.with(Value::Text(text))
    });
    let hosts = hosts.collect();
    Ok(node.with(Value::List(hosts)))
}

fn ports(node: Node, path: &str) -> Done {
    let at = node.at.clone();
    let Value::List(items) = node.value else { return Err(wrong(&node, path, "a list of ports")) };
    let mut ports = Vec::new();
    for (number, item) in items.into_iter().enumerate() {
        let path = format!("{path}[{number}]");
        let text = match item.value {
            Value::Map(_) => {
                ports.push(record(item, PORT, &path)?);
                continue;
            }
            Value::Text(_) | Value::Whole(_) => item.printed().unwrap_or_default(),
            _ => return Err(wrong(&item, &path, short::PORT_FORM)),
        };
        for (target, published, protocol) in short::ports(&text).ok_or_else(|| wrong(&item, &path, short::PORT_FORM))? {
            let map = BTreeMap::from([
                ("mode".to_owned(), item.with(Value::Text("ingress".to_owned()))),
                ("target".to_owned(), item.with(Value::Whole(target.into()))),
                ("published".to_owned(), item.with(Value::Whole(published.into()))),
                ("protocol".to_owned(), item.with(Value::Text(protocol))),
            ]);
            ports.push(item.with(Value::Map(map)));
        }
    }
    Ok(Node { at, value: Value::List(ports) })
}

fn mount(item: Node, path: &str) -> Done {
    let Some(text) = item.text() else { return record(item, MOUNT, path) };
    let mount = short::mount(text).map_err(|wanted| wrong(&item, path, wanted))?;
    let text = |text: &str| item.with(Value::Text(text.to_owned()));
    let mut map = BTreeMap::from([
        ("type".to_owned(), text(if mount.bind { "bind" } else { "volume" })),
        ("source".to_owned(), text(&mount.source)),
        ("target".to_owned(), text(&mount.target)),
        ("read_only".to_owned(), item.with(Value::Truth(mount.read_only))),
    ]);
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
        return each(node, path, |item, path| record(item, ATTACHMENT, path));
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
        Value::Map(map) => match map.get("name").filter(|name| name.value != Value::Null) {
            Some(name) if name.text().is_none() => return Err(wrong(name, &format!("{path}.name"), "a text")),
            name => (true, name.cloned()),
        },
        _ => return Err(wrong(&node, path, "true, false or an object with a name")),
    };
    let mut map = BTreeMap::from([("external".to_owned(), node.with(Value::Truth(truth)))]);
    map.extend(name.map(|name| ("name".to_owned(), name)));
    Ok(node.with(Value::Map(map)))
}

/// A limit, or a softer and a harder one. Docker wants whole numbers that are written as such.
fn ulimit(item: Node, path: &str) -> Done {
    if let Value::Whole(_) = item.value {
        return Ok(item.with(Value::Map([("single".to_owned(), item.clone())].into())));
    }
    let Value::Map(map) = &item.value else { return Err(wrong(&item, path, "a whole number or an object")) };
    for (key, _) in ULIMIT {
        if !matches!(map.get(*key).map(|node| &node.value), Some(Value::Whole(_))) {
            return Err(wrong(&item, &format!("{path}.{key}"), "a whole number"));
        }
    }
    record(item, ULIMIT, path)
}
