//! The judge on a real Swarm, as `taster look` shows it: what it says of stacks that settle, that do not, and of updates.

use std::net::TcpListener;

use libtest_mimic::Trial;
use unit_tests::{
    engine::{Engine, Test, trials, until},
    stacks::stack_file,
    test_env::{CommandOutput, started},
};

/// All tests of this file.
pub(crate) fn tests(engine: &Engine) -> Vec<Trial> {
    let tests: &[Test] = &[
        ("convergence::an_identical_redeploy_in_mid_roll_settles_on_the_new_spec", redeployed_in_mid_roll),
        ("convergence::an_update_that_swarm_takes_back_is_no_success", rolled_back),
        ("convergence::a_paused_update_is_not_waited_for", paused),
        ("convergence::start_first_waits_for_its_own_host_port_in_vain", own_host_port),
        ("convergence::a_healthy_service_settles", healthy),
        ("convergence::a_crash_loop_is_named_with_exit_and_last_lines", crash_loop),
        ("convergence::a_one_shot_settles_with_its_end", one_shot),
        ("convergence::an_exit_with_0_that_nobody_restarts_is_a_failure", exited_for_good),
        ("convergence::a_global_service_without_a_node_is_a_failure", no_node),
        ("convergence::no_replica_wanted_is_settled_at_once", no_replica),
        ("convergence::an_unknown_stack_is_told_with_those_that_exist", unknown),
    ];
    trials(engine, tests)
}

/// What `taster look` tells of the stack.
fn look(engine: &Engine, stack: &str, more: &[&str]) -> CommandOutput {
    let socket = engine.socket().display().to_string();
    let mut taster = engine.taster(&["look", stack, "--budget", "60", "--engine", &socket]);
    CommandOutput::after(started(taster.args(more)))
}

/// Deploys a stack and asserts how `taster look` ends on it and what it says.
fn told(engine: &Engine, file: &str, exit: i32, words: &[&str]) {
    engine.on_a_stack(|stack| {
        engine.deploy(file, stack);
        look(engine, stack, &[]).assert(exit, words);
    });
}

fn healthy(engine: &Engine) {
    told(engine, "healthy.yml", 0, &["all 1 services are up", "settled, stable since"]);
}

fn crash_loop(engine: &Engine) {
    told(engine, "crash-loop.yml", 1, &["failed (recipe)", "exited with 3; 3 times", "its last lines:\n  cannot open database"]);
}

fn one_shot(engine: &Engine) {
    told(engine, "one-shot.yml", 0, &["settled"]);
}

fn exited_for_good(engine: &Engine) {
    told(engine, "exited-for-good.yml", 1, &["exited with 0, and its restart policy never starts it again", "  bye"]);
}

fn no_node(engine: &Engine) {
    told(engine, "no-node.yml", 1, &["a global service without any task: no node satisfies its placement"]);
}

fn no_replica(engine: &Engine) {
    told(engine, "zero.yml", 0, &["settled"]);
}

/// A stack whose new tasks Swarm watches for long enough to see them fail, also on a machine that has much else to do.
fn watched_for_long(file: &str) -> String {
    stack_file(file).replace("monitor: 5s", "monitor: 60s").replace("monitor: 10s", "monitor: 60s")
}

fn rolled_back(engine: &Engine) {
    engine.on_a_stack(|stack| {
        engine.submit(&watched_for_long("rolled-back-1.yml"), stack);
        let label = format!("label=com.docker.stack.namespace={stack}");
        until("the first version is healthy", || {
            !engine.ask(&["container", "ls", "--quiet", "--filter", &label, "--filter", "health=healthy"]).is_empty()
        });
        engine.submit(&watched_for_long("rolled-back-2.yml"), stack);
        look(engine, stack, &["--upgrade"]).assert(1, &["failed (recipe)", "Swarm rolled the update back"]);
    });
}

fn paused(engine: &Engine) {
    engine.on_a_stack(|stack| {
        engine.submit(&watched_for_long("paused-1.yml"), stack);
        engine.running(stack, 3);
        engine.submit(&watched_for_long("paused-2.yml"), stack);
        let said = look(engine, stack, &["--upgrade"]);
        said.assert(1, &["Swarm paused the update and nothing will continue it", "  broken"]);
    });
}

fn own_host_port(engine: &Engine) {
    // The number in the file may be taken on this machine; the socket that finds a free one is closed before it is used.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let text = |file: &str| stack_file(file).replace("18980", &free);
    engine.on_a_stack(|stack| {
        engine.submit(&text("host-port-1.yml"), stack);
        engine.running(stack, 1);
        engine.submit(&text("host-port-2.yml"), stack);
        let said = look(engine, stack, &["--upgrade"]);
        said.assert(1, &[&format!("host port {free}/tcp is held by its own old task")]);
    });
}

/// The engine forgets its word on the update then, while the roll goes on.
fn redeployed_in_mid_roll(engine: &Engine) {
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
        let word =
            engine.ask(&["service", "inspect", &format!("{stack}_app"), "--format", "{{with .UpdateStatus}}{{.State}}{{end}}"]);
        assert_eq!(word, "", "the engine says nothing of the roll");
        look(engine, stack, &["--upgrade"]).assert(0, &["settled"]);
        assert_eq!(running().matches("sleep 10001").count(), 5, "{}", running());
        assert!(!running().contains("sleep 10000"), "{}", running());
    });
}

fn unknown(engine: &Engine) {
    engine.on_a_stack(|stack| {
        engine.deploy("zero.yml", stack);
        let said = look(engine, "nobodys_stack", &[]);
        said.assert(3, &["there is no stack nobodys_stack on this Swarm", "there are: ", stack]);
    });
}
