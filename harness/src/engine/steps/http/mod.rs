//! Asks the app through the ingress until the app itself answers, and then waits for the probes of its pack.
//!
//! An answer counts only when it is the app's own: before and after each one the engine is asked who else may answer under the
//! app's name, and the app's task is asked as well where this machine can.

mod ask;
mod attribution;
mod probe;
mod sentence;

use std::{collections::BTreeMap, time::Duration};

use self::{
    ask::{Answer, INGRESS_HEADER, ProbeResult, REQUEST_TIMEOUT, ask},
    attribution::{Attribution, Compared},
    sentence::{Routed, failure, route_fault},
};
use super::shared::{
    answer_time::{Patience, answer_time, remember},
    backup_service::{follows_restore, wait_for_restart},
    context::StepContext,
};
use crate::{
    model::{
        engine::SwarmError,
        head::Head,
        names::ServiceName,
        outcome::{EXCERPT_LINES, Gap, Outcome},
        pack::HealthPath,
    },
    pure::{host::converge::ServiceView, run::plan::StepId},
};

/// The services of the app as an observation shows them.
type Services = BTreeMap<ServiceName, ServiceView>;

/// The pause between two requests, at first and at most; it doubles.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long a name may be without a route before that counts as the recipe's fault. Ingresses learn of a service within a second
/// or two.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the app may give one and the same wrong answer. It answers by then, so it has started, and the wait does not change
/// what it says.
const SAME_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The statuses with which an app says that it cannot answer yet.
const NOT_YET: [u16; 3] = [425, 429, 503];

pub(super) async fn http(context: &StepContext<'_>, id: &StepId, budget: Duration) -> Outcome {
    let mut outcome = wait_for_app(context, id, budget).await;
    if follows_restore(id)
        && matches!(outcome, Outcome::Failed(_))
        && let Ok(head) = context.head().cloned()
    {
        outcome = match wait_for_restart(context, id, &head).await {
            Ok(true) => wait_for_app(context, id, budget).await,
            Ok(false) => outcome,
            Err(failed) => failed,
        };
    }
    remember(context, id, &outcome);
    outcome
}

async fn wait_for_app(context: &StepContext<'_>, id: &StepId, budget: Duration) -> Outcome {
    let head = match context.head() {
        Ok(head) => head.clone(),
        Err(failure) => return Outcome::Failed(failure),
    };
    let mut services = context.ports.swarm.observe(&head.stack).await;
    // The last request and the pause before it are within the step's budget too, so that the step ends with its own failure.
    let most = budget.saturating_sub(REQUEST_TIMEOUT + RETRY_PAUSE.1);
    let time = answer_time(context, services.as_ref().ok(), most);
    let budget = time.most;
    let began = context.ports.clock.mono();
    let mut attribution = Attribution::begin(context, &head).await;
    let mut pause = RETRY_PAUSE.0;
    let mut same: Option<(ProbeResult, _)> = None;
    let outcome = loop {
        let answer = ask(context, &head).await;
        let now = context.ports.clock.mono();
        let is_good = matches!(answer.result, ProbeResult::App { .. });
        if !is_good {
            context.log.observe(id, vec![format!("{}: {}", answer.chain, answer.result)]);
        }
        let since = match &same {
            Some((result, since)) if *result == answer.result => *since,
            _ => now,
        };
        same = Some((answer.result.clone(), since));
        let enough = now.since(since) >= patience(&answer.result, time.same).min(budget);
        if !is_good && !enough && now.since(began) + pause <= budget {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE.1);
            continue;
        }
        attribution.read(context, &head, &answer.hosts).await;
        if services.is_err() {
            services = context.ports.swarm.observe(&head.stack).await;
        }
        let waited = now.since(began);
        break of_answer(context, id, &head, &attribution, &answer, &services, waited).await;
    };
    context.check(id, "the app itself answers over HTTPS through the ingress", &outcome);
    let outcome = match outcome {
        Outcome::Passed => probe::wait_for_probes(context, id, &head, began, budget).await,
        Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Unverified(_) => return outcome,
    };
    if context.pack.settings.probes.is_empty() {
        return outcome;
    }
    attribution.read(context, &head, &probe::hosts(context, &head)).await;
    attribution.gap().map_or(outcome, Outcome::Unverified)
}

/// How long the same result is waited over.
fn patience(result: &ProbeResult, same: Patience) -> Duration {
    match result {
        ProbeResult::Unsupported => Duration::ZERO,
        ProbeResult::App { .. } | ProbeResult::NoIngress(_) => Duration::MAX,
        ProbeResult::NoRoute => same.time(ROUTE_TIMEOUT),
        ProbeResult::AppError { status } if NOT_YET.contains(status) => same.time(Duration::MAX),
        ProbeResult::AppError { .. }
        | ProbeResult::ErrorPage { .. }
        | ProbeResult::DefaultPage { .. }
        | ProbeResult::Astray(_) => same.time(SAME_ANSWER_TIMEOUT),
        ProbeResult::Unreachable(_) => same.time(Duration::MAX),
    }
}

/// The outcome that follows from the last answer, whatever it is: one that may be another's counts neither way.
async fn of_answer(
    context: &StepContext<'_>,
    id: &StepId,
    head: &Head,
    attribution: &Attribution,
    answer: &Answer,
    services: &Result<Services, SwarmError>,
    waited: Duration,
) -> Outcome {
    let failed = || {
        let failure = failure(&head.domain, &answer.chain, &answer.result, waited, services);
        Outcome::Failed(failure.with_output(&first_lines(&answer.body)))
    };
    if let ProbeResult::NoIngress(_) = answer.result {
        return failed();
    }
    if let Some(gap) = attribution.gap() {
        return Outcome::Unverified(gap);
    }
    if !answer.without.is_empty() {
        let what = answer.without.iter().cloned().collect::<Vec<_>>().join("; ");
        return Outcome::Unverified(Gap::Sandbox { what });
    }
    let no_services = Services::new();
    let compared = attribution.compare(context, head, answer, services.as_ref().unwrap_or(&no_services)).await;
    match (&answer.result, compared) {
        (ProbeResult::App { .. } | ProbeResult::AppError { .. }, Compared::Differs(what)) => {
            Outcome::Unverified(Gap::Unattributed { what })
        }
        // The text is Traefik's own, and that of many a program in Go.
        (ProbeResult::NoRoute, Compared::Agrees) => not_found(context, answer, waited).unwrap_or_else(failed),
        // The sandbox's ingress marks its answers.
        (ProbeResult::NoRoute, _) if is_marked(answer) && fault(head, services).is_some() => {
            Outcome::Unverified(Gap::Sandbox { what: fault(head, services).unwrap_or_default() })
        }
        (ProbeResult::AppError { status: 404 }, _) => not_found(context, answer, waited).unwrap_or_else(failed),
        (ProbeResult::DefaultPage { .. }, _) => {
            let what =
                format!("{}: {}, and not one of the app's; name a path of the app as `health_path`", answer.chain, answer.result);
            Outcome::Unverified(Gap::Unattributed { what })
        }
        (ProbeResult::App { .. }, _) => {
            if let Some(target) = &answer.leaves_to {
                let check = format!("{} leads to {target}, outside the zone, and is not followed", answer.chain);
                context.check(id, &check, &Outcome::Passed);
            }
            Outcome::Passed
        }
        _ => failed(),
    }
}

/// Whether the answer is one of the sandbox's ingress.
fn is_marked(answer: &Answer) -> bool {
    answer.first.as_ref().is_some_and(|view| view.header(INGRESS_HEADER).is_some())
}

/// What the ingress left out although the recipe's router rules ask for it.
fn fault(head: &Head, services: &Result<Services, SwarmError>) -> Option<String> {
    let (sentence, routed) = route_fault(&head.domain, services.as_ref().ok()?);
    (routed == Routed::Perhaps).then_some(sentence)
}

/// An app that answers 404 at a path that its pack does not name may have no page there, and works all the same.
fn not_found(context: &StepContext<'_>, answer: &Answer, waited: Duration) -> Option<Outcome> {
    (context.pack.settings.health_path == HealthPath::default()).then(|| {
        let waited = crate::model::time::format_duration(waited);
        let what = format!(
            "{}: the app answers 404, for {waited}; if it has no page there, name one that it has as `health_path` in its \
             recipe.toml, or accept the status with `health_status = [404]`",
            answer.chain
        );
        Outcome::Unverified(Gap::Unattributed { what })
    })
}

/// The first lines of an answer: a page that fails mostly says so at its top.
fn first_lines(body: &str) -> String {
    body.lines().filter(|line| !line.trim().is_empty()).take(EXCERPT_LINES).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_answer_is_waited_over_as_long_as_it_may_change() {
        let seconds = |seconds| Duration::from_secs(seconds);
        let healthy = Patience::AtMost(seconds(20));
        let error = |status| ProbeResult::AppError { status };
        let unreachable = || ProbeResult::Unreachable("refused".into());
        for (result, same, wanted) in [
            (error(500), Patience::ByAnswer, SAME_ANSWER_TIMEOUT),
            (error(500), healthy, seconds(20)),
            (error(500), Patience::Whole, Duration::MAX),
            (error(503), Patience::ByAnswer, Duration::MAX),
            (error(503), healthy, seconds(20)),
            (unreachable(), Patience::ByAnswer, Duration::MAX),
            (unreachable(), healthy, seconds(20)),
            (ProbeResult::NoRoute, healthy, ROUTE_TIMEOUT),
            (ProbeResult::NoRoute, Patience::Whole, Duration::MAX),
            (ProbeResult::NoIngress("down".into()), healthy, Duration::MAX),
        ] {
            assert_eq!(patience(&result, same), wanted, "{result} {same:?}");
        }
    }
}
