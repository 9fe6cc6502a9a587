//! Requests beyond the tiers, on a real Swarm: a disaster, a second deploy and install, commands of the `.env`.

use std::fs;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use unit_tests::{
    sandbox_fixture::{self, IMAGE, SandboxFixture},
    test_env::{TestEnv, journal},
    test_run::{
        Moment::{AfterDisaster, AfterReinstall, AfterRestart, AfterRestore, Seeded},
        Outcome::{Green, Inconclusive},
        Status::Pass,
    },
};

use crate::trials::{e2e_tests, in_env};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            lost_app_comes_back_from_its_backup_with_its_secrets,
            hello_survives_a_second_deploy_a_restart_and_a_second_install,
            restore_without_canaries_is_inconclusive,
            commands_of_the_env_run_after_the_deploy,
        ],
    )
}

/// The name of the only canary.
fn canary(results: &Value) -> String {
    results["canaries"][0]["name"].as_str().unwrap().to_owned()
}

fn lost_app_comes_back_from_its_backup_with_its_secrets(env: &TestEnv<'_>) {
    let run = env.run("hello").tiers("install,backup,restore").args(&["--disaster"]).expect(Green);

    let canary = canary(&run.results);
    let run = run
        .says("green (install, backup, restore)")
        .says("disaster: the app was back with its data after")
        .says(" --disaster")
        .steps(&["disaster", "renew", "deploy-disaster", "restore-disaster", "http-disaster", "stable-disaster"], Pass)
        .canary_at(&canary, AfterRestore, Pass)
        .canary_at(&canary, AfterDisaster, Pass)
        .deploys(2)
        .that("the disaster took time", |results| results["disaster_ms"].as_u64().is_some_and(|took| took > 0))
        .nothing_left();
    let inserted = fs::read_dir(run.folder.join("transcripts")).unwrap().flatten();
    let inserted = inserted.filter(|file| file.file_name().to_string_lossy().ends_with("app-secret-insert.txt")).count();
    assert_eq!(inserted, 1, "the secret is put back as it was");
}

fn hello_survives_a_second_deploy_a_restart_and_a_second_install(env: &TestEnv<'_>) {
    let run = env.run("hello").tiers("install").args(&["--thorough"]).expect(Green);

    let canary = canary(&run.results);
    let run = run
        .says("green (install)")
        .says(" --thorough")
        .steps(&["combinations", "redeploy", "restart", "http-restart"], Pass)
        .steps(&["remove", "reinstall", "http-reinstall", "stable-reinstall"], Pass)
        .canary_at(&canary, Seeded, Pass)
        .canary_at(&canary, AfterRestart, Pass)
        .canary_at(&canary, AfterReinstall, Pass)
        .deploys(2)
        .nothing_left();
    // The second deploy of the same files makes no task, the restart and the second install make one each.
    let tasks = |step: &str| run.results["tasks"].as_array().unwrap().iter().filter(|task| task["step"] == step).count();
    let tasks = ["deploy", "redeploy", "restart", "reinstall"].map(tasks);
    assert_eq!(tasks, [1, 0, 1, 1], "{:#}", run.results["tasks"]);
}

fn restore_without_canaries_is_inconclusive(env: &TestEnv<'_>) {
    let run = env.run("hello").tiers("install,backup,restore").args(&["--no-canaries"]).expect(Inconclusive);

    run.exit(3)
        .says("inconclusive (restore not verified: ")
        .says("--no-canaries left out")
        .steps(&["backup", "restore"], Pass)
        .value("/canaries", json!([]))
        .nothing_left();
}

/// The page is there only when both commands ran, in their order.
fn commands_of_the_env_run_after_the_deploy(env: &TestEnv<'_>) {
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
    // The stand-in of this build, because another build may have made the sandbox.
    let (exe, home) = (sandbox_fixture::env().exe, env.fixture.sandbox().to_owned());
    let abra = format!("exec '{}' sandbox abra --home '{}' -- \"$@\"", exe.display(), home.display());

    let run = env.run("page").path(&folder).tiers("install").abra(&abra).finish();

    let run = run.steps(&["deploy", "post-deploy", "http", "stable"], Pass);
    let tests = run.entry("post-deploy")["tests"].as_array().unwrap();
    let names: Vec<&str> = tests.iter().map(|test| test["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["app draft", "app publish"], "{}", run.output);
    assert!(journal(&run.folder).contains("abra app-command"), "abra runs them");
    env.assert_nothing_left();
}
