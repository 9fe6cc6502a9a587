//! The readers of router rules and labels against recorded answers of Traefik.
//!
//! `unit-tests/oracles/traefik` asks Traefik's own rule matcher and Swarm provider.

use std::{collections::BTreeMap, fs, sync::LazyLock};

use formats::traefik::{
    labels::Routing,
    rule::{HostShape, Hosts, Request, Rule, RuleError, Syntax, Takes},
};
use serde::Deserialize;

use crate::book::root;

#[derive(Deserialize)]
struct Recordings {
    requests: Vec<Question>,
    rules: Vec<RuleAnswer>,
    labels: Vec<Reading>,
}

#[derive(Deserialize)]
struct Question {
    method: String,
    host: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    client: String,
}

/// By syntax a digit for each request, or `!` where Traefik refuses the rule.
#[derive(Deserialize)]
struct RuleAnswer {
    rule: String,
    v2: String,
    v3: String,
    priority: usize,
}

#[derive(Deserialize)]
struct Reading {
    labels: BTreeMap<String, String>,
    routers: BTreeMap<String, Router>,
    services: BTreeMap<String, Backend>,
    middlewares: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Router {
    rule: String,
    syntax: String,
    priority: i64,
    service: String,
    middlewares: Vec<String>,
    entrypoints: Vec<String>,
    tls: bool,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Backend {
    url: String,
    passhostheader: bool,
}

static RECORDINGS: LazyLock<Recordings> = LazyLock::new(|| {
    let text = fs::read_to_string(root().join("unit-tests/oracles/traefik/recordings.json")).unwrap();
    serde_json::from_str(&text).unwrap()
});

impl Question {
    fn request(&self) -> Request {
        let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
        Request {
            host: Some(self.host.clone()),
            path: Some(self.path.clone()),
            method: Some(self.method.clone()),
            headers: Some(self.headers.clone()),
            query: Some(self.query.split('&').filter(|part| !part.is_empty()).map(pair).collect()),
            client: Some(self.client.parse().unwrap()),
        }
    }
}

/// The rules with their answers by syntax.
fn answers() -> impl Iterator<Item = (&'static RuleAnswer, Syntax, &'static str)> {
    RECORDINGS.rules.iter().flat_map(|answer| [(answer, Syntax::V2, &*answer.v2), (answer, Syntax::V3, &*answer.v3)])
}

#[test]
fn rule_takes_the_requests_that_traefik_takes_or_is_unsupported() {
    let requests: Vec<Request> = RECORDINGS.requests.iter().map(Question::request).collect();
    let (mut differences, mut compared, mut unsupported) = (Vec::new(), 0, 0);
    for (answer, syntax, wanted) in answers() {
        let found = match Rule::parse(&answer.rule, syntax) {
            Err(RuleError::Unsupported(_)) => {
                unsupported += 1;
                continue;
            }
            Err(RuleError::Invalid(_)) => "!".to_owned(),
            Ok(rule) => requests.iter().map(|request| if rule.takes(request) == Takes::Yes { '1' } else { '0' }).collect(),
        };
        compared += 1;
        if found != wanted {
            differences.push(format!("{syntax:?} {:?}\n  traefik {wanted}\n  taster  {found}", answer.rule));
        }
    }
    assert!(differences.is_empty(), "{} of {compared} differ:\n{}", differences.len(), differences.join("\n"));
    assert!(compared > 1500 && unsupported * 10 < compared, "{compared} compared, {unsupported} unsupported");
}

#[test]
fn bound_of_a_rule_holds_each_host_that_traefik_takes() {
    let within = |host: &str, shapes: &Hosts| match shapes {
        Hosts::Any => true,
        Hosts::Within(shapes) => shapes.iter().any(|shape| match shape {
            HostShape::Name(name) => name == host,
            HostShape::Ending(text) => host.ends_with(text.as_str()),
        }),
    };
    let mut bounded = 0;
    for (answer, syntax, taken) in answers() {
        let Ok(rule) = Rule::parse(&answer.rule, syntax) else { continue };
        let hosts = rule.hosts();
        bounded += usize::from(hosts != Hosts::Any);
        for (question, _) in RECORDINGS.requests.iter().zip(taken.chars()).filter(|(_, digit)| *digit == '1') {
            let host = question.host.to_ascii_lowercase();
            assert!(rule.may_take_host(&host), "{syntax:?} {} takes {host}", answer.rule);
            assert!(within(host.trim_end_matches('.'), &hosts), "{syntax:?} {} takes {host}, beyond {hosts:?}", answer.rule);
        }
    }
    assert!(bounded > 100, "{bounded}");
}

#[test]
fn priority_of_a_rule_is_its_length() {
    assert!(RECORDINGS.rules.iter().all(|answer| answer.priority == answer.rule.len()));
}

#[test]
fn labels_are_read_as_traefik_reads_them() {
    assert!(RECORDINGS.labels.len() > 100);
    let mut differences = Vec::new();
    for reading in &RECORDINGS.labels {
        let routing = Routing::of("shop_app", &reading.labels).unwrap_or_default().unwrap_or_default();
        let routers: BTreeMap<String, Router> = routing
            .routers
            .into_iter()
            .map(|(name, router)| {
                let read = Router {
                    rule: router.rule,
                    syntax: router.syntax,
                    priority: router.priority,
                    service: router.service,
                    middlewares: router.middlewares,
                    entrypoints: router.entry_points,
                    tls: router.tls,
                };
                (name, read)
            })
            .collect();
        let services: BTreeMap<String, Backend> = routing
            .services
            .into_iter()
            .map(|(name, found)| {
                let url = format!("{}://10.0.0.5:{}", found.scheme, found.port);
                (name, Backend { url, passhostheader: found.pass_host_header })
            })
            .collect();
        let mut middlewares: Vec<String> = reading.middlewares.clone();
        middlewares.sort();
        let own: Vec<String> = routing.middlewares.into_keys().collect();
        if routers != reading.routers || services != reading.services || own != middlewares {
            differences.push(format!(
                "{:?}\n  traefik {:?} {:?} {middlewares:?}\n  taster  {routers:?} {services:?} {own:?}",
                reading.labels, reading.routers, reading.services
            ));
        }
    }
    assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), RECORDINGS.labels.len(), differences.join("\n"));
}
