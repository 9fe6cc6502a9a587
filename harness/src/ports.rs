//! What a run needs of the outside, as traits. No foreign type appears here or above.

mod data;
mod program;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    claim::Claim,
    compose::Tree,
    converge::ServiceView,
    model::{
        names::{Commit, Domain, EngineId, ImageRef, RecipeName, RunId, ServiceName, StackName, TaskId},
        time::{Mono, Wall},
    },
    sweep::Removal,
    world::World,
};

pub use data::{Data, Holder, Said};
pub use program::{Exited, ProgramError, Ran, TestProgram};

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
    /// HTTP.
    pub web: Arc<dyn Web>,
    /// The program of the recipe's pack.
    pub program: Arc<dyn TestProgram>,
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
    async fn world(&self) -> Result<World, SwarmError>;
    /// All services of a stack with their tasks, in three calls.
    async fn look(&self, stack: &StackName) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError>;
    /// What happens to a stack, as reasons to look again. The stream reopens itself; each opening is a nudge too.
    async fn nudges(&self, stack: &StackName) -> BoxStream<'static, Nudge>;
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

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Its version: `20.10.24`.
    pub version: String,
    /// The newest API version that it speaks: `1.41`.
    pub api: String,
    /// The id of the Swarm that it manages; absent when it is not a manager of one.
    pub swarm: Option<EngineId>,
    /// Whether it is part of a Swarm without managing it.
    pub worker: bool,
    /// Whether it runs without root, and so has no overlay networks.
    pub rootless: bool,
    /// The host name of the machine that it runs on.
    pub machine: String,
    /// That machine's kernel release.
    pub kernel: String,
    /// That machine's whole memory in bytes, when the engine says it.
    pub memory: Option<u64>,
    /// The folder in which it keeps images and volumes.
    pub root: PathBuf,
    /// How many nodes the Swarm has; 0 when the engine manages none.
    pub nodes: u64,
    /// Its clock when it answered.
    pub clock: Option<Wall>,
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

/// What of a Swarm can run out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The address pools that new overlay networks get their subnets from, as `10.0.0.0/8`.
    pub pools: Vec<String>,
    /// The prefix length of each new subnet.
    pub subnet_bits: u8,
    /// The subnets that overlay networks have.
    pub subnets: Vec<String>,
    /// The subnet of the network `proxy`, and how many of its addresses are in use; absent without such a network.
    pub proxy: Option<(String, u64)>,
    /// The published ports that are taken.
    pub ports: BTreeSet<Taken>,
    /// A service address that can be tried from within the network of a process of the engine's machine.
    pub address: Option<ServiceAddress>,
}

/// A published port that is taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Taken {
    /// The port.
    pub port: Port,
    /// The service or container that publishes it.
    pub by: String,
}

/// The virtual address of a running service, and from where it can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAddress {
    /// The service.
    pub service: String,
    /// Its virtual address with a port on which its tasks listen.
    pub at: SocketAddr,
    /// A process in a network that both are on.
    pub from: i32,
}

/// A reason to look again; never a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nudge {
    /// What happened, as the engine calls it.
    pub what: String,
}

/// Why the engine could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwarmError {
    /// Nothing listens on its socket.
    #[error("no engine answers at {socket}")]
    Absent {
        /// The socket.
        socket: String,
    },
    /// We may not use its socket.
    #[error("no permission to use the engine at {socket}")]
    NotPermitted {
        /// The socket.
        socket: String,
    },
    /// It did not answer in time.
    #[error("the engine did not answer {call} within {after:?}")]
    Silent {
        /// The call.
        call: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The object is in use by something else (HTTP 409), or its precondition does not hold yet.
    #[error("the engine refuses {call}: {message}")]
    Refused {
        /// The call.
        call: String,
        /// The engine's sentence.
        message: String,
    },
    /// Any other answer that is an error or cannot be read.
    #[error("the engine answers {call} with: {message}")]
    Failed {
        /// The call.
        call: String,
        /// The engine's sentence.
        message: String,
    },
}

/// The machine that taster runs on. Its facts speak of the engine only when the engine is on it.
#[async_trait]
pub trait Machine: Send + Sync {
    /// Its host name and kernel release, as an engine on it would say them.
    fn name(&self) -> (String, String);
    /// The memory that a new process could have, in bytes; absent when it cannot be read.
    fn memory(&self) -> Option<u64>;
    /// The free bytes of the file system that holds `folder`, or its nearest parent that exists, none where it is read-only;
    /// absent when it cannot be read.
    fn room_in(&self, folder: &Path) -> Option<u64>;
    /// The ports on which something listens.
    fn listening(&self) -> BTreeSet<Port>;
    /// Whether its kernel shows the table of IPVS, without which no service address can answer.
    fn ipvs(&self) -> bool;
    /// Whether a real connection to the address of a service is answered. The error says why it could not be tried.
    async fn answers(&self, address: &ServiceAddress, patience: Duration) -> Result<bool, String>;
    /// The Swarm that abra reaches under the name `server`. The error says why that is not known.
    async fn behind(&self, server: &str) -> Result<EngineId, String>;
}

/// A port of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// Whether it is UDP; else it is TCP.
    pub udp: bool,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, if self.udp { "udp" } else { "tcp" })
    }
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

/// abra, as an actuator.
#[async_trait]
pub trait Abra: Send + Sync {
    /// Runs one command of abra to its end. A call that changes the Swarm or the disk takes the claim that covers it.
    async fn call(&self, call: &Call, claim: Option<&Claim>, budget: Duration) -> Result<Exchange, AbraError>;
    /// The bytes of all files that the archive of the last download has at `path` of a snapshot, packed ones counted as unpacked; `None`
    /// when it has nothing there. The archive is removed.
    async fn downloaded(&self, path: &str) -> Result<Option<u64>, AbraError>;
}

/// The commands of abra that a run uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum Call {
    /// `abra --version`.
    Version,
    /// `abra recipe fetch`: clones the recipe.
    Fetch {
        /// The recipe.
        recipe: RecipeName,
    },
    /// `abra app new`: writes the app's `.env`. It may move the recipe's checkout.
    New {
        /// The recipe.
        recipe: RecipeName,
        /// The app's domain.
        domain: Domain,
        /// abra's name for the server.
        server: String,
    },
    /// `abra app secret generate`.
    SecretGenerate {
        /// The app.
        domain: Domain,
        /// One secret by its name and version, or all.
        one: Option<(String, String)>,
    },
    /// `abra app secret insert --file`: stores a secret whose value is in a file.
    SecretInsert {
        /// The app.
        domain: Domain,
        /// The secret's name in the compose files.
        name: String,
        /// Its version.
        version: String,
        /// The file with its value.
        file: PathBuf,
    },
    /// `abra app deploy --no-converge-checks`: deploys and returns.
    Deploy {
        /// The app.
        domain: Domain,
        /// The release that abra is to check out and lint before, or what is checked out, whatever it is (`--chaos`).
        version: Option<String>,
    },
    /// `abra app command`: calls a function of the recipe's `abra.sh` in a service.
    Command {
        /// The app.
        domain: Domain,
        /// The service, by its name in the compose files.
        service: String,
        /// The function.
        function: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// `abra app backup create`.
    BackupCreate {
        /// The app.
        domain: Domain,
    },
    /// `abra app backup snapshots`.
    BackupSnapshots {
        /// The app.
        domain: Domain,
    },
    /// `abra app backup list`: the files of a snapshot.
    BackupList {
        /// The app.
        domain: Domain,
        /// The snapshot.
        snapshot: String,
    },
    /// `abra app backup download`: leaves an archive in abra's working folder.
    BackupDownload {
        /// The app.
        domain: Domain,
        /// The snapshot.
        snapshot: String,
        /// The one path that is wanted, as the snapshot has it.
        path: String,
    },
    /// `abra app restore`: the newest snapshot, for no option names one.
    Restore {
        /// The app.
        domain: Domain,
        /// Whether to ask for the hooks of the labels, which some versions run only then.
        hooks: bool,
    },
    /// `abra recipe lint` on what is checked out in an `ABRA_DIR` of the call's own.
    Lint {
        /// The recipe.
        recipe: RecipeName,
        /// That `ABRA_DIR`.
        abra_dir: PathBuf,
        /// Whether nothing may be asked of the network.
        offline: bool,
    },
    /// `abra app undeploy`: returns before Swarm has finished.
    Undeploy {
        /// The app.
        domain: Domain,
    },
}

/// What came of a call that ended by itself with exit code 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What it printed, as a person would have seen it at the end: no control sequences, repainted lines once.
    pub text: String,
    /// What it printed, byte for byte.
    pub raw: Vec<u8>,
    /// How long it took.
    pub took: Duration,
}

/// How a call of abra can fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AbraError {
    /// There is no such program, or it may not be run.
    #[error("cannot start abra at {path}: {message}")]
    Absent {
        /// Where it was looked for.
        path: String,
        /// Why it cannot be started.
        message: String,
    },
    /// It ended with an exit code other than 0.
    #[error("abra ended with exit code {exit}: {reason}")]
    Fatal {
        /// The exit code.
        exit: i32,
        /// Its `FATA` line, or its last line.
        reason: String,
        /// All that it printed.
        exchange: Exchange,
    },
    /// It did not end within its budget and was ended by us.
    #[error("abra did not end within {after:?}; its last words: {last}")]
    Hung {
        /// The budget.
        after: Duration,
        /// Its last line.
        last: String,
    },
    /// It asked a question although it was told not to.
    #[error("abra asks a question although it was told not to: {prompt}")]
    Asked {
        /// The question.
        prompt: String,
    },
    /// It was ended by a signal that was not ours.
    #[error("abra was ended by signal {signal}; its last words: {last}")]
    Signalled {
        /// The signal's number.
        signal: i32,
        /// Its last line.
        last: String,
    },
    /// It was not run, or not seen to its end, for a reason of ours or of the machine.
    #[error("abra was not run for {call}: {message}")]
    NotRun {
        /// The call.
        call: String,
        /// Why not.
        message: String,
    },
    /// It printed something else than it should.
    #[error("cannot read what abra printed for {call}: {message}")]
    Unreadable {
        /// The call.
        call: String,
        /// What is wrong with it.
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

/// The recipe's checkout in the run's own `ABRA_DIR`.
#[async_trait]
pub trait Checkout: Send + Sync {
    /// Makes the checkout a clone of a folder, its uncommitted changes included as one commit on top.
    async fn adopt(&self, claim: &Claim, recipe: &RecipeName, folder: &Path) -> Result<bool, CheckoutError>;
    /// What the checkout holds.
    async fn read(&self, recipe: &RecipeName) -> Result<Checked, CheckoutError>;
    /// The commit that a tag, branch or commit means.
    async fn find(&self, recipe: &RecipeName, at: &str) -> Result<Commit, CheckoutError>;
    /// The recipe's files at a commit, whatever is checked out.
    async fn tree(&self, recipe: &RecipeName, commit: &Commit) -> Result<Tree, CheckoutError>;
    /// The text of the app's `.env` that the claim covers.
    async fn env(&self, claim: &Claim) -> Result<String, CheckoutError>;
    /// Puts the checkout on a tag, branch or commit, whatever it was on.
    async fn go(&self, claim: &Claim, recipe: &RecipeName, at: &str) -> Result<Commit, CheckoutError>;
    /// Makes a clone of the recipe in another `ABRA_DIR`, which the claim covers: with nothing in it but the commit, on branch `main`,
    /// with all tags, and its own origin, so that whatever fetches from there asks nobody.
    async fn pristine(&self, claim: &Claim, recipe: &RecipeName, commit: &Commit, abra_dir: &Path) -> Result<(), CheckoutError>;
    /// Sets keys of the app's `.env` that the claim covers; keys that are not in it are added at its end.
    async fn set_env(&self, claim: &Claim, settings: &[(&str, &str)]) -> Result<(), CheckoutError>;
    /// Adds files to the checkout, or replaces them, by their paths in it. Nothing is committed.
    async fn add(&self, claim: &Claim, recipe: &RecipeName, files: &BTreeMap<String, String>) -> Result<(), CheckoutError>;
}

/// What a checkout holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The commit that is checked out.
    pub head: Commit,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// The branch that changes are merged into, as its origin has it: `main`, else `master`.
    pub branch: Option<Branch>,
    /// The files at its top.
    pub files: Vec<String>,
}

/// A branch of a recipe's repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// Its last commit.
    pub commit: Commit,
}

/// A tag of a recipe's repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// The commit that it points to.
    pub commit: Commit,
    /// Whether it is annotated, as Co-op Cloud demands.
    pub annotated: bool,
}

/// Why the checkout could not be read or moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckoutError {
    /// git is not installed.
    #[error("git is not installed")]
    NoGit,
    /// There is no such tag, branch or commit.
    #[error("the recipe has no tag, branch or commit {at:?}")]
    NoSuchRef {
        /// What was asked for.
        at: String,
    },
    /// git ended with an error.
    #[error("git {action} failed: {message}")]
    Git {
        /// What git was to do.
        action: String,
        /// Its last words.
        message: String,
    },
    /// A file could not be read or written.
    #[error("cannot use {path}: {message}")]
    File {
        /// The file.
        path: String,
        /// The system's sentence.
        message: String,
    },
}

/// HTTP, as a client of the app sees it.
#[async_trait]
pub trait Web: Send + Sync {
    /// One request, no redirect followed, the certificate checked against the host's CA and the system's.
    async fn get(&self, url: &str, timeout: Duration) -> Result<HttpView, WebError>;
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
