//! The rule of a Traefik router as a matcher of Caddy. Pure.
//!
//! Both programs compile patterns with Go's `regexp`, so a pattern is passed on as it is. What Caddy cannot match is left out,
//! and the matcher then takes more than the rule does.

use formats::traefik::rule::{Matcher, Node, QueryTest};
use serde_json::{Map, Value, json};

/// What stands for the host in Caddy, without a port.
const HOST: &str = "{http.request.host}";
/// What stands for the decoded path.
const PATH: &str = "{http.request.uri.path}";
/// What stands for the query as it was sent.
const QUERY: &str = "{http.request.uri.query}";

/// The matcher set of Caddy for a node. Each part that is left out is added to `without`.
pub fn matcher_set(node: &Node, without: &mut Vec<String>) -> Value {
    set(node, true, without)
}

/// `at_most` says on which side an inexact set errs: it takes all that the node takes, or nothing that the node does not take.
fn set(node: &Node, at_most: bool, without: &mut Vec<String>) -> Value {
    match node {
        Node::And(left, right) => all(vec![set(left, at_most, without), set(right, at_most, without)]),
        Node::Or(left, right) => any(vec![set(left, at_most, without), set(right, at_most, without)]),
        Node::Not(inner) => none(vec![set(inner, !at_most, without)]),
        Node::Leaf(matcher) => leaf(matcher).unwrap_or_else(|what| {
            without.push(what.to_owned());
            if at_most { json!({}) } else { none(vec![json!({})]) }
        }),
    }
}

/// None of the sets matches.
fn none(sets: Vec<Value>) -> Value {
    json!({ "not": sets })
}

/// One of the sets matches.
pub(super) fn any(sets: Vec<Value>) -> Value {
    none(vec![none(sets)])
}

/// All sets match. Two sets with one key cannot be one, so each gets a denial of its own.
fn all(sets: Vec<Value>) -> Value {
    none(sets.into_iter().map(|set| none(vec![set])).collect())
}

/// The set for a matcher, or what of it Caddy cannot match.
fn leaf(matcher: &Matcher) -> Result<Value, &'static str> {
    let one_of = |patterns: Vec<String>, of: &str| any(patterns.into_iter().map(|pattern| regexp(of, &pattern)).collect());
    Ok(match matcher {
        Matcher::Host(hosts) if hosts.iter().all(|host| is_plain(host)) => {
            json!({ "host": hosts.iter().map(|host| host.trim_end_matches('.')).collect::<Vec<_>>() })
        }
        Matcher::Host(hosts) => one_of(hosts.iter().map(|host| format!("^{}$", quoted(host))).collect(), HOST),
        Matcher::HostRegexp(patterns) => one_of(patterns.iter().map(|pattern| pattern.source().to_owned()).collect(), HOST),
        Matcher::Path(paths) => one_of(paths.iter().map(|path| format!("^{}$", quoted(path))).collect(), PATH),
        Matcher::PathPrefix(starts) => one_of(starts.iter().map(|start| format!("^{}", quoted(start))).collect(), PATH),
        Matcher::PathRegexp(patterns) => one_of(patterns.iter().map(|pattern| pattern.source().to_owned()).collect(), PATH),
        Matcher::Method(methods) => json!({ "method": methods }),
        // Go keeps the host apart from the headers, and Caddy does not.
        Matcher::Header { name, .. } | Matcher::HeaderRegexp { name, .. } if name.eq_ignore_ascii_case("host") => {
            return Err("a matcher for the header Host");
        }
        Matcher::Header { name, value } => {
            header(name, &value.as_ref().map_or_else(String::new, |value| format!("^{}$", quoted(value))))
        }
        Matcher::HeaderRegexp { name, pattern } => header(name, pattern.source()),
        Matcher::Query { name, test } if is_word(name) => match test {
            QueryTest::OneIs(value) if value.is_empty() => regexp(QUERY, &format!("(?:^|&){}=?(?:&|$)", quoted(name))),
            QueryTest::OneIs(value) if is_word(value) => {
                regexp(QUERY, &format!("(?:^|&){}={}(?:&|$)", quoted(name), quoted(value)))
            }
            QueryTest::FirstIs(value) if is_word(value) => query(name, value),
            QueryTest::Present => query(name, "*"),
            QueryTest::OneIs(_) | QueryTest::FirstIs(_) | QueryTest::OneMatches(_) => return Err("a matcher for the query"),
        },
        Matcher::Query { .. } => return Err("a matcher for the query"),
        // Its clients reach the ingress through the engine's proxy.
        Matcher::ClientIp(_) => return Err("ClientIP"),
    })
}

fn regexp(of: &str, pattern: &str) -> Value {
    json!({ "vars_regexp": keyed(of, json!({ "pattern": pattern })) })
}

fn header(name: &str, pattern: &str) -> Value {
    json!({ "header_regexp": keyed(name, json!({ "pattern": pattern })) })
}

fn query(name: &str, value: &str) -> Value {
    json!({ "query": keyed(name, json!([value])) })
}

fn keyed(key: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

/// A text as a pattern that matches it alone.
pub(super) fn quoted(text: &str) -> String {
    let special = |c: &char| r"\.+*?()|[]{}^$".contains(*c);
    text.chars().flat_map(|c| [special(&c).then_some('\\'), Some(c)]).flatten().collect()
}

/// Whether Caddy's matcher for hosts takes the name as it is.
fn is_plain(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
}

/// Whether a text is the same in a query as it was sent and as it is decoded.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c))
}
