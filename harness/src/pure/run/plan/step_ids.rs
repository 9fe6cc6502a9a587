//! The names of the steps that taster plans itself. A function of a pack is a step under its own name.
//!
//! Reports, journals and the glossary have these names, so a change of one is a change for readers of results.

/// Lints the commit that head is compared with; beside the tiers.
pub const LINT_BASE: &str = "lint-base";
/// Lints head; beside the tiers.
pub const LINT: &str = "lint";
/// Creates the app in abra: its `.env` and its secrets; tier install.
pub const PROVISION: &str = "provision";
/// Sets variables, secrets and files as the pack says, before the first deploy; tier install.
pub const CONFIGURE: &str = "configure";
/// Deploys base, or head where nothing is upgraded, and waits until the stack has settled; tier install.
pub const DEPLOY: &str = "deploy";
/// Compares the resolved compose files with the running services; beside the tiers.
pub const VERIFY_COMPOSE: &str = "verify-compose";
/// Runs the commands of `POST_DEPLOY_CMDS`; tier install.
pub const POST_DEPLOY: &str = "post-deploy";
/// Asks the app through the ingress until it answers itself; tier install.
pub const HTTP: &str = "http";
/// Checks that the settled tasks still run; tier install.
pub const STABLE: &str = "stable";
/// Writes canaries into volumes and databases; beside the tiers.
pub const SEED: &str = "seed";
/// Brings `.env` and secrets up to head, as an operator would; tier upgrade.
pub const MIGRATE: &str = "migrate";
/// Deploys head over base and waits until the stack has settled; tier upgrade.
pub const UPGRADE: &str = "upgrade";
/// Proves that head runs, and removes the services that head dropped; tier upgrade.
pub const VERIFY_HEAD: &str = "verify-head";
/// Runs the commands of `POST_UPGRADE_CMDS`; tier upgrade.
pub const POST_UPGRADE: &str = "post-upgrade";
/// Asks the app as `http` does; tier upgrade.
pub const HTTP_UPGRADE: &str = "http-upgrade";
/// Checks the canaries; tier upgrade.
pub const CHECK_UPGRADE: &str = "check-upgrade";
/// Checks that the settled tasks still run; tier upgrade.
pub const STABLE_UPGRADE: &str = "stable-upgrade";
/// Has the backup service make a snapshot, and looks into it; tier backup.
pub const BACKUP: &str = "backup";
/// Overwrites the canaries, so that only a restore brings them back; tier restore.
pub const CORRUPT: &str = "corrupt";
/// Restores the snapshot; tier restore.
pub const RESTORE: &str = "restore";
/// Asks the app as `http` does; tier restore.
pub const HTTP_RESTORE: &str = "http-restore";
/// Checks the canaries; tier restore.
pub const CHECK_RESTORE: &str = "check-restore";
/// Checks that the settled tasks still run; tier restore.
pub const STABLE_RESTORE: &str = "stable-restore";
/// Checks that the settled tasks still run, after all tests; in the last tier.
pub const STILL_STABLE: &str = "still-stable";
/// Resolves each documented combination of compose files; with `--thorough`.
pub const COMBINATIONS: &str = "combinations";
/// Deploys the same again, which must replace no task; with `--thorough`.
pub const REDEPLOY: &str = "redeploy";
/// Restarts all services and waits until they have settled; with `--thorough`.
pub const RESTART: &str = "restart";
/// Asks the app as `http` does; with `--thorough`.
pub const HTTP_RESTART: &str = "http-restart";
/// Checks the canaries; with `--thorough`.
pub const CHECK_RESTART: &str = "check-restart";
/// Removes the app and keeps its data; with `--thorough`.
pub const REMOVE: &str = "remove";
/// Deploys head with that data; with `--thorough`.
pub const REINSTALL: &str = "reinstall";
/// Runs the commands of `POST_DEPLOY_CMDS`; with `--thorough`.
pub const POST_REINSTALL: &str = "post-reinstall";
/// Asks the app as `http` does; with `--thorough`.
pub const HTTP_REINSTALL: &str = "http-reinstall";
/// Checks the canaries; with `--thorough`.
pub const CHECK_REINSTALL: &str = "check-reinstall";
/// Checks that the settled tasks still run; with `--thorough`.
pub const STABLE_REINSTALL: &str = "stable-reinstall";
/// Removes the app with its volumes, secrets and `.env`; tier restore, with `--disaster`.
pub const DISASTER: &str = "disaster";
/// Creates head in abra again (`abra app new`) under the old name, with the old secrets; tier restore, with `--disaster`.
pub const RENEW: &str = "renew";
/// Configures the new app as `configure` does; tier restore, with `--disaster`.
pub const CONFIGURE_DISASTER: &str = "configure-disaster";
/// Deploys head as the new app; tier restore, with `--disaster`.
pub const DEPLOY_DISASTER: &str = "deploy-disaster";
/// Runs the commands of `POST_DEPLOY_CMDS`; tier restore, with `--disaster`.
pub const POST_DISASTER: &str = "post-disaster";
/// Restores the snapshot into the new app; tier restore, with `--disaster`.
pub const RESTORE_DISASTER: &str = "restore-disaster";
/// Asks the app as `http` does; tier restore, with `--disaster`.
pub const HTTP_DISASTER: &str = "http-disaster";
/// Checks the canaries; tier restore, with `--disaster`.
pub const CHECK_DISASTER: &str = "check-disaster";
/// Checks that the settled tasks still run; tier restore, with `--disaster`.
pub const STABLE_DISASTER: &str = "stable-disaster";
/// Takes a screenshot of the app; beside the tiers.
pub const SCREENSHOT: &str = "screenshot";
/// Keeps the app for the time of `--keep`; always.
pub const KEEP: &str = "keep";
/// Has abra undeploy the app; always.
pub const UNDEPLOY: &str = "undeploy";
/// Has the backup service forget the run's snapshot; always.
pub const FORGET_SNAPSHOT: &str = "forget-snapshot";
/// Removes what is claimed, until two inventories in a row show nothing of it; always.
pub const CLEANUP: &str = "cleanup";
/// Compares the inventory with the one from before the run; always.
pub const COMPARE_HOST: &str = "compare-host";

/// All of them.
pub const ALL: &[&str] = &[
    LINT_BASE,
    LINT,
    PROVISION,
    CONFIGURE,
    DEPLOY,
    VERIFY_COMPOSE,
    POST_DEPLOY,
    HTTP,
    STABLE,
    SEED,
    MIGRATE,
    UPGRADE,
    VERIFY_HEAD,
    POST_UPGRADE,
    HTTP_UPGRADE,
    CHECK_UPGRADE,
    STABLE_UPGRADE,
    BACKUP,
    CORRUPT,
    RESTORE,
    HTTP_RESTORE,
    CHECK_RESTORE,
    STABLE_RESTORE,
    STILL_STABLE,
    COMBINATIONS,
    REDEPLOY,
    RESTART,
    HTTP_RESTART,
    CHECK_RESTART,
    REMOVE,
    REINSTALL,
    POST_REINSTALL,
    HTTP_REINSTALL,
    CHECK_REINSTALL,
    STABLE_REINSTALL,
    DISASTER,
    RENEW,
    CONFIGURE_DISASTER,
    DEPLOY_DISASTER,
    POST_DISASTER,
    RESTORE_DISASTER,
    HTTP_DISASTER,
    CHECK_DISASTER,
    STABLE_DISASTER,
    SCREENSHOT,
    KEEP,
    UNDEPLOY,
    FORGET_SNAPSHOT,
    CLEANUP,
    COMPARE_HOST,
];

/// The steps that had another name in version 1 of journals and results: the name then, the name now.
const RENAMED: &[(&str, &str)] = &[
    ("wire", CONFIGURE),
    ("calibrate", VERIFY_COMPOSE),
    ("answer", HTTP),
    ("steady", STABLE),
    ("plant", SEED),
    ("prove", VERIFY_HEAD),
    ("answer-upgrade", HTTP_UPGRADE),
    ("steady-upgrade", STABLE_UPGRADE),
    ("spoil", CORRUPT),
    ("answer-restore", HTTP_RESTORE),
    ("steady-restore", STABLE_RESTORE),
    ("answer-restart", HTTP_RESTART),
    ("answer-reinstall", HTTP_REINSTALL),
    ("steady-reinstall", STABLE_REINSTALL),
    ("wire-disaster", CONFIGURE_DISASTER),
    ("answer-disaster", HTTP_DISASTER),
    ("steady-disaster", STABLE_DISASTER),
    ("shot", SCREENSHOT),
    ("forget", FORGET_SNAPSHOT),
    ("sweep", CLEANUP),
    ("compare", COMPARE_HOST),
];

/// The present name of a step that has another one in version 1. The name of a pack's function has two parts, so it is never
/// renamed.
pub fn renamed(before: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(name, _)| *name == before).map(|(_, now)| *now)
}
