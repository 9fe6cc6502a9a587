//! One attempt of a step: within its budget, and with a panic turned into a failure of taster.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::{
    FutureExt,
    future::{AbortHandle, Abortable, LocalBoxFuture},
};

use super::steps::{self, shared::context::StepContext};
use crate::{
    model::{
        outcome::{Cause, Failure, Gap, Outcome, Owner},
        time::format_duration,
    },
    pure::run::{
        event::Kind,
        plan::{Planned, StepId},
        state::RunState,
    },
};

/// Starts an attempt of a step. The handle ends it early.
pub(super) fn start<'a>(
    context: &'a StepContext<'_>,
    planned: &'a Planned,
    attempt: u32,
) -> (AbortHandle, LocalBoxFuture<'a, (StepId, Outcome)>) {
    let id = planned.id.clone();
    context.log.record(Kind::StepStarted { step: id.clone(), attempt });
    let (handle, registration) = AbortHandle::new_pair();
    let step = Abortable::new(bounded(context, planned), registration);
    (handle, step.map(|done| (id, done.unwrap_or(Outcome::Unverified(Gap::RunEnded)))).boxed_local())
}

/// A step within its budget.
async fn bounded(context: &StepContext<'_>, planned: &Planned) -> Outcome {
    let step = AssertUnwindSafe(steps::perform(context, planned)).catch_unwind();
    match tokio::time::timeout(planned.budget(), step).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::Failed(panicked(&format!("step {}", planned.id))),
        Err(_) => Outcome::Failed(over_budget(&context.log.state(), &planned.id, planned.budget())),
    }
}

/// The failure of a part of taster that panicked.
pub(super) fn panicked(part: &str) -> Failure {
    Failure::new(Cause::Defect, format!("{part} panicked; this is a defect of taster"))
}

fn over_budget(state: &RunState, id: &StepId, budget: Duration) -> Failure {
    let waiting_for = state.steps.get(id).map(|step| step.waiting_for.join("; ")).unwrap_or_default();
    let message = if waiting_for.is_empty() {
        format!("step {id} did not end within {}", format_duration(budget))
    } else {
        format!("step {id} did not end within {}; it waited for {waiting_for}", format_duration(budget))
    };
    // A step that can blame the recipe for its slowness ends before, by its own timeout.
    Failure::new(Cause::Budget { waiting_for }, message).owned_by(Owner::Infrastructure)
}
