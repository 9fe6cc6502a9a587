//! The evaluation over a watch.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    state::{State, state},
    view::{Observation, ServiceView, TaskView, UpdateState},
    watch::{Goal, Marks, Track, Watch},
};
use crate::model::{
    names::ServiceName,
    outcome::{Cause, Failure, Gap},
    time::Mono,
};

/// The longest that a waiting stack goes without a look. Three calls a look, so that waiting costs at most 0.3 calls a second.
pub const WATCHDOG: Duration = Duration::from_secs(10);
/// The first pause after a change; the next ones are as long as nothing has changed.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long a stack may be without any service.
const EMPTY_FOR: Duration = Duration::from_secs(5);

/// What is to be said of a stack at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evaluation {
    /// It can still settle.
    Waiting {
        /// What is being waited for, worst first.
        on: Vec<Blocker>,
        /// When to look again if nothing nudges before.
        look_again: Mono,
    },
    /// It settled.
    Settled {
        /// Since when all of it has been stable.
        since: Mono,
    },
    /// It will not settle by itself.
    Failed(Vec<Failure>),
    /// Nothing can be said of what was deployed: somebody else changed it, or it could not be read.
    Unverified(Gap),
}

/// One thing that is being waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// The service.
    pub service: Option<ServiceName>,
    /// What it lacks, for people: `starting 2/3`. It names no moment and no span that grows, so that it changes only when what
    /// is waited for does.
    pub why: String,
}

impl Blocker {
    /// How `why` begins for a service that has all it wants and only has to stay so.
    pub const UP: &str = "running, stable window of";
}

/// Judges a watch at `now`. What was seen decides; `now` only says when the next look is due.
pub fn evaluate(watch: &Watch, now: Mono) -> Evaluation {
    let Some(look) = &watch.last else {
        let on = vec![Blocker { service: None, why: "not looked at yet".into() }];
        return Evaluation::Waiting { on, look_again: now };
    };
    if let Goal::Upgrade(marks) = &watch.goal
        && let Some(said) = against(marks, watch, look)
    {
        return said;
    }
    let states: Vec<(&ServiceName, State)> =
        look.services.iter().map(|(name, view)| (name, state(watch, look, name, view))).collect();
    let failed = states.iter().any(|(_, state)| matches!(state, State::Failed(_)));
    let moving = states.iter().any(|(_, state)| matches!(state, State::Going { .. }));
    let looping = states.iter().any(|(_, state)| matches!(state, State::Looping(_)));
    if failed || (looping && !moving) {
        let failures = states.into_iter().filter_map(|(_, state)| match state {
            State::Failed(failure) | State::Looping(failure) => Some(failure),
            State::Going { .. } | State::Serving { .. } => None,
        });
        return Evaluation::Failed(failures.collect());
    }
    waiting_or_settled(watch, look, states, now)
}

fn waiting_or_settled(watch: &Watch, look: &Observation, states: Vec<(&ServiceName, State)>, now: Mono) -> Evaluation {
    let mut on = Vec::new();
    let mut due = Vec::new();
    let mut since = watch.changed_at.min(look.at);
    if states.is_empty() {
        on.push(Blocker { service: None, why: "no service yet".into() });
        due.push(look.at.after(EMPTY_FOR));
    } else {
        since = Mono::default();
    }
    for (name, state) in states {
        let (why, look_again) = match state {
            State::Serving { since: full, window } => {
                since = since.max(full);
                let end = full.after(window);
                if end <= look.at {
                    continue;
                }
                (format!("{} {} s", Blocker::UP, window.as_secs()), Some(end))
            }
            State::Going { why, look_again } => (why, look_again),
            State::Looping(failure) => (format!("may be failing for good: {}", failure.message), None),
            State::Failed(failure) => (failure.message, None),
        };
        on.push(Blocker { service: Some(name.clone()), why });
        due.extend(look_again);
    }
    if on.is_empty() {
        return Evaluation::Settled { since };
    }
    // What has just changed is likely to change again soon; what has not, is not.
    let quiet = look.at.since(watch.changed_at);
    due.push(look.at.after(quiet.clamp(FIRST_PAUSE, WATCHDOG)));
    let look_again = due.into_iter().filter(|due| *due > look.at).min().unwrap_or(look.at.after(FIRST_PAUSE));
    Evaluation::Waiting { on, look_again: look_again.max(now) }
}

/// What the marks of a deploy have to say against what runs now; `None` when nothing.
fn against(marks: &Marks, watch: &Watch, look: &Observation) -> Option<Evaluation> {
    let mut failures = Vec::new();
    for (name, (_, digest)) in &marks.0 {
        let Some(view) = look.services.get(name) else {
            return Some(interfered(format!("service {name} was removed by somebody else")));
        };
        let word = view.update.as_ref();
        let rolling_back = word.filter(|update| {
            matches!(update.state, UpdateState::RollbackStarted | UpdateState::RollbackPaused | UpdateState::RollbackCompleted)
        });
        let service = name.clone();
        if let Some(update) = rolling_back {
            if update.message.contains("manually requested") {
                return Some(interfered(format!("somebody else rolled service {name} back")));
            }
            let why = watch.services.get(name).map(|track| rolled_back_task(track, view)).unwrap_or_default();
            let message =
                format!("{name}: Swarm rolled the update back{why}; what was there before runs again ({})", update.message);
            failures.push(Failure::new(Cause::RolledBack { service }, message));
        } else if view.spec != *digest {
            let known = watch.before.0.get(name).is_some_and(|(_, before)| *before == view.spec);
            let rolled_back = watch.services.get(name).is_some_and(|track| track.rolled_back);
            if !known && !rolled_back {
                return Some(interfered(format!("service {name} was changed by somebody else after the deploy")));
            }
            let message = format!("{name}: runs again what it ran before the deploy, though Swarm tells of no rollback");
            failures.push(Failure::new(Cause::Reverted { service }, message));
        }
    }
    (!failures.is_empty()).then_some(Evaluation::Failed(failures))
}

fn interfered(what: String) -> Evaluation {
    Evaluation::Unverified(Gap::Interfered { what })
}

/// How the task ended for which Swarm rolled back.
fn rolled_back_task(track: &Track, view: &ServiceView) -> String {
    match track.stopped_for(view) {
        Some(TaskView { id, error, .. }) if !error.is_empty() => format!(", because its new task {id} failed: {error}"),
        Some(TaskView { id, exit: Some(exit), .. }) => format!(", because its new task {id} ended with exit {exit}"),
        Some(TaskView { id, .. }) => format!(", because its new task {id} ended"),
        None => String::new(),
    }
}
