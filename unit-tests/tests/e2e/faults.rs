//! Engines that fail a run in the middle of what it does: power that is lost, disks that are full. What is said is true, it is never the
//! recipe's fault, and nothing is left once the engine answers again.

use std::{fs, time::Duration};

use libtest_mimic::Trial;
use serde_json::Value;
use unit_tests::{
    engine::until,
    hanging_driver::{self, HangingDriver},
    sandbox_fixture::SandboxFixture,
    scratch_engine::ScratchEngine,
    test_env::{CommandOutput, TestEnv, ended, journal},
};

use super::{
    runs::{on_stages, stage_of},
    unfit_hosts::{SWEEPS, WAITS, assert_nothing_on, default_context, on_scratch_engines, scratch_fixture, until_it_says},
};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    let tests = on_stages(
        fixture,
        &[
            ("faults::an_engine_that_is_restarted_in_mid_upgrade_leaves_it_unverified", in_mid_upgrade),
            ("faults::an_engine_that_is_restarted_in_mid_teardown_changes_nothing_that_was_seen", in_mid_teardown),
            ("faults::an_engine_whose_disk_fills_up_in_mid_run_is_swept_when_there_is_room", disk_fills_up),
            ("faults::a_volume_whose_mount_never_ends_does_not_hold_up_the_end_of_the_run", mount_hangs),
        ],
    );
    on_scratch_engines(fixture, tests)
}

/// That nothing is left, by the run's own word and by docker's.
fn assert_nothing_left(env: &TestEnv<'_>, scratch: &ScratchEngine, told: &CommandOutput) -> Value {
    assert!(told.out.contains("left behind: nothing"), "{told}");
    let results = env.results();
    assert_eq!(results["claimed"], serde_json::json!([]), "{results:#}");
    env.assert_zero();
    assert_nothing_on(env, &scratch.engine());
    results
}

/// All containers end with the engine. There is no ingress on it, so that the base does not answer; what is looked at is the upgrade.
fn in_mid_upgrade(env: &TestEnv<'_>) {
    let (mut scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let text = r#""event":"observed","step":"upgrade""#;
    let run = until_it_says(&env, &scratch, &["--tiers", "install,upgrade"], text);
    scratch.kill_and_restart();
    let told = ended(run);
    told.assert(3, &["inconclusive (install, upgrade)", "upgrade is not verified: "]);
    let results = assert_nothing_left(&env, &scratch, &told);
    assert_eq!(stage_of(&results, "upgrade")["status"], "unver", "{results:#}");
    assert_eq!(stage_of(&results, "deploy")["status"], "pass", "what was seen before stands: {results:#}");
}

/// What was seen before stands when the engine is gone for a moment in which there is nothing more to do than to remove.
fn in_mid_teardown(env: &TestEnv<'_>) {
    let (mut scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let run = until_it_says(&env, &scratch, &["--tiers", "install"], SWEEPS);
    let seen = env.results();
    scratch.kill_and_restart();
    let told = ended(run);
    let results = assert_nothing_left(&env, &scratch, &told);
    assert_eq!(results["results"], seen["results"], "{results:#}");
    assert_eq!(stage_of(&results, "cleanup")["status"], "pass", "{results:#}");
    assert_ne!(told.exit, Some(4), "{told}");
}

/// The Swarm cannot write what it is asked for. At the deadline there is room again.
fn disk_fills_up(env: &TestEnv<'_>) {
    let (scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let run = until_it_says(&env, &scratch, &["--deadline", "27"], WAITS);
    scratch.disk().leave_no_room();
    env.reached(SWEEPS);
    scratch.disk().remount("size=8g");
    let told = ended(run);
    told.assert(3, &["inconclusive (install, upgrade, backup, restore"]);
    assert_nothing_left(&env, &scratch, &told);
}

/// The engine itself waits for the mount. The end of the run does not wait for that, and says what is left, if anything is.
fn mount_hangs(env: &TestEnv<'_>) {
    let (mut scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let driver = HangingDriver::start(&scratch.plugins());
    let engine = scratch.engine();
    // An engine knows a driver from its first use on, and a node tells the Swarm of it with its next description, every 20 s.
    engine.ask(&["volume", "create", "--driver", hanging_driver::NAME, "first"]);
    engine.ask(&["volume", "rm", "first"]);
    let plugins = ["node", "inspect", "self", "--format", "{{.Description.Engine.Plugins}}"];
    until("the Swarm knows the driver", || engine.ask(&plugins).contains(hanging_driver::NAME));
    let recipe = env.copy_of("hello");
    let compose = recipe.join("compose.yml");
    let (text, plain) = (fs::read_to_string(&compose).unwrap(), "\nvolumes:\n  posts:\n");
    assert!(text.contains(plain), "{text}");
    fs::write(&compose, text.replace(plain, &format!("{plain}    driver: {}\n", hanging_driver::NAME))).unwrap();
    default_context(env.path(), &scratch.socket());
    let host = env.host_file(&[("engine", &scratch.socket().display().to_string())]);
    let text = fs::read_to_string(&host).unwrap();
    fs::write(&host, format!("{text}\n[allow]\nhello = [\"volume-drivers\"]\n")).unwrap();
    let (host, path) = (host.display().to_string(), recipe.display().to_string());
    let run = ["--recipe", "hello", "--path", &path, "--host", &host, "--tiers", "install", "--deadline", "30"];
    let mut run = env.start(&run);
    until("the engine asks for the mount", || {
        let exit = run.try_wait().unwrap();
        assert!(exit.is_none(), "it ended before: {}", journal(&env.only_run()));
        driver.asked_to_mount()
    });
    // The sweep waits for the engine, which gives the driver up after a minute or two, and both have an end of their own.
    let told = CommandOutput::within(run, Duration::from_secs(240));
    assert!(matches!(told.exit, Some(3 | 4)), "{told}");
    assert!(told.out.contains("inconclusive (install)") && told.out.contains("left behind: "), "{told}");
    assert_eq!(told.exit == Some(4), !told.out.contains("left behind: nothing"), "{told}");
    // An engine that was started anew waits for nothing any more.
    scratch.kill_and_restart();
    env.run(&["janitor"]).assert(0, &["runs looked at"]);
    env.assert_zero();
    assert_nothing_on(&env, &scratch.engine());
}
