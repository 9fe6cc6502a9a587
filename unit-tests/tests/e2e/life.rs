//! Backup and restore in whole runs on a real Swarm: what comes back is looked for, each tier is blamed for its own failure, and no
//! snapshot outlives its run. Rows are put into real databases.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use unit_tests::{
    engine::until,
    sandbox_fixture::SandboxFixture,
    test_env::{TestEnv, CommandOutput, ended, journal, results, signal},
};

use super::{
    backup::snapshots,
    runs::{on_stages, stage_of},
};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    on_stages(
        fixture,
        &[
            ("life::what_was_spoiled_comes_back_and_hooks_are_asked_for", good),
            ("life::an_abra_that_does_not_know_hooks_is_used_without_and_that_is_told", hookless),
            ("life::a_head_that_gives_up_a_volume_loses_its_data_and_nothing_else", volume),
            ("life::a_dump_that_is_empty_is_the_backups_failure", empty),
            ("life::a_path_that_is_not_there_is_the_backups_failure", nowhere),
            ("life::a_restore_whose_hook_undoes_it_is_red", undone),
            ("life::a_restore_whose_hook_fails_is_red", loadless),
            ("life::a_restore_that_restores_nothing_is_red", nothing),
            ("life::an_app_without_labels_has_no_backup_to_try", kept),
            ("life::a_backup_that_is_ended_half_way_leaves_no_snapshot", half_way),
            ("life::a_snapshot_that_is_made_when_the_run_is_ended_is_forgotten", just_made),
            ("life::a_snapshot_of_a_run_that_was_killed_is_forgotten_by_the_janitor", killed),
            ("life::a_row_in_sqlite_outlives_upgrade_and_restore", |env| row(env, "sqlite", "SQLite", "pass")),
            // What is restored under a running Redis is not read by it, so only the upgrade is told by its row.
            ("life::a_row_in_redis_outlives_an_upgrade", |env| row(env, "redis", "Redis", "skip")),
            ("life::a_row_in_postgresql_outlives_upgrade_and_restore", |env| row(env, "postgres", "PostgreSQL", "pass")),
            ("life::a_row_in_mariadb_outlives_upgrade_and_restore", |env| row(env, "mariadb", "MariaDB or MySQL", "pass")),
        ],
    )
}

const ALL: &str = "install,upgrade,backup,restore";
const WITHOUT_UPGRADE: &str = "install,backup,restore";

fn tasted(env: &TestEnv<'_>, recipe: &str, tiers: &str) -> CommandOutput {
    env.run(&["--recipe", recipe, "--tiers", tiers])
}

/// That the backup service has no snapshot of any run on this env.
fn assert_no_snapshot(env: &TestEnv<'_>) {
    for run in env.runs() {
        let domain = results(&run)["domain"].as_str().unwrap().parse().unwrap();
        assert_eq!(snapshots(&env.fixture.engine, &domain), Vec::<String>::new());
    }
    env.assert_zero();
}

/// That the tiers that were asked for ended so, in their order, and that nothing is left. Gives the results.
fn assert_tiers(env: &TestEnv<'_>, told: &CommandOutput, exit: i32, ends: [&str; 4]) -> Value {
    told.assert(exit, &["left behind: nothing"]);
    let results = env.results();
    let tiers = ["install", "upgrade", "backup", "restore"].map(|tier| results["results"][tier].as_str().unwrap());
    assert_eq!(tiers, ends, "{results:#}");
    assert_no_snapshot(env);
    results
}

/// That the run is red by the recipe's fault, for this cause in this step.
fn assert_red(env: &TestEnv<'_>, told: &CommandOutput, ends: [&str; 4], step: &str, cause: &str, says: &str) {
    let results = assert_tiers(env, told, 1, ends);
    assert_eq!((&results["verdict"]["outcome"], &results["owner"]), (&json!("red"), &json!("recipe")), "{results:#}");
    let failed = stage_of(&results, step);
    let failure = &failed["outcome"]["detail"];
    assert_eq!((&failed["owner"], &failure["cause"]["cause"]), (&json!("recipe"), &json!(cause)), "{failed:#}");
    assert!(failure["message"].as_str().unwrap().contains(says), "{failure:#}");
}

/// How a canary was found, by moment.
fn seen(results: &Value, canary: &str) -> Vec<(String, String)> {
    let canaries = results["canaries"].as_array().unwrap();
    let found = canaries.iter().find(|found| found["name"] == canary);
    let seen = found.unwrap_or_else(|| panic!("no {canary} in {canaries:#?}"))["seen"].as_object().unwrap();
    seen.iter().map(|(moment, seen)| (moment.clone(), seen["status"].as_str().unwrap().to_owned())).collect()
}

fn remarks(results: &Value) -> String {
    results["remarks"].to_string()
}

fn good(env: &TestEnv<'_>) {
    let results = assert_tiers(env, &tasted(env, "hello-store", ALL), 0, ["pass"; 4]);
    assert_eq!((&results["level"], &results["deploys"]), (&json!(3), &json!(1)));
    let mut posts = seen(&results, "a file in volume posts");
    posts.sort();
    let moments = ["after-restore", "after-upgrade", "planted", "spoiled"].map(|moment| (moment.to_owned(), "pass".to_owned()));
    assert_eq!(posts, moments);
    let skipped = ("after-restore".to_owned(), "skip".to_owned());
    assert!(seen(&results, "a file in volume store").contains(&skipped), "only the dump of it is in the backup");
    assert!(remarks(&results).contains("was asked for its hooks (-H)"), "{results:#}");
}

fn hookless(env: &TestEnv<'_>) {
    let abra = env.script(
        "case \"$*\" in *'app restore'*' -H '*|*-H*'app restore'*) echo \"FATA unknown shorthand flag: 'H' in -H\"; exit 1;; esac\nexec \"$ABRA\" \"$@\"",
    );
    let told = env.run_on(&[("abra", &abra)], &["--recipe", "hello-store", "--tiers", WITHOUT_UPGRADE]);
    let results = assert_tiers(env, &told, 0, ["pass", "skip", "pass", "pass"]);
    assert!(remarks(&results).contains("this abra does not know -H"), "{results:#}");
    assert!(!remarks(&results).contains("was asked for its hooks"), "{results:#}");
}

/// Head keeps its posts in a volume of another name. What is backed up and restored is what head has.
fn volume(env: &TestEnv<'_>) {
    let told = tasted(env, "hello-volume", ALL);
    let says = "service app does not mount volume posts any more";
    assert_red(env, &told, ["pass", "fail", "pass", "pass"], "check-upgrade", "data-lost", says);
    let results = env.results();
    assert_eq!((&results["level"], &results["runs"]), (&json!(1), &json!("head")));
    assert!(seen(&results, "a file in volume entries").contains(&("after-restore".to_owned(), "pass".to_owned())));
}

fn empty(env: &TestEnv<'_>) {
    let told = tasted(env, "hello-empty", WITHOUT_UPGRADE);
    assert_red(
        env,
        &told,
        ["pass", "skip", "fail", "pass"],
        "backup",
        "backup-empty",
        "dump of volume store is empty in snapshot",
    );
}

fn nowhere(env: &TestEnv<'_>) {
    let told = tasted(env, "hello-nowhere", WITHOUT_UPGRADE);
    assert_red(
        env,
        &told,
        ["pass", "skip", "fail", "unver"],
        "backup",
        "abra-fatal",
        "abra ended with exit code 1: backup create",
    );
    let results = env.results();
    assert_eq!(stage_of(&results, "spoil")["status"], "unver", "nothing is spoiled that cannot be restored");
}

fn undone(env: &TestEnv<'_>) {
    let told = tasted(env, "hello-undone", WITHOUT_UPGRADE);
    assert_red(env, &told, ["pass", "skip", "pass", "fail"], "check-restore", "data-lost", "a file in volume posts is gone");
}

fn loadless(env: &TestEnv<'_>) {
    let told = tasted(env, "hello-loadless", WITHOUT_UPGRADE);
    assert_red(
        env,
        &told,
        ["pass", "skip", "pass", "fail"],
        "restore",
        "abra-fatal",
        "abra ended with exit code 1: backup restore",
    );
    told.assert(1, &["no dump can be loaded"]);
}

fn nothing(env: &TestEnv<'_>) {
    let abra = env.script("case \"$*\" in *'app restore'*) exit 0;; esac\nexec \"$ABRA\" \"$@\"");
    let told = env.run_on(&[("abra", &abra)], &["--recipe", "hello-store", "--tiers", WITHOUT_UPGRADE]);
    let says = "a file in volume posts is still as it was spoiled: the restore did not bring it back";
    assert_red(env, &told, ["pass", "skip", "pass", "fail"], "check-restore", "data-lost", says);
}

fn kept(env: &TestEnv<'_>) {
    let results = assert_tiers(env, &tasted(env, "hello-kept", ALL), 0, ["pass", "pass", "skip", "skip"]);
    let because = "was skipped, for there is no label backupbot.backup";
    assert_eq!(results["skips"]["intentional"]["backup_restore"], because, "{results:#}");
}

/// A run in whose backup abra has just been started.
fn in_mid_backup(env: &TestEnv<'_>, abra: Option<&str>, recipe: &str) -> std::process::Child {
    let changed: Vec<(&str, &str)> = abra.map(|abra| ("abra", abra)).into_iter().collect();
    let run = env.start_on(&changed, &["--recipe", recipe, "--tiers", "install,backup"]);
    env.reached(r#""event":"step-finished","step":"deploy""#);
    env.reached("app-backup-create");
    run
}

/// Waits until the backup service has a snapshot of the run.
fn snapshot_made(env: &TestEnv<'_>) {
    let domain = env.results()["domain"].as_str().unwrap().parse().unwrap();
    until("the snapshot is made", || !snapshots(&env.fixture.engine, &domain).is_empty());
}

/// An abra that says nothing more once the snapshot is made.
const SILENT: &str = "case \"$*\" in *'backup create'*) \"$ABRA\" \"$@\" > /dev/null; sleep 63.125;; esac\nexec \"$ABRA\" \"$@\"";

fn assert_terminated(env: &TestEnv<'_>, run: std::process::Child) {
    signal(run.id(), "TERM");
    assert_tiers(env, &ended(run), 143, ["pass", "skip", "unver", "skip"]);
}

/// The hook goes on in the app's container when its run is ended, and so does the backup service.
fn half_way(env: &TestEnv<'_>) {
    assert_terminated(env, in_mid_backup(env, None, "hello-slow"));
}

fn just_made(env: &TestEnv<'_>) {
    let run = in_mid_backup(env, Some(&env.script(SILENT)), "hello-store");
    snapshot_made(env);
    assert_terminated(env, run);
}

fn killed(env: &TestEnv<'_>) {
    let mut run = in_mid_backup(env, Some(&env.script(SILENT)), "hello-store");
    snapshot_made(env);
    env.kill_with_guardian(&mut run);
    assert!(journal(&env.only_run()).contains(r#""claimed":"snapshots""#), "the claim came before the act");
    env.run(&["janitor"]).assert(0, &["removed", "nothing left"]);
    assert_no_snapshot(env);
}

/// The images are assembled for these tests alone, the first time.
fn row(env: &TestEnv<'_>, database: &str, name: &str, restored: &str) {
    let recipe = format!("hello-{database}");
    env.fixture.provide(&recipe);
    let results = assert_tiers(env, &tasted(env, &recipe, ALL), 0, ["pass"; 4]);
    let mut seen = seen(&results, &format!("a row in the {name} database of db"));
    seen.sort();
    let moments = [("after-restore", restored), ("after-upgrade", "pass"), ("planted", "pass"), ("spoiled", "pass")];
    assert_eq!(seen, moments.map(|(moment, status)| (moment.to_owned(), status.to_owned())));
    let canaries = results["canaries"].as_array().unwrap();
    assert!(canaries.iter().all(|canary| canary["volume"] != "db"), "no file disturbs the database: {canaries:#?}");
}
