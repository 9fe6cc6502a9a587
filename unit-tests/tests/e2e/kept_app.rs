//! An app that outlives its run: tests are run on it again, whoever watches sees each change, and the janitor removes it.

use std::fs;

use libtest_mimic::Trial;
use unit_tests::{
    background_process::BackgroundProcess,
    engine::until,
    sandbox_fixture::SandboxFixture,
    test_env::{CommandOutput, TestEnv, ended, run_id, signal},
};

use crate::{executables::script, runs::on_stages};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    on_stages(
        fixture,
        &[
            ("kept_app::a_kept_app_is_tested_again_and_removed_when_somebody_says_so", kept),
            ("kept_app::a_watched_test_is_run_when_it_is_saved", watched),
            ("kept_app::the_janitor_removes_an_app_whose_time_is_over", over),
            ("kept_app::a_run_that_is_ended_keeps_nothing", ended_early),
        ],
    )
}

/// The domain that a run kept, and the run's id.
fn kept_by(env: &TestEnv<'_>, told: &CommandOutput) -> (String, String) {
    let run = run_id(env.runs().first().expect("a run")).to_string();
    let domain = told.out.lines().find_map(|line| line.trim().strip_prefix("kept: ")?.split(' ').next().map(str::to_owned));
    (domain.unwrap_or_else(|| panic!("no app is kept:\n{told}")), run)
}

fn kept(env: &TestEnv<'_>) {
    let mine = env.copy_of("hello");
    let path = mine.display().to_string();
    let told = env.run(&["--recipe", "hello", "--path", &path, "--tiers", "install,custom", "--keep", "20m"]);
    told.assert(0, &["green (install, custom)", "removes it at once", "--attach"]);
    let (domain, run) = kept_by(env, &told);
    assert!(env.page(&domain, "/health").contains("200"), "the app is there");
    env.run(&["janitor"]).assert(0, &[&format!("{run}: keeps {domain} until ")]);

    let attach = ["--recipe", "hello", "--attach", &domain];
    env.run(&attach).assert(0, &["green (custom)", "posts::a post is read back: passed", "left behind: nothing"]);
    env.run(&["--recipe", "ghost", "--attach", &domain]).assert(2, &["is an app of hello, not of ghost"]);
    env.run(&["--recipe", "hello", "--attach", "shop.taster.test"]).assert(2, &["shop.taster.test is no app of a run of taster"]);
    let tiers = [&attach[..], &["--tiers", "install"]].concat();
    env.run(&tiers).assert(2, &["--tiers speaks of another"]);

    // Tests that were written after the app was kept. As long as one of them runs, nobody removes the app.
    let (began, go) = (env.path().join("began"), env.path().join("go"));
    let waits = format!("touch '{}'; until [ -e '{}' ]; do sleep 0.05; done", began.display(), go.display());
    script(&mine.join("tests/waits.sh"), &waits, true);
    let testing = env.start(&[&attach[..], &["--trust-tests"]].concat());
    until("the test runs", || began.exists());
    env.run(&["janitor", &run]).assert(0, &[&format!("{run}: alive")]);
    env.run(&attach).assert(2, &[&format!("{domain} is in use by another run")]);
    fs::write(go, "").unwrap();
    ended(testing).assert(0, &["green (custom)", "tests/waits.sh: passed"]);

    env.run(&["janitor", &run]).assert(0, &[&format!("{run}: "), "removed in", "nothing left"]);
    env.run(&attach).assert(2, &[&format!("{domain} is not kept by its run")]);
    env.assert_zero();
}

fn watched(env: &TestEnv<'_>) {
    let tests = env.path().join("tests");
    script(&tests.join("first.sh"), "exit 0", true);
    script(&tests.join("second.sh"), "exit 0", true);
    let shown = tests.display().to_string();
    let told = env.run(&["--recipe", "hello", "--tiers", "install", "--keep"]);
    let (domain, run) = kept_by(env, &told);
    let log = env.path().join("watch.log");
    let watch =
        BackgroundProcess::start(&mut env.taster(&["watch", "--recipe", "hello", "--attach", &domain, "--pack", &shown]), log);
    let says = |words: &str| until(&format!("it says {words}"), || watch.said().contains(words));
    says("watching ");
    script(&tests.join("first.sh"), "echo the page is empty; exit 1", true);
    says("after the change: exit 1");
    assert!(watch.said().contains("first.sh: failed") && !watch.said().contains("second.sh"), "{}", watch.said());
    script(&tests.join("second.sh"), "exit 0 # again", true);
    says("after the change: exit 0");
    assert!(watch.said().contains("second.sh: passed"), "{}", watch.said());
    watch.interrupt();
    env.run(&["janitor", &run]).assert(0, &["nothing left"]);
    env.assert_zero();
}

fn over(env: &TestEnv<'_>) {
    let told = env.run(&["--recipe", "hello", "--tiers", "install", "--keep", "1s"]);
    let (domain, run) = kept_by(env, &told);
    until("the janitor removes it", || !env.run(&["janitor"]).out.contains(&format!("{run}: keeps ")));
    let told = env.run(&["--recipe", "hello", "--attach", &domain]);
    told.assert(2, &[&format!("{domain} is not kept by its run")]);
    env.assert_zero();
}

fn ended_early(env: &TestEnv<'_>) {
    let run = env.start(&["--recipe", "hello", "--tiers", "install", "--keep"]);
    env.reached(r#""event":"step-started","step":"deploy""#);
    signal(run.id(), "INT");
    ended(run).assert(130, &["left behind: nothing"]);
    env.assert_zero();
}
