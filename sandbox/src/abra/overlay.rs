//! The compose file that the stand-in adds: labels and environment as abra sets them, and what a kernel without IPVS needs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::compose::Compose;

/// What the overlay says besides the recipe's own files.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) labels: BTreeMap<String, String>,
    /// The variables that service `app` gets where the recipe does not set them itself.
    pub(super) expose: &'a BTreeMap<String, String>,
    /// Whether the kernel has IPVS. Without it a service's virtual address does not answer.
    pub(super) ipvs: bool,
}

/// The overlay, as JSON, which is YAML.
///
/// Docker merges port lists by the published number, so the same number in host mode replaces the one in ingress mode, but
/// one number published for TCP and UDP ends as one entry: Docker's own limit whenever there is more than one file.
pub(super) fn overlay(compose: &Compose, env: &BTreeMap<String, String>, wanted: &Wanted<'_>) -> String {
    let mut services: Map<String, Value> = Map::new();
    for service in compose.services() {
        let mut deploy = Map::new();
        let mut body = Map::new();
        if !wanted.ipvs {
            without_ipvs(compose, service, env, &mut deploy, &mut body);
        }
        if service == "app" {
            let own = compose.environment(service);
            let exposed = wanted.expose.iter().filter(|(key, _)| !own.contains(*key));
            body.insert("environment".into(), exposed.map(|(key, value)| (key.clone(), literal(value))).collect());
            deploy.insert("labels".into(), wanted.labels.iter().map(|(key, value)| (key.clone(), literal(value))).collect());
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

/// Docker refuses ports in ingress mode together with dnsrr; ports in host mode are free for one task only, so that a roll
/// with start-first would wait for its own old task for ever.
fn without_ipvs(
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

/// A text that Docker will not take for a variable.
fn literal(text: &str) -> Value {
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

    fn made(ipvs: bool) -> Value {
        let compose = Compose::of_text(TEXT).unwrap();
        let expose = BTreeMap::from([("OWN".to_owned(), "x".to_owned()), ("PASS".to_owned(), "a$b".to_owned())]);
        let labels = BTreeMap::from([("coop-cloud.s.chaos".to_owned(), "true".to_owned())]);
        serde_json::from_str(&overlay(&compose, &BTreeMap::new(), &Wanted { labels, expose: &expose, ipvs })).unwrap()
    }

    #[test]
    fn the_app_gets_labels_and_the_env_that_it_does_not_set_itself() {
        let expected = json!({ "version": "3.8", "services": { "app": {
            "environment": { "PASS": "a$$b" }, "deploy": { "labels": { "coop-cloud.s.chaos": "true" } } } } });
        assert_eq!(made(true), expected);
    }

    #[test]
    fn without_ipvs_every_service_is_found_by_its_tasks() {
        let services = &made(false)["services"];
        assert_eq!(services["db"], json!({ "deploy": { "endpoint_mode": "dnsrr" } }));
        let app = &services["app"];
        assert_eq!(app["ports"], json!([{ "target": 80, "published": 8080, "protocol": "tcp", "mode": "host" }]));
        assert_eq!(app["deploy"]["update_config"]["order"], "stop-first");
        assert_eq!(app["deploy"]["rollback_config"]["order"], "stop-first");
    }
}
