//! The agent: keeps the ingress's routes as the labels of the running services say, whoever deploys them.
//!
//! Level-triggered: each pass compares what the engine has with what the ingress has, and events only say that it is time
//! for one. So an event that was missed, or a restart of ingress or engine, costs a moment and no route.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File, TryLockError},
    os::unix::fs::MetadataExt,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use bollard::{
    Docker,
    models::{EndpointSpecModeEnum, Service},
    query_parameters::{EventsOptionsBuilder, ListServicesOptions},
};
use futures_util::{StreamExt, stream::BoxStream};
use serde::{Deserialize, Serialize};

use super::{
    admin::Admin,
    routes::{Public, Route, changes, routes},
};
use crate::{
    engine::{self, answer, swarm},
    error::{LastObservation, SandboxError},
    home::{Home, files, lock},
    layout::Layout,
    machine::process::Process,
};

/// A pass is made this often even when nothing happens.
const WATCHDOG: Duration = Duration::from_secs(30);
/// After a failed pass the next is made this soon.
const AGAIN: Duration = Duration::from_millis(500);
/// How long the lock may be held before another agent is taken to have it: who looks whether there is one holds it for a moment.
const LOOKED_AT: Duration = Duration::from_secs(1);
/// How long a start or an end of the agent may take.
const START: Duration = Duration::from_secs(10);

/// What the agent says of itself, in `ingress/agent.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Agent {
    /// Its process.
    pub(crate) process: Option<Process>,
    /// The binary that it runs: device, file and time of change.
    build: String,
    /// How many routes the ingress has.
    pub(crate) routes: usize,
    /// Labels that were not understood.
    pub(crate) warnings: Vec<String>,
}

fn build(exe: &Path) -> String {
    fs::metadata(exe).map_or_else(|_| String::new(), |meta| format!("{}:{}:{}", meta.dev(), meta.ino(), meta.mtime_nsec()))
}

fn lock_file(home: &Home) -> std::path::PathBuf {
    home.ingress().join("agent.lock")
}

/// The agent's word of itself, if it is alive: it holds its lock as long as it lives.
pub(crate) fn alive(home: &Home) -> Option<Agent> {
    let file = File::open(lock_file(home)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(files::read(&home.ingress().join("agent.toml")).unwrap_or_default()),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// Makes sure that the agent runs, and is of this build. Says whether it was started.
pub(crate) async fn ensure(home: &Home, exe: &Path) -> Result<bool, SandboxError> {
    if let Some(agent) = alive(home) {
        if agent.build == build(exe) && agent.process.is_some() {
            return Ok(false);
        }
        stop(home).await?;
    }
    let log = home.root().join("agent.log");
    let file = File::create(&log).map_err(|error| SandboxError::file(&log, error))?;
    let also = file.try_clone().map_err(|error| SandboxError::file(&log, error))?;
    let _ = fs::remove_file(home.ingress().join("agent.toml"));
    // A session of its own, so that a terminal's signals to taster do not reach it.
    std::process::Command::new("setsid")
        .arg(exe)
        .args(["sandbox", "agent", "--home"])
        .arg(home.root())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(also)
        .spawn()
        .map_err(|error| SandboxError::program("setsid", error.into()))?;
    let started = Instant::now();
    while alive(home).is_none_or(|agent| agent.process.is_none()) {
        if started.elapsed() > START {
            let last = fs::read_to_string(&log).ok().and_then(|text| text.lines().last().map(str::to_owned));
            let source = LastObservation::State(last.unwrap_or_else(|| "its log is empty".into()));
            return Err(SandboxError::NotReady { what: "the agent of the ingress".into(), after: START, source });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(true)
}

/// Ends the agent, if it is alive.
pub(crate) async fn stop(home: &Home) -> Result<bool, SandboxError> {
    let started = Instant::now();
    let mut was = false;
    while let Some(agent) = alive(home) {
        was = true;
        if let Some(process) = agent.process {
            process.terminate();
        }
        if started.elapsed() > START {
            return Err(SandboxError::NotReady {
                what: "the end of the agent".into(),
                after: START,
                source: LastObservation::State("it still runs".into()),
            });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(was)
}

/// The agent's whole life. It ends when its folder is removed, or when another holds the lock.
pub async fn main(home: &Home) -> Result<(), SandboxError> {
    let layout = home.layout();
    let path = lock_file(home);
    let lock = match lock::of_file(&path, LOOKED_AT, || ()).await {
        Ok(lock) => lock,
        Err(SandboxError::Busy { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let exe = Path::new("/proc/self/exe");
    let mut agent = Agent { process: None, build: build(exe), ..Agent::default() };
    let mut events: Option<BoxStream<'static, ()>> = None;
    while still_ours(&lock, &path) {
        let passed = async {
            let docker = engine::connect(&layout)?;
            if events.is_none() {
                // Opened before the pass, so that nothing falls between the two.
                events = Some(nudges(&docker, &layout));
            }
            pass(&docker, &layout, &super::admin(home)).await
        };
        let wait = match passed.await {
            Ok((routes, warnings)) => {
                for warning in warnings.iter().filter(|warning| !agent.warnings.contains(warning)) {
                    tracing::warn!("{warning}");
                }
                let now = Agent { process: Process::of(std::process::id()), routes, warnings, build: agent.build.clone() };
                if now != agent {
                    files::write(&home.ingress().join("agent.toml"), &now)?;
                    agent = now;
                }
                WATCHDOG
            }
            Err(error) => {
                tracing::warn!("the routes were not updated: {}", error.with_causes());
                events = None;
                AGAIN
            }
        };
        match &mut events {
            // Of many events at once only one pass is made: what is ready is taken first.
            Some(stream) => match tokio::time::timeout(wait, stream.next()).await {
                Ok(Some(())) => while futures_util::FutureExt::now_or_never(stream.next()).flatten().is_some() {},
                Ok(None) => {
                    events = None;
                    tokio::time::sleep(AGAIN).await;
                }
                Err(_) => {}
            },
            None => tokio::time::sleep(wait).await,
        }
    }
    Ok(())
}

/// Whether the lock's file is still the one in the folder: `down` may have removed it, and another `up` made it anew.
fn still_ours(lock: &File, path: &Path) -> bool {
    matches!((lock.metadata(), fs::metadata(path)), (Ok(held), Ok(there)) if held.ino() == there.ino() && held.dev() == there.dev())
}

/// One comparison of what is wanted with what is there. Gives the number of routes and what was not understood.
async fn pass(docker: &Docker, layout: &Layout, admin: &Admin) -> Result<(usize, Vec<String>), SandboxError> {
    let network = swarm::network(docker, &layout.network).await?.and_then(|network| network.id).unwrap_or_default();
    let services = answer("service ls", docker.list_services(None::<ListServicesOptions>)).await?;
    let mut wanted: Vec<Route> = Vec::new();
    let mut warnings = Vec::new();
    for service in services {
        if let Some(public) = public(service, &[&network, &layout.network]) {
            let made = routes(&public);
            wanted.extend(made.routes);
            warnings.extend(made.warnings);
        }
    }
    let loaded: BTreeSet<String> = admin.loaded().await?;
    let (load, delete) = changes(&loaded, &wanted);
    for id in delete {
        admin.delete(&id).await?;
        tracing::info!("deleted {id}");
    }
    for route in load {
        admin.load(&route).await?;
        let hosts: Vec<&str> = route.hosts.iter().map(String::as_str).collect();
        tracing::info!("loaded {}: {} to {}", route.id(), hosts.join(" "), route.dial);
    }
    warnings.sort();
    Ok((wanted.len(), warnings))
}

/// What of the engine's service decides about its routes; nothing, when it is not on the network.
fn public(service: Service, network: &[&str]) -> Option<Public> {
    let spec = service.spec?;
    let attached = spec.task_template.and_then(|task| task.networks).or(spec.networks).unwrap_or_default();
    attached.iter().any(|to| to.target.as_deref().is_some_and(|target| network.contains(&target))).then_some(())?;
    Some(Public {
        name: spec.name?,
        labels: spec.labels.unwrap_or_default().into_iter().collect(),
        dnsrr: spec.endpoint_spec.and_then(|endpoint| endpoint.mode) == Some(EndpointSpecModeEnum::DNSRR),
    })
}

/// Services that come, change or go, and starts of the ingress itself, which forgets its routes.
fn nudges(docker: &Docker, layout: &Layout) -> BoxStream<'static, ()> {
    let stream = |filters: &[(&str, &str)]| {
        let mut map: HashMap<&str, Vec<&str>> = HashMap::new();
        for (key, value) in filters {
            map.entry(key).or_default().push(value);
        }
        let options = EventsOptionsBuilder::default().filters(&map).build();
        // An error ends the stream, and its end has it opened again.
        docker.events(Some(options)).take_while(|event| std::future::ready(event.is_ok())).map(drop).boxed()
    };
    let services = stream(&[("type", "service"), ("event", "create"), ("event", "update"), ("event", "remove")]);
    let name = layout.ingress_name();
    let ingress = stream(&[("type", "container"), ("event", "start"), ("container", &name)]);
    futures_util::stream::select(services, ingress).boxed()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn an_agent_that_somebody_looks_for_while_it_starts_starts_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let layout = Layout { engine: folder.path().join("no-engine"), ..Layout::default() };
        files::write(&home.root().join("layout.toml"), &layout).unwrap();
        fs::create_dir(home.ingress()).unwrap();
        let looking = File::create(lock_file(&home)).unwrap();
        looking.lock_shared().unwrap();
        let mut agent = pin!(main(&home));
        assert!(poll!(&mut agent).is_pending(), "a look ends it");
        drop(looking);
        let watch = async {
            while alive(&home).is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            fs::remove_file(lock_file(&home)).unwrap();
        };
        let (ended, watched) = tokio::join!(tokio::time::timeout(START, agent), tokio::time::timeout(START, watch));
        assert!(matches!((ended, watched), (Ok(Ok(())), Ok(()))), "it runs until its folder is removed");
    }
}
