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
    engine::{History, Run, log::Log},
    model::{
        engine::{Engine, SwarmError, SwarmResources},
        git::{Branch, Lineage},
        host::Host,
        names::{Commit, ImageRef, RecipeName, ServiceName, StackName, TaskId},
        object::{ObjectId, ObjectKind},
        pack::Pack,
        request::Request,
    },
    ports::{
        Abra, AbraError, Call, Capacity, Checked, Checkout, CheckoutError, Child, ChildError, Children, ContainerEnd, Exchange,
        Executables, FileError, Files, HttpView, NoExecutables, Ports, Swarm, WakeUp, Web, WebError,
    },
    pure::{
        host::{
            claim::{Claim, Claimed},
            cleanup_plan::Removal,
            converge::{Observation, ServiceView},
            inventory::{Inventory, Object},
        },
        recipe::{
            compose::{Entry, Env, Setting, Tree, edit},
            power::Live,
        },
    },
    redact::Redact,
};

use crate::{
    event_log,
    lint_table::lint_table,
    recording::Recording,
    sim_app::{Deployment, HEAD, SimApp},
    sim_browser::SimBrowser,
    sim_data::SimData,
    sim_disturbance::{At, Disturbances},
    sim_inventory::object,
    sim_machine::{self, SimMachine},
    sim_neighbours::SimNeighbours,
    sim_program::{FunctionBehaviour, SimProgram},
    sim_site::SimSite,
};

/// The behaviour of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallBehaviour {
    /// It does its work.
    Works,
    /// It fails.
    Fails,
    /// It never ends.
    Hangs,
    /// It panics.
    Panics,
}

/// The behaviour of a simulated host.
#[derive(Debug, Clone, Copy)]
pub struct HostBehaviour {
    /// `abra app deploy`.
    pub deploy: CallBehaviour,
    /// A request for the app.
    pub web: CallBehaviour,
    /// The removal of secrets.
    pub removal: CallBehaviour,
    /// `abra recipe lint`.
    pub lint: CallBehaviour,
    /// Whether abra deploys to another Swarm than the one of the host's engine.
    pub deploys_elsewhere: bool,
    /// A function of the recipe's `abra.sh`.
    pub command: CallBehaviour,
    /// Whether a second deploy of the same files replaces the app's task.
    pub redeploy_replaces_tasks: bool,
    /// The restart of a service; one that fails keeps its tasks.
    pub restart: CallBehaviour,
}

impl HostBehaviour {
    /// All calls work.
    pub const WORKING: Self = Self {
        deploy: CallBehaviour::Works,
        web: CallBehaviour::Works,
        removal: CallBehaviour::Works,
        lint: CallBehaviour::Works,
        deploys_elsewhere: false,
        command: CallBehaviour::Works,
        redeploy_replaces_tasks: false,
        restart: CallBehaviour::Works,
    };
}

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
    behaviour: HostBehaviour,
    /// The leak of the secret that abra generates, if the app leaks it.
    pub leak: Option<Leak>,
    /// The properties of its engine.
    pub engine: Engine,
    /// The limited resources of its Swarm.
    pub resources: SwarmResources,
    /// The recipe's files.
    pub tree: Tree,
    /// The pack of the recipe.
    pub pack: Pack,
    /// The test program of that pack.
    pub program: SimProgram,
    /// The browser of its machine.
    pub browser: SimBrowser,
    /// The custom tests that are executables.
    pub executables: Arc<dyn Executables>,
    /// The app's `.env`, once a call has changed it.
    env: Arc<Mutex<Option<String>>>,
    /// The files that calls added to the checkout.
    added: Arc<Mutex<BTreeMap<String, String>>>,
    /// The calls that configured the app.
    app_actions: Arc<Mutex<Vec<String>>>,
    /// The lint tables that its abra prints for head and for base.
    pub lint_tables: [String; 2],
    /// The branch that head is to be merged into.
    pub branch: Option<Branch>,
    /// The machine of its engine and of taster.
    pub machine: SimMachine,
    /// The other runs of that machine.
    pub neighbours: SimNeighbours,
    /// The app's volumes and its backup service.
    pub data: Arc<SimData>,
    /// The answers of its app, and what else may answer.
    pub site: SimSite,
    /// The deployed versions of its app.
    pub app: SimApp,
    objects: Arc<Mutex<BTreeMap<ObjectId, Object>>>,
    /// The claimed files and folders that exist.
    files: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// How often the app's task was replaced.
    replaced: Arc<AtomicU32>,
    /// What happens to the settled app although no step asks for it.
    pub disturbances: Disturbances,
    /// The stacks on the other Swarm that abra deploys to.
    deployed_elsewhere: Arc<Mutex<BTreeSet<String>>>,
}

impl SimHost {
    /// A host with this behaviour and no object but the network `proxy`. Its app's service is, once deployed, the first one of
    /// `settled`.
    ///
    /// # Panics
    /// If `settled` has no service.
    pub fn new(behaviour: HostBehaviour, settled: &Observation) -> Self {
        let service = settled.services.values().next().expect("a service").clone();
        let proxy = object(ObjectKind::Network, "proxy", None);
        Self {
            behaviour,
            leak: None,
            engine: sim_machine::engine(),
            resources: sim_machine::resources(),
            tree: event_log::tree(None),
            pack: Pack::default(),
            program: SimProgram::default(),
            browser: SimBrowser::default(),
            executables: Arc::new(NoExecutables),
            env: Arc::default(),
            added: Arc::default(),
            app_actions: Arc::default(),
            lint_tables: [lint_table(&[]), lint_table(&[])],
            branch: None,
            machine: SimMachine::default(),
            neighbours: SimNeighbours::default(),
            data: Arc::default(),
            site: SimSite::default(),
            app: SimApp::new(service),
            objects: Arc::new(Mutex::new(BTreeMap::from([proxy]))),
            files: Arc::default(),
            replaced: Arc::default(),
            disturbances: Disturbances::default(),
            deployed_elsewhere: Arc::default(),
        }
    }

    /// A host with this behaviour, on which an app settles at once.
    ///
    /// # Panics
    /// If the recording of that app cannot be read.
    pub fn behaving(behaviour: HostBehaviour) -> Self {
        Self::new(behaviour, Recording::load("healthy").observations.last().expect("an observation"))
    }

    /// A host on which all calls work and an app settles at once.
    ///
    /// # Panics
    /// If the recording of that app cannot be read.
    pub fn healthy() -> Self {
        Self::behaving(HostBehaviour::WORKING)
    }

    /// The names of all objects but volumes.
    pub fn names(&self) -> Vec<String> {
        self.lock_objects().values().map(|object| object.name.clone()).collect()
    }

    /// All objects, volumes with data among them.
    pub fn objects(&self) -> BTreeMap<ObjectId, Object> {
        let volumes = self.data.volumes();
        let volumes = volumes.iter().map(|volume| object(ObjectKind::Volume, volume, None));
        self.lock_objects().clone().into_iter().chain(volumes).collect()
    }

    /// Adds a foreign object.
    pub fn put(&self, object: (ObjectId, Object)) {
        self.lock_objects().extend([object]);
    }

    /// The stacks that abra deployed to another Swarm and did not undeploy.
    pub fn deployed_elsewhere(&self) -> BTreeSet<String> {
        self.deployed_elsewhere.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
            program: self.disturbances.around(Arc::new(self.program.clone())),
            neighbours: Arc::new(self.neighbours.clone()),
            browser: Arc::new(self.browser),
            executables: self.executables.clone(),
            web: Arc::new(self.clone()),
            origin: Arc::new(self.site.clone()),
            files: Arc::new(self.clone()),
            children: Arc::new(self.clone()),
            clock: Arc::new(SystemClock::start()),
        }
    }

    /// A run of the host's pack that no signal ends.
    ///
    /// # Panics
    /// Never: the host file is a valid one.
    pub fn new_run<'a>(&self, request: Request, ports: &'a Ports, log: &'a Log, folder: &'a Folder) -> Run<'a> {
        Run {
            commit: None,
            request,
            history: History::default(),
            host: Host::parse("zone = \"taster.test\"").expect("a host"),
            pack: self.pack.clone(),
            ports,
            log,
            folder,
            signals: stream::pending().boxed(),
            guardian_losses: stream::pending().boxed(),
        }
    }

    /// The same host with this pack; a function that `behaviours` does not name passes.
    pub fn with_pack(self, pack: Pack, behaviours: &[(&'static str, FunctionBehaviour)]) -> Self {
        Self { program: SimProgram::of(&pack, behaviours), pack, ..self }
    }

    /// The calls that configured the app, in order: settings, files, secrets, and commands of `abra.sh`.
    pub fn app_actions(&self) -> Vec<String> {
        self.app_actions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The `.env` of a new app, as abra takes it from the recipe's sample.
    fn sample(&self) -> String {
        match self.tree.entry(".env.sample") {
            Some(Entry::Text(sample)) => sample.clone(),
            Some(Entry::Link(_) | Entry::Binary(_)) | None => "TYPE=hello\n".into(),
        }
    }

    /// The app's `.env` as it is now.
    fn env_text(&self) -> String {
        let changed = self.env.lock().unwrap_or_else(PoisonError::into_inner).clone();
        changed.unwrap_or_else(|| self.sample())
    }

    /// What a deploy finds now.
    fn deployment(&self) -> Deployment<'_> {
        let env = Env::parse(&self.env_text()).expect("an env that can be read");
        let added = self.added.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Deployment { head: &self.tree, env, added }
    }

    fn record_action(&self, line: String) {
        self.app_actions.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The files and folders of runs on its machine.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        self.lock_files().clone()
    }

    fn lock_files(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates the file or folder of the claim.
    fn create_claimed_file(&self, claim: Option<&Claim>) {
        if let Some(Claimed::EnvFile { path } | Claimed::Dir { path }) = claim.map(Claim::what) {
            self.lock_files().insert(path.clone());
        }
    }

    fn lock_objects(&self) -> MutexGuard<'_, BTreeMap<ObjectId, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create_object(&self, kind: ObjectKind, name: &str, stack: Option<&str>) {
        self.lock_objects().extend([object(kind, name, stack)]);
    }
}

async fn perform(behaviour: CallBehaviour) -> Result<(), ()> {
    match behaviour {
        CallBehaviour::Works => Ok(()),
        CallBehaviour::Fails => Err(()),
        CallBehaviour::Hangs => std::future::pending().await,
        CallBehaviour::Panics => panic!("on purpose"),
    }
}

#[async_trait]
impl Capacity for SimHost {
    async fn resources(&self) -> Result<SwarmResources, SwarmError> {
        Ok(self.resources.clone())
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
        let mut objects = self.lock_objects().clone();
        objects.extend(self.data.volumes().iter().map(|volume| object(ObjectKind::Volume, volume, None)));
        Ok(Inventory { engine: sim_machine::swarm(), objects, files: BTreeMap::new(), snapshots: BTreeMap::new() })
    }

    async fn observe(&self, stack: &StackName) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError> {
        let name = format!("{stack}_app");
        let there = self.lock_objects().values().any(|object| object.name == name);
        let mut service = self.app.observe();
        let replaced = self.replaced.load(Ordering::Relaxed);
        for task in service.tasks.iter_mut().filter(|_| replaced > 0) {
            task.id = format!("{}{replaced}", task.id).parse().expect("a task");
        }
        let shown = there.then(|| self.disturbances.of_stack(name.parse().expect("a name"), service));
        Ok(shown.flatten().into_iter().collect())
    }

    async fn specs(&self, _: &StackName) -> Result<Live, SwarmError> {
        Ok(self.app.specs())
    }

    async fn wake_ups(&self, _: &StackName) -> BoxStream<'static, WakeUp> {
        self.disturbances.wake_ups()
    }

    async fn logs(&self, _: &TaskId, _: u32) -> Result<String, SwarmError> {
        Ok(self.leak.as_ref().map(|leak| leak.text.clone()).unwrap_or_default())
    }

    async fn container_end(&self, _: &str) -> Result<Option<ContainerEnd>, SwarmError> {
        Ok(None)
    }

    async fn mark(&self, claim: &Claim, _: &BTreeMap<String, String>) -> Result<(), SwarmError> {
        self.create_object(ObjectKind::Config, &format!("taster-{}", claim.run()), None);
        Ok(())
    }

    async fn remove(&self, _: &Claim, removal: &Removal) -> Result<(), SwarmError> {
        if removal.object.kind == ObjectKind::Secret && perform(self.behaviour.removal).await.is_err() {
            return Err(SwarmError::Refused { call: "remove".into(), message: "no".into() });
        }
        self.lock_objects().remove(&removal.object);
        if removal.object.kind == ObjectKind::Volume {
            self.data.remove_volume(&removal.name);
        }
        Ok(())
    }

    async fn restart(&self, _: &Claim, _: &ServiceName) -> Result<(), SwarmError> {
        if perform(self.behaviour.restart).await.is_ok() {
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
            Call::Fetch { .. } | Call::New { .. } => self.create_claimed_file(claim),
            Call::SecretInsert { domain, name, version, .. } => {
                self.record_action(format!("secret {name} {version}"));
                self.create_object(ObjectKind::Secret, &format!("{}_{name}_{version}", stack(domain)), None);
            }
            Call::SecretGenerate { domain, .. } => {
                self.record_action("secrets".into());
                self.create_object(ObjectKind::Secret, &format!("{}_token_v1", stack(domain)), None);
                text = r#"[{"name":"token","value":"made by abra"}]"#.into();
                if let Some(leak) = &self.leak {
                    leak.redact.learn_as("token", &leak.secret);
                }
            }
            Call::Deploy { domain, .. } if self.behaviour.deploys_elsewhere => {
                self.deployed_elsewhere.lock().unwrap_or_else(PoisonError::into_inner).insert(stack(domain));
            }
            Call::Deploy { domain, version } => {
                let stack = stack(domain);
                let there = self.lock_objects().values().any(|object| object.name == format!("{stack}_app"));
                if there && self.behaviour.redeploy_replaces_tasks {
                    self.replaced.fetch_add(1, Ordering::Relaxed);
                }
                // A deploy that does not work has made an object.
                self.create_object(ObjectKind::Network, &format!("{stack}_default"), Some(&stack));
                match tokio::time::timeout(budget, perform(self.behaviour.deploy)).await {
                    Ok(Ok(())) => {
                        if self.app.deploy(domain, version.as_deref(), &self.deployment()) {
                            self.data.empty_volumes();
                        }
                        self.create_object(ObjectKind::Service, &format!("{stack}_app"), Some(&stack));
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
                self.record_action(format!("{service} {function} {}", args.join(" ")));
                if perform(self.behaviour.command).await.is_err() {
                    let exchange = Exchange { text: "FATA no\n".into(), raw: Vec::new(), took: Duration::ZERO };
                    return Err(AbraError::Fatal { exit: 1, reason: "no".into(), exchange });
                }
            }
            Call::BackupCreate { .. } => {
                self.disturbances.reach(At::Backup);
                text = format!("backup finished, snapshot_id {}\n", self.data.back_up());
            }
            Call::BackupSnapshots { .. } => text = self.data.ids().join("\n"),
            Call::BackupList { snapshot, .. } => text = self.data.listed(snapshot),
            Call::BackupDownload { .. } => {}
            Call::Restore { .. } => {
                self.disturbances.reach(At::Restore);
                self.data.restore();
            }
            Call::Lint { abra_dir, .. } => match tokio::time::timeout(budget, perform(self.behaviour.lint)).await {
                Ok(Ok(())) => text = self.lint_tables[usize::from(abra_dir.ends_with("lint-base"))].clone(),
                Ok(Err(())) => {
                    let exchange = Exchange { text: "FATA no network\n".into(), raw: Vec::new(), took: Duration::ZERO };
                    return Err(AbraError::Fatal { exit: 1, reason: "no network".into(), exchange });
                }
                Err(_) => return Err(AbraError::Hung { after: budget, last: String::new() }),
            },
            Call::Undeploy { domain } => {
                let name = format!("{}_app", stack(domain));
                self.lock_objects().retain(|_, object| object.name != name);
                self.deployed_elsewhere.lock().unwrap_or_else(PoisonError::into_inner).remove(&stack(domain));
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
        let (tags, branch) = (self.app.tags(), self.branch.clone());
        Ok(Checked { head: self.app.commit(HEAD), tags, stray_tags: Vec::new(), branch })
    }

    async fn lineage(&self, _: &RecipeName, head: &Commit, _: &[Commit]) -> Result<Lineage, CheckoutError> {
        Ok(self.app.lineage(head))
    }

    async fn verify(&self, _: &RecipeName, _: &Tree) -> Result<(), CheckoutError> {
        Ok(())
    }

    async fn find(&self, _: &RecipeName, at: &str) -> Result<Commit, CheckoutError> {
        Ok(self.app.commit(at))
    }

    async fn tree(&self, _: &RecipeName, commit: &Commit) -> Result<Tree, CheckoutError> {
        Ok(self.app.tree(commit, &self.tree))
    }

    async fn env(&self, _: &Claim) -> Result<String, CheckoutError> {
        Ok(self.env_text())
    }

    async fn go(&self, _: &Claim, _: &RecipeName, at: &str) -> Result<Commit, CheckoutError> {
        Ok(self.app.go(at))
    }

    async fn set_env(&self, _: &Claim, settings: &[Setting]) -> Result<(), CheckoutError> {
        settings.iter().for_each(|Setting { key, value, .. }| self.record_action(format!("{key}={value}")));
        let mut env = self.env.lock().unwrap_or_else(PoisonError::into_inner);
        let text = env.clone().unwrap_or_else(|| self.sample());
        let text = edit(&text, settings);
        *env = Some(text.map_err(|error| CheckoutError::File { path: ".env".into(), message: error.to_string() })?);
        Ok(())
    }

    async fn pristine(&self, claim: &Claim, _: &RecipeName, _: &Commit, _: &Path) -> Result<(), CheckoutError> {
        self.create_claimed_file(Some(claim));
        Ok(())
    }

    async fn add(&self, _: &Claim, _: &RecipeName, files: &BTreeMap<String, String>) -> Result<(), CheckoutError> {
        files.keys().for_each(|file| self.record_action(format!("file {file}")));
        self.added.lock().unwrap_or_else(PoisonError::into_inner).extend(files.clone());
        Ok(())
    }

    async fn put_beside(&self, _: &Claim, _: &str, _: &str) -> Result<(), CheckoutError> {
        Ok(())
    }
}

#[async_trait]
impl Web for SimHost {
    async fn get(&self, url: &str, cookies: &str, timeout: Duration) -> Result<HttpView, WebError> {
        match tokio::time::timeout(timeout, perform(self.behaviour.web)).await {
            Ok(_) if self.leak.is_some() => {
                let body = self.leak.as_ref().map(|leak| leak.text.clone()).unwrap_or_default();
                Ok(HttpView { status: 502, headers: BTreeMap::new(), body })
            }
            Ok(Ok(())) => Ok(self.site.answer(url, cookies)),
            Ok(Err(())) => Ok(HttpView { status: 502, headers: BTreeMap::new(), body: "Bad Gateway".into() }),
            Err(_) => Err(WebError::TimedOut { after: timeout }),
        }
    }

    async fn connect(&self, host: &str, _: u16, _: Duration) -> Result<(), WebError> {
        perform(self.behaviour.web).await.map_err(|()| WebError::NoConnection { message: format!("{host} refuses") })
    }
}

impl Files for SimHost {
    fn digests(&self, paths: &[PathBuf]) -> BTreeMap<PathBuf, String> {
        let there = self.lock_files();
        let seen = paths.iter().filter(|path| there.iter().any(|file| file.starts_with(path)));
        seen.map(|path| (path.clone(), "unchanged".to_owned())).collect()
    }

    fn remove(&self, claim: &Claim, path: &Path) -> Result<(), FileError> {
        assert!(claim.covers_path(path), "only claimed files are removed");
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

/// The objects in `names` beyond those of a new host.
pub fn leaked_objects(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(String::as_str).filter(|name| *name != "proxy").collect()
}
