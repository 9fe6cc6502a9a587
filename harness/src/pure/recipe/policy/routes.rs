//! Router labels and network aliases that could catch the visitors of other apps.
//!
//! An ingress takes the routers of all services, and a shared network resolves the names of all its services. A router of an app
//! may therefore take only the app's own host and names below it, and what the app names there carries its stack's name. The
//! alias that Swarm gives each service, its key in the files, cannot be avoided; it is refused only where it reads like the name
//! of another app's service or a host.

use std::collections::{BTreeMap, BTreeSet};

use formats::traefik::rule::{HostShape, Hosts, Rule};

use super::breaches::Finding;
use crate::{
    model::{
        names::{Domain, StackName},
        privilege::Privilege,
    },
    pure::recipe::compose::Resolved,
};

/// The app whose routers and names are judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) stack: &'a StackName,
    pub(super) domain: &'a Domain,
}

/// The routers and aliases of the files that could catch others' visitors.
pub(super) fn check(found: &mut Finding, resolved: &Resolved, domain: &Domain) {
    let own = Own { stack: &resolved.stack, domain };
    let services: BTreeSet<String> = resolved.services.values().flat_map(|service| own.named_services(&service.labels)).collect();
    for (short, service) in &resolved.services {
        let object = format!("service {short}");
        let mut add = |asks: String| found.add(Privilege::ForeignRoutes, &object, asks);
        for labels in [&service.labels, &service.container_labels] {
            own.label_uses(labels, &services).into_iter().for_each(&mut add);
        }
        for network in service.networks.iter().filter(|network| !resolved.stack.owns(&network.name)) {
            let aliases = network.aliases.iter().map(String::as_str);
            own.alias_uses(short, aliases, &network.name).into_iter().for_each(&mut add);
        }
    }
}

impl Own<'_> {
    /// The uses of labels, each as the predicate of a sentence about the service.
    pub(super) fn label_uses(&self, labels: &BTreeMap<String, String>, services: &BTreeSet<String>) -> Vec<String> {
        let uses = labels.iter().filter_map(|(label, value)| Some((label, self.label_use(label, value, services)?)));
        uses.map(|(label, why)| format!("has the label {label}, and {why}")).collect()
    }

    /// The names of services that labels declare for the ingress, in lower case.
    pub(super) fn named_services(&self, labels: &BTreeMap<String, String>) -> Vec<String> {
        let named = labels.keys().map(|label| parts(label));
        named
            .filter_map(|parts| match &parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["traefik", "http" | "tcp", "services", name, ..] => Some((*name).to_owned()),
                _ => None,
            })
            .collect()
    }

    /// Why a label could catch others' visitors, if it could. Keys are compared in lower case, as Traefik does.
    fn label_use(&self, label: &str, value: &str, services: &BTreeSet<String>) -> Option<String> {
        let parts = parts(label);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (kind, section, name, rest) = match &parts[..] {
            ["traefik", "tls", ..] => return Some("it is about the ingress as a whole".into()),
            ["traefik", "udp", "routers", ..] => return Some("a router of UDP takes all that arrives".into()),
            ["traefik", kind @ ("http" | "tcp" | "udp"), section, name, rest @ ..] => (*kind, *section, *name, rest),
            _ => return None,
        };
        if !self.carries_stack(name) {
            return Some(format!("the name {name} does not carry the stack's, so that another app may have it"));
        }
        match (section, rest) {
            ("routers", ["rule"]) => self.rule_use(kind, value),
            ("routers", ["tls", list, "main" | "sans"]) if list.starts_with("domains") => self.certificate_use(value),
            ("routers", ["service"]) => self.service_use(value, services),
            _ => None,
        }
    }

    fn rule_use(&self, kind: &str, rule: &str) -> Option<String> {
        // The matchers of names in TLS have the arguments of those of hosts.
        let text = match kind {
            "tcp" => rule.replace("HostSNIRegexp", "HostRegexp").replace("HostSNI", "Host"),
            _ => rule.to_owned(),
        };
        let rules = match Rule::readings(&text) {
            Ok(rules) => rules,
            Err(error) => return Some(format!("its rule cannot be read: {error}")),
        };
        let foreign = rules.iter().find_map(|rule| match rule.hosts() {
            Hosts::Any => Some("any host".to_owned()),
            Hosts::Within(shapes) => shapes.into_iter().find_map(|shape| match shape {
                HostShape::Name(name) => (!self.is_own_host(&name)).then_some(name),
                HostShape::Ending(end) => {
                    (!end.ends_with(&format!(".{}", self.domain))).then(|| format!("hosts that end in {end}"))
                }
            }),
        });
        foreign.map(|host| format!("its rule takes {host}, which is not of this app"))
    }

    fn certificate_use(&self, names: &str) -> Option<String> {
        let foreign = names.split(',').map(|name| name.trim().trim_start_matches("*.")).find(|name| !self.is_own_host(name));
        foreign.map(|name| format!("it asks for a certificate of {name}, which is not of this app"))
    }

    fn service_use(&self, service: &str, services: &BTreeSet<String>) -> Option<String> {
        let lower = service.to_lowercase();
        let (name, provider) = lower.split_once('@').map_or((lower.as_str(), ""), |(name, provider)| (name, provider));
        let own = services.contains(name) && matches!(provider, "" | "docker" | "swarm");
        let nothing = name.is_empty() || (name, provider) == ("noop", "internal");
        (!own && !nothing).then(|| format!("the router leads to {service}, which is not of this app"))
    }

    /// The aliases of a service on a shared network that could catch others' visitors.
    pub(super) fn alias_uses<'a>(&self, short: &str, aliases: impl Iterator<Item = &'a str>, network: &str) -> Vec<String> {
        let mut uses: Vec<String> = Vec::new();
        if short.contains('.') || short.matches('_').count() > 1 {
            uses.push(format!(
                "is called {short} on the shared network {network}, which may be the name of another app's service"
            ));
        }
        let foreign =
            aliases.filter(|alias| *alias != short && !self.is_own_host(&alias.to_lowercase()) && !self.carries_stack(alias));
        uses.extend(foreign.map(|alias| format!("has the alias {alias} on the shared network {network}")));
        uses
    }

    /// Whether a host is the app's domain or below it. A rule with an empty host takes none.
    fn is_own_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        let domain = self.domain.as_str();
        host.is_empty() || host == domain || host.strip_suffix(domain).is_some_and(|front| front.ends_with('.'))
    }

    /// Whether a name has the stack's name in it, also where its underscores stand as hyphens.
    fn carries_stack(&self, name: &str) -> bool {
        name.to_lowercase().replace('-', "_").contains(&self.stack.as_str().to_lowercase().replace('-', "_"))
    }
}

/// The parts of a label in lower case. An index in brackets stays with its part.
fn parts(label: &str) -> Vec<String> {
    label.trim().to_lowercase().split('.').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "traefik.http.routers.shop_example_org.";

    /// Why a label is refused.
    fn refused(label: &str, value: &str) -> Option<String> {
        let (stack, domain) = ("shop_example_org".parse().unwrap(), "shop.example.org".parse().unwrap());
        let own = Own { stack: &stack, domain: &domain };
        own.label_use(label, value, &BTreeSet::from(["shop_example_org".to_owned()]))
    }

    #[test]
    fn rule_that_is_bounded_by_own_hosts_needs_nothing() {
        for rule in [
            "Host(`shop.example.org`)",
            "Host(`SHOP.example.org`)",
            "Host(`shop.example.org`, `www.shop.example.org`)",
            "Host(`shop.example.org`) || Host(`a.b.shop.example.org`)",
            "Host(`shop.example.org`) && PathPrefix(`/api`)",
            "Host(`shop.example.org`) && !Path(`/private`)",
            "(Host(`shop.example.org`) || Host(`www.shop.example.org`)) && Method(`GET`)",
        ] {
            assert_eq!(refused(&format!("{OWN}rule"), rule), None, "{rule}");
        }
    }

    #[test]
    fn rule_that_could_take_another_host_is_refused() {
        for rule in [
            "Host(`cloud.example.org`)",
            "Host(`shop.example.org`) || Host(`cloud.example.org`)",
            "Host(`shop.example.org`, `cloud.example.org`)",
            "Host(`badshop.example.org`)",
            "Host(`shop.example.org.evil.org`)",
            "HostRegexp(`.*`)",
            "HostRegexp(`^.+\\.example\\.org$`)",
            "HostRegexp(`{any:.*}`)",
            "PathPrefix(`/`)",
            "Path(`/.well-known/matrix`)",
            "!Host(`shop.example.org`)",
            "Host(`shop.example.org`) || PathPrefix(`/x`)",
            "Method(`GET`)",
            "ClientIP(`0.0.0.0/0`)",
            "Host(`shop.example.org`",
            "Hosts(`shop.example.org`)",
            "",
            "nonsense",
        ] {
            assert!(refused(&format!("{OWN}rule"), rule).is_some(), "{rule}");
        }
    }

    #[test]
    fn label_is_evaluated_in_any_case_and_of_any_kind() {
        for (label, value, is_refused) in [
            ("TRAEFIK.HTTP.Routers.shop_example_org.RULE", "Host(`a.org`)", true),
            ("traefik.http.routers.shop_example_org.rule", "Host(`a.org`)", true),
            ("traefik.http.routers.shop-example-org.rule", "Host(`shop.example.org`)", false),
            ("traefik.http.routers.shop_example_org-www.rule", "Host(`shop.example.org`)", false),
            ("traefik.http.routers.cloud_example_org.rule", "Host(`shop.example.org`)", true),
            ("traefik.http.routers.cloud_example_org.priority", "9999", true),
            ("traefik.http.routers.shop_example_org.priority", "9999", false),
            ("traefik.http.routers.shop_example_org.entrypoints", "web-secure", false),
            ("traefik.http.services.cloud_example_org.loadbalancer.server.port", "80", true),
            ("traefik.http.services.shop_example_org.loadbalancer.server.port", "80", false),
            ("traefik.http.middlewares.auth.basicauth.users", "x", true),
            ("traefik.http.routers.shop_example_org.service", "shop_example_org", false),
            ("traefik.http.routers.shop_example_org.service", "shop_example_org@swarm", false),
            ("traefik.http.routers.shop_example_org.service", "noop@internal", false),
            ("traefik.http.routers.shop_example_org.service", "api@internal", true),
            ("traefik.http.routers.shop_example_org.service", "cloud_example_org", true),
            ("traefik.http.routers.shop_example_org.tls.domains[0].main", "shop.example.org", false),
            ("traefik.http.routers.shop_example_org.tls.domains[0].sans", "*.shop.example.org, example.org", true),
            ("traefik.http.routers.shop_example_org.tls.certresolver", "production", false),
            ("traefik.tcp.routers.shop_example_org.rule", "HostSNI(`*`)", true),
            ("traefik.tcp.routers.shop_example_org.rule", "HostSNI(`shop.example.org`)", false),
            ("traefik.tcp.routers.shop_example_org.rule", "HostSNI(`cloud.example.org`)", true),
            ("traefik.tcp.routers.shop_example_org.rule", "HostSNIRegexp(`.*`)", true),
            ("traefik.tcp.routers.shop_example_org.rule", "ClientIP(`10.0.0.0/8`)", true),
            ("traefik.udp.routers.shop_example_org.entrypoints", "dns", true),
            ("traefik.tls.stores.default.defaultcertificate.certfile", "/x", true),
            ("traefik.enable", "true", false),
            ("traefik.swarm.network", "proxy", false),
            ("backupbot.backup", "true", false),
        ] {
            assert_eq!(refused(label, value).is_some(), is_refused, "{label}={value}: {:?}", refused(label, value));
        }
    }

    #[test]
    fn alias_that_may_be_another_apps_name_is_refused() {
        let (stack, domain) = ("shop_example_org".parse().unwrap(), "shop.example.org".parse().unwrap());
        let own = Own { stack: &stack, domain: &domain };
        for (short, alias, refused) in [
            ("app", "app", false),
            ("app", "shop_example_org_app", false),
            ("app", "shop.example.org", false),
            ("app", "www.shop.example.org", false),
            ("app", "cloud_example_org_app", true),
            ("app", "cloud.example.org", true),
            ("app", "db", true),
            ("app", "tasks.cloud_example_org_app", true),
            ("cloud_example_org_app", "cloud_example_org_app", true),
            ("cloud.example.org", "cloud.example.org", true),
            ("my_worker", "my_worker", false),
        ] {
            let uses = own.alias_uses(short, [alias].into_iter(), "proxy");
            assert_eq!(!uses.is_empty(), refused, "{short} {alias}: {uses:?}");
        }
    }
}
