//! Routes of the ingress, derived from the `traefik.*` labels of services. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::rule::hosts_of_rule;
use crate::embedded::digest;

/// The facts about a service that decide its routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicService {
    /// Its full name, `<stack>_<service>`.
    pub name: String,
    /// The labels of the service, not those of its containers.
    pub labels: BTreeMap<String, String>,
    /// Whether its endpoint mode is dnsrr: its name resolves to its tasks, and it has no virtual address.
    pub dnsrr: bool,
}

/// A set of hosts with the address that serves them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The hosts, in lower case.
    pub hosts: BTreeSet<String>,
    /// The address of the service, `<name>:<port>`.
    pub dial: String,
}

impl Route {
    /// Its id in the ingress. The id is a digest of the content, so that equal ids mean equal routes.
    pub fn id(&self) -> String {
        let hosts: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
        format!("route-{}", digest([hosts.join(",").as_bytes(), self.dial.as_bytes()]))
    }

    /// The route in the configuration of Caddy.
    pub fn to_json(&self) -> Value {
        json!({
            "@id": self.id(),
            "match": [{ "host": self.hosts }],
            "handle": [{ "handler": "reverse_proxy", "upstreams": [{ "dial": self.dial }] }],
            "terminal": true,
        })
    }
}

/// The result of [`routes`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// The routes.
    pub routes: Vec<Route>,
    /// Labels that are not supported, one sentence each.
    pub warnings: Vec<String>,
}

/// The routers and load balancer ports in the labels of one service.
#[derive(Default)]
struct Routers<'a> {
    /// `rule` and `service` by the name of the router.
    keys: BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>,
    /// `loadbalancer.server.port` by the name of the Traefik service.
    ports: BTreeMap<&'a str, &'a str>,
    /// Labels that are not supported.
    unsupported: Vec<&'a str>,
}

impl<'a> Routers<'a> {
    fn parse(labels: &'a BTreeMap<String, String>) -> Self {
        let mut found = Self::default();
        for (label, value) in labels.iter().filter(|(label, _)| label.starts_with("traefik.")) {
            let parts: Vec<&str> = label.split('.').skip(1).collect();
            match parts[..] {
                ["enable"] | ["docker" | "swarm", "network" | "lbswarm"] => {}
                ["http", "routers", router, key @ ("rule" | "service")] => {
                    found.keys.entry(router).or_default().insert(key, value);
                }
                // All hosts share one entry point and one certificate.
                ["http", "routers", _, "entrypoints" | "entryPoints" | "tls" | "priority"]
                | ["http", "routers", _, "tls", ..] => {}
                ["http", "services", name, "loadbalancer" | "loadBalancer", "server", "port"] => {
                    found.ports.insert(name, value);
                }
                ["http", "services", _, "loadbalancer" | "loadBalancer", "passhostheader" | "passHostHeader"] => {}
                _ => found.unsupported.push(label),
            }
        }
        found
    }

    /// The port that a router leads to. A single Traefik service serves every router that names none.
    fn port_of(&self, router: &str, service: Option<&&str>) -> Option<&str> {
        let name = service.copied().unwrap_or(router).trim_end_matches("@swarm");
        let only = || self.ports.values().next().filter(|_| self.ports.len() == 1 && service.is_none());
        self.ports.get(name).or_else(only).copied()
    }
}

/// The routes that the labels of a service ask for. Without `traefik.enable=true` there are none.
pub fn routes(service: &PublicService) -> Routes {
    let mut out = Routes::default();
    if service.labels.get("traefik.enable").map(|value| value.trim().to_ascii_lowercase()).as_deref() != Some("true") {
        return out;
    }
    let found = Routers::parse(&service.labels);
    let unsupported = |label: &str| format!("the ingress does not understand the label {label}");
    let mut warnings: Vec<String> = found.unsupported.iter().map(|label| unsupported(label)).collect();
    // A virtual address needs IPVS in the kernel; the addresses of the tasks always work.
    let name = if service.dnsrr { service.name.clone() } else { format!("tasks.{}", service.name) };
    for (router, keys) in &found.keys {
        let Some(rule) = keys.get("rule") else {
            warnings.push(format!("the router {router} has no rule"));
            continue;
        };
        let hosts = match hosts_of_rule(rule) {
            Ok(hosts) => hosts,
            Err(error) => {
                warnings.push(format!("{}: {error}", unsupported(&format!("traefik.http.routers.{router}.rule"))));
                continue;
            }
        };
        match found.port_of(router, keys.get("service")).map(|port| port.trim().parse::<u16>()) {
            Some(Ok(port)) if port > 0 => out.routes.push(Route { hosts, dial: format!("{name}:{port}") }),
            Some(_) => warnings.push(format!("the port of the router {router} is not a number")),
            None => warnings.push(format!("no loadbalancer.server.port for the router {router}")),
        }
    }
    out.warnings = warnings.into_iter().map(|warning| format!("{}: {warning}", service.name)).collect();
    out
}

/// The changes that give the ingress exactly the wanted routes: the routes to load, and the ids to delete. Correct routes
/// stay untouched, because each change closes open websockets.
pub fn changes(loaded: &BTreeSet<String>, wanted: &[Route]) -> (Vec<Route>, Vec<String>) {
    let ids: BTreeSet<String> = wanted.iter().map(Route::id).collect();
    let mut load: Vec<Route> = wanted.iter().filter(|route| !loaded.contains(&route.id())).cloned().collect();
    load.sort();
    load.dedup();
    (load, loaded.difference(&ids).cloned().collect())
}
