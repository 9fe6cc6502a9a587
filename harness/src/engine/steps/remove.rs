//! Removes the app in the middle of a run: as an operator would, with abra, and then to true zero.

use std::time::Duration;

use super::{
    ABRA_PATIENCE, Context,
    cleanup::{Outside, Pace, cleanup_until_empty_by},
    unread,
};
use crate::{
    model::{
        object::ObjectKind,
        outcome::{Cause, Failure, Outcome, Owner},
    },
    ports::Call,
    pure::host::{claim::Claimed, cleanup_plan::cleanup_plan, inventory::Inventory},
};

/// What `abra app undeploy` leaves: the app's data.
const DATA: [ObjectKind; 3] = [ObjectKind::Volume, ObjectKind::Secret, ObjectKind::Config];

/// Removes the app; with `data` its volumes, its secrets and its `.env` too. What is left is report as at the end of the run, under the
/// run's claims, which stay.
pub(super) async fn remove(context: &Context<'_>, budget: Duration, data: bool) -> Outcome {
    removed(context, budget, data).await.unwrap_or_else(Outcome::Failed)
}

async fn removed(context: &Context<'_>, budget: Duration, data: bool) -> Result<Outcome, Failure> {
    let head = context.head()?;
    let stack = context.claim(Claimed::Stack { name: head.stack.clone() })?;
    context.ports.abra.call(&Call::Undeploy { domain: head.domain.clone() }, Some(&stack), ABRA_PATIENCE).await?;
    let mut claims = vec![stack];
    if data {
        claims.push(context.claim(Claimed::EnvFile { path: context.folder.env_file(&context.host.server, &head.domain) })?);
    }
    let outside = Outside::of(context.ports);
    let pace = Pace { budget: budget.saturating_sub(ABRA_PATIENCE + Pace::default().patience), ..Pace::default() };
    let seen = |inventory: &Inventory| if data { inventory.clone() } else { inventory.without(&DATA) };
    let report =
        match cleanup_until_empty_by(|claims, inventory| cleanup_plan(claims, &seen(inventory)), outside, &claims, &[], pace)
            .await
        {
            Ok(report) => report,
            Err(error) => return Ok(unread(&error)),
        };
    context.touched.borrow_mut().extend(report.touched.iter().cloned());
    match report.clean() {
        true => Ok(Outcome::Passed),
        false => {
            let left: Vec<String> = report.leaked.iter().map(ToString::to_string).collect();
            let message = format!("the app could not be removed: {}", left.join("; "));
            Err(Failure::new(Cause::Engine, message).owned_by(Owner::Infrastructure))
        }
    }
}
