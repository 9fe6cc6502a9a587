//! Backup and restore in whole runs on a real Swarm: lost data is noticed, each tier is blamed for its own failure, and no
//! snapshot outlives its run. Rows are put into real databases.

use libtest_mimic::Trial;
use unit_tests::{
    engine::until,
    sandbox_fixture::SandboxFixture,
    test_env::{TestEnv, journal, results},
    test_run::{
        FinishedRun,
        Moment::{AfterRestore, AfterUpgrade, Corrupted, Seeded},
        Outcome::{Green, Inconclusive, Red},
        RunningRun,
        Status::{self, Fail, Pass, Skip, Unver},
    },
};

use crate::{
    backup::snapshots,
    trials::{e2e_tests, in_env},
};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            corrupted_data_comes_back_and_hooks_are_asked_for,
            abra_without_hooks_is_used_with_a_remark,
            head_that_drops_a_volume_loses_its_data_alone,
            empty_dump_fails_the_backup,
            absent_backup_path_fails_the_backup,
            restore_whose_hook_undoes_it_is_red,
            restore_whose_hook_fails_is_red,
            restore_that_restores_nothing_is_red,
            app_without_labels_skips_backup_and_restore,
            backup_ended_half_way_leaves_no_snapshot,
            snapshot_of_an_ended_run_is_forgotten,
            snapshot_of_a_killed_run_is_forgotten_by_the_janitor,
            sqlite_row_survives_upgrade_and_restore,
            redis_row_survives_an_upgrade_and_its_restore_is_unverified,
            postgresql_row_survives_upgrade_and_restore,
            mariadb_row_survives_upgrade_and_restore,
        ],
    )
}

const ALL: &str = "install,upgrade,backup,restore";
const WITHOUT_UPGRADE: &str = "install,backup,restore";

/// A canary of the recipe `hello-store`.
const POSTS: &str = "a file in volume posts";

/// Expects that the backup service has no snapshot of any run.
fn assert_no_snapshot(env: &TestEnv<'_>) {
    for run in env.runs() {
        let domain = results(&run)["domain"].as_str().unwrap().parse().unwrap();
        assert_eq!(snapshots(&env.fixture.engine, &domain), Vec::<String>::new());
    }
    env.assert_nothing_left();
}

/// Expects the statuses of install, upgrade, backup and restore.
fn tiers(run: FinishedRun<'_>, statuses: [Status; 4]) -> FinishedRun<'_> {
    ["install", "upgrade", "backup", "restore"].into_iter().zip(statuses).fold(run, |run, (tier, status)| run.tier(tier, status))
}

fn corrupted_data_comes_back_and_hooks_are_asked_for(env: &TestEnv<'_>) {
    let run = env.run("hello-store").tiers(ALL).expect(Green);

    tiers(run, [Pass; 4])
        .level(3)
        .deploys(1)
        .canary(POSTS, &[(Seeded, Pass), (AfterUpgrade, Pass), (Corrupted, Pass), (AfterRestore, Pass)])
        // Only the dump of this volume is in the backup.
        .canary_at("a file in volume store", AfterRestore, Skip)
        .remark("was asked for its hooks (-H)")
        .nothing_left();
    assert_no_snapshot(env);
}

fn abra_without_hooks_is_used_with_a_remark(env: &TestEnv<'_>) {
    let without_hooks = "case \"$*\" in *'app restore'*' -H '*|*-H*'app restore'*) echo \"FATA unknown shorthand flag: 'H' in -H\"; exit 1;; esac\nexec \"$ABRA\" \"$@\"";

    let run = env.run("hello-store").tiers(WITHOUT_UPGRADE).abra(without_hooks).expect(Green);

    tiers(run, [Pass, Skip, Pass, Pass]).remark("this abra does not know -H").no_remark("was asked for its hooks").nothing_left();
    assert_no_snapshot(env);
}

/// Head keeps its posts in a volume of another name. The volume of head is backed up and restored.
fn head_that_drops_a_volume_loses_its_data_alone(env: &TestEnv<'_>) {
    let run = env.run("hello-volume").tiers(ALL).expect(Red);

    tiers(run, [Pass, Fail, Pass, Pass])
        .owner("recipe")
        .step("check-upgrade", Fail)
        .owned_by("recipe")
        .cause("data-lost")
        .message("service app does not mount volume posts any more")
        .level(1)
        .ends_on("head")
        .canary_at("a file in volume entries", AfterRestore, Pass)
        .nothing_left();
    assert_no_snapshot(env);
}

fn empty_dump_fails_the_backup(env: &TestEnv<'_>) {
    let run = env.run("hello-empty-dump").tiers(WITHOUT_UPGRADE).expect(Red);

    tiers(run, [Pass, Skip, Fail, Pass])
        .owner("recipe")
        .step("backup", Fail)
        .owned_by("recipe")
        .cause("backup-empty")
        .message("dump of volume store is empty in snapshot")
        .nothing_left();
    assert_no_snapshot(env);
}

fn absent_backup_path_fails_the_backup(env: &TestEnv<'_>) {
    let run = env.run("hello-no-path").tiers(WITHOUT_UPGRADE).expect(Red);

    tiers(run, [Pass, Skip, Fail, Unver])
        .owner("recipe")
        .step("backup", Fail)
        .owned_by("recipe")
        .cause("abra-fatal")
        .message("abra ended with exit code 1: backup create")
        // Data without a backup is not corrupted.
        .step("corrupt", Unver)
        .nothing_left();
    assert_no_snapshot(env);
}

fn restore_whose_hook_undoes_it_is_red(env: &TestEnv<'_>) {
    let run = env.run("hello-load-undoes").tiers(WITHOUT_UPGRADE).expect(Red);

    tiers(run, [Pass, Skip, Pass, Fail])
        .owner("recipe")
        .step("check-restore", Fail)
        .owned_by("recipe")
        .cause("data-lost")
        .message("a file in volume posts is gone")
        .nothing_left();
    assert_no_snapshot(env);
}

fn restore_whose_hook_fails_is_red(env: &TestEnv<'_>) {
    let run = env.run("hello-load-fails").tiers(WITHOUT_UPGRADE).expect(Red);

    tiers(run, [Pass, Skip, Pass, Fail])
        .owner("recipe")
        .step("restore", Fail)
        .owned_by("recipe")
        .cause("abra-fatal")
        .message("abra ended with exit code 1: backup restore")
        .says("no dump can be loaded")
        .nothing_left();
    assert_no_snapshot(env);
}

fn restore_that_restores_nothing_is_red(env: &TestEnv<'_>) {
    let idle_restore = "case \"$*\" in *'app restore'*) exit 0;; esac\nexec \"$ABRA\" \"$@\"";

    let run = env.run("hello-store").tiers(WITHOUT_UPGRADE).abra(idle_restore).expect(Red);

    tiers(run, [Pass, Skip, Pass, Fail])
        .owner("recipe")
        .step("check-restore", Fail)
        .owned_by("recipe")
        .cause("data-lost")
        .message("the restore did not bring it back")
        .nothing_left();
    assert_no_snapshot(env);
}

fn app_without_labels_skips_backup_and_restore(env: &TestEnv<'_>) {
    let run = env.run("hello-no-backup").tiers(ALL).expect(Green);

    tiers(run, [Pass, Pass, Skip, Skip])
        .value("/skips/intentional/backup_restore", "were skipped, because there is no label backupbot.backup")
        .nothing_left();
    assert_no_snapshot(env);
}

/// A run in whose backup abra has just been started.
fn in_mid_backup<'a>(env: &'a TestEnv<'_>, recipe: &str, abra: Option<&str>) -> RunningRun<'a> {
    let run = env.run(recipe).tiers("install,backup");
    let mut run = abra.map_or(run.clone(), |abra| run.abra(abra)).start();
    run.reached(r#""event":"step-finished","step":"deploy""#).reached("app-backup-create");
    run
}

/// Waits until the backup service has a snapshot of the run.
fn until_snapshot_of(env: &TestEnv<'_>, run: &RunningRun<'_>) {
    let domain = run.results()["domain"].as_str().unwrap().parse().unwrap();
    until("the snapshot is made", || !snapshots(&env.fixture.engine, &domain).is_empty());
}

/// An abra that prints nothing and does not end after the snapshot.
const SILENT: &str = "case \"$*\" in *'backup create'*) \"$ABRA\" \"$@\" > /dev/null; sleep 63.125;; esac\nexec \"$ABRA\" \"$@\"";

/// Terminates the run and expects that its backup is not verified.
fn terminate(mut run: RunningRun<'_>) {
    run.signal("TERM");
    let run = run.finish_soon().expect(Inconclusive).exit(143);
    tiers(run, [Pass, Skip, Unver, Skip]).nothing_left();
}

/// The hook in the app's container and the backup service continue after the end of the run.
fn backup_ended_half_way_leaves_no_snapshot(env: &TestEnv<'_>) {
    let run = in_mid_backup(env, "hello-slow-dump", None);

    terminate(run);

    assert_no_snapshot(env);
}

fn snapshot_of_an_ended_run_is_forgotten(env: &TestEnv<'_>) {
    let run = in_mid_backup(env, "hello-store", Some(SILENT));
    until_snapshot_of(env, &run);

    terminate(run);

    assert_no_snapshot(env);
}

fn snapshot_of_a_killed_run_is_forgotten_by_the_janitor(env: &TestEnv<'_>) {
    let mut run = in_mid_backup(env, "hello-store", Some(SILENT));
    until_snapshot_of(env, &run);
    run.kill_with_guardian();
    assert!(journal(&run.folder()).contains(r#""claimed":"snapshots""#), "the claim precedes the snapshot");

    let janitor = env.taster(&["janitor"]);

    janitor.exit(0).says("removed").says("nothing left");
    assert_no_snapshot(env);
}

/// The images are assembled for these tests alone, the first time.
fn database_row_survives(env: &TestEnv<'_>, recipe: &str, database: &str, restored: Status) {
    env.fixture.provide(recipe);

    let run = env.run(recipe).tiers(ALL).expect(if restored == Pass { Green } else { Inconclusive });

    let row = format!("a row in the {database} database of db");
    tiers(run, [Pass, Pass, Pass, restored])
        .canary(&row, &[(Seeded, Pass), (AfterUpgrade, Pass), (Corrupted, Pass), (AfterRestore, restored)])
        .that("no file disturbs the database", |results| {
            results["canaries"].as_array().unwrap().iter().all(|canary| canary["volume"] != "db")
        })
        .nothing_left();
    assert_no_snapshot(env);
}

fn sqlite_row_survives_upgrade_and_restore(env: &TestEnv<'_>) {
    database_row_survives(env, "hello-sqlite", "SQLite", Pass);
}

/// A running Redis does not read a restored file.
fn redis_row_survives_an_upgrade_and_its_restore_is_unverified(env: &TestEnv<'_>) {
    database_row_survives(env, "hello-redis", "Redis", Unver);
}

fn postgresql_row_survives_upgrade_and_restore(env: &TestEnv<'_>) {
    database_row_survives(env, "hello-postgres", "PostgreSQL", Pass);
}

fn mariadb_row_survives_upgrade_and_restore(env: &TestEnv<'_>) {
    database_row_survives(env, "hello-mariadb", "MariaDB or MySQL", Pass);
}
