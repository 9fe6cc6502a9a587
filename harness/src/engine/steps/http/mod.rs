//! Waits for an answer of the app itself through the ingress.

mod probe;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Context, check};
use crate::{
    model::{
        engine::SwarmError,
        names::{Domain, ServiceName},
        outcome::{Cause, EXCERPT_LINES, Failure, Outcome, Owner},
        time::format_duration,
    },
    ports::{HttpView, WebError},
    pure::{host::converge::ServiceView, run::plan::StepId},
};

/// The services of the app as a look shows them.
type Services = BTreeMap<ServiceName, ServiceView>;

/// How long one request may take.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two requests, at first and at most; it doubles.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long a name without a route stays without one before that is taken for the recipe's word. Ingresses learn of a service
/// within a second or two.
const ROUTE_PATIENCE: Duration = Duration::from_secs(15);
/// The header by which the sandbox's ingress marks answers of its own.
const INGRESS_HEADER: &str = "taster-ingress";

/// What one request says about the app.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    /// The app itself answered well.
    App { status: u16 },
    /// The app itself answered with an error of its own.
    AppError { status: u16 },
    /// The ingress knows the name, but cannot reach the app.
    Unreachable(String),
    /// The ingress does not know the name.
    NoRoute,
    /// The ingress itself does not answer as it should.
    NoIngress(String),
}

pub(super) async fn http(context: &Context<'_>, id: &StepId, budget: Duration) -> Outcome {
    let head = match context.head() {
        Ok(head) => head.clone(),
        Err(failure) => return Outcome::Failed(failure),
    };
    let settings = &context.pack.settings;
    let url = format!("https://{}{}", head.domain, settings.health_path.as_str());
    let mut services = context.ports.swarm.observe(&head.stack).await;
    // The last request and the pause before it are within the step's budget too, so that this step ends by its own word.
    let most = budget.saturating_sub(REQUEST_PATIENCE + PAUSE.1);
    let budget = services.as_ref().ok().and_then(declared_timeout).unwrap_or(most).min(most);
    let began = context.ports.clock.mono();
    let mut pause = PAUSE.0;
    let mut unrouted_since = None;
    let outcome = loop {
        // What is quoted of it is cut, and what is left of a secret then could not be told for one.
        let got = context.ports.web.get(&url, REQUEST_PATIENCE).await;
        let got = got.map(|view| HttpView { body: context.log.redact(&view.body), ..view });
        let said = first_lines(&got);
        let heard = hear(got, &settings.health_status);
        let now = context.ports.clock.mono();
        if let Heard::App { .. } = heard {
            break Outcome::Passed;
        }
        context.log.observe(id, vec![format!("{url}: {}", told(&heard))]);
        let unrouted = match heard {
            Heard::NoRoute => now.since(*unrouted_since.get_or_insert(now)),
            Heard::App { .. } | Heard::AppError { .. } | Heard::Unreachable(_) | Heard::NoIngress(_) => {
                unrouted_since = None;
                Duration::ZERO
            }
        };
        if unrouted >= ROUTE_PATIENCE.min(budget) || now.since(began) + pause > budget {
            if services.is_err() {
                services = context.ports.swarm.observe(&head.stack).await;
            }
            break Outcome::Failed(failure(&head.domain, &url, &heard, now.since(began), &services).quoting(&said));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    };
    check(context, id, "the app itself answers over HTTPS through the ingress", &outcome);
    match outcome {
        Outcome::Passed => probe::probes(context, id, &head, began, budget).await,
        Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Unverified(_) => outcome,
    }
}

/// The convergence timeout that the recipe declares in its label `coop-cloud.<stack>.timeout` (docs/reference/abra.md 5.2).
fn declared_timeout(services: &Services) -> Option<Duration> {
    services
        .values()
        .flat_map(|service| &service.labels)
        .find(|(label, _)| label.starts_with("coop-cloud.") && label.ends_with(".timeout"))
        .and_then(|(_, seconds)| seconds.parse().ok())
        .map(Duration::from_secs)
}

/// How an answer's text begins, for a page that fails mostly says so at its top.
fn first_lines(got: &Result<HttpView, WebError>) -> String {
    let body = got.as_ref().map(|view| view.body.as_str()).unwrap_or_default();
    body.lines().filter(|line| !line.trim().is_empty()).take(EXCERPT_LINES).collect::<Vec<_>>().join("\n")
}

/// What an answer, or its absence, says about the app.
fn hear(got: Result<HttpView, WebError>, wanted: &BTreeSet<u16>) -> Heard {
    let view = match got {
        Ok(view) => view,
        Err(error @ (WebError::NoConnection { .. } | WebError::BadCertificate { .. } | WebError::Broken { .. })) => {
            return Heard::NoIngress(error.to_string());
        }
        Err(error @ WebError::TimedOut { .. }) => return Heard::Unreachable(error.to_string()),
    };
    let own = view.headers.get(INGRESS_HEADER).map(String::as_str);
    match (own, view.status) {
        (Some("no-route"), _) => Heard::NoRoute,
        (Some(reason), status) => Heard::Unreachable(format!("{status} from the ingress ({reason})")),
        // Traefik's own answers bear no mark but their words.
        (None, 404) if view.body.trim() == "404 page not found" => Heard::NoRoute,
        (None, status @ (502..=504)) => {
            Heard::Unreachable(format!("{status} {}", view.body.trim().chars().take(60).collect::<String>()))
        }
        (None, status) if !wanted.is_empty() => match wanted.contains(&status) {
            true => Heard::App { status },
            false => Heard::AppError { status },
        },
        (None, status @ 200..=399) => Heard::App { status },
        // A page that wants a log-in is the app's own answer.
        (None, status @ (401 | 403)) => Heard::App { status },
        (None, status) => Heard::AppError { status },
    }
}

fn told(heard: &Heard) -> String {
    match heard {
        Heard::App { status } => format!("answered {status}"),
        Heard::AppError { status } => format!("the app answers {status}"),
        Heard::Unreachable(how) => format!("the app does not answer: {how}"),
        Heard::NoRoute => "the ingress knows no route to this name".into(),
        Heard::NoIngress(how) => format!("the ingress does not answer: {how}"),
    }
}

fn failure(domain: &Domain, url: &str, heard: &Heard, waited: Duration, services: &Result<Services, SwarmError>) -> Failure {
    let last = told(heard);
    let waited = format_duration(waited);
    let (sentence, owner) = match heard {
        Heard::NoRoute => match services {
            Ok(services) => (format!("{last}; {}", routes(domain, services)), Owner::Recipe),
            // An ingress learns its routes from the engine, too.
            Err(error) => (format!("{last}, and what the router rules say is not known: {error}"), Owner::Infrastructure),
        },
        Heard::NoIngress(_) => (format!("{last}, for {waited}"), Owner::Infrastructure),
        Heard::App { .. } | Heard::AppError { .. } | Heard::Unreachable(_) => {
            (format!("all services settled, but {last}, for {waited}"), Owner::Recipe)
        }
    };
    Failure::new(Cause::NotServing { last }, format!("{url}: {sentence}")).owned_by(owner)
}

/// What the recipe's router rules say instead.
fn routes(domain: &Domain, services: &Services) -> String {
    let rules: Vec<&str> = services
        .values()
        .flat_map(|service| &service.labels)
        .filter(|(label, _)| label.starts_with("traefik.") && label.ends_with(".rule"))
        .map(|(_, rule)| rule.as_str())
        .collect();
    let named: Vec<&str> = rules.iter().flat_map(|rule| hosts(rule)).collect();
    if rules.is_empty() {
        "no service has a router rule".into()
    } else if named.contains(&domain.as_str()) {
        format!("the router rule names it, but the ingress did not take it: {}", rules.join(", "))
    } else if named.is_empty() {
        format!("the router rules name no host: {}", rules.join(", "))
    } else {
        format!("the router rules name only {}", named.join(", "))
    }
}

/// The names in the `Host(…)` parts of a router rule.
fn hosts(rule: &str) -> impl Iterator<Item = &str> {
    let lists = rule.split("Host(").skip(1).filter_map(|rest| rest.split(')').next());
    lists.flat_map(|list| list.split(',')).map(|name| name.trim().trim_matches(['`', '"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(status: u16, header: Option<&str>, body: &str) -> Result<HttpView, WebError> {
        let headers = header.map(|value| (INGRESS_HEADER.to_owned(), value.to_owned())).into_iter().collect();
        Ok(HttpView { status, headers, body: body.into() })
    }

    #[test]
    fn a_rule_is_read_for_whole_names() {
        for (rule, named) in [
            ("Host(`a.test`)", &["a.test"][..]),
            ("Host(`lost.a.test`) && PathPrefix(`/x`)", &["lost.a.test"]),
            ("Host(`a.test`, `www.a.test`) || Host(\"b.test\")", &["a.test", "www.a.test", "b.test"]),
            ("PathPrefix(`/x`)", &[]),
        ] {
            assert_eq!(hosts(rule).collect::<Vec<_>>(), named, "{rule}");
        }
    }

    #[test]
    fn a_name_without_a_route_is_the_recipes_fault_only_where_its_rules_were_read() {
        let domain = "shop.taster.test".parse().unwrap();
        let silent = SwarmError::Silent { call: "look".into(), after: Duration::from_secs(8) };
        for (services, owner, said) in [
            (Ok(Services::new()), Owner::Recipe, "no service has a router rule"),
            (
                Err(silent),
                Owner::Infrastructure,
                "what the router rules say is not known: the engine did not answer look within 8s",
            ),
        ] {
            let failure = failure(&domain, "https://shop.taster.test/", &Heard::NoRoute, ROUTE_PATIENCE, &services);
            assert_eq!(failure.owner, owner, "{}", failure.message);
            assert!(failure.message.ends_with(said), "{}", failure.message);
        }
    }

    #[test]
    fn only_the_app_itself_counts_as_an_answer() {
        for (got, heard) in [
            (view(200, None, "hello"), Heard::App { status: 200 }),
            (view(302, None, ""), Heard::App { status: 302 }),
            (view(401, None, ""), Heard::App { status: 401 }),
            (view(404, None, "Not Found"), Heard::AppError { status: 404 }),
            (view(500, None, "oops"), Heard::AppError { status: 500 }),
            (view(404, Some("no-route"), ""), Heard::NoRoute),
            (view(404, None, "404 page not found\n"), Heard::NoRoute),
            (view(502, Some("backend"), ""), Heard::Unreachable("502 from the ingress (backend)".into())),
            (view(502, None, "Bad Gateway"), Heard::Unreachable("502 Bad Gateway".into())),
            (
                Err(WebError::BadCertificate { message: "unknown issuer".into() }),
                Heard::NoIngress("the certificate is not trusted: unknown issuer".into()),
            ),
        ] {
            assert_eq!(hear(got.clone(), &BTreeSet::new()), heard, "{got:?}");
        }
    }

    #[test]
    fn only_the_statuses_that_a_pack_names_count_then() {
        let wanted = BTreeSet::from([204, 404]);
        for (got, heard) in [
            (view(204, None, ""), Heard::App { status: 204 }),
            (view(404, None, "no such page"), Heard::App { status: 404 }),
            (view(200, None, "hello"), Heard::AppError { status: 200 }),
            (view(401, None, ""), Heard::AppError { status: 401 }),
            (view(404, Some("no-route"), ""), Heard::NoRoute),
        ] {
            assert_eq!(hear(got.clone(), &wanted), heard, "{got:?}");
        }
    }
}
