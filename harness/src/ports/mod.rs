//! What a run needs of the outside, as traits. No foreign type appears here or above.

mod abra;
mod browser;
mod checkout;
mod data;
mod executables;
mod neighbours;
mod program;

use crate::model::engine::{Engine, Port, Room, ServiceAddress, SwarmError};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        names::{EngineId, ImageRef, RunId, ServiceName, StackName, TaskId},
        time::{Mono, Wall},
    },
    pure::host::{claim::Claim, cleanup_plan::Removal, converge::ServiceView, inventory::Inventory},
};

pub use abra::{Abra, AbraError, Call, Exchange};
pub use browser::{Browser, NoShot, Shot};
pub use checkout::{Checked, Checkout, CheckoutError};
pub use data::{Data, Holder, Said};
pub use executables::{Executables, NoExecutables};
pub use neighbours::{Neighbours, Turn};
pub use program::{Attached, Exited, ProgramError, Ran, TestProgram};

/// The outside of a run.
#[derive(Clone)]
pub struct Ports {
    /// The Swarm.
    pub swarm: Arc<dyn Swarm>,
    /// Its room for one more app.
    pub capacity: Arc<dyn Capacity>,
    /// The data of the app.
    pub data: Arc<dyn Data>,
    /// abra.
    pub abra: Arc<dyn Abra>,
    /// The recipe's checkout.
    pub checkout: Arc<dyn Checkout>,
    /// The machine that taster runs on.
    pub machine: Arc<dyn Machine>,
    /// The other runs of this machine.
    pub neighbours: Arc<dyn Neighbours>,
    /// HTTP.
    pub web: Arc<dyn Web>,
    /// The program of the recipe's pack.
    pub program: Arc<dyn TestProgram>,
    /// The browser.
    pub browser: Arc<dyn Browser>,
    /// Custom tests that are executables.
    pub executables: Arc<dyn Executables>,
    /// Files that are claimed.
    pub files: Arc<dyn Files>,
    /// Child processes that may have outlived their call.
    pub children: Arc<dyn Children>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
}

/// The engine and the Swarm behind it.
#[async_trait]
pub trait Swarm: Send + Sync {
    /// What the engine says of itself and of its Swarm.
    async fn host(&self) -> Result<Engine, SwarmError>;
    /// All objects of the Swarm, in at most eight calls. Files are not the engine's: see [`Files::digests`].
    async fn inventory(&self) -> Result<Inventory, SwarmError>;
    /// All services of a stack with their tasks, in three calls.
    async fn observe(&self, stack: &StackName) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError>;
    /// What happens to a stack, as reasons to look again. The stream reopens itself; each opening is a nudge too.
    async fn wake_ups(&self, stack: &StackName) -> BoxStream<'static, WakeUp>;
    /// The last `lines` lines that a task wrote.
    async fn logs(&self, task: &TaskId, lines: u32) -> Result<String, SwarmError>;
    /// What the last health check of a container printed that is unhealthy, or was when it ended. Nothing of one that was not, and of
    /// one that the engine does not have, because it is gone or on another node.
    async fn health_words(&self, container: &str) -> Result<Option<String>, SwarmError>;
    /// Puts the claimed marker on the Swarm, so that other machines know whose stack this is.
    async fn mark(&self, claim: &Claim, labels: &BTreeMap<String, String>) -> Result<(), SwarmError>;
    /// Has a service of the claimed stack start all its tasks again, by its own update policy, with nothing else changed.
    async fn restart(&self, claim: &Claim, service: &ServiceName) -> Result<(), SwarmError>;
    /// Removes an object that the claim covers; containers by force. An object that is gone already is no error.
    async fn remove(&self, claim: &Claim, removal: &Removal) -> Result<(), SwarmError>;
}

/// Whether the Swarm has room for one more app.
#[async_trait]
pub trait Capacity: Send + Sync {
    /// What of the Swarm can run out: addresses and published ports.
    async fn room(&self) -> Result<Room, SwarmError>;
    /// Those of `images` that the engine does not have.
    async fn absent(&self, images: &BTreeSet<ImageRef>) -> Result<BTreeSet<ImageRef>, SwarmError>;
    /// Asks the image's registry for it through the engine, which is who would pull it.
    async fn look_up(&self, image: &ImageRef) -> Result<(), SwarmError>;
}

/// A reason to look again; never a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakeUp {
    /// What happened, as the engine calls it.
    pub what: String,
}

/// The machine that taster runs on. Its facts speak of the engine only when the engine is on it.
#[async_trait]
pub trait Machine: Send + Sync {
    /// Its host name and kernel release, as an engine on it would say them.
    fn name(&self) -> (String, String);
    /// What its kernel calls the time since it was started; absent when it cannot be read.
    fn boot(&self) -> Option<String>;
    /// The memory that a new process could have, in bytes; absent when it cannot be read.
    fn memory(&self) -> Option<u64>;
    /// The free bytes of the file system that holds `folder`, or its nearest parent that exists, none where it is read-only;
    /// absent when it cannot be read.
    fn room_in(&self, folder: &Path) -> Option<u64>;
    /// The ports on which something listens.
    fn listening(&self) -> BTreeSet<Port>;
    /// Whether its kernel shows the table of IPVS, without which no service address can answer.
    fn ipvs(&self) -> bool;
    /// The `.env` files of the apps that the operator's own abra knows, each with its digest. A run has no business with them. The
    /// error says why they cannot be listed.
    fn env_files(&self) -> Result<BTreeMap<PathBuf, String>, String>;
    /// Whether a real connection to the address of a service is answered. The error says why it could not be tried.
    async fn answers(&self, address: &ServiceAddress, patience: Duration) -> Result<bool, String>;
    /// The Swarm that abra reaches under the name `server`. The error says why that is not known.
    async fn behind(&self, server: &str) -> Result<EngineId, String>;
}

/// The files and folders that a run claims or watches.
pub trait Files: Send + Sync {
    /// Those of `paths` that exist, each with a digest that changes when it does: of a file its bytes, of a folder the names,
    /// sizes and times of all that is in it. What cannot be read has the system's sentence for a digest.
    fn digests(&self, paths: &[PathBuf]) -> BTreeMap<PathBuf, String>;
    /// Removes a file or a whole folder that the claim covers. One that is gone already is no error. Symbolic links are
    /// removed, never followed.
    fn remove(&self, claim: &Claim, path: &Path) -> Result<(), FileError>;
}

/// Why a file could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot remove {}: {message}", path.display())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// The system's sentence.
    pub message: String,
}

/// Child processes that a run started and that may have outlived it.
#[async_trait]
pub trait Children: Send + Sync {
    /// Ends a child with all that it started, at once, and returns when none of them lives any more or `patience` has passed.
    /// Processes that are not the child's are never touched, also when they have its process id by now.
    async fn end(&self, child: &Child, patience: Duration) -> Result<(), ChildError>;
}

/// A child process as the journal names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// The run that started it.
    pub run: RunId,
    /// Its process id, which is its group's and session's too.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// What it does.
    pub doing: String,
}

/// Why a child could not be ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChildError {
    /// It, or something that it started, lives on.
    #[error("process {pid} still runs ({doing})")]
    LivesOn {
        /// A process that lives on.
        pid: i32,
        /// What the child does.
        doing: String,
    },
    /// The table of processes cannot be read.
    #[error("cannot read the table of processes: {message}")]
    Unreadable {
        /// The system's sentence.
        message: String,
    },
}

/// Where child processes are written down, so that somebody else can end them when the run cannot.
#[async_trait]
pub trait ChildRegister: Send + Sync {
    /// A child is about to act; it waits until this returns. The error is one sentence, and the child is ended.
    async fn started(&self, pid: i32, start_ticks: u64, doing: &str) -> Result<(), String>;
    /// A child ended, and all that it had started.
    async fn ended(&self, pid: i32);
}

/// HTTP, as a client of the app sees it.
#[async_trait]
pub trait Web: Send + Sync {
    /// One request, no redirect followed, the certificate checked against the host's CA and the system's.
    async fn get(&self, url: &str, timeout: Duration) -> Result<HttpView, WebError>;
    /// Whether a port of an app's machine accepts a connection, which is closed at once.
    async fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<(), WebError>;
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpView {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The first 64 KiB of the body, as text.
    pub body: String,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// The address does not accept connections, or the name does not resolve.
    #[error("no connection: {message}")]
    NoConnection {
        /// The system's sentence.
        message: String,
    },
    /// The certificate is not one that we trust, or not for this name.
    #[error("the certificate is not trusted: {message}")]
    BadCertificate {
        /// The library's sentence.
        message: String,
    },
    /// There was no whole answer in time.
    #[error("no answer within {after:?}")]
    TimedOut {
        /// The time-out.
        after: Duration,
    },
    /// The connection broke, or the answer is no HTTP.
    #[error("broken answer: {message}")]
    Broken {
        /// The library's sentence.
        message: String,
    },
}

/// The two clocks.
pub trait Clock: Send + Sync {
    /// Since the run started.
    fn mono(&self) -> Mono;
    /// For people.
    fn wall(&self) -> Wall;
}
