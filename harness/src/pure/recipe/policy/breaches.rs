//! The privileges that a recipe needs and lacks.

use std::collections::{BTreeMap, BTreeSet};

use crate::pure::recipe::compose::{FoundPath, Mounted, Network, Resolved, Service, Tree, Volume};
use {super::Breach, crate::model::privilege::Privilege};

/// The network of the ingress, which every recipe may join.
pub(super) const PROXY: &str = "proxy";
/// The engine's socket, and the folders above it.
const SOCKET_PLACES: [&str; 6] = ["/", "/var", "/var/run", "/run", "/var/run/docker.sock", "/run/docker.sock"];
/// Log drivers that keep logs on the node or nowhere.
pub(super) const LOG_DRIVERS: [&str; 4] = ["json-file", "local", "journald", "none"];

/// Unmodelled keys without power beyond the stack: keys that stacks ignore, that concern only the container's inside, that the
/// engine keeps within the container's own namespaces (`sysctls`), and that only restrict.
const HARMLESS: [&str; 43] = [
    "services.*.build",
    "services.*.cap_drop",
    "services.*.container_name",
    "services.*.depends_on",
    "services.*.dns",
    "services.*.dns_search",
    "services.*.domainname",
    "services.*.expose",
    "services.*.external_links",
    "services.*.extra_hosts",
    "services.*.hostname",
    "services.*.init",
    "services.*.links",
    "services.*.mac_address",
    "services.*.read_only",
    "services.*.shm_size",
    "services.*.stdin_open",
    "services.*.stop_signal",
    "services.*.sysctls",
    "services.*.tmpfs",
    "services.*.tty",
    "services.*.ulimits",
    "services.*.working_dir",
    "services.*.healthcheck.start_interval",
    "services.*.logging.options",
    "services.*.deploy.placement.preferences",
    "services.*.deploy.placement.max_replicas_per_node",
    "services.*.deploy.rollback_config",
    "services.*.deploy.restart_policy.window",
    "services.*.deploy.resources.limits.pids",
    "services.*.deploy.update_config.max_failure_ratio",
    "services.*.volumes.consistency",
    "services.*.secrets.uid",
    "services.*.secrets.gid",
    "services.*.secrets.mode",
    "services.*.configs.uid",
    "services.*.configs.gid",
    "services.*.configs.mode",
    "services.*.networks.*.driver_opts",
    "services.*.networks.*.ipv4_address",
    "services.*.networks.*.ipv6_address",
    "secrets.*.labels",
    "configs.*.labels",
];

/// The privileges that the recipe needs beyond `allowed`. `tree` resolves the paths of its files.
pub fn breaches(resolved: &Resolved, tree: &Tree, allowed: &BTreeSet<Privilege>) -> Vec<Breach> {
    let mut found = Finding::default();
    for (name, service) in &resolved.services {
        check_service(&mut found, name, service, tree);
    }
    check_networks(&mut found, resolved);
    check_volumes(&mut found, resolved, tree);
    check_files(&mut found, resolved, tree);
    if tree.find("abra.sh") == FoundPath::Outside {
        found.add(Privilege::OutsideFiles, "abra.sh", "is a link that leads out of the recipe's folder");
    }
    for skipped in resolved.skipped.iter().filter(|skipped| !harmless(&skipped.path)) {
        found.add(Privilege::UnknownFields, &skipped.path, "is a key whose power is not known to taster");
    }
    found.beyond(allowed)
}

#[derive(Default)]
pub(super) struct Finding(BTreeSet<Breach>);

impl Finding {
    /// What is not allowed.
    pub(super) fn beyond(self, allowed: &BTreeSet<Privilege>) -> Vec<Breach> {
        self.0.into_iter().filter(|breach| !allowed.contains(&breach.privilege)).collect()
    }

    pub(super) fn add(&mut self, privilege: Privilege, object: &str, asks: impl Into<String>) {
        self.0.insert(Breach { privilege, object: object.to_owned(), asks: asks.into() });
    }
}

fn check_service(found: &mut Finding, name: &str, service: &Service, tree: &Tree) {
    let object = format!("service {name}");
    let mut add = |privilege, asks: String| found.add(privilege, &object, asks);
    if service.privileged {
        add(Privilege::Privileged, "is privileged".to_owned());
    }
    for capability in &service.cap_add {
        add(Privilege::Capabilities, format!("adds the capability {capability}"));
    }
    for device in &service.devices {
        add(Privilege::Capabilities, format!("uses the node's device {device}"));
    }
    for option in service.security_opt.iter().filter(|option| !option.starts_with("no-new-privileges")) {
        add(Privilege::Capabilities, format!("sets the security option {option}"));
    }
    if let Some(parent) = &service.cgroup_parent {
        add(Privilege::Capabilities, format!("is put below the control group {parent}"));
    }
    for (key, value) in [("pid", &service.pid), ("ipc", &service.ipc), ("userns_mode", &service.userns_mode)] {
        if let Some(value) = value.as_deref().filter(|value| !matches!(*value, "private" | "none" | "shareable")) {
            add(Privilege::HostNamespaces, format!("sets {key} to {value}"));
        }
    }
    if let Some(mode) = service.network_mode.as_deref().filter(|mode| !matches!(*mode, "bridge" | "none" | "default")) {
        add(Privilege::HostNetwork, format!("sets network_mode to {mode}"));
    }
    if let Some(driver) = service.log_driver.as_deref().filter(|driver| !LOG_DRIVERS.contains(driver)) {
        add(Privilege::LogDrivers, format!("sends its logs through the driver {driver}"));
    }
    for file in service.env_files.iter().filter(|file| tree.find(file) == FoundPath::Outside) {
        add(Privilege::OutsideFiles, format!("takes variables from {file}, which is outside the recipe's folder"));
    }
    for mount in &service.mounts {
        match &mount.what {
            Mounted::Bind { source, .. } => {
                for privilege in path_privileges(source, tree) {
                    add(privilege, format!("mounts {source} of the node at {}", mount.target));
                }
            }
            Mounted::Other { kind, source } if kind != "image" => {
                add(Privilege::VolumeDrivers, format!("mounts {source} of the kind {kind} at {}", mount.target));
            }
            // Volumes are checked where they are declared. The other kinds start empty or come from an image.
            Mounted::Other { .. } | Mounted::Volume { .. } | Mounted::Anonymous | Mounted::Tmpfs { .. } => {}
        }
    }
}

/// The privilege that a path of the node needs. A relative path that leaves the recipe's folder and a path with a Swarm template
/// may lead anywhere.
pub(super) fn path_privileges(path: &str, tree: &Tree) -> Vec<Privilege> {
    if path.contains("{{") {
        return vec![Privilege::HostBinds, Privilege::DockerSocket];
    }
    if !path.starts_with('/') {
        return match tree.find(path) {
            FoundPath::Outside => vec![Privilege::HostBinds, Privilege::DockerSocket],
            FoundPath::Text(_) | FoundPath::Opaque(_) | FoundPath::Folder | FoundPath::Absent => vec![Privilege::HostBinds],
        };
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let plain = format!("/{}", parts.join("/"));
    if plain.ends_with(".sock") {
        return vec![Privilege::DockerSocket];
    }
    // `/proc/<pid>/root` and the like are links to the node's root.
    match SOCKET_PLACES.contains(&plain.as_str()) || plain.starts_with("/proc/") {
        true => vec![Privilege::HostBinds, Privilege::DockerSocket],
        false => vec![Privilege::HostBinds],
    }
}

fn check_networks(found: &mut Finding, resolved: &Resolved) {
    let used: BTreeSet<&str> =
        resolved.services.values().flat_map(|service| &service.networks).map(|network| network.network.as_str()).collect();
    for (key, network) in resolved.networks.iter().filter(|(key, _)| used.contains(key.as_str())) {
        let Network { name, external, driver, .. } = network;
        let object = format!("network {key}");
        if let Some(driver) = driver.as_deref().filter(|driver| *driver != "overlay") {
            found.add(Privilege::HostNetwork, &object, format!("has the driver {driver}"));
        }
        if name == "host" {
            found.add(Privilege::HostNetwork, &object, "is the node's own network");
        } else if !(resolved.stack.owns(name) || *external && name == PROXY) {
            found.add(Privilege::ExternalNetworks, &object, format!("is {name}, which is not of this stack"));
        }
    }
}

fn check_volumes(found: &mut Finding, resolved: &Resolved, tree: &Tree) {
    let mounts = resolved.services.values().flat_map(|service| &service.mounts);
    let used: BTreeSet<&str> = mounts
        .filter_map(|mount| if let Mounted::Volume { source, .. } = &mount.what { Some(source.as_str()) } else { None })
        .collect();
    for (key, volume) in resolved.volumes.iter().filter(|(key, _)| used.contains(key.as_str())) {
        let Volume { name, driver, driver_opts, .. } = volume;
        let object = format!("volume {key}");
        if !resolved.stack.owns(name) {
            found.add(Privilege::ExternalVolumes, &object, format!("is {name}, which is not of this stack"));
        }
        for (privilege, asks) in volume_uses(driver.as_deref(), driver_opts, tree) {
            found.add(privilege, &object, asks);
        }
    }
}

/// What a volume of this driver with these options needs.
pub(super) fn volume_uses(driver: Option<&str>, opts: &BTreeMap<String, String>, tree: &Tree) -> Vec<(Privilege, String)> {
    if let Some(driver) = driver.filter(|driver| !matches!(*driver, "" | "local")) {
        return vec![(Privilege::VolumeDrivers, format!("has the driver {driver}"))];
    }
    let option = |wanted: &str| opts.get(wanted).map_or("", String::as_str);
    let (kind, device, options) = (option("type"), option("device"), option("o"));
    // The kernel binds by the mount option, whatever the type says, and Swarm fills in templates.
    let binds = options.split(',').any(|option| matches!(option.trim(), "bind" | "rbind" | "move" | "remount"));
    match kind {
        "tmpfs" if !binds && !options.contains("{{") => Vec::new(),
        "nfs" | "nfs4" | "cifs" if !binds && !options.contains("{{") => {
            vec![(Privilege::VolumeDrivers, format!("mounts the network file system {device}"))]
        }
        "" if device.is_empty() && options.is_empty() => Vec::new(),
        _ => {
            // Overlay mounts name folders in their options, and an arbitrary device.
            let named = options.split([',', '=', ':']).filter(|part| part.starts_with('/') || part.contains("{{"));
            let device_too = (binds || kind != "overlay" || named.clone().next().is_none()).then_some(device);
            let asks = format!("mounts {device:?} of the node with type {kind:?} and options {options:?}");
            let privileges = named.chain(device_too).flat_map(|path| device_privileges(path, tree));
            privileges.map(|privilege| (privilege, asks.clone())).collect()
        }
    }
}

/// The privilege that a volume's device needs. A device that is not a path may be anything.
fn device_privileges(device: &str, tree: &Tree) -> Vec<Privilege> {
    match device.starts_with('/') {
        true => path_privileges(device, tree),
        false => vec![Privilege::HostBinds, Privilege::DockerSocket],
    }
}

fn check_files(found: &mut Finding, resolved: &Resolved, tree: &Tree) {
    let outside = |file: &Option<String>| file.clone().filter(|file| tree.find(file) == FoundPath::Outside);
    let secrets = resolved.secrets.iter().map(|(key, secret)| {
        let foreign = (secret.used || !secret.external) && !resolved.stack.owns(&secret.name);
        ("secret", Privilege::ExternalSecrets, key, foreign.then_some(&secret.name), outside(&secret.file))
    });
    let used: BTreeSet<&str> =
        resolved.services.values().flat_map(|service| &service.configs).map(|config| config.source.as_str()).collect();
    let configs = resolved.configs.iter().map(|(key, config)| {
        let foreign = (used.contains(key.as_str()) || !config.external) && !resolved.stack.owns(&config.name);
        ("config", Privilege::ExternalConfigs, key, foreign.then_some(&config.name), outside(&config.file))
    });
    for (kind, privilege, key, foreign, file) in secrets.chain(configs) {
        let object = format!("{kind} {key}");
        if let Some(name) = foreign {
            found.add(privilege, &object, format!("is {name}, which is not of this stack"));
        }
        if let Some(file) = file {
            found.add(Privilege::OutsideFiles, &object, format!("is read from {file}, which is outside the recipe's folder"));
        }
    }
}

/// Whether an unmodelled key has no power beyond the stack. Extensions have none, except the one that Docker reads.
fn harmless(path: &str) -> bool {
    let parts: Vec<&str> = path.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect();
    let extension = parts.len() != 2 && parts.len() <= 3 && parts.last().is_some_and(|last| last.starts_with("x-"));
    if extension {
        return !path.ends_with(".x-cluster-spec");
    }
    HARMLESS.iter().any(|pattern| {
        pattern.split('.').count() == parts.len()
            && pattern.split('.').zip(&parts).all(|(want, part)| want == "*" || want == *part)
    })
}
