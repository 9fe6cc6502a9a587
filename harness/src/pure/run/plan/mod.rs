//! The plan of a run: which steps, in which order, with which budgets.
//!
//! A plan is data, and the engine performs it. Which tier needs which steps is decided in `tiers`; the names of steps are [`step_ids`].

mod attached;
mod budgets;
mod extent;
mod pack;
mod sequence;
pub mod step_ids;
mod tiers;

use std::{collections::BTreeMap, fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    model::{
        head::Head,
        outcome::{SkipReason, Subject, Tier},
        pack::{Pack, TestName},
        refusal::Refusal,
    },
    pure::{
        host::preflight::Needs,
        recipe::{backup::Coverage, canary::Moment, post_deploy::Post, upgrade_base::Base},
    },
};

pub use attached::attached;
use sequence::clean_up;
pub use sequence::{Sequence, UnknownStep};
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
    /// The maximum number of attempts. Only a function of a pack has more than one.
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
    /// It runs beside the tiers, and its failure is no failure of a tier.
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

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Makes the app known to abra: `.env` and secrets.
    Provision,
    /// Configures the app as its pack says, before its first deploy.
    #[serde(alias = "wire")]
    Configure,
    /// Deploys base or head where nothing is deployed, and waits until it has settled.
    Deploy {
        /// Base or head.
        #[serde(default)]
        subject: Subject,
    },
    /// Brings the `.env` and the secrets of the running app up to head, as an operator would.
    Migrate,
    /// Deploys head over base and waits until it has settled.
    Upgrade,
    /// Verifies that head is what runs, and removes the services that it dropped.
    #[serde(alias = "prove")]
    VerifyHead,
    /// Runs the commands that the app's `.env` names for after a deploy or an upgrade.
    PostDeploy {
        /// A deploy or an upgrade.
        after: Post,
    },
    /// Compares the resolved compose files with the running services.
    #[serde(alias = "calibrate")]
    VerifyCompose,
    /// Waits for an HTTP answer of the app itself through the ingress.
    #[serde(alias = "answer")]
    Http,
    /// Checks that every service that settled is still running.
    #[serde(alias = "steady")]
    Stable,
    /// Seeds canaries.
    #[serde(alias = "plant")]
    Seed,
    /// Checks the canaries.
    Check {
        /// When in the app's life.
        moment: Moment,
    },
    /// Corrupts the canaries, so that only a restore brings them back.
    #[serde(alias = "spoil")]
    Corrupt,
    /// Makes a snapshot with the backup service.
    Backup,
    /// Restores the snapshot.
    Restore,
    /// Removes the snapshot from the backup service.
    #[serde(alias = "forget")]
    ForgetSnapshot,
    /// Runs a function of the recipe's pack.
    Custom {
        /// Its name.
        test: TestName,
    },
    /// Takes a screenshot of the app.
    #[serde(alias = "shot")]
    Screenshot,
    /// Lints base or head on a pristine clone, beside everything else.
    Lint {
        /// Base or head.
        subject: Subject,
    },
    /// Resolves every combination of compose files that the recipe documents.
    Combinations,
    /// Deploys again what runs, which must replace no task.
    Redeploy,
    /// Restarts all services, and waits until they have settled.
    Restart,
    /// Removes the app in the middle of the run.
    Remove {
        /// Whether its volumes, its secrets and its `.env` are removed too.
        data: bool,
    },
    /// Makes head known to abra as a new app under the old name, with the secrets of the removed one.
    Renew,
    /// Keeps the app; the steps that would remove it are left out.
    Keep {
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// Asks abra to undeploy the app.
    Undeploy,
    /// Removes everything that the run claimed, until two consecutive observations show nothing.
    #[serde(alias = "sweep")]
    Cleanup,
    /// Compares the host's inventory with the one from before the run.
    #[serde(alias = "compare")]
    CompareHost,
}

impl Step {
    /// Whether it replaces base by head.
    pub fn upgrades(&self) -> bool {
        matches!(self, Step::Upgrade)
    }
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
