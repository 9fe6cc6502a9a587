//! Observes the settled app, and notes what has become of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{context::StepContext, deployment::one_shots, tasks::observed_tasks};
use crate::{
    model::{
        engine::SwarmError,
        head::Head,
        names::{ServiceName, TaskId},
        outcome::{Failure, Gap, Outcome},
    },
    pure::{
        host::converge::ServiceView,
        run::{
            event::Note,
            plan::StepId,
            settled_app::{self, Observed, is_watched, newly_ended, news, running_tasks, specs},
        },
    },
};

/// Observes the settled app once, and notes which of its tasks have ended and what something other than the run changed. While a
/// step replaces the app nothing is observed.
pub(in crate::engine) async fn look_after(context: &StepContext<'_>) -> Result<(), SwarmError> {
    let Some(head) = context.head.as_ref().filter(|_| is_watched(&context.log.state())) else { return Ok(()) };
    let services = context.ports.swarm.observe(&head.stack).await?;
    note_news(context, head, &services, None).await;
    Ok(())
}

/// Notes what an observation shows of the settled app. The step `not_yet` has not yet done what could explain an end.
pub(in crate::engine::steps) async fn note_news(
    context: &StepContext<'_>,
    head: &Head,
    services: &BTreeMap<ServiceName, ServiceView>,
    not_yet: Option<&StepId>,
) {
    let state = context.log.state();
    if !is_watched(&state) {
        return;
    }
    let (one_shots, none) = (one_shots(context, head), BTreeSet::new());
    let killed = context.killed.borrow().clone();
    let seen = Observed { stack: &head.stack, services, one_shots: &one_shots, unhealthy: &none, not_yet, killed: &killed };
    let unhealthy = unhealthy(
        context,
        newly_ended(&state, seen)
            .into_iter()
            .filter_map(|(_, task, view)| Some((task.clone(), view?.container.clone()?)))
            .collect(),
    )
    .await;
    // A step may have begun to replace the app meanwhile.
    let state = context.log.state();
    let notes = news(&state, context.ports.clock.mono(), Observed { unhealthy: &unhealthy, ..seen });
    for note in notes {
        if let Note::TaskEnded { ended } = &note {
            if let Some(step) = &ended.during {
                context.log.observe_tasks(step, observed_tasks(head, services));
            }
            if let Some(step) = &ended.because_of {
                let text = format!(
                    "{}: a task ended after the app had settled and was started again; step {step} explains that",
                    head.stack.short(&ended.service)
                );
                context.log.note(Note::Remark { text });
            }
        }
        context.log.note(note);
    }
}

/// The tasks whose container was unhealthy when it ended. An app that obeys the order to end leaves no trace of it in its task.
async fn unhealthy(context: &StepContext<'_>, ended: Vec<(TaskId, String)>) -> BTreeSet<TaskId> {
    let mut found = BTreeSet::new();
    for (task, container) in ended {
        let end = context.ports.swarm.container_end(&container).await;
        if end.is_ok_and(|end| end.is_some_and(|end| end.unhealthy.is_some())) {
            found.insert(task);
        }
    }
    found
}

/// Notes that the app has settled on what an observation shows, unless something other than the run has changed it.
pub(in crate::engine::steps) fn note_settled(context: &StepContext<'_>, services: &BTreeMap<ServiceName, ServiceView>) {
    context.log.note(Note::Settled { tasks: running_tasks(services), specs: specs(services) });
}

/// The outcome of a step on an app that something other than the run has changed; absent when nothing has.
pub(in crate::engine::steps) fn interfered(context: &StepContext<'_>) -> Option<Outcome> {
    let what = context.log.state().interfered.clone()?;
    Some(Outcome::Unverified(Gap::Interfered { what }))
}

/// The outcome of a step that failed: what something other than the run has changed explains it. The app is observed for that.
pub(in crate::engine::steps) async fn unless_interfered(context: &StepContext<'_>, failure: Failure) -> Outcome {
    if let Err(error) = look_after(context).await {
        tracing::debug!(%error, "the app cannot be observed after a failure");
    }
    interfered(context).unwrap_or(Outcome::Failed(failure))
}

/// Whether the place of an ended task is empty.
pub(in crate::engine::steps) fn is_restarting(context: &StepContext<'_>) -> bool {
    settled_app::is_restarting(&context.log.state())
}
