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
            severity::worst,
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

/// The outcome of a tier under a plan: the most severe of its steps' outcomes (`severity`), and passed only if all of them passed
/// and the steps that prove the tier (`proofs`) are among them.
pub fn tier_outcome(plan: &Plan, state: &RunState, tier: Tier) -> Outcome {
    if let Some(reason) = plan.skips.get(&tier) {
        return Outcome::Skipped(reason.clone());
    }
    let steps: Vec<_> = plan.steps.iter().filter(|planned| planned.class == Class::Tier(tier)).collect();
    let outcome_of = |id: &StepId| state.steps.get(id).and_then(StepState::outcome);
    if let Some(gap) = worst_gap(state, &steps) {
        return gap;
    }
    let unproved = proofs(tier).iter().find(|(step, _)| {
        let proves = |outcome: &Outcome| outcome.passed() || is_optional_proof(step) && matches!(outcome, Outcome::Skipped(_));
        !steps.iter().any(|planned| planned.step == *step && outcome_of(&planned.id).is_some_and(proves))
    });
    let tests: Vec<_> = steps.iter().filter(|planned| matches!(planned.step, Step::Custom { .. })).collect();
    match tier {
        _ if steps.is_empty() && state.cancel.is_some() => Outcome::Unverified(Gap::RunEnded),
        Tier::Custom if tests.is_empty() && state.cancel.is_none() => {
            Outcome::Unverified(Gap::NotRun { because: "the recipe has no custom tests".into() })
        }
        // With test filters the custom tier is never verified, even if every test matched.
        Tier::Custom if chosen(state) => {
            let left_out = |id| matches!(outcome_of(id), Some(Outcome::Skipped(SkipReason::Filtered { .. })));
            let taken = tests.iter().filter(|planned| !left_out(&planned.id)).count();
            let because = format!(
                "{taken} of {} custom tests were chosen; the tier is verified only by a run without test filters",
                tests.len()
            );
            Outcome::Unverified(Gap::NotRun { because })
        }
        // Tests none of which applies prove nothing.
        Tier::Custom if !tests.is_empty() && !tests.iter().any(|test| outcome_of(&test.id).is_some_and(Outcome::passed)) => {
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

/// The most severe of the steps' failures and of what is not known of them; absent when each step passed or was skipped. The
/// order of the steps decides only between equally severe ones.
pub(crate) fn worst_gap(state: &RunState, steps: &[&Planned]) -> Option<Outcome> {
    let outcomes = steps.iter().map(|planned| match state.steps.get(&planned.id) {
        Some(StepState { ended: Some((_, outcome)), .. }) => outcome.clone(),
        step => Outcome::Unverified(without_end(state, &planned.id, step)),
    });
    worst(outcomes.filter(|outcome| matches!(outcome, Outcome::Failed(_) | Outcome::Unverified(_))))
}

/// Why nothing is known of a step that has not ended.
fn without_end(state: &RunState, id: &StepId, step: Option<&StepState>) -> Gap {
    match step {
        _ if state.cancel.is_some() || state.cleaned_after.is_some() => Gap::RunEnded,
        Some(_) => Gap::NotRun { because: format!("step {id} has not ended") },
        None => Gap::NotRun { because: format!("step {id} did not run") },
    }
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
    let step = state.steps.get(&planned.id);
    let ended = step.and_then(StepState::outcome).cloned();
    Some(ended.unwrap_or_else(|| Outcome::Unverified(without_end(state, &planned.id, step))))
}
