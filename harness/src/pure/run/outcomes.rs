//! Outcomes of tiers and of lint, derived from the outcomes of their steps.

use crate::{
    model::outcome::{Gap, Outcome, SkipReason, Subject, Tier},
    pure::{
        recipe::canary::Moment,
        run::{
            plan::{Class, Plan, Planned, Step, StepId},
            state::{RunState, StepState},
        },
    },
};

/// How the tier ended: failed if anything in it failed, passed only if everything in it ran and passed and what proves it (`proofs`)
/// was among it.
pub fn tier_outcome(plan: &Plan, state: &RunState, tier: Tier) -> Outcome {
    if let Some(reason) = plan.skips.get(&tier) {
        return Outcome::Skipped(reason.clone());
    }
    let steps: Vec<_> = plan.steps.iter().filter(|planned| planned.class == Class::Tier(tier)).collect();
    let outcome_of = |id: &StepId| state.steps.get(id).and_then(StepState::outcome);
    if let Some(short) = shortfall(state, &steps) {
        return short;
    }
    let unproved = proofs(tier).iter().find(|(step, _)| {
        let proves = |outcome: &Outcome| outcome.passed() || may_lack(step) && matches!(outcome, Outcome::Skipped(_));
        !steps.iter().any(|planned| planned.step == *step && outcome_of(&planned.id).is_some_and(proves))
    });
    match tier {
        Tier::Install if steps.is_empty() && state.cancel.is_some() => Outcome::Unverified(Gap::Killed),
        Tier::Custom if steps.is_empty() && state.cancel.is_none() => {
            Outcome::Unverified(Gap::NotRun { because: "the recipe has no custom tests".into() })
        }
        // Whatever was chosen is not all that the pack has to say.
        Tier::Custom if chosen(state) => {
            let left_out = |id| matches!(outcome_of(id), Some(Outcome::Skipped(SkipReason::Filtered { .. })));
            let taken = steps.iter().filter(|planned| !left_out(&planned.id)).count();
            let because = format!("{taken} of {} custom tests were chosen, and a choice is not all of them", steps.len());
            Outcome::Unverified(Gap::NotRun { because })
        }
        // Tests that all do not apply have proved nothing.
        Tier::Custom
            if !steps.is_empty() && !steps.iter().any(|planned| outcome_of(&planned.id).is_some_and(Outcome::passed)) =>
        {
            Outcome::Unverified(Gap::NotRun { because: "none of the custom tests applies".into() })
        }
        Tier::Upgrade | Tier::Backup | Tier::Restore | Tier::Custom if steps.is_empty() => {
            Outcome::Unverified(Gap::NotRun { because: format!("no step of tier {tier} was planned") })
        }
        Tier::Install | Tier::Upgrade | Tier::Backup | Tier::Restore | Tier::Custom => match (unproved, tier) {
            (Some((_, because)), _) => Outcome::Unverified(Gap::NotRun { because: (*because).to_owned() }),
            (None, Tier::Install | Tier::Upgrade) => Outcome::Passed,
            (None, Tier::Backup | Tier::Restore | Tier::Custom) => {
                state.not_on_head().map_or(Outcome::Passed, Outcome::Unverified)
            }
        },
    }
}

/// Why steps that all have to pass, or not to apply, fall short of that: the first that failed, else the first that proved nothing.
pub(crate) fn shortfall(state: &RunState, steps: &[&Planned]) -> Option<Outcome> {
    let outcomes = || steps.iter().map(|planned| (planned, state.steps.get(&planned.id).and_then(StepState::outcome)));
    let failed = outcomes().find_map(|(_, outcome)| outcome.filter(|outcome| matches!(outcome, Outcome::Failed(_))));
    let gap = || {
        outcomes().find_map(|(planned, outcome)| match outcome {
            Some(Outcome::Unverified(gap)) => Some(gap.clone()),
            Some(Outcome::Passed | Outcome::Skipped(_) | Outcome::Failed(_)) => None,
            None if state.cancel.is_some() => Some(Gap::Killed),
            None => Some(Gap::NotRun { because: format!("step {} did not run", planned.id) }),
        })
    };
    failed.cloned().or_else(|| gap().map(Outcome::Unverified))
}

/// Whether whoever started the run chose among the custom tests.
fn chosen(state: &RunState) -> bool {
    state.begun.as_ref().is_some_and(|begun| begun.request.tests.choose())
}

/// The steps without which a tier has proved nothing, whatever else of it passed, and what is not known without each. A plan that
/// lacks one does not make its tier green.
fn proofs(tier: Tier) -> &'static [(Step, &'static str)] {
    match tier {
        Tier::Install => &[(Step::Http, "nothing was asked over HTTP")],
        Tier::Upgrade => &[
            (Step::Upgrade, "nothing was upgraded"),
            (Step::VerifyHead, "it was not proved that head runs"),
            (Step::Http, "nothing was asked over HTTP after the upgrade"),
            (Step::Check { moment: Moment::AfterUpgrade }, "no data was looked for after the upgrade"),
        ],
        Tier::Backup => &[(Step::Backup, "no snapshot was made")],
        Tier::Restore => &[
            (Step::Corrupt, "no data was spoiled, so nothing shows that any came back"),
            (Step::Restore, "nothing was restored"),
            (Step::Check { moment: Moment::AfterRestore }, "no data was looked for after the restore"),
        ],
        Tier::Custom => &[],
    }
}

/// Whether the app may have nothing that the step could be done to: without a volume there is no data to lose in an upgrade.
fn may_lack(step: &Step) -> bool {
    *step == Step::Check { moment: Moment::AfterUpgrade }
}

/// How lint of head ended; absent when the plan has none.
pub fn lint_outcome(plan: &Plan, state: &RunState) -> Option<Outcome> {
    let planned = plan.steps.iter().find(|planned| planned.step == Step::Lint { subject: Subject::Head })?;
    let not_run = || match state.cancel {
        Some(_) => Gap::Killed,
        None => Gap::NotRun { because: format!("step {} did not run", planned.id) },
    };
    let ended = state.steps.get(&planned.id).and_then(StepState::outcome).cloned();
    Some(ended.unwrap_or_else(|| Outcome::Unverified(not_run())))
}
