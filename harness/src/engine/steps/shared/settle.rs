//! Observes a stack until it has settled, has failed, or has used up its budget.
//!
//! Events of the engine only wake the loop up; each evaluation rests on a complete observation, and a watchdog observes without
//! any event.

use std::time::Duration;

use futures_util::StreamExt;

use crate::{
    model::{
        engine::SwarmError,
        names::{ServiceName, StackName},
        outcome::{Cause, Failure, Gap},
        text::plain,
        time::{Mono, format_duration},
    },
    ports::{Clock, Swarm, WakeUp},
    pure::host::converge::{Blocker, Cadence, DecisiveTask, Evaluation, Observation, WATCHDOG, Watch, evaluate, observe_into},
};

/// How many last lines of a failing task are quoted.
const LOG_LINES: u32 = 5;
/// How many characters of the output of a health check are quoted.
const HEALTH_WIDTH: usize = 300;
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
                    Evaluation::Failed(failures) => return Evaluation::Failed(with_output(swarm, &watch, failures).await),
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
            return Evaluation::Failed(with_output(swarm, &watch, vec![over_budget(budget, blockers)]).await);
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

fn over_budget(budget: Duration, blockers: Option<Vec<Blocker>>) -> Failure {
    let line = |blocker: &Blocker| match &blocker.service {
        Some(service) => format!("{service}: {}", blocker.why),
        None => blocker.why.clone(),
    };
    let waiting_for = match blockers {
        Some(blockers) => blockers.iter().map(line).collect::<Vec<_>>().join("; "),
        None => "an answer of the engine".into(),
    };
    let message = format!("not settled within {}; still waiting for {waiting_for}", format_duration(budget));
    Failure::new(Cause::Budget { waiting_for }, message)
}

/// The failures, each with the last lines of the task that explains it best, and with the output of its health check if that had
/// failed.
async fn with_output(swarm: &dyn Swarm, watch: &Watch, failures: Vec<Failure>) -> Vec<Failure> {
    let mut explained = Vec::new();
    for failure in failures {
        let task = service_of(&failure.cause).and_then(|service| watch.decisive_task(service));
        let Some(DecisiveTask { task, container }) = task else {
            explained.push(failure);
            continue;
        };
        let failure = match container {
            Some(container) => with_health(failure, swarm.health_output(container).await),
            None => failure,
        };
        explained.push(match swarm.logs(task, LOG_LINES).await {
            Ok(lines) if lines.trim().is_empty() => adding(failure, "it wrote nothing"),
            Ok(lines) => failure.with_output(&lines),
            Err(error) => adding(failure, &format!("its logs cannot be read: {error}")),
        });
    }
    explained
}

fn adding(failure: Failure, more: &str) -> Failure {
    Failure { message: format!("{}; {more}", failure.message), ..failure }
}

/// The failure of a task with the output of its health check, if that had failed. An app that obeys the order to end leaves exit
/// code 0 and no trace of its health, so Swarm shows it like one that has done its work.
fn with_health(failure: Failure, output: Result<Option<String>, SwarmError>) -> Failure {
    let output = match output {
        Ok(None) => return failure,
        Ok(Some(output)) => plain(&output).split_whitespace().collect::<Vec<_>>().join(" "),
        Err(error) => return adding(failure, &format!("the output of its health check cannot be read: {error}")),
    };
    let failure = adding(failure, "its health check had failed");
    let failure = match &output.chars().take(HEALTH_WIDTH).collect::<String>()[..] {
        "" => adding(failure, "the check itself printed nothing"),
        output => adding(failure, &format!("the check itself printed: {output}")),
    };
    match failure.cause {
        Cause::ExitedForGood { service }
        | Cause::CrashLoop { service, exit: Some(0), .. }
        | Cause::AttemptsSpent { service, exit: Some(0) } => Failure { cause: Cause::Unhealthy { service }, ..failure },
        _ => failure,
    }
}

/// The service whose output explains the failure.
pub(in crate::engine::steps) fn service_of(cause: &Cause) -> Option<&ServiceName> {
    match cause {
        Cause::CrashLoop { service, .. }
        | Cause::AttemptsSpent { service, .. }
        | Cause::ExitedForGood { service }
        | Cause::Unhealthy { service }
        | Cause::RolledBack { service }
        | Cause::Paused { service } => Some(service),
        _ => None,
    }
}
