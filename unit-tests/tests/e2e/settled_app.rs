//! What happens to an app after it has settled: a service that exits more slowly than the stable window, and other clients.

use std::{fs, path::PathBuf};

use libtest_mimic::Trial;
use unit_tests::{
    sandbox_fixture::{IMAGE, SandboxFixture},
    stacks::stack_of,
    test_env::{TestEnv, run_id},
    test_run::{
        Outcome::{Inconclusive, Red},
        Status::{Pass, Unver},
    },
};

use crate::trials::{e2e_tests, in_env};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            service_that_exits_every_seven_seconds_is_red,
            service_that_exits_every_eleven_seconds_is_red,
            service_that_another_client_scales_is_interference,
            container_that_another_client_kills_is_interference,
        ],
    )
}

/// `hello` with a second service, which exits with 3 after so many seconds.
fn with_worker(env: &TestEnv<'_>, seconds: u32) -> PathBuf {
    let recipe = env.copy_of("hello");
    let compose = recipe.join("compose.yml");
    let text = fs::read_to_string(&compose).unwrap();
    let command = format!(r#"["busybox", "sh", "-c", "echo working; sleep {seconds}; exit 3"]"#);
    let worker = format!(
        "services:\n  worker:\n    image: {IMAGE}\n    command: {command}\n    networks: [internal]\n    deploy:\n      \
         restart_policy:\n        condition: any\n        delay: 100ms\n"
    );
    fs::write(&compose, text.replacen("services:\n", &worker, 1)).unwrap();
    recipe
}

fn worker_is_red(env: &TestEnv<'_>, seconds: u32) {
    let recipe = with_worker(env, seconds);

    let run = env.run("hello").path(&recipe).expect(Red);

    run.exit(1)
        .owner("recipe")
        .says("worker: exited with 3 after it had settled")
        .says("no step of the run explains it")
        .says("working")
        .nothing_left();
}

fn service_that_exits_every_seven_seconds_is_red(env: &TestEnv<'_>) {
    worker_is_red(env, 7);
}

fn service_that_exits_every_eleven_seconds_is_red(env: &TestEnv<'_>) {
    worker_is_red(env, 11);
}

fn service_that_another_client_scales_is_interference(env: &TestEnv<'_>) {
    let mut run = env.run("hello").tiers("install,backup,custom").start();
    run.reached(r#""event":"step-started","step":"backup""#);
    let service = format!("{}_app", stack_of(&run_id(&run.folder())));

    env.fixture.engine.ask(&["service", "scale", "--detach", &format!("{service}=2")]);

    let run = run.expect(Inconclusive).exit(3).says("service app was changed after it had settled, and not by the run");
    run.step("stable", Pass).step("still-stable", Unver).gap("interfered").nothing_left();
}

fn container_that_another_client_kills_is_interference(env: &TestEnv<'_>) {
    let mut run = env.run("hello").tiers("install,backup,custom").start();
    run.reached(r#""event":"step-started","step":"backup""#);
    let service = format!("{}_app", stack_of(&run_id(&run.folder())));
    let label = format!("label=com.docker.swarm.service.name={service}");
    let container = env.fixture.engine.ask(&["ps", "--quiet", "--filter", &label]);

    env.fixture.engine.ask(&["kill", container.trim()]);

    let run = run.expect(Inconclusive).exit(3).says("a container of service app was killed, and not by the run");
    run.step("still-stable", Unver).gap("interfered").nothing_left();
}
