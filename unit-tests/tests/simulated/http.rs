//! Whole runs whose app answers in many ways, or something else in its place.

use harness::{
    model::http::HttpView,
    pure::run::verdict::VerdictOutcome::{self, Green, Inconclusive, Red},
};
use unit_tests::{
    sim_host::SimHost,
    sim_site::{SimSite, exposure, view},
};

use crate::sim_run::{FinishedRun, run_on};

const HOST: &str = "hello-aebagbaf.taster.test";
const STACK: &str = "hello-aebagbaf_taster_test";

/// A run whose site is this one.
fn run_with(site: SimSite, outcome: VerdictOutcome) -> FinishedRun {
    let mut host = SimHost::healthy();
    host.site = site;
    run_on(host).expect(outcome)
}

/// A site with these pages.
fn pages(pages: &[(&str, HttpView)]) -> SimSite {
    SimSite { pages: pages.iter().map(|(path, view)| ((*path).to_owned(), view.clone())).collect(), ..SimSite::default() }
}

fn redirect(to: &str) -> HttpView {
    view(302, &[("location", to)], "")
}

/// The app's own service, which is reached on port 80.
fn own() -> harness::pure::host::http::impostors::Exposure {
    let labels = [
        ("traefik.enable", "true"),
        ("traefik.http.routers.hello.rule", "Host(`hello-aebagbaf.taster.test`)"),
        ("traefik.http.services.hello.loadbalancer.server.port", "80"),
    ];
    exposure(&format!("{STACK}_app"), Some(STACK), &labels, &["app"])
}

#[test]
fn answer_that_another_stack_may_have_given_counts_neither_way() {
    let rule = format!("Host(`{HOST}`)");
    let labels = [("traefik.http.routers.other.rule", rule.as_str())];
    let alias = format!("{STACK}_app");
    for (impostor, why) in [
        (exposure("other_app", Some("other"), &labels, &[]), "other_app has a router that takes the host, too"),
        (exposure("other_app", Some("other"), &[], &[&alias]), "on the same network"),
    ] {
        for answer in [view(200, &[], "hello"), view(500, &[], "oops"), view(404, &[("taster-ingress", "no-route")], "")] {
            let site = SimSite { exposures: vec![own(), impostor.clone()], ..pages(&[("/", answer)]) };
            run_with(site, Inconclusive).reason(why).nothing_leaked();
        }
    }
    let beside = exposure("other_app", Some("other"), &[("traefik.http.routers.other.rule", "Host(`o.test`)")], &["app"]);
    run_with(SimSite { exposures: vec![own(), beside], ..SimSite::default() }, Green).nothing_leaked();
}

#[test]
fn answer_that_the_apps_task_does_not_give_is_not_the_apps() {
    let site = |task: Option<HttpView>| SimSite { exposures: vec![own()], task, ..SimSite::default() };
    run_with(site(None), Green);
    run_with(site(Some(view(200, &[], "hello"))), Green);
    run_with(site(Some(view(200, &[], "<title>Other</title>"))), Inconclusive)
        .reason("its task answers with the title \"Other\" and the ingress with no title");
    run_with(site(Some(view(503, &[], "starting"))), Inconclusive).reason("its task answers 503 and the ingress 200");
}

#[test]
fn redirects_are_followed_within_the_zone() {
    run_with(pages(&[("/", redirect("/login")), ("/login", view(200, &[], "in"))]), Green);
    run_with(pages(&[("/", redirect("/"))]), Red)
        .reason(&format!("https://{HOST}/ → /: all services settled, but its redirects lead round in a circle"));
    run_with(pages(&[("/", redirect("/a")), ("/a", redirect("/b")), ("/b", redirect("/a"))]), Red)
        .reason(&format!("its redirects lead round in a circle: https://{HOST}/ → /a → /b → /a"));
    run_with(pages(&[("/", redirect(&format!("http://{HOST}/")))]), Red).reason("lead round in a circle");
    run_with(pages(&[("/", view(302, &[], ""))]), Red).reason("its redirect names no address");
    run_with(pages(&[("/", redirect("/broken")), ("/broken", view(500, &[], ""))]), Red)
        .reason(&format!("https://{HOST}/ → /broken: all services settled, but the app answers 500"));
    run_with(SimSite { wants_cookie: Some("seen=1".into()), ..SimSite::default() }, Green);
}

#[test]
fn redirect_out_of_the_zone_is_reported_and_to_another_app_is_not_verified() {
    let run = run_with(pages(&[("/", redirect("https://sso.example.org/in"))]), Green);
    let check = format!("https://{HOST}/ leads to https://sso.example.org/in, outside the zone, and is not followed");
    let results = format!("{:?}", run.results);
    assert!(results.contains(&check), "{results}");

    let site = SimSite { exposures: vec![own()], ..pages(&[("/", redirect("https://other.taster.test/x"))]) };
    run_with(site, Inconclusive).reason("the app leads to other.taster.test, which no router of its own takes");
}

#[test]
fn page_that_is_not_the_apps_own_or_reports_an_error_is_not_green() {
    run_with(pages(&[("/", view(200, &[], "<title>Caddy works!</title>"))]), Inconclusive)
        .reason("the answer is the page that Caddy brings along")
        .reason("`health_path`");
    run_with(pages(&[("/", view(200, &[], "<title>502 Bad Gateway</title>"))]), Red)
        .reason("the app answers 200 with a page of an error: its title is \"502 Bad Gateway\"");
}

#[test]
fn app_without_a_page_at_its_root_is_asked_to_name_one() {
    run_with(pages(&[("/", view(404, &[], "{\"error\":\"no such route\"}"))]), Inconclusive)
        .reason("the app answers 404")
        .reason("name one that it has as `health_path`");
    // The text is that of Traefik, too, unless the task gives it.
    let text = view(404, &[], "404 page not found\n");
    let site = SimSite { exposures: vec![own()], task: Some(text.clone()), ..pages(&[("/", text)]) };
    run_with(site, Inconclusive).reason("`health_path`");
}

#[test]
fn answer_without_what_the_labels_ask_for_is_not_verified_on_the_sandbox() {
    let marked = [("taster-ingress-without", "the middleware m (basicAuth)\nClientIP")];
    for status in [200, 401, 500] {
        run_with(pages(&[("/", view(status, &marked, "hello"))]), Inconclusive)
            .reason("the sandbox's ingress leaves out")
            .reason("ClientIP; the middleware m (basicAuth)");
    }
    let cannot = view(501, &[("taster-ingress", "unsupported"), ("taster-ingress-without", "the service x@file")], "");
    run_with(pages(&[("/", cannot)]), Inconclusive).reason("the service x@file");
}
