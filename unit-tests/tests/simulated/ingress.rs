//! The routes that follow from labels, and the listeners that block a port.

use std::net::Ipv4Addr;

use formats::traefik::labels::Backend;
use sandbox::{
    ingress::routes::{Change, PublicService, Route, Routes, changes, routes as routes_of_all},
    machine::ports::listeners,
};
use serde_json::{Value, json};

fn service(labels: &[(&str, &str)]) -> PublicService {
    let mut all = vec![
        ("traefik.enable", "true"),
        ("traefik.docker.network", "proxy"),
        ("traefik.http.routers.shop.entrypoints", "web-secure"),
        ("traefik.http.routers.shop.tls.certresolver", ""),
        ("coop-cloud.shop.version", "1.0.0+1"),
    ];
    all.extend(labels);
    let labels = all.into_iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect();
    PublicService { name: "shop_app".to_owned(), labels, dnsrr: true }
}

fn routes(service: &PublicService) -> Routes {
    routes_of_all(std::slice::from_ref(service))
}

fn route(host: &str, dial: &str, priority: i64) -> Route {
    let backend = Backend { port: "80".into(), scheme: "http".into(), pass_host_header: true };
    Route {
        priority,
        matcher: json!({ "host": [host] }),
        handlers: Vec::new(),
        target: Some((dial.to_owned(), backend)),
        without: [].into(),
        rule: format!("Host(`{host}`)"),
    }
}

/// The addresses that the routes lead to.
fn dials(routes: &Routes) -> Vec<&str> {
    routes.routes.iter().filter_map(|route| route.target.as_ref()).map(|(dial, _)| dial.as_str()).collect()
}

const RULE: &str = "traefik.http.routers.shop.rule";
const PORT: &str = "traefik.http.services.shop.loadbalancer.server.port";

#[test]
fn rule_becomes_a_matcher_that_takes_the_same() {
    let path = |pattern: &str| json!({ "vars_regexp": { "{http.request.uri.path}": { "pattern": pattern } } });
    let host = |pattern: &str| json!({ "vars_regexp": { "{http.request.host}": { "pattern": pattern } } });
    let one = |sets: Value| json!({ "not": [{ "not": sets }] });
    for (rule, matcher) in [
        ("Host(`A.test`)", json!({ "host": ["a.test"] })),
        ("Host(`a.test`, `www.a.test.`)", json!({ "host": ["a.test", "www.a.test"] })),
        ("Host(`*.a.test`)", one(json!([host("^\\*\\.a\\.test$")]))),
        (
            "Host(`a.test`) && PathPrefix(`/x.`)",
            json!({ "not": [{ "not": [{ "host": ["a.test"] }] }, { "not": [one(json!([path("^/x\\.")]))] }] }),
        ),
        ("Host(`a.test`) || Host(`b.test`)", one(json!([{ "host": ["a.test"] }, { "host": ["b.test"] }]))),
        ("!Host(`a.test`)", json!({ "not": [{ "host": ["a.test"] }] })),
        ("PathRegexp(`^/a{2}$`)", one(json!([path("^/a{2}$")]))),
        ("method(`get`)", json!({ "method": ["GET"] })),
        ("Header(`X-A`, `b.c`)", json!({ "header_regexp": { "X-A": { "pattern": "^b\\.c$" } } })),
    ] {
        let made = routes(&service(&[(RULE, rule), (PORT, "80")]));

        assert_eq!(made.warnings, [""; 0], "{rule}");
        assert_eq!(made.routes[0].matcher, matcher, "{rule}");
    }
}

#[test]
fn pattern_of_either_syntax_takes_a_host() {
    let made = routes(&service(&[(RULE, "HostRegexp(`{sub:[a-z]+}.a.test`)"), (PORT, "80")]));

    let matcher = made.routes[0].matcher.to_string();
    assert!(matcher.contains("(?i)^(?P<v0>[a-z]+)\\\\.a\\\\.test$"), "version 2: {matcher}");
    assert!(matcher.contains("{sub:[a-z]+}.a.test"), "version 3: {matcher}");
}

#[test]
fn rule_that_caddy_cannot_match_is_routed_by_the_rest_and_named() {
    for (rule, matcher, without) in [
        (
            "Host(`a.test`) && ClientIP(`10.0.0.0/8`)",
            json!({ "not": [{ "not": [{ "host": ["a.test"] }] }, { "not": [{}] }] }),
            "ClientIP",
        ),
        (
            "Host(`a.test`) && !ClientIP(`10.0.0.0/8`)",
            json!({ "not": [{ "not": [{ "host": ["a.test"] }] }, { "not": [{ "not": [{ "not": [{}] }] }] }] }),
            "ClientIP",
        ),
    ] {
        let made = routes(&service(&[(RULE, rule), (PORT, "80")]));

        assert_eq!(made.routes[0].matcher, matcher, "it takes all that the rule takes");
        assert_eq!(made.routes[0].without, [without.to_owned()].into());
        let header = made.routes[0].to_json()["handle"][0]["response"]["set"]["taster-ingress-without"].clone();
        assert_eq!(header, json!([without]));
        assert_eq!(made.warnings, [format!("shop_app: router shop: the ingress leaves out {without}")]);
    }
    let catch_all = routes(&service(&[(RULE, "ClientIP(`10.0.0.0/8`)"), (PORT, "80")]));
    assert_eq!((catch_all.routes.len(), catch_all.warnings.len()), (0, 1), "it would take the hosts of all apps");
}

#[test]
fn rule_that_traefik_refuses_has_no_route_and_a_cause() {
    for (rule, cause) in [
        ("nonsense", "the name nonsense is not expected"),
        ("Host('a.test')", "in backticks or double quotes"),
        ("Host(`a.test`", "the end of the rule is not expected"),
        ("Host(`a.test`) /* x */", "a comment"),
    ] {
        let made = routes(&service(&[(RULE, rule), (PORT, "80")]));

        assert_eq!((made.routes.len(), made.warnings.len()), (0, 1), "{rule}");
        assert!(made.warnings[0].contains(cause), "{}", made.warnings[0]);
    }
}

#[test]
fn labels_of_a_recipe_become_one_route() {
    let made = routes(&service(&[(RULE, "Host(`shop.taster.test`, `www.shop.taster.test`)"), (PORT, "8080")]));

    assert_eq!(dials(&made), ["shop_app:8080"]);
    assert_eq!(made.routes[0].matcher, json!({ "host": ["shop.taster.test", "www.shop.taster.test"] }));
    assert_eq!(made.warnings, Vec::<String>::new());
}

#[test]
fn service_with_virtual_address_is_reached_by_its_tasks() {
    let vip = PublicService { dnsrr: false, ..service(&[(RULE, "Host(`a.test`)"), (PORT, "80")]) };

    assert_eq!(dials(&routes(&vip)), ["tasks.shop_app:80"]);
}

#[test]
fn router_uses_the_port_of_its_service() {
    let other = "traefik.http.services.other.loadbalancer.server.port";
    let chosen = "traefik.http.routers.shop.service";
    for (labels, dial) in [
        (&[(PORT, "80"), (other, "81"), (chosen, "shop")][..], Some("shop_app:80")),
        (&[(other, "81")], Some("shop_app:81")),
        (&[(PORT, "80"), (other, "81"), (chosen, "other@swarm")], Some("shop_app:81")),
        (&[(PORT, "80"), (chosen, "missing")], None),
        (&[(PORT, "eighty")], None),
        (&[(PORT, "0")], None),
        (&[], None),
    ] {
        let mut all = vec![(RULE, "Host(`a.test`)")];
        all.extend(labels);

        let made = routes(&service(&all));

        assert_eq!(dials(&made).first().copied(), dial, "{labels:?}");
        assert_eq!(made.warnings.len(), usize::from(dial.is_none()), "{labels:?}: {:?}", made.warnings);
    }
}

#[test]
fn service_of_another_provider_is_answered_by_the_ingress_itself() {
    let made = routes(&service(&[(RULE, "Host(`a.test`)"), (PORT, "80"), ("traefik.http.routers.shop.service", "x@file")]));

    assert_eq!(made.routes[0].target, None);
    let answer = made.routes[0].to_json()["handle"][1].clone();
    assert_eq!((&answer["status_code"], &answer["headers"]["taster-ingress"][0]), (&json!("501"), &json!("unsupported")));
}

#[test]
fn label_that_traefik_does_not_know_takes_the_routes_away() {
    for (label, value) in [("traefik.http.routers.shop.rules", "x"), ("traefik.http.routers.shop.priority", "high")] {
        let made = routes(&service(&[(RULE, "Host(`a.test`)"), (PORT, "80"), (label, value)]));

        assert_eq!(made.routes.len(), 0);
        assert!(made.warnings[0].starts_with("shop_app: no router, for "), "{:?}", made.warnings);
    }
}

#[test]
fn middleware_is_done_or_named() {
    let prefix = "traefik.http.middlewares.m.";
    let set = |header: &str, value: &str| json!({ "set": { header: [value] }, "delete": [] });
    for (label, value, handlers, without) in [
        ("redirectscheme.scheme", "https", json!([]), &[][..]),
        ("compress", "true", json!([]), &[]),
        ("headers.SSLForceHost", "true", json!([]), &[]),
        ("headers.customrequestheaders.X-A", "b", json!([{ "handler": "headers", "request": set("X-A", "b") }]), &[]),
        (
            "headers.frameDeny",
            "true",
            json!([{ "handler": "headers", "response": { "set": { "X-Frame-Options": ["DENY"] }, "delete": [], "deferred": true } }]),
            &[],
        ),
        (
            "stripprefix.prefixes",
            "/a.b,/c",
            json!([{ "handler": "rewrite", "path_regexp": [{ "find": "^(?:/a\\.b|/c)/?", "replace": "/" }] }]),
            &[],
        ),
        ("addprefix.prefix", "/x", json!([{ "handler": "rewrite", "uri": "/x{http.request.uri}" }]), &[]),
        ("basicauth.users", "u:p", json!([]), &["the middleware m (basicauth)"]),
        ("headers.accessControlMaxAge", "1", json!([]), &["the option accessControlMaxAge of the middleware m"]),
        ("redirectscheme.scheme", "http", json!([]), &["the middleware m (redirectscheme)"]),
        ("headers.customrequestheaders.X-A", "{x}", json!([]), &["a header with braces of the middleware m"]),
    ] {
        let label = format!("{prefix}{label}");
        let made = routes(&service(&[
            (RULE, "Host(`a.test`)"),
            (PORT, "80"),
            ("traefik.http.routers.shop.middlewares", "m@swarm"),
            (&label, value),
        ]));

        assert_eq!(Value::Array(made.routes[0].handlers.clone()), handlers, "{label}");
        assert_eq!(made.routes[0].without.iter().map(String::as_str).collect::<Vec<_>>(), without, "{label}");
    }
}

#[test]
fn middleware_of_another_service_or_provider_is_found_or_named() {
    let shop = service(&[(RULE, "Host(`a.test`)"), (PORT, "80"), ("traefik.http.routers.shop.middlewares", "far, x@file, none")]);
    let far = PublicService {
        name: "other_app".into(),
        labels: [
            ("traefik.enable", "true"),
            ("traefik.http.services.other.loadbalancer.server.port", "80"),
            ("traefik.http.middlewares.far.addprefix.prefix", "/x"),
        ]
        .map(|(label, value)| (label.to_owned(), value.to_owned()))
        .into(),
        dnsrr: true,
    };

    let made = routes_of_all(&[shop, far]);

    let own = made.routes.iter().find(|route| route.rule == "Host(`a.test`)").unwrap();
    assert_eq!(own.handlers.len(), 1);
    let without = ["the middleware none, which no service here has", "the middleware x@file of another provider"];
    assert_eq!(own.without.iter().map(String::as_str).collect::<Vec<_>>(), without);
}

#[test]
fn disabled_service_has_no_route_and_no_warning() {
    let mut off = service(&[(RULE, "nonsense"), (PORT, "80")]);
    off.labels.insert("traefik.enable".to_owned(), "false".to_owned());

    assert_eq!(routes(&off), Default::default());
}

#[test]
fn only_changed_routes_are_loaded_and_deleted() {
    let (a, b, c) = (route("a.test", "a_app:80", 14), route("b.test", "b_app:80", 14), route("c.test", "c_app:80", 14));

    let made = changes(&[a.id(), b.id()], &[b.clone(), c.clone(), c.clone()]);

    assert_eq!(made, [Change::Delete(a.id()), Change::Insert(1, c.into())], "b is not touched, c is loaded once");
    assert_eq!(changes(&["route-0123abcd".into()], &[]), [Change::Delete("route-0123abcd".into())]);
}

#[test]
fn route_with_a_higher_priority_comes_first_and_an_equal_one_last() {
    let (low, mid, high) = (route("a.test", "a:80", -1), route("a.test", "b:80", 14), route("a.test", "c:80", 30));
    let late = route("a.test", "d:80", 14);

    assert_eq!(
        changes(&[high.id(), low.id()], &[low.clone(), mid.clone(), high.clone()]),
        [Change::Insert(1, mid.clone().into())]
    );
    assert_eq!(
        changes(&[mid.id()], &[mid.clone(), late.clone()]),
        [Change::Insert(1, late.into())],
        "the first one keeps its place"
    );
    assert_eq!(changes(&[mid.id()], &[mid, high.clone()]), [Change::Insert(0, high.into())]);
}

#[test]
fn route_to_another_port_has_another_id() {
    let (b, moved) = (route("b.test", "b_app:80", 14), route("b.test", "b_app:81", 14));

    assert_ne!(moved.id(), b.id());
}

#[test]
fn listeners_are_read_from_the_kernels_tables() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 154 1 0 100 0 0 10 0\n   \
        1: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 155 1 0 100 0 0 10 0\n   \
        2: 0100007F:0050 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 156 1 0 100 0 0 10 0\n   \
        3: nonsense\n";
    let here = Ipv4Addr::LOCALHOST.into();

    let found = listeners(table);

    assert_eq!(found.iter().map(|listener| (listener.port, listener.inode)).collect::<Vec<_>>(), [(80, 154), (443, 155)]);
    assert!(found[0].blocks(here, 80) && !found[0].blocks(here, 443));
    assert!(found[1].blocks(here, 443), "a listener on all addresses blocks each of them");
    assert!(!found[0].blocks(Ipv4Addr::new(172, 18, 0, 1).into(), 80));
}

#[test]
fn listeners_of_ipv6_block_ipv4_too() {
    let table = "head\n 0: 00000000000000000000000000000000:0050 0:0 0A 0:0 00:0 0 0 0 157 1\n \
        1: 0000000000000000FFFF00000100007F:0051 0:0 0A 0:0 00:0 0 0 0 158 1\n";
    let here = Ipv4Addr::LOCALHOST.into();

    let found = listeners(table);

    assert!(found[0].blocks(here, 80) && found[1].blocks(here, 81));
}
