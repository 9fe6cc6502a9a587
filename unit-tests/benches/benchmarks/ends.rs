//! The time until the end of a stack, settled or failed, is known.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use harness::{
    adapters::swarm::DockerSwarm,
    ports::Swarm,
    pure::host::converge::{Evaluation, Goal, Marks, Watch},
};
use jiff::Timestamp;
use unit_tests::{engine::Engine, recording::brief, stacks::stack_file};

use crate::{
    Bench,
    baseline::{baseline_row, can_wait, waited},
    stacks::{last_task, since},
    table::{Spread, print_line, row},
};

const TIMES: usize = 3;

/// How often the docker client does not come back by the bound, and how long it took when it did.
fn client(bench: &Bench, text: &str, bound: Duration) {
    if !can_wait(&bench.client_version()) {
        return;
    }
    let mut spread = Spread::default();
    let came = bench.fixture.engine.on_a_stack(|stack| waited(&bench.fixture.engine, stack, text, bound));
    came.into_iter().for_each(|took| spread.add(took));
    baseline_row("docker stack deploy --detach=false", &spread, usize::from(came.is_none()), bound);
}

pub(crate) fn crash_loop(bench: &Bench) {
    let engine = &bench.fixture.engine;
    let text = stack_file("crash-loop.yml").replace("delay: 500ms", "delay: 1s");
    let mut ours = Spread::default();
    let mut sentence = String::new();
    for _ in 0..TIMES {
        engine.on_a_stack(|stack| {
            let started = Instant::now();
            engine.submit(&text, stack);
            let (evaluation, _) = bench.settled(stack, Watch::new(Goal::Settle));
            ours.add(started.elapsed());
            let Evaluation::Failed(failures) = evaluation else { panic!("{evaluation:?}") };
            sentence = failures[0].with_excerpt();
        });
    }
    assert!(sentence.contains("exited with 3") && sentence.contains("cannot open database"), "{sentence}");
    row("taster (target: 10 s)", &ours);
    client(bench, &text, Duration::from_secs(20));
}

pub(crate) fn one_shot(bench: &Bench) {
    let engine = &bench.fixture.engine;
    let text = stack_file("one-shot.yml");
    let mut ours = Spread::default();
    for _ in 0..TIMES {
        engine.on_a_stack(|stack| {
            engine.submit(&text, stack);
            let (evaluation, at) = bench.settled(stack, Watch::new(Goal::Settle));
            assert_eq!(brief(&evaluation), "settled");
            ours.add_signed(since(at, last_task(engine, stack, "complete")));
        });
    }
    row("taster (target: 300 ms)", &ours);
    client(bench, &text, Duration::from_secs(20));
}

pub(crate) fn rollback(bench: &Bench) {
    let engine = &bench.fixture.engine;
    let mut ours = Spread::default();
    for _ in 0..TIMES {
        engine.on_a_stack(|stack| {
            let service = format!("{stack}_app");
            engine.submit(&stack_file("rolled-back-1.yml"), stack);
            assert_eq!(brief(&bench.settled(stack, Watch::new(Goal::Settle)).0), "settled");
            let before = bench.marks(stack);
            let states = UpdateStates::of(engine, &service);
            engine.submit(&stack_file("rolled-back-2.yml"), stack);
            let watch = Watch::new(Goal::Upgrade(bench.marks(stack))).coming_from(before);
            let (evaluation, at) = bench.settled(stack, watch);
            assert!(brief(&evaluation).starts_with("rolled-back"), "{evaluation:?}");
            ours.add_signed(since(at, states.first("rollback_started")));
        });
    }
    row("taster (target: 300 ms)", &ours);
    if !can_wait(&bench.client_version()) {
        return;
    }
    let bound = Duration::from_secs(60);
    let mut late = Spread::default();
    let came = engine.on_a_stack(|stack| {
        engine.submit(&stack_file("rolled-back-1.yml"), stack);
        assert_eq!(brief(&bench.settled(stack, Watch::new(Goal::Settle)).0), "settled");
        let states = UpdateStates::of(engine, &format!("{stack}_app"));
        let came = waited(engine, stack, &stack_file("rolled-back-2.yml"), bound);
        let now = Timestamp::now();
        came.map(|_| since(now, states.first("rollback_started")))
    });
    came.into_iter().for_each(|seconds| late.add_signed(seconds));
    baseline_row("docker stack deploy --detach=false, its return", &late, usize::from(came.is_none()), bound);
}

impl Bench {
    fn marks(&self, stack: &str) -> Marks {
        let swarm = DockerSwarm::at(self.fixture.engine.socket()).unwrap();
        let stack = stack.parse().unwrap();
        Marks::of(&self.runtime.block_on(async { swarm.observe(&stack).await }).unwrap())
    }
}

/// The update states of a service, from the events of the docker client.
struct UpdateStates {
    client: Child,
    states: Receiver<(String, Timestamp)>,
}

impl UpdateStates {
    fn of(engine: &Engine, service: &str) -> Self {
        let format = "{{.TimeNano}} {{index .Actor.Attributes \"name\"}} {{index .Actor.Attributes \"updatestate.new\"}}";
        let filters = ["--filter", "type=service", "--filter", "event=update"];
        let mut events = engine.docker();
        events.arg("events").args(filters).args(["--format", format]).stdout(Stdio::piped());
        let mut client = events.spawn().unwrap();
        let out = BufReader::new(client.stdout.take().unwrap());
        let (sender, states) = channel();
        let service = service.to_owned();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let mut states = line.split(' ');
                let (Some(nanos), Some(name), Some(state)) = (states.next(), states.next(), states.next()) else { continue };
                let at = nanos.parse().ok().and_then(|nanos| Timestamp::from_nanosecond(nanos).ok());
                if let Some(at) = at.filter(|_| name == service) {
                    let _ = sender.send((state.to_owned(), at));
                }
            }
        });
        Self { client, states }
    }

    /// The time of the first event with this state.
    fn first(&self, wanted: &str) -> Timestamp {
        loop {
            let (state, at) = self.states.recv_timeout(Duration::from_secs(30)).expect("an event with the state");
            if state == wanted {
                return at;
            }
        }
    }
}

impl Drop for UpdateStates {
    fn drop(&mut self) {
        if self.client.kill().and_then(|()| self.client.wait()).is_err() {
            print_line("  the client that prints events could not be ended");
        }
    }
}
