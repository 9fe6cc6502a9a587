//! From labels to routes, and who is in the way of a port.

use std::{collections::BTreeSet, net::Ipv4Addr};

use sandbox::{
    ingress::{
        routes::{PublicService, Route, changes, routes},
        rule::hosts_of_rule,
    },
    machine::ports::listeners,
};

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

fn route(hosts: &[&str], dial: &str) -> Route {
    Route { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), dial: dial.to_owned() }
}

const RULE: &str = "traefik.http.routers.shop.rule";
const PORT: &str = "traefik.http.services.shop.loadbalancer.server.port";

#[test]
fn rules_that_name_hosts_are_understood() {
    for (rule, wanted) in [
        ("Host(`a.test`)", &["a.test"][..]),
        ("Host(`a.test`, `www.a.test`)", &["a.test", "www.a.test"]),
        ("Host(`a.test`,`b.test`,`c.test`)", &["a.test", "b.test", "c.test"]),
        ("Host(`a.test`) || Host(`b.test`)", &["a.test", "b.test"]),
        ("  Host( \"A.test\" )||Host('b.test')  ", &["a.test", "b.test"]),
    ] {
        let wanted: BTreeSet<String> = wanted.iter().map(|host| (*host).to_owned()).collect();
        assert_eq!(hosts_of_rule(rule), Ok(wanted), "{rule}");
    }
}

#[test]
fn other_rules_are_refused_with_what_is_not_understood() {
    for (rule, what) in [
        ("", "\"\" is no Host(…)"),
        ("PathPrefix(`/x`)", "PathPrefix instead of Host"),
        ("HostRegexp(`.*`)", "HostRegexp instead of Host"),
        ("!Host(`a.test`)", "!Host instead of Host"),
        ("Host(`a.test`", "a bracket is not closed"),
        ("Host(a.test)", "\"a.test\" is no host in quotes"),
        ("Host()", "\"\" is no host in quotes"),
        ("Host(``)", "\"\" is no host"),
        ("Host(`${DOMAIN}`)", "\"${domain}\" is no host"),
        ("Host(`a.test`) && PathPrefix(`/x`)", "\"&& PathPrefix(`/x`)\" after the hosts"),
    ] {
        let error = hosts_of_rule(rule).unwrap_err().to_string();
        assert!(error.starts_with(what), "{rule}: {error}");
    }
}

#[test]
fn the_labels_of_a_recipe_make_one_route() {
    let made = routes(&service(&[(RULE, "Host(`shop.taster.test`, `www.shop.taster.test`)"), (PORT, "8080")]));
    assert_eq!(made.routes, [route(&["shop.taster.test", "www.shop.taster.test"], "shop_app:8080")]);
    assert_eq!(made.warnings, Vec::<String>::new());
}

#[test]
fn a_service_with_a_virtual_address_is_reached_by_its_tasks() {
    let vip = PublicService { dnsrr: false, ..service(&[(RULE, "Host(`a.test`)"), (PORT, "80")]) };
    assert_eq!(routes(&vip).routes, [route(&["a.test"], "tasks.shop_app:80")]);
}

#[test]
fn routers_find_their_ports() {
    let other = "traefik.http.services.other.loadbalancer.server.port";
    let chosen = "traefik.http.routers.shop.service";
    for (labels, dial) in [
        (&[(PORT, "80"), (other, "81")][..], Some("shop_app:80")),
        (&[(other, "81")], Some("shop_app:81")),
        (&[(PORT, "80"), (other, "81"), (chosen, "other")], Some("shop_app:81")),
        (&[(PORT, "80"), (chosen, "missing")], None),
        (&[(PORT, "eighty")], None),
        (&[(PORT, "0")], None),
        (&[], None),
    ] {
        let mut all = vec![(RULE, "Host(`a.test`)")];
        all.extend(labels);
        let made = routes(&service(&all));
        assert_eq!(made.routes.first().map(|route| route.dial.as_str()), dial, "{labels:?}");
        assert_eq!(made.warnings.len(), usize::from(dial.is_none()), "{labels:?}: {:?}", made.warnings);
    }
}

#[test]
fn a_label_that_is_not_understood_is_named() {
    for label in
        ["traefik.http.routers.shop.middlewares", "traefik.tcp.routers.shop.rule", "traefik.http.middlewares.x.redirectscheme"]
    {
        let made = routes(&service(&[(RULE, "Host(`a.test`)"), (PORT, "80"), (label, "x")]));
        assert_eq!(made.routes.len(), 1, "the rest still holds");
        assert_eq!(made.warnings, [format!("shop_app: the ingress does not understand the label {label}")]);
    }
}

#[test]
fn a_service_that_is_not_enabled_has_no_route_and_no_warning() {
    for value in ["false", "", "yes"] {
        let mut off = service(&[(RULE, "nonsense"), (PORT, "80")]);
        off.labels.insert("traefik.enable".to_owned(), value.to_owned());
        assert_eq!(routes(&off), Default::default(), "{value:?}");
    }
}

#[test]
fn only_what_differs_is_changed() {
    let (a, b, c) = (route(&["a.test"], "a_app:80"), route(&["b.test"], "b_app:80"), route(&["c.test"], "c_app:80"));
    let loaded = BTreeSet::from([a.id(), b.id()]);
    let (load, delete) = changes(&loaded, &[b.clone(), c.clone(), c.clone()]);
    assert_eq!((load, delete), (vec![c], vec![a.id()]), "b is not touched, c is loaded once");
    let moved = route(&["b.test"], "b_app:81");
    assert_ne!(moved.id(), b.id(), "another port is another route");
}

#[test]
fn the_kernels_tables_say_who_listens() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 154 1 0 100 0 0 10 0\n   \
        1: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 155 1 0 100 0 0 10 0\n   \
        2: 0100007F:0050 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 156 1 0 100 0 0 10 0\n   \
        3: nonsense\n";
    let found = listeners(table);
    assert_eq!(found.iter().map(|listener| (listener.port, listener.inode)).collect::<Vec<_>>(), [(80, 154), (443, 155)]);
    let here = Ipv4Addr::LOCALHOST.into();
    assert!(found[0].blocks(here, 80) && !found[0].blocks(here, 443));
    assert!(found[1].blocks(here, 443), "one that listens everywhere is in the way everywhere");
    assert!(!found[0].blocks(Ipv4Addr::new(172, 18, 0, 1).into(), 80));
    let six = "head\n 0: 00000000000000000000000000000000:0050 0:0 0A 0:0 00:0 0 0 0 157 1\n \
        1: 0000000000000000FFFF00000100007F:0051 0:0 0A 0:0 00:0 0 0 0 158 1\n";
    let found = listeners(six);
    assert!(found[0].blocks(here, 80) && found[1].blocks(here, 81));
}
