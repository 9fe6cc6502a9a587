//! Engines that fail in the middle of a run: a power cut, a full disk, a driver that hangs. The verdict is correct, the recipe is
//! never blamed, and nothing is left once the engine answers again.

use std::{fs, time::Duration};

use libtest_mimic::Trial;
use unit_tests::{
    command_output::CommandOutput,
    engine::until,
    hanging_driver::{self, HangingDriver},
    sandbox_fixture::SandboxFixture,
    test_env::{TestEnv, journal},
    test_run::{
        Outcome::Inconclusive,
        Status::{Pass, Unver},
    },
};

use crate::{
    trials::{e2e_tests, with_scratch_engine},
    unfit_hosts::{CLEANS_UP, DEPLOYING, assert_nothing_on, default_context, run_until, scratch_fixture},
};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    with_scratch_engine(
        fixture,
        &e2e_tests![
            engine_restarted_during_an_upgrade_leaves_it_unverified,
            engine_restarted_during_cleanup_changes_no_earlier_status,
            engine_disk_that_fills_up_is_cleaned_up_when_there_is_room,
            volume_mount_that_hangs_does_not_delay_the_end_of_the_run,
        ],
    )
}

/// All containers end with the engine. It has no ingress, so base does not answer; the test looks at the upgrade alone.
fn engine_restarted_during_an_upgrade_leaves_it_unverified(env: &TestEnv<'_>) {
    let (mut scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let run = run_until(&env, &scratch, &["--tiers", "install,upgrade"], r#""event":"observed","step":"upgrade""#);

    scratch.kill_and_restart();
    let run = run.finish_soon();

    run.expect(Inconclusive)
        .exit(3)
        .says("; upgrade not verified: ")
        .says("upgrade is not verified: ")
        .step("upgrade", Unver)
        .step("deploy", Pass)
        .nothing_left();
    assert_nothing_on(&env, &scratch.engine());
}

/// The engine stops for a moment while the run removes its objects.
fn engine_restarted_during_cleanup_changes_no_earlier_status(env: &TestEnv<'_>) {
    let (mut scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let run = run_until(&env, &scratch, &["--tiers", "install"], CLEANS_UP);
    let earlier = run.results();

    scratch.kill_and_restart();
    let run = run.finish_soon();

    let run = run.value("/results", earlier["results"].clone()).step("cleanup", Pass).nothing_left();
    assert_ne!(run.output.code, Some(4), "{}", run.output);
    assert_nothing_on(&env, &scratch.engine());
}

/// The Swarm cannot write its state. At the deadline there is room again.
fn engine_disk_that_fills_up_is_cleaned_up_when_there_is_room(env: &TestEnv<'_>) {
    let (scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let mut run = run_until(&env, &scratch, &["--deadline", "27"], DEPLOYING);

    scratch.disk().leave_no_room();
    run.reached(CLEANS_UP);
    scratch.disk().remount("size=8g");
    let run = run.finish_soon();

    run.expect(Inconclusive).exit(3).says("inconclusive (install, upgrade, backup, restore").nothing_left();
    assert_nothing_on(&env, &scratch.engine());
}

/// The engine itself waits for the mount. The run ends without it, and names what is left.
fn volume_mount_that_hangs_does_not_delay_the_end_of_the_run(env: &TestEnv<'_>) {
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
    let run = env.run("hello").path(&recipe).tiers("install").deadline(30);
    let run = run.host("engine", &scratch.socket().display().to_string()).host_lines("[allow]\nhello = [\"volume-drivers\"]");
    let mut run = run.start();
    until("the engine asks for the mount", || {
        let exit = run.child.try_wait().unwrap();
        assert!(exit.is_none(), "it ended before: {}", journal(&run.folder()));
        driver.asked_to_mount()
    });

    // The cleanup waits for the engine, which gives the driver up after a minute or two, and both have a limit.
    let output = CommandOutput::within(run.child, Duration::from_secs(240));

    assert!(matches!(output.code, Some(3 | 4)), "{output}");
    output.says("inconclusive (install not verified: ").says("left behind: ");
    assert_eq!(output.code == Some(4), !output.contains("left behind: nothing"), "{output}");
    // A restarted engine does not wait for the old mount.
    scratch.kill_and_restart();
    env.taster(&["janitor"]).exit(0).says("runs checked");
    env.assert_nothing_left();
    assert_nothing_on(&env, &scratch.engine());
}
