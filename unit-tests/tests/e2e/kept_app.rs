//! Apps that outlive their runs: tests run on them again, watched tests run at each change, and the janitor removes them.

use std::fs;

use libtest_mimic::Trial;
use unit_tests::{
    background_process::BackgroundProcess,
    engine::until,
    sandbox_fixture::SandboxFixture,
    test_env::{TestEnv, run_id},
    test_run::{
        FinishedRun,
        Outcome::{Green, Inconclusive},
    },
};

use crate::{
    executables::script,
    trials::{e2e_tests, in_env},
};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            kept_app_is_tested_again_and_removed_on_request,
            kept_app_is_never_removed_while_a_test_runs_on_it,
            watched_test_runs_when_it_is_saved,
            janitor_removes_a_kept_app_after_its_time,
            interrupted_run_keeps_nothing,
        ],
    )
}

/// The domain that a run kept, and the run's id.
fn kept_by(run: &FinishedRun<'_>) -> (String, String) {
    let lines = run.output.out.lines();
    let domain = lines.filter_map(|line| line.trim().strip_prefix("kept: ")?.split(' ').next().map(str::to_owned)).next();
    (domain.unwrap_or_else(|| panic!("no app is kept:\n{}", run.output)), run_id(&run.folder).to_string())
}

fn kept_app_is_tested_again_and_removed_on_request(env: &TestEnv<'_>) {
    let run = env.run("hello").tiers("install,custom").args(&["--keep", "20m"]).expect(Green);
    let (domain, id) = kept_by(&run.says("green (install, custom)").says("removes it at once").says("--attach"));
    assert!(env.page(&domain, "/health").contains("200"), "the app is there");
    let attached = env.run("hello").args(&["--attach", &domain]);

    let early_janitor = env.taster(&["janitor"]);
    let tested = attached.clone().expect(Green);
    let other_recipe = env.run("ghost").args(&["--attach", &domain]).output();
    let unknown_app = env.run("hello").args(&["--attach", "shop.taster.test"]).output();
    let other_tiers = attached.clone().tiers("install").output();
    let janitor = env.taster(&["janitor", &id]);
    let removed = attached.output();

    early_janitor.exit(0).says(&format!("{id}: keeps {domain} until "));
    tested.says("green (custom)").says("posts::a post is read back: passed").says("left behind: nothing");
    other_recipe.exit(2).says("is an app of hello, not of ghost");
    unknown_app.exit(2).says("shop.taster.test is not an app of a run of taster");
    other_tiers.exit(2).says("cannot be used with");
    janitor.exit(0).says(&format!("{id}: ")).says("removed in").says("nothing left");
    removed.exit(2).says(&format!("{domain} is not kept by its run"));
    env.assert_nothing_left();
}

/// The test was written after the app was kept.
fn kept_app_is_never_removed_while_a_test_runs_on_it(env: &TestEnv<'_>) {
    let mine = env.copy_of("hello");
    let run = env.run("hello").path(&mine).tiers("install").args(&["--keep", "20m"]).expect(Green);
    let (domain, id) = kept_by(&run);
    let attached = env.run("hello").args(&["--attach", &domain]);
    let (began, go) = (env.path().join("began"), env.path().join("go"));
    let waits = format!("touch '{}'; until [ -e '{}' ]; do sleep 0.05; done", began.display(), go.display());
    script(&mine.join("tests/waits.sh"), &waits, true);
    let testing = attached.clone().args(&["--trust-tests"]).start();
    until("the test runs", || began.exists());

    let janitor = env.taster(&["janitor", &id]);
    let second = attached.output();
    fs::write(go, "").unwrap();
    let testing = testing.finish_soon();

    janitor.exit(0).says(&format!("{id}: left alone: it is alive"));
    second.exit(2).says(&format!("{domain} is in use by another run"));
    testing.expect(Green).says("green (custom)").says("tests/waits.sh: passed");
    env.taster(&["janitor", &id]).exit(0).says("nothing left");
    env.assert_nothing_left();
}

fn watched_test_runs_when_it_is_saved(env: &TestEnv<'_>) {
    let tests = env.path().join("tests");
    script(&tests.join("first.sh"), "exit 0", true);
    script(&tests.join("second.sh"), "exit 0", true);
    let pack = tests.display().to_string();
    let run = env.run("hello").tiers("install").args(&["--keep"]).expect(Green);
    let (domain, id) = kept_by(&run);
    let mut watch = env.command(&["watch", "--recipe", "hello", "--attach", &domain, "--pack", &pack]);
    let watch = BackgroundProcess::start(&mut watch, env.path().join("watch.log"));
    let until_it_says = |text: &str| until(&format!("it says {text}"), || watch.output().contains(text));
    until_it_says("watching ");

    script(&tests.join("first.sh"), "echo the page is empty; exit 1", true);
    until_it_says("after the change: exit 1");
    assert!(watch.output().contains("first.sh: failed") && !watch.output().contains("second.sh"), "{}", watch.output());

    script(&tests.join("second.sh"), "exit 0 # again", true);
    until_it_says("after the change: exit 0");
    assert!(watch.output().contains("second.sh: passed"), "{}", watch.output());

    watch.interrupt();
    env.taster(&["janitor", &id]).exit(0).says("nothing left");
    env.assert_nothing_left();
}

fn janitor_removes_a_kept_app_after_its_time(env: &TestEnv<'_>) {
    let run = env.run("hello").tiers("install").args(&["--keep", "1s"]).expect(Green);
    let (domain, id) = kept_by(&run);

    until("the janitor removes it", || !env.taster(&["janitor"]).out.contains(&format!("{id}: keeps ")));

    let attached = env.run("hello").args(&["--attach", &domain]).output();
    attached.exit(2).says(&format!("{domain} is not kept by its run"));
    env.assert_nothing_left();
}

fn interrupted_run_keeps_nothing(env: &TestEnv<'_>) {
    let mut run = env.run("hello").tiers("install").args(&["--keep"]).start();
    run.reached(r#""event":"step-started","step":"deploy""#).signal("INT");

    let run = run.finish_soon();

    run.expect(Inconclusive).exit(130).nothing_left();
}
