//! Whole runs on a real Swarm: green ones, and one for each way in which an install fails.

use std::{fs, path::Path, process::Command, time::Duration};

use libtest_mimic::Trial;
use serde_json::Value;
use unit_tests::{
    command_output::{CommandOutput, started},
    engine::{printed, until},
    sandbox_fixture::{self, SandboxFixture},
    test_env::{TestEnv, between, journal},
    test_run::{
        Outcome::{Green, Red},
        Status::{Fail, Pass, Unver},
        find_step,
    },
};

use crate::trials::{e2e_tests, in_env};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            hello_is_green_and_its_results_are_true_throughout,
            custom_html_reaches_the_highest_level,
            app_that_ignores_its_end_is_removed_fast,
            runs_with_the_same_port_run_one_after_the_other,
            all_recipes_run_two_at_a_time_and_end_in_one_table,
            crash_loop_is_red_with_exit_code_and_last_lines,
            app_that_never_answers_is_red,
            wrong_router_rule_is_red_with_its_names,
            terminal_shows_progress_and_plain_lines_on_request,
            folder_is_tested_as_it_is_and_left_unchanged,
        ],
    )
}

fn hello_is_green_and_its_results_are_true_throughout(env: &TestEnv<'_>) {
    let mut run = env.run("hello").start();
    until("there are results", || env.runs().iter().any(|run| run.join("results.json").exists()));
    let first = run.results();
    assert_ne!(first["verdict"]["outcome"], "green", "{first}");
    assert!(first["finished"].is_null(), "{first}");
    run.reached(r#""event":"step-finished","step":"provision""#);
    let provisioned = |results: &Value| find_step(results, "provision").is_some_and(|step| step["status"] == "pass");
    until("the results speak of the step", || provisioned(&run.results()));
    let between_steps = run.results();
    assert_eq!(between_steps["verdict"]["outcome"], "inconclusive", "{between_steps}");

    let run = run.expect(Green);

    let run = run
        .says("green (install, upgrade, backup, restore")
        .says("http-upgrade: passed")
        .tier("install", Pass)
        .tier("upgrade", Pass)
        .that("the run has finished", |results| results["finished"].is_string())
        .nothing_left();
    let head = run.results["version"].as_str().unwrap();
    assert!(run.output.err.contains(head), "head is named:\n{}", run.output);
}

fn custom_html_reaches_the_highest_level(env: &TestEnv<'_>) {
    let run = env.run("custom-html").expect(Green);

    run.level(5).says("green (install, upgrade, backup, restore, custom").nothing_left();
}

fn app_that_ignores_its_end_is_removed_fast(env: &TestEnv<'_>) {
    let run = env.run("hello-grace").tiers("install").expect(Green);

    let run = run.nothing_left();
    let journal = journal(&run.folder);
    let removed = between(&journal, r#""event":"step-started","step":"undeploy""#, r#""event":"step-finished","step":"cleanup""#);
    // Swarm alone waits for the whole stop grace of the service, a minute.
    assert!(removed < Duration::from_secs(60), "{removed:?}");
}

fn runs_with_the_same_port_run_one_after_the_other(env: &TestEnv<'_>) {
    let request = env.run("hello-port").tiers("install");
    let mut first = request.clone().start();
    first.reached(r#""event":"admitted""#);

    let second = request.expect(Green);
    let first = first.expect(Green);

    second.says("waiting for port 18099/tcp, which run ").says(" of hello-port has");
    let checks = first.entry("http")["tests"].to_string();
    assert!(
        checks.contains("accepts 2 connections in a row to port 18099") && checks.contains("/health answers with 200"),
        "{checks}"
    );
    let time_of = |run: &Path, event: &str| {
        let journal = journal(run);
        at(journal.lines().find(|line| line.contains(&format!(r#""event":"{event}""#))).unwrap_or_else(|| panic!("{event}")))
    };
    let lives = env.runs().into_iter().map(|run| [time_of(&run, "admitted"), time_of(&run, "run-finished")]);
    let mut lives: Vec<[String; 2]> = lives.collect();
    lives.sort();
    assert!(lives.len() == 2 && lives[1][0] >= lives[0][1], "the second was admitted while the first had the port: {lives:?}");
    env.assert_nothing_left();
}

fn all_recipes_run_two_at_a_time_and_end_in_one_table(env: &TestEnv<'_>) {
    env.fixture.provide("custom-html");

    let output = env.taster(&["run", "--all", "--except", "ghost", "--tiers", "install", "--format", "junit"]);

    output.exit(0).says("hello       | ").says("custom-html | ").says("green (install)");
    let suites: Vec<&str> = output.out.lines().filter(|line| line.contains("<testsuite ")).collect();
    assert!(suites.len() == 2 && suites[0].contains("custom-html") && suites[1].contains("hello"), "{output}");
    let life = |run: &Path| -> Vec<String> {
        journal(run).lines().filter(|line| line.contains("admitted") || line.contains("run-finished")).map(at).collect()
    };
    let lives: Vec<Vec<String>> = env.runs().iter().map(|run| life(run)).collect();
    let [one, other] = &lives[..] else { panic!("{lives:?}") };
    assert!(one[0] < other[1] && other[0] < one[1], "they did not run at the same time: {lives:?}");
    env.taster(&["run", "--all", "--except", "hallo"]).exit(2).says("--except names hallo").says("custom-html, ghost, hello");
    env.taster(&["run", "--all", "--recipe", "hello"]).exit(2).says("cannot be used with");
    env.taster(&["run", "--jobs", "2", "--recipe", "hello"]).exit(2).says("cannot be used with");
    env.assert_nothing_left();
}

/// The time of an event.
fn at(line: &str) -> String {
    serde_json::from_str::<Value>(line).unwrap()["at"].as_str().unwrap().to_owned()
}

fn crash_loop_is_red_with_exit_code_and_last_lines(env: &TestEnv<'_>) {
    let run = env.run("hello-crash").tiers("install").expect(Red);

    run.says("red (install failed)")
        .says("why (recipe)")
        .says("exited with 3")
        .says("the specimen was asked to crash")
        .says("evidence/deploy.txt")
        .tier("install", Fail)
        // An app that did not come up gets no request.
        .step("http", Unver)
        .step("deploy", Fail)
        .owned_by("recipe")
        .cause("crash-loop")
        .step_value("/outcome/detail/cause/exit", 3)
        // A crash loop is named as soon as it is known: Swarm would restart the task for ever.
        .that("it crashed three to five times", |results| {
            let deploy = find_step(results, "deploy").unwrap();
            deploy["outcome"]["detail"]["cause"]["times"].as_u64().is_some_and(|times| (3..=5).contains(&times))
        })
        .file("evidence/deploy.txt", "the specimen was asked to crash")
        .nothing_left();
}

fn app_that_never_answers_is_red(env: &TestEnv<'_>) {
    let run = env.run("hello-silent").tiers("install").expect(Red);

    run.says("red (install failed)")
        .says("why (recipe)")
        .says("all services settled, but")
        .step("http", Fail)
        .owned_by("recipe")
        .cause("not-serving")
        .nothing_left();
}

fn wrong_router_rule_is_red_with_its_names(env: &TestEnv<'_>) {
    let run = env.run("hello-wrong-host").tiers("install").expect(Red);

    let domain = run.results["domain"].as_str().unwrap().to_owned();
    run.says("red (install failed)")
        .says("why (recipe)")
        .says(&format!("the ingress has no route to this name; the router rules name only lost.{domain}"))
        .step("http", Fail)
        .cause("not-serving")
        .nothing_left();
}

/// Two runs on terminals of 40 columns: one with colours, and one with `NO_COLOR`.
fn terminal_shows_progress_and_plain_lines_on_request(env: &TestEnv<'_>) {
    let on_a_terminal = |plain: &str| {
        let line = format!("stty cols 40; exec '{}' --recipe hello --tiers install", sandbox_fixture::env().exe.display());
        let mut script = Command::new("script");
        env.equip(&mut script).args(["-qec", &line, "/dev/null"]);
        started(script.env("TERM", "xterm").env("NO_COLOR", plain))
    };
    let (coloured, plain) = (on_a_terminal(""), on_a_terminal("1"));

    let (coloured, plain) = (CommandOutput::soon(coloured), CommandOutput::soon(plain));

    coloured.exit(0).says("\u{1b}[2K").says("deploy 1.").says("  app: ").says(" for 0.");
    coloured.says("\u{1b}[32mgreen\u{1b}[0m (install)").never_says("waiting:");
    plain.exit(0).says("  waiting: app: ").says("deploy: passed in").says("\ngreen (install)").never_says("\u{1b}");
    env.assert_nothing_left();
}

/// A copy of the recipe with an uncommitted change and a file that git does not know.
fn folder_is_tested_as_it_is_and_left_unchanged(env: &TestEnv<'_>) {
    let copy = env.copy_of("hello");
    let to = copy.display().to_string();
    let sample = fs::read_to_string(copy.join(".env.sample")).unwrap();
    fs::write(copy.join(".env.sample"), format!("{sample}\n# A change.\n")).unwrap();
    fs::write(copy.join("notes.txt"), "mine\n").unwrap();
    let status = || {
        let log = printed(Command::new("git").args(["-C", &to, "log", "--all", "--oneline"]), &["git", "log"]);
        log + &printed(Command::new("git").args(["-C", &to, "status", "--porcelain", "--branch"]), &["git", "status"])
    };
    let before = status();

    let run = env.run("hello").path(&copy).tiers("install").expect(Green);

    run.says("with uncommitted changes").says(&format!("--path {to}")).value("/dirty", true).nothing_left();
    assert_eq!(status(), before, "the folder is as it was");
}
