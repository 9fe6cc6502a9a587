//! The power of an app: everything in the specs of its services and networks that gives it rights, reach or resources.
//!
//! [`declared`] derives the spec that Docker makes of the resolved files, [`Live`] has those of the engine. [`differences`] turns
//! both into the same facets, one for each leaf of the engine's JSON, so that a field which taster does not know is a difference
//! and never overlooked. What is left out of the comparison is the closed list in `facets.rs`, and what taster's own tools change
//! is an [`Allowance`].

mod declared;
mod facets;
mod live;

use std::{collections::BTreeMap, fmt};

pub use declared::{Deployed, declared, declared_network, is_compared};
pub use live::Live;

use super::compose::Difference;
use facets::{Facets, network_facets, service_facets};

/// A change that abra, Docker or taster's own tools make to what the files say, and that a comparison expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowance {
    /// Docker's labels for the stack and the image, and abra's for recipe, version and chaos.
    Labels,
    /// abra gives the service `app` the variables of the app's `.env`.
    Variables,
    /// taster sets the limits of the host file for memory, processors, processes and logs where the files set none.
    Limits,
    /// The sandbox's abra deploys with dnsrr, ports in host mode and stop-first, because the kernel has no IPVS.
    NoIpvs,
}

impl Allowance {
    /// All allowances.
    pub const ALL: [Self; 4] = [Self::Labels, Self::Variables, Self::Limits, Self::NoIpvs];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Allowance::Labels => "labels of Docker and abra",
            Allowance::Variables => "variables of the .env in app",
            Allowance::Limits => "limits of the host file",
            Allowance::NoIpvs => "no IPVS",
        }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The differences in power between what was deployed and what the engine has. Services and networks that are missing are
/// reported by the comparison of services.
pub fn differences(deployed: &Deployed<'_>, live: &Live, without_ipvs: bool) -> Vec<Difference> {
    let mut found = Vec::new();
    for (short, service) in &deployed.resolved.services {
        let Some(spec) = live.service(service.name.as_str()) else { continue };
        let expected = service_facets(&declared(deployed, short, service, without_ipvs), &|network| network.to_owned());
        let running = service_facets(spec, &|id| live.network_name(id).unwrap_or(id).to_owned());
        let allowed = |facet: &str, value: &str| deployed.allows(short, facet, value);
        compare(&mut found, short, &expected, &running, &allowed);
    }
    let used = deployed.resolved.services.values().flat_map(|service| &service.networks);
    let used: BTreeMap<&str, &str> = used.map(|used| (used.network.as_str(), used.name.as_str())).collect();
    for (key, name) in used {
        let Some(network) = deployed.resolved.networks.get(key).filter(|network| !network.external) else { continue };
        let Some(running) = live.network(name) else { continue };
        let expected = network_facets(&declared_network(network));
        compare(&mut found, &format!("network {key}"), &expected, &network_facets(running), &|_, _| false);
    }
    found
}

fn compare(found: &mut Vec<Difference>, object: &str, expected: &Facets, live: &Facets, allowed: &dyn Fn(&str, &str) -> bool) {
    let names = expected.keys().chain(live.keys().filter(|name| !expected.contains_key(*name)));
    for name in names {
        let (wanted, running) = (expected.get(name), live.get(name));
        let expected_so = wanted == running || wanted.is_none() && running.is_some_and(|value| allowed(name, value));
        if !expected_so {
            let shown = |value: Option<&String>| shown(name, value);
            found.push(Difference {
                service: object.to_owned(),
                field: name.clone(),
                expected: shown(wanted),
                live: if wanted.is_some() && running.is_some() && is_secret(name) {
                    "another one".into()
                } else {
                    shown(running)
                },
            });
        }
    }
}

/// A variable's value may be a secret.
fn is_secret(facet: &str) -> bool {
    facet.starts_with("Env[")
}

fn shown(facet: &str, value: Option<&String>) -> String {
    match value {
        None => "absent".into(),
        Some(_) if is_secret(facet) => "there".into(),
        Some(value) => value.clone(),
    }
}
