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
use serde::{Deserialize, Serialize};

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

/// The name of a step in its plan: `deploy`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StepId(pub String);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a run does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// What is under test; absent when the facts refuse the run.
    pub head: Option<Head>,
    /// What the app is upgraded from; absent when the facts refuse the run.
    #[serde(default)]
    pub base: Option<Base>,
    /// What lint compares head with: base, also where no upgrade was asked for.
    #[serde(default)]
    pub against: Option<Base>,
    /// Why the run is refused, when it is. Then the plan only removes what gathering the facts left.
    pub refusal: Option<Refusal>,
    /// The steps, each after those that it names.
    pub steps: Vec<Planned>,
    /// The tiers that are not run, and why.
    pub skips: BTreeMap<Tier, SkipReason>,
    /// How much of each volume of head is in its backup; empty when it cannot be backed up.
    #[serde(default)]
    pub coverage: BTreeMap<String, Coverage>,
    /// What it needs of its host.
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
    /// What it belongs to.
    pub class: Class,
    /// The longest that it may take, in milliseconds.
    pub budget_ms: u64,
    /// What its failure means for the others.
    pub on_fail: OnFail,
    /// How often it is tried at most. Only a function of a pack is tried more than once.
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

/// What a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A tier.
    Tier(Tier),
    /// No tier, but it was asked for beyond them, and the verdict counts it.
    Thorough,
    /// No tier, but it runs beside them.
    Beside,
    /// It is done whatever happened.
    Always,
}

/// What a step's failure means for the steps after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
        /// Which of them.
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
    /// Performs the commands that the app's `.env` names for after a deploy or an upgrade.
    PostDeploy {
        /// After which.
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
        /// Which of them.
        subject: Subject,
    },
    /// Resolves every combination of compose files that the recipe documents.
    Combinations,
    /// Deploys again what runs, which must change nothing.
    Redeploy,
    /// Has all services start again, and waits until they have settled.
    Restart,
    /// Removes the app in the middle of the run.
    Remove {
        /// Whether with its volumes, its secrets and its `.env`.
        data: bool,
    },
    /// Makes head known to abra as a new app under the old name, with the secrets of the one that was removed.
    Renew,
    /// Keeps the app for so long, and so leaves out what would remove it.
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
    /// Whether it replaces what runs by head.
    pub fn upgrades(&self) -> bool {
        matches!(self, Step::Upgrade)
    }
}

impl Plan {
    /// The plan of a run that is refused: it only removes what is already the run's.
    pub fn refused(refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), steps: clean_up(&[]), ..Self::default() }
    }

    /// The plan of a run that was ended before there was a plan.
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
