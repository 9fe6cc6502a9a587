//! The time of a cleanup until nothing is left.

use std::{sync::Arc, time::Instant};

use harness::{
    adapters::{children::Processes, clock::SystemClock, files::Disk, swarm::DockerSwarm},
    engine::steps::shared::cleanup::{CleanupPorts, Pace, cleanup_until_empty},
    journal::Journal,
    pure::host::claim::Claimed,
};
use unit_tests::{engine::until, stacks::fresh_run};

use crate::{
    Bench,
    table::{Spread, row},
};

const TIMES: usize = 2;

pub(crate) fn cleanup(bench: &Bench) {
    let engine = &bench.fixture.engine;
    let (mut ours, mut plain) = (Spread::default(), Spread::default());
    for _ in 0..TIMES {
        engine.on_a_stack(|stack| {
            engine.deploy("cleanup-twelve.yml", stack);
            engine.running(stack, 12);
            ours.add(bench.time_of_cleanup(stack));
            assert_eq!(engine.left_of(stack, &[]), "");
        });
        engine.on_a_stack(|stack| {
            engine.deploy("cleanup-twelve.yml", stack);
            engine.running(stack, 12);
            let started = Instant::now();
            // It fails while a task uses the network, so it is repeated until nothing is left.
            until("plain removal has left nothing", || {
                engine.ok(&["stack", "rm", stack]);
                engine.left_of(stack, &[]).is_empty()
            });
            plain.add(started.elapsed());
        });
    }
    row("taster (target: 6 s)", &ours);
    row("docker stack rm, until nothing is left", &plain);
}

impl Bench {
    /// Cleans a stack up as a run does, and returns how long that took.
    fn time_of_cleanup(&self, stack: &str) -> std::time::Duration {
        let engine = &self.fixture.engine;
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::start());
        let swarm_id = engine.ask(&["info", "--format", "{{.Swarm.Cluster.ID}}"]).parse().unwrap();
        let run = fresh_run();
        let journal = Journal::create(&folder.path().join(run.as_str()), run.clone(), clock.clone()).unwrap();
        journal.append(unit_tests::stacks::started(&run, engine.socket())).unwrap();
        let (claim, _) = journal.claim(Claimed::Stack { name: stack.parse().unwrap() }, &swarm_id).unwrap();
        let swarm = DockerSwarm::at(engine.socket()).unwrap();
        let outside = CleanupPorts { swarm: &swarm, files: &Disk, data: &swarm, children: &Processes, clock: &*clock };
        let started = Instant::now();
        let result = self.runtime.block_on(async { cleanup_until_empty(outside, &[claim], &[], Pace::default()).await }).unwrap();
        assert!(result.clean(), "{:?}", result.leaked);
        started.elapsed()
    }
}
