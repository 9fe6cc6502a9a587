//! A simulated host for whole runs: one service that settles at once, and an abra and a web with configured behaviour.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use harness::{
    adapters::{clock::SystemClock, folder::Folder},
    engine::{Past, Run, log::Log},
    model::{
        engine::{Engine, Room, SwarmError},
        git::Branch,
        host::Host,
        names::{Commit, ImageRef, RecipeName, ServiceName, StackName, TaskId},
        object::{ObjectId, ObjectKind},
        pack::Pack,
        request::Request,
    },
    ports::{
        Abra, AbraError, Call, Capacity, Checked, Checkout, CheckoutError, Child, ChildError, Children, Exchange, Executables,
        FileError, Files, HttpView, NoExecutables, Ports, Swarm, WakeUp, Web, WebError,
    },
    pure::{
        host::{
            claim::{Claim, Claimed},
            cleanup_plan::Removal,
            converge::{Observation, ServiceView},
            inventory::Inventory,
        },
        recipe::compose::{Entry, Tree},
    },
    redact::Redact,
};

use crate::{
    event_log,
    lint_table::lint_table,
    recording::Recording,
    sim_app::{HEAD, SimApp},
    sim_browser::SimBrowser,
    sim_data::SimData,
    sim_inventory::object,
    sim_machine::{self, SimMachine},
    sim_neighbours::SimNeighbours,
    sim_program::{Ends, SimProgram},
};

/// The behaviour of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Does {
    /// It does its work.
    #[default]
    Well,
    /// It fails.
    Fails,
    /// It never ends.
    Hangs,
    /// It panics.
    Panics,
}

/// How a simulated host behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manners {
    /// `abra app deploy`.
    pub deploy: Does,
    /// A request for the app.
    pub web: Does,
    /// The removal of secrets.
    pub removal: Does,
    /// `abra recipe lint`.
    pub lint: Does,
    /// Whether abra deploys to another Swarm than the one that is looked at.
    pub elsewhere: bool,
    /// A function of the recipe's `abra.sh`.
    pub command: Does,
    /// Whether a second deploy of the same replaces the app's task.
    pub restless: bool,
    /// The start of a service's tasks again; one that fails keeps them.
    pub restart: Does,
}

/// A host without failures.
pub const WELL: Manners = Manners {
    deploy: Does::Well,
    web: Does::Well,
    removal: Does::Well,
    lint: Does::Well,
    elsewhere: false,
    command: Does::Well,
    restless: false,
    restart: Does::Well,
};

/// An app that leaks its secret wherever it can.
#[derive(Clone)]
pub struct Leak {
    /// The secret that abra generates for it.
    pub secret: String,
    /// The text that it writes into its log and into each answer.
    pub text: String,
    /// The redactor that learns the secret when abra makes it.
    pub redact: Arc<Redact>,
}

/// The simulated host. Clones share it.
#[derive(Clone)]
pub struct SimHost {
    manners: Manners,
    /// The leak of the secret that abra generates, if the app leaks it.
    pub leak: Option<Leak>,
    /// What its engine says of itself.
    pub engine: Engine,
    /// What of its Swarm can run out.
    pub room: Room,
    /// The recipe's files.
    pub tree: Tree,
    /// The pack of the recipe, and how its functions end.
    pub pack: Pack,
    /// The program of that pack.
    pub program: SimProgram,
    /// The browser of that machine.
    pub browser: SimBrowser,
    /// Its custom tests that are executables.
    pub executables: Arc<dyn Executables>,
    /// What was done to the app before its deploy.
    wired: Arc<Mutex<Vec<String>>>,
    /// What its abra prints of lint, of head and of base.
    pub tables: [String; 2],
    /// The branch that head is to be merged into, if there is one.
    pub branch: Option<Branch>,
    /// The machine that it runs on, and taster too.
    pub machine: SimMachine,
    /// The other runs of that machine.
    pub neighbours: SimNeighbours,
    /// The app's volumes and its backup service.
    pub data: Arc<SimData>,
    /// What runs of its app.
    pub app: SimApp,
    objects: Arc<Mutex<BTreeMap<ObjectId, harness::pure::host::inventory::Object>>>,
    /// The claimed files and folders that there are.
    files: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// How often the app's task was replaced.
    replaced: Arc<AtomicU32>,
    /// The stacks on the Swarm that abra deploys to instead.
    elsewhere: Arc<Mutex<BTreeSet<String>>>,
}

impl SimHost {
    /// A host with `manners`, on which nothing but the network `proxy` is. `settled` is a look at a stack that has settled.
    ///
    /// # Panics
    /// If the look has no service.
    pub fn new(manners: Manners, settled: &Observation) -> Self {
        let app = SimApp::new(settled.services.values().next().expect("a service").clone());
        let objects = BTreeMap::from([object(ObjectKind::Network, "proxy", None)]);
        let (engine, room, machine) = (sim_machine::engine(), sim_machine::room(), SimMachine::default());
        let tree = event_log::tree(None);
        let (pack, program, wired) = (Pack::default(), SimProgram::default(), Arc::default());
        let (elsewhere, data) = (Arc::default(), Arc::default());
        let tables = [lint_table(&[]), lint_table(&[])];
        Self {
            manners,
            data,
            leak: None,
            engine,
            room,
            tree,
            pack,
            program,
            browser: SimBrowser::default(),
            executables: Arc::new(NoExecutables),
            wired,
            tables,
            branch: None,
            machine,
            neighbours: SimNeighbours::default(),
            app,
            objects: Arc::new(Mutex::new(objects)),
            files: Arc::default(),
            replaced: Arc::default(),
            elsewhere,
        }
    }

    /// The same, on which an app settles well.
    ///
    /// # Panics
    /// If its recording cannot be read.
    pub fn healthy(manners: Manners) -> Self {
        Self::new(manners, Recording::load("healthy").observations.last().expect("an observation"))
    }

    /// The names of all that is on it.
    pub fn names(&self) -> Vec<String> {
        self.lock().values().map(|object| object.name.clone()).collect()
    }

    /// All that is on it.
    pub fn objects(&self) -> BTreeMap<ObjectId, harness::pure::host::inventory::Object> {
        let volumes = self.data.volumes();
        let volumes = volumes.iter().map(|volume| object(ObjectKind::Volume, volume, None));
        self.lock().clone().into_iter().chain(volumes).collect()
    }

    /// Adds a foreign object.
    pub fn put(&self, thing: (ObjectId, harness::pure::host::inventory::Object)) {
        self.lock().extend([thing]);
    }

    /// The stacks that abra deployed to another Swarm and did not undeploy.
    pub fn elsewhere(&self) -> BTreeSet<String> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The host behind all ports.
    pub fn ports(&self) -> Ports {
        Ports {
            swarm: Arc::new(self.clone()),
            capacity: Arc::new(self.clone()),
            data: self.data.clone(),
            abra: Arc::new(self.clone()),
            checkout: Arc::new(self.clone()),
            machine: Arc::new(self.machine.clone()),
            program: Arc::new(self.program.clone()),
            neighbours: Arc::new(self.neighbours.clone()),
            browser: Arc::new(self.browser),
            executables: self.executables.clone(),
            web: Arc::new(self.clone()),
            files: Arc::new(self.clone()),
            children: Arc::new(self.clone()),
            clock: Arc::new(SystemClock::start()),
        }
    }

    /// The run of the host's pack, without signals.
    ///
    /// # Panics
    /// Never: the host file is a valid one.
    pub fn undisturbed<'a>(&self, request: Request, ports: &'a Ports, log: &'a Log, folder: &'a Folder) -> Run<'a> {
        Run {
            commit: None,
            request,
            history: Past::default(),
            host: Host::parse("zone = \"taster.test\"").expect("a host"),
            pack: self.pack.clone(),
            ports,
            log,
            folder,
            signals: stream::pending().boxed(),
            losses: stream::pending().boxed(),
        }
    }

    /// The same host with a pack whose functions end in these ways.
    pub fn with_pack(self, pack: Pack, ends: Vec<(&'static str, Ends)>) -> Self {
        Self { program: SimProgram::of(&pack, ends), pack, ..self }
    }

    /// What was done to the app before its deploy, a line each.
    pub fn wired(&self) -> Vec<String> {
        self.wired.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wire(&self, line: String) {
        self.wired.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The files and folders of runs that are on its machine.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        self.lock_files().clone()
    }

    fn lock_files(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the file or folder that the claim is of.
    fn make_file(&self, claim: Option<&Claim>) {
        if let Some(Claimed::EnvFile { path } | Claimed::Dir { path }) = claim.map(Claim::what) {
            self.lock_files().insert(path.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectId, harness::pure::host::inventory::Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, kind: ObjectKind, name: &str, stack: Option<&str>) {
        self.lock().extend([object(kind, name, stack)]);
    }
}

async fn act(does: Does) -> Result<(), ()> {
    match does {
        Does::Well => Ok(()),
        Does::Fails => Err(()),
        Does::Hangs => std::future::pending().await,
        Does::Panics => panic!("on purpose"),
    }
}

#[async_trait]
impl Capacity for SimHost {
    async fn room(&self) -> Result<Room, SwarmError> {
        Ok(self.room.clone())
    }

    async fn absent(&self, _: &BTreeSet<ImageRef>) -> Result<BTreeSet<ImageRef>, SwarmError> {
        Ok(BTreeSet::new())
    }

    async fn look_up(&self, _: &ImageRef) -> Result<(), SwarmError> {
        Ok(())
    }
}

#[async_trait]
impl Swarm for SimHost {
    async fn host(&self) -> Result<Engine, SwarmError> {
        Ok(self.engine.clone())
    }

    async fn inventory(&self) -> Result<Inventory, SwarmError> {
        let mut objects = self.lock().clone();
        objects.extend(self.data.volumes().iter().map(|volume| object(ObjectKind::Volume, volume, None)));
        Ok(Inventory { engine: sim_machine::swarm(), objects, files: BTreeMap::new(), snapshots: BTreeMap::new() })
    }

    async fn observe(&self, stack: &StackName) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError> {
        let name = format!("{stack}_app");
        let there = self.lock().values().any(|object| object.name == name);
        let mut service = self.app.observe();
        let replaced = self.replaced.load(Ordering::Relaxed);
        for task in service.tasks.iter_mut().filter(|_| replaced > 0) {
            task.id = format!("{}{replaced}", task.id).parse().expect("a task");
        }
        Ok(there.then(|| (name.parse().expect("a name"), service)).into_iter().collect())
    }

    async fn wake_ups(&self, _: &StackName) -> BoxStream<'static, WakeUp> {
        stream::pending().boxed()
    }

    async fn logs(&self, _: &TaskId, _: u32) -> Result<String, SwarmError> {
        Ok(self.leak.as_ref().map(|leak| leak.text.clone()).unwrap_or_default())
    }

    async fn health_output(&self, _: &str) -> Result<Option<String>, SwarmError> {
        Ok(None)
    }

    async fn mark(&self, claim: &Claim, _: &BTreeMap<String, String>) -> Result<(), SwarmError> {
        self.make(ObjectKind::Config, &format!("taster-{}", claim.run()), None);
        Ok(())
    }

    async fn remove(&self, _: &Claim, removal: &Removal) -> Result<(), SwarmError> {
        if removal.object.kind == ObjectKind::Secret && act(self.manners.removal).await.is_err() {
            return Err(SwarmError::Refused { call: "remove".into(), message: "no".into() });
        }
        self.lock().remove(&removal.object);
        if removal.object.kind == ObjectKind::Volume {
            self.data.lose_volume(&removal.name);
        }
        Ok(())
    }

    async fn restart(&self, _: &Claim, _: &ServiceName) -> Result<(), SwarmError> {
        if act(self.manners.restart).await.is_ok() {
            self.replaced.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[async_trait]
impl Abra for SimHost {
    async fn call(&self, call: &Call, claim: Option<&Claim>, budget: Duration) -> Result<Exchange, AbraError> {
        let stack = |domain| StackName::of(domain).to_string();
        let mut text = String::new();
        match call {
            Call::Version => text = "abra version 0.0.0-sim\n".into(),
            Call::Fetch { .. } | Call::New { .. } => self.make_file(claim),
            Call::SecretInsert { domain, name, version, .. } => {
                self.wire(format!("secret {name} {version}"));
                self.make(ObjectKind::Secret, &format!("{}_{name}_{version}", stack(domain)), None);
            }
            Call::SecretGenerate { domain, .. } => {
                self.wire("secrets".into());
                self.make(ObjectKind::Secret, &format!("{}_token_v1", stack(domain)), None);
                text = r#"[{"name":"token","value":"as abra made it"}]"#.into();
                if let Some(leak) = &self.leak {
                    leak.redact.learn_as("token", &leak.secret);
                }
            }
            Call::Deploy { domain, .. } if self.manners.elsewhere => {
                self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).insert(stack(domain));
            }
            Call::Deploy { domain, version } => {
                let stack = stack(domain);
                let there = self.lock().values().any(|object| object.name == format!("{stack}_app"));
                if there && self.manners.restless {
                    self.replaced.fetch_add(1, Ordering::Relaxed);
                }
                // The configured behaviour comes in the middle of its work.
                self.make(ObjectKind::Network, &format!("{stack}_default"), Some(&stack));
                match tokio::time::timeout(budget, act(self.manners.deploy)).await {
                    Ok(Ok(())) => {
                        if self.app.deploy(domain, version.as_deref(), &self.tree) {
                            self.data.lose();
                        }
                        self.make(ObjectKind::Service, &format!("{stack}_app"), Some(&stack));
                    }
                    Ok(Err(())) => {
                        let leaked = self.leak.as_ref().map(|leak| leak.text.clone()).unwrap_or_default();
                        let exchange = Exchange { text: format!("{leaked}\nFATA no\n"), raw: Vec::new(), took: Duration::ZERO };
                        return Err(AbraError::Fatal { exit: 1, reason: format!("no{leaked}"), exchange });
                    }
                    Err(_) => return Err(AbraError::Hung { after: budget, last: String::new() }),
                }
            }
            Call::Command { service, function, args, .. } => {
                self.wire(format!("{service} {function} {}", args.join(" ")));
                if act(self.manners.command).await.is_err() {
                    let exchange = Exchange { text: "FATA no\n".into(), raw: Vec::new(), took: Duration::ZERO };
                    return Err(AbraError::Fatal { exit: 1, reason: "no".into(), exchange });
                }
            }
            Call::BackupCreate { .. } => text = format!("backup finished, snapshot_id {}\n", self.data.back_up()),
            Call::BackupSnapshots { .. } => text = self.data.ids().join("\n"),
            Call::BackupList { snapshot, .. } => text = self.data.listed(snapshot),
            Call::BackupDownload { .. } => {}
            Call::Restore { .. } => self.data.restore(),
            Call::Lint { abra_dir, .. } => match tokio::time::timeout(budget, act(self.manners.lint)).await {
                Ok(Ok(())) => text = self.tables[usize::from(abra_dir.ends_with("lint-base"))].clone(),
                Ok(Err(())) => {
                    let exchange = Exchange { text: "FATA no network\n".into(), raw: Vec::new(), took: Duration::ZERO };
                    return Err(AbraError::Fatal { exit: 1, reason: "no network".into(), exchange });
                }
                Err(_) => return Err(AbraError::Hung { after: budget, last: String::new() }),
            },
            Call::Undeploy { domain } => {
                let name = format!("{}_app", stack(domain));
                self.lock().retain(|_, object| object.name != name);
                self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).remove(&stack(domain));
            }
        }
        Ok(Exchange { text, raw: Vec::new(), took: Duration::ZERO })
    }

    async fn downloaded(&self, _: &str) -> Result<Option<u64>, AbraError> {
        Ok(Some(1))
    }
}

#[async_trait]
impl Checkout for SimHost {
    async fn adopt(&self, _: &Claim, _: &RecipeName, _: &Path) -> Result<bool, CheckoutError> {
        Ok(false)
    }

    async fn read(&self, _: &RecipeName) -> Result<Checked, CheckoutError> {
        Ok(Checked { head: self.app.commit(HEAD), tags: self.app.tags(), branch: self.branch.clone(), files: Vec::new() })
    }

    async fn find(&self, _: &RecipeName, at: &str) -> Result<Commit, CheckoutError> {
        Ok(self.app.commit(at))
    }

    async fn tree(&self, _: &RecipeName, commit: &Commit) -> Result<Tree, CheckoutError> {
        Ok(self.app.tree(commit, &self.tree))
    }

    async fn env(&self, _: &Claim) -> Result<String, CheckoutError> {
        match self.tree.entry(".env.sample") {
            Some(Entry::Text(sample)) => Ok(sample.clone()),
            Some(Entry::Link(_) | Entry::Opaque) | None => Ok("TYPE=hello\n".into()),
        }
    }

    async fn go(&self, _: &Claim, _: &RecipeName, at: &str) -> Result<Commit, CheckoutError> {
        Ok(self.app.go(at))
    }

    async fn set_env(&self, _: &Claim, settings: &[(&str, &str)]) -> Result<(), CheckoutError> {
        settings.iter().for_each(|(key, value)| self.wire(format!("{key}={value}")));
        Ok(())
    }

    async fn pristine(&self, claim: &Claim, _: &RecipeName, _: &Commit, _: &Path) -> Result<(), CheckoutError> {
        self.make_file(Some(claim));
        Ok(())
    }

    async fn add(&self, _: &Claim, _: &RecipeName, files: &BTreeMap<String, String>) -> Result<(), CheckoutError> {
        files.keys().for_each(|file| self.wire(format!("file {file}")));
        Ok(())
    }
}

#[async_trait]
impl Web for SimHost {
    async fn get(&self, _: &str, timeout: Duration) -> Result<HttpView, WebError> {
        match tokio::time::timeout(timeout, act(self.manners.web)).await {
            Ok(_) if self.leak.is_some() => {
                let body = self.leak.as_ref().map(|leak| leak.text.clone()).unwrap_or_default();
                Ok(HttpView { status: 502, headers: BTreeMap::new(), body })
            }
            Ok(Ok(())) => Ok(HttpView { status: 200, headers: BTreeMap::new(), body: "hello".into() }),
            Ok(Err(())) => Ok(HttpView { status: 502, headers: BTreeMap::new(), body: "Bad Gateway".into() }),
            Err(_) => Err(WebError::TimedOut { after: timeout }),
        }
    }

    async fn connect(&self, host: &str, _: u16, _: Duration) -> Result<(), WebError> {
        act(self.manners.web).await.map_err(|()| WebError::NoConnection { message: format!("{host} refuses") })
    }
}

impl Files for SimHost {
    fn digests(&self, paths: &[PathBuf]) -> BTreeMap<PathBuf, String> {
        let there = self.lock_files();
        let seen = paths.iter().filter(|path| there.iter().any(|file| file.starts_with(path)));
        seen.map(|path| (path.clone(), "as it was made".to_owned())).collect()
    }

    fn remove(&self, claim: &Claim, path: &Path) -> Result<(), FileError> {
        assert!(claim.covers_path(path), "only what is claimed is removed");
        self.lock_files().retain(|file| !file.starts_with(path));
        Ok(())
    }
}

#[async_trait]
impl Children for SimHost {
    async fn end(&self, _: &Child, _: Duration) -> Result<(), ChildError> {
        Ok(())
    }
}

/// What `names` has beyond what was there before any run.
pub fn left(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(String::as_str).filter(|name| *name != "proxy").collect()
}
