//! Asks the app through the ingress until the app itself answers, and then waits for the probes of its pack.

mod probe;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use super::shared::context::StepContext;
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

/// The services of the app as an observation shows them.
type Services = BTreeMap<ServiceName, ServiceView>;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two requests, at first and at most; it doubles.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long a name may be without a route before that counts as the recipe's fault. Ingresses learn of a service within a second
/// or two.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(15);
/// The header with which the sandbox's ingress marks its own answers.
const INGRESS_HEADER: &str = "taster-ingress";

/// What one request shows about the app.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ProbeResult {
    /// The app itself answered well.
    App { status: u16 },
    /// The app itself answered with an error.
    AppError { status: u16 },
    /// The ingress knows the name, but cannot reach the app.
    Unreachable(String),
    /// The ingress does not know the name.
    NoRoute,
    /// The ingress does not answer as an ingress should.
    NoIngress(String),
}

impl fmt::Display for ProbeResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProbeResult::App { status } => write!(f, "answered {status}"),
            ProbeResult::AppError { status } => write!(f, "the app answers {status}"),
            ProbeResult::Unreachable(how) => write!(f, "the app does not answer: {how}"),
            ProbeResult::NoRoute => write!(f, "the ingress has no route to this name"),
            ProbeResult::NoIngress(how) => write!(f, "the ingress does not answer: {how}"),
        }
    }
}

pub(super) async fn http(context: &StepContext<'_>, id: &StepId, budget: Duration) -> Outcome {
    let head = match context.head() {
        Ok(head) => head.clone(),
        Err(failure) => return Outcome::Failed(failure),
    };
    let settings = &context.pack.settings;
    let url = format!("https://{}{}", head.domain, settings.health_path.as_str());
    let mut services = context.ports.swarm.observe(&head.stack).await;
    // The last request and the pause before it are within the step's budget too, so that the step ends with its own failure.
    let most = budget.saturating_sub(REQUEST_TIMEOUT + RETRY_PAUSE.1);
    let budget = services.as_ref().ok().and_then(declared_timeout).unwrap_or(most).min(most);
    let began = context.ports.clock.mono();
    let mut pause = RETRY_PAUSE.0;
    let mut unrouted_since = None;
    let outcome = loop {
        // Quotes of the body are cut, and the rest of a cut secret would not be recognised, so the whole body is redacted first.
        let got = context.ports.web.get(&url, REQUEST_TIMEOUT).await;
        let got = got.map(|view| HttpView { body: context.log.redact(&view.body), ..view });
        let excerpt = first_lines(&got);
        let result = probe_result(got, &settings.health_status);
        let now = context.ports.clock.mono();
        if let ProbeResult::App { .. } = result {
            break Outcome::Passed;
        }
        context.log.observe(id, vec![format!("{url}: {result}")]);
        let unrouted = match result {
            ProbeResult::NoRoute => now.since(*unrouted_since.get_or_insert(now)),
            ProbeResult::App { .. } | ProbeResult::AppError { .. } | ProbeResult::Unreachable(_) | ProbeResult::NoIngress(_) => {
                unrouted_since = None;
                Duration::ZERO
            }
        };
        if unrouted >= ROUTE_TIMEOUT.min(budget) || now.since(began) + pause > budget {
            if services.is_err() {
                services = context.ports.swarm.observe(&head.stack).await;
            }
            break Outcome::Failed(failure(&head.domain, &url, &result, now.since(began), &services).with_output(&excerpt));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_PAUSE.1);
    };
    context.check(id, "the app itself answers over HTTPS through the ingress", &outcome);
    match outcome {
        Outcome::Passed => probe::wait_for_probes(context, id, &head, began, budget).await,
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

/// The first lines of an answer: a page that fails mostly says so at its top.
fn first_lines(got: &Result<HttpView, WebError>) -> String {
    let body = got.as_ref().map(|view| view.body.as_str()).unwrap_or_default();
    body.lines().filter(|line| !line.trim().is_empty()).take(EXCERPT_LINES).collect::<Vec<_>>().join("\n")
}

/// What an answer, or its absence, shows about the app.
fn probe_result(got: Result<HttpView, WebError>, wanted: &BTreeSet<u16>) -> ProbeResult {
    let view = match got {
        Ok(view) => view,
        Err(error @ (WebError::NoConnection { .. } | WebError::BadCertificate { .. } | WebError::Broken { .. })) => {
            return ProbeResult::NoIngress(error.to_string());
        }
        Err(error @ WebError::TimedOut { .. }) => return ProbeResult::Unreachable(error.to_string()),
    };
    let own = view.headers.get(INGRESS_HEADER).map(String::as_str);
    match (own, view.status) {
        (Some("no-route"), _) => ProbeResult::NoRoute,
        (Some(reason), status) => ProbeResult::Unreachable(format!("{status} from the ingress ({reason})")),
        // Answers of Traefik itself are recognised by their text alone.
        (None, 404) if view.body.trim() == "404 page not found" => ProbeResult::NoRoute,
        (None, status @ (502..=504)) => {
            ProbeResult::Unreachable(format!("{status} {}", view.body.trim().chars().take(60).collect::<String>()))
        }
        (None, status) if !wanted.is_empty() => match wanted.contains(&status) {
            true => ProbeResult::App { status },
            false => ProbeResult::AppError { status },
        },
        (None, status @ 200..=399) => ProbeResult::App { status },
        // A page that wants a log-in is an answer of the app.
        (None, status @ (401 | 403)) => ProbeResult::App { status },
        (None, status) => ProbeResult::AppError { status },
    }
}

fn failure(
    domain: &Domain,
    url: &str,
    result: &ProbeResult,
    waited: Duration,
    services: &Result<Services, SwarmError>,
) -> Failure {
    let last = result.to_string();
    let waited = format_duration(waited);
    let (sentence, owner) = match result {
        ProbeResult::NoRoute => match services {
            Ok(services) => (format!("{last}; {}", routes(domain, services)), Owner::Recipe),
            // An ingress learns its routes from the engine, too.
            Err(error) => (format!("{last}, and what the router rules say is not known: {error}"), Owner::Infrastructure),
        },
        ProbeResult::NoIngress(_) => (format!("{last}, for {waited}"), Owner::Infrastructure),
        ProbeResult::App { .. } | ProbeResult::AppError { .. } | ProbeResult::Unreachable(_) => {
            (format!("all services settled, but {last}, for {waited}"), Owner::Recipe)
        }
    };
    Failure::new(Cause::NotServing { last }, format!("{url}: {sentence}")).owned_by(owner)
}

/// What the recipe's router rules name.
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
    fn router_rule_names_its_hosts() {
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
    fn name_without_a_route_is_the_recipes_fault_only_where_its_rules_were_read() {
        let domain = "shop.taster.test".parse().unwrap();
        let silent = SwarmError::Silent { call: "observe".into(), after: Duration::from_secs(8) };
        for (services, owner, ending) in [
            (Ok(Services::new()), Owner::Recipe, "no service has a router rule"),
            (
                Err(silent),
                Owner::Infrastructure,
                "what the router rules say is not known: the engine did not answer observe within 8s",
            ),
        ] {
            let failure = failure(&domain, "https://shop.taster.test/", &ProbeResult::NoRoute, ROUTE_TIMEOUT, &services);
            assert_eq!(failure.owner, owner, "{}", failure.message);
            assert!(failure.message.ends_with(ending), "{}", failure.message);
        }
    }

    #[test]
    fn only_an_answer_of_the_app_itself_counts() {
        for (got, result) in [
            (view(200, None, "hello"), ProbeResult::App { status: 200 }),
            (view(302, None, ""), ProbeResult::App { status: 302 }),
            (view(401, None, ""), ProbeResult::App { status: 401 }),
            (view(404, None, "Not Found"), ProbeResult::AppError { status: 404 }),
            (view(500, None, "oops"), ProbeResult::AppError { status: 500 }),
            (view(404, Some("no-route"), ""), ProbeResult::NoRoute),
            (view(404, None, "404 page not found\n"), ProbeResult::NoRoute),
            (view(502, Some("backend"), ""), ProbeResult::Unreachable("502 from the ingress (backend)".into())),
            (view(502, None, "Bad Gateway"), ProbeResult::Unreachable("502 Bad Gateway".into())),
            (
                Err(WebError::BadCertificate { message: "unknown issuer".into() }),
                ProbeResult::NoIngress("the certificate is not trusted: unknown issuer".into()),
            ),
        ] {
            assert_eq!(probe_result(got.clone(), &BTreeSet::new()), result, "{got:?}");
        }
    }

    #[test]
    fn only_statuses_that_the_pack_names_count() {
        let wanted = BTreeSet::from([204, 404]);
        for (got, result) in [
            (view(204, None, ""), ProbeResult::App { status: 204 }),
            (view(404, None, "no such page"), ProbeResult::App { status: 404 }),
            (view(200, None, "hello"), ProbeResult::AppError { status: 200 }),
            (view(401, None, ""), ProbeResult::AppError { status: 401 }),
            (view(404, Some("no-route"), ""), ProbeResult::NoRoute),
        ] {
            assert_eq!(probe_result(got.clone(), &wanted), result, "{got:?}");
        }
    }
}
