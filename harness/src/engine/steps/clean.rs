//! Removes all that the run claimed, until two looks in a row show nothing.

use std::time::Duration;

use super::{
    Context,
    cleanup::{Outside, Pace, cleanup_until_empty},
    unread,
};
use crate::{
    model::outcome::{Cause, Failure, Outcome, Owner},
    ports::Child,
    pure::run::event::Kind,
};

pub(super) async fn clean(context: &Context<'_>, budget: Duration) -> Outcome {
    let outside = Outside::of(context.ports);
    let pace = Pace { budget: budget.saturating_sub(Pace::default().patience), ..Pace::default() };
    let children: Vec<Child> = context
        .log
        .state()
        .children
        .into_iter()
        .map(|(pid, (start_ticks, doing))| Child { run: context.folder.run().clone(), pid, start_ticks, doing })
        .collect();
    let claims = context.log.claims();
    if claims.is_empty() && children.is_empty() {
        // An engine that was refused may be one that never shows its inventory, which a sweep would wait for.
        return Outcome::Passed;
    }
    let report = match cleanup_until_empty(outside, &claims, &children, pace).await {
        Ok(report) => report,
        Err(error) => return unread(&error),
    };
    context.touched.borrow_mut().extend(report.touched.iter().cloned());
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
