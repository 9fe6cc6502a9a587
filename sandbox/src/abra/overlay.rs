//! The compose file that the stand-in adds: labels and environment as in abra, and changes for a kernel without IPVS.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::compose::Compose;

/// The input of the overlay besides the recipe's own files.
#[derive(Debug)]
pub(super) struct OverlayInput<'a> {
    /// The labels of service `app`.
    pub(super) labels: BTreeMap<String, String>,
    /// The variables of service `app`, unless the recipe sets them itself.
    pub(super) expose: &'a BTreeMap<String, String>,
    /// Whether the kernel has IPVS. Without it, the virtual address of a service does not answer.
    pub(super) ipvs: bool,
}

/// The overlay as JSON, which is valid YAML.
///
/// Docker merges lists of ports by the published number, so that an entry in host mode replaces the one in ingress mode. A
/// number that is published for TCP and UDP becomes one entry: a limit of Docker with more than one file.
pub(super) fn overlay(compose: &Compose, env: &BTreeMap<String, String>, input: &OverlayInput<'_>) -> String {
    let mut services: Map<String, Value> = Map::new();
    for service in compose.services() {
        let mut deploy = Map::new();
        let mut body = Map::new();
        if !input.ipvs {
            adapt_to_missing_ipvs(compose, service, env, &mut deploy, &mut body);
        }
        if service == "app" {
            let own = compose.environment(service);
            let exposed = input.expose.iter().filter(|(key, _)| !own.contains(*key));
            body.insert("environment".into(), exposed.map(|(key, value)| (key.clone(), escape_variables(value))).collect());
            deploy.insert(
                "labels".into(),
                input.labels.iter().map(|(key, value)| (key.clone(), escape_variables(value))).collect(),
            );
        }
        if !deploy.is_empty() {
            body.insert("deploy".into(), deploy.into());
        }
        if !body.is_empty() {
            services.insert(service.to_owned(), body.into());
        }
    }
    json!({ "version": compose.version(), "services": services }).to_string()
}

/// Sets dnsrr, moves ports to host mode and stops the old task first. Docker refuses ports in ingress mode with dnsrr. A port
/// in host mode is free for one task only, so that an update with start-first would wait for its own old task forever.
fn adapt_to_missing_ipvs(
    compose: &Compose,
    service: &str,
    env: &BTreeMap<String, String>,
    deploy: &mut Map<String, Value>,
    body: &mut Map<String, Value>,
) {
    deploy.insert("endpoint_mode".into(), "dnsrr".into());
    let moved: Vec<_> = compose.ports(service, env).into_iter().filter(|port| !port.host).collect();
    if moved.is_empty() {
        return;
    }
    let ports = moved.iter().map(|port| {
        let protocol = if port.udp { "udp" } else { "tcp" };
        json!({ "target": port.target, "published": port.published, "protocol": protocol, "mode": "host" })
    });
    body.insert("ports".into(), ports.collect());
    deploy.insert("update_config".into(), json!({ "order": "stop-first" }));
    if compose.start_first(service, "rollback_config", env) {
        deploy.insert("rollback_config".into(), json!({ "order": "stop-first" }));
    }
}

/// A text in which Docker expands no variable.
fn escape_variables(text: &str) -> Value {
    text.replace('$', "$$").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
version: "3.8"
services:
  app: {image: a, environment: {OWN: "1"}, ports: ["8080:80"], deploy: {rollback_config: {order: start-first}}}
  db: {image: b}
"#;

    fn overlay_of_text(ipvs: bool) -> Value {
        let compose = Compose::parse(TEXT).unwrap();
        let expose = BTreeMap::from([("OWN".to_owned(), "x".to_owned()), ("PASS".to_owned(), "a$b".to_owned())]);
        let labels = BTreeMap::from([("coop-cloud.s.chaos".to_owned(), "true".to_owned())]);
        serde_json::from_str(&overlay(&compose, &BTreeMap::new(), &OverlayInput { labels, expose: &expose, ipvs })).unwrap()
    }

    #[test]
    fn app_gets_labels_and_variables_that_it_does_not_set() {
        let expected = json!({ "version": "3.8", "services": { "app": {
            "environment": { "PASS": "a$$b" }, "deploy": { "labels": { "coop-cloud.s.chaos": "true" } } } } });
        assert_eq!(overlay_of_text(true), expected);
    }

    #[test]
    fn without_ipvs_services_use_dnsrr_and_host_ports() {
        let services = &overlay_of_text(false)["services"];
        assert_eq!(services["db"], json!({ "deploy": { "endpoint_mode": "dnsrr" } }));
        let app = &services["app"];
        assert_eq!(app["ports"], json!([{ "target": 80, "published": 8080, "protocol": "tcp", "mode": "host" }]));
        assert_eq!(app["deploy"]["update_config"]["order"], "stop-first");
        assert_eq!(app["deploy"]["rollback_config"]["order"], "stop-first");
    }
}
