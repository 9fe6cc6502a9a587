//! What is asked for beyond the tiers, on a real Swarm: a disaster, everything done again, commands of the `.env`.

use std::fs;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use unit_tests::{
    sandbox_fixture::{self, SandboxFixture, IMAGE},
    test_env::{TestEnv, journal},
};

use super::runs::{on_stages, stage_of};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    on_stages(
        fixture,
        &[
            ("thorough::an_app_that_was_lost_comes_back_from_its_backup_with_its_secrets", disaster),
            ("thorough::hello_bears_to_be_deployed_started_and_installed_again", thorough),
            ("thorough::without_canaries_a_restore_proves_nothing", no_canaries),
            ("thorough::commands_of_the_env_are_performed_after_the_deploy", commands),
        ],
    )
}

fn assert_passed(results: &Value, steps: &[&str]) {
    for step in steps {
        assert_eq!(stage_of(results, step)["status"], "pass", "{step} in {results:#}");
    }
}

/// The status of the only canary at a moment.
fn seen<'a>(results: &'a Value, moment: &str) -> &'a Value {
    &results["canaries"][0]["seen"][moment]["status"]
}

fn disaster(env: &TestEnv<'_>) {
    let told = env.run(&["--recipe", "hello", "--tiers", "install,backup,restore", "--disaster"]);
    told.assert(
        0,
        &[
            "green (install, backup, restore)",
            "disaster: the app was back with its data after",
            "left behind: nothing",
            " --disaster",
        ],
    );
    let results = env.results();
    assert_passed(&results, &["disaster", "renew", "deploy-disaster", "restore-disaster", "answer-disaster", "steady-disaster"]);
    assert_eq!((seen(&results, "after-restore"), seen(&results, "after-disaster")), (&json!("pass"), &json!("pass")));
    assert_eq!(results["deploys"], 2);
    assert!(results["disaster_ms"].as_u64().is_some_and(|took| took > 0), "{results:#}");
    let inserted = fs::read_dir(env.only_run().join("transcripts")).unwrap().flatten();
    let inserted = inserted.filter(|file| file.file_name().to_string_lossy().ends_with("app-secret-insert.txt")).count();
    assert_eq!(inserted, 1, "the secret is put back as it was");
    env.assert_zero();
}

fn thorough(env: &TestEnv<'_>) {
    let told = env.run(&["--recipe", "hello", "--tiers", "install", "--thorough"]);
    told.assert(0, &["green (install)", "left behind: nothing", " --thorough"]);
    let results = env.results();
    let again =
        ["combinations", "redeploy", "restart", "answer-restart", "remove", "reinstall", "answer-reinstall", "steady-reinstall"];
    assert_passed(&results, &again);
    for moment in ["planted", "after-restart", "after-reinstall"] {
        assert_eq!(seen(&results, moment), "pass", "{moment} in {results:#}");
    }
    // The second deploy of the same makes no task, the start of all services one, and so does the second install.
    let tasks = |step: &str| results["tasks"].as_array().unwrap().iter().filter(|task| task["step"] == step).count();
    assert_eq!((tasks("deploy"), tasks("redeploy"), tasks("restart"), tasks("reinstall")), (1, 0, 1, 1), "{results:#}");
    assert_eq!(results["deploys"], 2);
    env.assert_zero();
}

fn no_canaries(env: &TestEnv<'_>) {
    let told = env.run(&["--recipe", "hello", "--tiers", "install,backup,restore", "--no-canaries"]);
    told.assert(3, &["inconclusive (install, backup, restore)", "--no-canaries left out what shows", "left behind: nothing"]);
    let results = env.results();
    assert_passed(&results, &["backup", "restore"]);
    assert_eq!(results["canaries"], json!([]));
    env.assert_zero();
}

/// A page that is there only when both commands were performed, in their order.
fn commands(env: &TestEnv<'_>) {
    let compose = format!(
        r#"---
version: "3.8"
services:
  app:
    image: {IMAGE}
    command: sh -c "mkdir -p /www /tmp && exec httpd -f -p 80 -h /www"
    stop_grace_period: 0s
    networks: [proxy]
    deploy:
      labels:
        - "traefik.enable=true"
        - "traefik.http.services.${{STACK_NAME}}.loadbalancer.server.port=80"
        - "traefik.http.routers.${{STACK_NAME}}.rule=Host(`${{DOMAIN}}`)"
        - "coop-cloud.${{STACK_NAME}}.version=1.0.0+1.0.0"
networks:
  proxy:
    external: true
"#
    );
    let script = "draft() {\n  echo \"$1 of $APP_NAME\" > /tmp/draft\n}\n\npublish() {\n  mv /tmp/draft /www/index.html\n}\n";
    let sample = "TYPE=page\nDOMAIN=page.example.com\nLETS_ENCRYPT_ENV=production\n\
                  POST_DEPLOY_CMDS=\"app draft page|app publish\"\n";
    let folder = env.recipe("page", &compose, sample);
    fs::write(folder.join("abra.sh"), script).unwrap();
    let path = folder.display().to_string();
    // The stand-in of this very build: the sandbox may have been made by another one.
    let (exe, home) = (sandbox_fixture::env().exe, env.fixture.sandbox().to_owned());
    let abra = env.script(&format!("exec '{}' sandbox abra --home '{}' -- \"$@\"", exe.display(), home.display()));
    let told = env.run_on(&[("abra", &abra)], &["--recipe", "page", "--path", &path, "--tiers", "install"]);
    let results = env.results();
    assert_passed(&results, &["deploy", "post-deploy", "answer", "steady"]);
    let names: Vec<&str> = stage_of(&results, "post-deploy")["tests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|test| test["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["app draft", "app publish"], "{told}");
    assert!(journal(&env.only_run()).contains("abra app-command"), "they are abra's");
    env.assert_zero();
}
