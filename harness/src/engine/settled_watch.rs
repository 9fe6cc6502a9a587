//! Looks after the settled app while the steps of a run work with it.
//!
//! The engine's events say when to observe, so that an idle app costs nothing, and a restart is noted when it happens.

use std::{convert::Infallible, future::pending, time::Duration};

use futures_util::{FutureExt, StreamExt};

use super::steps::shared::{context::StepContext, settled_app::look_after};
use crate::ports::WakeUp;

/// The pauses before observations after an event: a node reports its tasks in batches, which lag behind the events.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(750)];
/// The beginning of the event of a container that a client of the engine kills.
const KILLED: &str = "container kill ";

/// Observes the app after each event of its stack, without end.
pub(super) async fn watch(context: &StepContext<'_>) -> Infallible {
    let Some(head) = &context.head else { return pending().await };
    let mut wake_ups = context.ports.swarm.wake_ups(&head.stack).await;
    while let Some(wake_up) = wake_ups.next().await {
        note_kill(context, &wake_up);
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            while let Some(Some(wake_up)) = wake_ups.next().now_or_never() {
                note_kill(context, &wake_up);
            }
            if let Err(error) = look_after(context).await {
                tracing::debug!(%error, "the settled app cannot be observed");
            }
        }
    }
    pending().await
}

/// Remembers the task of a container that was killed. Swarm names containers after their tasks, which come last in the name.
fn note_kill(context: &StepContext<'_>, wake_up: &WakeUp) {
    let name = wake_up.what.strip_prefix(KILLED).and_then(|rest| rest.split_whitespace().next());
    if let Some(task) = name.and_then(|name| name.rsplit('.').next()).and_then(|task| task.parse().ok()) {
        context.killed.borrow_mut().insert(task);
    }
}
