//! The time until stacks are known to have settled.

use std::time::{Duration, Instant};

use harness::{
    adapters::{clock::SystemClock, swarm::DockerSwarm},
    engine::steps::shared::settle::settle,
    pure::host::converge::{Evaluation, Goal, Watch},
};
use jiff::Timestamp;
use unit_tests::engine::Engine;

use crate::{
    Bench,
    baseline::{baseline_row, can_wait, nothing_doing, waited},
    table::{Spread, row},
};

/// The window that each service has to stay up.
const WINDOW: f64 = 5.0;
/// How many services, how often by taster, and how often by the docker client, which takes over a minute for twelve.
const SIZES: [(usize, usize, usize); 4] = [(1, 3, 3), (3, 3, 2), (6, 2, 1), (12, 2, 1)];

pub(crate) fn converge(bench: &Bench) {
    let engine = &bench.fixture.engine;
    let baseline = can_wait(&bench.client_version());
    for (count, ours, theirs) in SIZES {
        let text = nothing_doing(count);
        let (mut settled, mut late, mut client) = (Spread::default(), Spread::default(), Spread::default());
        let (bound, mut gave_up) = (Duration::from_secs(180), 0);
        for time in 0..ours.max(theirs) {
            if time < ours {
                engine.on_a_stack(|stack| {
                    let started = Instant::now();
                    engine.submit(&text, stack);
                    let (evaluation, at) = bench.settled(stack, Watch::new(Goal::Settle));
                    settled.add(started.elapsed());
                    assert!(matches!(evaluation, Evaluation::Settled { .. }), "{evaluation:?}");
                    late.add_signed(since(at, last_task(engine, stack, "running")) - WINDOW);
                });
            }
            if baseline && time < theirs {
                match engine.on_a_stack(|stack| waited(engine, stack, &text, bound)) {
                    Some(took) => client.add(took),
                    None => gave_up += 1,
                }
            }
        }
        row(&format!("{count:>2} services: taster"), &settled);
        row("   beyond last running + 5 s (target: 200 ms)", &late);
        baseline_row("   docker stack deploy --detach=false", &client, gave_up, bound);
    }
}

impl Bench {
    /// The evaluation on a stack, and when it was there.
    pub(crate) fn settled(&self, stack: &str, watch: Watch) -> (Evaluation, Timestamp) {
        let swarm = DockerSwarm::at(self.fixture.engine.socket()).unwrap();
        let stack = stack.parse().unwrap();
        let budget = Duration::from_secs(120);
        let evaluation =
            self.runtime.block_on(async { settle(&swarm, &swarm, &SystemClock::start(), &stack, watch, budget, |_| {}).await });
        (evaluation, Timestamp::now())
    }
}

/// The seconds from `then` to `now`.
pub(crate) fn since(now: Timestamp, then: Timestamp) -> f64 {
    now.duration_since(then).as_secs_f64()
}

/// When the last task of the stack came into `state`, by the engine's clock, which is this machine's.
pub(crate) fn last_task(engine: &Engine, stack: &str, state: &str) -> Timestamp {
    let tasks = engine.ask(&["stack", "ps", "--quiet", "--no-trunc", stack]);
    let mut inspect = vec!["inspect", "--type", "task", "--format", "{{.Status.State}} {{json .Status.Timestamp}}"];
    inspect.extend(tasks.lines());
    let printed = engine.ask(&inspect);
    let times = printed.lines().filter_map(|line| line.strip_prefix(state)).map(|time| time.trim().trim_matches('"'));
    times.map(|time| time.parse().unwrap()).max().unwrap()
}
