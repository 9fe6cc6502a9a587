//! An app that prints its secret and dies: nobody who reads the run's folder or its terminal learns it.

use std::{path::Path, process::Command};

use data_encoding::BASE64;
use libtest_mimic::Trial;
use unit_tests::{
    engine::until,
    sandbox_fixture::{SandboxFixture, IMAGE},
    test_env::{TestEnv, ended, run_id},
};

use super::runs::on_stages;

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    on_stages(
        fixture,
        &[
            ("redact::a_secret_that_the_app_prints_is_hidden_in_all_that_the_run_leaves", leak),
            ("redact::a_plan_does_not_tell_the_password_of_a_sample", planned),
        ],
    )
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

fn leak(env: &TestEnv<'_>) {
    let recipe = env.recipe("hello-leak", &COMPOSE.replace("IMAGE", IMAGE), SAMPLE);
    let run = env.start(&["--recipe", "hello-leak", "--path", &recipe.display().to_string()]);
    // What was printed is asked of the engine, not of the code under test.
    let mut said = String::new();
    until("the app has printed its secret", || {
        said = printed_by_the_app(env);
        said.contains("token=") && said.contains("mail=")
    });
    let told = ended(run);
    told.assert(1, &["red (install, upgrade, backup, restore", "why (recipe)", "exited with 3", "token=•••", "mail=•••"]);

    let secret = between(&said, "token=", ".\n");
    assert_eq!(secret.len(), 40, "abra made a secret of the length that was asked for: {said}");
    let base64 = BASE64.encode(secret.as_bytes());
    let folder = env.only_run();
    for text in [secret, &base64[..50], "m4il-p4ss"] {
        assert_eq!(files_with(&folder, text), Vec::<String>::new(), "{text} is in no file");
        assert!(!told.out.contains(text) && !told.err.contains(text), "{text} was not printed:\n{told}");
    }
    assert!(files_with(&folder, "token=•••").iter().any(|file| file.ends_with("evidence/deploy.txt")), "the evidence is kept");
    assert!(files_with(&folder, "\"value\":\"•••\"").iter().any(|file| file.contains("app-secret-generate")));
    assert_eq!(env.results()["flags"]["no_secret_leak"], true);
    env.assert_zero();
}

/// A recipe that puts the password of its sample where a plan quotes the recipe.
fn planned(env: &TestEnv<'_>) {
    let compose = "version: \"3.8\"\nservices:\n  app:\n    image: taster.test/${SMTP_PASSWORD}:1\n";
    let sample = "TYPE=hello-leak\nDOMAIN=hello-leak.example.com\nSMTP_PASSWORD=m4il-p4ss\n";
    let recipe = env.recipe("hello-leak", compose, sample);
    for more in [&[][..], &["--json"]] {
        let told = env.run(&[&["plan", "--recipe", "hello-leak", "--path", &recipe.display().to_string()], more].concat());
        told.assert(0, &["taster.test/•••:1"]);
        assert!(!format!("{told}").contains("m4il-p4ss"), "{told}");
        assert!(more.is_empty() || serde_json::from_str::<serde_json::Value>(&told.out).is_ok(), "{told}");
    }
}

/// The log of a container of the only run's stack; empty as long as there is none.
fn printed_by_the_app(env: &TestEnv<'_>) -> String {
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

/// The files below `folder` with `text` in them, by the word of grep.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let grep = Command::new("grep").args(["-rlaF", "-e", text]).arg(folder).output().unwrap();
    assert!(matches!(grep.status.code(), Some(0 | 1)), "{grep:?}");
    String::from_utf8(grep.stdout).unwrap().lines().map(str::to_owned).collect()
}
