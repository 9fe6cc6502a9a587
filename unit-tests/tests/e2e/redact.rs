//! An app that prints its secret and dies: neither the run's folder nor its output shows the secret.

use std::{path::Path, process::Command};

use data_encoding::BASE64;
use libtest_mimic::Trial;
use unit_tests::{
    engine::until,
    sandbox_fixture::{IMAGE, SandboxFixture},
    test_env::{TestEnv, run_id},
    test_run::Outcome::Red,
};

use crate::trials::{e2e_tests, in_env};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(fixture, &e2e_tests![secret_printed_by_the_app_is_hidden_everywhere, password_of_a_sample_is_public_in_a_plan])
}

/// A recipe with one secret, which its service prints, plain and in base64, before it fails; and a password in its `.env`.
const COMPOSE: &str = r#"version: "3.8"
services:
  app:
    image: IMAGE
    command: ["busybox", "sh", "-c", "busybox cat /run/secrets/token | busybox sed 's/^/token=/;s/$$/./'; echo; busybox base64 /run/secrets/token; echo mail=$$MAIL.; exit 3"]
    environment:
      - MAIL=${SMTP_PASSWORD}
    secrets: [token]
    networks: [proxy]
    deploy:
      restart_policy:
        condition: on-failure
        delay: 1s
secrets:
  token:
    external: true
    name: ${STACK_NAME}_token_${SECRET_TOKEN_VERSION}
networks:
  proxy:
    external: true
"#;
const SAMPLE: &str = "TYPE=hello-leak\nDOMAIN=hello-leak.example.com\nLETS_ENCRYPT_ENV=production\nSMTP_PASSWORD=m4il-p4ss&word\nSECRET_TOKEN_VERSION=v1 # length=40\n";

fn secret_printed_by_the_app_is_hidden_everywhere(env: &TestEnv<'_>) {
    let recipe = env.recipe("hello-leak", &COMPOSE.replace("IMAGE", IMAGE), SAMPLE);
    let run = env.run("hello-leak").path(&recipe).start();
    // The engine shows what the app printed, so that the check does not use the code under test.
    let mut log = String::new();
    until("the app has printed its secret", || {
        log = log_of_the_app(env);
        log.contains("token=") && log.contains("mail=")
    });

    let run = run.expect(Red);

    let secret = between(&log, "token=", ".\n");
    assert_eq!(secret.len(), 40, "the recipe asks for a secret of this length: {log}");
    let base64 = BASE64.encode(secret.as_bytes());
    let mut run = run
        .says("red (install failed; ")
        .says("why (recipe)")
        .says("exited with 3")
        .says("token=•••")
        .says("mail=m4il-p4ss")
        .value("/flags/no_secret_leak", true)
        .file("evidence/deploy.txt", "token=•••");
    for text in [secret, &base64[..50], &secret[..8]] {
        assert_eq!(files_with(&run.folder, text), Vec::<String>::new(), "{text} is in no file");
        run = run.never_says(text);
    }
    let hidden = files_with(&run.folder, "\"value\":\"•••\"");
    assert!(hidden.iter().any(|file| file.contains("app-secret-generate")), "{hidden:?}");
    env.assert_nothing_left();
}

/// Anybody can read the sample, so the plan quotes the recipe where it uses a password of it.
fn password_of_a_sample_is_public_in_a_plan(env: &TestEnv<'_>) {
    let compose = "version: \"3.8\"\nservices:\n  app:\n    image: taster.test/${SMTP_PASSWORD}:1\n";
    let sample = "TYPE=hello-leak\nDOMAIN=hello-leak.example.com\nSMTP_PASSWORD=m4il-p4ss\n";
    let recipe = env.recipe("hello-leak", compose, sample).display().to_string();
    let plan = ["plan", "--recipe", "hello-leak", "--path", &recipe];

    let text = env.taster(&plan);
    let json = env.taster(&[&plan[..], &["--json"]].concat());

    text.exit(0).says("taster.test/m4il-p4ss:1");
    json.exit(0).says("taster.test/m4il-p4ss:1");
    assert!(serde_json::from_str::<serde_json::Value>(&json.out).is_ok(), "{json}");
}

/// The log of a container of the only run's stack; empty as long as there is none.
fn log_of_the_app(env: &TestEnv<'_>) -> String {
    let Some(run) = env.runs().into_iter().next() else { return String::new() };
    let stack = format!("helloleak-{}", run_id(&run).token());
    let containers = env.fixture.engine.ask(&["ps", "-aq", "--filter", &format!("name={stack}")]);
    let Some(container) = containers.lines().next() else { return String::new() };
    let log = env.fixture.engine.docker().args(["logs", container]).output().unwrap();
    String::from_utf8_lossy(&log.stdout).into_owned()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).unwrap_or_else(|| panic!("{text}")).0
}

/// The files below `folder` with `text` in them, according to grep.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let grep = Command::new("grep").args(["-rlaF", "-e", text]).arg(folder).output().unwrap();
    assert!(matches!(grep.status.code(), Some(0 | 1)), "{grep:?}");
    String::from_utf8(grep.stdout).unwrap().lines().map(str::to_owned).collect()
}
