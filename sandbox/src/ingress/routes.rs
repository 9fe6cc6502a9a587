//! Which names lead to which service, read from the service's `traefik.*` labels.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::embedded::digest;

/// What of a service decides about its routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    /// Its full name, stack included.
    pub name: String,
    /// The labels of the service, not of its containers.
    pub labels: BTreeMap<String, String>,
    /// Whether its name resolves to its tasks, not to a virtual address.
    pub dnsrr: bool,
}

/// Names that lead to one address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The hosts, in lower case.
    pub hosts: BTreeSet<String>,
    /// Where their requests go: `<name>:<port>`.
    pub dial: String,
}

impl Route {
    /// What the ingress calls it; another content gives another id, so that comparing ids is comparing routes.
    pub fn id(&self) -> String {
        let hosts: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
        format!("route-{}", digest([hosts.join(",").as_bytes(), self.dial.as_bytes()]))
    }

    /// The route as the ingress takes it.
    pub fn to_json(&self) -> Value {
        json!({
            "@id": self.id(),
            "match": [{ "host": self.hosts }],
            "handle": [{ "handler": "reverse_proxy", "upstreams": [{ "dial": self.dial }] }],
            "terminal": true,
        })
    }
}

/// What was made of a service's labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// The routes.
    pub routes: Vec<Route>,
    /// Labels that were not understood, one sentence each.
    pub warnings: Vec<String>,
}

/// The routes that the labels of a service ask for.
pub fn routes(service: &Public) -> Routes {
    let mut out = Routes::default();
    if service.labels.get("traefik.enable").map(|value| value.trim().to_ascii_lowercase()).as_deref() != Some("true") {
        return out;
    }
    let mut routers: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut ports: BTreeMap<&str, &str> = BTreeMap::new();
    for (label, value) in service.labels.iter().filter(|(label, _)| label.starts_with("traefik.")) {
        let parts: Vec<&str> = label.split('.').skip(1).collect();
        match parts[..] {
            ["enable"] | ["docker" | "swarm", "network" | "lbswarm"] => {}
            ["http", "routers", router, "rule"] => drop(routers.entry(router).or_default().insert("rule", value)),
            ["http", "routers", router, "service"] => drop(routers.entry(router).or_default().insert("service", value)),
            // All hosts have TLS here, on one entry point and with one certificate.
            ["http", "routers", _, "entrypoints" | "entryPoints" | "tls" | "priority"] | ["http", "routers", _, "tls", ..] => {}
            ["http", "services", name, "loadbalancer" | "loadBalancer", "server", "port"] => drop(ports.insert(name, value)),
            ["http", "services", _, "loadbalancer" | "loadBalancer", "passhostheader" | "passHostHeader"] => {}
            _ => out.warnings.push(format!("{}: the ingress does not understand the label {label}", service.name)),
        }
    }
    for (router, keys) in routers {
        let Some(rule) = keys.get("rule") else {
            out.warnings.push(format!("{}: the router {router} has no rule", service.name));
            continue;
        };
        let hosts = match hosts(rule) {
            Ok(hosts) => hosts,
            Err(what) => {
                let label = format!("traefik.http.routers.{router}.rule");
                out.warnings.push(format!("{}: the ingress does not understand the label {label}: {what}", service.name));
                continue;
            }
        };
        let port = match keys.get("service").or(Some(&router)).and_then(|name| ports.get(name.trim_end_matches("@swarm"))) {
            Some(port) => Some(port),
            // One service for all routers needs no name.
            None if ports.len() == 1 && !keys.contains_key("service") => ports.values().next(),
            None => None,
        };
        match port.map(|port| port.trim().parse::<u16>()) {
            Some(Ok(port)) if port > 0 => {
                // A virtual address needs IPVS in the kernel; the tasks' own addresses are always right.
                let name = if service.dnsrr { service.name.clone() } else { format!("tasks.{}", service.name) };
                out.routes.push(Route { hosts, dial: format!("{name}:{port}") });
            }
            Some(_) => out.warnings.push(format!("{}: the port of the router {router} is no number", service.name)),
            None => out.warnings.push(format!("{}: no loadbalancer.server.port for the router {router}", service.name)),
        }
    }
    out
}

/// What of a router's rule is not supported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A matcher other than `Host`.
    #[error("{0} instead of Host")]
    OtherMatcher(String),
    /// Text where `Host(…)` was expected.
    #[error("{0:?} is no Host(…)")]
    NotAMatcher(String),
    /// A bracket without its end.
    #[error("a bracket is not closed")]
    Unclosed,
    /// An argument of `Host` without quotes.
    #[error("{0:?} is no host in quotes")]
    NotQuoted(String),
    /// A name that cannot be a host.
    #[error("{0:?} is no host")]
    NotAHost(String),
    /// Text after the last host, such as `&&`.
    #[error("{0:?} after the hosts")]
    Rest(String),
}

/// The hosts of a rule: ``Host(`a`, `b`) || Host(`c`)``.
pub fn hosts(rule: &str) -> Result<BTreeSet<String>, RuleError> {
    let mut hosts = BTreeSet::new();
    let mut rest = rule.trim();
    loop {
        let inside = rest.strip_prefix("Host").map(str::trim_start).and_then(|text| text.strip_prefix('(')).ok_or_else(|| {
            let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '!').collect();
            if word.is_empty() { RuleError::NotAMatcher(rest.to_owned()) } else { RuleError::OtherMatcher(word) }
        })?;
        let (list, after) = inside.split_once(')').ok_or(RuleError::Unclosed)?;
        for item in list.split(',').map(str::trim) {
            let host = ['`', '"', '\'']
                .iter()
                .find_map(|quote| item.strip_prefix(*quote)?.strip_suffix(*quote))
                .ok_or_else(|| RuleError::NotQuoted(item.to_owned()))?
                .trim()
                .to_ascii_lowercase();
            let valid = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
            if host.is_empty() || !host.chars().all(valid) {
                return Err(RuleError::NotAHost(host));
            }
            hosts.insert(host);
        }
        rest = after.trim_start();
        match rest.strip_prefix("||") {
            Some(next) => rest = next.trim_start(),
            None if rest.is_empty() => return Ok(hosts),
            None => return Err(RuleError::Rest(rest.to_owned())),
        }
    }
}

/// What to change so that the ingress has just the wanted routes: what to load, and the ids to delete. Routes that are
/// right stay untouched, as each change closes open websockets.
pub fn changes(loaded: &BTreeSet<String>, wanted: &[Route]) -> (Vec<Route>, Vec<String>) {
    let ids: BTreeSet<String> = wanted.iter().map(Route::id).collect();
    let mut load: Vec<Route> = wanted.iter().filter(|route| !loaded.contains(&route.id())).cloned().collect();
    load.sort();
    load.dedup();
    (load, loaded.difference(&ids).cloned().collect())
}
