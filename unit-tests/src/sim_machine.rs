//! A simulated machine with an engine on it, fit for a run by default.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use harness::{
    model::{
        engine::{Engine, Port, ServiceAddress, SwarmResources},
        load::Load,
        names::SwarmId,
        time::Wall,
    },
    ports::{Machine, MachineError},
};

/// The machine. A value that cannot be read is `None`.
#[derive(Debug, Clone)]
pub struct SimMachine {
    /// Its host name.
    pub name: String,
    /// The memory that is free, in bytes.
    pub memory: Option<u64>,
    /// The free bytes in every folder.
    pub free_bytes: Option<u64>,
    /// The ports on which something listens.
    pub listening: BTreeSet<Port>,
    /// The `.env` files of the operator's own apps.
    pub env_files: BTreeMap<PathBuf, String>,
    /// The Swarms behind abra's servers.
    pub servers: BTreeMap<String, SwarmId>,
}

impl Default for SimMachine {
    fn default() -> Self {
        Self {
            name: "here".into(),
            memory: Some(8 << 30),
            free_bytes: Some(100 << 30),
            listening: BTreeSet::new(),
            env_files: BTreeMap::new(),
            servers: BTreeMap::from([("default".into(), swarm())]),
        }
    }
}

/// The Swarm of the simulated engine.
///
/// # Panics
/// Never: the id is valid.
pub fn swarm() -> SwarmId {
    "swarm1".parse().expect("an id")
}

/// The engine of the machine: a manager that is new enough.
pub fn engine() -> Engine {
    Engine {
        version: "20.10.24".into(),
        api: "1.41".into(),
        swarm: Some(swarm()),
        worker: false,
        rootless: false,
        machine: "here".into(),
        kernel: "6.1".into(),
        memory: Some(16 << 30),
        cpus: Some(8),
        root: "/var/lib/docker".into(),
        nodes: 1,
        clock: Some(Wall::from_millis(0)),
    }
}

/// A Swarm with room for more.
pub fn resources() -> SwarmResources {
    SwarmResources {
        pools: vec!["10.0.0.0/8".into()],
        subnet_bits: 24,
        subnets: vec!["10.0.0.0/24".into(), "10.0.1.0/24".into()],
        proxy: Some(("10.0.1.0/24".into(), 3)),
        ports: BTreeSet::new(),
        address: None,
    }
}

#[async_trait]
impl Machine for SimMachine {
    fn env_files(&self) -> Result<BTreeMap<PathBuf, String>, MachineError> {
        Ok(self.env_files.clone())
    }

    fn name(&self) -> (String, String) {
        (self.name.clone(), "6.1".into())
    }

    fn boot(&self) -> Option<String> {
        Some("boot1".into())
    }

    fn memory(&self) -> Option<u64> {
        self.memory
    }

    fn load(&self) -> Option<Load> {
        Load::parse("0.20 0.18 0.12 1/80 11206")
    }

    fn free_bytes_in(&self, _: &Path) -> Option<u64> {
        self.free_bytes
    }

    fn listening(&self) -> BTreeSet<Port> {
        self.listening.clone()
    }

    fn ipvs(&self) -> bool {
        true
    }

    async fn answers(&self, _: &ServiceAddress, _: Duration) -> Result<bool, MachineError> {
        Ok(true)
    }

    async fn behind(&self, server: &str) -> Result<SwarmId, MachineError> {
        self.servers.get(server).cloned().ok_or_else(|| MachineError::NoContext { context: server.to_owned() })
    }
}
