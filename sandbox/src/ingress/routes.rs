//! Routes of the ingress, derived from the `traefik.*` labels of services. Pure.
//!
//! An answer that passes a route without all that the labels ask for has a header that names the rest. A run then says that the
//! sandbox does not show what the recipe does.

use std::collections::{BTreeMap, BTreeSet};

use formats::traefik::{
    labels::{Backend, Router, Routing},
    rule::{Hosts, Node, Rule},
};
use serde_json::{Value, json};

use super::{HEADER, WITHOUT_HEADER, matcher, middleware};
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

/// A router of the ingress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The priority: of two routes that take a request, the one with the higher priority gets it.
    pub priority: i64,
    /// The matcher of Caddy.
    pub matcher: Value,
    /// What happens to a request on its way: the middlewares.
    pub handlers: Vec<Value>,
    /// The address of the service, `<name>:<port>`, and how it is spoken to. Without one the ingress itself answers that it
    /// cannot do what the labels ask for.
    pub target: Option<(String, Backend)>,
    /// What of the labels is left out.
    pub without: BTreeSet<String>,
    /// What the rule takes, for logs.
    pub rule: String,
}

impl Route {
    /// Its id in the ingress. It begins with the priority, and ends in a digest of the content, so that equal ids mean equal
    /// routes.
    pub fn id(&self) -> String {
        let content = self.content().to_string();
        format!("route-{}-{}", self.priority, digest([content.as_bytes()]))
    }

    /// The route in the configuration of Caddy.
    pub fn to_json(&self) -> Value {
        let mut route = self.content();
        route["@id"] = json!(self.id());
        route
    }

    fn content(&self) -> Value {
        let mut handlers = self.handlers.clone();
        if !self.without.is_empty() {
            // A header has one line.
            let names: Vec<String> = self.without.iter().map(|name| name.replace(['\n', '\r', '{', '}'], " ")).collect();
            handlers.insert(
                0,
                json!({ "handler": "headers", "response": { "deferred": true, "set": keyed(WITHOUT_HEADER, json!(names)) } }),
            );
        }
        handlers.push(self.target.as_ref().map_or_else(unsupported, |(dial, backend)| proxy(dial, backend)));
        json!({ "match": [self.matcher], "handle": handlers, "terminal": true })
    }
}

/// The answer of a route that leads nowhere.
fn unsupported() -> Value {
    json!({
        "handler": "static_response", "status_code": "501", "headers": keyed(HEADER, json!(["unsupported"])),
        "body": "The ingress cannot do what the labels of the app ask for.\n",
    })
}

fn proxy(dial: &str, backend: &Backend) -> Value {
    let mut proxy = json!({ "handler": "reverse_proxy", "upstreams": [{ "dial": dial }] });
    match backend.scheme.as_str() {
        "https" => proxy["transport"] = json!({ "protocol": "http", "tls": {} }),
        "h2c" => proxy["transport"] = json!({ "protocol": "http", "versions": ["h2c"] }),
        _ => {}
    }
    if !backend.pass_host_header {
        proxy["headers"] = json!({ "request": { "set": { "Host": ["{http.reverse_proxy.upstream.hostport}"] } } });
    }
    proxy
}

fn keyed(key: &str, value: Value) -> Value {
    Value::Object(serde_json::Map::from_iter([(key.to_owned(), value)]))
}

/// The priority in the id of a route; `None` for an id of another form.
fn priority_of(id: &str) -> Option<i64> {
    let rest = id.strip_prefix("route-")?;
    rest.rsplit_once('-')?.0.parse().ok()
}

/// The result of [`routes`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// The routes.
    pub routes: Vec<Route>,
    /// Labels that ask for something else than the routes do, one sentence each.
    pub warnings: Vec<String>,
}

/// The routes that the labels of all services ask for. A router may lead to the service of another Swarm service, and pass its
/// middlewares.
pub fn routes(services: &[PublicService]) -> Routes {
    let mut out = Routes::default();
    let mut read: Vec<(&PublicService, Routing)> = Vec::new();
    for service in services {
        match Routing::of(&service.name, &service.labels) {
            Ok(routing) => read.extend(routing.map(|routing| (service, routing))),
            Err(error) => out.warnings.push(format!("{}: no router, for {error}", service.name)),
        }
    }
    for (service, routing) in &read {
        for (name, router) in &routing.routers {
            let warn = |what: &str| format!("{}: router {name}: {what}", service.name);
            match route(&read, service, router) {
                Ok(route) => {
                    out.warnings.extend(route.without.iter().map(|what| warn(&format!("the ingress leaves out {what}"))));
                    out.routes.push(route);
                }
                Err(why) => out.warnings.push(warn(&why)),
            }
        }
    }
    out
}

/// The route of one router, or why it has none.
fn route(all: &[(&PublicService, Routing)], service: &PublicService, router: &Router) -> Result<Route, String> {
    let mut without = Vec::new();
    let rules = router.rules().map_err(|error| format!("no route for the rule {}: {error}", router.rule))?;
    let matcher = matcher_of(&rules, &mut without);
    if !without.is_empty() && rules.iter().any(|rule| rule.hosts() == Hosts::Any) {
        return Err(format!("no route for the rule {}, which names no host: {}", router.rule, without.join(", ")));
    }
    let mut handlers = Vec::new();
    for middleware in &router.middlewares {
        add_middleware(all, service, middleware, 0, &mut handlers, &mut without)?;
    }
    let target = match local(&router.service) {
        Some(name) => Some(target(all, service, name)?),
        None => {
            without.push(format!("the service {} of another provider", router.service));
            None
        }
    };
    Ok(Route {
        priority: router.effective_priority(),
        matcher,
        handlers,
        target,
        without: without.into_iter().collect(),
        rule: router.rule.clone(),
    })
}

/// The matcher for a rule. The syntax that Traefik would use is unknown, so where both accept the rule, either takes a request.
fn matcher_of(rules: &[Rule], without: &mut Vec<String>) -> Value {
    let mut roots: Vec<&Node> = rules.iter().map(Rule::root).collect();
    roots.dedup();
    let mut sets: Vec<Value> = roots.iter().map(|root| matcher::matcher_set(root, without)).collect();
    if sets.len() == 1 { sets.remove(0) } else { matcher::any(sets) }
}

/// The address behind a service of Traefik, of the same labels or else of others.
fn target(all: &[(&PublicService, Routing)], own: &PublicService, name: &str) -> Result<(String, Backend), String> {
    let own_first = all.iter().filter(|(service, _)| service.name == own.name).chain(all);
    let mut found = own_first.filter_map(|(service, routing)| Some((service, routing.services.get(name)?)));
    let (behind, backend) = found.next().ok_or_else(|| format!("there is no service {name}"))?;
    if !["http", "https", "h2c"].contains(&backend.scheme.as_str()) {
        return Err(format!("{} is no scheme", backend.scheme));
    }
    // A virtual address needs IPVS in the kernel; the addresses of the tasks always work.
    let host = if behind.dnsrr { behind.name.clone() } else { format!("tasks.{}", behind.name) };
    let port: u16 = backend.port.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("{:?} is no port", backend.port))?;
    Ok((format!("{host}:{port}"), backend.clone()))
}

/// The name without the provider, if that is the one that reads labels.
fn local(name: &str) -> Option<&str> {
    match name.split_once('@') {
        None => Some(name),
        Some((bare, "swarm" | "docker")) => Some(bare),
        Some(_) => None,
    }
}

/// Adds the handlers of a middleware, or of those that it is a chain of. One that no service has may be there on a server, where
/// Traefik's own stack has some.
fn add_middleware(
    all: &[(&PublicService, Routing)],
    own: &PublicService,
    name: &str,
    depth: u8,
    handlers: &mut Vec<Value>,
    without: &mut Vec<String>,
) -> Result<(), String> {
    let Some(bare) = local(name) else {
        without.push(format!("the middleware {name} of another provider"));
        return Ok(());
    };
    let own_first = all.iter().filter(|(service, _)| service.name == own.name).chain(all);
    let found = own_first.filter_map(|(_, routing)| routing.middlewares.get(bare)).next();
    let Some(found) = found else {
        without.push(format!("the middleware {name}, which no service here has"));
        return Ok(());
    };
    match found.at(&["chain"]) {
        Some(_) if depth > 8 => Err(format!("the middleware {name} is a chain of itself")),
        Some(chain) => {
            chain.list(&["middlewares"]).iter().try_for_each(|link| add_middleware(all, own, link, depth + 1, handlers, without))
        }
        None => {
            handlers.extend(middleware::handlers(bare, found, without));
            Ok(())
        }
    }
}

/// One change of the ingress's list of routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The route with this id goes.
    Delete(String),
    /// A route comes, at this place of the list.
    Insert(usize, Box<Route>),
}

/// The changes that give the ingress exactly the wanted routes, in the order of their priorities. Of two with one priority, the
/// one that was there first stays first. Correct routes stay untouched, because each change closes open websockets.
pub fn changes(loaded: &[String], wanted: &[Route]) -> Vec<Change> {
    let ids: BTreeMap<String, &Route> = wanted.iter().map(|route| (route.id(), route)).collect();
    let is_kept = |id: &String| ids.contains_key(id) && priority_of(id).is_some();
    let mut changes: Vec<Change> = loaded.iter().filter(|id| !is_kept(id)).cloned().map(Change::Delete).collect();
    let mut list: Vec<String> = loaded.iter().filter(|id| is_kept(id)).cloned().collect();
    for (id, route) in ids {
        if list.contains(&id) {
            continue;
        }
        let place = list.iter().position(|other| priority_of(other) < Some(route.priority)).unwrap_or(list.len());
        list.insert(place, id);
        changes.push(Change::Insert(place, Box::new(route.clone())));
    }
    changes
}
