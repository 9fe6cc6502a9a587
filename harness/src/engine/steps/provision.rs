//! Puts the run's marker on the Swarm, and creates the app in abra (`abra app new`): its `.env`, its secrets, and the checkout of
//! what is installed first.

use std::time::Duration;

use super::shared::context::StepContext;
use crate::{
    model::{
        names::StackName,
        outcome::{Failure, Gap},
        time::Wall,
    },
    pure::host::{
        claim::{Claim, Claimed},
        marker::Marker,
    },
};

/// How long the marker on the Swarm is valid: a day, or twice the deadline of a run that may take longer.
const MARKER_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn provision(context: &StepContext<'_>) -> Result<Option<Gap>, Failure> {
    let head = context.head()?;
    // All that abra makes of the app belongs to the stack, so that is claimed before there is an app.
    context.claim_stack()?;
    let claim = context.claim(Claimed::Marker { name: Marker::name(context.folder.run()) })?;
    context.ports.swarm.mark(&claim, &marker(context, &claim, head.stack.clone()).labels()).await?;

    let (commit, _) = context.installed()?;
    context.make_app(commit).await
}

/// The marker of this run.
fn marker(context: &StepContext<'_>, claim: &Claim, stack: StackName) -> Marker {
    let machine = &context.ports.machine;
    let state = context.log.state();
    let (deadline, keep) =
        state.begun.as_ref().map(|begun| (begun.request.deadline, begun.request.authoring.keep)).unwrap_or_default();
    // The time that an app is kept for begins at the end of its run.
    let life = MARKER_LIFE.max(deadline * 2) + keep.unwrap_or_default();
    let life = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
    let runs = context.folder.root().parent().unwrap_or(context.folder.root());
    Marker {
        run: claim.run().clone(),
        stack,
        swarm: claim.engine().clone(),
        instance: format!("{}:{}", machine.name().0, runs.display()),
        boot: machine.boot().unwrap_or_default(),
        expires: Wall::from_millis(context.ports.clock.wall().millis().saturating_add(life)),
    }
}
