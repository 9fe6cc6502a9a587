//! The agent: a background process that keeps the routes of the ingress as the labels of the running services ask.
//!
//! It is level-triggered: each pass compares the services of the engine with the routes of the ingress, and an event only
//! starts the next pass. A missed event, or a restart of ingress or engine, delays a route and loses none.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use bollard::{
    Docker,
    models::{EndpointSpecModeEnum, Service},
    query_parameters::{EventsOptionsBuilder, ListServicesOptions},
};
use futures_util::{FutureExt, StreamExt, stream::BoxStream};
use serde::{Deserialize, Serialize};

use super::{
    admin::Admin,
    routes::{Change, PublicService, Route, Routes, changes, routes},
};
use crate::{
    engine::{self, call, swarm},
    error::{LastObservation, SandboxError},
    home::{Home, files, lock::lock_file},
    layout::Layout,
    machine::process::Process,
    wait::wait_until,
};

/// The pause between two passes without an event.
const PASS_INTERVAL: Duration = Duration::from_secs(30);
/// The pause after a failed pass.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// The longest wait for the lock before another agent is assumed to hold it: [`running`] holds it for a moment, too.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest that the agent may take to start or to end.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The state of the agent, which it writes to `ingress/agent.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgentState {
    /// Its process; absent before its first pass.
    pub(crate) process: Option<Process>,
    /// The binary that it runs: device, inode and time of change.
    build: String,
    /// The number of routes in the ingress.
    pub(crate) routes: usize,
    /// Labels that are not supported, one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// Identifies the build of a binary.
fn build_of(exe: &Path) -> String {
    fs::metadata(exe).map_or_else(|_| String::new(), |meta| format!("{}:{}:{}", meta.dev(), meta.ino(), meta.mtime_nsec()))
}

fn lock_path(home: &Home) -> PathBuf {
    home.ingress().join("agent.lock")
}

fn state_path(home: &Home) -> PathBuf {
    home.ingress().join("agent.toml")
}

/// The state of the agent; `None` when it does not run. It holds its lock as long as it runs.
pub(crate) fn running(home: &Home) -> Option<AgentState> {
    let file = File::open(lock_path(home)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(files::read(&state_path(home)).unwrap_or_default()),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// Starts the agent, or replaces one of another build. Returns whether it did.
pub(crate) async fn ensure(home: &Home, exe: &Path) -> Result<bool, SandboxError> {
    if let Some(agent) = running(home) {
        if agent.build == build_of(exe) && agent.process.is_some() {
            return Ok(false);
        }
        stop(home).await?;
    }
    let log = home.root().join("agent.log");
    start(home, exe, &log)?;
    wait_until("the agent of the ingress", TIMEOUT, async || {
        let ready = running(home).is_some_and(|agent| agent.process.is_some());
        Ok((!ready).then(|| LastObservation::state(last_line(&log).unwrap_or_else(|| "its log is empty".into()))))
    })
    .await?;
    Ok(true)
}

/// Starts the process, with its standard error in `log`.
fn start(home: &Home, exe: &Path, log: &Path) -> Result<(), SandboxError> {
    let stdout = File::create(log).map_err(|error| SandboxError::file(log, error))?;
    let stderr = stdout.try_clone().map_err(|error| SandboxError::file(log, error))?;
    let _ = fs::remove_file(state_path(home));
    // `setsid` gives it its own session, so that a terminal's signals to taster do not reach it.
    std::process::Command::new("setsid")
        .arg(exe)
        .args(["sandbox", "agent", "--home"])
        .arg(home.root())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .map(drop)
        .map_err(|error| SandboxError::program("setsid", error.into()))
}

fn last_line(log: &Path) -> Option<String> {
    fs::read_to_string(log).ok()?.lines().last().map(str::to_owned)
}

/// Ends the agent. Returns whether it ran.
pub(crate) async fn stop(home: &Home) -> Result<bool, SandboxError> {
    let mut ran = false;
    wait_until("the end of the agent", TIMEOUT, async || {
        let Some(agent) = running(home) else { return Ok(None) };
        ran = true;
        if let Some(process) = agent.process {
            process.terminate();
        }
        Ok(Some(LastObservation::state("it still runs")))
    })
    .await?;
    Ok(ran)
}

/// The main loop of the agent. It ends when its folder is removed, or at once when another agent runs.
pub async fn main(home: &Home) -> Result<(), SandboxError> {
    let layout = home.layout();
    let path = lock_path(home);
    let lock = match lock_file(&path, LOCK_TIMEOUT, || ()).await {
        Ok(lock) => lock,
        Err(SandboxError::Busy { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut state = AgentState { build: build_of(Path::new("/proc/self/exe")), ..AgentState::default() };
    let mut events: Option<BoxStream<'static, ()>> = None;
    while is_same_file(&lock, &path) {
        let pause = match pass(home, &layout, &mut events).await {
            Ok((routes, warnings)) => {
                for warning in warnings.iter().filter(|warning| !state.warnings.contains(warning)) {
                    tracing::warn!("{warning}");
                }
                let next = AgentState { process: Process::of(std::process::id()), routes, warnings, build: state.build.clone() };
                if next != state {
                    files::write(&state_path(home), &next)?;
                    state = next;
                }
                PASS_INTERVAL
            }
            Err(error) => {
                tracing::warn!("the routes were not updated: {}", error.with_causes());
                events = None;
                RETRY_INTERVAL
            }
        };
        wait_for_event(&mut events, pause).await;
    }
    Ok(())
}

/// Whether `path` is still the locked file: `down` may have removed it, and another `up` created it again.
fn is_same_file(lock: &File, path: &Path) -> bool {
    let (Ok(held), Ok(there)) = (lock.metadata(), fs::metadata(path)) else { return false };
    (held.dev(), held.ino()) == (there.dev(), there.ino())
}

/// Waits until an event or the end of the pause. Events that are ready are taken together, because one pass serves them all.
async fn wait_for_event(events: &mut Option<BoxStream<'static, ()>>, pause: Duration) {
    let Some(stream) = events else { return tokio::time::sleep(pause).await };
    match tokio::time::timeout(pause, stream.next()).await {
        Ok(Some(())) => while stream.next().now_or_never().flatten().is_some() {},
        Ok(None) => {
            *events = None;
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
        Err(_) => {}
    }
}

/// One comparison of services and routes. Returns the number of routes and the labels that are not supported.
async fn pass(
    home: &Home,
    layout: &Layout,
    events: &mut Option<BoxStream<'static, ()>>,
) -> Result<(usize, Vec<String>), SandboxError> {
    let docker = engine::connect(layout)?;
    if events.is_none() {
        // Opened before the lists are read, so that no change is missed between the two.
        *events = Some(wake_ups(&docker, layout));
    }
    let network = swarm::network(&docker, &layout.network).await?.and_then(|network| network.id).unwrap_or_default();
    let services = call("service ls", docker.list_services(None::<ListServicesOptions>)).await?;
    let on_network = [network.as_str(), layout.network.as_str()];
    let public: Vec<PublicService> = services.into_iter().filter_map(|service| public_service(service, &on_network)).collect();
    let Routes { routes: wanted, mut warnings } = routes(&public);
    apply(&super::admin(home), &wanted).await?;
    warnings.sort();
    Ok((wanted.len(), warnings))
}

/// Gives the ingress exactly the wanted routes.
async fn apply(admin: &Admin, wanted: &[Route]) -> Result<(), SandboxError> {
    for change in changes(&admin.loaded().await?, wanted) {
        match change {
            Change::Delete(id) => {
                admin.delete(&id).await?;
                tracing::info!("deleted {id}");
            }
            Change::Insert(place, route) => {
                admin.load(place, &route).await?;
                let to = route.target.as_ref().map_or("nowhere", |(dial, _)| dial);
                tracing::info!("loaded {}: {} to {to}", route.id(), route.rule);
            }
        }
    }
    Ok(())
}

/// The facts about a service that decide its routes; `None` when it is not on the network, which is given by id and name.
fn public_service(service: Service, network: &[&str]) -> Option<PublicService> {
    let spec = service.spec?;
    let attached = spec.task_template.and_then(|task| task.networks).or(spec.networks).unwrap_or_default();
    attached.iter().any(|to| to.target.as_deref().is_some_and(|target| network.contains(&target))).then_some(())?;
    Some(PublicService {
        name: spec.name?,
        labels: spec.labels.unwrap_or_default().into_iter().collect(),
        dnsrr: spec.endpoint_spec.and_then(|endpoint| endpoint.mode) == Some(EndpointSpecModeEnum::DNSRR),
    })
}

/// An item for each change of a service, and for each start of the ingress, which forgets its routes.
fn wake_ups(docker: &Docker, layout: &Layout) -> BoxStream<'static, ()> {
    let stream = |filters: &[(&str, &str)]| {
        let mut map: HashMap<&str, Vec<&str>> = HashMap::new();
        for (key, value) in filters {
            map.entry(key).or_default().push(value);
        }
        let options = EventsOptionsBuilder::default().filters(&map).build();
        // An error ends the stream, and the main loop opens a new one.
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
    async fn agent_starts_although_its_lock_is_probed_at_that_moment() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let layout = Layout { engine: folder.path().join("no-engine"), ..Layout::default() };
        home.save_layout(&layout).unwrap();
        fs::create_dir(home.ingress()).unwrap();
        let probe = File::create(lock_path(&home)).unwrap();
        probe.lock_shared().unwrap();
        let mut agent = pin!(main(&home));
        assert!(poll!(&mut agent).is_pending(), "a probe of its lock ended the agent");
        drop(probe);
        let remove_once_running = async {
            while running(&home).is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            fs::remove_file(lock_path(&home)).unwrap();
        };
        let (ended, removed) =
            tokio::join!(tokio::time::timeout(TIMEOUT, agent), tokio::time::timeout(TIMEOUT, remove_once_running));
        assert!(matches!((ended, removed), (Ok(Ok(())), Ok(()))), "it runs until its folder is removed");
    }
}
