//! Convergence on a real Swarm, as `taster status` shows it: stacks that settle, stacks that fail, and updates.

use std::net::TcpListener;

use libtest_mimic::Trial;
use unit_tests::{
    command_output::{CommandOutput, started},
    engine::{Engine, until},
    stacks::stack_file,
};

use crate::trials::{e2e_tests, on_engine};

/// The tests of this file.
pub(crate) fn tests(engine: &Engine) -> Vec<Trial> {
    on_engine(
        engine,
        &e2e_tests![
            identical_redeploy_during_a_roll_settles_on_the_new_spec,
            update_that_swarm_rolls_back_fails,
            paused_update_fails_at_once,
            start_first_with_a_host_port_fails,
            healthy_service_settles,
            crash_loop_fails_with_exit_code_and_last_lines,
            one_shot_settles_at_its_end,
            exit_0_without_a_restart_fails,
            global_service_without_a_node_fails,
            zero_replicas_settle_at_once,
            unknown_stack_is_refused_with_the_known_ones,
        ],
    )
}

/// The output of `taster status` on the stack.
fn status(engine: &Engine, stack: &str, more: &[&str]) -> CommandOutput {
    let socket = engine.socket().display().to_string();
    let mut taster = engine.taster(&["status", stack, "--budget", "60", "--engine", &socket]);
    CommandOutput::after(started(taster.args(more)))
}

/// The output of `taster status` on a stack deployed from this file.
fn status_of(engine: &Engine, file: &str) -> CommandOutput {
    engine.on_a_stack(|stack| {
        engine.deploy(file, stack);
        status(engine, stack, &[])
    })
}

fn healthy_service_settles(engine: &Engine) {
    let output = status_of(engine, "healthy.yml");

    output.exit(0).says("all 1 services are up").says("settled, stable since");
}

fn crash_loop_fails_with_exit_code_and_last_lines(engine: &Engine) {
    let output = status_of(engine, "crash-loop.yml");

    output.exit(1).says("failed (recipe)").says("exited with 3; 3 times").says("its last lines:\n  cannot open database");
}

fn one_shot_settles_at_its_end(engine: &Engine) {
    let output = status_of(engine, "one-shot.yml");

    output.exit(0).says("settled");
}

fn exit_0_without_a_restart_fails(engine: &Engine) {
    let output = status_of(engine, "exited-for-good.yml");

    output.exit(1).says("exited with 0, and its restart policy never starts it again").says("  bye");
}

fn global_service_without_a_node_fails(engine: &Engine) {
    let output = status_of(engine, "no-node.yml");

    output.exit(1).says("a global service without any task: no node satisfies its placement");
}

fn zero_replicas_settle_at_once(engine: &Engine) {
    let output = status_of(engine, "zero.yml");

    output.exit(0).says("settled");
}

/// A stack whose new tasks Swarm watches for long enough to see them fail, also on a busy machine.
fn watched_for_long(file: &str) -> String {
    stack_file(file).replace("monitor: 5s", "monitor: 60s").replace("monitor: 10s", "monitor: 60s")
}

fn update_that_swarm_rolls_back_fails(engine: &Engine) {
    engine.on_a_stack(|stack| {
        engine.submit(&watched_for_long("rolled-back-1.yml"), stack);
        let label = format!("label=com.docker.stack.namespace={stack}");
        until("the first version is healthy", || {
            !engine.ask(&["container", "ls", "--quiet", "--filter", &label, "--filter", "health=healthy"]).is_empty()
        });
        engine.submit(&watched_for_long("rolled-back-2.yml"), stack);

        let output = status(engine, stack, &["--upgrade"]);

        output.exit(1).says("failed (recipe)").says("Swarm rolled the update back");
    });
}

fn paused_update_fails_at_once(engine: &Engine) {
    engine.on_a_stack(|stack| {
        engine.submit(&watched_for_long("paused-1.yml"), stack);
        engine.running(stack, 3);
        engine.submit(&watched_for_long("paused-2.yml"), stack);

        let output = status(engine, stack, &["--upgrade"]);

        output.exit(1).says("Swarm paused the update, and nothing will continue it").says("  broken");
    });
}

fn start_first_with_a_host_port_fails(engine: &Engine) {
    // The number in the file may be taken on this machine; the socket that finds a free one is closed before it is used.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let text = |file: &str| stack_file(file).replace("18980", &free);
    engine.on_a_stack(|stack| {
        engine.submit(&text("host-port-1.yml"), stack);
        engine.running(stack, 1);
        engine.submit(&text("host-port-2.yml"), stack);

        let output = status(engine, stack, &["--upgrade"]);

        output.exit(1).says(&format!("host port {free}/tcp is held by its own old task"));
    });
}

/// The engine clears its update status at an identical redeploy, while the roll continues.
fn identical_redeploy_during_a_roll_settles_on_the_new_spec(engine: &Engine) {
    engine.on_a_stack(|stack| {
        engine.deploy("five-1.yml", stack);
        engine.running(stack, 5);
        engine.deploy("five-2.yml", stack);
        let running = || {
            let label = format!("label=com.docker.stack.namespace={stack}");
            engine.ask(&["container", "ls", "--no-trunc", "--format", "{{.Command}}", "--filter", &label])
        };
        until("the roll has begun", || running().contains("sleep 10001"));
        assert!(running().contains("sleep 10000"), "it has not ended yet");
        engine.deploy("five-2.yml", stack);
        let update =
            engine.ask(&["service", "inspect", &format!("{stack}_app"), "--format", "{{with .UpdateStatus}}{{.State}}{{end}}"]);
        assert_eq!(update, "", "the engine has no update status");

        let output = status(engine, stack, &["--upgrade"]);

        output.exit(0).says("settled");
        assert_eq!(running().matches("sleep 10001").count(), 5, "{}", running());
        assert!(!running().contains("sleep 10000"), "{}", running());
    });
}

fn unknown_stack_is_refused_with_the_known_ones(engine: &Engine) {
    engine.on_a_stack(|stack| {
        engine.deploy("zero.yml", stack);

        let output = status(engine, "nobodys_stack", &[]);

        output.exit(3).says("there is no stack nobodys_stack on this Swarm").says("There are: ").says(stack);
    });
}
