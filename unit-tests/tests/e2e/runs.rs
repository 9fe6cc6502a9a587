//! Whole runs on a real Swarm: green ones, and recipes that fail in their own way.

use std::{fs, path::Path, process::Command, time::Duration};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use unit_tests::{
    engine::{printed, until},
    sandbox_fixture::{self, SandboxFixture},
    test_env::{TestEnv, between, ended, journal, results, started},
};

/// A test and its name.
pub(crate) type Test = (&'static str, fn(&TestEnv<'_>));

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    on_stages(
        fixture,
        &[
            ("runs::hello_is_green_and_its_results_are_true_all_the_way", hello),
            ("runs::custom_html_is_green", custom_html),
            ("runs::an_app_that_ignores_its_end_is_swept_fast", grace),
            ("runs::two_that_want_the_same_port_run_one_after_the_other", port),
            ("runs::all_recipes_are_tasted_two_at_a_time_and_told_in_one_table", all),
            ("runs::a_crash_loop_is_red_with_exit_code_and_last_words", crash),
            ("runs::an_app_that_never_answers_is_red", silent),
            ("runs::a_wrong_router_rule_is_red_with_the_names_in_it", lost),
            ("runs::a_terminal_sees_what_goes_on_and_no_colour_means_plain_lines", terminal),
            ("runs::a_folder_is_tasted_as_it_is_and_left_so", folder),
        ],
    )
}

/// Each test on a env of its own.
pub(crate) fn on_stages(fixture: Option<&SandboxFixture>, tests: &[Test]) -> Vec<Trial> {
    let trial = |&(name, test): &Test| {
        let fixture = fixture.cloned();
        Trial::test(name, move || {
            let fixture = fixture.ok_or_else(|| Failed::from("there is no sandbox"))?;
            test(&TestEnv::new(&fixture));
            Ok(())
        })
    };
    tests.iter().map(trial).collect()
}

/// The env of a step.
pub(crate) fn stage_of<'a>(results: &'a Value, step: &str) -> &'a Value {
    let stages = results["stages"].as_array().expect("stages");
    stages.iter().find(|env| env["name"] == step).unwrap_or_else(|| panic!("no step {step} in {results}"))
}

fn hello(env: &TestEnv<'_>) {
    let run = env.start(&["--recipe", "hello"]);
    until("there are results", || env.runs().iter().any(|run| run.join("results.json").exists()));
    let stub = env.results();
    assert_ne!(stub["verdict"]["outcome"], "green", "{stub}");
    assert!(stub["finished"].is_null(), "{stub}");
    env.reached(r#""event":"step-finished","step":"provision""#);
    until("the results speak of the step", || env.results()["stages"][0]["status"] == "pass");
    let between_steps = env.results();
    assert_eq!(between_steps["verdict"]["outcome"], "inconclusive", "{between_steps}");

    let told = ended(run);
    told.assert(0, &["green (install, upgrade, backup, restore", "left behind: nothing", "answer-upgrade: passed"]);
    let results = env.results();
    assert_eq!(results["verdict"]["outcome"], "green");
    assert_eq!(results["exit_code"], 0);
    assert_eq!(results["results"]["install"], "pass");
    assert_eq!(results["results"]["upgrade"], "pass");
    assert_eq!(results["hygiene"]["residue"].as_array().map(Vec::len), Some(0), "{results}");
    assert!(results["finished"].is_string() && results["claimed"] == serde_json::json!([]), "{results}");
    assert!(told.err.contains(results["version"].as_str().unwrap()), "the head is told:\n{told}");
    env.assert_zero();
}

fn custom_html(env: &TestEnv<'_>) {
    env.run(&["--recipe", "custom-html"]).assert(0, &["green (install, upgrade, backup, restore", "left behind: nothing"]);
    env.assert_zero();
}

fn grace(env: &TestEnv<'_>) {
    env.run(&["--recipe", "hello-grace", "--tiers", "install"]).assert(0, &["green (install)", "left behind: nothing"]);
    let journal = journal(&env.only_run());
    let swept = between(&journal, r#""event":"step-started","step":"undeploy""#, r#""event":"step-finished","step":"sweep""#);
    // Swarm alone would wait for the whole grace of the service, a minute.
    assert!(swept < Duration::from_secs(60), "{swept:?}");
    env.assert_zero();
}

fn port(env: &TestEnv<'_>) {
    let asked = ["--recipe", "hello-port", "--tiers", "install"];
    let first = env.start(&asked);
    env.reached(r#""event":"admitted""#);
    let second = ended(env.start(&asked));
    second.assert(0, &["green (install)", "waiting for port 18099/tcp, which run ", " of hello-port has"]);
    let first = ended(first);
    first.assert(0, &["green (install)"]);
    let results = results(&env.runs()[0]);
    let checks = stage_of(&results, "answer")["tests"].to_string();
    assert!(
        checks.contains("accepts 2 connections in a row to port 18099") && checks.contains("/health answers with 200"),
        "{checks}"
    );
    let when = |run: &Path, event: &str| {
        let journal = journal(run);
        at(journal.lines().find(|line| line.contains(&format!(r#""event":"{event}""#))).unwrap_or_else(|| panic!("{event}")))
    };
    let mut lives: Vec<[String; 2]> = env.runs().iter().map(|run| [when(run, "admitted"), when(run, "run-finished")]).collect();
    lives.sort();
    assert!(lives.len() == 2 && lives[1][0] >= lives[0][1], "the second was admitted while the first had the port: {lives:?}");
    env.assert_zero();
}

fn all(env: &TestEnv<'_>) {
    env.fixture.provide("custom-html");
    let told = env.run(&["run", "--all", "--except", "ghost", "--tiers", "install", "--format", "junit"]);
    told.assert(0, &["hello       | ", "custom-html | ", "green (install)"]);
    let suites: Vec<&str> = told.out.lines().filter(|line| line.contains("<testsuite ")).collect();
    assert!(suites.len() == 2 && suites[0].contains("custom-html") && suites[1].contains("hello"), "{told}");
    let lives: Vec<Vec<String>> = env
        .runs()
        .iter()
        .map(|run| {
            journal(run).lines().filter(|line| line.contains("admitted") || line.contains("run-finished")).map(at).collect()
        })
        .collect();
    let [one, other] = &lives[..] else { panic!("{lives:?}") };
    assert!(one[0] < other[1] && other[0] < one[1], "they did not run beside each other: {lives:?}");
    env.run(&["run", "--all", "--except", "hallo"]).assert(2, &["--except names hallo", "there are "]);
    env.run(&["run", "--all", "--recipe", "hello"]).assert(2, &["cannot be used with"]);
    env.run(&["run", "--jobs", "2", "--recipe", "hello"]).assert(2, &["cannot be used with"]);
    env.assert_zero();
}

/// When an event happened.
fn at(line: &str) -> String {
    serde_json::from_str::<Value>(line).unwrap()["at"].as_str().unwrap().to_owned()
}

fn crash(env: &TestEnv<'_>) {
    let told = env.run(&["--recipe", "hello-crash", "--tiers", "install"]);
    told.assert(1, &["red (install)", "why (recipe)", "exited with 3", "the specimen was told to crash", "evidence/deploy.txt"]);
    let results = env.results();
    let deploy = stage_of(&results, "deploy");
    assert_eq!(deploy["name"], "deploy");
    assert_eq!(deploy["owner"], "recipe");
    let cause = &deploy["outcome"]["detail"]["cause"];
    assert_eq!((&cause["cause"], &cause["exit"]), (&"crash-loop".into(), &3.into()), "{results}");
    assert_eq!(results["results"]["install"], "fail");
    assert_eq!(stage_of(&results, "answer")["status"], "unver", "what comes after is not asked");
    let evidence = fs::read_to_string(env.only_run().join("evidence/deploy.txt")).unwrap();
    assert!(evidence.contains("the specimen was told to crash"), "{evidence}");
    // It is named as soon as it is known, not after a time: Swarm would go on for ever.
    assert!(cause["times"].as_u64().is_some_and(|times| (3..=5).contains(&times)), "{results}");
    env.assert_zero();
}

fn silent(env: &TestEnv<'_>) {
    let told = env.run(&["--recipe", "hello-silent", "--tiers", "install"]);
    told.assert(1, &["red (install)", "why (recipe)", "all services settled, but"]);
    let results = env.results();
    let answer = stage_of(&results, "answer");
    assert_eq!(answer["owner"], "recipe");
    assert_eq!(answer["outcome"]["detail"]["cause"]["cause"], "not-serving", "{results}");
    env.assert_zero();
}

fn lost(env: &TestEnv<'_>) {
    let told = env.run(&["--recipe", "hello-lost", "--tiers", "install"]);
    let results = env.results();
    let domain = results["domain"].as_str().unwrap();
    let sentence = format!("the ingress knows no route to this name; the router rules name only lost.{domain}");
    told.assert(1, &["red (install)", "why (recipe)", &sentence]);
    assert_eq!(stage_of(&results, "answer")["outcome"]["detail"]["cause"]["cause"], "not-serving", "{results}");
    env.assert_zero();
}

/// Two runs on terminals of 40 columns: one that draws, and one whose user wants no colour.
fn terminal(env: &TestEnv<'_>) {
    let on_a_terminal = |no_colour: &str| {
        let line = format!("stty cols 40; exec '{}' --recipe hello --tiers install", sandbox_fixture::env().exe.display());
        let mut script = Command::new("script");
        env.equip(&mut script).args(["-qec", &line, "/dev/null"]);
        started(script.env("TERM", "xterm").env("NO_COLOR", no_colour))
    };
    let (drawn, plain) = (on_a_terminal(""), on_a_terminal("1"));
    let (drawn, plain) = (ended(drawn), ended(plain));
    drawn.assert(0, &["\u{1b}[2K", "deploy 1.", "  app: ", " for 0.", "\u{1b}[32mgreen\u{1b}[0m (install)"]);
    assert!(!drawn.out.contains("waiting:"), "what is waited for does not stay:\n{drawn}");
    plain.assert(0, &["  waiting: app: ", "deploy: passed in", "\ngreen (install)"]);
    assert!(!plain.out.contains('\u{1b}'), "{plain}");
    env.assert_zero();
}

/// A copy of the recipe with a change that nobody committed and a file that git does not know.
fn folder(env: &TestEnv<'_>) {
    let copy = env.copy_of("hello");
    let to = copy.display().to_string();
    let mut sample = fs::read_to_string(copy.join(".env.sample")).unwrap();
    sample.push_str("\n# A change.\n");
    fs::write(copy.join(".env.sample"), sample).unwrap();
    fs::write(copy.join("notes.txt"), "mine\n").unwrap();
    let status = || {
        let log = printed(Command::new("git").args(["-C", &to, "log", "--all", "--oneline"]), &["git", "log"]);
        log + &printed(Command::new("git").args(["-C", &to, "status", "--porcelain", "--branch"]), &["git", "status"])
    };
    let before = status();
    let told = env.run(&["--recipe", "hello", "--path", &to, "--tiers", "install"]);
    told.assert(0, &["green (install)", "with uncommitted changes", &format!("--path {to}")]);
    assert_eq!(results(&env.only_run())["dirty"], true);
    assert_eq!(status(), before, "the folder is as it was");
    env.assert_zero();
}
