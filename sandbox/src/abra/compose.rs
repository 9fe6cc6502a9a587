//! The parts of a recipe's compose files that the stand-in needs. Docker itself reads the whole files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{
    Context, Unfilled,
    env::{filled, filled_or_kept},
    error::{CommandResult, Fatal},
};

/// The compose files of an app, each as plain data.
#[derive(Debug)]
pub(super) struct Compose {
    pub(super) files: Vec<PathBuf>,
    documents: Vec<Map<String, Value>>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) target: u16,
    pub(super) published: u16,
    /// Whether the protocol is UDP; otherwise TCP.
    pub(super) udp: bool,
    /// Whether the mode is host; otherwise ingress.
    pub(super) host: bool,
}

/// A secret that a service uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeclaredSecret {
    pub(super) name: String,
    pub(super) version: String,
    /// Its name on the Swarm as the file has it, with its variables.
    pub(super) written: String,
}

impl Compose {
    /// Reads the files in `COMPOSE_FILE`, by default `compose.yml`.
    pub(super) fn load(context: &Context, recipe: &Path, list: Option<&str>) -> CommandResult<Self> {
        let names = list.filter(|list| !list.is_empty()).unwrap_or("compose.yml");
        Compose::load_all(context, names.split(':').map(|name| recipe.join(name)).collect())
    }

    /// Reads these files.
    pub(super) fn load_all(context: &Context, files: Vec<PathBuf>) -> CommandResult<Self> {
        let mut documents = Vec::new();
        for file in &files {
            let unread = |why: String| Fatal::new(format!("unable to read {}: {why}", file.display()));
            let plain = (context.reader.plain)(&file.to_string_lossy(), &text(file)?).map_err(unread)?;
            documents.push(serde_saphyr::from_str(&plain).map_err(|error| unread(error.to_string()))?);
        }
        let compose = Self { files, documents };
        compose.check()?;
        Ok(compose)
    }

    /// The texts of the files without variables, in their order.
    pub(super) fn without_variables(
        &self,
        context: &Context,
        variables: &BTreeMap<String, String>,
    ) -> CommandResult<Vec<String>> {
        // All paths are relative to the folder of the first file.
        let folder = self.files.first().and_then(|file| file.parent()).unwrap_or(Path::new("/"));
        let filled = self.files.iter().map(|file| {
            let (shown, text) = (file.to_string_lossy(), text(file)?);
            let from = Unfilled { file: &shown, text: &text, variables, folder: &folder.to_string_lossy() };
            (context.reader.without_variables)(&from).map_err(Fatal)
        });
        filled.collect()
    }

    /// Parses one file, for a version that is not checked out.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(Self { files: Vec::new(), documents: vec![serde_saphyr::from_str(text).ok()?] })
    }

    /// The version that all files declare.
    pub(super) fn version(&self) -> String {
        self.documents.first().map_or_else(|| "3.13".to_owned(), declared_version)
    }

    /// Refuses different versions, and variables in durations.
    fn check(&self) -> CommandResult {
        let first = self.version();
        if let Some(other) = self.documents.iter().map(declared_version).find(|version| *version != first) {
            return Err(Fatal::new(format!("version mismatched between two composefiles : {first} and {other}")));
        }
        // abra validates before it expands variables, so that durations cannot contain any.
        for (service, body) in self.service_bodies() {
            let health = body.get("healthcheck").and_then(Value::as_object);
            let durations = ["interval", "timeout", "start_period"].map(|key| health.and_then(|health| health.get(key)));
            let durations = durations.into_iter().chain([body.get("stop_grace_period")]);
            if let Some(bad) = durations.flatten().filter_map(Value::as_str).find(|text| text.contains('$')) {
                return Err(Fatal::new(format!("services.{service}: {bad} does not match format 'duration'")));
            }
        }
        Ok(())
    }

    /// Refuses unknown sections, and sections that are not mappings of names.
    pub(super) fn check_sections(&self) -> CommandResult {
        for (key, value) in self.documents.iter().flatten() {
            match key.as_str() {
                "version" => {}
                "services" | "networks" | "volumes" | "secrets" | "configs" if value.is_null() => {}
                section @ ("services" | "networks" | "volumes" | "secrets" | "configs") => {
                    let entries = value.as_object().ok_or_else(|| Fatal::new(format!("{section} must be a mapping")))?;
                    // Only a service must have a body.
                    let wrong = |(_, body): &(&String, &Value)| !body.is_object() && (section == "services" || !body.is_null());
                    if let Some((name, _)) = entries.iter().find(wrong) {
                        return Err(Fatal::new(format!("{section}.{name} must be a mapping")));
                    }
                }
                key if key.starts_with("x-") => {}
                key => return Err(Fatal::new(format!("(root) Additional property {key} is not allowed"))),
            }
        }
        Ok(())
    }

    /// The entries of a section in all files. An entry without a body is left out.
    pub(super) fn declared<'a>(&'a self, section: &'a str) -> impl Iterator<Item = (&'a String, &'a Map<String, Value>)> {
        self.section(section)
    }

    /// Whether any file gives `service` the key.
    pub(super) fn has(&self, service: &str, key: &str) -> bool {
        self.service_bodies().any(|(name, body)| name == service && body.contains_key(key))
    }

    fn section<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a String, &'a Map<String, Value>)> {
        let sections = self.documents.iter().filter_map(move |document| document.get(name)?.as_object());
        sections.flatten().filter_map(|(key, body)| Some((key, body.as_object()?)))
    }

    fn service_bodies(&self) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
        self.section("services")
    }

    pub(super) fn services(&self) -> BTreeSet<&str> {
        self.service_bodies().map(|(name, _)| name.as_str()).collect()
    }

    /// The image of each service, with its variables.
    pub(super) fn images(&self) -> BTreeMap<&str, &str> {
        self.service_bodies().filter_map(|(name, body)| Some((name.as_str(), body.get("image")?.as_str()?))).collect()
    }

    /// The names of the variables that the files set for `service` themselves.
    pub(super) fn environment(&self, service: &str) -> BTreeSet<String> {
        let bodies = self.service_bodies().filter(|(name, _)| *name == service);
        bodies.filter_map(|(_, body)| body.get("environment")).flat_map(|env| pairs(env).into_keys()).collect()
    }

    /// The labels of the service object of `service`, with variables filled in.
    pub(super) fn labels(&self, service: &str, env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let bodies = self.service_bodies().filter(|(name, _)| *name == service);
        let labels = bodies.filter_map(|(_, body)| body.get("deploy")?.get("labels"));
        let filled = |text: &str| filled_or_kept(text, env);
        labels.flat_map(pairs).map(|(key, value)| (filled(&key), filled(&value))).collect()
    }

    /// Whether the last file with `deploy.<section>.order` for a service says `start-first`.
    pub(super) fn start_first(&self, service: &str, section: &str, env: &BTreeMap<String, String>) -> bool {
        let bodies = self.service_bodies().filter(|(name, _)| *name == service);
        let orders = bodies.filter_map(|(_, body)| body.get("deploy")?.get(section)?.get("order")?.as_str());
        orders.last().is_some_and(|order| filled_or_kept(order, env) == "start-first")
    }

    /// The ports that a service publishes. A port whose published number the engine chooses is left out.
    pub(super) fn ports(&self, service: &str, env: &BTreeMap<String, String>) -> Vec<Port> {
        let bodies = self.service_bodies().filter(|(name, _)| *name == service);
        let entries = bodies.filter_map(|(_, body)| body.get("ports")?.as_array()).flatten();
        entries.flat_map(|entry| ports_of(entry, env)).collect()
    }

    /// The secrets that services use. The version is the end of the name.
    pub(super) fn secrets(&self, env: &BTreeMap<String, String>) -> CommandResult<Vec<DeclaredSecret>> {
        let mut used = BTreeSet::new();
        for entry in self.service_bodies().filter_map(|(_, body)| body.get("secrets")?.as_array()).flatten() {
            used.extend(entry.as_str().or_else(|| entry.get("source")?.as_str()));
        }
        let mut declared: BTreeMap<&str, DeclaredSecret> = BTreeMap::new();
        for (id, body) in self.section("secrets").filter(|(id, _)| used.contains(id.as_str())) {
            let written = body.get("name").and_then(Value::as_str).unwrap_or(id).to_owned();
            let name = filled(&written, env)?;
            let version = name.rsplit('_').next().unwrap_or_default().to_owned();
            if version.is_empty() {
                return Err(Fatal::new(format!("missing version for secret? ({id})")));
            }
            declared.insert(id, DeclaredSecret { name: id.clone(), version, written });
        }
        Ok(declared.into_values().collect())
    }
}

/// The text of a compose file.
fn text(file: &Path) -> CommandResult<String> {
    let shown = file.display();
    std::fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Fatal::new(format!("open {shown}: no such file or directory")),
        _ => Fatal::new(format!("open {shown}: {error}")),
    })
}

fn declared_version(document: &Map<String, Value>) -> String {
    match document.get("version") {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "3.13".to_owned(),
    }
}

/// The pairs of a mapping or of a list of `key=value`; compose files have both.
fn pairs(value: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
        Value::Array(list) => {
            let entries = list.iter().filter_map(Value::as_str);
            entries.map(|entry| entry.split_once('=').unwrap_or((entry, ""))).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
        }
        _ => BTreeMap::new(),
    }
}

fn ports_of(entry: &Value, env: &BTreeMap<String, String>) -> Vec<Port> {
    let text = |value: &Value| match value {
        Value::String(text) => filled_or_kept(text, env),
        other => other.to_string(),
    };
    if let Some(map) = entry.as_object() {
        let number = |key: &str| map.get(key).and_then(|value| text(value).parse().ok());
        let (Some(target), Some(published)) = (number("target"), number("published")) else { return Vec::new() };
        let is = |key: &str, wanted: &str| map.get(key).is_some_and(|value| text(value) == wanted);
        return vec![Port { target, published, udp: is("protocol", "udp"), host: is("mode", "host") }];
    }
    let short = text(entry);
    let (addresses, protocol) = short.split_once('/').unwrap_or((&short, "tcp"));
    let mut parts = addresses.rsplitn(3, ':');
    let (Some(target), Some(published)) = (parts.next().and_then(range), parts.next().and_then(range)) else { return Vec::new() };
    let udp = protocol == "udp";
    target.zip(published).map(|(target, published)| Port { target, published, udp, host: false }).collect()
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
version: "3.8"
x-health: &health
  interval: 30s
services:
  app:
    image: nginx:1.29
    environment:
      - DOMAIN
      - LEVEL=3
    healthcheck:
      <<: *health
      timeout: 10s
    ports: ["80:8080", "127.0.0.1:3000-3001:3000-3001/udp", "9000", {target: 1, published: "${P:-2}", mode: host}]
    secrets: [db_password, {source: key, target: x}]
    deploy:
      update_config: {order: "${ORDER:-start-first}"}
      labels:
        - "coop-cloud.${STACK_NAME}.version=1.0.0+1.29"
secrets:
  db_password: {external: true, name: "${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}"}
  key: {external: true, name: "${STACK_NAME}_key_v3"}
  unused: {external: true, name: "${STACK_NAME}_unused_v1"}
"#;

    fn env() -> BTreeMap<String, String> {
        [("STACK_NAME", "s"), ("SECRET_DB_PASSWORD_VERSION", "v2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    #[test]
    fn environment_labels_order_and_ports_are_found() {
        let compose = Compose::parse(TEXT).unwrap();
        compose.check().unwrap();
        assert_eq!(compose.environment("app"), ["DOMAIN", "LEVEL"].map(str::to_owned).into());
        assert_eq!(compose.labels("app", &env())["coop-cloud.s.version"], "1.0.0+1.29");
        assert!(compose.start_first("app", "update_config", &env()));
        let port = |target, published, udp, host| Port { target, published, udp, host };
        assert_eq!(
            compose.ports("app", &env()),
            [port(8080, 80, false, false), port(3000, 3000, true, false), port(3001, 3001, true, false), port(1, 2, false, true)]
        );
    }

    #[test]
    fn secrets_are_those_in_use_and_need_a_version() {
        let compose = Compose::parse(TEXT).unwrap();
        let declared = compose.secrets(&env()).unwrap();
        let declared: Vec<_> = declared.iter().map(|secret| (secret.name.as_str(), secret.version.as_str())).collect();
        assert_eq!(declared, [("db_password", "v2"), ("key", "v3")]);
        let mut without = env();
        without.remove("SECRET_DB_PASSWORD_VERSION");
        assert_eq!(compose.secrets(&without).unwrap_err().0, "missing version for secret? (db_password)");
    }

    #[test]
    fn variable_in_a_duration_is_refused() {
        let text = TEXT.replace("timeout: 10s", "timeout: ${T:-10s}");
        assert!(Compose::parse(&text).unwrap().check().unwrap_err().0.contains("does not match format 'duration'"));
    }
}
