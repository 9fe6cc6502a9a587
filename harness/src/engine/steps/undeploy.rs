//! Asks abra to undeploy the app. It returns before Swarm has finished; the sweep goes on from there.

use std::time::Duration;

use super::{ABRA_PATIENCE, Context};
use crate::{
    model::outcome::{Failure, Outcome, SkipReason},
    ports::Call,
    pure::host::claim::Claimed,
};

/// How long the engine and abra may each take in a run that is ended early: somebody waits for its end, the sweep needs no
/// abra, and abra may be what was waited for in vain.
const HURRY: Duration = Duration::from_secs(3);
/// How long the engine may take for one look; abra is asked when it says nothing.
const LOOK_PATIENCE: Duration = Duration::from_secs(8);

pub(super) async fn undeploy(context: &Context<'_>) -> Outcome {
    let nothing = Outcome::Skipped(SkipReason::Structural { lacks: "a deployed app".into() });
    let state = context.log.state();
    let Some(head) = context.head.as_ref().filter(|_| state.deploys > 0) else { return nothing };
    // A deploy that was refused or cut off may not have come as far as the Swarm; abra would call that an error. What it
    // deployed where we do not see it only abra can remove.
    let (look_patience, patience) = if state.cancel.is_some() { (HURRY, HURRY) } else { (LOOK_PATIENCE, ABRA_PATIENCE) };
    let look = tokio::time::timeout(look_patience, context.ports.swarm.observe(&head.stack)).await;
    if !context.unseen.get() && look.is_ok_and(|look| look.is_ok_and(|services| services.is_empty())) {
        return nothing;
    }
    let claim = match context.claim(Claimed::Stack { name: head.stack.clone() }) {
        Ok(claim) => claim,
        Err(failure) => return Outcome::Failed(failure),
    };
    let call = Call::Undeploy { domain: head.domain.clone() };
    match context.ports.abra.call(&call, Some(&claim), patience).await {
        Ok(_) => Outcome::Passed,
        Err(error) => Outcome::Failed(Failure::from(error)),
    }
}
