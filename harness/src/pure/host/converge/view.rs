//! An observation of a stack: its services as Swarm wants them, and their tasks as they are.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{
    names::{ImageRef, NodeId, ServiceName, TaskId},
    time::Mono,
};

/// An observation of all services of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// When it was made, on our clock. The engine's own time stamps decide nothing: its clock may be wrong.
    pub at: Mono,
    /// The services by name.
    pub services: BTreeMap<ServiceName, ServiceView>,
}

/// The engine's version index of an object: it grows with every accepted change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Index(pub u64);

/// A digest over a service's spec: equal digests, equal specs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SpecDigest(pub String);

/// A service as the engine has it at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceView {
    /// The version index of the service.
    pub index: Index,
    /// The digest of its current spec.
    pub spec: SpecDigest,
    /// The image that the spec names.
    pub image: ImageRef,
    /// How many tasks are wanted.
    pub mode: Mode,
    /// The state of its last update; absent when there was none since the spec last changed.
    pub update: Option<UpdateView>,
    /// How an update is rolled out.
    pub roll: RollPolicy,
    /// When an ended task is started again.
    pub restart: RestartPolicy,
    /// The service's health check.
    pub health: Health,
    /// Ports published in host mode.
    pub host_ports: Vec<HostPort>,
    /// How the service's name resolves.
    pub endpoint: Endpoint,
    /// The labels of the service's spec.
    pub labels: BTreeMap<String, String>,
    /// Its tasks, old ones too as far as the engine keeps them.
    pub tasks: Vec<TaskView>,
}

/// How many tasks a service wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum Mode {
    /// This many that go on running.
    Replicated {
        /// The wanted number.
        replicas: u64,
    },
    /// One on each eligible node.
    Global,
    /// This many that end with success.
    Job {
        /// The wanted number of completions.
        completions: u64,
    },
}

/// The state of an update, as Swarm reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateView {
    /// The state.
    pub state: UpdateState,
    /// Swarm's message.
    pub message: String,
}

/// The states of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    /// It is being rolled out.
    Updating,
    /// It was paused after a failure.
    Paused,
    /// It is done.
    Completed,
    /// It is being taken back.
    RollbackStarted,
    /// Taking it back was paused.
    RollbackPaused,
    /// It was taken back. Swarm reports this before the restored task runs.
    RollbackCompleted,
}

/// How an update is rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollPolicy {
    /// How many slots at a time; 0 means all.
    pub parallelism: u64,
    /// The pause between two groups.
    #[serde(with = "millis")]
    pub delay: Duration,
    /// How long a new task is watched for failure.
    #[serde(with = "millis")]
    pub monitor: Duration,
    /// Which of the old and the new task comes first.
    pub order: Order,
    /// What Swarm does when a new task fails while it is watched.
    pub on_failure: OnFailure,
}

/// What Swarm does when a new task fails during an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It stops the update and reports `paused`.
    Pause,
    /// It goes on, and may report `completed` over dead tasks.
    Continue,
    /// It takes the update back and reports `rollback_started`.
    Rollback,
}

/// Which of the old and the new task of a slot comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The old one is stopped before the new one starts.
    StopFirst,
    /// The new one runs before the old one is stopped.
    StartFirst,
}

/// When an ended task is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// After which endings.
    pub condition: RestartCondition,
    /// The pause before it.
    #[serde(with = "millis")]
    pub delay: Duration,
    /// How often at most; 0 means without end.
    pub max_attempts: u64,
}

/// After which endings a task is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartCondition {
    /// Never.
    None,
    /// After a failure.
    OnFailure,
    /// Always.
    Any,
}

/// A service's health check by its spec. A check that only the image has shows at the tasks' containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "health", rename_all = "kebab-case")]
pub enum Health {
    /// The spec has none.
    Absent,
    /// The spec switches it off.
    Disabled,
    /// The spec has one.
    Probe {
        /// The pause between two probes.
        #[serde(with = "millis")]
        interval: Duration,
        /// How long one probe may take.
        #[serde(with = "millis")]
        timeout: Duration,
        /// How many failures in a row make it unhealthy.
        retries: u64,
        /// How long failures do not count after the start.
        #[serde(with = "millis")]
        start_period: Duration,
    },
}

/// A port that a service publishes on each node that runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// The port on the node.
    pub port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// How a service's name resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// To one virtual address, which needs IPVS in the kernel.
    Vip,
    /// To the addresses of its tasks.
    Dnsrr,
}

/// A task as the engine has it at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskView {
    /// The task's id.
    pub id: TaskId,
    /// Its slot; global tasks have none.
    pub slot: Option<u64>,
    /// The node that it was given to.
    pub node: Option<NodeId>,
    /// Whether it belongs to the service's current spec, in the updater's own comparison (filter `_up-to-date`).
    pub current: bool,
    /// The state that Swarm wants.
    pub desired: TaskState,
    /// Its state.
    pub state: TaskState,
    /// The exit code of its container, when that ended.
    pub exit: Option<i32>,
    /// Swarm's error; empty without one.
    pub error: String,
    /// Its container, when it has one.
    pub container: Option<String>,
}

/// The states of a task in the order in which it goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// It was created.
    New,
    /// Its resources are being allocated.
    Allocated,
    /// It waits for a node.
    Pending,
    /// It was given to a node.
    Assigned,
    /// The node took it.
    Accepted,
    /// The node prepares it, for example by a pull.
    Preparing,
    /// It is about to start.
    Ready,
    /// Its container was started; with a health check, it is not healthy yet.
    Starting,
    /// It runs and, with a health check, is healthy.
    Running,
    /// It ended with exit 0.
    Complete,
    /// It was asked to stop and did.
    Shutdown,
    /// It ended otherwise.
    Failed,
    /// The node refused it, for example because its image cannot be pulled.
    Rejected,
    /// Its service was removed or scaled down.
    Remove,
    /// Its node is gone.
    Orphaned,
}

impl TaskState {
    /// The engine's name of the state.
    pub fn name(self) -> &'static str {
        match self {
            TaskState::New => "new",
            TaskState::Allocated => "allocated",
            TaskState::Pending => "pending",
            TaskState::Assigned => "assigned",
            TaskState::Accepted => "accepted",
            TaskState::Preparing => "preparing",
            TaskState::Ready => "ready",
            TaskState::Starting => "starting",
            TaskState::Running => "running",
            TaskState::Complete => "complete",
            TaskState::Shutdown => "shutdown",
            TaskState::Failed => "failed",
            TaskState::Rejected => "rejected",
            TaskState::Remove => "remove",
            TaskState::Orphaned => "orphaned",
        }
    }

    /// Whether it can still become or stay running.
    pub fn alive(self) -> bool {
        self <= TaskState::Running
    }
}

/// Durations as whole milliseconds, so that recordings read well.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
