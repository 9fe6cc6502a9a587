//! A run that dies at a call or meets a fault in it, on a simulated host: what it had asked for may still come, and its child goes on
//! until somebody ends it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use harness::{
    claim::Claim,
    compose::Tree,
    converge::ServiceView,
    executables::SeenFile,
    model::{
        names::{Commit, ImageRef, RecipeName, ServiceName, StackName, TaskId},
        pack::{CustomTest, Origin, TestName},
        time::{Mono, Wall},
    },
    plan::Head,
    ports::{
        Abra, AbraError, Browser, Call, Capacity, Checked, Checkout, CheckoutError, Child, ChildError, ChildRegister, Children,
        Clock, Data, Engine, Exchange, Executables, FileError, Files, Holder, HttpView, Neighbours, NoShot, Nudge, Ports,
        ProgramError, Ran, Room, Said, Shot, Swarm, SwarmError, TestProgram, Turn, Web, WebError,
    },
    sweep::Removal,
    world::{ObjectKind, World},
};
use tokio::{sync::Notify, time::Instant};

use crate::{
    sim_faults::{Broken, Fault, Kind},
    sim_host::SimHost,
    sim_world::object,
};

/// How long after the death of its client the engine may still do what it was asked for.
pub const LATE: Duration = Duration::from_secs(19);
/// The child that abra is.
pub const CHILD: i32 = i32::MAX;

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

/// Where the run dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// After the call of that number: it has had its effect, and nobody hears the answer.
    After(u32),
    /// In the call of that number, if it is one to abra that makes things: so many of them are there, the next is being made by the
    /// engine, and abra goes on with the rest.
    Within(u32, usize),
}

/// The run's life, and what goes on after it.
pub struct Mortal {
    host: SimHost,
    ports: Ports,
    death: Option<Death>,
    fault: Option<Fault>,
    calls: AtomicU32,
    /// The names of the calls, in order.
    names: Mutex<Vec<&'static str>>,
    /// How many calls of a name were answered well.
    answered: Mutex<BTreeMap<&'static str, u32>>,
    /// The calls that make something, and how many things.
    makers: Mutex<Vec<(u32, usize)>>,
    dead: AtomicBool,
    died: Notify,
    register: Mutex<Option<Arc<dyn ChildRegister>>>,
    after: Mutex<After>,
}

type Thing = (ObjectKind, String, Option<String>);

#[derive(Default)]
struct After {
    /// What the engine makes at a time of its own.
    flying: Vec<(Instant, Thing)>,
    /// What the child goes on to make, one thing before each look, as long as it lives.
    child: VecDeque<Thing>,
}

impl Mortal {
    /// A run on this host that dies so; without a death it lives to its end.
    pub fn on(host: &SimHost, death: Option<Death>) -> Arc<Self> {
        Self::new(host, death, None)
    }

    /// A run on this host that lives, and meets this fault.
    pub fn meeting(host: &SimHost, fault: Option<Fault>) -> Arc<Self> {
        Self::new(host, None, fault)
    }

    fn new(host: &SimHost, death: Option<Death>, fault: Option<Fault>) -> Arc<Self> {
        Arc::new(Self {
            host: host.clone(),
            ports: host.ports(),
            death,
            fault,
            calls: AtomicU32::new(0),
            names: Mutex::default(),
            answered: Mutex::default(),
            makers: Mutex::default(),
            dead: AtomicBool::new(false),
            died: Notify::new(),
            register: Mutex::default(),
            after: Mutex::default(),
        })
    }

    /// The ports of the run; its children are told to `register`.
    pub fn ports(self: &Arc<Self>, register: Arc<dyn ChildRegister>) -> Ports {
        *self.register.lock().unwrap_or_else(PoisonError::into_inner) = Some(register);
        let mortal = Arc::new(Run(self.clone()));
        Ports {
            swarm: mortal.clone(),
            capacity: mortal.clone(),
            data: mortal.clone(),
            abra: mortal.clone(),
            checkout: mortal.clone(),
            machine: self.ports.machine.clone(),
            web: mortal.clone(),
            browser: mortal.clone(),
            executables: mortal.clone(),
            neighbours: mortal.clone(),
            program: mortal.clone(),
            files: mortal.clone(),
            children: mortal,
            clock: Arc::new(SimClock::start()),
        }
    }

    /// The same host as whoever sweeps after the run sees it.
    pub fn survivors(self: &Arc<Self>) -> Arc<Survivors> {
        Arc::new(Survivors(self.clone()))
    }

    /// Lets go of what the run held, as the system does at its end.
    pub fn let_go(&self) {
        *self.register.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns when the run has died.
    pub async fn death(&self) {
        if !self.dead.load(Ordering::Relaxed) {
            self.died.notified().await;
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

    /// How many of its calls were answered well, by their names.
    pub fn answered(&self) -> BTreeMap<&'static str, u32> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All deaths that a run which makes the same calls can die.
    pub fn deaths(&self) -> Vec<Death> {
        let makers = self.makers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let within = makers.into_iter().flat_map(|(call, things)| (0..=things).map(move |made| Death::Within(call, made)));
        (1..=self.calls()).map(Death::After).chain(within).collect()
    }

    /// Whether anything may still appear.
    pub fn goes_on(&self) -> bool {
        let after = self.after();
        !after.flying.is_empty() || !after.child.is_empty()
    }

    fn after(&self) -> MutexGuard<'_, After> {
        self.after.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next call, which may meet the fault, and after which the run may die.
    async fn call<T, E: Broken, F: Future<Output = Result<T, E>>>(
        &self,
        name: &'static str,
        act: impl Fn() -> F,
    ) -> Result<T, E> {
        if self.dead.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let number = self.begin(name);
        let answer = match self.kind(number, name) {
            None => act().await,
            Some(Kind::Fails) => Err(E::broken(name)),
            Some(Kind::Unheard) => act().await.and_then(|_| Err(E::broken(name))),
            Some(Kind::Hangs) => std::future::pending().await,
            Some(Kind::Stalls) => {
                let _ = act().await;
                std::future::pending().await
            }
            Some(Kind::Twice) => {
                let _ = act().await;
                act().await
            }
        };
        if self.death == Some(Death::After(number)) {
            self.die().await;
        }
        if answer.is_ok() {
            *self.answered.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
        }
        answer
    }

    /// The next call that nobody waits for: it can fail, and has its effect or not. It is no call that a run dies after.
    fn call_now<T, E: Broken>(&self, name: &'static str, act: impl Fn() -> Result<T, E>) -> Result<T, E> {
        if self.fault.is_none() && self.death.is_some() {
            return act();
        }
        let number = self.begin(name);
        match self.kind(number, name) {
            None => act(),
            Some(Kind::Fails | Kind::Hangs) => Err(E::broken(name)),
            Some(Kind::Unheard | Kind::Stalls) => act().and_then(|_| Err(E::broken(name))),
            Some(Kind::Twice) => act().and_then(|_| act()),
        }
    }

    fn begin(&self, name: &'static str) -> u32 {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn kind(&self, number: u32, name: &str) -> Option<Kind> {
        self.fault.and_then(|fault| fault.of(number, name))
    }

    async fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.died.notify_one();
        std::future::pending().await
    }

    /// Dies in the next call if that is where the run is to die and the call makes something.
    async fn die_within(&self, things: Vec<Thing>) {
        if !things.is_empty() {
            let maker = (self.calls() + 1, things.len());
            self.makers.lock().unwrap_or_else(PoisonError::into_inner).push(maker);
        }
        let Some(Death::Within(number, made)) = self.death else { return };
        if self.calls() + 1 != number || made > things.len() || things.is_empty() {
            return;
        }
        let mut things: VecDeque<Thing> = things.into();
        for (kind, name, stack) in things.drain(..made) {
            self.host.put(object(kind, &name, stack.as_deref()));
        }
        {
            let mut after = self.after();
            after.flying.extend(things.pop_front().map(|thing| (Instant::now() + LATE, thing)));
            after.child = things;
        }
        self.die().await;
    }

    /// What goes on without the run.
    fn goes_by(&self) {
        let mut after = self.after();
        let now = Instant::now();
        let due: Vec<Thing> = after.flying.extract_if(.., |(at, _)| *at <= now).map(|(_, thing)| thing).collect();
        let of_child = after.child.pop_front();
        for (kind, name, stack) in due.into_iter().chain(of_child) {
            self.host.put(object(kind, &name, stack.as_deref()));
        }
    }
}

/// What a call to abra makes, in the order in which it does.
fn things(call: &Call) -> Vec<Thing> {
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
        _ => Vec::new(),
    }
}

/// The name of a call to abra.
fn command(call: &Call) -> &'static str {
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

/// The ports of the run that dies.
struct Run(Arc<Mortal>);

/// The ports of those who sweep after it. They do not die.
pub struct Survivors(Arc<Mortal>);

#[async_trait]
impl Children for Survivors {
    async fn end(&self, child: &Child, _: Duration) -> Result<(), ChildError> {
        assert_eq!(child.pid, CHILD, "only the run's own child is ended");
        self.0.after().child.clear();
        Ok(())
    }
}

#[async_trait]
impl Swarm for Survivors {
    async fn host(&self) -> Result<Engine, SwarmError> {
        self.0.ports.swarm.host().await
    }

    async fn world(&self) -> Result<World, SwarmError> {
        self.0.goes_by();
        self.0.ports.swarm.world().await
    }

    async fn look(&self, stack: &StackName) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError> {
        self.0.ports.swarm.look(stack).await
    }

    async fn nudges(&self, stack: &StackName) -> BoxStream<'static, Nudge> {
        self.0.ports.swarm.nudges(stack).await
    }

    async fn logs(&self, task: &TaskId, lines: u32) -> Result<String, SwarmError> {
        self.0.ports.swarm.logs(task, lines).await
    }

    async fn health_words(&self, container: &str) -> Result<Option<String>, SwarmError> {
        self.0.ports.swarm.health_words(container).await
    }

    async fn mark(&self, _: &Claim, _: &BTreeMap<String, String>) -> Result<(), SwarmError> {
        unreachable!("a sweep makes nothing")
    }

    async fn restart(&self, _: &Claim, _: &ServiceName) -> Result<(), SwarmError> {
        unreachable!("a sweep starts nothing")
    }

    async fn remove(&self, claim: &Claim, removal: &Removal) -> Result<(), SwarmError> {
        self.0.ports.swarm.remove(claim, removal).await
    }
}

#[async_trait]
impl Swarm for Run {
    async fn host(&self) -> Result<Engine, SwarmError> {
        self.0.call("swarm.host", || self.0.ports.swarm.host()).await
    }

    async fn world(&self) -> Result<World, SwarmError> {
        self.0.call("swarm.world", || self.0.ports.swarm.world()).await
    }

    async fn look(&self, stack: &StackName) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError> {
        self.0.call("swarm.look", || self.0.ports.swarm.look(stack)).await
    }

    async fn nudges(&self, stack: &StackName) -> BoxStream<'static, Nudge> {
        // It cannot fail, and nobody may rely on it: without it there are still looks.
        let nudges = self.0.ports.swarm.nudges(stack).await;
        match self.0.kind(self.0.calls.load(Ordering::Relaxed), "swarm.nudges") {
            None => nudges,
            Some(Kind::Fails | Kind::Unheard) => stream::empty().boxed(),
            Some(Kind::Hangs | Kind::Stalls) => stream::pending().boxed(),
            Some(Kind::Twice) => stream::iter((0..9).map(|_| Nudge { what: "again".into() })).chain(nudges).boxed(),
        }
    }

    async fn logs(&self, task: &TaskId, lines: u32) -> Result<String, SwarmError> {
        self.0.call("swarm.logs", || self.0.ports.swarm.logs(task, lines)).await
    }

    async fn health_words(&self, container: &str) -> Result<Option<String>, SwarmError> {
        self.0.call("swarm.health_words", || self.0.ports.swarm.health_words(container)).await
    }

    async fn mark(&self, claim: &Claim, labels: &BTreeMap<String, String>) -> Result<(), SwarmError> {
        self.0.die_within(vec![(ObjectKind::Config, format!("taster-{}", claim.run()), None)]).await;
        self.0.call("swarm.mark", || self.0.ports.swarm.mark(claim, labels)).await
    }

    async fn restart(&self, claim: &Claim, service: &ServiceName) -> Result<(), SwarmError> {
        self.0.call("swarm.restart", || self.0.ports.swarm.restart(claim, service)).await
    }

    async fn remove(&self, claim: &Claim, removal: &Removal) -> Result<(), SwarmError> {
        self.0.call("swarm.remove", || self.0.ports.swarm.remove(claim, removal)).await
    }
}

#[async_trait]
impl Capacity for Run {
    async fn room(&self) -> Result<Room, SwarmError> {
        self.0.call("capacity.room", || self.0.ports.capacity.room()).await
    }

    async fn absent(&self, images: &BTreeSet<ImageRef>) -> Result<BTreeSet<ImageRef>, SwarmError> {
        self.0.call("capacity.absent", || self.0.ports.capacity.absent(images)).await
    }

    async fn look_up(&self, image: &ImageRef) -> Result<(), SwarmError> {
        self.0.call("capacity.look_up", || self.0.ports.capacity.look_up(image)).await
    }
}

#[async_trait]
impl Data for Run {
    async fn hold(&self, claim: &Claim, image: &ImageRef, volumes: &[String]) -> Result<Holder, SwarmError> {
        self.0.call("data.hold", || self.0.ports.data.hold(claim, image, volumes)).await
    }

    async fn put(&self, holder: &Holder, volume: &str, path: &str, bytes: &[u8]) -> Result<(), SwarmError> {
        self.0.call("data.put", || self.0.ports.data.put(holder, volume, path, bytes)).await
    }

    async fn get(&self, holder: &Holder, volume: &str, path: &str) -> Result<Option<Vec<u8>>, SwarmError> {
        self.0.call("data.get", || self.0.ports.data.get(holder, volume, path)).await
    }

    async fn release(&self, holder: Holder) -> Result<(), SwarmError> {
        self.0.call("data.release", || self.0.ports.data.release(holder.clone())).await
    }

    async fn exec(&self, claim: &Claim, task: &TaskId, argv: &[String], patience: Duration) -> Result<Said, SwarmError> {
        self.0.call("data.exec", || self.0.ports.data.exec(claim, task, argv, patience)).await
    }

    async fn snapshots(&self, claim: &Claim) -> Result<Vec<String>, SwarmError> {
        self.0.call("data.snapshots", || self.0.ports.data.snapshots(claim)).await
    }

    async fn forget(&self, claim: &Claim, snapshots: &[String]) -> Result<(), SwarmError> {
        self.0.call("data.forget", || self.0.ports.data.forget(claim, snapshots)).await
    }

    async fn runs(&self, service: &ServiceName) -> Result<bool, SwarmError> {
        self.0.call("data.runs", || self.0.ports.data.runs(service)).await
    }
}

#[async_trait]
impl Abra for Run {
    async fn call(&self, call: &Call, claim: Option<&Claim>, budget: Duration) -> Result<Exchange, AbraError> {
        let register = self.0.register.lock().unwrap_or_else(PoisonError::into_inner).clone().expect("a register of children");
        register.started(CHILD, 1, "abra").await.expect("a journal");
        self.0.die_within(things(call)).await;
        let answer = self.0.call(command(call), || self.0.ports.abra.call(call, claim, budget)).await;
        register.ended(CHILD).await;
        answer
    }

    async fn downloaded(&self, path: &str) -> Result<Option<u64>, AbraError> {
        self.0.call("abra.downloaded", || self.0.ports.abra.downloaded(path)).await
    }
}

#[async_trait]
impl Checkout for Run {
    async fn adopt(&self, claim: &Claim, recipe: &RecipeName, folder: &Path) -> Result<bool, CheckoutError> {
        self.0.call("checkout.adopt", || self.0.ports.checkout.adopt(claim, recipe, folder)).await
    }

    async fn read(&self, recipe: &RecipeName) -> Result<Checked, CheckoutError> {
        self.0.call("checkout.read", || self.0.ports.checkout.read(recipe)).await
    }

    async fn find(&self, recipe: &RecipeName, at: &str) -> Result<Commit, CheckoutError> {
        self.0.call("checkout.find", || self.0.ports.checkout.find(recipe, at)).await
    }

    async fn tree(&self, recipe: &RecipeName, commit: &Commit) -> Result<Tree, CheckoutError> {
        self.0.call("checkout.tree", || self.0.ports.checkout.tree(recipe, commit)).await
    }

    async fn env(&self, claim: &Claim) -> Result<String, CheckoutError> {
        self.0.call("checkout.env", || self.0.ports.checkout.env(claim)).await
    }

    async fn go(&self, claim: &Claim, recipe: &RecipeName, at: &str) -> Result<Commit, CheckoutError> {
        self.0.call("checkout.go", || self.0.ports.checkout.go(claim, recipe, at)).await
    }

    async fn set_env(&self, claim: &Claim, settings: &[(&str, &str)]) -> Result<(), CheckoutError> {
        self.0.call("checkout.set_env", || self.0.ports.checkout.set_env(claim, settings)).await
    }

    async fn pristine(&self, claim: &Claim, recipe: &RecipeName, commit: &Commit, abra_dir: &Path) -> Result<(), CheckoutError> {
        self.0.call("checkout.pristine", || self.0.ports.checkout.pristine(claim, recipe, commit, abra_dir)).await
    }

    async fn add(&self, claim: &Claim, recipe: &RecipeName, files: &BTreeMap<String, String>) -> Result<(), CheckoutError> {
        self.0.call("checkout.add", || self.0.ports.checkout.add(claim, recipe, files)).await
    }
}

#[async_trait]
impl TestProgram for Run {
    async fn list(&self, budget: Duration) -> Result<BTreeSet<TestName>, ProgramError> {
        self.0.call("program.list", || self.0.ports.program.list(budget)).await
    }

    async fn run_one(&self, test: &TestName, head: &Head, budget: Duration) -> Result<Ran, ProgramError> {
        self.0.call("program.run_one", || self.0.ports.program.run_one(test, head, budget)).await
    }
}

#[async_trait]
impl Web for Run {
    async fn get(&self, url: &str, timeout: Duration) -> Result<HttpView, WebError> {
        self.0.call("web.get", || self.0.ports.web.get(url, timeout)).await
    }

    async fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<(), WebError> {
        self.0.call("web.connect", || self.0.ports.web.connect(host, port, timeout)).await
    }
}

#[async_trait]
impl Browser for Run {
    fn found(&self) -> Result<String, String> {
        self.0.ports.browser.found()
    }

    async fn shot(&self, head: &Head, budget: Duration) -> Result<Shot, NoShot> {
        self.0.call("browser.shot", || self.0.ports.browser.shot(head, budget)).await
    }
}

#[async_trait]
impl Children for Run {
    async fn end(&self, child: &Child, patience: Duration) -> Result<(), ChildError> {
        self.0.call("children.end", || self.0.ports.children.end(child, patience)).await
    }
}

#[async_trait]
impl Neighbours for Run {
    async fn turn(&self) -> Result<Box<dyn Turn>, String> {
        self.0.call("neighbours.turn", || self.0.ports.neighbours.turn()).await
    }
}

#[async_trait]
impl Executables for Run {
    async fn find(&self, recipe: &RecipeName, origin: Origin) -> Result<Vec<SeenFile>, ProgramError> {
        self.0.call("executables.find", || self.0.ports.executables.find(recipe, origin)).await
    }

    async fn execute(&self, test: &CustomTest, head: &Head, budget: Duration) -> Result<Ran, ProgramError> {
        self.0.call("executables.execute", || self.0.ports.executables.execute(test, head, budget)).await
    }
}

impl Files for Run {
    fn digests(&self, paths: &[PathBuf]) -> BTreeMap<PathBuf, String> {
        self.0.ports.files.digests(paths)
    }

    fn remove(&self, claim: &Claim, path: &Path) -> Result<(), FileError> {
        self.0.call_now("files.remove", || self.0.ports.files.remove(claim, path))
    }
}
