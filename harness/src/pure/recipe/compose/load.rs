//! Loader: reads, interpolates, checks and merges the compose files of an app.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    canon::record,
    env::{Env, env_file, exports},
    error::{Position, Unresolved},
    fill::{Flaw, fill},
    merge::{merge, merge_extensions},
    schema::{self, DEFAULT_VERSION, wrong},
    shape::{FORBIDDEN, SECTIONS, SERVICE},
    short::is_windows_absolute,
    tree::{FoundPath, Tree, folder_of, join},
    yaml::{self, Node, Value},
};
use crate::model::names::StackName;

/// The objects of one kind by name.
pub(super) type Section = BTreeMap<String, Node>;

/// The merged files in canonical form.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// The version of the first file.
    pub(super) version: Option<Node>,
    pub(super) sections: BTreeMap<&'static str, Section>,
    /// The extensions at the top of the first file; Docker forgets those of the others.
    pub(super) extensions: BTreeMap<String, Node>,
    /// The names of secrets before interpolation, which show their version variables.
    pub(super) raw_secrets: BTreeMap<String, String>,
    /// The folder of the first file, to which all paths are relative.
    pub(super) folder: String,
}

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
    if let Some(script) = tree.script("abra.sh") {
        variables.extend(exports(&script));
    }
    variables.insert("STACK_NAME".to_owned(), stack.to_string());
    variables
}

pub(super) fn load(tree: &Tree, variables: &BTreeMap<String, String>) -> Result<Loaded, Unresolved> {
    let list = variables.get("COMPOSE_FILE").map(String::as_str).filter(|list| !list.is_empty()).unwrap_or("compose.yml");
    let files: Vec<&str> = list.split(':').collect();
    let folder = folder_of(files[0]);
    let mut loaded = Loaded { folder: folder.to_owned(), ..Loaded::default() };
    let mut first: Option<String> = None;
    for (number, file) in files.into_iter().enumerate() {
        let root = yaml::read(file, text(tree, file)?)?;
        let Value::Map(map) = root.value else { return Err(wrong(&root, file, "an object at its top")) };
        let version = version(file, &map, first.as_deref())?;
        first.get_or_insert_with(|| version.clone());
        for (name, secret) in map.get("secrets").and_then(Node::map).into_iter().flatten() {
            if let Some(raw) = secret.map().and_then(|secret| secret.get("name")?.text()) {
                loaded.raw_secrets.insert(name.clone(), raw.to_owned());
            }
        }
        forbid(&map)?;
        let root = filled_map(map, variables)?;
        let root = Node { at: Position { file: file.into(), line: 1, column: 1 }, value: Value::Map(root) };
        schema::check(file, &root, &version)?;
        let at = root.map().and_then(|map| Some(map.get("version")?.at.clone())).unwrap_or_else(|| root.at.clone());
        loaded.version.get_or_insert(Node { at, value: Value::Text(version) });
        let Value::Map(map) = root.value else { continue };
        add(&mut loaded, &Source { tree, variables, folder }, map, number == 0)?;
    }
    for (name, volume) in loaded.sections.get("volumes").into_iter().flatten() {
        // Docker's client breaks off when it prints such a volume.
        if volume.map().is_some_and(|map| map.contains_key("external") && map.contains_key("x-cluster-spec")) {
            let (at, path) = (volume.at.clone(), format!("volumes.{name}"));
            return Err(Unresolved::Conflict { at, path, one: "external", other: "x-cluster-spec" });
        }
    }
    Ok(loaded)
}

fn text<'a>(tree: &'a Tree, file: &str) -> Result<&'a str, Unresolved> {
    let file = || file.to_owned();
    match tree.find(&file()) {
        FoundPath::Text(text) => Ok(text),
        FoundPath::Opaque(_) | FoundPath::Folder => Err(Unresolved::NoText { file: file() }),
        FoundPath::Absent => Err(Unresolved::NoComposeFile { file: file() }),
        FoundPath::Outside => Err(Unresolved::ComposeFileOutside { file: file() }),
    }
}

/// The version that a file declares. Docker takes it as it is written, even for its choice of a schema that wants a text.
fn version(file: &str, root: &BTreeMap<String, Node>, first: Option<&str>) -> Result<String, Unresolved> {
    let declared = root.get("version").map(|node| node.printed().unwrap_or_default());
    let version = match declared.as_deref() {
        None | Some("3") => DEFAULT_VERSION,
        Some("") if root.get("version").is_some_and(|node| node.text().is_some()) => DEFAULT_VERSION,
        Some(version) => version,
    };
    if let Some(first) = first.filter(|first| *first != version) {
        let (first, other) = (first.to_owned(), version.to_owned());
        return Err(Unresolved::VersionMismatch { file: file.to_owned(), first, other });
    }
    match schema::knows(version) {
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

fn add(loaded: &mut Loaded, source: &Source<'_>, mut root: BTreeMap<String, Node>, first: bool) -> Result<(), Unresolved> {
    if first {
        loaded.extensions = extensions(&root);
    }
    for (section, keys) in SECTIONS {
        let objects = match root.remove(section) {
            None => continue,
            Some(Node { value: Value::Map(objects), .. }) => objects,
            Some(node) => return Err(wrong(&node, section, "an object")),
        };
        for (name, object) in objects {
            let path = format!("{section}.{name}");
            let own = object.map().map(extensions).unwrap_or_default();
            let Node { at, value: Value::Map(mut map) } = record(object, keys, &path)? else { continue };
            complete(&mut map, section, &name, &path, &at, source)?;
            let keeps = match section {
                "networks" | "volumes" => map.contains_key("external"),
                _ => true,
            };
            let there = loaded.sections.entry(section).or_default();
            // Only services are merged. Other objects are replaced as a whole.
            let before = if section == "services" { there.remove(&name) } else { None };
            let (mut map, mut kept) = match before.map(|before| (extensions(before.map().unwrap_or(&map)), before)) {
                Some((kept, before)) => match merge(before, Node { at: at.clone(), value: Value::Map(map) }, SERVICE).value {
                    Value::Map(merged) => (merged, kept),
                    _ => continue,
                },
                None => (map, BTreeMap::new()),
            };
            if keeps {
                merge_extensions(&mut kept, own)?;
                kept.retain(|key, _| !map.contains_key(key));
                map.extend(kept);
            }
            there.insert(name, Node { at, value: Value::Map(map) });
        }
    }
    Ok(())
}

fn extensions(map: &BTreeMap<String, Node>) -> BTreeMap<String, Node> {
    map.iter().filter(|(key, _)| key.starts_with("x-")).map(|(key, node)| (key.clone(), node.clone())).collect()
}

pub(super) fn filled_map(
    map: BTreeMap<String, Node>,
    variables: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Node>, Unresolved> {
    map.into_iter().map(|(key, node)| filled(node, &key, variables).map(|node| (key, node))).collect()
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
        other => other,
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

/// Completes an object as docker/cli does after it has decoded it: paths relative to the recipe's folder, a service's
/// environment with the variables of files, and the name of an external object.
fn complete(
    map: &mut BTreeMap<String, Node>,
    section: &str,
    name: &str,
    path: &str,
    at: &Position,
    source: &Source<'_>,
) -> Result<(), Unresolved> {
    if section == "services" {
        environment(map, path, at, source)?;
        if let Some(Value::List(mounts)) = map.get_mut("volumes").map(|node| &mut node.value) {
            for (number, mount) in mounts.iter_mut().enumerate() {
                rebase_mount(mount, &format!("{path}.volumes[{number}]"), source)?;
            }
        }
        return Ok(());
    }
    let external = map.remove("external").and_then(|node| match node.value {
        Value::Map(mut map) => Some((node.at, map.remove("external")?.value == Value::Truth(true), map.remove("name"))),
        _ => None,
    });
    let given = |map: &BTreeMap<String, Node>, key: &str| match map.get(key).map(|node| &node.value) {
        Some(Value::Text(text)) => !text.is_empty(),
        Some(Value::Map(pairs)) => !pairs.is_empty(),
        _ => false,
    };
    let conflict = |one, other| Unresolved::Conflict { at: at.clone(), path: path.to_owned(), one, other };
    if let Some((at, _, older)) = external.filter(|(_, external, _)| *external) {
        let also = ["driver", "driver_opts", "labels"].into_iter().find(|key| given(map, key)).filter(|_| section == "volumes");
        if let Some(also) = also {
            return Err(conflict("external", also));
        }
        match older.filter(|older| older.text() != Some("")) {
            Some(_) if given(map, "name") => return Err(conflict("name", "external.name")),
            Some(older) => {
                map.insert("name".to_owned(), older);
            }
            None if !given(map, "name") => {
                map.insert("name".to_owned(), Node { at: at.clone(), value: Value::Text(name.to_owned()) });
            }
            None => {}
        }
        map.insert("external".to_owned(), Node { at, value: Value::Truth(true) });
        return Ok(());
    }
    if matches!(section, "secrets" | "configs") {
        match given(map, "driver") {
            true if given(map, "file") => return Err(conflict("driver", "file")),
            true => {}
            false => {
                let at = map.get("file").map_or_else(|| at.clone(), |node| node.at.clone());
                let file = join(source.folder, map.get("file").and_then(Node::text).unwrap_or_default());
                map.insert("file".to_owned(), Node { at, value: Value::Text(file) });
            }
        }
    }
    Ok(())
}

fn rebase_mount(mount: &mut Node, path: &str, source: &Source<'_>) -> Result<(), Unresolved> {
    let at = mount.at.clone();
    let Value::Map(map) = &mut mount.value else { return Ok(()) };
    if map.get("type").and_then(Node::text) != Some("bind") {
        return Ok(());
    }
    let Some(Value::Text(from)) =
        map.get_mut("source").map(|node| &mut node.value).filter(|from| **from != Value::Text(String::new()))
    else {
        return Err(Unresolved::MissingKey { at, path: path.to_owned(), key: "source".to_owned() });
    };
    if let (Some(rest), Some(home)) = (from.strip_prefix('~'), source.variables.get("HOME")) {
        *from = format!("{home}{rest}");
    }
    if !from.starts_with('/') && !is_windows_absolute(from) {
        *from = join(source.folder, from);
    }
    Ok(())
}

/// The variables of `env_file`, then those of `environment`. A key without a value takes the app's variable.
fn environment(service: &mut BTreeMap<String, Node>, path: &str, at: &Position, source: &Source<'_>) -> Result<(), Unresolved> {
    let mut all: BTreeMap<String, Node> = BTreeMap::new();
    for node in service.get("env_file").and_then(Node::list).unwrap_or_default() {
        let file = join(source.folder, node.text().unwrap_or_default());
        let path = || format!("{path}.env_file");
        let text = match source.tree.find(&file) {
            FoundPath::Text(text) => text,
            // The policy reports the file. Its contents are unknown.
            FoundPath::Outside => continue,
            FoundPath::Opaque(_) => return Err(Unresolved::NoTextFile { path: path(), file }),
            FoundPath::Folder | FoundPath::Absent => return Err(Unresolved::NoFile { path: path(), file }),
        };
        let place: Arc<str> = file.as_str().into();
        let variables = env_file(text).map_err(|(line, text)| Unresolved::BadEnvFile { file: file.clone(), line, text })?;
        for variable in variables {
            let key = variable.key.to_owned();
            let Some(value) = variable.value else {
                // Without such a variable of the app, the deployer's environment is taken to have none either.
                match source.variables.contains_key(&key) {
                    true => return Err(Unresolved::DeployersVariable { file, line: variable.line, variable: key }),
                    false => continue,
                }
            };
            let at = Position { file: place.clone(), line: variable.line as u64, column: 1 };
            all.insert(key, Node { at, value: Value::Text(value.to_owned()) });
        }
    }
    let own = service.remove("environment");
    let at = own.as_ref().map_or(at, |own| &own.at).clone();
    if let Some(Value::Map(own)) = own.map(|own| own.value) {
        all.extend(own);
    }
    for (key, node) in &mut all {
        if let Some(value) = source.variables.get(key).filter(|_| node.text().is_none_or(str::is_empty)) {
            node.value = Value::Text(value.clone());
        }
    }
    // Docker has an empty environment rather than none, which matters to no merge.
    if !all.is_empty() {
        service.insert("environment".to_owned(), Node { at, value: Value::Map(all) });
    }
    Ok(())
}
