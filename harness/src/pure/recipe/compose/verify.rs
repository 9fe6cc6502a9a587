//! Comparison of the resolved files with the running services, which shows where the resolver and abra differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::resolved::{PortMode, Resolved, Service};
use crate::{
    model::names::{ServiceName, StackName},
    pure::host::converge::{Endpoint, HostPort, Order, ServiceView},
};

/// Whether the kernel of the host has IPVS.
///
/// Without IPVS the sandbox's abra deploys every service with endpoint mode dnsrr, ports in host mode and, where a service
/// publishes ports, with updates that stop first. The comparison expects exactly these changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Services are deployed as their files say.
    Ipvs,
    /// Services are deployed with the changes of the sandbox's abra.
    NoIpvs,
}

/// A difference between the files and a running service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Difference {
    /// The service's name in the compose files.
    pub service: String,
    /// What differs: `service`, `image`, `mode`, `health`, `endpoint`, `update`, `restart`, `host ports` or `label <key>`.
    pub field: String,
    /// The value in the files.
    pub expected: String,
    /// The running value.
    pub live: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, field, expected, live } = self;
        write!(f, "{field} of {service} is {live}, and by its files {expected}")
    }
}

/// The differences between the files and the running services.
///
/// Additional labels of running services do not count, because Docker and abra add some, nor do labels that abra overwrites at
/// each deploy. Variables are not compared, because an observation does not show them.
pub fn compare_with_services(resolved: &Resolved, live: &BTreeMap<ServiceName, ServiceView>, kernel: Kernel) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (short, service) in &resolved.services {
        match live.get(&service.name) {
            Some(view) => differences.extend(compare(short, service, view, kernel, &resolved.stack)),
            None => differences.push(difference(short, "service", "there", "absent")),
        }
    }
    let expected: BTreeSet<&ServiceName> = resolved.services.values().map(|service| &service.name).collect();
    for name in live.keys().filter(|name| !expected.contains(name)) {
        differences.push(difference(resolved.stack.short(name), "service", "absent", "there"));
    }
    differences
}

fn difference(service: &str, field: &str, expected: impl fmt::Display, live: impl fmt::Display) -> Difference {
    Difference { service: service.to_owned(), field: field.to_owned(), expected: expected.to_string(), live: live.to_string() }
}

fn compare(short: &str, service: &Service, live: &ServiceView, kernel: Kernel, stack: &StackName) -> Vec<Difference> {
    let mut differences = Vec::new();
    let service = match kernel {
        Kernel::Ipvs => service.clone(),
        Kernel::NoIpvs => without_ipvs(service.clone()),
    };
    let mut differs = |field: &str, same: bool, expected: String, live: String| {
        if !same {
            differences.push(difference(short, field, expected, live));
        }
    };
    let (image, running) = (familiar_name(service.image.as_str()), familiar_name(live.image.as_str()));
    // The client appends the digest that the registry reports.
    let same = image == running || !image.contains('@') && running.split('@').next() == Some(image.as_str());
    differs("image", same, image.clone(), running.clone());
    differs("mode", service.mode == live.mode, debug(&service.mode), debug(&live.mode));
    differs("health", service.health == live.health, debug(&service.health), debug(&live.health));
    differs("endpoint", service.endpoint == live.endpoint, debug(&service.endpoint), debug(&live.endpoint));
    differs("update", service.roll == live.roll, debug(&service.roll), debug(&live.roll));
    differs("restart", service.restart == live.restart, debug(&service.restart), debug(&live.restart));
    let expected = host_ports(
        service
            .ports
            .iter()
            .filter(|port| port.mode == PortMode::Host)
            .filter_map(|port| Some(HostPort { port: port.published?, protocol: port.protocol.clone() })),
    );
    let running = host_ports(live.host_ports.iter().filter(|port| port.port > 0).cloned());
    differs("host ports", expected == running, expected.clone(), running.clone());
    for (key, expected) in service.labels.iter().filter(|(key, _)| !written_by_abra(key, stack)) {
        let live = live.labels.get(key);
        let shown = live.map_or_else(|| "absent".to_owned(), |live| format!("{live:?}"));
        differs(&format!("label {key}"), live == Some(expected), format!("{expected:?}"), shown);
    }
    differences
}

/// The labels that abra writes at each deploy.
fn written_by_abra(label: &str, stack: &StackName) -> bool {
    let own = label.strip_prefix("coop-cloud.").and_then(|rest| rest.strip_prefix(stack.as_str()));
    matches!(own, Some(".version" | ".recipe" | ".chaos" | ".chaos-version"))
}

/// The service as the sandbox's abra deploys it on a kernel without IPVS.
fn without_ipvs(mut service: Service) -> Service {
    service.endpoint = Endpoint::Dnsrr;
    // The sandbox's abra moves only ports with a published number.
    for port in service.ports.iter_mut().filter(|port| port.mode == PortMode::Ingress && port.published.is_some()) {
        port.mode = PortMode::Host;
        service.roll.order = Order::StopFirst;
    }
    service
}

/// An image's familiar name: without Docker Hub's prefix, and with the default tag.
fn familiar_name(image: &str) -> String {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let name = ["docker.io/", "index.docker.io/"].iter().find_map(|hub| name.strip_prefix(hub)).unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let tagged = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    match digest {
        Some(digest) => format!("{name}@{digest}"),
        None if tagged => name.to_owned(),
        None => format!("{name}:latest"),
    }
}

fn debug(value: &impl fmt::Debug) -> String {
    format!("{value:?}")
}

fn host_ports(ports: impl Iterator<Item = HostPort>) -> String {
    let ports: BTreeSet<String> = ports.map(|port| format!("{}/{}", port.port, port.protocol)).collect();
    match ports.is_empty() {
        true => "none".to_owned(),
        false => ports.into_iter().collect::<Vec<_>>().join(", "),
    }
}
