//! The spec that Docker makes of a service of the files (`cli/compose/convert/service.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::pure::{
    host::converge::Health,
    recipe::compose::{Env, Mount, Mounted, Network, PortMode, Resolved, Resources, Service, Use},
};

/// Docker's label of a stack's objects.
const NAMESPACE: &str = "com.docker.stack.namespace";
/// Docker's label with the image of the files.
const IMAGE: &str = "com.docker.stack.image";
/// The service that gets abra's labels and the variables of the `.env`.
const APP: &str = "app";
/// Networks that have no aliases.
const WITHOUT_ALIASES: [&str; 4] = ["host", "none", "default", "bridge"];

/// What abra was given to deploy.
#[derive(Debug, Clone, Copy)]
pub struct Deployed<'a> {
    /// The resolved files.
    pub resolved: &'a Resolved,
    /// The app's variables.
    pub env: &'a Env,
    /// The facets of each service that the default limits of the host file add, by the service's name in the files.
    pub limits: &'a BTreeMap<String, BTreeMap<String, String>>,
    /// The folder of the checkout, which relative paths of the files begin at.
    pub folder: &'a str,
}

impl Deployed<'_> {
    /// Whether abra or Docker adds this facet to what the files say.
    pub(super) fn allows(&self, short: &str, facet: &str, value: &str) -> bool {
        let inside = |list: &str| facet.strip_prefix(list)?.strip_suffix(']');
        if let Some(label) = inside("Labels[") {
            let abra = label.strip_prefix("coop-cloud.").and_then(|rest| rest.strip_prefix(self.resolved.stack.as_str()));
            return short == APP && matches!(abra, Some(".version" | ".recipe" | ".chaos" | ".chaos-version" | ".autoupdate"));
        }
        if self.limits.get(short).and_then(|limits| limits.get(facet)).is_some_and(|limit| limit == value) {
            return true;
        }
        match inside("Env[") {
            // abra writes the deployed version into it.
            Some("TYPE" | "RECIPE") => short == APP,
            Some(variable) => short == APP && self.env.get(variable) == Some(value),
            None => false,
        }
    }
}

/// The spec that Docker makes of a service, without the parts that the comparison of services covers.
pub fn declared(deployed: &Deployed<'_>, short: &str, service: &Service, without_ipvs: bool) -> Value {
    let rest = Rest::of(deployed.resolved, short);
    let stack = deployed.resolved.stack.as_str();
    let with_stack = |labels: &BTreeMap<String, String>| {
        let mut labels = labels.clone();
        labels.insert(NAMESPACE.to_owned(), stack.to_owned());
        labels
    };
    let mut labels = with_stack(&service.labels);
    labels.insert(IMAGE.to_owned(), service.image.to_string());
    let generic = rest.get("deploy.resources.reservations.generic_resources");
    let (added, dropped) = capabilities(&service.cap_add, &rest.texts("cap_drop"));
    let log_driver = match (&service.log_driver, rest.get("logging.options")) {
        (None, None) => Value::Null,
        (driver, options) => json!({ "Name": driver, "Options": options }),
    };
    let ports = service.ports.iter().map(|port| {
        let host = port.mode == PortMode::Host || without_ipvs && port.published.is_some();
        json!({
            "Protocol": port.protocol,
            "TargetPort": port.target,
            "PublishedPort": port.published,
            "PublishMode": if host { "host" } else { "ingress" },
        })
    });
    json!({
        "Labels": labels,
        "TaskTemplate": {
            "ContainerSpec": {
                "Labels": with_stack(&service.container_labels),
                "Command": service.entrypoint,
                "Args": service.command,
                "Hostname": rest.get("hostname"),
                "Env": service.environment.iter().map(|(key, value)| match value {
                    Some(value) => format!("{key}={value}"),
                    None => key.clone(),
                }).collect::<Vec<_>>(),
                "Dir": rest.get("working_dir"),
                "User": service.user,
                "Init": rest.get("init"),
                "StopSignal": rest.get("stop_signal"),
                "TTY": rest.get("tty"),
                "OpenStdin": rest.get("stdin_open"),
                "ReadOnly": rest.get("read_only"),
                "Mounts": service.mounts.iter().map(|mount| mounted(deployed, mount)).collect::<Vec<_>>(),
                "StopGracePeriod": service.stop_grace_period.map(|period| u64::try_from(period.as_nanos()).unwrap_or(u64::MAX)),
                "Healthcheck": { "Test": health_test(service) },
                "Hosts": hosts(&rest.texts("extra_hosts")),
                "DNSConfig": { "Nameservers": rest.texts("dns"), "Search": rest.texts("dns_search") },
                "Secrets": files(&service.secrets, &rest, "secrets"),
                "Configs": files(&service.configs, &rest, "configs"),
                "Isolation": rest.get("isolation"),
                "Sysctls": rest.get("sysctls"),
                "CapabilityAdd": added,
                "CapabilityDrop": dropped,
                "Ulimits": ulimits(rest.get("ulimits")),
                "OomScoreAdj": rest.get("oom_score_adj"),
            },
            "Resources": {
                "Limits": resources(&service.limits, rest.get("deploy.resources.limits.pids"), None),
                "Reservations": resources(&service.reservations, None, generic),
            },
            "Placement": {
                "Constraints": service.constraints,
                "Preferences": preferences(rest.get("deploy.placement.preferences")),
                "MaxReplicas": rest.get("deploy.placement.max_replicas_per_node"),
            },
            "Networks": service.networks.iter().map(|network| {
                let options = rest.get(&format!("networks.{}.driver_opts", network.network));
                let mut aliases: BTreeSet<&str> = network.aliases.iter().map(String::as_str).collect();
                aliases.insert(short);
                let aliases = if WITHOUT_ALIASES.contains(&network.name.as_str()) { BTreeSet::new() } else { aliases };
                json!({ "Target": network.name, "Aliases": aliases, "DriverOpts": options })
            }).collect::<Vec<_>>(),
            "LogDriver": log_driver,
        },
        "EndpointSpec": { "Ports": ports.collect::<Vec<_>>() },
    })
}

/// The network that Docker makes of one of the files.
pub fn declared_network(network: &Network) -> Value {
    json!({
        "Driver": network.driver.as_deref().unwrap_or("overlay"),
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Options": network.driver_opts,
    })
}

/// The keys of a service that the resolver does not model and the comparison covers.
const COMPARED: [&str; 20] = [
    "cap_drop",
    "deploy.placement.max_replicas_per_node",
    "deploy.placement.preferences",
    "deploy.resources.limits.pids",
    "deploy.resources.reservations.generic_resources",
    "dns",
    "dns_search",
    "extra_hosts",
    "hostname",
    "init",
    "isolation",
    "logging.options",
    "oom_score_adj",
    "read_only",
    "stdin_open",
    "stop_signal",
    "sysctls",
    "tty",
    "ulimits",
    "working_dir",
];

/// Whether the comparison of power covers a key that the resolver does not model.
pub fn is_compared(path: &str) -> bool {
    let own = path.strip_prefix("services.").and_then(|rest| rest.split_once('.')).map(|(_, key)| key);
    own.is_some_and(|key| {
        let of_use = ["secrets[", "configs["].iter().any(|list| key.starts_with(list));
        let of_network = key.starts_with("networks.") && key.ends_with(".driver_opts");
        COMPARED.contains(&key) || of_network || of_use && [".uid", ".gid", ".mode"].iter().any(|end| key.ends_with(end))
    })
}

/// The keys of a service that the resolver does not model, with their values.
struct Rest(BTreeMap<String, Value>);

impl Rest {
    fn of(resolved: &Resolved, short: &str) -> Self {
        let prefix = format!("services.{short}.");
        let keys = resolved.skipped.iter().filter_map(|skipped| {
            let value = serde_json::from_str(&skipped.value).unwrap_or_default();
            Some((skipped.path.strip_prefix(&prefix)?.to_owned(), value))
        });
        Self(keys.collect())
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    fn texts(&self, key: &str) -> Vec<String> {
        self.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// The test of the health check; `NONE` switches it off.
fn health_test(service: &Service) -> Vec<String> {
    match service.health {
        Health::Disabled if service.health_test.is_empty() => vec!["NONE".to_owned()],
        _ => service.health_test.clone(),
    }
}

fn mounted(deployed: &Deployed<'_>, mount: &Mount) -> Value {
    let (kind, source, options) = match &mount.what {
        Mounted::Anonymous => ("volume", None, Value::Null),
        Mounted::Volume { source, name, nocopy, subpath } => {
            let mut options = Map::new();
            options.insert("NoCopy".into(), json!(nocopy));
            options.insert("Subpath".into(), json!(subpath));
            if let Some(volume) = deployed.resolved.volumes.get(source).filter(|volume| !volume.external) {
                let mut labels = volume.labels.clone();
                labels.insert(NAMESPACE.to_owned(), deployed.resolved.stack.to_string());
                options.insert("Labels".into(), json!(labels));
                options.insert("DriverConfig".into(), json!({ "Name": volume.driver, "Options": volume.driver_opts }));
            }
            ("volume", Some(name.clone()), json!({ "VolumeOptions": options }))
        }
        Mounted::Bind { source, propagation } => {
            let source = match source.starts_with('/') {
                true => source.clone(),
                false if source == "." => deployed.folder.to_owned(),
                false => format!("{}/{source}", deployed.folder),
            };
            ("bind", Some(source), json!({ "BindOptions": { "Propagation": propagation } }))
        }
        Mounted::Tmpfs { size } => ("tmpfs", None, json!({ "TmpfsOptions": { "SizeBytes": size } })),
        Mounted::Other { kind, source } => (kind.as_str(), Some(source.clone()), Value::Null),
    };
    let mut spec = json!({ "Type": kind, "Source": source, "Target": mount.target, "ReadOnly": mount.read_only });
    if let (Some(spec), Value::Object(options)) = (spec.as_object_mut(), options) {
        spec.extend(options);
    }
    spec
}

/// Added and dropped capabilities as Docker writes them: adding goes before dropping, and all before each.
fn capabilities(add: &[String], drop: &[String]) -> (BTreeSet<String>, BTreeSet<String>) {
    let normal = |names: &[String]| {
        let named = names.iter().map(|name| name.trim().to_uppercase()).map(|name| match name.as_str() {
            "ALL" | "RESET" => name,
            _ if name.starts_with("CAP_") => name,
            _ => format!("CAP_{name}"),
        });
        let all: BTreeSet<String> = named.collect();
        if all.contains("ALL") { BTreeSet::from(["ALL".to_owned()]) } else { all }
    };
    let (add, drop) = (normal(add), normal(drop));
    let drop = drop.into_iter().filter(|name| !add.contains(name)).collect();
    (add, drop)
}

/// `host:address` as the line of a hosts file.
fn hosts(entries: &[String]) -> Vec<String> {
    let line = |entry: &String| entry.split_once(':').map(|(host, address)| format!("{address} {host}"));
    entries.iter().filter_map(line).collect()
}

fn files(uses: &[Use], rest: &Rest, section: &str) -> Vec<Value> {
    uses.iter()
        .enumerate()
        .map(|(number, used)| {
            let own = |key: &str| rest.get(&format!("{section}[{number}].{key}")).cloned();
            let id = |key: &str| own(key).unwrap_or_else(|| "0".into());
            let file =
                json!({ "Name": used.target, "UID": id("uid"), "GID": id("gid"), "Mode": own("mode").unwrap_or(0o444.into()) });
            match section {
                "secrets" => json!({ "File": file, "SecretName": used.name }),
                _ => json!({ "File": file, "ConfigName": used.name }),
            }
        })
        .collect()
}

fn ulimits(limits: Option<&Value>) -> Vec<Value> {
    let limits = limits.and_then(Value::as_object).into_iter().flatten();
    limits
        .map(|(name, limit)| {
            let (hard, soft) = match limit {
                Value::Object(pair) if pair.contains_key("single") => (pair.get("single").cloned(), pair.get("single").cloned()),
                Value::Object(pair) => (pair.get("hard").cloned(), pair.get("soft").cloned()),
                single => (Some(single.clone()), Some(single.clone())),
            };
            json!({ "Name": name, "Hard": hard, "Soft": soft })
        })
        .collect()
}

fn resources(own: &Resources, pids: Option<&Value>, generic: Option<&Value>) -> Value {
    let generic = generic.and_then(Value::as_array).into_iter().flatten().map(|resource| {
        let discrete = &resource["discrete_resource_spec"];
        json!({ "DiscreteResourceSpec": { "Kind": discrete["kind"], "Value": discrete["value"] } })
    });
    json!({
        "NanoCPUs": own.nano_cpus,
        "MemoryBytes": own.memory,
        "Pids": pids,
        "GenericResources": generic.collect::<Vec<_>>(),
    })
}

fn preferences(preferences: Option<&Value>) -> Vec<Value> {
    let preferences = preferences.and_then(Value::as_array).into_iter().flatten();
    preferences.map(|preference| json!({ "Spread": { "SpreadDescriptor": preference["spread"] } })).collect()
}
