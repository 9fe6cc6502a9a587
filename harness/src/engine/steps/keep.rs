//! Keeps the app after the run, if somebody asked for it and there is one.

use std::time::Duration;

use super::Context;
use crate::{
    model::{
        outcome::{Outcome, SkipReason},
        time::Wall,
    },
    pure::run::event::Kind,
};

/// Says durably that the app is kept. A run that was ended early keeps nothing: whoever ended it wants it gone.
pub(super) fn keep(context: &Context<'_>, keep: Duration) -> Outcome {
    let state = context.log.state();
    let Some(head) = context.head.as_ref().filter(|_| state.deploys > 0 && state.cancel.is_none()) else {
        return Outcome::Skipped(SkipReason::Structural { lacks: "an app to keep".into() });
    };
    let millis = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let until = Wall::from_millis(context.ports.clock.wall().millis().saturating_add(millis));
    context.log.record(Kind::Kept { domain: head.domain.clone(), until });
    Outcome::Passed
}

/// Why nothing of the app is removed, when it is kept.
pub(super) fn kept(context: &Context<'_>) -> Option<Outcome> {
    let kept = context.log.state().kept?;
    Some(Outcome::Skipped(SkipReason::NotApplicable { because: format!("the app is kept until {}", kept.until) }))
}
