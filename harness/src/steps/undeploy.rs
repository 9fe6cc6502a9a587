//! Asks abra to undeploy the app. It returns before Swarm has finished; the sweep goes on from there.

use super::{ABRA_PATIENCE, Context};
use crate::{
    claim::Claimed,
    event::Kind,
    model::outcome::{Failure, Outcome, SkipReason},
    ports::Call,
};

pub(super) async fn undeploy(context: &Context<'_>) -> Outcome {
    let Some(head) = context.head.as_ref().filter(|_| context.log.state().deploys > 0) else {
        return Outcome::Skipped(SkipReason::Structural { lacks: "a deployed app".into() });
    };
    let claim = match context.claim(Claimed::Stack { name: head.stack.clone() }) {
        Ok(claim) => claim,
        Err(failure) => return Outcome::Failed(failure),
    };
    let call = Call::Undeploy { domain: head.domain.clone() };
    match context.ports.abra.call(&call, Some(&claim), ABRA_PATIENCE).await {
        Ok(_) => Outcome::Passed,
        Err(error) => {
            context.log.record(Kind::Warned { text: format!("abra could not undeploy the app: {error}") });
            Outcome::Failed(Failure::from(error))
        }
    }
}
