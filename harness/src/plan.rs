//! The plan of a run: which steps, in which order, with which budgets. Pure.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::model::{
    names::{Commit, Domain, RecipeName, StackName},
    outcome::{Failure, SkipReason, Tier},
};

/// The name of a step in its plan: `deploy`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a run does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What is under test; absent when the facts refuse the run.
    pub head: Option<Head>,
    /// Why the facts refuse the run, when they do. Then the plan only removes what gathering them left.
    pub refusal: Option<Failure>,
    /// The steps, each after those that it names.
    pub steps: Vec<Planned>,
    /// The tiers that are not run, and why.
    pub skips: BTreeMap<Tier, SkipReason>,
}

/// What is under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The recipe.
    pub recipe: RecipeName,
    /// The version that the tag on the commit names, when there is one.
    pub version: Option<String>,
    /// The commit.
    pub commit: Commit,
    /// Whether it holds changes that were not committed by the user.
    pub dirty: bool,
    /// The app's domain.
    pub domain: Domain,
    /// The app's stack.
    pub stack: StackName,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its name.
    pub id: StepId,
    /// What it does.
    pub step: Step,
    /// The steps that must have ended before it starts.
    pub after: Vec<StepId>,
    /// What it belongs to.
    pub class: Class,
    /// The longest that it may take, in milliseconds.
    pub budget_ms: u64,
    /// What its failure means for the others.
    pub on_fail: OnFail,
}

impl Planned {
    /// The longest that it may take.
    pub fn budget(&self) -> Duration {
        Duration::from_millis(self.budget_ms)
    }
}

/// What a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A tier.
    Tier(Tier),
    /// No tier, but it runs beside them.
    Beside,
    /// It is done whatever happened.
    Always,
}

/// What a step's failure means for the steps after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFail {
    /// Nothing.
    Continue,
    /// The rest of its tier is not run.
    SkipTier,
    /// No further tier is run.
    EndTiers,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Makes the app known to abra: `.env` and secrets.
    Provision,
    /// Deploys the app and waits until it has settled.
    Deploy,
    /// Waits for an answer of the app itself through the ingress.
    Answer,
    /// Looks once more whether everything that settled still stands.
    Steady,
    /// Asks abra to undeploy the app.
    Undeploy,
    /// Removes all that the run claimed, until two looks in a row show nothing.
    Sweep,
    /// Compares the world with what it was before the run.
    Compare,
}
