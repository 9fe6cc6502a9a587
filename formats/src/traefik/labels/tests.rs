use super::*;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let enable = ("traefik.enable", "true");
    [enable].iter().chain(pairs).map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
}

const RULE: (&str, &str) = ("traefik.http.routers.shop.rule", "Host(`a.test`)");
const PORT: (&str, &str) = ("traefik.http.services.shop.loadbalancer.server.port", "80");

fn routing(pairs: &[(&str, &str)]) -> Result<Option<Routing>, LabelError> {
    Routing::of("shop_app", &labels(pairs))
}

#[test]
fn router_of_a_recipe_has_its_rule_port_and_service() {
    let routing = routing(&[
        RULE,
        PORT,
        ("traefik.docker.network", "proxy"),
        ("traefik.swarm.network", "proxy"),
        ("traefik.http.routers.shop.entrypoints", "web-secure"),
        ("traefik.http.routers.shop.tls.certresolver", ""),
        ("traefik.http.routers.shop.middlewares", "shop-redirect, other@file"),
        ("traefik.http.middlewares.shop-redirect.headers.SSLForceHost", "true"),
    ]);
    let routing = routing.unwrap().unwrap();
    let router = &routing.routers["shop"];
    assert_eq!((router.rule.as_str(), router.service.as_str(), router.tls), ("Host(`a.test`)", "shop", true));
    assert_eq!(router.middlewares, ["shop-redirect", "other@file"]);
    assert_eq!(routing.services["shop"], Backend { port: "80".into(), scheme: "http".into(), pass_host_header: true });
    assert!(routing.middlewares["shop-redirect"].at(&["headers", "sslforcehost"]).is_some());
}

#[test]
fn keys_have_no_case() {
    let routing = routing(&[
        ("traefik.HTTP.Routers.Shop.RULE", "Host(`a`)"),
        ("traefik.http.services.Shop.loadBalancer.Server.Port", "81"),
    ]);
    let routing = routing.unwrap().unwrap();
    assert_eq!(routing.routers["Shop"].rule, "Host(`a`)");
    assert_eq!(routing.services["Shop"].port, "81");
}

#[test]
fn label_that_traefik_does_not_know_takes_all_routers() {
    for (label, value, cause) in [
        ("traefik.http.routers.shop.rules", "x", "Traefik does not know the label part rules"),
        ("traefik.http.router.shop.rule", "x", "Traefik does not know the label part router"),
        ("traefik.http.routers.shop.priority", "high", "the value \"high\" of the label part priority is no whole number"),
        ("traefik.http.routers.shop.rule.x", "x", "has parts below it"),
        ("traefik.http.middlewares", "x", "stands for nothing by itself"),
        ("traefik.enabled", "true", "Traefik does not know the label part enabled"),
        ("Traefik.enable", "true", "does not begin with traefik in lower case"),
        ("traefik.http..rule", "x", "has an empty part"),
        ("traefik.http.services.more.loadbalancer.passhostheader", "true", "the service more of Traefik has no label"),
    ] {
        let error = routing(&[RULE, PORT, (label, value)]).unwrap_err().to_string();
        assert!(error.contains(cause), "{label}: {error}");
    }
    assert_eq!(routing(&[RULE]).unwrap_err(), LabelError::NoPort("shop-app".into()));
}

#[test]
fn disabled_service_asks_for_nothing() {
    for value in ["false", "0"] {
        assert_eq!(routing(&[("traefik.enable", value), RULE, PORT]), Ok(None));
    }
    assert_eq!(Routing::of("shop_app", &BTreeMap::new()), Ok(None));
    assert!(routing(&[("traefik.enable", "yes")]).is_err());
}

#[test]
fn router_without_a_service_leads_to_the_only_one() {
    let other = ("traefik.http.services.other.loadbalancer.server.port", "81");
    let service = |pairs: &[(&str, &str)]| {
        let routing = routing(pairs).unwrap().unwrap();
        routing.routers.into_iter().map(|(name, router)| (name, router.rule, router.service)).collect::<Vec<_>>()
    };
    let owned = |name: &str, rule: &str, service: &str| vec![(name.to_owned(), rule.to_owned(), service.to_owned())];
    assert_eq!(service(&[RULE, other]), owned("shop", "Host(`a.test`)", "other"));
    assert_eq!(service(&[RULE, PORT, other]), [], "Traefik drops a router that may lead to two");
    assert_eq!(service(&[PORT]), owned("shop-app", "Host(`shop-app`)", "shop"));
}
