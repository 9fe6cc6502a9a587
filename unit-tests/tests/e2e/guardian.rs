//! Runs that end early: by a signal, by the death of their parent, by kill -9, at their deadline, by a journal that cannot be
//! written.

use std::{fs, process::Command};

use libtest_mimic::Trial;
use unit_tests::{
    command_output::{CommandOutput, started},
    engine::until,
    sandbox_fixture::{self, SandboxFixture},
    stacks::stack_of,
    test_env::{TestEnv, results, run_id},
    test_run::{
        FinishedRun,
        Outcome::{Green, Inconclusive},
        RunningRun,
        Status::Unver,
    },
};

use crate::trials::{e2e_tests, in_env};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            interrupt_during_deploy_cleans_up,
            termination_during_deploy_cleans_up,
            hang_up_cleans_up_despite_further_signals,
            signal_before_the_plan_ends_the_run_and_its_abra,
            death_of_the_parent_cleans_up,
            killed_run_is_cleaned_up_before_the_next,
            deadline_ends_a_run,
            hanging_abra_does_not_delay_the_cleanup,
            journal_that_cannot_be_written_ends_the_run,
        ],
    )
}

/// The journal line of services that are being deployed.
const DEPLOYING: &str = r#""event":"observed","step":"deploy""#;
const CANCELLED: &str = r#""event":"cancel-requested""#;
const FINISHED: &str = r#""event":"run-finished""#;

/// A run of `hello` whose services are coming up.
fn in_mid_deploy<'a>(env: &'a TestEnv<'_>) -> RunningRun<'a> {
    let mut run = env.run("hello").start();
    run.reached(DEPLOYING);
    run
}

/// Expects a run that was ended early during its deploy, says so everywhere, and has left nothing.
fn ended_early<'a>(run: FinishedRun<'a>, sentence: &str) -> FinishedRun<'a> {
    run.expect(Inconclusive)
        .says("ending early")
        .says("inconclusive (install, upgrade, backup, restore")
        .says(sentence)
        .tier("install", Unver)
        .that("the run has finished", |results| results["finished"].is_string())
        .nothing_left()
}

fn interrupt_during_deploy_cleans_up(env: &TestEnv<'_>) {
    let mut run = in_mid_deploy(env);

    run.signal("INT");

    ended_early(run.finish_soon(), "the run was ended by signal 2").exit(130);
}

fn termination_during_deploy_cleans_up(env: &TestEnv<'_>) {
    let mut run = in_mid_deploy(env);

    run.signal("TERM");

    ended_early(run.finish_soon(), "the run was ended by signal 15").exit(143);
}

/// A closing terminal sends SIGHUP, and the end of its shell leads to further signals.
fn hang_up_cleans_up_despite_further_signals(env: &TestEnv<'_>) {
    let mut run = in_mid_deploy(env);

    run.signal("HUP").reached(CANCELLED).signal("INT").signal("TERM");

    ended_early(run.finish_soon(), "the run was ended by signal 1").exit(129);
}

/// The run waits for abra and has no plan yet.
fn signal_before_the_plan_ends_the_run_and_its_abra(env: &TestEnv<'_>) {
    let abra = env.script("sleep 60.125");
    let mut run = env.run("hello").host("abra", &abra).start();
    run.reached(r#""event":"child-started""#);

    run.signal("INT");

    // No step had asked the app yet.
    ended_early(run.finish_soon(), "the run was ended by signal 2").exit(130).never_says("over HTTP");
    assert!(!left_alive(&abra) && !left_alive("60.125"), "abra is ended with the run, and its child too");
}

/// Whether a process lives whose command line has `word` in it.
pub(crate) fn left_alive(word: &str) -> bool {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).split('\0').any(|argument| argument == word))
}

fn death_of_the_parent_cleans_up(env: &TestEnv<'_>) {
    let mut parent = Command::new("sh");
    // A second command keeps the shell from replacing itself with taster.
    parent.args(["-c", "\"$0\" --recipe hello > output 2>&1; true"]).arg(sandbox_fixture::env().exe);
    let mut run = env.running(started(env.equip(&mut parent)));
    run.reached(DEPLOYING);

    run.kill();

    run.reached(FINISHED);
    let output = || fs::read_to_string(env.path().join("output")).unwrap();
    until("taster has printed its verdict", || output().contains("left behind"));
    let run = run.finished_with(Some(143), output());
    ended_early(run, "the run was ended by signal 15").exit(143);
}

/// The run dies while abra deploys, and its guardian too.
fn killed_run_is_cleaned_up_before_the_next(env: &TestEnv<'_>) {
    let engine = &env.fixture.engine;
    let abra = env.script("\"$ABRA\" \"$@\" || exit; case \"$*\" in *'app deploy'*) sleep 61.125;; esac");
    let mut killed = env.run("hello").host("abra", &abra).start();
    killed.reached("abra app-deploy");
    let stack = stack_of(&run_id(&killed.folder())).to_string();
    until("the app is on the Swarm", || engine.left_of(&stack, &[]).contains("service"));
    killed.kill_with_guardian();
    let results = results(&killed.folder());
    assert_ne!(results["verdict"]["outcome"], "green", "{results}");
    assert!(results["finished"].is_null() && results["exit_code"] != 0, "{results}");
    assert!(results["claimed"].to_string().contains(&stack), "{results}");
    assert!(!engine.left_of(&stack, &[]).is_empty());

    let next = env.run("hello").start();
    until("the next run has begun", || env.runs().len() == 2);

    assert_eq!(engine.left_of(&stack, &[]), "", "the dead run is cleaned up before the next begins");
    assert!(!left_alive(&abra) && !left_alive("61.125"), "its abra is dead");
    let next = next.expect(Green);
    next.says("janitor: ").says("nothing left").says("green (install, upgrade, backup, restore");
    // The janitor reads the inventory once more, for late effects of the engine.
    env.taster(&["janitor"]).exit(0).says("nothing left");
    env.assert_nothing_left();
}

fn deadline_ends_a_run(env: &TestEnv<'_>) {
    let run = env.run("hello").deadline(3).finish();

    ended_early(run, "the run was ended at its deadline").exit(3);
}

/// abra has submitted the stack and then hangs; it hangs again when the app is undeployed.
fn hanging_abra_does_not_delay_the_cleanup(env: &TestEnv<'_>) {
    let abra = env.script(
        "case \"$*\" in *'app deploy'*) \"$ABRA\" \"$@\"; sleep 62.125;; *undeploy*) sleep 62.125;; esac\nexec \"$ABRA\" \"$@\"",
    );

    let run = env.run("hello").host("abra", &abra).deadline(4).finish();

    ended_early(run, "the run was ended at its deadline").exit(3);
    assert!(!left_alive(&abra) && !left_alive("62.125"), "abra is ended with the run");
}

/// A limit of 6 kB per file, which the journal exceeds during the run.
fn journal_that_cannot_be_written_ends_the_run(env: &TestEnv<'_>) {
    let mut limited = Command::new("sh");
    // The shell counts in blocks of 512 bytes; taster inherits the ignored signal.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 12; exec \"$0\" --recipe hello"]).arg(sandbox_fixture::env().exe);

    let output = CommandOutput::soon(started(env.equip(&mut limited)));

    output.exit(3).says("ending early").says("inconclusive (install, upgrade, backup, restore");
    output.says("why (infrastructure): the journal cannot be written").says("left behind: nothing");
    // The journal lacks the releases, so the janitor reads the inventory and finds nothing to remove.
    env.taster(&["janitor"]).exit(0).says("0 removed").says("nothing left");
    env.assert_nothing_left();
}
