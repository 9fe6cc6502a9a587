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
            Ok(services) => (format!("{last}; {}", routes(domain, services)), Owner::Recipe),
            // An ingress learns its routes from the engine, too.
            Err(error) => (format!("{last}, and what the router rules say is not known: {error}"), Owner::Infrastructure),
        },
        ProbeResult::NoIngress(_) => (format!("{last}, for {waited}"), Owner::Infrastructure),
        ProbeResult::AppError { .. }
        | ProbeResult::App { .. }
        | ProbeResult::ErrorPage { .. }
        | ProbeResult::DefaultPage { .. }
        | ProbeResult::Astray(_)
        | ProbeResult::Unreachable(_) => (format!("all services settled, but {last}, for {waited}"), Owner::Recipe),
    };
    Failure::new(Cause::NotServing { last }, format!("{address}: {sentence}")).owned_by(owner)
}

/// Why no router of the recipe took the domain.
fn routes(domain: &Domain, services: &Services) -> String {
    let mut rules: BTreeSet<String> = BTreeSet::new();
    let (mut hosts, mut takes) = (BTreeSet::new(), false);
    for (name, service) in services {
        let routing = match Routing::of(name.as_str(), &service.labels) {
            Ok(routing) => routing.unwrap_or_default(),
            Err(error) => return format!("Traefik takes no router of the service {name}: {error}"),
        };
        for router in routing.routers.values() {
            rules.insert(router.rule.clone());
            match router.rules() {
                Ok(read) => {
                    takes |= read.iter().any(|rule| rule.may_take_host(domain.as_str()));
                    hosts.extend(read.iter().map(|rule| rule.hosts()).filter_map(named).flatten());
                }
                Err(RuleError::Invalid(cause)) => return format!("Traefik refuses the router rule {}: {cause}", router.rule),
                Err(RuleError::Unsupported(_)) => takes = true,
            }
        }
    }
    let shown = |all: BTreeSet<String>| all.into_iter().collect::<Vec<_>>().join(", ");
    if rules.is_empty() {
        "no service has a router rule".into()
    } else if takes {
        format!("the router rule names it, but the ingress did not take it: {}", shown(rules))
    } else if hosts.is_empty() {
        format!("the router rules name no host: {}", shown(rules))
    } else {
        format!("the router rules name only {}", shown(hosts))
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
