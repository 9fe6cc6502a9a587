//! Keeps the app after the run, if the request asks for it and an app was deployed.

use std::time::Duration;

use super::shared::context::StepContext;
use crate::{
    model::{
        outcome::{Outcome, SkipReason},
        time::Wall,
    },
    pure::run::event::Kind,
};

/// Records durably that the app is kept. A run that was ended early keeps nothing: its user wants it gone.
pub(super) fn keep(context: &StepContext<'_>, keep: Duration) -> Outcome {
    let state = context.log.state();
    let Some(head) = context.head.as_ref().filter(|_| state.deploys > 0 && state.cancel.is_none()) else {
        return Outcome::Skipped(SkipReason::Structural { lacks: "an app to keep".into() });
    };
    let millis = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let until = Wall::from_millis(context.ports.clock.wall().millis().saturating_add(millis));
    context.log.record(Kind::Kept { domain: head.domain.clone(), until });
    Outcome::Passed
}
