//! The outcomes of tiers and of lint, derived from the outcomes of their steps.
//!
//! A tier passes only when each of its steps passed and the steps that prove it are among them: a plan that lacks one of these
//! does not make its tier green.

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

/// The outcome of a tier of any run: of one without a plan, and of one that was refused, nothing is verified.
pub fn outcome_of_tier(state: &RunState, tier: Tier) -> Outcome {
    let not_run = |because: &str| Outcome::Unverified(Gap::NotRun { because: because.to_owned() });
    match &state.plan {
        None => not_run("the run has no plan"),
        Some(Plan { refusal: Some(_), .. }) => not_run("the run was refused"),
        Some(plan) => tier_outcome(plan, state, tier),
    }
}

/// The outcome of a tier under a plan: failed if a step of it failed, passed only if all of them passed and the steps that prove
/// the tier (`proofs`) are among them.
pub fn tier_outcome(plan: &Plan, state: &RunState, tier: Tier) -> Outcome {
    if let Some(reason) = plan.skips.get(&tier) {
        return Outcome::Skipped(reason.clone());
    }
    let steps: Vec<_> = plan.steps.iter().filter(|planned| planned.class == Class::Tier(tier)).collect();
    let outcome_of = |id: &StepId| state.steps.get(id).and_then(StepState::outcome);
    if let Some(gap) = first_gap(state, &steps) {
        return gap;
    }
    let unproved = proofs(tier).iter().find(|(step, _)| {
        let proves = |outcome: &Outcome| outcome.passed() || is_optional_proof(step) && matches!(outcome, Outcome::Skipped(_));
        !steps.iter().any(|planned| planned.step == *step && outcome_of(&planned.id).is_some_and(proves))
    });
    match tier {
        Tier::Install if steps.is_empty() && state.cancel.is_some() => Outcome::Unverified(Gap::RunEnded),
        Tier::Custom if steps.is_empty() && state.cancel.is_none() => {
            Outcome::Unverified(Gap::NotRun { because: "the recipe has no custom tests".into() })
        }
        // With test filters the custom tier is never verified, even if every test matched.
        Tier::Custom if chosen(state) => {
            let left_out = |id| matches!(outcome_of(id), Some(Outcome::Skipped(SkipReason::Filtered { .. })));
            let taken = steps.iter().filter(|planned| !left_out(&planned.id)).count();
            let because = format!(
                "{taken} of {} custom tests were chosen; the tier is verified only by a run without test filters",
                steps.len()
            );
            Outcome::Unverified(Gap::NotRun { because })
        }
        // Tests none of which applies prove nothing.
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

/// The first failed step, else the first unverified one; absent when each step passed or was skipped.
pub(crate) fn first_gap(state: &RunState, steps: &[&Planned]) -> Option<Outcome> {
    let outcomes = || steps.iter().map(|planned| (planned, state.steps.get(&planned.id).and_then(StepState::outcome)));
    let failed = outcomes().find_map(|(_, outcome)| outcome.filter(|outcome| matches!(outcome, Outcome::Failed(_))));
    let gap = || {
        outcomes().find_map(|(planned, outcome)| match outcome {
            Some(Outcome::Unverified(gap)) => Some(gap.clone()),
            Some(Outcome::Passed | Outcome::Skipped(_) | Outcome::Failed(_)) => None,
            None if state.cancel.is_some() => Some(Gap::RunEnded),
            None => Some(Gap::NotRun { because: format!("step {} did not run", planned.id) }),
        })
    };
    failed.cloned().or_else(|| gap().map(Outcome::Unverified))
}

/// Whether the request chose among the custom tests.
fn chosen(state: &RunState) -> bool {
    state.begun.as_ref().is_some_and(|begun| begun.request.tests.choose())
}

/// The steps that prove a tier, and what is not known without each of them.
fn proofs(tier: Tier) -> &'static [(Step, &'static str)] {
    match tier {
        Tier::Install => &[(Step::Http, "the app was not asked over HTTP")],
        Tier::Upgrade => &[
            (Step::Upgrade, "nothing was upgraded"),
            (Step::VerifyHead, "head was not verified to run"),
            (Step::Http, "the app was not asked over HTTP after the upgrade"),
            (Step::Check { moment: Moment::AfterUpgrade }, "no data was checked after the upgrade"),
        ],
        Tier::Backup => &[(Step::Backup, "no snapshot was made")],
        Tier::Restore => &[
            (Step::Corrupt, "no data was corrupted, so nothing shows that any came back"),
            (Step::Restore, "nothing was restored"),
            (Step::Check { moment: Moment::AfterRestore }, "no data was checked after the restore"),
        ],
        Tier::Custom => &[],
    }
}

/// Whether a tier counts as proved when this step was skipped: an app without a volume has no data to lose in an upgrade.
fn is_optional_proof(step: &Step) -> bool {
    *step == Step::Check { moment: Moment::AfterUpgrade }
}

/// The outcome of lint of head; absent when the plan has no lint.
pub fn lint_outcome(plan: &Plan, state: &RunState) -> Option<Outcome> {
    let planned = plan.steps.iter().find(|planned| planned.step == Step::Lint { subject: Subject::Head })?;
    let not_run = || match state.cancel {
        Some(_) => Gap::RunEnded,
        None => Gap::NotRun { because: format!("step {} did not run", planned.id) },
    };
    let ended = state.steps.get(&planned.id).and_then(StepState::outcome).cloned();
    Some(ended.unwrap_or_else(|| Outcome::Unverified(not_run())))
}
