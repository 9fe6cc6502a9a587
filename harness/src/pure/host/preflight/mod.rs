//! The preflight: checks of a host before a run, from facts that were read of it.
//!
//! A check that cannot be made from here is unknown, which is not the same as passed, and refuses no run.

mod addresses;
mod neighbours;

use std::{collections::BTreeSet, fmt, time::Duration};

pub use neighbours::{Neighbour, waits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        engine::{Engine, Port, SwarmError, SwarmResources},
        host::Limits,
        names::{ImageRef, StackName, SwarmId},
        object::ObjectKind,
        outcome::{Cause, Failure, Owner},
        time::{Wall, format_duration},
    },
    pure::host::inventory::Inventory,
};

/// The oldest API that taster speaks: that of engine 20.10.
pub const OLDEST_API: (u32, u32) = (1, 41);
/// How far the engine's clock may be off without a notice. No decision depends on it, but logs and certificates do.
const SKEW: Duration = Duration::from_secs(5);
/// The least that the file system of the results must have free, in bytes.
const RESULTS_ROOM: u64 = 64 << 20;

/// The remedy for a missing browser.
pub const BROWSER_REMEDY: &str = "`apt-get install chromium-headless-shell chromium-driver libnss3-tools` on Debian; elsewhere \
                                  Chromium, chromedriver and NSS's certutil";

/// The subject of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// The engine answers, is new enough, and runs as root.
    Engine,
    /// It manages a Swarm.
    Swarm,
    /// abra can be started and says its version.
    Abra,
    /// abra reaches the same Swarm as taster.
    SameSwarm,
    /// The network `proxy` is there and has addresses left.
    Proxy,
    /// New overlay networks can have subnets.
    Addresses,
    /// The ports that the recipe publishes are free.
    Ports,
    /// There is room for images and volumes, and for the results.
    Disk,
    /// There is memory for the app.
    Memory,
    /// The images are there, or their registry answers.
    Registry,
    /// Service addresses answer.
    Ipvs,
    /// The engine's clock is right.
    Clock,
    /// There is a browser for screenshots of the app and for tests in one.
    Browser,
    /// Nothing has the app's name yet.
    Names,
}

impl Topic {
    /// The topic's name in results.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Engine => "engine",
            Topic::Swarm => "swarm",
            Topic::Abra => "abra",
            Topic::SameSwarm => "same-swarm",
            Topic::Proxy => "proxy",
            Topic::Addresses => "addresses",
            Topic::Ports => "ports",
            Topic::Disk => "disk",
            Topic::Memory => "memory",
            Topic::Registry => "registry",
            Topic::Ipvs => "ipvs",
            Topic::Clock => "clock",
            Topic::Browser => "browser",
            Topic::Names => "names",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// It holds.
    Ok,
    /// It cannot be known from here.
    Unknown,
    /// It does not hold, but a run is possible.
    Notice,
    /// It does not hold, and no run is possible.
    Unfit,
}

impl Finding {
    /// The finding's name in results.
    pub fn name(self) -> &'static str {
        match self {
            Finding::Ok => "ok",
            Finding::Unknown => "unknown",
            Finding::Notice => "notice",
            Finding::Unfit => "unfit",
        }
    }
}

/// A check of the preflight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Its subject.
    pub topic: Topic,
    /// Its result.
    pub finding: Finding,
    /// What was found, in one sentence.
    #[serde(alias = "told")]
    pub sentence: String,
    /// The remedy; absent when nothing has to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Who has to act. A host that is not fit is never the recipe's fault.
    pub owner: Owner,
}

impl Check {
    fn new(topic: Topic, finding: Finding, sentence: impl Into<String>) -> Self {
        Self { topic, finding, sentence: sentence.into(), remedy: None, owner: Owner::Infrastructure }
    }

    fn ok(topic: Topic, sentence: impl Into<String>) -> Self {
        Self::new(topic, Finding::Ok, sentence)
    }

    fn unfit(topic: Topic, sentence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(topic, Finding::Unfit, sentence) }
    }

    fn notice(topic: Topic, sentence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(topic, Finding::Notice, sentence) }
    }

    fn unknown(topic: Topic, sentence: impl Into<String>) -> Self {
        Self::new(topic, Finding::Unknown, sentence)
    }
}

impl From<&Check> for Failure {
    fn from(check: &Check) -> Self {
        let remedy = check.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
        Failure::new(Cause::Preflight { check: check.topic.name().into() }, format!("{}{remedy}", check.sentence))
            .owned_by(check.owner)
    }
}

/// What a run needs of its host by the recipe's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Needs {
    /// The memory that its services reserve, in bytes.
    pub memory: u64,
    /// The ports that it publishes.
    pub ports: BTreeSet<Port>,
    /// How many overlay networks it makes.
    pub networks: u64,
    /// How many addresses it takes in the network `proxy`.
    pub addresses: u64,
    /// The images that it runs.
    pub images: BTreeSet<ImageRef>,
}

impl Needs {
    /// The needs that suffice for either.
    #[must_use]
    pub fn or(self, other: &Needs) -> Needs {
        Needs {
            memory: self.memory.max(other.memory),
            ports: &self.ports | &other.ports,
            networks: self.networks.max(other.networks),
            addresses: self.addresses.max(other.addresses),
            images: &self.images | &other.images,
        }
    }
}

/// The facts that were read of a host. A fact that was not read has no check.
#[derive(Debug, Clone, Default)]
pub struct HostReadings {
    /// The engine's socket, for people.
    pub socket: String,
    /// What the engine reports of itself, or its error.
    pub engine: Option<Result<Engine, SwarmError>>,
    /// The time here when it answered.
    pub now: Option<Wall>,
    /// The inventory of the Swarm.
    pub inventory: Option<Result<Inventory, SwarmError>>,
    /// The resources of the Swarm that can run out.
    pub resources: Option<Result<SwarmResources, SwarmError>>,
    /// abra's version, or what is wrong with it and the remedy.
    pub abra: Option<Result<String, (String, String)>>,
    /// abra's name for the server, and the Swarm that it reaches under it.
    pub behind: Option<(String, Result<SwarmId, String>)>,
    /// The machine that taster runs on.
    pub machine: Option<MachineView>,
    /// The browser, or what is missing.
    pub browser: Option<Result<String, String>>,
    /// The answer for an image that the engine does not have.
    pub registry: Option<Lookup>,
}

/// The machine that taster runs on, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineView {
    /// Its host name and kernel release.
    pub name: (String, String),
    /// The memory that a new process could have, in bytes.
    pub memory: Option<u64>,
    /// The free bytes where the engine keeps its images, when the engine is on this machine.
    pub engine_free_bytes: Option<u64>,
    /// The free bytes where the results go.
    pub results_free_bytes: Option<u64>,
    /// The ports that a process listens on.
    pub listening: BTreeSet<Port>,
    /// Whether the kernel shows the table of IPVS.
    pub ipvs: bool,
    /// The service whose address was tried, and whether it answered, or why it was not tried.
    pub tried: Option<(String, Result<bool, String>)>,
}

/// The result of looking for the images of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The engine has all of them.
    AllThere,
    /// The engine does not report which images it has.
    Unread(SwarmError),
    /// No registry was asked, because the run is offline.
    NotAsked {
        /// An image that the engine does not have.
        absent: ImageRef,
    },
    /// The registry was asked.
    Answered {
        /// The image.
        image: ImageRef,
        /// How long the answer took.
        took: Duration,
        /// Its answer.
        answer: Result<(), SwarmError>,
    },
}

/// The checks of a host, in the order of [`Topic`]. Where the engine is not on this machine, facts of the machine are unknown.
pub fn preflight(readings: &HostReadings, needs: &Needs, limits: &Limits, stack: Option<&StackName>) -> Vec<Check> {
    let mut checks = Vec::new();
    let engine = match &readings.engine {
        Some(Ok(engine)) => {
            checks.extend([engine_check(engine, &readings.socket), swarm_check(engine)]);
            Some(engine)
        }
        Some(Err(error)) => {
            checks.push(no_engine(error));
            None
        }
        None => None,
    };
    checks.extend(readings.abra.as_ref().map(|abra| match abra {
        Ok(version) => Check::ok(Topic::Abra, format!("abra {version}")),
        Err((sentence, remedy)) => Check::unfit(Topic::Abra, sentence, remedy),
    }));
    checks.extend(readings.behind.as_ref().zip(engine).and_then(|((server, swarm), engine)| same_swarm(server, swarm, engine)));
    // Only managers answer these calls; whether the engine is a manager is another check.
    let managed = engine.is_some_and(|engine| engine.swarm.is_some() && !engine.worker);
    match &readings.resources {
        Some(Ok(resources)) => {
            checks.extend([addresses::proxy(resources, needs), addresses::pool(resources, needs)]);
            checks.push(ports(resources, needs, readings.machine.as_ref().filter(|machine| local(machine, engine))));
        }
        Some(Err(error)) if managed => checks.push(no_engine(error)),
        Some(Err(_)) | None => {}
    }
    if let Some(machine) = &readings.machine {
        let here = local(machine, engine);
        checks.extend(disk(machine, limits, here));
        checks.push(memory(machine, engine, needs, limits, here));
        checks.extend(ipvs(machine, readings.resources.as_ref().and_then(|resources| resources.as_ref().ok()), here));
    }
    checks.extend(readings.browser.as_ref().map(|browser| match browser {
        Ok(browser) => Check::ok(Topic::Browser, format!("{browser} takes screenshots of the app")),
        Err(missing) => {
            let sentence = format!("{missing}: no screenshot is taken, and tests in a browser are not verified");
            Check::notice(Topic::Browser, sentence, BROWSER_REMEDY)
        }
    }));
    let unread = |lookup: &&Lookup| matches!(lookup, Lookup::Unread(_));
    checks.extend(readings.registry.as_ref().filter(|lookup| managed || !unread(lookup)).map(registry));
    checks.extend(engine.and_then(|engine| engine.clock).zip(readings.now).map(|(theirs, ours)| clock(theirs, ours)));
    match &readings.inventory {
        Some(Ok(inventory)) => checks.extend(names(inventory, stack)),
        Some(Err(error)) if managed => checks.push(no_engine(error)),
        Some(Err(_)) | None => {}
    }
    checks.sort_by_key(|check| check.topic);
    checks
}

/// The first check that makes a run impossible, the most fundamental first.
pub fn unfit(checks: &[Check]) -> Option<&Check> {
    checks.iter().filter(|check| check.finding == Finding::Unfit).min_by_key(|check| check.topic)
}

/// Whether the engine is on the machine that taster runs on. Its socket does not decide that: it may be forwarded from elsewhere.
pub fn local(machine: &MachineView, engine: Option<&Engine>) -> bool {
    engine.is_some_and(|engine| machine.name == (engine.machine.clone(), engine.kernel.clone()))
}

fn engine_check(engine: &Engine, socket: &str) -> Check {
    if engine.rootless {
        let sentence = "the engine runs rootless and so has no overlay networks";
        return Check::unfit(Topic::Engine, sentence, "use an engine that runs as root");
    }
    let version = engine.api.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let shown = format!("engine {} (API {})", engine.version, engine.api);
    match version {
        Some(version) if version >= OLDEST_API => Check::ok(Topic::Engine, format!("{shown} answers at {socket}")),
        Some(_) => Check::unfit(
            Topic::Engine,
            format!("{shown} is too old: taster needs API {}.{}, which came with engine 20.10", OLDEST_API.0, OLDEST_API.1),
            "upgrade the engine",
        ),
        None => Check::notice(Topic::Engine, format!("{shown} does not report its API"), "make sure that it is 20.10 or newer"),
    }
}

/// The check of an engine that does not answer.
pub fn no_engine(error: &SwarmError) -> Check {
    let remedy = match error {
        SwarmError::Absent { .. } => "start the engine, or name another one in the host file",
        SwarmError::NotPermitted { .. } => "add the user to group docker, or run as root",
        SwarmError::Silent { .. } => "find out what keeps the engine busy; see its log",
        SwarmError::Refused { .. } | SwarmError::Failed { .. } => "see the engine's log",
    };
    Check::unfit(Topic::Engine, error.to_string(), remedy)
}

fn swarm_check(engine: &Engine) -> Check {
    match (&engine.swarm, engine.worker) {
        (_, true) => Check::unfit(Topic::Swarm, "the engine is a worker of its Swarm", "run taster against a manager"),
        (None, false) => Check::unfit(Topic::Swarm, "the engine is not a Swarm manager", "`docker swarm init` makes it one"),
        (Some(_), false) => match engine.nodes {
            0 | 1 => Check::ok(Topic::Swarm, "a Swarm of one node"),
            nodes => Check::ok(Topic::Swarm, format!("a Swarm of {nodes} nodes; the others are not checked")),
        },
    }
}

fn same_swarm(server: &str, behind: &Result<SwarmId, String>, engine: &Engine) -> Option<Check> {
    let ours = engine.swarm.as_ref()?;
    Some(match behind {
        Ok(theirs) if theirs == ours => Check::ok(Topic::SameSwarm, format!("abra's server `{server}` is this Swarm")),
        Ok(theirs) => Check::unfit(
            Topic::SameSwarm,
            format!("abra's server `{server}` is another Swarm ({theirs}) than the engine of the host file ({ours})"),
            "make `server` and `engine` in the host file name the same",
        ),
        Err(why) => {
            Check::unknown(Topic::SameSwarm, format!("whether abra's server `{server}` is this Swarm shows at the deploy: {why}"))
        }
    })
}

fn ports(resources: &SwarmResources, needs: &Needs, machine: Option<&MachineView>) -> Check {
    let holder = |port: &Port| {
        let published = resources.ports.iter().find(|taken| taken.port == *port).map(|taken| taken.by.clone());
        published.or_else(|| {
            machine.is_some_and(|machine| machine.listening.contains(port)).then(|| "a program of the machine".to_owned())
        })
    };
    let held = needs.ports.iter().find_map(|port| Some((port, holder(port)?)));
    match held {
        Some((port, by)) => Check::unfit(
            Topic::Ports,
            format!("the recipe publishes port {port}, which {by} holds"),
            "free the port, or test the recipe on another host",
        ),
        None if needs.ports.is_empty() => Check::ok(Topic::Ports, "no published port is needed"),
        None => Check::ok(Topic::Ports, format!("free: {}", list(&needs.ports))),
    }
}

fn list<T: fmt::Display>(items: &BTreeSet<T>) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn disk(machine: &MachineView, limits: &Limits, here: bool) -> Vec<Check> {
    let wanted = bytes(limits.free_disk_mib);
    let images = match machine.engine_free_bytes.filter(|_| here) {
        None => Check::unknown(Topic::Disk, "how much room the engine has for images is not known here"),
        Some(free) if free < wanted => Check::unfit(
            Topic::Disk,
            format!("{} are free where the engine keeps images and volumes, and {} have to be", mib(free), mib(wanted)),
            "make room, or set limits.free_disk_mib in the host file",
        ),
        Some(free) => Check::ok(Topic::Disk, format!("{} are free for images and volumes", mib(free))),
    };
    let results = machine.results_free_bytes.filter(|free| *free < RESULTS_ROOM).map(|free| {
        let sentence = format!("{} are free where the results go, and {} have to be", mib(free), mib(RESULTS_ROOM));
        Check::unfit(Topic::Disk, sentence, "make room, or set XDG_STATE_HOME to a folder with room")
    });
    results.into_iter().chain([images]).collect()
}

/// The memory that has to be free: what the app reserves, and at least the limit of the host file.
fn wanted_memory(needs: &Needs, limits: &Limits) -> u64 {
    needs.memory.max(bytes(limits.free_memory_mib))
}

/// Whether the Swarm has no other node that an app could run on.
fn single(engine: Option<&Engine>) -> bool {
    engine.is_none_or(|engine| engine.nodes <= 1)
}

fn memory(machine: &MachineView, engine: Option<&Engine>, needs: &Needs, limits: &Limits, here: bool) -> Check {
    let (wanted, single) = (wanted_memory(needs, limits), single(engine));
    let remedy = "stop something, or set limits.free_memory_mib in the host file";
    match (machine.memory.filter(|_| here && single), engine.and_then(|engine| engine.memory)) {
        (Some(free), _) if free < wanted => {
            Check::unfit(Topic::Memory, format!("{} of memory are free, and {} have to be", mib(free), mib(wanted)), remedy)
        }
        (Some(free), _) => Check::ok(Topic::Memory, format!("{} of memory are free", mib(free))),
        (None, Some(whole)) if single && whole < wanted => Check::unfit(
            Topic::Memory,
            format!("the engine's machine has {} of memory, and {} have to be free", mib(whole), mib(wanted)),
            remedy,
        ),
        (None, Some(_) | None) => Check::unknown(Topic::Memory, "how much memory is free on the Swarm's nodes is not known here"),
    }
}

fn ipvs(machine: &MachineView, resources: Option<&SwarmResources>, here: bool) -> Option<Check> {
    let resources = resources?;
    Some(match (&machine.tried, resources.address.is_some()) {
        _ if !here => Check::unknown(Topic::Ipvs, "whether service addresses answer is not known here"),
        (Some((service, Ok(true))), _) => Check::ok(Topic::Ipvs, format!("the address of service {service} answers")),
        (Some((service, Ok(false))), _) => Check::notice(
            Topic::Ipvs,
            format!("the address of service {service} does not answer"),
            "see whether the kernel has IPVS; services with `endpoint_mode: dnsrr` do without",
        ),
        _ if !machine.ipvs => Check::notice(
            Topic::Ipvs,
            "the kernel has no IPVS, so service addresses do not answer",
            "use a kernel with IPVS; in the sandbox services resolve to their tasks instead",
        ),
        (Some((service, Err(why))), _) => {
            Check::unknown(Topic::Ipvs, format!("the address of service {service} could not be tried: {why}"))
        }
        (None, _) => Check::unknown(Topic::Ipvs, "the kernel has IPVS, and no service address is there to be tried"),
    })
}

fn registry(lookup: &Lookup) -> Check {
    match lookup {
        Lookup::AllThere => Check::ok(Topic::Registry, "the engine has all images"),
        Lookup::Unread(error) => Check::unknown(Topic::Registry, format!("whether the images are there is not known: {error}")),
        Lookup::NotAsked { absent } => Check::unfit(
            Topic::Registry,
            format!("the engine does not have {absent}, and the run is offline"),
            "pull it first, or leave out --offline",
        ),
        Lookup::Answered { took, answer: Ok(()), .. } => {
            Check::ok(Topic::Registry, format!("the registry answers in {}", format_duration(*took)))
        }
        Lookup::Answered { image, took, answer: Err(error) } => Check::notice(
            Topic::Registry,
            format!("the registry has no answer for {image} after {}: {error}", format_duration(*took)),
            "see whether the name is right and the registry can be reached, or pull the image by hand",
        ),
    }
}

fn clock(theirs: Wall, ours: Wall) -> Check {
    let off = Duration::from_millis(theirs.millis().abs_diff(ours.millis()));
    if off <= SKEW {
        return Check::ok(Topic::Clock, "the engine's clock and ours agree");
    }
    let way = if theirs.millis() > ours.millis() { "ahead of" } else { "behind" };
    Check::notice(Topic::Clock, format!("the engine's clock is {} {way} ours", format_duration(off)), "set both by NTP")
}

/// Whether nothing has the stack's name yet, so that the name can be the claim, and whether there is an ingress network.
fn names(inventory: &Inventory, stack: Option<&StackName>) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(stack) = stack {
        let taken = inventory.objects.iter().find(|(_, object)| object.stack.as_ref() == Some(stack) || stack.owns(&object.name));
        checks.push(match taken {
            Some((id, _)) => Check::unfit(
                Topic::Names,
                format!("a foreign object has the app's name already: {}", inventory.describe(id)),
                "run again: each run has another name",
            ),
            None => Check::ok(Topic::Names, "nothing has the app's name"),
        });
    }
    let proxy = inventory.objects.iter().any(|(id, object)| id.kind == ObjectKind::Network && object.name == "proxy");
    if !proxy {
        checks.push(Check::unfit(
            Topic::Proxy,
            "the Swarm has no network `proxy`",
            "`docker network create -d overlay proxy` makes it",
        ));
    }
    checks
}

/// MiB in bytes; the largest number when there are more.
pub(crate) fn bytes(mib: u64) -> u64 {
    mib.saturating_mul(1 << 20)
}

/// A size for people.
fn mib(bytes: u64) -> String {
    match bytes >> 20 {
        mib @ 0..10_240 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib >> 10),
    }
}
