//! Who else may answer under the app's name.
//!
//! An ingress finds the app by the router rules of all services, and by names that a network resolves. Another service that has
//! such a rule or such a name answers some or all requests, and an answer then says nothing about the app.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use formats::traefik::rule::{Request, Rule, RuleError, Syntax, Takes};

use crate::model::names::StackName;

/// A service of the Swarm, or a container that belongs to none, as far as it decides who answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exposure {
    /// Its name: `shop_app`.
    pub name: String,
    /// Its stack.
    pub stack: Option<StackName>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The names under which each of its networks resolves it, by the id of the network.
    pub networks: BTreeMap<String, BTreeSet<String>>,
}

/// Another service or container that may answer in the app's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Impostor {
    /// Its name.
    pub name: String,
    /// How it comes to answer.
    pub by: ImpostorBy,
}

/// How an impostor comes to answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImpostorBy {
    /// A network resolves a name of the app to it.
    Alias(String),
    /// A router of its labels takes the app's host.
    Rule(String),
    /// A router of its labels may take the app's host, and its rule cannot be read.
    UnreadRule(String),
    /// It has a router of the same name as one of the app's, and an ingress drops both.
    RouterName(String),
    /// It has a service of the same name in Traefik as one of the app's, and an ingress mixes both.
    ServiceName(String),
}

impl fmt::Display for Impostor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.by {
            ImpostorBy::Alias(alias) => write!(f, "{name} has the name {alias} on the same network"),
            ImpostorBy::Rule(rule) => write!(f, "{name} has a router that takes the host, too: {rule}"),
            ImpostorBy::UnreadRule(rule) => write!(f, "{name} has a router that may take the host, too: {rule}"),
            ImpostorBy::RouterName(router) => write!(f, "{name} has a router of the same name: {router}"),
            ImpostorBy::ServiceName(service) => write!(f, "{name} has a service of the same name in Traefik: {service}"),
        }
    }
}

/// A router in labels. Those that Traefik would refuse are read too, because another version may take them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct RouterLabels<'a> {
    rule: &'a str,
    syntax: &'a str,
    priority: Option<i64>,
}

impl RouterLabels<'_> {
    fn priority(&self) -> i64 {
        self.priority.filter(|priority| *priority != 0).unwrap_or(i64::try_from(self.rule.len()).unwrap_or(i64::MAX))
    }

    /// The rule in each syntax that it may have.
    fn rules(&self) -> Result<Vec<Rule>, RuleError> {
        match Syntax::of_label(self.syntax) {
            Some(syntax) => Rule::parse(self.rule, syntax).map(|rule| vec![rule]),
            None => Rule::readings(self.rule),
        }
    }

    /// Whether the rule takes the request in every syntax that it may have.
    fn surely_takes(&self, request: &Request) -> bool {
        self.rules().is_ok_and(|rules| rules.iter().all(|rule| rule.takes(request) == Takes::Yes))
    }
}

/// What the labels of one service name in Traefik.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Labels<'a> {
    routers: BTreeMap<&'a str, RouterLabels<'a>>,
    services: BTreeSet<&'a str>,
    /// The rules of TCP routers, which come before those of HTTP.
    streams: Vec<&'a str>,
}

impl<'a> Labels<'a> {
    fn of(labels: &'a BTreeMap<String, String>) -> Self {
        let mut found = Self::default();
        for (label, value) in labels {
            let parts: Vec<&str> = label.split('.').collect();
            let lower: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
            let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
            match (&lower[..], &parts[..]) {
                (["traefik", "enable"], _) if matches!(value.as_str(), "false" | "False" | "FALSE" | "f" | "F" | "0") => {
                    return Self::default();
                }
                (["traefik", "http", "routers", _, key], [_, _, _, name, _]) => {
                    let router = found.routers.entry(name).or_default();
                    match *key {
                        "rule" => router.rule = value,
                        "rulesyntax" => router.syntax = value,
                        "priority" => router.priority = value.parse().ok(),
                        _ => {}
                    }
                }
                (["traefik", "http", "services", ..], [_, _, _, name, ..]) => drop(found.services.insert(name)),
                (["traefik", "tcp", "routers", _, "rule"], _) => found.streams.push(value),
                _ => {}
            }
        }
        found.routers.retain(|_, router| !router.rule.is_empty());
        found
    }
}

/// All that may answer a request to `host` in the place of the app of `stack`.
pub fn impostors(exposures: &[Exposure], stack: &StackName, host: &str) -> BTreeSet<Impostor> {
    let request = to_front_page(host);
    let (own, others): (Vec<_>, Vec<_>) = exposures.iter().partition(|exposure| exposure.stack.as_ref() == Some(stack));
    let own: Vec<(&Exposure, Labels<'_>)> = own.into_iter().map(|exposure| (exposure, Labels::of(&exposure.labels))).collect();
    let routers: Vec<&RouterLabels<'_>> = own.iter().flat_map(|(_, labels)| labels.routers.values()).collect();
    // Of two routers that take a request, the one with the higher priority gets it.
    let priority = routers.iter().filter(|router| router.surely_takes(&request)).map(|router| router.priority()).max();
    let mut found = BTreeSet::new();
    for other in others {
        let labels = Labels::of(&other.labels);
        let mut add = |by| {
            found.insert(Impostor { name: other.name.clone(), by });
        };
        for (name, router) in &labels.routers {
            if own.iter().any(|(_, labels)| labels.routers.contains_key(name)) {
                add(ImpostorBy::RouterName((*name).to_owned()));
            }
            if priority.is_some_and(|priority| router.priority() < priority) {
                continue;
            }
            match router.rules() {
                Ok(rules) if rules.iter().any(|rule| rule.may_take_host(host)) => add(ImpostorBy::Rule(router.rule.to_owned())),
                Err(RuleError::Unsupported(_)) => add(ImpostorBy::UnreadRule(router.rule.to_owned())),
                // Traefik has no router for a rule that it refuses.
                Ok(_) | Err(RuleError::Invalid(_)) => {}
            }
        }
        for service in &labels.services {
            if own.iter().any(|(_, labels)| labels.services.contains(service)) {
                add(ImpostorBy::ServiceName((*service).to_owned()));
            }
        }
        let named = format!("`{}`", host.to_ascii_lowercase());
        for rule in labels.streams.iter().filter(|rule| rule.to_ascii_lowercase().replace(['"', '\''], "`").contains(&named)) {
            add(ImpostorBy::Rule((*rule).to_owned()));
        }
        for alias in own.iter().flat_map(|(own, _)| shared_names(own, other)) {
            add(ImpostorBy::Alias(alias));
        }
    }
    found
}

/// The service of `stack` whose router surely gets requests to `host`, with the name of that router.
pub fn own_router<'a>(exposures: &'a [Exposure], stack: &StackName, host: &str) -> Option<(&'a Exposure, String)> {
    let request = to_front_page(host);
    let own = exposures.iter().filter(|exposure| exposure.stack.as_ref() == Some(stack));
    let routers = own.flat_map(|exposure| {
        let labels = Labels::of(&exposure.labels);
        let taking = labels.routers.into_iter().filter(|(_, router)| router.surely_takes(&request));
        taking.map(|(name, router)| (router.priority(), exposure, name.to_owned())).collect::<Vec<_>>()
    });
    routers.max_by_key(|(priority, ..)| *priority).map(|(_, exposure, name)| (exposure, name))
}

fn to_front_page(host: &str) -> Request {
    Request { host: Some(host.to_owned()), path: Some("/".into()), method: Some("GET".into()), ..Request::default() }
}

/// The names of a service of the app that a network resolves to the other one as well. Only those count that hold the service's
/// whole name: an ingress uses no other, and every recipe has a service `app`.
fn shared_names(own: &Exposure, other: &Exposure) -> Vec<String> {
    let full = [own.name.clone(), format!("tasks.{}", own.name)];
    let resolves = |network: &String, name: &String| other.networks.get(network).is_some_and(|names| names.contains(name));
    let mut names: Vec<String> =
        own.networks.keys().flat_map(|network| full.iter().filter(|name| resolves(network, name)).cloned()).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "shop-a.taster.test";
    const STACK: &str = "shop-a_taster_test";

    fn exposure(name: &str, stack: Option<&str>, labels: &[(&str, &str)], aliases: &[&str]) -> Exposure {
        let names = [name].iter().chain(aliases).map(|name| (*name).to_owned()).collect();
        Exposure {
            name: name.to_owned(),
            stack: stack.map(|stack| stack.parse().unwrap()),
            labels: labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect(),
            networks: BTreeMap::from([("proxy".to_owned(), names)]),
        }
    }

    fn app() -> Exposure {
        let labels = [
            ("traefik.enable", "true"),
            ("traefik.http.routers.shop-a.rule", "Host(`shop-a.taster.test`)"),
            ("traefik.http.services.shop-a.loadbalancer.server.port", "80"),
        ];
        exposure(&format!("{STACK}_app"), Some(STACK), &labels, &["app"])
    }

    fn found(other: Exposure) -> Vec<String> {
        impostors(&[app(), other], &STACK.parse().unwrap(), HOST).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn app_alone_has_no_impostor() {
        assert!(impostors(&[app()], &STACK.parse().unwrap(), HOST).is_empty());
        let beside = exposure("other_app", Some("other"), &[("traefik.http.routers.o.rule", "Host(`o.taster.test`)")], &["app"]);
        assert_eq!(found(beside), [""; 0], "every recipe has a service of the alias app");
    }

    #[test]
    fn router_of_another_stack_that_takes_the_host_is_a_impostor() {
        for (labels, impostor) in [
            (&[("traefik.http.routers.o.rule", "Host(`shop-a.taster.test`)")][..], true),
            (&[("traefik.http.routers.o.rule", "Host(`SHOP-A.taster.test`, `b`)")], true),
            (&[("Traefik.HTTP.Routers.o.Rule", "Host(`shop-a.taster.test`)")], true),
            (&[("traefik.http.routers.o.rule", "Host(`shop-a.taster.test`) && PathPrefix(`/admin`)")], true),
            (&[("traefik.http.routers.o.rule", "HostRegexp(`{sub:[a-z-]+}.taster.test`)")], true),
            (&[("traefik.http.routers.o.rule", "HostRegexp(`^[a-z-]+\\.taster\\.test$`)")], true),
            (&[("traefik.http.routers.o.rule", "PathPrefix(`/`) || Method(`GET`) || Method(`POST`)")], true),
            (&[("traefik.http.routers.o.rule", "!Host(`o.taster.test`) && PathPrefix(`/`)")], true),
            (&[("traefik.http.routers.o.rule", "Host(`shop-a.taster.test`) /* x */")], true),
            (&[("traefik.http.routers.o.rule", "PathPrefix(`/`)"), ("traefik.http.routers.o.priority", "1000")], true),
            (&[("traefik.tcp.routers.o.rule", "HostSNI(`shop-a.taster.test`)")], true),
            // A catch-all with a shorter rule comes after the app's own.
            (&[("traefik.http.routers.o.rule", "PathPrefix(`/`)")], false),
            (&[("traefik.http.routers.o.rule", "Host(`shop-a.taster.test`)"), ("traefik.http.routers.o.priority", "1")], false),
            (&[("traefik.http.routers.o.rule", "Host(`x.shop-a.taster.test`)")], false),
            (&[("traefik.http.routers.o.rule", "Host(shop-a.taster.test)")], false),
            (&[("traefik.tcp.routers.o.rule", "HostSNI(`*`)")], false),
            (&[("traefik.enable", "false"), ("traefik.http.routers.o.rule", "Host(`shop-a.taster.test`)")], false),
        ] {
            let sentences = found(exposure("other_app", Some("other"), labels, &[]));
            assert_eq!(!sentences.is_empty(), impostor, "{labels:?}: {sentences:?}");
        }
    }

    #[test]
    fn container_with_the_apps_name_on_its_network_is_a_impostor() {
        let alias = format!("{STACK}_app");
        let sentence = format!("thief has the name {alias} on the same network");
        assert_eq!(found(exposure("thief", None, &[], &[&alias])), [sentence]);
        let tasks = found(exposure("other_app", Some("other"), &[], &[&format!("tasks.{alias}")]));
        assert_eq!(tasks, [format!("other_app has the name tasks.{alias} on the same network")]);
        let elsewhere =
            Exposure { networks: BTreeMap::from([("own".into(), BTreeSet::from([alias]))]), ..exposure("x", None, &[], &[]) };
        assert_eq!(found(elsewhere), [""; 0], "another network resolves it there alone");
    }

    #[test]
    fn names_in_traefik_that_two_stacks_share_are_impostors() {
        let labels = [
            ("traefik.http.routers.shop-a.rule", "Host(`o.taster.test`)"),
            ("traefik.http.services.shop-a.loadbalancer.server.port", "80"),
        ];
        assert_eq!(
            found(exposure("other_app", Some("other"), &labels, &[])),
            ["other_app has a router of the same name: shop-a", "other_app has a service of the same name in Traefik: shop-a",]
        );
    }
}
