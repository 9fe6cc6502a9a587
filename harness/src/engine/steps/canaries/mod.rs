//! Seeds canaries, checks them at later moments, and corrupts them before a restore.

mod act;

use super::shared::{backup_service::wait_for_restart, context::StepContext};
use crate::{
    model::{
        outcome::{Cause, Failure, Gap, Outcome, SkipReason},
        pack::CanaryAct,
    },
    pure::{
        recipe::{
            backup::Backed,
            canary::{self, Canary, CanaryState, DroppedVolume, Moment, dropped_volumes},
            compose::Resolved,
        },
        run::{
            event::Note,
            plan::{Planned, Step},
        },
    },
};

/// Seeds a canary in each place that can hold one, and reads it back.
pub(super) async fn seed(context: &StepContext<'_>, planned: &Planned) -> Outcome {
    let canaries = match context.installed_resolved().await {
        Ok(Ok(resolved)) => canary::of(&resolved, &context.pack),
        Ok(Err(error)) => return Outcome::Unverified(Gap::Unresolved { what: error.to_string() }),
        Err(failure) => return Outcome::Failed(failure),
    };
    if canaries.is_empty() {
        return Outcome::Skipped(SkipReason::Structural { lacks: "a volume of its own".into() });
    }
    worst(act::each(context, planned, &canaries, Moment::Seeded, CanaryAct::Seed).await)
}

/// Corrupts all canaries, and verifies it: a restore that restores nothing must not pass.
pub(super) async fn corrupt(context: &StepContext<'_>, planned: &Planned) -> Outcome {
    let state = context.log.state();
    if state.snapshot.is_none() {
        return Outcome::Unverified(Gap::NotRun { because: "there is no snapshot of this run".into() });
    }
    let there = match context.running_resolved().await {
        Ok(Ok(resolved)) => canary::of(&resolved, &context.pack),
        Ok(Err(error)) => return Outcome::Unverified(Gap::Unresolved { what: error.to_string() }),
        Err(failure) => return Outcome::Failed(failure),
    };
    let sound = state.canaries.iter().filter(|state| state.sound()).map(|state| &state.canary);
    let canaries: Vec<Canary> = sound.filter(|canary| there.contains(canary)).cloned().collect();
    if canaries.is_empty() {
        return Outcome::Skipped(SkipReason::Structural { lacks: "a canary".into() });
    }
    worst(act::each(context, planned, &canaries, Moment::Corrupted, CanaryAct::Corrupt).await)
}

/// Checks the canaries that have to be there at `moment`.
pub(super) async fn check(context: &StepContext<'_>, planned: &Planned, moment: Moment) -> Outcome {
    let resolved = match context.running_resolved().await {
        Ok(Ok(resolved)) => resolved,
        Ok(Err(error)) => return Outcome::Unverified(Gap::Unresolved { what: error.to_string() }),
        Err(failure) => return Outcome::Failed(failure),
    };
    if let Some(outcome) = still_after_restore(context, planned, moment).await {
        return outcome;
    }
    let outcome = check_at(context, planned, moment, &resolved).await;
    if moment == Moment::AfterUpgrade {
        seed_again(context, planned, &resolved).await;
    }
    outcome
}

/// Waits until nothing moves where a restore has replaced files under a running service: its health check may have it started
/// again once.
async fn still_after_restore(context: &StepContext<'_>, planned: &Planned, moment: Moment) -> Option<Outcome> {
    if !moment.restored() {
        return None;
    }
    match context.head().cloned() {
        Ok(head) => wait_for_restart(context, &planned.id, &head).await.err(),
        Err(failure) => Some(Outcome::Failed(failure)),
    }
}

async fn check_at(context: &StepContext<'_>, planned: &Planned, moment: Moment, resolved: &Resolved) -> Outcome {
    let mut outcomes = check_volumes(context, planned, moment);
    let state = context.log.state();
    if state.canaries.is_empty() {
        outcomes.push(none_seeded(context, moment));
        return worst(outcomes);
    }
    let (backed, has) = (Backed::of(resolved), canary::of(resolved, &context.pack));
    let (mut due, mut decided) = (Vec::new(), Vec::new());
    for state in &state.canaries {
        let outcome = match canary::expected(&state.canary, moment, &backed, resolved) {
            _ if !state.sound() => not_seeded(state),
            // A volume that the upgrade gave up was reported then, and is in no backup of head.
            _ if moment.restored() && !has.contains(&state.canary) => {
                Outcome::Skipped(SkipReason::NotApplicable { because: "the app has no place for it any more".into() })
            }
            Err(reason) if reason.is_gap() => Outcome::Unverified(Gap::NotRun { because: format!("{}: {reason}", state.canary) }),
            Err(reason) => Outcome::Skipped(SkipReason::NotApplicable { because: reason.to_string() }),
            Ok(()) => {
                due.push(state.canary.clone());
                continue;
            }
        };
        act::record(context, planned, &state.canary, moment, &outcome);
        decided.push(outcome);
    }
    outcomes.extend(decided);
    if due.is_empty() && moment.restored() {
        let because = "no canary is wholly in the backup, so nothing shows that data came back; name the database in \
                       recipe.toml, or give the pack a canary";
        outcomes.push(Outcome::Unverified(Gap::NotRun { because: because.into() }));
    }
    outcomes.extend(act::each(context, planned, &due, moment, CanaryAct::Check).await);
    worst(outcomes)
}

/// The outcome for a canary that was not seeded.
fn not_seeded(state: &CanaryState) -> Outcome {
    match state.seen.get(&Moment::Seeded) {
        Some(skipped @ Outcome::Skipped(_)) => skipped.clone(),
        Some(Outcome::Unverified(Gap::NotRun { because })) => {
            Outcome::Unverified(Gap::NotRun { because: format!("{} could not be seeded: {because}", state.canary) })
        }
        Some(Outcome::Passed | Outcome::Failed(_) | Outcome::Unverified(_)) | None => {
            Outcome::Unverified(Gap::NotRun { because: format!("{} could not be seeded", state.canary) })
        }
    }
}

/// Seeds again what the upgrade lost, and seeds what only head has a place for: a backup of head is verified by data that head
/// has. The result is recorded for each canary and changes nothing about the upgrade.
async fn seed_again(context: &StepContext<'_>, planned: &Planned, resolved: &Resolved) {
    let state = context.log.state();
    if !state.plan.as_ref().is_some_and(|plan| plan.steps.iter().any(|planned| planned.step == Step::Corrupt)) {
        return;
    }
    let due = |canary: &Canary| {
        let known = state.canaries.iter().find(|known| known.canary == *canary);
        known.is_none_or(|known| known.sound() && known.lost_in_upgrade())
    };
    let canaries: Vec<Canary> = canary::of(resolved, &context.pack).into_iter().filter(due).collect();
    act::each(context, planned, &canaries, Moment::Seeded, CanaryAct::Seed).await;
}

/// Whether head still mounts the volumes that base had.
fn check_volumes(context: &StepContext<'_>, planned: &Planned, moment: Moment) -> Vec<Outcome> {
    let (Moment::AfterUpgrade, Some((_, before)), Ok(head)) = (moment, &context.base, context.resolved_sample()) else {
        return Vec::new();
    };
    let mut outcomes = Vec::new();
    for (volume, what) in dropped_volumes(&before.resolved, &head) {
        match what {
            DroppedVolume::Lost { service } => {
                let sentence = format!(
                    "service {service} does not mount volume {volume} any more, so the app no longer sees the data of that volume"
                );
                let outcome = Outcome::Failed(Failure::new(Cause::DataLost, sentence));
                context.check(&planned.id, &format!("volume {volume} is still mounted where it was"), &outcome);
                outcomes.push(outcome);
            }
            DroppedVolume::Unused => {
                context.log.note(Note::OperatorMust { text: format!("volume {volume} is not used any more and was left") });
            }
        }
    }
    outcomes
}

/// The outcome without any canary. Seeding may have failed, and nothing shows that data came back.
fn none_seeded(context: &StepContext<'_>, moment: Moment) -> Outcome {
    let state = context.log.state();
    if state.begun.as_ref().is_some_and(|begun| begun.request.extent.no_canaries) {
        return match moment.restored() {
            true => Outcome::Unverified(Gap::NotRun { because: "--no-canaries left out what shows that data came back".into() }),
            false => Outcome::Skipped(SkipReason::NotAsked),
        };
    }
    let seed = state.plan.as_ref().and_then(|plan| plan.steps.iter().find(|planned| planned.step == Step::Seed));
    match seed.and_then(|planned| state.steps.get(&planned.id)?.outcome()) {
        Some(Outcome::Passed | Outcome::Skipped(_)) => Outcome::Skipped(SkipReason::Structural { lacks: "a canary".into() }),
        Some(Outcome::Failed(_) | Outcome::Unverified(_)) | None => {
            Outcome::Unverified(Gap::NotRun { because: "no canary could be seeded".into() })
        }
    }
}

/// The worst outcome of several canaries: a failure, then an unverified one, then a passed one.
fn worst(outcomes: Vec<Outcome>) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Failed(_) => 0,
        Outcome::Unverified(_) => 1,
        Outcome::Passed => 2,
        Outcome::Skipped(_) => 3,
    };
    outcomes.into_iter().min_by_key(rank).unwrap_or(Outcome::Passed)
}
