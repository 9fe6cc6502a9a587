//! Watches a stack until it settled, failed, or used up its budget.

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
    pure::host::converge::{Blocker, Cadence, Evaluation, Observation, Telling, WATCHDOG, Watch, evaluate, see},
};

/// How many last lines of a failing task are shown.
const LOG_LINES: u32 = 5;
/// How many characters of what a health check said are shown.
const HEALTH_WIDTH: usize = 300;
/// How often the engine may fail to answer in a row.
const TRIES: u32 = 5;

/// What the watch has just seen.
#[derive(Debug)]
pub enum Seen<'a> {
    /// The engine told that something happened.
    Nudged(Mono, &'a WakeUp),
    /// A look was taken and judged.
    Looked(&'a Observation, &'a Evaluation),
    /// The engine could not be asked.
    Unread(Mono, &'a SwarmError),
}

/// Watches `stack` until a evaluation is final, for `budget` at most, and tells `seen` of each look and nudge.
///
/// The evaluation is never [`Evaluation::Waiting`]. A failure quotes the last lines of the task that failed.
pub async fn settle(
    swarm: &dyn Swarm,
    clock: &dyn Clock,
    stack: &StackName,
    mut watch: Watch,
    budget: Duration,
    mut seen: impl FnMut(Seen<'_>) + Send,
) -> Evaluation {
    let end = clock.mono().after(budget);
    let mut nudges = swarm.wake_ups(stack).await.fuse();
    let mut cadence = Cadence::default();
    let mut errors = 0;
    loop {
        let looked = swarm.observe(stack).await;
        let now = clock.mono();
        cadence.looked(now);
        let mut last_words = None;
        let look_again = match looked {
            Ok(services) => {
                errors = 0;
                // The facts are as old as the question, not as young as the answer; but the engine answers in milliseconds.
                let look = Observation { at: now, services };
                watch = see(watch, look.clone());
                let evaluation = evaluate(&watch, now);
                seen(Seen::Looked(&look, &evaluation));
                match evaluation {
                    Evaluation::Waiting { on, look_again } => {
                        last_words = Some(on);
                        look_again
                    }
                    Evaluation::Failed(failures) => return Evaluation::Failed(with_words(swarm, &watch, failures).await),
                    Evaluation::Settled { .. } | Evaluation::Unverified(_) => return evaluation,
                }
            }
            Err(error) => {
                errors += 1;
                seen(Seen::Unread(now, &error));
                if errors >= TRIES {
                    return Evaluation::Unverified(Gap::Unread { what: error.to_string() });
                }
                now.after(Duration::from_secs(1))
            }
        };
        if now >= end {
            return Evaluation::Failed(with_words(swarm, &watch, vec![over_budget(budget, last_words)]).await);
        }
        // Nudges move the next look forward, so the wait begins anew with each.
        let latest = look_again.min(end).min(now.after(WATCHDOG));
        loop {
            let wait = cadence.next(latest).since(clock.mono());
            tokio::select! {
                () = tokio::time::sleep(wait) => break,
                Some(nudge) = nudges.next() => {
                    let at = clock.mono();
                    seen(Seen::Nudged(at, &nudge));
                    cadence.nudged(at);
                }
            }
        }
    }
}

fn over_budget(budget: Duration, on: Option<Vec<Blocker>>) -> Failure {
    let said = |blocker: &Blocker| match &blocker.service {
        Some(service) => format!("{service}: {}", blocker.why),
        None => blocker.why.clone(),
    };
    let waiting_for = match on {
        Some(on) => on.iter().map(said).collect::<Vec<_>>().join("; "),
        None => "an answer of the engine".into(),
    };
    let message = format!("not settled within {}; still waiting for {waiting_for}", format_duration(budget));
    Failure::new(Cause::Budget { waiting_for }, message)
}

/// The failures, each with the last lines of the task that tells most about it, and with what its health check said when that had
/// failed.
async fn with_words(swarm: &dyn Swarm, watch: &Watch, failures: Vec<Failure>) -> Vec<Failure> {
    let mut told = Vec::new();
    for failure in failures {
        let Some(Telling { task, container }) = service_of(&failure.cause).and_then(|service| watch.telling_task(service)) else {
            told.push(failure);
            continue;
        };
        let failure = match container {
            Some(container) => of_health(failure, swarm.health_words(container).await),
            None => failure,
        };
        told.push(match swarm.logs(task, LOG_LINES).await {
            Ok(lines) if lines.trim().is_empty() => adding(failure, "it wrote nothing"),
            Ok(lines) => failure.quoting(&lines),
            Err(error) => adding(failure, &format!("its logs cannot be read: {error}")),
        });
    }
    told
}

fn adding(failure: Failure, more: &str) -> Failure {
    Failure { message: format!("{}; {more}", failure.message), ..failure }
}

/// The failure of a task, given what its health check said if that had failed. An app that ends well when it is told to end leaves
/// exit code 0 and no word of its health behind, so Swarm shows it like one that has done its work.
fn of_health(failure: Failure, words: Result<Option<String>, SwarmError>) -> Failure {
    let words = match words {
        Ok(None) => return failure,
        Ok(Some(words)) => plain(&words).split_whitespace().collect::<Vec<_>>().join(" "),
        Err(error) => return adding(failure, &format!("what its health check said cannot be read: {error}")),
    };
    let failure = adding(failure, "its health check had failed");
    let failure = match &words.chars().take(HEALTH_WIDTH).collect::<String>()[..] {
        "" => adding(failure, "the check itself said nothing"),
        words => adding(failure, &format!("the check itself said: {words}")),
    };
    match failure.cause {
        Cause::ExitedForGood { service }
        | Cause::CrashLoop { service, exit: Some(0), .. }
        | Cause::AttemptsSpent { service, exit: Some(0) } => Failure { cause: Cause::Unhealthy { service }, ..failure },
        _ => failure,
    }
}

/// The service whose own words tell about the failure.
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
