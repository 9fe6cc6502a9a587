//! Removes the app in the middle of a run: with abra, as an operator would, and then until nothing of it is left.

use std::time::Duration;

use super::shared::{
    ABRA_TIMEOUT,
    cleanup::{CleanupPorts, Pace, cleanup_until_empty_by},
    context::StepContext,
    failure::unread,
};
use crate::{
    model::{
        object::ObjectKind,
        outcome::{Cause, Failure, Outcome, Owner},
    },
    ports::Call,
    pure::host::{cleanup_plan::cleanup_plan, inventory::Inventory},
};

/// The app's data, which `abra app undeploy` leaves.
const DATA: [ObjectKind; 3] = [ObjectKind::Volume, ObjectKind::Secret, ObjectKind::Config];

/// Removes the app; with `data` its volumes, its secrets and its `.env` too. The claims stay, so what is left is reported at the
/// end of the run as well.
pub(super) async fn remove(context: &StepContext<'_>, budget: Duration, data: bool) -> Outcome {
    remove_app(context, budget, data).await.unwrap_or_else(Outcome::Failed)
}

async fn remove_app(context: &StepContext<'_>, budget: Duration, data: bool) -> Result<Outcome, Failure> {
    let head = context.head()?;
    let stack = context.claim_stack()?;
    context.ports.abra.call(&Call::Undeploy { domain: head.domain.clone() }, Some(&stack), ABRA_TIMEOUT).await?;
    let mut claims = vec![stack];
    if data {
        claims.push(context.claim_env_file()?);
    }
    let pace = Pace { budget: budget.saturating_sub(ABRA_TIMEOUT + Pace::default().blocked_timeout), ..Pace::default() };
    let ports = CleanupPorts::of(context.ports);
    let removable = |inventory: &Inventory| if data { inventory.clone() } else { inventory.without(&DATA) };
    let plan = |claims: &[_], inventory: &Inventory| cleanup_plan(claims, &removable(inventory));
    let report = match cleanup_until_empty_by(plan, ports, &claims, &[], pace).await {
        Ok(report) => report,
        Err(error) => return Ok(unread(&error)),
    };
    context.removed_objects.borrow_mut().extend(report.touched.iter().cloned());
    match report.clean() {
        true => Ok(Outcome::Passed),
        false => {
            let left: Vec<String> = report.leaked.iter().map(ToString::to_string).collect();
            let message = format!("the app could not be removed: {}", left.join("; "));
            Err(Failure::new(Cause::Engine, message).owned_by(Owner::Infrastructure))
        }
    }
}
