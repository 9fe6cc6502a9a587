//! The inventory of a simulated Swarm, with files and a child, for tests of the cleanup. It behaves like real ones: containers
//! outlive their service for a while, a service replaces a removed container, the removal of an object in use is refused, a child
//! goes on making objects. It can also crash its caller after any call.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use harness::{
    model::{
        engine::{Engine, SwarmError},
        names::{ServiceName, StackName, TaskId},
        object::{ObjectId, ObjectKind},
        time::{Mono, Wall},
    },
    ports::{Child, ChildError, Children, Clock, ContainerEnd, FileError, Files, Swarm, WakeUp},
    pure::{
        host::{
            claim::Claim,
            cleanup_plan::Removal,
            converge::ServiceView,
            inventory::{Inventory, Object},
        },
        recipe::power::Live,
    },
};
use tokio::sync::Notify;

use crate::sim_machine;

/// How many observations a container outlives its service without a forced removal.
const GRACE: u32 = 6;

/// The simulated inventory.
#[derive(Debug)]
pub struct SimInventory {
    inner: Mutex<Inner>,
    crashed: Notify,
}

#[derive(Debug)]
struct Inner {
    inventory: Inventory,
    observations: u32,
    calls: u32,
    /// The call after which the caller crashes.
    crash_after: Option<u32>,
    has_crashed: bool,
    refusals: BTreeMap<ObjectId, u32>,
    late: Vec<(u32, ObjectId, Object)>,
    ending: BTreeMap<ObjectId, u32>,
    child: Option<StackName>,
    made: u32,
    removals: u32,
}

/// An object that uses no other.
///
/// # Panics
/// If the stack's name is invalid.
pub fn object(kind: ObjectKind, name: &str, stack: Option<&str>) -> (ObjectId, Object) {
    let id = ObjectId { kind, id: format!("id-{name}") };
    let stack = stack.map(|stack| stack.parse().unwrap());
    (id, Object { name: name.into(), stack, labels: BTreeMap::new(), version: "1".into(), uses: BTreeSet::new() })
}

/// The same object, using others.
pub fn using((id, object): (ObjectId, Object), uses: &[&(ObjectId, Object)]) -> (ObjectId, Object) {
    let uses = uses.iter().map(|(id, _)| id.clone()).collect();
    (id, Object { uses, ..object })
}

impl SimInventory {
    /// A simulation that begins with `inventory`.
    pub fn new(inventory: Inventory) -> Self {
        let inner = Inner {
            inventory,
            observations: 0,
            calls: 0,
            crash_after: None,
            has_crashed: false,
            refusals: BTreeMap::new(),
            late: Vec::new(),
            ending: BTreeMap::new(),
            child: None,
            made: 0,
            removals: 0,
        };
        Self { inner: Mutex::new(inner), crashed: Notify::new() }
    }

    /// The engine refuses this many removals of the object (409).
    pub fn refuses(self, id: &ObjectId, times: u32) -> Self {
        self.lock().refusals.insert(id.clone(), times);
        self
    }

    /// The object, which the engine is already making, appears with this observation.
    pub fn appears(self, at_observation: u32, (id, object): (ObjectId, Object)) -> Self {
        self.lock().late.push((at_observation, id, object));
        self
    }

    /// A child lives and makes one more secret of this stack before each observation.
    pub fn with_child(self, stack: &StackName) -> Self {
        self.lock().child = Some(stack.clone());
        self
    }

    /// The caller crashes after this many further calls: the last one has its effect and is never answered.
    pub fn crash_after(&self, calls: Option<u32>) {
        let mut inner = self.lock();
        inner.crash_after = calls.map(|calls| inner.calls + calls);
        inner.has_crashed = false;
    }

    /// Returns when the caller has crashed.
    pub async fn crashed(&self) {
        self.crashed.notified().await;
    }

    /// The inventory as it is.
    pub fn now(&self) -> Inventory {
        self.lock().inventory.clone()
    }

    /// The inventory once all pending objects have appeared.
    pub fn in_the_end(&self) -> Inventory {
        let inner = self.lock();
        let mut inventory = inner.inventory.clone();
        inventory.objects.extend(inner.late.iter().map(|(_, id, object)| (id.clone(), object.clone())));
        inventory
    }

    /// How many removals had an effect or were refused.
    pub fn removals(&self) -> u32 {
        self.lock().removals
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: `act` has its effect unless the caller has crashed before. `None` when the caller does not get the answer.
    fn call<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> Option<T> {
        let mut inner = self.lock();
        if inner.has_crashed {
            return None;
        }
        inner.calls += 1;
        let answer = act(&mut inner);
        if inner.crash_after == Some(inner.calls) {
            inner.has_crashed = true;
            self.crashed.notify_one();
            return None;
        }
        Some(answer)
    }

    async fn answer<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        match self.call(act) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

impl Inner {
    fn observe(&mut self) -> Inventory {
        self.observations += 1;
        let observations = self.observations;
        let due = |at: &u32| *at <= observations;
        self.late.sort_by_key(|(at, ..)| *at);
        let arrived = self.late.iter().take_while(|(at, ..)| due(at)).count();
        self.inventory.objects.extend(self.late.drain(..arrived).map(|(_, id, object)| (id, object)));
        let gone: Vec<ObjectId> = self.ending.iter().filter(|(_, at)| due(at)).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.ending.remove(&id);
            self.inventory.objects.remove(&id);
        }
        self.restart();
        self.end_tasks();
        if let Some(stack) = self.child.clone() {
            self.made += 1;
            let name = format!("{stack}_made{}_v1", self.made);
            self.inventory.objects.extend([object(ObjectKind::Secret, &name, None)]);
        }
        self.inventory.clone()
    }

    /// A task without its service ends by itself after a while, even a task that has only just been made.
    fn end_tasks(&mut self) {
        let services: BTreeSet<&str> = self
            .inventory
            .objects
            .iter()
            .filter(|(id, _)| id.kind == ObjectKind::Service)
            .map(|(_, object)| object.name.as_str())
            .collect();
        for (id, object) in self.inventory.objects.iter().filter(|(id, _)| id.kind == ObjectKind::Task) {
            let service = object.name.split('.').next().unwrap_or_default();
            if !services.contains(service) {
                self.ending.entry(id.clone()).or_insert(self.observations + GRACE);
            }
        }
    }

    /// Each service has one container, which is named after it and uses its volumes and networks.
    fn restart(&mut self) {
        let services: Vec<Object> = self
            .inventory
            .objects
            .iter()
            .filter(|(id, _)| id.kind == ObjectKind::Service)
            .map(|(_, object)| object.clone())
            .collect();
        for service in services {
            let prefix = format!("{}.1.", service.name);
            let kept = self
                .inventory
                .objects
                .iter()
                .any(|(id, object)| id.kind == ObjectKind::Container && object.name.starts_with(&prefix));
            if !kept {
                self.made += 1;
                let name = format!("{prefix}again{}", self.made);
                let (id, container) = object(ObjectKind::Container, &name, service.stack.as_ref().map(StackName::as_str));
                let of_container = |used: &&ObjectId| matches!(used.kind, ObjectKind::Volume | ObjectKind::Network);
                let uses = service.uses.iter().filter(of_container).cloned().collect();
                self.inventory.objects.insert(id, Object { uses, ..container });
            }
        }
    }

    fn remove(&mut self, removal: &Removal) -> Result<(), SwarmError> {
        let id = &removal.object;
        let refused = |message: &str| SwarmError::Refused { call: format!("remove {removal}"), message: message.into() };
        if !self.inventory.objects.contains_key(id) {
            return Ok(());
        }
        self.removals += 1;
        if let Some(times) = self.refusals.get_mut(id).filter(|times| **times > 0) {
            *times -= 1;
            return Err(refused("not now"));
        }
        if self.inventory.objects.values().any(|other| other.uses.contains(id)) {
            return Err(refused("in use"));
        }
        let object = self.inventory.objects.remove(id);
        if id.kind == ObjectKind::Service {
            let prefix = object.map(|object| format!("{}.", object.name)).unwrap_or_default();
            for (other, object) in &self.inventory.objects {
                if matches!(other.kind, ObjectKind::Container | ObjectKind::Task) && object.name.starts_with(&prefix) {
                    self.ending.insert(other.clone(), self.observations + GRACE);
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Swarm for SimInventory {
    async fn host(&self) -> Result<Engine, SwarmError> {
        Ok(Engine { swarm: Some(self.now().engine), ..sim_machine::engine() })
    }

    async fn inventory(&self) -> Result<Inventory, SwarmError> {
        let inventory = self.answer(Inner::observe).await;
        Ok(Inventory { files: BTreeMap::new(), ..inventory })
    }

    async fn observe(&self, _: &StackName) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError> {
        Err(SwarmError::Failed { call: "observe".into(), message: "a cleanup observes no services".into() })
    }

    async fn specs(&self, _: &StackName) -> Result<Live, SwarmError> {
        Err(SwarmError::Failed { call: "specs".into(), message: "a cleanup reads no specs".into() })
    }

    async fn wake_ups(&self, _: &StackName) -> BoxStream<'static, WakeUp> {
        stream::pending().boxed()
    }

    async fn logs(&self, _: &TaskId, _: u32) -> Result<String, SwarmError> {
        Err(SwarmError::Failed { call: "logs".into(), message: "a cleanup reads no logs".into() })
    }

    async fn container_end(&self, _: &str) -> Result<Option<ContainerEnd>, SwarmError> {
        Err(SwarmError::Failed { call: "health".into(), message: "a cleanup reads no health".into() })
    }

    async fn mark(&self, _: &Claim, _: &BTreeMap<String, String>) -> Result<(), SwarmError> {
        Err(SwarmError::Failed { call: "mark".into(), message: "a cleanup makes nothing".into() })
    }

    async fn restart(&self, _: &Claim, _: &ServiceName) -> Result<(), SwarmError> {
        Err(SwarmError::Failed { call: "restart".into(), message: "a cleanup starts nothing".into() })
    }

    async fn remove(&self, _: &Claim, removal: &Removal) -> Result<(), SwarmError> {
        self.answer(|inner| inner.remove(removal)).await
    }
}

impl Files for SimInventory {
    fn digests(&self, paths: &[PathBuf]) -> BTreeMap<PathBuf, String> {
        let digests = |inner: &mut Inner| {
            let watched = |path: &PathBuf| inner.inventory.files.get(path).map(|digest| (path.clone(), digest.clone()));
            paths.iter().filter_map(watched).collect()
        };
        self.call(digests).unwrap_or_default()
    }

    fn remove(&self, _: &Claim, path: &Path) -> Result<(), FileError> {
        self.call(|inner| {
            inner.removals += 1;
            inner.inventory.files.remove(path);
        });
        Ok(())
    }
}

#[async_trait]
impl Children for SimInventory {
    async fn end(&self, _: &Child, _: Duration) -> Result<(), ChildError> {
        self.answer(|inner| inner.child = None).await;
        Ok(())
    }
}

impl Clock for SimInventory {
    fn mono(&self) -> Mono {
        Mono(u64::from(self.lock().calls) * 20)
    }

    fn wall(&self) -> Wall {
        Wall::from_millis(0)
    }
}
