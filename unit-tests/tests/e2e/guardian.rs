//! Runs that are ended from outside: by signals, by the death of their parent or their own, at their deadline, by a journal
//! that cannot be written.

use std::{
    fs,
    process::{Child, Command},
};

use libtest_mimic::Trial;
use unit_tests::{
    engine::until,
    sandbox_fixture::{self, SandboxFixture},
    stacks::stack_of,
    test_env::{CommandOutput, TestEnv, ended, results, run_id, signal, started},
};

use super::runs::on_stages;

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    on_stages(
        fixture,
        &[
            ("guardian::an_interrupt_in_mid_deploy_sweeps", |env| signalled(env, "INT", 2)),
            ("guardian::a_termination_in_mid_deploy_sweeps", |env| signalled(env, "TERM", 15)),
            ("guardian::a_hang_up_sweeps_and_further_signals_do_not_stop_that", hang_up),
            ("guardian::a_signal_before_the_plan_ends_the_run_and_its_abra", before_the_plan),
            ("guardian::the_death_of_the_parent_sweeps", parent_dies),
            ("guardian::a_run_that_is_killed_is_swept_by_the_next", killed),
            ("guardian::the_deadline_ends_a_run", deadline),
            ("guardian::an_abra_that_hangs_does_not_hold_up_the_sweep", hangs_in_deploy),
            ("guardian::a_journal_that_cannot_be_written_ends_the_run", journal_full),
        ],
    )
}

/// What stands in the journal when services are being deployed.
const WAITS: &str = r#""event":"observed","step":"deploy""#;
const CANCELLED: &str = r#""event":"cancel-requested""#;
const FINISHED: &str = r#""event":"run-finished""#;

/// A run of `hello` whose services are coming up.
fn in_mid_deploy(env: &TestEnv<'_>) -> Child {
    let run = env.start(&["--recipe", "hello"]);
    env.reached(WAITS);
    run
}

/// That the run was ended early in mid-deploy, says so everywhere, and has left nothing.
fn assert_ended(env: &TestEnv<'_>, told: &CommandOutput, exit: i32, sentence: &str) {
    told.assert(exit, &["ending early", "inconclusive (install, upgrade, backup, restore", sentence, "left behind: nothing"]);
    let results = env.results();
    assert_eq!(results["verdict"]["outcome"], "inconclusive", "{results}");
    assert_eq!(results["exit_code"], exit, "{results}");
    assert_eq!(results["results"]["install"], "unver", "{results}");
    assert!(results["finished"].is_string() && results["claimed"] == serde_json::json!([]), "{results}");
    env.assert_zero();
}

fn signalled(env: &TestEnv<'_>, name: &str, number: i32) {
    let run = in_mid_deploy(env);
    signal(run.id(), name);
    assert_ended(env, &ended(run), 128 + number, &format!("the run was ended by signal {number}"));
}

/// A terminal that closes hangs up, and what started the run often ends with it, so more signals follow the first.
fn hang_up(env: &TestEnv<'_>) {
    let run = in_mid_deploy(env);
    let pid = run.id();
    signal(pid, "HUP");
    env.reached(CANCELLED);
    signal(pid, "INT");
    signal(pid, "TERM");
    assert_ended(env, &ended(run), 129, "the run was ended by signal 1");
}

/// abra is waited for when the signal comes, and there is no plan yet.
fn before_the_plan(env: &TestEnv<'_>) {
    let abra = env.script("sleep 60.125");
    let run = env.start_on(&[("abra", &abra)], &["--recipe", "hello"]);
    env.reached(r#""event":"child-started""#);
    signal(run.id(), "INT");
    let told = ended(run);
    assert_ended(env, &told, 130, "the run was ended by signal 2");
    assert!(!told.out.contains("over HTTP"), "nobody would have asked yet:\n{told}");
    assert!(!left_alive(&abra) && !left_alive("60.125"), "abra is ended with the run, and what it started");
}

/// Whether a process lives whose command line has `word` in it.
pub(crate) fn left_alive(word: &str) -> bool {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).split('\0').any(|argument| argument == word))
}

fn parent_dies(env: &TestEnv<'_>) {
    let mut parent = Command::new("sh");
    // The shell has something to do afterwards, so that it does not become taster itself.
    parent.args(["-c", "\"$0\" --recipe hello > told 2>&1; true"]).arg(sandbox_fixture::env().exe);
    let mut shell = started(env.equip(&mut parent));
    env.reached(WAITS);
    shell.kill().unwrap();
    shell.wait().unwrap();
    env.reached(FINISHED);
    until("taster has told its verdict", || fs::read_to_string(env.path().join("told")).unwrap().contains("left behind"));
    let out = fs::read_to_string(env.path().join("told")).unwrap();
    assert_ended(env, &CommandOutput { exit: Some(143), out, err: String::new() }, 143, "the run was ended by signal 15");
}

/// The run dies while abra deploys, and its guardian too: abra goes with them, the results say what is true, the next run sweeps before its own.
fn killed(env: &TestEnv<'_>) {
    let abra = env.script("\"$ABRA\" \"$@\" || exit; case \"$*\" in *'app deploy'*) sleep 61.125;; esac");
    let mut run = env.start_on(&[("abra", &abra)], &["--recipe", "hello"]);
    env.reached("abra app-deploy");
    let dead = env.only_run();
    let stack = stack_of(&run_id(&dead)).to_string();
    until("the app is on the Swarm", || env.fixture.engine.left_of(&stack, &[]).contains("service"));
    env.kill_with_guardian(&mut run);
    let told = results(&dead);
    assert_ne!(told["verdict"]["outcome"], "green", "{told}");
    assert!(told["finished"].is_null() && told["exit_code"] != 0, "{told}");
    assert!(told["claimed"].to_string().contains(&stack), "{told}");
    assert!(!env.fixture.engine.left_of(&stack, &[]).is_empty());

    let next = env.start_on(&[], &["--recipe", "hello"]);
    until("the next run has begun", || env.runs().len() == 2);
    assert_eq!(env.fixture.engine.left_of(&stack, &[]), "", "the dead run is swept before the next begins");
    assert!(!left_alive(&abra) && !left_alive("61.125"), "its abra does not live on");
    ended(next).assert(0, &["janitor: ", "nothing left", "green (install, upgrade, backup, restore"]);
    // What the engine may still have been at work on is looked for once more.
    env.run(&["janitor"]).assert(0, &["nothing left"]);
    env.assert_zero();
}

fn deadline(env: &TestEnv<'_>) {
    let told = env.run(&["--recipe", "hello", "--deadline", "3"]);
    assert_ended(env, &told, 3, "the run was ended at its deadline");
}

/// abra has submitted the stack and then says nothing more; nor does it when it is asked to undeploy.
fn hangs_in_deploy(env: &TestEnv<'_>) {
    let abra = env.script(
        "case \"$*\" in *'app deploy'*) \"$ABRA\" \"$@\"; sleep 62.125;; *undeploy*) sleep 62.125;; esac\nexec \"$ABRA\" \"$@\"",
    );
    let told = env.run_on(&[("abra", &abra)], &["--recipe", "hello", "--deadline", "4"]);
    assert_ended(env, &told, 3, "the run was ended at its deadline");
    assert!(!left_alive(&abra) && !left_alive("62.125"), "abra is ended with the run");
}

/// No file may grow beyond 6 kB, which the journal does in mid-run.
fn journal_full(env: &TestEnv<'_>) {
    let mut limited = Command::new("sh");
    // The shell counts in blocks of 512 bytes; ignored signals stay so in what it becomes.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 12; exec \"$0\" --recipe hello"]).arg(sandbox_fixture::env().exe);
    let told = ended(started(env.equip(&mut limited)));
    told.assert(
        3,
        &[
            "ending early",
            "inconclusive (install, upgrade, backup, restore",
            "why (infrastructure): the journal cannot be written",
            "left behind: nothing",
        ],
    );
    // What it could not write down as done is looked after by the next run, and there is nothing to do.
    env.run(&["janitor"]).assert(0, &["0 removed", "nothing left"]);
    env.assert_zero();
}
