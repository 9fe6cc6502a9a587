//! Looks after the settled app while the steps of a run work with it.
//!
//! The engine's events say when to observe, so that an idle app costs nothing, and a restart is noted when it happens.

use std::{collections::VecDeque, convert::Infallible, future::pending, time::Duration};

use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until};

use super::steps::shared::{context::StepContext, settled_app::look_after};
use crate::ports::WakeUp;

/// How long after an event the app is observed: a node reports its tasks in batches, which lag behind the events.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// The beginning of the event of a container that a client of the engine kills.
const KILLED: &str = "container kill ";

/// Observes the app after each event of its stack, without end. Events are read as they come, so that a kill is known before the
/// end of its task is observed.
pub(super) async fn watch(context: &StepContext<'_>) -> Infallible {
    let Some(head) = &context.head else { return pending().await };
    let mut wake_ups = context.ports.swarm.wake_ups(&head.stack).await.fuse();
    let mut due: VecDeque<Instant> = VecDeque::new();
    loop {
        let next = due.front().copied();
        let observation = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            Some(wake_up) = wake_ups.next() => {
                note_kill(context, &wake_up);
                // An observation that is due already stays due.
                due.truncate(1);
                due.extend(PAUSES.map(|pause| Instant::now() + pause).into_iter().skip(due.len()));
            }
            () = observation => {
                due.pop_front();
                if let Err(error) = look_after(context).await {
                    tracing::debug!(%error, "the settled app cannot be observed");
                }
            }
        }
    }
}

/// Remembers the task of a container that was killed. Swarm names containers after their tasks, which come last in the name.
fn note_kill(context: &StepContext<'_>, wake_up: &WakeUp) {
    let name = wake_up.what.strip_prefix(KILLED).and_then(|rest| rest.split_whitespace().next());
    if let Some(task) = name.and_then(|name| name.rsplit('.').next()).and_then(|task| task.parse().ok()) {
        context.killed.borrow_mut().insert(task);
    }
}
