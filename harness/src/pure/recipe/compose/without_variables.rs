//! A compose file as abra's loader has it before it merges several: variables filled in, and nothing left that depends on where
//! the file lies or on the environment of a process.
//!
//! The stand-in for abra hands such texts to Docker's own program, which reads, checks and merges them.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    env::env_file,
    error::Unresolved,
    load::filled_map,
    schema::wrong,
    short::is_windows_absolute,
    tree::join,
    yaml::{self, Node, Value},
};

/// A compose file with what its values depend on.
#[derive(Clone, Copy)]
pub struct WithVariables<'a> {
    /// The file, for messages.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
    /// The app's variables.
    pub variables: &'a BTreeMap<String, String>,
    /// The absolute path of the folder of the app's first compose file, to which all paths are relative.
    pub folder: &'a str,
    /// Reads a file of variables by its absolute path.
    pub read: &'a dyn Fn(&str) -> Option<String>,
}

/// The text of a file with its variables, as YAML on one line that every reader takes alike.
pub fn plain(file: &str, text: &str) -> Result<String, Unresolved> {
    let mut out = String::new();
    write_node(&mut out, &yaml::read(file, text)?.value, Dollars::Kept);
    Ok(out)
}

/// The text of the file without variables, as YAML on one line.
pub fn without_variables(from: &WithVariables<'_>) -> Result<String, Unresolved> {
    let root = yaml::read(from.file, from.text)?;
    let Value::Map(map) = root.value else { return Err(wrong(&root, from.file, "an object at its top")) };
    let mut map = filled_map(map, from.variables)?;
    for section in ["secrets", "configs"] {
        for object in objects(&mut map, section) {
            relocate(object.get_mut("file"), from.folder);
        }
    }
    for service in objects(&mut map, "services") {
        relocate_mounts(service, from.folder);
        let files = relocate_env_files(service, from.folder);
        complete_environment(service, &files, from);
    }
    let mut text = String::new();
    write_node(&mut text, &Value::Map(map), Dollars::Doubled);
    Ok(text)
}

/// The objects of a section.
fn objects<'a>(
    root: &'a mut BTreeMap<String, Node>,
    section: &str,
) -> impl Iterator<Item = &'a mut BTreeMap<String, Node>> + use<'a> {
    let section = root.get_mut(section).and_then(|node| if let Value::Map(map) = &mut node.value { Some(map) } else { None });
    section.into_iter().flat_map(BTreeMap::values_mut).filter_map(|node| match &mut node.value {
        Value::Map(map) => Some(map),
        _ => None,
    })
}

/// Makes a relative path absolute.
fn relocate(node: Option<&mut Node>, folder: &str) {
    if let Some(Value::Text(path)) = node.map(|node| &mut node.value)
        && !path.starts_with('/')
        && !is_windows_absolute(path)
    {
        *path = join(folder, path);
    }
}

/// Makes the relative sources of binds absolute. A short one begins with a dot or a tilde; without a `HOME` among an app's
/// variables a tilde is the name of a folder.
fn relocate_mounts(service: &mut BTreeMap<String, Node>, folder: &str) {
    let Some(Value::List(mounts)) = service.get_mut("volumes").map(|node| &mut node.value) else { return };
    for mount in mounts {
        match &mut mount.value {
            Value::Text(short) if short.starts_with(['.', '~']) => {
                if let Some((source, rest)) = short.split_once(':') {
                    *short = format!("{}:{rest}", join(folder, source));
                }
            }
            Value::Map(long) if long.get("type").and_then(Node::text) == Some("bind") => relocate(long.get_mut("source"), folder),
            _ => {}
        }
    }
}

/// Makes the paths of a service's files of variables absolute, and returns them.
fn relocate_env_files(service: &mut BTreeMap<String, Node>, folder: &str) -> Vec<String> {
    let Some(node) = service.get_mut("env_file") else { return Vec::new() };
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| relocate(Some(item), folder)),
        _ => relocate(Some(&mut *node), folder),
    }
    let listed = match &node.value {
        Value::List(items) => items.iter().filter_map(Node::text).collect(),
        _ => Vec::from_iter(node.text()),
    };
    listed.into_iter().map(str::to_owned).collect()
}

/// Gives the variables of a service that have no value the value of the app's variable of that name, if there is one.
fn complete_environment(service: &mut BTreeMap<String, Node>, files: &[String], from: &WithVariables<'_>) {
    let texts = files.iter().filter_map(|file| (from.read)(file));
    let mut of_files: BTreeMap<String, String> = BTreeMap::new();
    for text in texts {
        let variables = env_file(&text).unwrap_or_default();
        of_files.extend(variables.iter().filter_map(|variable| Some((variable.key.to_owned(), variable.value?.to_owned()))));
    }
    let mut empty: Vec<&str> = of_files.iter().filter(|(_, value)| value.is_empty()).map(|(key, _)| key.as_str()).collect();
    empty.retain(|key| from.variables.contains_key(*key));
    if let (None, Some(node), false) = (service.get("environment"), service.get("env_file"), empty.is_empty()) {
        let added = node.with(Value::Map(BTreeMap::new()));
        service.insert("environment".to_owned(), added);
    }
    let Some(node) = service.get_mut("environment") else { return };
    let at = node.at.clone();
    let text = |text: String| Node { at: at.clone(), value: Value::Text(text) };
    match &mut node.value {
        Value::Map(map) => {
            for (key, value) in map.iter_mut() {
                let unset = matches!(&value.value, Value::Null) || value.text() == Some("");
                if let Some(own) = from.variables.get(key).filter(|_| unset) {
                    *value = text(own.clone());
                }
            }
            for key in empty {
                map.entry(key.to_owned()).or_insert_with(|| text(from.variables[key].clone()));
            }
        }
        Value::List(list) => {
            let named = |item: &Node| item.text().map(|item| item.split('=').next().unwrap_or_default().to_owned());
            empty.retain(|key| !list.iter().any(|item| named(item).as_deref() == Some(*key)));
            for item in list.iter_mut() {
                let key = item.text().map(|item| item.strip_suffix('=').unwrap_or(item));
                if let Some((key, own)) = key.and_then(|key| Some((key.to_owned(), from.variables.get(key)?))) {
                    *item = text(format!("{key}={own}"));
                }
            }
            list.extend(empty.into_iter().map(|key| text(format!("{key}={}", from.variables[key]))));
        }
        _ => {}
    }
}

/// What becomes of the dollars of texts.
#[derive(Debug, Clone, Copy)]
enum Dollars {
    /// They may begin a variable.
    Kept,
    /// They are doubled, so that Docker finds no variable.
    Doubled,
}

/// Writes a value in YAML's flow style. Texts are in quotes.
fn write_node(out: &mut String, value: &Value, dollars: Dollars) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Truth(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) if number.is_nan() => out.push_str(".nan"),
        Value::Number(number) if number.is_infinite() => out.push_str(if *number > 0.0 { ".inf" } else { "-.inf" }),
        // With a point or an exponent, so that it stays a float.
        Value::Number(number) => drop(write!(out, "{number:?}")),
        Value::Whole(number) => drop(write!(out, "{number}")),
        Value::Huge(number) => drop(write!(out, "{number}")),
        Value::Date(date) => out.push_str(date),
        Value::Text(text) => match dollars {
            Dollars::Kept => write_text(out, text),
            Dollars::Doubled => write_text(out, &text.replace('$', "$$")),
        },
        Value::List(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                out.push_str(if number == 0 { "" } else { ", " });
                write_node(out, &item.value, dollars);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (number, (key, item)) in map.iter().enumerate() {
                out.push_str(if number == 0 { "" } else { ", " });
                write_text(out, key);
                out.push_str(": ");
                write_node(out, &item.value, dollars);
            }
            out.push('}');
        }
    }
}

/// Writes a text in double quotes. Whatever is not a plain character is escaped.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => drop(write!(out, "\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let variables = [("A", "1"), ("E", ""), ("D", "a$b"), ("PORT", "8080"), ("HOME", "/root"), ("FROM_FILE", "app's")];
        let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let read = |file: &str| (file == "/recipe/sub/app.env").then(|| "FROM_FILE=\nOWN=2\nGONE=\nA=\nHOST\n".to_owned());
        let from = WithVariables { file: "compose.yml", text, variables: &variables, folder: "/recipe/sub", read: &read };
        without_variables(&from).map_err(|error| error.to_string())
    }

    #[test]
    fn variables_are_filled_in_and_dollars_doubled() {
        for (text, expected) in [
            ("x-a: $A${E:-d}$$x", r#"{"x-a": "1d$$x"}"#),
            ("x-a: $D", r#"{"x-a": "a$$b"}"#),
            (
                "x-a: [1, 0x1f, 2.0, 1e30, .inf, true, ~, '1', 2001-01-01]",
                r#"{"x-a": [1, 31, 2.0, 1e30, .inf, true, null, "1", 2001-01-01T00:00:00Z]}"#,
            ),
            ("x-$A: \"q\\\"\\\\\\n\\u2028é🙂\"", r#"{"x-$A": "q\"\\\U0000000a\U00002028é\U0001f642"}"#),
            ("services: {a: {ports: [{published: $PORT}]}}", r#"{"services": {"a": {"ports": [{"published": 8080}]}}}"#),
            ("services: {a: {image: $PORT}}", r#"{"services": {"a": {"image": "8080"}}}"#),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
        assert!(filled("x-a: ${A").unwrap_err().contains("invalid variable"));
        assert!(filled("services: {a: {ports: [{published: $D}]}}").unwrap_err().contains("a whole number"));
    }

    #[test]
    fn relative_paths_become_absolute() {
        for (text, expected) in [
            (
                "secrets: {a: {file: ./x}, b: {file: /x}, c: {external: true}}",
                r#"{"secrets": {"a": {"file": "/recipe/sub/x"}, "b": {"file": "/x"}, "c": {"external": true}}}"#,
            ),
            ("configs: {a: {file: ../x}}", r#"{"configs": {"a": {"file": "/recipe/x"}}}"#),
            (
                "services: {a: {volumes: ['./d:/x:ro', data:/y, /h:/z, ~/d:/w, /v]}}",
                r#"{"services": {"a": {"volumes": ["/recipe/sub/d:/x:ro", "data:/y", "/h:/z", "/recipe/sub/~/d:/w", "/v"]}}}"#,
            ),
            (
                "services: {a: {volumes: [{type: bind, source: d, target: /x}, {type: volume, source: d, target: /y}]}}",
                r#"{"services": {"a": {"volumes": [{"source": "/recipe/sub/d", "target": "/x", "type": "bind"}, {"source": "d", "target": "/y", "type": "volume"}]}}}"#,
            ),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn variables_without_a_value_take_the_apps() {
        for (text, expected) in [
            (
                "services: {a: {environment: [A, E, U, HOME, PORT=9, 'D=']}}",
                r#"{"services": {"a": {"environment": ["A=1", "E=", "U", "HOME=/root", "PORT=9", "D=a$$b"]}}}"#,
            ),
            (
                "services: {a: {environment: {A: , U: , PORT: '', D: 0}}}",
                r#"{"services": {"a": {"environment": {"A": "1", "D": 0, "PORT": "8080", "U": null}}}}"#,
            ),
            (
                "services: {a: {env_file: app.env}}",
                r#"{"services": {"a": {"env_file": "/recipe/sub/app.env", "environment": {"A": "1", "FROM_FILE": "app's"}}}}"#,
            ),
            (
                "services: {a: {env_file: [./app.env], environment: [A=2]}}",
                r#"{"services": {"a": {"env_file": ["/recipe/sub/app.env"], "environment": ["A=2", "FROM_FILE=app's"]}}}"#,
            ),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
    }
}
