//! A run on a simulated host that crashes at one of its calls or meets a fault in it. The engine may still act on the last call,
//! and the child of the run lives until the cleanup ends it.

mod ports;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use harness::{
    model::{
        names::StackName,
        object::ObjectKind,
        time::{Mono, Wall},
    },
    ports::{Call, ChildRegister, Clock, Ports},
};
use tokio::{sync::Notify, time::Instant};

use crate::{
    sim_faults::{Fault, FaultKind, InjectedError},
    sim_host::SimHost,
    sim_inventory::object,
};

pub use ports::CleanupPorts;
use ports::RunPorts;

/// How long after the crash of the run the engine may still act on its last call.
pub const ENGINE_DELAY: Duration = Duration::from_secs(19);

/// Both clocks, on the time of the runtime.
#[derive(Debug, Clone, Copy)]
pub struct SimClock(Instant);

impl SimClock {
    /// The clocks, started now.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SimClock {
    fn mono(&self) -> Mono {
        Mono::default().after(self.0.elapsed())
    }

    fn wall(&self) -> Wall {
        Wall::from_millis(1_795_255_302_000 + i64::try_from(self.0.elapsed().as_millis()).unwrap_or_default())
    }
}

/// The call at which the run crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// After this call: the call has its effect, the answer is lost.
    After(u32),
    /// In this call to abra, which makes objects: this many exist, the engine is making the next one, and abra goes on with the
    /// rest.
    Within(u32, usize),
}

/// An injection into a run.
#[derive(Debug, Clone, Copy)]
enum Injection {
    /// A crash, or none. Only calls that the run awaits are counted: it can crash in no others.
    Crash(Option<CrashPoint>),
    /// A fault, or none, of a run that lives. All calls are counted.
    Fault(Option<Fault>),
}

/// A run with an injection, and the effects that are pending after it.
pub struct InjectedRun {
    host: SimHost,
    ports: Ports,
    injection: Injection,
    calls: AtomicU32,
    /// The names of the calls, in order.
    names: Mutex<Vec<&'static str>>,
    /// How many calls of a name succeeded.
    answered: Mutex<BTreeMap<&'static str, u32>>,
    /// The calls that make objects, and how many.
    makers: Mutex<Vec<(u32, usize)>>,
    crashed: AtomicBool,
    crash_notice: Notify,
    register: Mutex<Option<Arc<dyn ChildRegister>>>,
    pending: Mutex<PendingEffects>,
}

type NewObject = (ObjectKind, String, Option<String>);

#[derive(Default)]
struct PendingEffects {
    /// Objects that the engine makes later.
    in_flight: Vec<(Instant, NewObject)>,
    /// Objects that the living child makes, one before each observation.
    child: VecDeque<NewObject>,
}

impl InjectedRun {
    /// A run on this host that crashes there; without a crash point it runs to its end.
    pub fn crashing(host: &SimHost, crash_point: Option<CrashPoint>) -> Arc<Self> {
        Self::new(host, Injection::Crash(crash_point))
    }

    /// A run on this host that meets this fault.
    pub fn with_fault(host: &SimHost, fault: Option<Fault>) -> Arc<Self> {
        Self::new(host, Injection::Fault(fault))
    }

    fn new(host: &SimHost, injection: Injection) -> Arc<Self> {
        Arc::new(Self {
            host: host.clone(),
            ports: host.ports(),
            injection,
            calls: AtomicU32::new(0),
            names: Mutex::default(),
            answered: Mutex::default(),
            makers: Mutex::default(),
            crashed: AtomicBool::new(false),
            crash_notice: Notify::new(),
            register: Mutex::default(),
            pending: Mutex::default(),
        })
    }

    /// The ports of the run; `register` records its children.
    pub fn ports(self: &Arc<Self>, register: Arc<dyn ChildRegister>) -> Ports {
        *self.register.lock().unwrap_or_else(PoisonError::into_inner) = Some(register);
        let run = Arc::new(RunPorts(self.clone()));
        Ports {
            swarm: run.clone(),
            capacity: run.clone(),
            data: run.clone(),
            abra: run.clone(),
            checkout: run.clone(),
            machine: run.clone(),
            web: run.clone(),
            origin: run.clone(),
            browser: run.clone(),
            executables: run.clone(),
            neighbours: run.clone(),
            program: run.clone(),
            files: run.clone(),
            children: run,
            clock: Arc::new(SimClock::start()),
        }
    }

    /// The ports of the cleanup after the run, on the same host.
    pub fn cleanup_ports(self: &Arc<Self>) -> Arc<CleanupPorts> {
        Arc::new(CleanupPorts(self.clone()))
    }

    /// Drops the register of children, and with it the lock of the run, as the system does at the end of a process.
    pub fn release(&self) {
        *self.register.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns when the run has crashed.
    pub async fn crashed(&self) {
        if !self.crashed.load(Ordering::Relaxed) {
            self.crash_notice.notified().await;
        }
    }

    /// How many calls it has made.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The names of its calls, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many of its calls succeeded, by name.
    pub fn answered(&self) -> BTreeMap<&'static str, u32> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All crash points of a run that makes the same calls.
    pub fn crash_points(&self) -> Vec<CrashPoint> {
        let makers = self.makers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let within = makers.into_iter().flat_map(|(call, count)| (0..=count).map(move |made| CrashPoint::Within(call, made)));
        (1..=self.calls()).map(CrashPoint::After).chain(within).collect()
    }

    /// Whether objects may still appear.
    pub fn has_pending_effects(&self) -> bool {
        let pending = self.pending();
        !pending.in_flight.is_empty() || !pending.child.is_empty()
    }

    fn pending(&self) -> MutexGuard<'_, PendingEffects> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next call, which may meet the fault, and after which the run may crash.
    async fn call<T, E: InjectedError, F: Future<Output = Result<T, E>>>(
        &self,
        name: &'static str,
        act: impl Fn() -> F,
    ) -> Result<T, E> {
        if self.crashed.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let number = self.begin(name);
        let answer = match self.kind(number, name) {
            None => act().await,
            Some(FaultKind::Fails) => Err(E::injected(name)),
            Some(FaultKind::AnswerLost) => act().await.and_then(|_| Err(E::injected(name))),
            Some(FaultKind::Hangs) => std::future::pending().await,
            Some(FaultKind::Stalls) => {
                let _ = act().await;
                std::future::pending().await
            }
            Some(FaultKind::Repeated) => {
                let _ = act().await;
                act().await
            }
        };
        if matches!(self.injection, Injection::Crash(Some(CrashPoint::After(last))) if last == number) {
            self.crash().await;
        }
        if answer.is_ok() {
            *self.answered.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
        }
        answer
    }

    /// The next call that the run does not await: it can fail, with or without its effect. The run never crashes after it.
    fn call_now<T, E: InjectedError>(&self, name: &'static str, act: impl Fn() -> Result<T, E>) -> Result<T, E> {
        match self.fault_of_next_call(name) {
            None => act(),
            Some(FaultKind::Fails | FaultKind::Hangs) => Err(E::injected(name)),
            Some(FaultKind::AnswerLost | FaultKind::Stalls) => act().and_then(|_| Err(E::injected(name))),
            Some(FaultKind::Repeated) => act().and_then(|_| act()),
        }
    }

    /// The next call that the run does not await, without effect and error: when it fails its answer is `unread`.
    fn read_now<T>(&self, name: &'static str, unread: impl FnOnce() -> T, act: impl FnOnce() -> T) -> T {
        match self.fault_of_next_call(name) {
            None | Some(FaultKind::Repeated) => act(),
            Some(FaultKind::Fails | FaultKind::AnswerLost | FaultKind::Hangs | FaultKind::Stalls) => unread(),
        }
    }

    /// The fault of the next call that the run does not await.
    fn fault_of_next_call(&self, name: &'static str) -> Option<FaultKind> {
        match self.injection {
            Injection::Crash(_) => None,
            Injection::Fault(_) => self.kind(self.begin(name), name),
        }
    }

    fn begin(&self, name: &'static str) -> u32 {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn kind(&self, number: u32, name: &str) -> Option<FaultKind> {
        let Injection::Fault(fault) = self.injection else { return None };
        fault.and_then(|fault| fault.of(number, name))
    }

    async fn crash(&self) {
        self.crashed.store(true, Ordering::Relaxed);
        self.crash_notice.notify_one();
        std::future::pending().await
    }

    /// Crashes in the next call if it makes objects and is the crash point.
    async fn crash_within(&self, new_objects: Vec<NewObject>) {
        if !new_objects.is_empty() {
            let maker = (self.calls() + 1, new_objects.len());
            self.makers.lock().unwrap_or_else(PoisonError::into_inner).push(maker);
        }
        let Injection::Crash(Some(CrashPoint::Within(number, made))) = self.injection else { return };
        if self.calls() + 1 != number || made > new_objects.len() || new_objects.is_empty() {
            return;
        }
        let mut new_objects: VecDeque<NewObject> = new_objects.into();
        for (kind, name, stack) in new_objects.drain(..made) {
            self.host.put(object(kind, &name, stack.as_deref()));
        }
        {
            let mut pending = self.pending();
            pending.in_flight.extend(new_objects.pop_front().map(|object| (Instant::now() + ENGINE_DELAY, object)));
            pending.child = new_objects;
        }
        self.crash().await;
    }

    /// Makes the objects that are due now, and the next one of the child.
    fn apply_pending_effects(&self) {
        let mut pending = self.pending();
        let now = Instant::now();
        let due: Vec<NewObject> = pending.in_flight.extract_if(.., |(at, _)| *at <= now).map(|(_, object)| object).collect();
        let of_child = pending.child.pop_front();
        for (kind, name, stack) in due.into_iter().chain(of_child) {
            self.host.put(object(kind, &name, stack.as_deref()));
        }
    }
}

/// The objects that a call to abra makes, in their order.
fn new_objects(call: &Call) -> Vec<NewObject> {
    let named = |stack: &StackName, rest: &str| format!("{stack}_{rest}");
    match call {
        Call::SecretGenerate { domain, .. } => {
            let stack = StackName::of(domain);
            ["token_v1", "key_v1"].map(|name| (ObjectKind::Secret, named(&stack, name), None)).into()
        }
        Call::Deploy { domain, .. } => {
            let stack = StackName::of(domain);
            let parts = [
                (ObjectKind::Network, "default"),
                (ObjectKind::Secret, "extra_v1"),
                (ObjectKind::Config, "settings_v1"),
                (ObjectKind::Service, "app"),
                (ObjectKind::Volume, "data"),
                (ObjectKind::Service, "db"),
            ];
            parts.map(|(kind, name)| (kind, named(&stack, name), Some(stack.to_string()))).into()
        }
        // None of these makes several objects, so there is no crash point between two.
        Call::Version
        | Call::Fetch { .. }
        | Call::New { .. }
        | Call::SecretInsert { .. }
        | Call::Command { .. }
        | Call::BackupCreate { .. }
        | Call::BackupSnapshots { .. }
        | Call::BackupList { .. }
        | Call::BackupDownload { .. }
        | Call::Restore { .. }
        | Call::Lint { .. }
        | Call::Undeploy { .. } => Vec::new(),
    }
}

/// The name of a call to abra.
fn call_name(call: &Call) -> &'static str {
    match call {
        Call::Version => "abra.version",
        Call::Fetch { .. } => "abra.fetch",
        Call::New { .. } => "abra.new",
        Call::SecretGenerate { .. } => "abra.secret-generate",
        Call::SecretInsert { .. } => "abra.secret-insert",
        Call::Deploy { .. } => "abra.deploy",
        Call::Command { .. } => "abra.command",
        Call::BackupCreate { .. } => "abra.backup-create",
        Call::BackupSnapshots { .. } => "abra.backup-snapshots",
        Call::BackupList { .. } => "abra.backup-list",
        Call::BackupDownload { .. } => "abra.backup-download",
        Call::Restore { .. } => "abra.restore",
        Call::Lint { .. } => "abra.lint",
        Call::Undeploy { .. } => "abra.undeploy",
    }
}
