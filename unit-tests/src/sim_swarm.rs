//! A simulated Swarm: stacks whose observations are a pure function of time, the port over one stack, and a validator of
//! observations.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use harness::{
    model::{
        engine::{Engine, SwarmError, SwarmResources},
        names::{ImageRef, ServiceName, StackName, TaskId},
        time::Mono,
    },
    ports::{Capacity, ContainerEnd, Swarm, WakeUp},
    pure::{
        host::{
            claim::Claim,
            cleanup_plan::Removal,
            converge::{
                Endpoint, Health, Index, Mode, Observation, OnFailure, Order, RestartCondition, RestartPolicy, RollPolicy,
                ServiceView, SpecDigest, TaskState, TaskView,
            },
        },
        recipe::power::Live,
    },
};

/// How long the engine prepares a container before it starts it.
const PREPARING: u64 = 400;
/// How many ended tasks the engine keeps for a slot.
const HISTORY: usize = 4;

/// The behaviour of a started container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// It runs, and is healthy after so many milliseconds.
    Serves(u64),
    /// It exits each time.
    Crashes(i32),
    /// It exits with 1 until the service with that number is ready, and then runs.
    Needs(usize),
    /// It runs once for so many milliseconds and exits with 0.
    Once(u64),
    /// It fits on no node.
    Nowhere,
}

/// A service of a simulated stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimService {
    /// Its behaviour.
    pub does: Does,
    /// The pause before a new attempt, in milliseconds.
    pub delay: u64,
    /// The duration of an attempt that ends by itself, in milliseconds.
    pub lasts: u64,
}

/// A simulated stack. A service may only need a service with a lower number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimStack(pub Vec<SimService>);

/// One attempt of a service: when it starts to run, and when and how it ends.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    created: u64,
    started: u64,
    ready: Option<u64>,
    end: Option<(u64, i32)>,
}

impl SimStack {
    /// Whether it settles without interference.
    pub fn can_settle(&self) -> bool {
        (0..self.0.len()).all(|number| self.ready(number).is_some())
    }

    /// The time at which the service is ready and stays so, in milliseconds.
    pub fn ready(&self, number: usize) -> Option<u64> {
        match self.0[number].does {
            Does::Crashes(_) | Does::Nowhere => None,
            Does::Once(_) => self.attempts(number, u64::MAX).last()?.end.map(|(at, _)| at),
            Does::Serves(_) => self.attempts(number, u64::MAX).last()?.ready,
            Does::Needs(other) => {
                self.ready(other)?;
                self.attempts(number, u64::MAX).last()?.ready
            }
        }
    }

    /// The attempts that are created up to `until`. With `u64::MAX`, all up to the attempt that stays.
    fn attempts(&self, number: usize, until: u64) -> Vec<Attempt> {
        let service = &self.0[number];
        let needs = match service.does {
            Does::Needs(other) => self.ready(other),
            _ => None,
        };
        let mut attempts = Vec::new();
        let mut created = 100 * number as u64;
        let mut started = created + PREPARING;
        while created <= until {
            let failing =
                |exit| Attempt { created, started, ready: Some(started + 50), end: Some((started + 50 + service.lasts, exit)) };
            let attempt = match service.does {
                Does::Serves(ready) => Attempt { created, started, ready: Some(started + ready), end: None },
                Does::Needs(_) if needs.is_some_and(|ready| ready <= started) => {
                    Attempt { created, started, ready: Some(started + 50), end: None }
                }
                Does::Needs(_) => failing(1),
                Does::Crashes(exit) => failing(exit),
                Does::Once(takes) => Attempt { created, started, ready: Some(started), end: Some((started + takes, 0)) },
                Does::Nowhere => Attempt { created, started: u64::MAX, ready: None, end: None },
            };
            attempts.push(attempt);
            match attempt.end {
                Some((end, _)) if !matches!(service.does, Does::Once(_)) => {
                    if until == u64::MAX && needs.is_none() {
                        break;
                    }
                    created = end;
                    started = end + service.delay.max(PREPARING);
                }
                _ => break,
            }
        }
        attempts
    }

    /// The moments up to `until` at which the engine would send an event.
    pub fn events(&self, until: u64) -> BTreeSet<u64> {
        let of = |number: usize| {
            self.attempts(number, until).into_iter().flat_map(|attempt| {
                [Some(attempt.created), Some(attempt.started), attempt.ready, attempt.end.map(|(at, _)| at)].into_iter().flatten()
            })
        };
        (0..self.0.len()).flat_map(of).filter(|at| *at <= until).collect()
    }

    /// The observation at that moment.
    pub fn observe(&self, at: Mono) -> BTreeMap<ServiceName, ServiceView> {
        let created = |number: &usize| 100 * *number as u64 <= at.0;
        (0..self.0.len()).filter(created).map(|number| (name(number), self.view(number, at.0))).collect()
    }

    fn view(&self, number: usize, at: u64) -> ServiceView {
        let service = &self.0[number];
        let attempts = self.attempts(number, at);
        let first = attempts.len().saturating_sub(HISTORY + 1);
        let tasks = attempts.iter().enumerate().skip(first).map(|(count, attempt)| task(number, count, attempt, service, at));
        let once = matches!(service.does, Does::Once(_));
        ServiceView {
            index: Index(10 + number as u64),
            spec: SpecDigest(format!("spec-{number}")),
            image: "taster.test/busybox:1.35.0".parse().expect("an image"),
            mode: Mode::Replicated { replicas: 1 },
            update: None,
            roll: RollPolicy {
                parallelism: 1,
                delay: Duration::ZERO,
                monitor: Duration::from_secs(5),
                order: Order::StopFirst,
                on_failure: OnFailure::Pause,
            },
            restart: RestartPolicy {
                condition: if once { RestartCondition::None } else { RestartCondition::Any },
                delay: Duration::from_millis(service.delay),
                max_attempts: 0,
            },
            health: match service.does {
                Does::Serves(ready) => Health::Probe {
                    interval: Duration::from_secs(1),
                    timeout: Duration::from_secs(1),
                    retries: 3,
                    start_period: Duration::from_millis(ready),
                },
                _ => Health::Absent,
            },
            host_ports: Vec::new(),
            endpoint: Endpoint::Dnsrr,
            labels: BTreeMap::new(),
            tasks: tasks.collect(),
        }
    }
}

fn task(number: usize, count: usize, attempt: &Attempt, service: &SimService, at: u64) -> TaskView {
    let ended = attempt.end.filter(|(end, _)| *end <= at);
    let state = match ended {
        Some((_, 0)) => TaskState::Complete,
        Some(_) => TaskState::Failed,
        None if attempt.ready.is_some_and(|ready| ready <= at) => TaskState::Running,
        None if attempt.started <= at => TaskState::Starting,
        None if matches!(service.does, Does::Nowhere) => TaskState::Pending,
        None => TaskState::Ready,
    };
    let nowhere = state == TaskState::Pending;
    TaskView {
        id: format!("task-{number}-{count}").parse().expect("a task id"),
        slot: Some(1),
        node: (!nowhere).then(|| "node".parse().expect("a node id")),
        current: true,
        desired: match ended {
            Some(_) => TaskState::Shutdown,
            None if attempt.started <= at || nowhere || count == 0 => TaskState::Running,
            None => TaskState::Ready,
        },
        state,
        exit: ended.map(|(_, exit)| exit),
        error: match ended {
            Some((_, exit)) if exit != 0 => format!("task: non-zero exit ({exit})"),
            _ if nowhere => "no suitable node (scheduling constraints not satisfied on 1 node)".into(),
            _ => String::new(),
        },
        container: (attempt.started <= at).then(|| format!("container-{number}-{count}")),
    }
}

/// The name of a simulated service.
pub fn name(number: usize) -> ServiceName {
    format!("sim_s{number}").parse().expect("a service name")
}

/// The port over a stack, on the paused clock of the runtime.
#[derive(Debug)]
pub struct SimSwarm {
    stack: SimStack,
    start: tokio::time::Instant,
    unhealthy: BTreeSet<String>,
}

impl SimSwarm {
    /// A Swarm on which the stack is deployed now.
    pub fn begin(stack: SimStack) -> Self {
        Self { stack, start: tokio::time::Instant::now(), unhealthy: BTreeSet::new() }
    }

    /// The same, on which this container is unhealthy.
    pub fn with_unhealthy(mut self, container: &str) -> Self {
        self.unhealthy.insert(container.to_owned());
        self
    }

    fn now(&self) -> Mono {
        Mono::default().after(self.start.elapsed())
    }
}

fn absent<T>(call: &str) -> Result<T, SwarmError> {
    Err(SwarmError::Failed { call: call.into(), message: "the simulation has no such call".into() })
}

#[async_trait]
impl Swarm for SimSwarm {
    async fn host(&self) -> Result<Engine, SwarmError> {
        absent("host")
    }

    async fn inventory(&self) -> Result<harness::pure::host::inventory::Inventory, SwarmError> {
        absent("inventory")
    }

    async fn observe(&self, _stack: &StackName) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError> {
        Ok(self.stack.observe(self.now()))
    }

    async fn specs(&self, _: &StackName) -> Result<Live, SwarmError> {
        absent("specs")
    }

    async fn wake_ups(&self, _stack: &StackName) -> BoxStream<'static, WakeUp> {
        let start = self.start;
        let events = self.stack.events(600_000);
        stream::iter(events)
            .then(move |at| async move {
                tokio::time::sleep_until(start + Duration::from_millis(at)).await;
                WakeUp { what: format!("event at {at}") }
            })
            .chain(stream::pending())
            .boxed()
    }

    async fn logs(&self, task: &TaskId, _lines: u32) -> Result<String, SwarmError> {
        Ok(format!("last words of {task}"))
    }

    async fn container_end(&self, container: &str) -> Result<Option<ContainerEnd>, SwarmError> {
        let unhealthy = self.unhealthy.contains(container).then(|| "GET /health: 500\n".into());
        Ok(Some(ContainerEnd { unhealthy, ..ContainerEnd::default() }))
    }

    async fn mark(&self, _claim: &Claim, _labels: &BTreeMap<String, String>) -> Result<(), SwarmError> {
        absent("mark")
    }

    async fn restart(&self, _: &Claim, _: &ServiceName) -> Result<(), SwarmError> {
        absent("restart")
    }

    async fn remove(&self, _claim: &Claim, _removal: &Removal) -> Result<(), SwarmError> {
        absent("remove")
    }
}

#[async_trait]
impl Capacity for SimSwarm {
    async fn resources(&self) -> Result<SwarmResources, SwarmError> {
        absent("resources")
    }

    async fn absent(&self, _: &BTreeSet<ImageRef>) -> Result<BTreeSet<ImageRef>, SwarmError> {
        absent("images")
    }

    async fn look_up(&self, _: &ImageRef) -> Result<(), SwarmError> {
        absent("registry look-up")
    }
}

/// The impossible changes in a series of observations; empty for a series that a real Swarm can produce.
pub fn impossible(observations: &[Observation]) -> Vec<String> {
    let mut found = Vec::new();
    for observation in observations {
        for (service, view) in &observation.services {
            for task in &view.tasks {
                let ended = task.state > TaskState::Running;
                if task.exit.is_some() && !ended {
                    found.push(format!("{service}: task {} runs and has an exit code", task.id));
                }
                if task.state >= TaskState::Assigned && task.node.is_none() && !ended {
                    found.push(format!("{service}: task {} has no node in state {:?}", task.id, task.state));
                }
            }
        }
    }
    for pair in observations.windows(2) {
        if pair[1].at < pair[0].at {
            found.push(format!("time goes back at {:?}", pair[1].at));
        }
        for (service, now) in &pair[1].services {
            let Some(before) = pair[0].services.get(service) else { continue };
            if now.index < before.index {
                found.push(format!("{service}: its index falls"));
            }
            if now.index == before.index && now.spec != before.spec {
                found.push(format!("{service}: its spec changes without its index"));
            }
            for task in &now.tasks {
                let Some(old) = before.tasks.iter().find(|old| old.id == task.id) else { continue };
                if task.state < old.state || task.desired < old.desired {
                    found.push(format!("{service}: task {} goes back from {:?} to {:?}", task.id, old.state, task.state));
                }
                if task.slot != old.slot || (old.node.is_some() && task.node != old.node) {
                    found.push(format!("{service}: task {} moves", task.id));
                }
                if old.state > TaskState::Running && old.exit != task.exit {
                    found.push(format!("{service}: task {} changes its exit code", task.id));
                }
            }
        }
    }
    found
}
