//! Upgrades on a real Swarm: heads that are fine, and heads, bases and requests that are not, each in its own way.

use std::process::Command;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use unit_tests::{
    engine::{printed, until},
    sandbox_fixture::SandboxFixture,
    test_env::{TestEnv, CommandOutput, journal, results},
};

use super::runs::{on_stages, stage_of};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    on_stages(
        fixture,
        &[
            ("upgrade::a_head_that_is_not_healthy_is_rolled_back_and_tells_why", rolled_back),
            ("upgrade::an_update_that_swarm_pauses_is_red", paused),
            ("upgrade::an_old_task_that_still_answers_does_not_make_its_successor_green", stuck),
            ("upgrade::a_config_that_was_changed_in_place_is_named_and_base_still_runs", config),
            ("upgrade::secrets_and_settings_are_brought_up_as_an_operator_would", secrets),
            ("upgrade::a_service_that_head_dropped_is_found_and_removed", dropped),
            ("upgrade::an_upgrade_that_changes_nothing_proves_nothing", same),
            ("upgrade::a_tag_that_is_not_annotated_has_base_deployed_as_it_is_checked_out", lightweight),
            ("upgrade::a_base_that_does_not_install_says_nothing_about_head", bad_base),
            ("upgrade::a_base_that_the_pack_repairs_is_upgraded_to_a_head_without_the_repair", mended_base),
            ("upgrade::a_base_that_does_not_answer_says_nothing_about_head_either", mute_base),
            ("upgrade::a_base_that_is_named_is_deployed_by_its_version", named),
            ("upgrade::a_base_that_cannot_be_one_is_refused", refused),
            ("upgrade::what_somebody_else_deploys_in_between_is_not_judged", interfered),
            ("upgrade::a_spec_that_somebody_puts_back_is_told_apart_from_a_rollback", reverted),
        ],
    )
}

const INSTALL: &[&str] = &["provision", "deploy", "calibrate", "answer", "steady"];
const UPGRADE: &[&str] = &["migrate", "upgrade", "prove", "answer-upgrade", "steady-upgrade"];
const CLEAN_UP: &[&str] = &["undeploy", "sweep", "compare"];
const TIERS: [&str; 2] = ["--tiers", "install,upgrade"];

fn upgrades(env: &TestEnv<'_>, recipe: &str) -> CommandOutput {
    env.run(&[&["--recipe", recipe], &TIERS[..]].concat())
}

/// That all these steps ended so.
fn assert_steps(results: &Value, steps: &[&str], status: &str) {
    for step in steps {
        assert_eq!(stage_of(results, step)["status"], status, "{step} in {results:#}");
    }
}

/// That both tiers passed, that head runs in the end, and that nothing is left.
fn assert_green(env: &TestEnv<'_>, told: &CommandOutput) -> Value {
    told.assert(0, &["green (install, upgrade)", "level 2", "left behind: nothing"]);
    let results = results(env.runs().last().unwrap());
    for steps in [INSTALL, UPGRADE, CLEAN_UP] {
        assert_steps(&results, steps, "pass");
    }
    assert_eq!((&results["results"]["install"], &results["results"]["upgrade"]), (&json!("pass"), &json!("pass")));
    assert_eq!((&results["runs"], &results["deploys"], &results["level"]), (&json!("head"), &json!(1), &json!(2)));
    env.assert_zero();
    results
}

/// That the install passed, that the upgrade itself ended in this way, that what rests on it was not asked, and that nothing is left.
fn assert_not_upgraded(env: &TestEnv<'_>, told: &CommandOutput, exit: i32, status: &str) -> Value {
    told.assert(exit, &["left behind: nothing"]);
    let results = env.results();
    for steps in [INSTALL, &["migrate"], CLEAN_UP] {
        assert_steps(&results, steps, "pass");
    }
    assert_steps(&results, &["upgrade"], status);
    assert_steps(&results, &["prove", "answer-upgrade", "steady-upgrade"], "unver");
    assert_eq!((&results["results"]["install"], &results["results"]["upgrade"]), (&json!("pass"), &json!(status)));
    assert_eq!((&results["deploys"], &results["level"]), (&json!(1), &json!(1)));
    env.assert_zero();
    results
}

/// The failure of the step `upgrade` of a red run that is the recipe's fault.
fn assert_red(env: &TestEnv<'_>, told: &CommandOutput, cause: &str, runs: &str) -> Value {
    told.assert(1, &["red (install, upgrade)", "level 1: upgrade failed", "why (recipe)"]);
    let results = assert_not_upgraded(env, told, 1, "fail");
    assert_eq!((&results["verdict"]["outcome"], &results["runs"]), (&json!("red"), &json!(runs)), "{results:#}");
    let upgrade = stage_of(&results, "upgrade");
    assert_eq!(upgrade["owner"], "recipe");
    let failure = upgrade["outcome"]["detail"].clone();
    assert_eq!(failure["cause"]["cause"], cause, "{failure:#}");
    failure
}

/// What the health check of these recipes' heads says.
const HEALTH: &str = "its health check had failed; the check itself said: GET http://127.0.0.1/health: 500 Internal Server Error";

/// The failing task is the one of two that has ended.
fn assert_tells_of_the_task(env: &TestEnv<'_>, failure: &Value) {
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains(HEALTH), "{message}");
    assert_eq!(failure["excerpt"], json!(["the specimen listens on port 80"]), "{failure:#}");
    let results = env.results();
    let tasks = results["tasks"].as_array().unwrap().iter();
    let tried: Vec<&str> = tasks.filter(|task| task["step"] == "upgrade").map(|task| task["task"].as_str().unwrap()).collect();
    assert!(tried.iter().any(|task| message.contains(task)), "one of {tried:?} is named in {message}");
    let evidence = std::fs::read_to_string(env.only_run().join(failure["evidence"].as_str().unwrap())).unwrap();
    assert!(evidence.contains(HEALTH) && evidence.contains("log of task"), "{evidence}");
}

fn rolled_back(env: &TestEnv<'_>) {
    let told = upgrades(env, "hello-rollback");
    let failure = assert_red(env, &told, "rolled-back", "base");
    assert_tells_of_the_task(env, &failure);
    told.assert(1, &["Swarm rolled the update back", "evidence/upgrade.txt", HEALTH]);
}

fn paused(env: &TestEnv<'_>) {
    let told = upgrades(env, "hello-pause");
    let failure = assert_red(env, &told, "paused", "mixed");
    assert_tells_of_the_task(env, &failure);
}

fn stuck(env: &TestEnv<'_>) {
    let run = env.start(&[&["--recipe", "hello-stuck"], &TIERS[..]].concat());
    env.reached("exited with 0 (1 so far)");
    let domain = env.results()["domain"].as_str().unwrap().to_owned();
    let page = env.page(&domain, "/");
    assert!(page.contains(" 200") && page.contains("hello-stuck"), "the old task answers:\n{page}");
    let told = CommandOutput::after(run);
    let failure = assert_red(env, &told, "unhealthy", "mixed");
    assert!(failure["message"].as_str().unwrap().contains(HEALTH), "{failure:#}");
    let evidence = std::fs::read_to_string(env.only_run().join("evidence/upgrade.txt")).unwrap();
    // Whether Swarm wants its end by then, or not yet, is a matter of moments.
    assert!(evidence.contains(", is Running"), "the old task still ran: {evidence}");
}

fn config(env: &TestEnv<'_>) {
    let told = upgrades(env, "hello-config");
    let failure = assert_red(env, &told, "immutable-config", "base");
    let name = failure["cause"]["name"].as_str().unwrap();
    assert!(name.ends_with("_taster_test_motd_v1") && !name.contains(' '), "{name}");
    told.assert(1, &[&format!("config {name} is deployed already with other content"), "raise its version"]);
    assert!(failure["message"].as_str().unwrap().lines().count() == 1, "{failure:#}");
}

fn secrets(env: &TestEnv<'_>) {
    let run = env.start(&[&["--recipe", "hello-secrets"], &TIERS[..]].concat());
    env.reached(r#""step":"upgrade","waiting_for":["app: running"#);
    let (app, stack) = app(env);
    let made = env.fixture.engine.ask(&["secret", "ls", "--format", "{{.Name}}", "--filter", &format!("name={stack}_")]);
    let mut made: Vec<&str> = made.lines().map(|name| name.trim_start_matches(&format!("{stack}_"))).collect();
    made.sort_unstable();
    let env = env.fixture.engine.ask(&["service", "inspect", "--format", "{{.Spec.TaskTemplate.ContainerSpec.Env}}", &app]);
    let told = CommandOutput::after(run);
    assert_eq!(made, ["key_v1", "token_v1", "token_v2"], "{told}");
    assert!(env.contains("GREETING=welcome"), "{env}");
    let results = assert_green(env, &told);
    let sentences = [
        "GREETING is new and was set to its default",
        "SECRET_KEY_VERSION is new and was set to its default",
        "SECRET_TOKEN_VERSION was raised from v1 to v2, so the secret is a new one",
        "secret key v1 is new and was generated",
        "secret token v2 is new and was generated",
    ];
    assert_eq!(results["operator_must"], json!(sentences));
    assert_eq!(results["flags"]["no_secret_leak"], true);
}

fn dropped(env: &TestEnv<'_>) {
    let results = assert_green(env, &upgrades(env, "hello-dropped"));
    assert_eq!(results["dropped"], json!(["side"]));
    let services = |of: &str| results[of].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((services("images_before"), services("images")), (vec!["app".into(), "side".into()], vec!["app".into()]));
}

fn same(env: &TestEnv<'_>) {
    let told = upgrades(env, "hello-same");
    told.assert(3, &["inconclusive (install, upgrade), level 1: upgrade was not verified", "left behind: nothing"]);
    let results = env.results();
    assert_steps(&results, INSTALL, "pass");
    assert_steps(&results, &["migrate", "upgrade", "answer-upgrade", "steady-upgrade"], "pass");
    let prove = stage_of(&results, "prove");
    assert_eq!((&prove["status"], &prove["owner"]), (&json!("unver"), &Value::Null));
    assert_eq!(prove["outcome"]["detail"]["gap"], "no-change", "{prove:#}");
    assert_eq!((&results["runs"], &results["level"], &results["owner"]), (&json!("head"), &json!(1), &Value::Null));
    env.assert_zero();
}

/// The service `app` of the only run, and its stack.
fn app(env: &TestEnv<'_>) -> (String, String) {
    let journal = journal(&env.only_run());
    let events = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let stack =
        |event: Value| Some(event["what"].as_object().filter(|what| what["claimed"] == "stack")?["name"].as_str()?.to_owned());
    let stack = events.filter_map(stack).next().expect("a claimed stack");
    (format!("{stack}_app"), stack)
}

/// The label of abra that ends so, of the base that `run` has just installed.
fn label(env: &TestEnv<'_>, name: &str) -> Option<String> {
    env.reached(r#""step":"deploy","waiting_for":["app: running"#);
    let (app, stack) = app(env);
    let labels = env.fixture.engine.ask(&["service", "inspect", "--format", "{{json .Spec.Labels}}", &app]);
    let labels: Value = serde_json::from_str(&labels).unwrap();
    labels[format!("coop-cloud.{stack}.{name}")].as_str().map(str::to_owned)
}

fn lightweight(env: &TestEnv<'_>) {
    let run = env.start(&[&["--recipe", "hello-light"], &TIERS[..]].concat());
    let from = label(env, "chaos-version");
    let told = CommandOutput::after(run);
    let results = assert_green(env, &told);
    let commit = results["base"]["commit"].as_str().unwrap();
    assert!(from.is_some_and(|from| commit.starts_with(from.trim_end_matches("+U"))), "{told}");
    let remark = "base 1.1.0+1.1.0 was deployed as it is checked out: abra pins only releases whose tags are all annotated";
    assert!(results["remarks"].as_array().unwrap().contains(&json!(remark)), "{results:#}");
    assert_eq!(results["base_reason"], "the newest release before 2.0.0+1.1.0");
}

fn named(env: &TestEnv<'_>) {
    let run = env.start(&[&["--recipe", "hello", "--base", "1.0.0+1.0.0"], &TIERS[..]].concat());
    let labels = (label(env, "version"), label(env, "chaos-version"));
    let told = CommandOutput::after(run);
    let results = assert_green(env, &told);
    assert_eq!(labels, (Some("1.0.0+1.0.0".into()), None), "base is deployed by its version:\n{told}");
    assert_eq!((&results["base"]["version"], &results["base_reason"]), (&json!("1.0.0+1.0.0"), &json!("chosen by --base")));
    assert!(results["remarks"].as_array().unwrap().iter().all(|remark| !remark.as_str().unwrap().contains("checked out")));
}

fn mended_base(env: &TestEnv<'_>) {
    let told = upgrades(env, "hello-mended");
    let results = assert_green(env, &told);
    let remarks = results["remarks"].to_string();
    assert!(
        remarks.contains("compose.repair.yml") && remarks.contains("base 1.1.0+1.1.0 was deployed as it is checked out"),
        "{remarks}"
    );
    assert_eq!((&results["runs"], &results["resolver"]["differences"]), (&json!("head"), &json!([])), "{results:#}");
}

fn bad_base(env: &TestEnv<'_>) {
    let told = upgrades(env, "hello-badbase");
    told.assert(
        3,
        &["inconclusive (install, upgrade), level 0", "why (dependency): the base 1.1.0+1.1.0 does not install", "--base"],
    );
    let results = env.results();
    let deploy = stage_of(&results, "deploy");
    let failure = &deploy["outcome"]["detail"];
    assert_eq!((&deploy["owner"], &results["owner"]), (&json!("dependency"), &json!("dependency")));
    assert_eq!((&failure["cause"]["cause"], &failure["cause"]["exit"]), (&json!("crash-loop"), &json!(3)), "{failure:#}");
    assert!(!failure["message"].as_str().unwrap().contains("health check"), "it crashed by itself: {failure:#}");
    assert_steps(&results, &["provision"], "pass");
    assert_steps(&results, UPGRADE, "unver");
    assert_steps(&results, CLEAN_UP, "pass");
    assert_eq!(results["runs"], "base");
    env.assert_zero();
}

fn mute_base(env: &TestEnv<'_>) {
    let told = upgrades(env, "hello-found");
    told.assert(
        3,
        &["inconclusive (install, upgrade), level 0", "why (dependency): the base 1.1.0+1.1.0 does not install", "--base"],
    );
    let results = env.results();
    let answer = stage_of(&results, "answer");
    assert_eq!((&answer["owner"], &answer["outcome"]["detail"]["cause"]["cause"]), (&json!("dependency"), &json!("not-serving")));
    assert_steps(&results, &["provision", "deploy", "calibrate", "steady"], "pass");
    assert_steps(&results, UPGRADE, "pass");
    assert_steps(&results, CLEAN_UP, "pass");
    assert_eq!((&results["results"]["upgrade"], &results["runs"]), (&json!("pass"), &json!("head")));
    env.assert_zero();
}

fn refused(env: &TestEnv<'_>) {
    for (base, sentence) in [
        ("2.0.0+1.1.0", "--base is 2.0.0+1.1.0, which is head itself; name an older one, or leave the upgrade out with --tiers"),
        ("9.9.9+9.9.9", "its newest release is 2.0.0+1.1.0"),
    ] {
        env.run(&[&["--recipe", "hello", "--base", base], &TIERS[..]].concat()).assert(2, &[base, sentence]);
        let results = results(env.runs().last().unwrap());
        assert_eq!((&results["exit_code"], &results["deploys"], &results["head"]), (&json!(2), &json!(0), &Value::Null));
        env.assert_zero();
    }
}

/// A run whose service `app` is changed by somebody else while it settles on head.
fn disturbed(env: &TestEnv<'_>, disturb: impl FnOnce(&str)) -> CommandOutput {
    let run = env.start(&[&["--recipe", "hello"], &TIERS[..]].concat());
    env.reached(r#""step":"upgrade","waiting_for":["app: running"#);
    disturb(&app(env).0);
    CommandOutput::after(run)
}

fn interfered(env: &TestEnv<'_>) {
    let told = disturbed(env, |app| {
        let args = ["service", "update", "--detach", "--env-add", "SOMEBODY=else", app];
        assert!(env.fixture.engine.ok(&args), "{app} is changed");
    });
    let results = assert_not_upgraded(env, &told, 3, "unver");
    assert_eq!((&results["verdict"]["outcome"], &results["runs"]), (&json!("inconclusive"), &json!("mixed")));
    assert_eq!(stage_of(&results, "upgrade")["outcome"]["detail"]["gap"], "interfered", "{results:#}");
}

fn reverted(env: &TestEnv<'_>) {
    let socket = env.fixture.engine.socket().display().to_string();
    let told = disturbed(env, |app| {
        let inspected: Value = serde_json::from_str(&env.fixture.engine.ask(&["service", "inspect", app])).unwrap();
        let (service, spec) = (&inspected[0], inspected[0]["PreviousSpec"].to_string());
        let (id, index) = (service["ID"].as_str().unwrap(), &service["Version"]["Index"]);
        let url = format!("http://engine/services/{id}/update?version={index}");
        let args = ["-sS", "--fail", "--unix-socket", &socket, "-H", "Content-Type: application/json", "-d", &spec, &url];
        printed(Command::new("curl").args(args), &["curl", &url]);
        until("it is put back", || env.fixture.engine.ask(&["service", "inspect", app]).contains("1.1.0+1.1.0"));
    });
    let results = assert_not_upgraded(env, &told, 3, "fail");
    assert_eq!((&results["verdict"]["outcome"], &results["runs"]), (&json!("inconclusive"), &json!("base")), "{results:#}");
    let upgrade = stage_of(&results, "upgrade");
    assert_eq!(
        (&upgrade["owner"], &upgrade["outcome"]["detail"]["cause"]["cause"]),
        (&json!("infrastructure"), &json!("reverted"))
    );
}
