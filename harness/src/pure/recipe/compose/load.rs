//! Loader: reads, interpolates, checks and merges the compose files of an app.

use std::collections::BTreeMap;

use super::{
    canon::{canon, wrong},
    env::{Env, env_file, exports},
    error::{Position, Unresolved},
    fill::{Flaw, fill},
    merge::merge,
    shape::{FORBIDDEN, SECTIONS, SERVICE, Shape},
    short::is_windows,
    tree::{FoundPath, Tree, folder_of, join},
    yaml::{self, Node, Value},
};
use crate::model::names::StackName;

/// The objects of one kind by name.
pub(super) type Section = BTreeMap<String, Node>;

/// The merged files in canonical form.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) sections: BTreeMap<&'static str, Section>,
    /// Top-level extensions.
    pub(super) extensions: BTreeMap<String, Node>,
    /// The names of secrets before interpolation, which show their version variables.
    pub(super) raw_secrets: BTreeMap<String, String>,
}

/// A version that Docker knows; by default the newest.
const DEFAULT_VERSION: &str = "3.13";

/// The places where interpolated texts are cast to other types (`cli/compose/loader/interpolate.go`).
const CASTS: [(&str, Cast); 29] = [
    ("services.*.configs.[].mode", Cast::Whole),
    ("services.*.secrets.[].mode", Cast::Whole),
    ("services.*.healthcheck.retries", Cast::Whole),
    ("services.*.healthcheck.disable", Cast::Truth),
    ("services.*.deploy.replicas", Cast::Whole),
    ("services.*.deploy.update_config.parallelism", Cast::Whole),
    ("services.*.deploy.update_config.max_failure_ratio", Cast::Number),
    ("services.*.deploy.rollback_config.parallelism", Cast::Whole),
    ("services.*.deploy.rollback_config.max_failure_ratio", Cast::Number),
    ("services.*.deploy.restart_policy.max_attempts", Cast::Whole),
    ("services.*.deploy.placement.max_replicas_per_node", Cast::Whole),
    ("services.*.ports.[].target", Cast::Whole),
    ("services.*.ports.[].published", Cast::Whole),
    ("services.*.ulimits.*", Cast::Whole),
    ("services.*.ulimits.*.hard", Cast::Whole),
    ("services.*.ulimits.*.soft", Cast::Whole),
    ("services.*.privileged", Cast::Truth),
    ("services.*.oom_score_adj", Cast::Whole),
    ("services.*.read_only", Cast::Truth),
    ("services.*.stdin_open", Cast::Truth),
    ("services.*.tty", Cast::Truth),
    ("services.*.volumes.[].read_only", Cast::Truth),
    ("services.*.volumes.[].volume.nocopy", Cast::Truth),
    ("networks.*.external", Cast::Truth),
    ("networks.*.internal", Cast::Truth),
    ("networks.*.attachable", Cast::Truth),
    ("volumes.*.external", Cast::Truth),
    ("secrets.*.external", Cast::Truth),
    ("configs.*.external", Cast::Truth),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cast {
    Whole,
    Number,
    Truth,
}

/// The variables for compose files: the `.env`, overridden by `abra.sh`, and the stack's name.
pub(super) fn variables(tree: &Tree, env: &Env, stack: &StackName) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = env.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    if let FoundPath::Text(script) = tree.find("abra.sh") {
        variables.extend(exports(script));
    }
    variables.insert("STACK_NAME".to_owned(), stack.to_string());
    variables
}

pub(super) fn load(tree: &Tree, variables: &BTreeMap<String, String>) -> Result<Loaded, Unresolved> {
    let list = variables.get("COMPOSE_FILE").map(String::as_str).filter(|list| !list.is_empty()).unwrap_or("compose.yml");
    let files: Vec<&str> = list.split(':').collect();
    let folder = folder_of(files[0]);
    let mut loaded = Loaded::default();
    let mut first: Option<String> = None;
    for file in files {
        let root = yaml::read(file, text(tree, file)?)?;
        let Value::Map(root) = root.value else { return Err(wrong(&root, file, "an object at its top")) };
        let version = version(file, &root, first.as_deref())?;
        first.get_or_insert(version);
        for (name, secret) in root.get("secrets").and_then(Node::map).into_iter().flatten() {
            if let Some(raw) = secret.map().and_then(|secret| secret.get("name")?.text()) {
                loaded.raw_secrets.insert(name.clone(), raw.to_owned());
            }
        }
        forbid(&root)?;
        add(&mut loaded, &Source { tree, variables, folder }, root)?;
    }
    Ok(loaded)
}

fn text<'a>(tree: &'a Tree, file: &str) -> Result<&'a str, Unresolved> {
    let file = || file.to_owned();
    match tree.find(&file()) {
        FoundPath::Text(text) => Ok(text),
        FoundPath::Opaque | FoundPath::Folder => Err(Unresolved::NoText { file: file() }),
        FoundPath::Absent => Err(Unresolved::NoComposeFile { file: file() }),
        FoundPath::Outside => Err(Unresolved::ComposeFileOutside { file: file() }),
    }
}

fn version(file: &str, root: &BTreeMap<String, Node>, first: Option<&str>) -> Result<String, Unresolved> {
    let version = match root.get("version") {
        None => DEFAULT_VERSION,
        Some(node) => match node.text().ok_or_else(|| wrong(node, "version", "a text, in quotes"))? {
            "" | "3" => DEFAULT_VERSION,
            version => version,
        },
    };
    if let Some(first) = first.filter(|first| *first != version) {
        let (first, other) = (first.to_owned(), version.to_owned());
        return Err(Unresolved::VersionMismatch { file: file.to_owned(), first, other });
    }
    let known = version.strip_prefix("3.").is_some_and(|minor| (0..=13).any(|known: u8| known.to_string() == minor));
    match known {
        true => Ok(version.to_owned()),
        false => Err(Unresolved::UnknownVersion { file: file.to_owned(), version: version.to_owned() }),
    }
}

fn forbid(root: &BTreeMap<String, Node>) -> Result<(), Unresolved> {
    for (name, service) in root.get("services").and_then(Node::map).into_iter().flatten() {
        if let Some((key, node)) = FORBIDDEN.iter().find_map(|key| Some((*key, service.map()?.get(*key)?))) {
            return Err(Unresolved::Forbidden { at: node.at.clone(), path: format!("services.{name}.{key}") });
        }
    }
    Ok(())
}

/// The context of a file's values.
struct Source<'a> {
    tree: &'a Tree,
    variables: &'a BTreeMap<String, String>,
    /// The folder of the first file, to which all paths are relative.
    folder: &'a str,
}

fn add(loaded: &mut Loaded, source: &Source<'_>, root: BTreeMap<String, Node>) -> Result<(), Unresolved> {
    for (key, node) in root {
        let node = filled(node, &key, source.variables)?;
        if key == "version" {
            continue;
        }
        if key.starts_with("x-") {
            loaded.extensions.insert(key, node);
            continue;
        }
        let Some((section, shape)) = SECTIONS.iter().find(|(name, _)| *name == key).copied() else {
            return Err(Unresolved::UnknownKey { at: node.at, path: key });
        };
        let Value::Map(objects) = node.value else { return Err(wrong(&node, &key, "an object")) };
        for (name, object) in objects {
            let path = format!("{section}.{name}");
            if !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) || name.is_empty() {
                return Err(Unresolved::UnknownKey { at: object.at, path });
            }
            let object = rebased(canon(object, shape, &path)?, section, &path, source)?;
            let there = loaded.sections.entry(section).or_default();
            // Only services are merged. Other objects are replaced as a whole.
            let merged = match (there.remove(&name), shape) {
                (Some(base), Shape::Record(_)) if section == "services" => merge(base, object, SERVICE),
                _ => object,
            };
            there.insert(name, merged);
        }
    }
    Ok(())
}

fn filled(node: Node, path: &str, variables: &BTreeMap<String, String>) -> Result<Node, Unresolved> {
    let at = node.at.clone();
    let value = match node.value {
        Value::Text(template) => {
            let text = fill(&template, |name| variables.get(name).map(String::as_str));
            let text = text.map_err(|flaw| match flaw {
                Flaw::Invalid => Unresolved::BadVariable { at: at.clone(), path: path.to_owned(), template: template.clone() },
                Flaw::Missing { variable, message } => {
                    Unresolved::MissingVariable { at: at.clone(), path: path.to_owned(), variable, message }
                }
            })?;
            if text == template { Value::Text(text) } else { cast(text, path, &at)? }
        }
        Value::List(items) => {
            let path = format!("{path}.[]");
            Value::List(items.into_iter().map(|item| filled(item, &path, variables)).collect::<Result<_, _>>()?)
        }
        Value::Map(map) => {
            let items = map.into_iter().map(|(key, item)| {
                let path = format!("{path}.{key}");
                Ok((key, filled(item, &path, variables)?))
            });
            Value::Map(items.collect::<Result<_, Unresolved>>()?)
        }
        other @ (Value::Null | Value::Truth(_) | Value::Whole(_) | Value::Number(_)) => other,
    };
    Ok(Node { at, value })
}

fn cast(text: String, path: &str, at: &Position) -> Result<Value, Unresolved> {
    // A key with a dot extends the path, as in docker/cli.
    let parts: Vec<&str> = path.split('.').collect();
    let fits = |pattern: &str| {
        pattern.split('.').count() == parts.len()
            && pattern.split('.').zip(&parts).all(|(want, part)| want == "*" || want == *part)
    };
    let cast = CASTS.iter().find(|(pattern, _)| fits(pattern)).map(|(_, cast)| *cast);
    let bad = |wanted| Unresolved::BadCast { at: at.clone(), path: path.to_owned(), text: text.clone(), wanted };
    match cast {
        Some(Cast::Whole) => text.parse().map(Value::Whole).map_err(|_| bad("a whole number")),
        Some(Cast::Number) => text.parse().map(Value::Number).map_err(|_| bad("a number")),
        Some(Cast::Truth) => match text.to_lowercase().as_str() {
            "y" | "yes" | "true" | "on" => Ok(Value::Truth(true)),
            "n" | "no" | "false" | "off" => Ok(Value::Truth(false)),
            _ => Err(bad("yes or no")),
        },
        // A text that is not cast stays a text, and the format may refuse it.
        None => Ok(Value::Text(text)),
    }
}

/// An object with paths relative to the recipe's folder, and a service's environment with the variables of files.
fn rebased(mut node: Node, section: &str, path: &str, source: &Source<'_>) -> Result<Node, Unresolved> {
    let Value::Map(map) = &mut node.value else { return Ok(node) };
    match section {
        "services" => {
            environment(map, path, source)?;
            if let Some(Value::List(mounts)) = map.get_mut("volumes").map(|node| &mut node.value) {
                for mount in mounts {
                    rebase_mount(mount, source);
                }
            }
        }
        "secrets" | "configs" => {
            let external = map.get("external").and_then(|node| node.map()?.get("external"));
            let elsewhere = external.is_some_and(|node| node.value == Value::Truth(true)) || map.contains_key("driver");
            if !elsewhere {
                let file = map.get("file").and_then(Node::text).unwrap_or_default();
                let (at, file) = (node.at.clone(), join(source.folder, file));
                map.insert("file".to_owned(), Node { at, value: Value::Text(file) });
            }
        }
        _ => {}
    }
    Ok(node)
}

fn rebase_mount(mount: &mut Node, source: &Source<'_>) {
    let Value::Map(map) = &mut mount.value else { return };
    if map.get("type").and_then(Node::text) != Some("bind") {
        return;
    }
    let Some(Value::Text(path)) = map.get_mut("source").map(|node| &mut node.value) else { return };
    if let (Some(rest), Some(home)) = (path.strip_prefix('~'), source.variables.get("HOME")) {
        *path = format!("{home}{rest}");
    }
    if !path.starts_with('/') && !is_windows(path) && !path.starts_with("\\\\") {
        *path = join(source.folder, path);
    }
}

/// The variables of `env_file`, then those of `environment`. A key without a value takes the app's variable.
fn environment(service: &mut BTreeMap<String, Node>, path: &str, source: &Source<'_>) -> Result<(), Unresolved> {
    let mut all: BTreeMap<String, Node> = BTreeMap::new();
    if let Some(Value::List(files)) = service.get("env_file").map(|node| &node.value) {
        for node in files {
            let file = join(source.folder, node.text().unwrap_or_default());
            let text = match source.tree.find(&file) {
                FoundPath::Text(text) => text,
                // The policy reports the file. Its contents are unknown.
                FoundPath::Outside => continue,
                FoundPath::Opaque | FoundPath::Folder | FoundPath::Absent => {
                    return Err(Unresolved::NoFile { path: format!("{path}.env_file"), file });
                }
            };
            let pairs = env_file(text).map_err(|(line, text)| Unresolved::BadEnvFile { file, line, text })?;
            all.extend(pairs.into_iter().map(|(key, value)| (key, node.with(Value::Text(value)))));
        }
    }
    let at = service.get("environment").or(service.get("env_file")).map(|node| node.at.clone());
    let Some(at) = at else { return Ok(()) };
    if let Some(Value::Map(own)) = service.remove("environment").map(|node| node.value) {
        all.extend(own);
    }
    for (key, node) in &mut all {
        if let Some(value) = source.variables.get(key).filter(|_| node.text().is_none_or(str::is_empty)) {
            node.value = Value::Text(value.clone());
        }
    }
    let files = service.get("env_file").map(|node| &node.value);
    if let Some(Value::List(files)) = files {
        let seen = files.iter().map(|node| node.with(Value::Text(join(source.folder, node.text().unwrap_or_default()))));
        let seen = Node { at: at.clone(), value: Value::List(seen.collect()) };
        service.insert("env_file".to_owned(), seen);
    }
    service.insert("environment".to_owned(), Node { at, value: Value::Map(all) });
    Ok(())
}
