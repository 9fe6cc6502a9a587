//! The baseline: stacks of the benchmarks, deployed and awaited with the docker client.

use std::time::{Duration, Instant};

use unit_tests::engine::Engine;

use crate::table::{Spread, print_line, row};

/// A stack of so many services that do nothing.
pub(crate) fn nothing_doing(count: usize) -> String {
    let service = |number| {
        format!(
            "  s{number}: {{image: \"${{IMAGE}}\", command: [sleep, \"10000\"], stop_grace_period: 1s, deploy: {{endpoint_mode: dnsrr}}}}\n"
        )
    };
    format!("services:\n{}", (1..=count).map(service).collect::<String>())
}

/// Whether the docker client can wait for a stack at all; a sentence says so where it cannot.
pub(crate) fn can_wait(client: &str) -> bool {
    let major: u32 = client.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    if major < 26 {
        print_line(&format!(
            "  no baseline: docker stack deploy waits for a stack since version 26, and this client is {client}"
        ));
    }
    major >= 26
}

/// How long the docker client takes until it reports that the stack runs or failed; absent when that took longer than `bound`.
pub(crate) fn waited(engine: &Engine, stack: &str, text: &str, bound: Duration) -> Option<Duration> {
    let started = Instant::now();
    let mut child = engine.submitting(text, stack, "--detach=false");
    while started.elapsed() < bound {
        if child.try_wait().unwrap().is_some() {
            return Some(started.elapsed());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // Ended by its own id; the services that it made are removed with their stack.
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Prints what came of the baseline.
pub(crate) fn baseline_row(what: &str, spread: &Spread, gave_up: usize, bound: Duration) {
    if gave_up > 0 {
        print_line(&format!("  {what:<58} did not return within {} s  ({gave_up} times)", bound.as_secs()));
    }
    if spread.median().is_some() {
        row(what, spread);
    }
}
