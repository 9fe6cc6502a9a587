//! The privileges that what runs has and the host file does not allow.
//!
//! The spec of the engine decides here, not the files: whatever way it came about, a service with more power than policy allows
//! may not go on running.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Breach,
    breaches::{Finding, LOG_DRIVERS, PROXY, path_privileges, volume_uses},
    routes::Own,
};
use crate::{
    model::{
        names::{Domain, StackName},
        privilege::Privilege,
    },
    pure::recipe::{compose::Tree, power::Live},
};

/// Modes of a kernel filter that restrict at least as much as Docker's default.
const RESTRICTING: [&str; 2] = ["", "default"];

/// The privileges beyond `allowed` that the services of the stack have, as the engine shows them.
pub fn live_breaches(live: &Live, stack: &StackName, domain: &Domain, allowed: &BTreeSet<Privilege>) -> Vec<Breach> {
    let mut found = Finding::default();
    let own = Own { stack, domain };
    let routed: BTreeSet<String> = live.services.iter().flat_map(|spec| own.named_services(&pairs(&spec["Labels"]))).collect();
    for spec in &live.services {
        check(&mut found, spec, live, stack);
        check_routes(&mut found, spec, live, own, &routed);
    }
    found.beyond(allowed)
}

fn check(found: &mut Finding, spec: &Value, live: &Live, stack: &StackName) {
    let name = spec["Name"].as_str().unwrap_or_default();
    let object = format!("service {}", name.strip_prefix(&format!("{stack}_")).unwrap_or(name));
    let mut add = |privilege, asks: String| found.add(privilege, &object, format!("runs and {asks}"));
    let task = &spec["TaskTemplate"];
    let container = &task["ContainerSpec"];
    for capability in texts(&container["CapabilityAdd"]) {
        add(Privilege::Capabilities, format!("has the capability {capability}"));
    }
    for filter in ["Seccomp", "AppArmor"] {
        let mode = container["Privileges"][filter]["Mode"].as_str().unwrap_or_default();
        if !RESTRICTING.contains(&mode) {
            add(Privilege::Capabilities, format!("has {filter} in mode {mode}"));
        }
    }
    for context in ["SELinuxContext", "CredentialSpec"].iter().filter(|key| !container["Privileges"][**key].is_null()) {
        add(Privilege::Capabilities, format!("has a {context}"));
    }
    if container["OomScoreAdj"].as_i64().is_some_and(|score| score < 0) {
        add(Privilege::UnknownFields, format!("has OomScoreAdj {}", container["OomScoreAdj"]));
    }
    for kind in ["PluginSpec", "NetworkAttachmentSpec"].iter().filter(|kind| !task[**kind].is_null()) {
        add(Privilege::Privileged, format!("is no container but has a {kind}"));
    }
    if let Some(driver) = task["LogDriver"]["Name"].as_str().filter(|driver| !driver.is_empty() && !LOG_DRIVERS.contains(driver))
    {
        add(Privilege::LogDrivers, format!("sends its logs through the driver {driver}"));
    }
    for network in list(&task["Networks"]).iter().chain(list(&spec["Networks"])) {
        let target = network["Target"].as_str().unwrap_or_default();
        let Some(network) = live.network_name(target).and_then(|name| live.network(name)) else {
            add(Privilege::ExternalNetworks, format!("is on a network that the engine does not show: {target}"));
            continue;
        };
        let (name, driver) = (network["Name"].as_str().unwrap_or_default(), network["Driver"].as_str().unwrap_or_default());
        if name == "host" || driver != "overlay" {
            add(Privilege::HostNetwork, format!("is on the network {name} of the driver {driver}"));
        } else if name != PROXY && !stack.owns(name) {
            add(Privilege::ExternalNetworks, format!("is on the network {name}, which is not of this stack"));
        }
    }
    for (kind, key, privilege) in
        [("secret", "SecretName", Privilege::ExternalSecrets), ("config", "ConfigName", Privilege::ExternalConfigs)]
    {
        let uses = list(&container[if kind == "secret" { "Secrets" } else { "Configs" }]);
        for name in uses.iter().filter_map(|used| used[key].as_str()).filter(|name| !stack.owns(name)) {
            add(privilege, format!("has the {kind} {name}, which is not of this stack"));
        }
    }
    let volumes = live.volumes();
    for mount in list(&container["Mounts"]) {
        for (privilege, asks) in mount_uses(mount, &volumes, stack) {
            add(privilege, asks);
        }
    }
}

/// The routers and aliases that could catch others' visitors.
fn check_routes(found: &mut Finding, spec: &Value, live: &Live, own: Own<'_>, routed: &BTreeSet<String>) {
    let name = spec["Name"].as_str().unwrap_or_default();
    let short = name.strip_prefix(&format!("{}_", own.stack)).unwrap_or(name);
    let task = &spec["TaskTemplate"];
    let mut uses = Vec::new();
    for labels in [&spec["Labels"], &task["ContainerSpec"]["Labels"]] {
        uses.extend(own.label_uses(&pairs(labels), routed));
    }
    for network in list(&task["Networks"]) {
        let network_name = live.network_name(network["Target"].as_str().unwrap_or_default()).unwrap_or_default();
        if !own.stack.owns(network_name) {
            uses.extend(own.alias_uses(short, texts(&network["Aliases"]), network_name));
        }
    }
    for asks in uses {
        found.add(Privilege::ForeignRoutes, &format!("service {short}"), format!("runs and {asks}"));
    }
}

/// What a mount needs. A volume that is there already is what its driver made of it, whatever the service says.
fn mount_uses(mount: &Value, volumes: &BTreeMap<&str, &Value>, stack: &StackName) -> Vec<(Privilege, String)> {
    let text = |key: &str| mount[key].as_str().unwrap_or_default();
    let (source, target) = (text("Source"), text("Target"));
    // No path of a spec is relative to the recipe's folder.
    let nothing = Tree::default();
    match text("Type") {
        "tmpfs" | "image" => Vec::new(),
        "volume" => {
            let config = &mount["VolumeOptions"]["DriverConfig"];
            let there = volumes.get(source).map(|volume| (&volume["Driver"], &volume["Options"]));
            let mut uses: Vec<(Privilege, String)> = [Some((&config["Name"], &config["Options"])), there]
                .into_iter()
                .flatten()
                .flat_map(|(driver, options)| volume_uses(driver.as_str(), &pairs(options), &nothing))
                .map(|(privilege, asks)| (privilege, format!("has a volume at {target} that {asks}")))
                .collect();
            if !source.is_empty() && !stack.owns(source) {
                uses.push((Privilege::ExternalVolumes, format!("has the volume {source}, which is not of this stack")));
            }
            uses
        }
        "bind" => {
            let privileges = path_privileges(source, &nothing).into_iter();
            privileges.map(|privilege| (privilege, format!("mounts {source} of the node at {target}"))).collect()
        }
        kind => vec![(Privilege::VolumeDrivers, format!("mounts {source} of the kind {kind} at {target}"))],
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    list(value).iter().filter_map(Value::as_str)
}

fn pairs(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}
