//! Upgrades on a real Swarm: successful ones, heads and bases that fail, and requests that are refused.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use unit_tests::{
    engine::{printed, until},
    sandbox_fixture::SandboxFixture,
    test_env::{TestEnv, journal},
    test_run::{
        FinishedRun,
        Outcome::{Green, Inconclusive, Red},
        RunningRun,
        Status::{self, Fail, Pass, Unver},
    },
};

use crate::trials::{e2e_tests, in_env};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            unhealthy_head_is_rolled_back_and_red,
            paused_update_is_red,
            rollback_for_an_image_that_its_registry_lacks_is_red,
            rollback_for_a_registry_that_limits_pulls_is_inconclusive,
            old_task_that_answers_does_not_hide_an_unhealthy_successor,
            config_changed_in_place_is_red_and_base_still_runs,
            secrets_and_settings_are_migrated,
            service_dropped_by_head_is_removed,
            upgrade_without_a_change_is_inconclusive,
            lightweight_tag_deploys_base_as_checked_out,
            base_that_does_not_install_is_inconclusive,
            base_repaired_by_the_pack_is_upgraded_to_an_unrepaired_head,
            base_that_does_not_answer_is_inconclusive,
            named_base_is_deployed_by_its_version,
            impossible_base_is_refused,
            foreign_deploy_during_the_upgrade_is_inconclusive,
            foreign_rollback_is_the_infrastructures_failure,
        ],
    )
}

const INSTALL: &[&str] = &["provision", "deploy", "verify-compose", "http", "stable"];
const UPGRADE: &[&str] = &["migrate", "upgrade", "verify-head", "http-upgrade", "stable-upgrade"];
const CLEAN_UP: &[&str] = &["undeploy", "cleanup", "compare-host"];
const TIERS: &str = "install,upgrade";
/// The journal line of an upgrade that waits for its tasks.
const UPGRADING: &str = r#""step":"upgrade","waiting_for":["app: running"#;

/// Expects that both tiers passed, that head runs in the end, and that nothing is left.
fn upgraded(run: FinishedRun<'_>) -> FinishedRun<'_> {
    run.expect(Green)
        .says("green (install, upgrade)")
        .steps(INSTALL, Pass)
        .steps(UPGRADE, Pass)
        .steps(CLEAN_UP, Pass)
        .tier("install", Pass)
        .tier("upgrade", Pass)
        .level(2)
        .deploys(1)
        .ends_on("head")
        .nothing_left()
}

/// Expects that the install passed, that the step `upgrade` ended with `status`, that the steps after it did not run, and that
/// nothing is left.
fn not_upgraded(run: FinishedRun<'_>, status: Status) -> FinishedRun<'_> {
    run.steps(INSTALL, Pass)
        .step("migrate", Pass)
        .steps(CLEAN_UP, Pass)
        .steps(&["verify-head", "http-upgrade", "stable-upgrade"], Unver)
        .tier("install", Pass)
        .tier("upgrade", status)
        .level(1)
        .deploys(1)
        .nothing_left()
        .step("upgrade", status)
}

/// Expects a red run whose step `upgrade` failed by the recipe's fault.
fn upgrade_failed<'a>(run: FinishedRun<'a>, cause: &str) -> FinishedRun<'a> {
    let run = run.expect(Red).says("red (upgrade failed; install passed)").says("level 1: upgrade failed").says("why (recipe)");
    not_upgraded(run, Fail).owned_by("recipe").cause(cause)
}

/// The message of the health check of these recipes' heads.
const HEALTH: &str =
    "its health check had failed; the check itself printed: GET http://127.0.0.1/health: 500 Internal Server Error";

/// Expects that the message is about the task that ended, one of two.
fn names_the_failed_task(run: FinishedRun<'_>) -> FinishedRun<'_> {
    let run = run.message(HEALTH).step_value("/outcome/detail/excerpt", json!(["the specimen listens on port 80"]));
    let message = run.failure()["message"].as_str().unwrap();
    let tasks = run.results["tasks"].as_array().unwrap().iter();
    let tried: Vec<&str> = tasks.filter(|task| task["step"] == "upgrade").map(|task| task["task"].as_str().unwrap()).collect();
    assert!(tried.iter().any(|task| message.contains(task)), "one of {tried:?} is named in {message}");
    let evidence = run.failure()["evidence"].as_str().unwrap().to_owned();
    run.file(&evidence, HEALTH).file(&evidence, "log of task")
}

fn unhealthy_head_is_rolled_back_and_red(env: &TestEnv<'_>) {
    let run = env.run("hello-rollback").tiers(TIERS).finish();

    let run = upgrade_failed(run, "rolled-back").ends_on("base");
    names_the_failed_task(run).says("Swarm rolled the update back").says("evidence/upgrade.txt").says(HEALTH);
}

fn paused_update_is_red(env: &TestEnv<'_>) {
    let run = env.run("hello-pause").tiers(TIERS).finish();

    let run = upgrade_failed(run, "paused").ends_on("mixed");
    names_the_failed_task(run);
}

/// The address of a registry that answers each question about an image with this status and this error, until the test program
/// ends.
fn registry(status: &'static str, code: &'static str, message: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            thread::spawn(move || answer(stream, status, code, message));
        }
    });
    address
}

/// Answers one request and ends the connection.
fn answer(mut stream: TcpStream, status: &str, code: &str, message: &str) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let request = lines.next()?.ok()?;
    lines.find(|line| line.as_ref().is_ok_and(String::is_empty))?.ok()?;
    let (status, body) = match request.split(' ').nth(1)? {
        "/v2/" => ("200 OK", "{}".to_owned()),
        _ => (status, json!({ "errors": [{ "code": code, "message": message }] }).to_string()),
    };
    let head = "Docker-Distribution-Api-Version: registry/2.0\r\nContent-Type: application/json\r\nConnection: close";
    write!(stream, "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()
}

/// A run whose head has an image of this registry, and whose update Swarm rolls back.
fn with_image_of<'a>(env: &'a TestEnv<'_>, registry: &str) -> FinishedRun<'a> {
    let copy = env.copy_of("hello");
    let file = copy.join("compose.yml");
    let compose = fs::read_to_string(&file).unwrap();
    let image = compose.lines().find(|line| line.trim_start().starts_with("image:")).unwrap();
    fs::write(&file, compose.replace(image, &format!("    image: {registry}/shop/app:1.0"))).unwrap();
    env.run("hello").path(&copy).tiers(TIERS).finish()
}

fn rollback_for_an_image_that_its_registry_lacks_is_red(env: &TestEnv<'_>) {
    let run = with_image_of(env, &registry("404 Not Found", "MANIFEST_UNKNOWN", "manifest unknown"));

    upgrade_failed(run, "rolled-back")
        .step_value("/outcome/detail/cause/because", "image-unknown")
        .message("its registry does not have the image: it answers: manifest unknown")
        .ends_on("base")
        .says("manifest unknown");
}

fn rollback_for_a_registry_that_limits_pulls_is_inconclusive(env: &TestEnv<'_>) {
    let limit = "You have reached your pull rate limit.";
    let run = with_image_of(env, &registry("429 Too Many Requests", "TOOMANYREQUESTS", limit));

    not_upgraded(run.expect(Inconclusive), Fail)
        .owned_by("infrastructure")
        .cause("rolled-back")
        .step_value("/outcome/detail/cause/because", "registry-limit")
        .message(limit)
        .ends_on("base");
}

fn old_task_that_answers_does_not_hide_an_unhealthy_successor(env: &TestEnv<'_>) {
    let mut run = env.run("hello-stuck").tiers(TIERS).start();
    // On a busy machine the first end may be observed together with the second.
    run.reached("exited with 0 (");
    let domain = run.results()["domain"].as_str().unwrap().to_owned();
    let page = env.page(&domain, "/");
    assert!(page.contains(" 200") && page.contains("hello-stuck"), "the old task answers:\n{page}");

    let run = run.finish();

    upgrade_failed(run, "unhealthy")
        .message(HEALTH)
        .ends_on("mixed")
        // The old task still ran; Swarm may or may not have asked it to stop yet.
        .file("evidence/upgrade.txt", ", is Running");
}

fn config_changed_in_place_is_red_and_base_still_runs(env: &TestEnv<'_>) {
    let run = env.run("hello-config").tiers(TIERS).finish();

    let run = upgrade_failed(run, "immutable-config").ends_on("base");
    let name = run.failure()["cause"]["name"].as_str().unwrap().to_owned();
    assert!(name.ends_with("_taster_test_motd_v1") && !name.contains(' '), "{name}");
    assert_eq!(run.failure()["message"].as_str().unwrap().lines().count(), 1, "{:#}", run.failure());
    run.says(&format!("config {name} is deployed already with other content")).says("raise its version");
}

fn secrets_and_settings_are_migrated(env: &TestEnv<'_>) {
    let engine = &env.fixture.engine;
    let mut run = env.run("hello-secrets").tiers(TIERS).start();
    run.reached(UPGRADING);
    let (app, stack) = app(&run);
    let secrets = engine.ask(&["secret", "ls", "--format", "{{.Name}}", "--filter", &format!("name={stack}_")]);
    let mut secrets: Vec<&str> = secrets.lines().map(|name| name.trim_start_matches(&format!("{stack}_"))).collect();
    secrets.sort_unstable();
    let variables = engine.ask(&["service", "inspect", "--format", "{{.Spec.TaskTemplate.ContainerSpec.Env}}", &app]);

    let run = run.finish();

    assert_eq!(secrets, ["key_v1", "token_v1", "token_v2"], "{}", run.output);
    assert!(variables.contains("GREETING=welcome"), "{variables}");
    let sentences = [
        "GREETING is new and was set to its default",
        "SECRET_KEY_VERSION is new and was set to its default",
        "SECRET_TOKEN_VERSION was raised from v1 to v2, so the secret is a new one",
        "secret key v1 is new and was generated",
        "secret token v2 is new and was generated",
    ];
    upgraded(run).value("/operator_must", json!(sentences)).value("/flags/no_secret_leak", true);
}

fn service_dropped_by_head_is_removed(env: &TestEnv<'_>) {
    let run = env.run("hello-dropped").tiers(TIERS).finish();

    let run = upgraded(run).value("/dropped", json!(["side"]));
    let services = |of: &str| run.results[of].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((services("images_before"), services("images")), (vec!["app".into(), "side".into()], vec!["app".into()]));
}

fn upgrade_without_a_change_is_inconclusive(env: &TestEnv<'_>) {
    let run = env.run("hello-same").tiers(TIERS).expect(Inconclusive);

    run.exit(3)
        .says("inconclusive (upgrade not verified: ")
        .steps(INSTALL, Pass)
        .steps(&["migrate", "upgrade", "http-upgrade", "stable-upgrade"], Pass)
        .step("verify-head", Unver)
        .step_value("/owner", Value::Null)
        .gap("no-change")
        .ends_on("head")
        .level(1)
        .value("/owner", Value::Null)
        .nothing_left();
}

/// The service `app` of a run, and its stack.
fn app(run: &RunningRun<'_>) -> (String, String) {
    let journal = journal(&run.folder());
    let events = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let stack =
        |event: Value| Some(event["what"].as_object().filter(|what| what["claimed"] == "stack")?["name"].as_str()?.to_owned());
    let stack = events.filter_map(stack).next().expect("a claimed stack");
    (format!("{stack}_app"), stack)
}

/// A label of abra on the base that `run` has just installed, by the end of its name.
fn label(env: &TestEnv<'_>, run: &mut RunningRun<'_>, name: &str) -> Option<String> {
    run.reached(r#""step":"deploy","waiting_for":["app: running"#);
    let (app, stack) = app(run);
    let labels = env.fixture.engine.ask(&["service", "inspect", "--format", "{{json .Spec.Labels}}", &app]);
    let labels: Value = serde_json::from_str(&labels).unwrap();
    labels[format!("coop-cloud.{stack}.{name}")].as_str().map(str::to_owned)
}

fn lightweight_tag_deploys_base_as_checked_out(env: &TestEnv<'_>) {
    let mut run = env.run("hello-light-tag").tiers(TIERS).start();
    let from = label(env, &mut run, "chaos-version");

    let run = run.finish();

    let run = upgraded(run)
        .remark("base 1.1.0+1.1.0 was deployed as it is checked out: abra pins only releases whose tags are all annotated")
        .value("/base_reason", "the highest release that head, labelled 2.0.0+1.1.0, replaces");
    let commit = run.results["base"]["commit"].as_str().unwrap();
    assert!(from.is_some_and(|from| commit.starts_with(from.trim_end_matches("+U"))), "{}", run.output);
}

fn named_base_is_deployed_by_its_version(env: &TestEnv<'_>) {
    let mut run = env.run("hello").args(&["--base", "1.0.0+1.0.0"]).tiers(TIERS).start();
    let labels = (label(env, &mut run, "version"), label(env, &mut run, "chaos-version"));

    let run = run.finish();

    assert_eq!(labels, (Some("1.0.0+1.0.0".into()), None), "base is deployed by its version:\n{}", run.output);
    upgraded(run).value("/base/version", "1.0.0+1.0.0").value("/base_reason", "chosen by --base").no_remark("checked out");
}

fn base_repaired_by_the_pack_is_upgraded_to_an_unrepaired_head(env: &TestEnv<'_>) {
    let run = env.run("hello-base-fixed").tiers(TIERS).finish();

    upgraded(run)
        .remark("compose.repair.yml")
        .remark("base 1.1.0+1.1.0 was deployed as it is checked out")
        .value("/resolver/differences", json!([]));
}

fn base_that_does_not_install_is_inconclusive(env: &TestEnv<'_>) {
    let run = env.run("hello-base-crash").tiers(TIERS).expect(Inconclusive);

    let run = run
        .exit(3)
        .says("inconclusive (install failed; ")
        .says("why (dependency): the base 1.1.0+1.1.0 does not install")
        .says("--base")
        .owner("dependency")
        .step("provision", Pass)
        .steps(UPGRADE, Unver)
        .steps(CLEAN_UP, Pass)
        .step("deploy", Fail)
        .owned_by("dependency")
        .cause("crash-loop")
        .step_value("/outcome/detail/cause/exit", 3)
        .ends_on("base")
        .nothing_left();
    let message = run.failure()["message"].as_str().unwrap();
    assert!(!message.contains("health check"), "it crashed by itself: {message}");
}

fn base_that_does_not_answer_is_inconclusive(env: &TestEnv<'_>) {
    let run = env.run("hello-host-fixed").tiers(TIERS).expect(Inconclusive);

    run.exit(3)
        .says("inconclusive (install failed; ")
        .says("why (dependency): the base 1.1.0+1.1.0 does not install")
        .says("--base")
        .steps(&["provision", "deploy", "verify-compose", "stable"], Pass)
        .step("http", Fail)
        .owned_by("dependency")
        .cause("not-serving")
        .steps(UPGRADE, Pass)
        .steps(CLEAN_UP, Pass)
        .tier("upgrade", Pass)
        .ends_on("head")
        .nothing_left();
}

fn impossible_base_is_refused(env: &TestEnv<'_>) {
    for (base, sentence) in [
        (
            "2.0.0+1.1.0",
            "--base is 2.0.0+1.1.0, which is head itself; name an older release, such as 1.1.0+1.1.0 or 1.0.0+1.0.0, or",
        ),
        ("9.9.9+9.9.9", "its newest release is 2.0.0+1.1.0"),
    ] {
        let run = env.run("hello").args(&["--base", base]).tiers(TIERS).finish();

        run.exit(2).says(base).says(sentence).value("/exit_code", 2).deploys(0).value("/head", Value::Null);
        env.assert_nothing_left();
    }
}

/// A run whose service `app` is changed from outside while it settles on head.
fn disturbed<'a>(env: &'a TestEnv<'_>, disturb: impl FnOnce(&str)) -> FinishedRun<'a> {
    let mut run = env.run("hello").tiers(TIERS).start();
    run.reached(UPGRADING);
    disturb(&app(&run).0);
    run.finish()
}

fn foreign_deploy_during_the_upgrade_is_inconclusive(env: &TestEnv<'_>) {
    let run = disturbed(env, |app| {
        let args = ["service", "update", "--detach", "--env-add", "FOREIGN=yes", app];
        assert!(env.fixture.engine.ok(&args), "{app} is changed");
    });

    let run = run.expect(Inconclusive).exit(3);
    not_upgraded(run, Unver).gap("interfered").ends_on("mixed");
}

fn foreign_rollback_is_the_infrastructures_failure(env: &TestEnv<'_>) {
    let engine = &env.fixture.engine;
    let socket = engine.socket().display().to_string();
    let run = disturbed(env, |app| {
        let inspected: Value = serde_json::from_str(&engine.ask(&["service", "inspect", app])).unwrap();
        let (service, spec) = (&inspected[0], inspected[0]["PreviousSpec"].to_string());
        let (id, index) = (service["ID"].as_str().unwrap(), &service["Version"]["Index"]);
        let url = format!("http://engine/services/{id}/update?version={index}");
        let args = ["-sS", "--fail", "--unix-socket", &socket, "-H", "Content-Type: application/json", "-d", &spec, &url];
        printed(Command::new("curl").args(args), &["curl", &url]);
        until("it is put back", || engine.ask(&["service", "inspect", app]).contains("1.1.0+1.1.0"));
    });

    let run = run.expect(Inconclusive).exit(3);
    not_upgraded(run, Fail).owned_by("infrastructure").cause("reverted").ends_on("base");
}
