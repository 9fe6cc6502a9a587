//! Restores this run's snapshot. No option of abra names one, so it must be the newest of the app.

use std::time::Duration;

use super::shared::{
    ABRA_TIMEOUT,
    backup_service::{STILL_TIMEOUT, read, refused, wait_until_still, wait_until_still_before},
    context::StepContext,
};
use crate::{
    model::outcome::{Failure, Gap, Outcome},
    ports::{AbraError, Call},
    pure::{
        recipe::backup::{Backed, same_snapshot, snapshot_ids},
        run::{event::Note, plan::StepId},
    },
};

pub(super) async fn restore(context: &StepContext<'_>, id: &StepId, budget: Duration) -> Outcome {
    restore_snapshot(context, id, budget).await.unwrap_or_else(Outcome::Failed)
}

async fn restore_snapshot(context: &StepContext<'_>, id: &StepId, budget: Duration) -> Result<Outcome, Failure> {
    let head = context.head()?.clone();
    let Some(snapshot) = context.log.state().snapshot.clone() else {
        return Ok(Outcome::Unverified(Gap::NotRun { because: "there is no snapshot of this run".into() }));
    };
    let all = snapshot_ids(&read(context, &Call::BackupSnapshots { domain: head.domain.clone() }).await?);
    if !all.last().is_some_and(|newest| same_snapshot(newest, &snapshot)) {
        let what = format!(
            "the newest snapshot of the app is {} and not {snapshot}, because something other than the run made or removed one",
            all.last().map_or("none", String::as_str)
        );
        return Ok(Outcome::Unverified(Gap::Interfered { what }));
    }
    if let Some(outcome) = wait_until_still_before(context, id, &head, STILL_TIMEOUT.min(budget)).await {
        return Ok(outcome);
    }
    let backed = match context.running_resolved().await? {
        Ok(resolved) => Backed::of(&resolved),
        Err(error) => return Ok(Outcome::Unverified(Gap::Unresolved { what: error.to_string() })),
    };
    let claim = context.claim_stack()?;
    let restore = |hooks| Call::Restore { domain: head.domain.clone(), hooks };
    let timeout = ABRA_TIMEOUT.max(budget / 2);
    // Some versions of abra run a restore's hooks only with -H, others do not know the option.
    let done = match context.ports.abra.call(&restore(true), Some(&claim), timeout).await {
        Err(AbraError::Fatal { reason, .. }) if is_unknown_option(&reason) => {
            let text = "this abra does not know -H, so it is not known whether the hooks of the restore ran".to_owned();
            context.log.note(Note::Remark { text });
            context.ports.abra.call(&restore(false), Some(&claim), timeout).await
        }
        done => {
            if done.is_ok() && backed.restore_hooks {
                let text = "the restore was asked for its hooks (-H), which abra leaves out otherwise".to_owned();
                context.log.note(Note::Remark { text });
            }
            done
        }
    };
    if let Err(error) = done {
        return Ok(Outcome::Failed(refused(error)));
    }
    let outcome = wait_until_still(context, id, &head, budget).await.unwrap_or(Outcome::Passed);
    context.check(id, "all services run again after the restore", &outcome);
    Ok(outcome)
}

fn is_unknown_option(reason: &str) -> bool {
    ["unknown shorthand flag", "unknown flag", "flag provided but not defined", "unexpected argument"]
        .iter()
        .any(|message| reason.contains(message))
}
