//! The resolver held against what is live, so that nobody trusts it where it reads files otherwise than abra did.

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
/// Where it has not, the sandbox's abra deploys every service with its name resolving to its tasks, with ports in host mode
/// and, where a service publishes ports, with updates that stop first. That is known before, so it is expected then, and
/// not merely forgiven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Services are deployed as their files say.
    Ipvs,
    /// Services are deployed with what the sandbox's abra changes.
    NoIpvs,
}

/// Something that is live otherwise than the files say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Difference {
    /// The service, by the name that the files give it.
    pub service: String,
    /// What differs: `service`, `image`, `mode`, `health`, `endpoint`, `update`, `restart`, `host ports` or `label <key>`.
    pub field: String,
    /// What the files say.
    pub expected: String,
    /// What is live.
    pub live: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, field, expected, live } = self;
        write!(f, "{field} of {service} is {live}, and by its files {expected}")
    }
}

/// What is live in the stack otherwise than its files say.
///
/// Labels that are live and not in the files do not count: Docker and abra add some. Nor do the labels in the files that
/// abra writes over at each deploy. Variables are not compared, for a look does not show them.
pub fn calibrate(resolved: &Resolved, live: &BTreeMap<ServiceName, ServiceView>, kernel: Kernel) -> Vec<Difference> {
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
    let (image, running) = (familiar(service.image.as_str()), familiar(live.image.as_str()));
    // The client adds the digest that it finds in the registry.
    let same = image == running || !image.contains('@') && running.split('@').next() == Some(image.as_str());
    differs("image", same, image.clone(), running.clone());
    differs("mode", service.mode == live.mode, said(&service.mode), said(&live.mode));
    differs("health", service.health == live.health, said(&service.health), said(&live.health));
    differs("endpoint", service.endpoint == live.endpoint, said(&service.endpoint), said(&live.endpoint));
    differs("update", service.roll == live.roll, said(&service.roll), said(&live.roll));
    differs("restart", service.restart == live.restart, said(&service.restart), said(&live.restart));
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

/// The labels of a service that abra writes at each deploy, whatever the files say.
fn written_by_abra(label: &str, stack: &StackName) -> bool {
    let own = label.strip_prefix("coop-cloud.").and_then(|rest| rest.strip_prefix(stack.as_str()));
    matches!(own, Some(".version" | ".recipe" | ".chaos" | ".chaos-version"))
}

/// What the sandbox's abra makes of a service on a kernel without IPVS.
fn without_ipvs(mut service: Service) -> Service {
    service.endpoint = Endpoint::Dnsrr;
    // A port without a number of its own is none that it could move.
    for port in service.ports.iter_mut().filter(|port| port.mode == PortMode::Ingress && port.published.is_some()) {
        port.mode = PortMode::Host;
        service.roll.order = Order::StopFirst;
    }
    service
}

/// An image's name as Docker shows it: without what stands for its own hub, and with the tag that is meant without any.
fn familiar(image: &str) -> String {
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

fn said(value: &impl fmt::Debug) -> String {
    format!("{value:?}")
}

fn host_ports(ports: impl Iterator<Item = HostPort>) -> String {
    let ports: BTreeSet<String> = ports.map(|port| format!("{}/{}", port.port, port.protocol)).collect();
    match ports.is_empty() {
        true => "none".to_owned(),
        false => ports.into_iter().collect::<Vec<_>>().join(", "),
    }
}
