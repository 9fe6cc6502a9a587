//! The ports of a run with an injection, and of the cleanup after it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use harness::{
    model::{
        engine::{Engine, Port, ServiceAddress, SwarmError, SwarmResources},
        git::Lineage,
        head::Head,
        load::Load,
        names::{Commit, ImageRef, RecipeName, ServiceName, StackName, SwarmId, TaskId},
        object::ObjectKind,
        pack::{CustomTest, Origin, TestName},
        tested_app::TestedApp,
    },
    ports::{
        Abra, AbraError, Access, AdmissionLock, AdmissionLockError, AnswerOrigin, Browser, BrowserError, Call, Capacity, Checked,
        Checkout, CheckoutError, Child, ChildError, Children, ContainerEnd, Data, Exchange, ExecOutput, Executables, FileError,
        Files, HttpView, Machine, MachineError, Neighbours, OriginError, ProgramError, Ran, Screenshot, Swarm, TaskRequest,
        TestProgram, VolumeFile, VolumeHolder, WakeUp, Web, WebError,
    },
    pure::{
        host::{claim::Claim, cleanup_plan::Removal, converge::ServiceView, http::impostors::Exposure, inventory::Inventory},
        recipe::{
            compose::{Setting, Tree},
            executables::SeenFile,
            power::Live,
        },
    },
};

use crate::{sim_child::CHILD, sim_faults::FaultKind};

use super::{InjectedRun, call_name, new_objects};

/// The ports of the run.
pub(super) struct RunPorts(pub(super) Arc<InjectedRun>);

/// The ports of the cleanup, which never crashes.
pub struct CleanupPorts(pub(super) Arc<InjectedRun>);

#[async_trait]
impl Children for CleanupPorts {
    async fn end(&self, child: &Child, _: Duration) -> Result<(), ChildError> {
        assert_eq!(child.pid, CHILD, "only the run's own child is ended");
        self.0.pending().child.clear();
        Ok(())
    }
}

#[async_trait]
impl Swarm for CleanupPorts {
    async fn host(&self) -> Result<Engine, SwarmError> {
        self.0.ports.swarm.host().await
    }

    async fn inventory(&self) -> Result<Inventory, SwarmError> {
        self.0.apply_pending_effects();
        self.0.ports.swarm.inventory().await
    }

    async fn observe(&self, stack: &StackName) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError> {
        self.0.ports.swarm.observe(stack).await
    }

    async fn specs(&self, stack: &StackName) -> Result<Live, SwarmError> {
        self.0.ports.swarm.specs(stack).await
    }

    async fn wake_ups(&self, stack: &StackName) -> BoxStream<'static, WakeUp> {
        self.0.ports.swarm.wake_ups(stack).await
    }

    async fn logs(&self, task: &TaskId, lines: u32) -> Result<String, SwarmError> {
        self.0.ports.swarm.logs(task, lines).await
    }

    async fn container_end(&self, container: &str) -> Result<Option<ContainerEnd>, SwarmError> {
        self.0.ports.swarm.container_end(container).await
    }

    async fn mark(&self, _: &Claim, _: &BTreeMap<String, String>) -> Result<(), SwarmError> {
        unreachable!("a cleanup makes nothing")
    }

    async fn restart(&self, _: &Claim, _: &ServiceName) -> Result<(), SwarmError> {
        unreachable!("a cleanup starts nothing")
    }

    async fn remove(&self, claim: &Claim, removal: &Removal) -> Result<(), SwarmError> {
        self.0.ports.swarm.remove(claim, removal).await
    }
}

#[async_trait]
impl Swarm for RunPorts {
    async fn host(&self) -> Result<Engine, SwarmError> {
        self.0.call("swarm.host", || self.0.ports.swarm.host()).await
    }

    async fn inventory(&self) -> Result<Inventory, SwarmError> {
        self.0.call("swarm.inventory", || self.0.ports.swarm.inventory()).await
    }

    async fn observe(&self, stack: &StackName) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError> {
        self.0.call("swarm.observe", || self.0.ports.swarm.observe(stack)).await
    }

    async fn specs(&self, stack: &StackName) -> Result<Live, SwarmError> {
        self.0.call("swarm.specs", || self.0.ports.swarm.specs(stack)).await
    }

    async fn wake_ups(&self, stack: &StackName) -> BoxStream<'static, WakeUp> {
        // It cannot fail, and a run must not rely on it: it observes without wake-ups too.
        let wake_ups = self.0.ports.swarm.wake_ups(stack).await;
        match self.0.kind(self.0.calls.load(Ordering::Relaxed), "swarm.wake_ups") {
            None => wake_ups,
            Some(FaultKind::Fails | FaultKind::AnswerLost) => stream::empty().boxed(),
            Some(FaultKind::Hangs | FaultKind::Stalls) => stream::pending().boxed(),
            Some(FaultKind::Repeated) => stream::iter((0..9).map(|_| WakeUp { what: "again".into() })).chain(wake_ups).boxed(),
        }
    }

    async fn logs(&self, task: &TaskId, lines: u32) -> Result<String, SwarmError> {
        self.0.call("swarm.logs", || self.0.ports.swarm.logs(task, lines)).await
    }

    async fn container_end(&self, container: &str) -> Result<Option<ContainerEnd>, SwarmError> {
        self.0.call("swarm.container_end", || self.0.ports.swarm.container_end(container)).await
    }

    async fn mark(&self, claim: &Claim, labels: &BTreeMap<String, String>) -> Result<(), SwarmError> {
        self.0.crash_within(vec![(ObjectKind::Config, format!("taster-{}", claim.run()), None)]).await;
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
impl Capacity for RunPorts {
    async fn resources(&self) -> Result<SwarmResources, SwarmError> {
        self.0.call("capacity.resources", || self.0.ports.capacity.resources()).await
    }

    async fn absent(&self, images: &BTreeSet<ImageRef>) -> Result<BTreeSet<ImageRef>, SwarmError> {
        self.0.call("capacity.absent", || self.0.ports.capacity.absent(images)).await
    }

    async fn look_up(&self, image: &ImageRef) -> Result<(), SwarmError> {
        self.0.call("capacity.look_up", || self.0.ports.capacity.look_up(image)).await
    }
}

#[async_trait]
impl Data for RunPorts {
    async fn hold(&self, claim: &Claim, image: &ImageRef, volumes: &[String]) -> Result<VolumeHolder, SwarmError> {
        self.0.call("data.hold", || self.0.ports.data.hold(claim, image, volumes)).await
    }

    async fn put(&self, holder: &VolumeHolder, volume: &str, path: &str, file: &VolumeFile) -> Result<(), SwarmError> {
        self.0.call("data.put", || self.0.ports.data.put(holder, volume, path, file)).await
    }

    async fn access(&self, holder: &VolumeHolder, volume: &str, path: &str) -> Result<Option<Access>, SwarmError> {
        self.0.call("data.access", || self.0.ports.data.access(holder, volume, path)).await
    }

    async fn get(&self, holder: &VolumeHolder, volume: &str, path: &str) -> Result<Option<VolumeFile>, SwarmError> {
        self.0.call("data.get", || self.0.ports.data.get(holder, volume, path)).await
    }

    async fn release(&self, holder: VolumeHolder) -> Result<(), SwarmError> {
        self.0.call("data.release", || self.0.ports.data.release(holder.clone())).await
    }

    async fn exec(&self, claim: &Claim, task: &TaskId, argv: &[String], timeout: Duration) -> Result<ExecOutput, SwarmError> {
        self.0.call("data.exec", || self.0.ports.data.exec(claim, task, argv, timeout)).await
    }

    async fn restored(&self, claim: &Claim) -> Result<(), SwarmError> {
        self.0.call("data.restored", || self.0.ports.data.restored(claim)).await
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
impl Abra for RunPorts {
    async fn call(&self, call: &Call, claim: Option<&Claim>, budget: Duration) -> Result<Exchange, AbraError> {
        let register = self.0.register.lock().unwrap_or_else(PoisonError::into_inner).clone().expect("a register of children");
        register.started(CHILD, 1, "abra").await.expect("a journal");
        self.0.crash_within(new_objects(call)).await;
        let answer = self.0.call(call_name(call), || self.0.ports.abra.call(call, claim, budget)).await;
        register.ended(CHILD).await;
        answer
    }

    async fn downloaded(&self, path: &str) -> Result<Option<u64>, AbraError> {
        self.0.call("abra.downloaded", || self.0.ports.abra.downloaded(path)).await
    }
}

#[async_trait]
impl Checkout for RunPorts {
    async fn adopt(&self, claim: &Claim, recipe: &RecipeName, folder: &Path) -> Result<bool, CheckoutError> {
        self.0.call("checkout.adopt", || self.0.ports.checkout.adopt(claim, recipe, folder)).await
    }

    async fn read(&self, recipe: &RecipeName) -> Result<Checked, CheckoutError> {
        self.0.call("checkout.read", || self.0.ports.checkout.read(recipe)).await
    }

    async fn find(&self, recipe: &RecipeName, at: &str) -> Result<Commit, CheckoutError> {
        self.0.call("checkout.find", || self.0.ports.checkout.find(recipe, at)).await
    }

    async fn lineage(&self, recipe: &RecipeName, head: &Commit, others: &[Commit]) -> Result<Lineage, CheckoutError> {
        self.0.call("checkout.lineage", || self.0.ports.checkout.lineage(recipe, head, others)).await
    }

    async fn verify(&self, recipe: &RecipeName, expected: &Tree) -> Result<(), CheckoutError> {
        self.0.call("checkout.verify", || self.0.ports.checkout.verify(recipe, expected)).await
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

    async fn set_env(&self, claim: &Claim, settings: &[Setting]) -> Result<(), CheckoutError> {
        self.0.call("checkout.set_env", || self.0.ports.checkout.set_env(claim, settings)).await
    }

    async fn pristine(&self, claim: &Claim, recipe: &RecipeName, commit: &Commit, abra_dir: &Path) -> Result<(), CheckoutError> {
        self.0.call("checkout.pristine", || self.0.ports.checkout.pristine(claim, recipe, commit, abra_dir)).await
    }

    async fn add(&self, claim: &Claim, recipe: &RecipeName, files: &BTreeMap<String, String>) -> Result<(), CheckoutError> {
        self.0.call("checkout.add", || self.0.ports.checkout.add(claim, recipe, files)).await
    }

    async fn put_beside(&self, claim: &Claim, name: &str, text: &str) -> Result<(), CheckoutError> {
        self.0.call("checkout.put_beside", || self.0.ports.checkout.put_beside(claim, name, text)).await
    }
}

#[async_trait]
impl TestProgram for RunPorts {
    async fn list(&self, budget: Duration) -> Result<BTreeSet<TestName>, ProgramError> {
        self.0.call("program.list", || self.0.ports.program.list(budget)).await
    }

    async fn run_one(&self, test: &TestName, app: TestedApp<'_>, budget: Duration) -> Result<Ran, ProgramError> {
        self.0.call("program.run_one", || self.0.ports.program.run_one(test, app, budget)).await
    }
}

#[async_trait]
impl Web for RunPorts {
    async fn get(&self, url: &str, cookies: &str, timeout: Duration) -> Result<HttpView, WebError> {
        self.0.call("web.get", || self.0.ports.web.get(url, cookies, timeout)).await
    }

    async fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<(), WebError> {
        self.0.call("web.connect", || self.0.ports.web.connect(host, port, timeout)).await
    }
}

#[async_trait]
impl AnswerOrigin for RunPorts {
    async fn exposures(&self) -> Result<Vec<Exposure>, SwarmError> {
        self.0.call("origin.exposures", || self.0.ports.origin.exposures()).await
    }

    async fn ask_task(&self, request: &TaskRequest, timeout: Duration) -> Result<HttpView, OriginError> {
        self.0.call("origin.ask_task", || self.0.ports.origin.ask_task(request, timeout)).await
    }
}

#[async_trait]
impl Browser for RunPorts {
    fn found(&self) -> Result<String, BrowserError> {
        self.0.call_now("browser.found", || self.0.ports.browser.found())
    }

    async fn screenshot(&self, head: &Head, budget: Duration) -> Result<Screenshot, BrowserError> {
        self.0.call("browser.screenshot", || self.0.ports.browser.screenshot(head, budget)).await
    }
}

#[async_trait]
impl Children for RunPorts {
    async fn end(&self, child: &Child, timeout: Duration) -> Result<(), ChildError> {
        self.0.call("children.end", || self.0.ports.children.end(child, timeout)).await
    }
}

#[async_trait]
impl Machine for RunPorts {
    fn name(&self) -> (String, String) {
        self.0.ports.machine.name()
    }

    fn boot(&self) -> Option<String> {
        self.0.read_now("machine.boot", || None, || self.0.ports.machine.boot())
    }

    fn memory(&self) -> Option<u64> {
        self.0.read_now("machine.memory", || None, || self.0.ports.machine.memory())
    }

    fn load(&self) -> Option<Load> {
        self.0.read_now("machine.load", || None, || self.0.ports.machine.load())
    }

    fn free_bytes_in(&self, folder: &Path) -> Option<u64> {
        self.0.read_now("machine.free_bytes_in", || None, || self.0.ports.machine.free_bytes_in(folder))
    }

    fn listening(&self) -> BTreeSet<Port> {
        self.0.read_now("machine.listening", BTreeSet::new, || self.0.ports.machine.listening())
    }

    fn ipvs(&self) -> bool {
        self.0.read_now("machine.ipvs", || false, || self.0.ports.machine.ipvs())
    }

    fn env_files(&self) -> Result<BTreeMap<PathBuf, String>, MachineError> {
        self.0.call_now("machine.env_files", || self.0.ports.machine.env_files())
    }

    async fn answers(&self, address: &ServiceAddress, timeout: Duration) -> Result<bool, MachineError> {
        self.0.call("machine.answers", || self.0.ports.machine.answers(address, timeout)).await
    }

    async fn behind(&self, server: &str) -> Result<SwarmId, MachineError> {
        self.0.call("machine.behind", || self.0.ports.machine.behind(server)).await
    }
}

#[async_trait]
impl Neighbours for RunPorts {
    async fn lock_admission(&self) -> Result<Box<dyn AdmissionLock>, AdmissionLockError> {
        self.0.call("neighbours.lock_admission", || self.0.ports.neighbours.lock_admission()).await
    }
}

#[async_trait]
impl Executables for RunPorts {
    async fn find(&self, recipe: &RecipeName, origin: Origin) -> Result<Vec<SeenFile>, ProgramError> {
        self.0.call("executables.find", || self.0.ports.executables.find(recipe, origin)).await
    }

    async fn execute(&self, test: &CustomTest, app: TestedApp<'_>, budget: Duration) -> Result<Ran, ProgramError> {
        self.0.call("executables.execute", || self.0.ports.executables.execute(test, app, budget)).await
    }
}

impl Files for RunPorts {
    fn digests(&self, paths: &[PathBuf]) -> BTreeMap<PathBuf, String> {
        let unread = || paths.iter().map(|path| (path.clone(), "files.digests broke".to_owned())).collect();
        self.0.read_now("files.digests", unread, || self.0.ports.files.digests(paths))
    }

    fn remove(&self, claim: &Claim, path: &Path) -> Result<(), FileError> {
        self.0.call_now("files.remove", || self.0.ports.files.remove(claim, path))
    }
}
