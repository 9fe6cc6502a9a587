//! Observes a stack until it has settled, has failed, or has used up its budget.
//!
//! Events of the engine only wake the loop up; each evaluation rests on a complete observation, and a watchdog observes without
//! any event.

use std::time::Duration;

use futures_util::StreamExt;

use super::explain::explained;
use crate::{
    model::{
        engine::SwarmError,
        names::StackName,
        outcome::{Cause, Failure, Gap},
        time::{Mono, format_duration},
    },
    ports::{Capacity, Clock, Swarm, WakeUp},
    pure::host::converge::{Blocker, Cadence, Evaluation, Observation, WATCHDOG, Watch, evaluate, observe_into},
};

/// How often in a row the engine may fail to answer.
const TRIES: u32 = 5;

/// What the loop has just seen.
#[derive(Debug)]
pub enum Seen<'a> {
    /// An event of the engine.
    WokenUp(Mono, &'a WakeUp),
    /// An observation and its evaluation.
    Observed(&'a Observation, &'a Evaluation),
    /// The engine did not answer.
    NoAnswer(Mono, &'a SwarmError),
}

/// Observes `stack` until an evaluation is final, for `budget` at most, and passes each observation and wake-up to `on_seen`.
///
/// The evaluation is never [`Evaluation::Waiting`]. A failure quotes the last lines of the task that failed.
pub async fn settle(
    swarm: &dyn Swarm,
    registry: &dyn Capacity,
    clock: &dyn Clock,
    stack: &StackName,
    mut watch: Watch,
    budget: Duration,
    mut on_seen: impl FnMut(Seen<'_>) + Send,
) -> Evaluation {
    let end = clock.mono().after(budget);
    let mut wake_ups = swarm.wake_ups(stack).await.fuse();
    let mut cadence = Cadence::default();
    let mut errors = 0;
    loop {
        let observed = swarm.observe(stack).await;
        let now = clock.mono();
        cadence.observed(now);
        let mut blockers = None;
        let next_observation = match observed {
            Ok(services) => {
                errors = 0;
                // The facts are as old as the request, not as the answer; but the engine answers in milliseconds.
                let observation = Observation { at: now, services };
                watch = observe_into(watch, observation.clone());
                let evaluation = evaluate(&watch, now);
                on_seen(Seen::Observed(&observation, &evaluation));
                match evaluation {
                    Evaluation::Waiting { on, next_observation } => {
                        blockers = Some(on);
                        next_observation
                    }
                    Evaluation::Failed(failures) => {
                        return Evaluation::Failed(explained(swarm, registry, &watch, failures).await);
                    }
                    Evaluation::Settled { .. } | Evaluation::Unverified(_) => return evaluation,
                }
            }
            Err(error) => {
                errors += 1;
                on_seen(Seen::NoAnswer(now, &error));
                if errors >= TRIES {
                    return Evaluation::Unverified(Gap::Unread { what: error.to_string() });
                }
                now.after(Duration::from_secs(1))
            }
        };
        if now >= end {
            return Evaluation::Failed(explained(swarm, registry, &watch, vec![over_budget(&watch, budget, blockers)]).await);
        }
        // A wake-up moves the next observation forward, so the wait restarts with each.
        let latest = next_observation.min(end).min(now.after(WATCHDOG));
        loop {
            let wait = cadence.next(latest).since(clock.mono());
            tokio::select! {
                () = tokio::time::sleep(wait) => break,
                Some(wake_up) = wake_ups.next() => {
                    let at = clock.mono();
                    on_seen(Seen::WokenUp(at, &wake_up));
                    cadence.woken(at);
                }
            }
        }
    }
}

fn over_budget(watch: &Watch, budget: Duration, blockers: Option<Vec<Blocker>>) -> Failure {
    let line = |blocker: &Blocker| match &blocker.service {
        Some(service) => format!("{service}: {}", blocker.why),
        None => blocker.why.clone(),
    };
    let waiting_for = match blockers {
        Some(blockers) => blockers.iter().map(line).collect::<Vec<_>>().join("; "),
        None => "an answer of the engine".into(),
    };
    let within = format_duration(budget);
    // The engine's own trouble is not a time that the recipe asked for.
    if let Some(refused) = watch.refused() {
        return Failure { message: format!("not settled within {within}; {}", refused.message), ..refused };
    }
    let message = format!("not settled within {within}; still waiting for {waiting_for}");
    Failure::new(Cause::Budget { waiting_for }, message)
}
