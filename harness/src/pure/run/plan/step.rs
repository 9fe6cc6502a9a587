//! What one step of a plan does. Each variant has its file in `engine/steps`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{outcome::Subject, pack::TestName},
    pure::recipe::{canary::Moment, post_deploy::Post},
};

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Creates the app in abra (`abra app new`): its `.env` and its secrets.
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
    /// Checks that no task of the settled app has ended without a step that explains it.
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
    /// Runs one custom test, check or hook: a function of the recipe's pack, or an executable.
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
    /// Creates head in abra again (`abra app new`) under the old name, with the secrets of the removed app.
    Renew,
    /// Keeps the app; the steps that would remove it are left out.
    Keep {
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// Asks abra to undeploy the app.
    Undeploy,
    /// Removes everything that the run claimed, until two inventories in a row show nothing.
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

    /// Whether it starts, replaces or removes tasks of the app, so that what settled before it is over.
    pub fn replaces_app(&self) -> bool {
        matches!(
            self,
            Step::Deploy { .. }
                | Step::Upgrade
                | Step::Redeploy
                | Step::Restart
                | Step::Remove { .. }
                | Step::Renew
                | Step::Undeploy
                | Step::Cleanup
        )
    }
}
