//! The plan of a run: which steps, in which order, with which budgets.
//!
//! A plan is data, and the run loop performs it. What a step does is [`Step`], which tier needs which steps is decided in
//! `tiers`, and the names of steps are [`step_ids`].

mod attached;
mod beyond_tiers;
mod budgets;
mod pack;
mod sequence;
mod step;
pub mod step_ids;
mod tiers;

use std::{collections::BTreeMap, fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    model::{
        head::Head,
        outcome::{SkipReason, Tier},
        pack::Pack,
        refusal::Refusal,
    },
    pure::{
        host::preflight::Needs,
        recipe::{
            backup::Coverage,
            release::ReleaseFaults,
            upgrade_base::{Base, LeftOut},
        },
    },
};

pub use attached::attached;
use sequence::clean_up;
pub use sequence::{Sequence, UnknownStep};
pub use step::Step;
pub use tiers::plan;

/// The name of a step in its plan: `deploy`. A journal of version 1 is read with the names of this version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct StepId(pub String);

impl<'de> Deserialize<'de> for StepId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(Self(step_ids::renamed(&name).map_or(name, str::to_owned)))
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The steps of a run, and the facts that they rest on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The commit under test; absent when the run is refused.
    pub head: Option<Head>,
    /// What the app is upgraded from; absent when the run is refused.
    #[serde(default)]
    pub base: Option<Base>,
    /// What lint compares head with: base, also where no upgrade was asked for.
    #[serde(default)]
    pub against: Option<Base>,
    /// The tags that base was not chosen from, each with the reason.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// The faults of head as a release.
    #[serde(default)]
    pub faults: ReleaseFaults,
    /// Why the run is refused; then the plan only removes what the run has claimed so far.
    pub refusal: Option<Refusal>,
    /// The steps; each waits for those that it names.
    pub steps: Vec<Planned>,
    /// The tiers that are not run, and why.
    pub skips: BTreeMap<Tier, SkipReason>,
    /// How much of each volume of head is in its backup; empty without a backup.
    #[serde(default)]
    pub coverage: BTreeMap<String, Coverage>,
    /// What the run needs of its host.
    #[serde(default)]
    pub needs: Needs,
    /// The recipe's pack; empty without one.
    #[serde(default)]
    pub pack: Box<Pack>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Planned {
    /// Its name.
    pub id: StepId,
    /// What it does.
    pub step: Step,
    /// The steps that must have ended before it starts.
    pub after: Vec<StepId>,
    /// The tier that it belongs to, or how it runs beside the tiers.
    pub class: Class,
    /// The longest that it may take, in milliseconds.
    pub budget_ms: u64,
    /// The consequence of its failure for the steps after it.
    pub on_fail: OnFail,
    /// The maximum number of attempts. Only a step [`Step::Custom`] has more than one.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub attempts: u32,
}

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_once(attempts: &u32) -> bool {
    *attempts == once()
}

impl Planned {
    /// The longest that it may take.
    pub fn budget(&self) -> Duration {
        Duration::from_millis(self.budget_ms)
    }
}

/// The tier that a step belongs to, or how it runs beside the tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A tier.
    Tier(Tier),
    /// A step of `--thorough`: it belongs to no tier, and the verdict counts it.
    Thorough,
    /// It runs beside the tiers, and its failure does not fail a tier.
    Beside,
    /// It runs whatever happened before.
    Always,
}

/// The consequence of a step's failure for the steps after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFail {
    /// None.
    Continue,
    /// The rest of its tier does not run.
    SkipTier,
    /// No further tier runs.
    EndTiers,
}

impl Plan {
    /// The plan of a run that is refused: it only removes what the run has claimed so far.
    pub fn refused(refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), steps: clean_up(&[]), ..Self::default() }
    }

    /// The plan of a run that was ended before it had a plan.
    pub fn ended_early() -> Self {
        Self { steps: clean_up(&[]), ..Self::default() }
    }

    /// Whether base is installed first and replaced by head.
    pub fn upgrades(&self) -> bool {
        self.steps.iter().any(|planned| planned.step.upgrades())
    }

    /// The step with this name.
    pub fn step(&self, id: &StepId) -> Option<&Planned> {
        self.steps.iter().find(|planned| planned.id == *id)
    }
}
