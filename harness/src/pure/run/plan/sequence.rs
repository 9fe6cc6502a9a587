//! The steps of a plan while it is built.
//!
//! Each step names the steps that must have ended before it. A name that the plan does not have is a defect of taster, and
//! refuses the run: a step that waits for nothing would act on an app that is not there.

use std::time::Duration;

use super::{Class, OnFail, Planned, Step, StepId, budgets, step_ids};
use crate::model::{
    outcome::{Cause, Failure, Tier},
    refusal::Refusal,
    time::millis,
};

/// A step that a plan names and does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan names step {id} and does not have it; this is a defect of taster")]
pub struct UnknownStep {
    /// The name.
    pub id: StepId,
}

impl From<UnknownStep> for Refusal {
    fn from(unknown: UnknownStep) -> Self {
        Refusal::Facts(Failure::new(Cause::Defect, unknown.to_string()))
    }
}

/// The steps so far, in the order of a report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequence(Vec<Planned>);

impl Sequence {
    /// Adds a step at the end.
    pub fn push(&mut self, step: Planned) {
        self.0.push(step);
    }

    /// Adds steps at the end.
    pub fn extend(&mut self, steps: impl IntoIterator<Item = Planned>) {
        self.0.extend(steps);
    }

    /// Adds the steps of another sequence at the end.
    pub fn append(&mut self, other: Sequence) {
        self.0.extend(other.0);
    }

    /// The name of the last step; absent without any.
    pub fn last(&self) -> Option<&StepId> {
        self.0.last().map(|planned| &planned.id)
    }

    /// The tier of the last step that belongs to one.
    pub fn last_tier(&self) -> Option<Tier> {
        self.0.iter().rev().find_map(|planned| match planned.class {
            Class::Tier(tier) => Some(tier),
            Class::Thorough | Class::Beside | Class::Always => None,
        })
    }

    /// Inserts a step before the step `before`, which then waits for it. The inserted step waits for what the other waited for,
    /// except for what runs beside the tiers.
    ///
    /// # Errors
    /// When there is no step `before`.
    pub fn insert_before(&mut self, before: &str, mut step: Planned) -> Result<(), UnknownStep> {
        let at = self.position(before)?;
        let beside = |id: &StepId| {
            // Canaries are seeded and the screenshot is taken beside the tiers, and still before the next step.
            let waits = |step: &Step| matches!(step, Step::Seed | Step::Screenshot);
            self.0.iter().any(|planned| planned.id == *id && planned.class == Class::Beside && !waits(&planned.step))
        };
        let (mut after, moved): (Vec<StepId>, Vec<StepId>) = self.0[at].after.iter().cloned().partition(beside);
        step.after = moved;
        after.push(step.id.clone());
        self.0[at].after = after;
        self.0.insert(at, step);
        Ok(())
    }

    /// Lists a step before the step `before`, which does not wait for it.
    ///
    /// # Errors
    /// When there is no step `before`.
    pub fn list_before(&mut self, before: &str, step: Planned) -> Result<(), UnknownStep> {
        let at = self.position(before)?;
        self.0.insert(at, step);
        Ok(())
    }

    /// The steps, once each of them names only steps that are there.
    ///
    /// # Errors
    /// When a step waits for one that is not there.
    pub fn finish(self) -> Result<Vec<Planned>, UnknownStep> {
        let known = |id: &StepId| self.0.iter().any(|planned| planned.id == *id);
        match self.0.iter().flat_map(|planned| &planned.after).find(|id| !known(id)) {
            Some(id) => Err(UnknownStep { id: id.clone() }),
            None => Ok(self.0),
        }
    }

    fn position(&self, id: &str) -> Result<usize, UnknownStep> {
        let at = self.0.iter().position(|planned| planned.id.0 == id);
        at.ok_or_else(|| UnknownStep { id: StepId(id.to_owned()) })
    }
}

/// The steps at the end of every plan, after these steps.
pub(super) fn clean_up(after: &[&str]) -> Vec<Planned> {
    vec![
        planned(step_ids::CLEANUP, Step::Cleanup, after, Class::Always, budgets::CLEANUP, OnFail::Continue),
        planned(step_ids::COMPARE_HOST, Step::CompareHost, &[step_ids::CLEANUP], Class::Always, budgets::SHORT, OnFail::Continue),
    ]
}

/// A step that is tried once.
pub(super) fn planned(id: &str, step: Step, after: &[&str], class: Class, budget: Duration, on_fail: OnFail) -> Planned {
    let budget_ms = millis(budget);
    let after = after.iter().map(|id| StepId((*id).to_owned())).collect();
    Planned { id: StepId(id.to_owned()), step, after, class, budget_ms, on_fail, attempts: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str, after: &[&str]) -> Planned {
        planned(id, Step::Http, after, Class::Always, budgets::HTTP, OnFail::Continue)
    }

    fn ids(steps: &[Planned]) -> Vec<&str> {
        steps.iter().map(|planned| planned.id.0.as_str()).collect()
    }

    #[test]
    fn inserted_step_takes_over_what_the_next_one_waited_for() {
        let mut steps = Sequence::default();
        steps.extend([step("a", &[]), step("c", &["a"])]);
        steps.insert_before("c", step("b", &[])).unwrap();
        let steps = steps.finish().unwrap();
        assert_eq!(ids(&steps), ["a", "b", "c"]);
        assert_eq!(steps[1].after, [StepId("a".into())]);
        assert_eq!(steps[2].after, [StepId("b".into())]);
    }

    #[test]
    fn step_that_the_plan_does_not_have_is_a_defect() {
        let unknown = |id: &str| UnknownStep { id: StepId(id.into()) };
        let mut steps = Sequence::default();
        steps.push(step("a", &["nowhere"]));
        assert_eq!(steps.insert_before("gone", step("b", &[])), Err(unknown("gone")));
        assert_eq!(steps.list_before("gone", step("b", &[])), Err(unknown("gone")));
        assert_eq!(steps.finish(), Err(unknown("nowhere")));
        let Refusal::Facts(failure) = Refusal::from(unknown("nowhere")) else { panic!("a failure") };
        assert_eq!(failure.owner, crate::model::outcome::Owner::Harness);
        assert_eq!(failure.message, "the plan names step nowhere and does not have it; this is a defect of taster");
    }
}
