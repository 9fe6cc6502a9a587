//! How long an app is waited for that does not answer yet. What is certain is not waited for, and not asked twice.

use std::{collections::BTreeMap, time::Duration};

use super::context::{StepContext, Unanswered};
use crate::{
    model::{
        names::ServiceName,
        outcome::{Cause, Gap, Outcome},
        pack::Budget,
    },
    pure::{
        host::converge::{Health, ServiceView, TaskState},
        run::{
            plan::{Step, StepId},
            settled_app::running_tasks,
        },
    },
};

/// How long an app may be out of reach whose services have all passed their own health checks. Ingresses learn of a new task
/// within 15 seconds.
const HEALTHY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the app is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::steps) struct AnswerTime {
    /// In all.
    pub(in crate::engine::steps) most: Duration,
    /// While it gives the same wrong answer, or none.
    pub(in crate::engine::steps) same: Patience,
}

/// How long the same wrong answer is waited over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::steps) enum Patience {
    /// For the whole time: the pack names it.
    Whole,
    /// For this long at most: the app's own health checks say that it has started.
    AtMost(Duration),
    /// As long as such an answer may mean that the app still starts.
    ByAnswer,
}

impl Patience {
    /// The time, where the answer alone would be waited over for `by_answer`.
    pub(in crate::engine::steps) fn time(self, by_answer: Duration) -> Duration {
        match self {
            Patience::Whole => Duration::MAX,
            Patience::AtMost(most) => by_answer.min(most),
            Patience::ByAnswer => by_answer,
        }
    }
}

/// The time for an app that shows `services`, within `most`.
pub(in crate::engine::steps) fn answer_time(
    context: &StepContext<'_>,
    services: Option<&BTreeMap<ServiceName, ServiceView>>,
    most: Duration,
) -> AnswerTime {
    let asked = context.unanswered.borrow();
    let unchanged = asked.as_ref().zip(services).is_some_and(|(asked, services)| asked.tasks == running_tasks(services));
    if unchanged {
        return AnswerTime { most: Duration::ZERO, same: Patience::ByAnswer };
    }
    if let Some(given) = context.pack.settings.budgets.answer.map(Budget::time) {
        return AnswerTime { most: given.min(most), same: Patience::Whole };
    }
    let most = services.and_then(declared_timeout).unwrap_or(most).min(most);
    let same = match services {
        Some(services) if healthy(services) => Patience::AtMost(HEALTHY_TIMEOUT),
        Some(_) | None => Patience::ByAnswer,
    };
    AnswerTime { most, same }
}

/// Remembers how a step that asked the app ended.
pub(in crate::engine::steps) fn remember(context: &StepContext<'_>, step: &StepId, outcome: &Outcome) {
    let failed = matches!(outcome, Outcome::Failed(failure) if matches!(failure.cause, Cause::NotServing { .. }));
    let unanswered = failed || matches!(outcome, Outcome::Unverified(_));
    let tasks = context.log.state().settled.clone();
    *context.unanswered.borrow_mut() = unanswered.then(|| Unanswered { step: step.clone(), failed, tasks });
}

/// Why a step that asks the app for more than an answer is not performed.
pub(in crate::engine::steps) fn not_performed(context: &StepContext<'_>, step: &Step) -> Option<Gap> {
    match step {
        Step::Custom { .. } => not_answering(context),
        _ => None,
    }
}

/// Why a function of a pack is not called: the app did not answer, and has not changed since.
pub(in crate::engine::steps) fn not_answering(context: &StepContext<'_>) -> Option<Gap> {
    let asked = context.unanswered.borrow();
    let asked = asked.as_ref().filter(|asked| asked.failed && asked.tasks == context.log.state().settled)?;
    Some(Gap::NotRun { because: format!("the app did not answer in step {}", asked.step) })
}

/// The convergence timeout that the recipe declares in its label `coop-cloud.<stack>.timeout` (docs/reference/abra.md 5.2).
fn declared_timeout(services: &BTreeMap<ServiceName, ServiceView>) -> Option<Duration> {
    services
        .values()
        .flat_map(|service| &service.labels)
        .find(|(label, _)| label.starts_with("coop-cloud.") && label.ends_with(".timeout"))
        .and_then(|(_, seconds)| seconds.parse().ok())
        .map(Duration::from_secs)
}

/// Whether visitors reach a service, and each service that they reach has passed a health check of its own. A service without one
/// is called running as soon as it was started.
fn healthy(services: &BTreeMap<ServiceName, ServiceView>) -> bool {
    let routed = |service: &&ServiceView| {
        service.labels.keys().any(|label| label.to_ascii_lowercase().starts_with("traefik.http.routers."))
    };
    let mut routed = services.values().filter(routed).peekable();
    let runs = |service: &ServiceView| {
        service.tasks.iter().any(|task| task.current && task.state == TaskState::Running && task.desired == TaskState::Running)
    };
    routed.peek().is_some() && routed.all(|service| matches!(service.health, Health::Probe { .. }) && runs(service))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A service with this health check, a router label if `routed`, and a task in this state.
    fn service(health: &Value, routed: bool, state: &str) -> ServiceView {
        let labels = if routed { json!({ "traefik.http.routers.shop.rule": "Host(`shop.test`)" }) } else { json!({}) };
        let view = json!({
            "index": 1, "spec": "one", "image": "shop:1", "mode": { "mode": "replicated", "replicas": 1 }, "update": null,
            "roll": { "parallelism": 1, "delay": 0, "monitor": 5000, "order": "stop-first", "on_failure": "pause" },
            "restart": { "condition": "any", "delay": 5000, "max_attempts": 0 },
            "health": health, "host_ports": [], "endpoint": "dnsrr", "labels": labels,
            "tasks": [{
                "id": "task1", "slot": 1, "node": null, "current": true, "desired": "running", "state": state, "exit": null,
                "error": "", "container": "c1"
            }],
        });
        serde_json::from_value(view).unwrap()
    }

    #[test]
    fn only_a_service_that_visitors_reach_and_that_passed_its_own_check_says_that_the_app_has_started() {
        let probe = json!({ "health": "probe", "interval": 1000, "timeout": 1000, "retries": 3, "start_period": 0 });
        let absent = json!({ "health": "absent" });
        for (services, started) in [
            (vec![service(&probe, true, "running")], true),
            (vec![service(&probe, true, "running"), service(&absent, false, "running")], true),
            (vec![service(&absent, true, "running")], false),
            (vec![service(&probe, true, "running"), service(&absent, true, "running")], false),
            (vec![service(&probe, true, "starting")], false),
            (vec![service(&probe, false, "running")], false),
        ] {
            let named =
                services.into_iter().enumerate().map(|(number, service)| (format!("shop_{number}").parse().unwrap(), service));
            let named: BTreeMap<ServiceName, ServiceView> = named.collect();
            assert_eq!(healthy(&named), started, "{named:?}");
        }
    }
}
