//! The number of requests to the engine while taster waits for a stack. A proxy before the engine's socket counts them, so that
//! no program counts its own requests.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use harness::{
    adapters::{clock::SystemClock, swarm::DockerSwarm},
    engine::steps::shared::settle::settle,
    pure::host::converge::{Goal, Watch},
};

use crate::{Bench, baseline::can_wait, table::print_line};

/// How long is waited, and what counts as the beginning of it: in it much changes.
const WAITED: Duration = Duration::from_secs(60);
const BEGINNING: Duration = Duration::from_secs(20);

/// A service that is started and does not become healthy for a long time; each of its probes makes three events.
const STARTING: &str = "services:
  app:
    image: ${IMAGE}
    command: [sleep, \"10000\"]
    stop_grace_period: 1s
    healthcheck: {test: [CMD, \"false\"], interval: 1s, timeout: 1s, retries: 3, start_period: 10m}
    deploy: {endpoint_mode: dnsrr}
";

pub(crate) fn calls(bench: &Bench) {
    let engine = &bench.fixture.engine;
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::open(&folder.path().join("engine.sock"), engine.socket());
    engine.on_a_stack(|stack| {
        engine.submit(STARTING, stack);
        let mut counts = Counts::begin(&gate);
        let swarm = DockerSwarm::at(&gate.path).unwrap();
        let name = stack.parse().unwrap();
        bench.runtime.block_on(async {
            let clock = SystemClock::start();
            let watching = settle(&swarm, &swarm, &clock, &name, Watch::new(Goal::Settle), WAITED, |_| {});
            tokio::pin!(watching);
            tokio::select! {
                evaluation = &mut watching => panic!("it was to wait: {evaluation:?}"),
                () = tokio::time::sleep(BEGINNING) => counts.begin_waiting(),
            }
            watching.await;
        });
        counts.print("taster (target: 0.3 a second)");
    });
    if can_wait(&bench.client_version()) {
        engine.on_a_stack(|stack| {
            engine.submit(STARTING, stack);
            let mut counts = Counts::begin(&gate);
            let mut client = std::process::Command::new("docker");
            client.arg("--host").arg(format!("unix://{}", gate.path.display())).env("IMAGE", engine.image());
            client.args(["stack", "deploy", "--resolve-image", "never", "--detach=false", "--compose-file", "-", stack]);
            client.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
            let mut client = client.spawn().unwrap();
            client.stdin.take().unwrap().write_all(STARTING.as_bytes()).unwrap();
            std::thread::sleep(BEGINNING);
            counts.begin_waiting();
            std::thread::sleep(BEGINNING);
            counts.print("docker stack deploy --detach=false");
            let _ = client.kill();
            let _ = client.wait();
        });
    }
}

struct Counts<'a> {
    gate: &'a Gate,
    began: (Instant, usize),
    waiting_from: Option<(Instant, usize)>,
}

impl<'a> Counts<'a> {
    fn begin(gate: &'a Gate) -> Self {
        Self { gate, began: (Instant::now(), gate.asked()), waiting_from: None }
    }

    fn begin_waiting(&mut self) {
        self.waiting_from = Some((Instant::now(), self.gate.asked()));
    }

    fn print(&self, who: &str) {
        let now = (Instant::now(), self.gate.asked());
        let waiting_from = self.waiting_from.unwrap_or(self.began);
        let rate = |from: (Instant, usize), to: (Instant, usize)| {
            let (calls, time) = (to.1 - from.1, to.0.duration_since(from.0).as_secs_f64());
            format!("{:.2} calls a second ({calls} in {time:.0} s)", calls as f64 / time)
        };
        print_line(&format!(
            "  {who:<58} {}; after the first {} s {}",
            rate(self.began, now),
            BEGINNING.as_secs(),
            rate(waiting_from, now)
        ));
    }
}

/// A socket that leads to the engine and counts the requests that go through.
struct Gate {
    path: PathBuf,
    requests: Arc<AtomicUsize>,
}

/// How each request's first line ends. Answers go the other way.
const REQUEST: &[u8] = b" HTTP/1.1\r\n";

impl Gate {
    fn open(path: &Path, engine: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (counter, engine) = (requests.clone(), engine.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = UnixStream::connect(&engine) else { continue };
                let (Ok(back_from), Ok(back_to)) = (server.try_clone(), client.try_clone()) else { continue };
                let counter = counter.clone();
                std::thread::spawn(move || pass(client, server, Some(&counter)));
                std::thread::spawn(move || pass(back_from, back_to, None));
            }
        });
        Self { path: path.to_owned(), requests }
    }

    fn asked(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream, counter: Option<&AtomicUsize>) {
    let mut buffer = [0; 16 * 1024];
    let mut tail: Vec<u8> = Vec::new();
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
        if let Some(counter) = counter {
            tail.extend_from_slice(&buffer[..read]);
            let found = tail.windows(REQUEST.len()).filter(|window| *window == REQUEST).count();
            counter.fetch_add(found, Ordering::Relaxed);
            // A line may come in two pieces; what is kept is too short to hold a whole end again.
            tail.drain(..tail.len().saturating_sub(REQUEST.len() - 1));
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
