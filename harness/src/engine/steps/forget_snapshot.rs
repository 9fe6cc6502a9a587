//! Has the backup service forget this run's snapshots.

use super::shared::{context::StepContext, failure::unread};
use crate::{
    model::outcome::{Outcome, SkipReason},
    pure::host::claim::Claimed,
};

pub(super) async fn forget_snapshot(context: &StepContext<'_>) -> Outcome {
    let claims = context.log.claims();
    let Some(claim) = claims.iter().find(|claim| matches!(claim.what(), Claimed::Snapshots { .. })) else {
        return Outcome::Skipped(SkipReason::Structural { lacks: "a snapshot".into() });
    };
    let data = &*context.ports.data;
    let snapshots = match data.snapshots(claim).await {
        Ok(snapshots) if snapshots.is_empty() => return Outcome::Passed,
        Ok(snapshots) => snapshots,
        Err(error) => return unread(&error),
    };
    match data.forget(claim, &snapshots).await {
        Ok(()) => Outcome::Passed,
        Err(error) => unread(&error),
    }
}
