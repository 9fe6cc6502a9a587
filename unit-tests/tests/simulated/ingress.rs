//! The routes that follow from labels, and the listeners that block a port.

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
fn rule_of_hosts_is_read_as_its_hosts() {
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
fn other_rule_is_refused_with_the_part_that_is_unknown() {
    for (rule, what) in [
        ("", "\"\" is not of the form Host(…)"),
        ("PathPrefix(`/x`)", "PathPrefix instead of Host"),
        ("HostRegexp(`.*`)", "HostRegexp instead of Host"),
        ("!Host(`a.test`)", "!Host instead of Host"),
        ("Host(`a.test`", "a bracket is not closed"),
        ("Host(a.test)", "\"a.test\" is not a host in quotes"),
        ("Host()", "\"\" is not a host in quotes"),
        ("Host(``)", "\"\" is not a host"),
        ("Host(`${DOMAIN}`)", "\"${domain}\" is not a host"),
        ("Host(`a.test`) && PathPrefix(`/x`)", "\"&& PathPrefix(`/x`)\" after the hosts"),
    ] {
        let error = hosts_of_rule(rule).unwrap_err().to_string();
        assert!(error.starts_with(what), "{rule}: {error}");
    }
}

#[test]
fn labels_of_a_recipe_become_one_route() {
    let made = routes(&service(&[(RULE, "Host(`shop.taster.test`, `www.shop.taster.test`)"), (PORT, "8080")]));

    assert_eq!(made.routes, [route(&["shop.taster.test", "www.shop.taster.test"], "shop_app:8080")]);
    assert_eq!(made.warnings, Vec::<String>::new());
}

#[test]
fn service_with_virtual_address_is_reached_by_its_tasks() {
    let vip = PublicService { dnsrr: false, ..service(&[(RULE, "Host(`a.test`)"), (PORT, "80")]) };

    let made = routes(&vip);

    assert_eq!(made.routes, [route(&["a.test"], "tasks.shop_app:80")]);
}

#[test]
fn router_uses_the_port_of_its_service() {
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
fn unknown_label_is_named_in_a_warning() {
    for label in
        ["traefik.http.routers.shop.middlewares", "traefik.tcp.routers.shop.rule", "traefik.http.middlewares.x.redirectscheme"]
    {
        let made = routes(&service(&[(RULE, "Host(`a.test`)"), (PORT, "80"), (label, "x")]));

        assert_eq!(made.routes.len(), 1, "the rest still holds");
        assert_eq!(made.warnings, [format!("shop_app: the ingress does not understand the label {label}")]);
    }
}

#[test]
fn disabled_service_has_no_route_and_no_warning() {
    for value in ["false", "", "yes"] {
        let mut off = service(&[(RULE, "nonsense"), (PORT, "80")]);
        off.labels.insert("traefik.enable".to_owned(), value.to_owned());

        assert_eq!(routes(&off), Default::default(), "{value:?}");
    }
}

#[test]
fn only_changed_routes_are_loaded_and_deleted() {
    let (a, b, c) = (route(&["a.test"], "a_app:80"), route(&["b.test"], "b_app:80"), route(&["c.test"], "c_app:80"));
    let loaded = BTreeSet::from([a.id(), b.id()]);

    let (load, delete) = changes(&loaded, &[b.clone(), c.clone(), c.clone()]);

    assert_eq!((load, delete), (vec![c], vec![a.id()]), "b is not touched, c is loaded once");
}

#[test]
fn route_to_another_port_has_another_id() {
    let (b, moved) = (route(&["b.test"], "b_app:80"), route(&["b.test"], "b_app:81"));

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
