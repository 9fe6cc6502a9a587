//! The failure of an app that does not answer, with who has to act.

use std::{collections::BTreeSet, time::Duration};

use formats::traefik::{
    labels::Routing,
    rule::{HostShape, Hosts, RuleError},
};

use super::{Services, ask::ProbeResult};
use crate::model::{
    engine::SwarmError,
    names::Domain,
    outcome::{Cause, Failure, Owner},
    time::format_duration,
};

pub(super) fn failure(
    domain: &Domain,
    address: &str,
    result: &ProbeResult,
    waited: Duration,
    services: &Result<Services, SwarmError>,
) -> Failure {
    let last = result.to_string();
    let waited = format_duration(waited);
    let (sentence, owner) = match result {
        ProbeResult::NoRoute => match services {
            Ok(services) => (format!("{last}; {}", route_fault(domain, services).0), Owner::Recipe),
            // An ingress learns its routes from the engine, too.
            Err(error) => (format!("{last}, and what the router rules say is not known: {error}"), Owner::Infrastructure),
        },
        ProbeResult::NoIngress(_) => (format!("{last}, for {waited}"), Owner::Infrastructure),
        ProbeResult::AppError { .. }
        | ProbeResult::App { .. }
        | ProbeResult::ErrorPage { .. }
        | ProbeResult::DefaultPage { .. }
        | ProbeResult::Astray(_)
        | ProbeResult::Unsupported
        | ProbeResult::Unreachable(_) => (format!("all services settled, but {last}, for {waited}"), Owner::Recipe),
    };
    Failure::new(Cause::NotServing { last }, format!("{address}: {sentence}")).owned_by(owner)
}

/// Whether Traefik would have a route to the domain, so that the fault is not the recipe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Routed {
    /// It may have one.
    Perhaps,
    /// It has none.
    No,
}

/// Why no router of the recipe took the domain, and whether one should have.
pub(super) fn route_fault(domain: &Domain, services: &Services) -> (String, Routed) {
    let mut rules: BTreeSet<String> = BTreeSet::new();
    let (mut hosts, mut takes) = (BTreeSet::new(), false);
    let read = services.iter().map(|(name, service)| (name, Routing::of(name.as_str(), &service.labels)));
    let read: Vec<_> = read.collect();
    for (name, routing) in &read {
        let routing = match routing {
            Ok(Some(routing)) => routing,
            Ok(None) => continue,
            Err(error) => return (format!("Traefik takes no router of the service {name}: {error}"), Routed::No),
        };
        for (router, found) in &routing.routers {
            rules.insert(found.rule.clone());
            let mut backends = read.iter().filter_map(|(_, routing)| routing.as_ref().ok()?.as_ref());
            if !found.service.contains('@') && !backends.any(|routing| routing.services.contains_key(&found.service)) {
                let sentence =
                    format!("the router {router} leads to the service {} of Traefik, which no label names", found.service);
                return (sentence, Routed::No);
            }
            match found.rules() {
                Ok(read) => {
                    takes |= read.iter().any(|rule| rule.may_take_host(domain.as_str()));
                    hosts.extend(read.iter().map(|rule| rule.hosts()).filter_map(named).flatten());
                }
                Err(RuleError::Invalid(cause)) => {
                    return (format!("Traefik refuses the router rule {}: {cause}", found.rule), Routed::No);
                }
                Err(RuleError::Unsupported(_)) => takes = true,
            }
        }
    }
    let shown = |all: BTreeSet<String>| all.into_iter().collect::<Vec<_>>().join(", ");
    if rules.is_empty() {
        ("no service has a router rule".into(), Routed::No)
    } else if takes {
        (format!("the router rule names it, but the ingress did not take it: {}", shown(rules)), Routed::Perhaps)
    } else if hosts.is_empty() {
        (format!("the router rules name no host: {}", shown(rules)), Routed::No)
    } else {
        (format!("the router rules name only {}", shown(hosts)), Routed::No)
    }
}

/// The hosts of a bound; `None` without one.
fn named(hosts: Hosts) -> Option<Vec<String>> {
    let text = |shape| match shape {
        HostShape::Name(name) => name,
        HostShape::Ending(text) => format!("*{text}"),
    };
    match hosts {
        Hosts::Any => None,
        Hosts::Within(shapes) => Some(shapes.into_iter().map(text).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_without_a_route_is_the_recipes_fault_only_where_its_rules_were_read() {
        let domain = "shop.taster.test".parse().unwrap();
        let silent = SwarmError::Silent { call: "observe".into(), after: Duration::from_secs(8) };
        for (services, owner, ending) in [
            (Ok(Services::new()), Owner::Recipe, "no service has a router rule"),
            (
                Err(silent),
                Owner::Infrastructure,
                "what the router rules say is not known: the engine did not answer observe within 8s",
            ),
        ] {
            let failure =
                failure(&domain, "https://shop.taster.test/", &ProbeResult::NoRoute, Duration::from_secs(15), &services);
            assert_eq!(failure.owner, owner, "{}", failure.message);
            assert!(failure.message.ends_with(ending), "{}", failure.message);
        }
    }
}
