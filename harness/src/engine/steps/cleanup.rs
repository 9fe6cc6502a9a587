//! Removes everything that the run claimed, until two inventories in a row show nothing.

use std::time::Duration;

use super::shared::{
    cleanup::{CleanupPorts, Pace, cleanup_until_empty},
    context::StepContext,
    failure::unread,
};
use crate::{
    model::outcome::{Cause, Failure, Outcome, Owner},
    ports::Child,
    pure::run::event::Kind,
};

pub(super) async fn cleanup(context: &StepContext<'_>, budget: Duration) -> Outcome {
    let pace = Pace { budget: budget.saturating_sub(Pace::default().blocked_timeout), ..Pace::default() };
    let child = |(pid, (start_ticks, doing)): (&i32, &(u64, String))| Child {
        run: context.folder.run().clone(),
        pid: *pid,
        start_ticks: *start_ticks,
        doing: doing.clone(),
    };
    let children: Vec<Child> = context.log.state().children.iter().map(child).collect();
    let claims = context.log.claims();
    if claims.is_empty() && children.is_empty() {
        // The run may have refused an engine that never shows its inventory, and cleanup would wait for it.
        return Outcome::Passed;
    }
    let report = match cleanup_until_empty(CleanupPorts::of(context.ports), &claims, &children, pace).await {
        Ok(report) => report,
        Err(error) => return unread(&error),
    };
    context.removed_objects.borrow_mut().extend(report.touched.iter().cloned());
    for pid in &report.ended {
        context.log.record(Kind::ChildEnded { pid: *pid });
    }
    for what in &report.released {
        context.log.record(Kind::Released { what: what.clone() });
    }
    if report.clean() {
        return Outcome::Passed;
    }
    let left: Vec<String> = report.leaked.iter().map(ToString::to_string).chain(report.living).collect();
    let message = format!("not all of the run is gone: {}", left.join("; "));
    Outcome::Failed(Failure::new(Cause::Engine, message).owned_by(Owner::Infrastructure))
}
