//! The labels of a Swarm service as Traefik reads them: its routers, the services behind these, and middlewares.
//!
//! Traefik reads all labels of a service or none: one that it does not know takes all routers of the service away.

mod schema;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;

pub use tree::Node;

use self::schema::{CONFIGURATION, PROVIDER};
use super::rule::{Rule, RuleError, Syntax};

/// What the labels of a service ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routing {
    /// The HTTP routers by name.
    pub routers: BTreeMap<String, Router>,
    /// The ports and schemes of the services behind the routers, by the name of the service in Traefik.
    pub services: BTreeMap<String, Backend>,
    /// The HTTP middlewares by name.
    pub middlewares: BTreeMap<String, Node>,
    /// Whether there are TCP or UDP routers or services, whose labels are not looked into.
    pub streams: bool,
}

/// A router.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Router {
    /// Its rule.
    pub rule: String,
    /// The syntax that its label `rulesyntax` names; empty without that label.
    pub syntax: String,
    /// Its priority; 0 stands for the length of the rule.
    pub priority: i64,
    /// The service in Traefik that it leads to.
    pub service: String,
    /// The middlewares that its requests pass, in this order.
    pub middlewares: Vec<String>,
    /// The entry points that it listens on; empty for the default ones.
    pub entry_points: Vec<String>,
    /// Whether it is for TLS.
    pub tls: bool,
}

/// A load balancer over the tasks of a Swarm service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backend {
    /// The port of the tasks.
    pub port: String,
    /// The scheme that the tasks speak.
    pub scheme: String,
    /// Whether the tasks see the host that the client asked.
    pub pass_host_header: bool,
}

/// Why a service with labels for Traefik has no router at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// A label that Traefik does not know, or a value that it cannot read.
    #[error("{0}")]
    Label(String),
    /// A load balancer without a port. A Swarm service exposes none by itself.
    #[error("the service {0} of Traefik has no label loadbalancer.server.port")]
    NoPort(String),
}

impl Router {
    /// Its priority as Traefik compares it: a higher one comes first.
    pub fn effective_priority(&self) -> i64 {
        if self.priority == 0 { i64::try_from(self.rule.len()).unwrap_or(i64::MAX) } else { self.priority }
    }

    /// Its rule, in the syntax of its label or else in each that accepts it.
    ///
    /// # Errors
    /// As [`Rule::readings`].
    pub fn rules(&self) -> Result<Vec<Rule>, RuleError> {
        match Syntax::of_label(&self.syntax) {
            Some(syntax) => Rule::parse(&self.rule, syntax).map(|rule| vec![rule]),
            None => Rule::readings(&self.rule),
        }
    }
}

impl Routing {
    /// What the labels of the Swarm service `name` ask for; `None` when they do not enable Traefik.
    ///
    /// # Errors
    /// When Traefik takes none of its routers.
    pub fn of(name: &str, labels: &BTreeMap<String, String>) -> Result<Option<Self>, LabelError> {
        if !is_enabled(labels)? {
            return Ok(None);
        }
        let filters = ["traefik.http", "traefik.tcp", "traefik.udp", "traefik.tls.stores.default"];
        let root = Node::of(labels, &filters)?;
        if let Some(root) = &root {
            schema::check_fields(root, &CONFIGURATION)?;
        }
        let root = root.unwrap_or_default();
        let part = |path: &[&str]| root.at(path).map(|node| node.children.as_slice()).unwrap_or_default();
        let mut routing = Self {
            routers: part(&["http", "routers"]).iter().map(|node| (node.name.clone(), router(node))).collect(),
            services: BTreeMap::new(),
            middlewares: part(&["http", "middlewares"]).iter().map(|node| (node.name.clone(), node.clone())).collect(),
            streams: ["tcp", "udp"]
                .iter()
                .any(|kind| !part(&[kind, "routers"]).is_empty() || !part(&[kind, "services"]).is_empty()),
        };
        let http = !routing.routers.is_empty() || !routing.middlewares.is_empty() || !part(&["http", "services"]).is_empty();
        if routing.streams && !http {
            return Ok(Some(routing));
        }
        for node in part(&["http", "services"]) {
            routing.services.insert(node.name.clone(), backend(node)?);
        }
        let own = normalized(name);
        if routing.services.is_empty() {
            return Err(LabelError::NoPort(own));
        }
        routing.complete(&own);
        Ok(Some(routing))
    }

    /// Adds what Traefik takes by default: a router and a rule where they are absent, and the only service.
    fn complete(&mut self, own: &str) {
        let only = (self.services.len() == 1).then(|| self.services.keys().next().cloned()).flatten();
        if self.routers.is_empty() && only.is_some() {
            self.routers.insert(own.to_owned(), Router::default());
        }
        self.routers.retain(|_, router| !router.service.is_empty() || only.is_some());
        for router in self.routers.values_mut() {
            if router.rule.is_empty() {
                router.rule = format!("Host(`{own}`)");
            }
            if router.service.is_empty() {
                router.service = only.clone().unwrap_or_default();
            }
        }
    }
}

/// Whether the labels enable Traefik, which takes no service by itself.
fn is_enabled(labels: &BTreeMap<String, String>) -> Result<bool, LabelError> {
    let Some(root) = Node::of(labels, &["traefik.docker.", "traefik.enable"])? else { return Ok(false) };
    schema::check_fields(&root, &PROVIDER)?;
    Ok(root.at(&["enable"]).is_some_and(|node| schema::flag(&node.value) == Some(true)))
}

fn router(node: &Node) -> Router {
    let tls = node.at(&["tls"]);
    Router {
        rule: node.text(&["rule"]),
        syntax: node.text(&["rulesyntax"]),
        priority: node.text(&["priority"]).parse().unwrap_or_default(),
        service: node.text(&["service"]),
        middlewares: node.list(&["middlewares"]),
        entry_points: node.list(&["entrypoints"]),
        tls: tls.is_some_and(|tls| tls.value.is_empty() || tls.value.eq_ignore_ascii_case("true")),
    }
}

fn backend(node: &Node) -> Result<Backend, LabelError> {
    let port = node.text(&["loadbalancer", "server", "port"]);
    if port.is_empty() {
        return Err(LabelError::NoPort(node.name.clone()));
    }
    let scheme = node.at(&["loadbalancer", "server", "scheme"]).map_or_else(|| "http".to_owned(), |node| node.value.clone());
    let pass = node.at(&["loadbalancer", "passhostheader"]).and_then(|node| schema::flag(&node.value));
    Ok(Backend { port, scheme, pass_host_header: pass.unwrap_or(true) })
}

/// A name with each run of other characters than letters and numbers as one hyphen.
fn normalized(name: &str) -> String {
    name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}
