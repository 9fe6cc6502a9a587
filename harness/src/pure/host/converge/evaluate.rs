//! The evaluation of a watch: settled, failed, or what the stack waits for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    service_state::{ServiceState, service_state, stopped_because},
    view::{Observation, UpdateState},
    watch::{Goal, Marks, UnplannedEnd, Watch},
};
use crate::model::{
    names::ServiceName,
    outcome::{Cause, Failure, Gap},
    task_fault::TaskFault,
    time::Mono,
};

/// The longest pause between two observations of a waiting stack. An observation takes three calls, so an idle wait
/// costs 0.3 calls a second.
pub const WATCHDOG: Duration = Duration::from_secs(10);
/// The first pause after a change; later pauses equal the time since the last change.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long a stack may be without any service.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(5);

/// Result of evaluating a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evaluation {
    /// It can still settle.
    Waiting {
        /// What it waits for, the most severe first.
        on: Vec<Blocker>,
        /// When to observe again if no wake-up comes before.
        next_observation: Mono,
    },
    /// It settled.
    Settled {
        /// Since when all its services have been stable.
        since: Mono,
    },
    /// It will not settle by itself.
    Failed(Vec<Failure>),
    /// The deploy cannot be evaluated: something else changed the stack, or it could not be read.
    Unverified(Gap),
}

/// One thing that a stack waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// The service.
    pub service: Option<ServiceName>,
    /// What the service lacks, for people: `starting 2/3`. It has no time in it that grows, so that it changes only with its
    /// cause.
    pub why: String,
}

impl Blocker {
    /// The beginning of `why` for a service whose slots are filled, and that only has to stay so.
    pub const UP: &str = "running, stable window of";
}

/// Evaluates a watch at `now`. The observations decide; `now` only bounds when the next one is due.
pub fn evaluate(watch: &Watch, now: Mono) -> Evaluation {
    let Some(observation) = &watch.last else {
        let on = vec![Blocker { service: None, why: "not observed yet".into() }];
        return Evaluation::Waiting { on, next_observation: now };
    };
    if let Goal::Upgrade(marks) = &watch.goal
        && let Some(evaluation) = compare_with_marks(marks, watch, observation)
    {
        return evaluation;
    }
    let states: Vec<(&ServiceName, ServiceState)> =
        observation.services.iter().map(|(name, view)| (name, service_state(watch, observation, name, view))).collect();
    let failed = states.iter().any(|(_, state)| matches!(state, ServiceState::Failed(_)));
    let moving = states.iter().any(|(_, state)| matches!(state, ServiceState::Waiting { .. }));
    let looping = states.iter().any(|(_, state)| matches!(state, ServiceState::Looping(_)));
    if failed || (looping && !moving) {
        let failures = states.into_iter().filter_map(|(_, state)| match state {
            ServiceState::Failed(failure) | ServiceState::Looping(failure) => Some(failure),
            ServiceState::Waiting { .. } | ServiceState::Serving { .. } => None,
        });
        return Evaluation::Failed(failures.collect());
    }
    waiting_or_settled(watch, observation, states, now)
}

fn waiting_or_settled(
    watch: &Watch,
    observation: &Observation,
    states: Vec<(&ServiceName, ServiceState)>,
    now: Mono,
) -> Evaluation {
    let mut on = Vec::new();
    let mut due = Vec::new();
    let mut since = watch.changed_at.min(observation.at);
    if states.is_empty() {
        on.push(Blocker { service: None, why: "no service yet".into() });
        due.push(observation.at.after(EMPTY_TIMEOUT));
    } else {
        since = Mono::default();
    }
    for (name, state) in states {
        let (why, next) = match state {
            ServiceState::Serving { since: full, window } => {
                since = since.max(full);
                let end = full.after(window);
                if end <= observation.at {
                    continue;
                }
                (format!("{} {} s", Blocker::UP, window.as_secs()), Some(end))
            }
            ServiceState::Waiting { why, next_observation } => (why, next_observation),
            ServiceState::Looping(failure) => (format!("may be failing for good: {}", failure.message), None),
            ServiceState::Failed(failure) => (failure.message, None),
        };
        on.push(Blocker { service: Some(name.clone()), why });
        due.extend(next);
    }
    if on.is_empty() {
        return Evaluation::Settled { since };
    }
    // A stack that has just changed is likely to change again soon.
    let quiet = observation.at.since(watch.changed_at);
    due.push(observation.at.after(quiet.clamp(FIRST_PAUSE, WATCHDOG)));
    let next = due.into_iter().filter(|due| *due > observation.at).min().unwrap_or(observation.at.after(FIRST_PAUSE));
    Evaluation::Waiting { on, next_observation: next.max(now) }
}

/// The evaluation of services that do not run what a deploy asked for; absent when all of them do.
fn compare_with_marks(marks: &Marks, watch: &Watch, observation: &Observation) -> Option<Evaluation> {
    let mut failures = Vec::new();
    for (name, (_, digest)) in &marks.0 {
        let Some(view) = observation.services.get(name) else {
            return Some(interfered(format!("service {name} was removed, and not by the run")));
        };
        let rolling_back = view.update.as_ref().filter(|update| {
            matches!(update.state, UpdateState::RollbackStarted | UpdateState::RollbackPaused | UpdateState::RollbackCompleted)
        });
        let service = name.clone();
        if let Some(update) = rolling_back {
            if update.message.contains("manually requested") {
                return Some(interfered(format!("service {name} was rolled back by hand")));
            }
            let stopped = watch.services.get(name).and_then(|track| track.stopped_for(view));
            let because = stopped.as_ref().map_or(TaskFault::Unknown, UnplannedEnd::fault);
            let why = stopped_because(stopped.as_ref());
            let message = format!("{name}: {why}, so Swarm rolled the update back, and what was there before runs again");
            failures.push(Failure::new(Cause::RolledBack { service, because }, message));
        } else if view.spec != *digest {
            let known = watch.marks_before.0.get(name).is_some_and(|(_, before)| *before == view.spec);
            let rolled_back = watch.services.get(name).is_some_and(|track| track.rolled_back);
            if !known && !rolled_back {
                return Some(interfered(format!("service {name} was changed after the deploy, and not by the run")));
            }
            let message = format!("{name}: runs again what it ran before the deploy, though Swarm reports no rollback");
            failures.push(Failure::new(Cause::Reverted { service }, message));
        }
    }
    (!failures.is_empty()).then_some(Evaluation::Failed(failures))
}

fn interfered(what: String) -> Evaluation {
    Evaluation::Unverified(Gap::Interfered { what })
}
