//! Plants canaries, looks for them at later moments, and spoils them before a restore.

mod act;

use super::{Context, check, shared::settle::service_of};
use crate::{
    model::{
        outcome::{Cause, Failure, Gap, Outcome, SkipReason},
        pack::CanaryAct,
    },
    pure::{
        recipe::{
            backup::Backed,
            canary::{self, Canary, CanaryState, GivenUp, Moment, given_up},
            compose::Resolved,
        },
        run::{
            event::Note,
            plan::{Planned, Step},
        },
    },
};

/// Plants a canary wherever one can be, and looks whether it is there.
pub(super) async fn seed(context: &Context<'_>, planned: &Planned) -> Outcome {
    let canaries = match context.installed_resolved().await {
        Ok(Ok(resolved)) => canary::of(&resolved, &context.pack),
        Ok(Err(what)) => return Outcome::Unverified(Gap::ResolverDisagrees { what }),
        Err(failure) => return Outcome::Failed(failure),
    };
    if canaries.is_empty() {
        return Outcome::Skipped(SkipReason::Structural { lacks: "a volume of its own".into() });
    }
    worst(act::each(context, planned, &canaries, Moment::Seeded, CanaryAct::Seed).await)
}

/// Spoils all canaries, and sees to it that they are: a restore that restores nothing must not pass.
pub(super) async fn corrupt(context: &Context<'_>, planned: &Planned) -> Outcome {
    if context.log.state().snapshot.is_none() {
        return Outcome::Unverified(Gap::NotRun { because: "there is no snapshot of this run".into() });
    }
    let there = match context.running_resolved().await {
        Ok(Ok(resolved)) => canary::of(&resolved, &context.pack),
        Ok(Err(what)) => return Outcome::Unverified(Gap::ResolverDisagrees { what }),
        Err(failure) => return Outcome::Failed(failure),
    };
    let sound = context.log.state().canaries.into_iter().filter(CanaryState::sound).map(|state| state.canary);
    let canaries: Vec<Canary> = sound.filter(|canary| there.contains(canary)).collect();
    if canaries.is_empty() {
        return Outcome::Skipped(SkipReason::Structural { lacks: "a canary".into() });
    }
    worst(act::each(context, planned, &canaries, Moment::Corrupted, CanaryAct::Corrupt).await)
}

/// A failure of a service, with the fact that canaries were planted into its data before: whoever reads it must be able to rule them out.
pub(super) fn recalled(context: &Context<'_>, failure: Failure) -> Failure {
    let (Some(service), Ok(head)) = (service_of(&failure.cause), context.head()) else { return failure };
    let mut known = context.resolved_sample().into_iter().chain(context.base.iter().map(|(_, before)| before.resolved.clone()));
    let sound = context.log.state().canaries.into_iter().filter(CanaryState::sound);
    let planted: Vec<Canary> = sound.map(|state| state.canary).collect();
    let into = known.find_map(|resolved| {
        let into = canary::into_service(&planted, &resolved, head.stack.short(service));
        (!into.is_empty()).then_some(into)
    });
    match into {
        None => failure,
        Some(into) => {
            let planted = into.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            let message =
                format!("{}; {planted} was planted before, and --no-canaries shows whether it fails without", failure.message);
            Failure { message, ..failure }
        }
    }
}

/// Looks whether the canaries are there that have to be.
pub(super) async fn look(context: &Context<'_>, planned: &Planned, moment: Moment) -> Outcome {
    let resolved = match context.running_resolved().await {
        Ok(Ok(resolved)) => resolved,
        Ok(Err(what)) => return Outcome::Unverified(Gap::ResolverDisagrees { what }),
        Err(failure) => return Outcome::Failed(failure),
    };
    let outcome = looked(context, planned, moment, &resolved).await;
    if moment == Moment::AfterUpgrade {
        renew(context, planned, &resolved).await;
    }
    outcome
}

async fn looked(context: &Context<'_>, planned: &Planned, moment: Moment, resolved: &Resolved) -> Outcome {
    let mut outcomes = volumes(context, planned, moment);
    let planted = context.log.state().canaries;
    if planted.is_empty() {
        outcomes.push(none_planted(context, moment));
        return worst(outcomes);
    }
    let (backed, has) = (Backed::of(resolved), canary::of(resolved, &context.pack));
    let (mut there, mut told) = (Vec::new(), Vec::new());
    for state in planted {
        let outcome = match canary::expected(&state.canary, moment, &backed, resolved) {
            _ if !state.sound() => Outcome::Unverified(Gap::NotRun { because: format!("{} could not be planted", state.canary) }),
            // What the upgrade gave up was told then, and is not in any backup of head.
            _ if moment.restored() && !has.contains(&state.canary) => {
                Outcome::Skipped(SkipReason::NotApplicable { because: "the app has no place for it any more".into() })
            }
            Err(because) => Outcome::Skipped(SkipReason::NotApplicable { because }),
            Ok(()) => {
                there.push(state.canary);
                continue;
            }
        };
        act::tell(context, planned, &state.canary, moment, &outcome);
        told.push(outcome);
    }
    outcomes.extend(told);
    if there.is_empty() && moment.restored() {
        let because = "no canary is wholly in the backup, so nothing shows that data came back; name the database in recipe.toml, \
                       or give the pack a canary";
        outcomes.push(Outcome::Unverified(Gap::NotRun { because: because.into() }));
    }
    outcomes.extend(act::each(context, planned, &there, moment, CanaryAct::Check).await);
    worst(outcomes)
}

/// Plants what the upgrade lost once more, and what only head has a place for: a backup of head and its restore are told by data that
/// head has. How that ended is told of each canary; of the upgrade it says nothing.
async fn renew(context: &Context<'_>, planned: &Planned, resolved: &Resolved) {
    let state = context.log.state();
    if !state.plan.is_some_and(|plan| plan.steps.iter().any(|planned| planned.step == Step::Corrupt)) {
        return;
    }
    let due = |canary: &Canary| {
        let known = state.canaries.iter().find(|known| known.canary == *canary);
        known.is_none_or(|known| known.sound() && known.lost_in_upgrade())
    };
    let canaries: Vec<Canary> = canary::of(resolved, &context.pack).into_iter().filter(due).collect();
    act::each(context, planned, &canaries, Moment::Seeded, CanaryAct::Seed).await;
}

/// What became of the volumes that base had.
fn volumes(context: &Context<'_>, planned: &Planned, moment: Moment) -> Vec<Outcome> {
    let (Moment::AfterUpgrade, Some((_, before)), Ok(head)) = (moment, &context.base, context.resolved_sample()) else {
        return Vec::new();
    };
    let mut outcomes = Vec::new();
    for (volume, what) in given_up(&before.resolved, &head) {
        match what {
            GivenUp::Lost { service } => {
                let sentence =
                    format!("service {service} does not mount volume {volume} any more, so what the app had in it is lost to it");
                let outcome = Outcome::Failed(Failure::new(Cause::DataLost, sentence));
                check(context, &planned.id, &format!("volume {volume} is still mounted where it was"), &outcome);
                outcomes.push(outcome);
            }
            GivenUp::Unused => {
                context.log.note(Note::OperatorMust { text: format!("volume {volume} is not used any more and was left") });
            }
        }
    }
    outcomes
}

/// Without any canary there is nothing to look for, unless planting them is what failed. Nothing shows then that data came back.
fn none_planted(context: &Context<'_>, moment: Moment) -> Outcome {
    let state = context.log.state();
    if state.begun.as_ref().is_some_and(|begun| begun.request.extent.no_canaries) {
        return match moment.restored() {
            true => Outcome::Unverified(Gap::NotRun { because: "--no-canaries left out what shows that data came back".into() }),
            false => Outcome::Skipped(SkipReason::NotAsked),
        };
    }
    let plant = state.plan.as_ref().and_then(|plan| plan.steps.iter().find(|planned| planned.step == Step::Seed));
    match plant.and_then(|planned| state.steps.get(&planned.id)?.outcome()) {
        Some(Outcome::Passed | Outcome::Skipped(_)) => Outcome::Skipped(SkipReason::Structural { lacks: "a canary".into() }),
        Some(Outcome::Failed(_) | Outcome::Unverified(_)) | None => {
            Outcome::Unverified(Gap::NotRun { because: "no canary could be planted".into() })
        }
    }
}

/// The worst of what came of several canaries: a failure, then what is not verified, then what passed.
fn worst(outcomes: Vec<Outcome>) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Failed(_) => 0,
        Outcome::Unverified(_) => 1,
        Outcome::Passed => 2,
        Outcome::Skipped(_) => 3,
    };
    outcomes.into_iter().min_by_key(rank).unwrap_or(Outcome::Passed)
}
