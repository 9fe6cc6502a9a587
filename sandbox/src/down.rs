//! Removing what `up` made, and saying what is there.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::{
    agent, backup, engine,
    error::SandboxError,
    home::Home,
    images, ingress, ipvs,
    layout::Layout,
    progress::{Progress, Teller},
    swarm::{self, Left},
    up,
};

/// How long dockerd may take to end; it stops its containers first.
const STOP: Duration = Duration::from_secs(60);

/// One line of `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is about: `engine`, `ingress`.
    pub name: &'static str,
    /// Whether it is there and as it should be.
    pub there: bool,
    /// What there is to say of it.
    pub what: String,
}

/// What of the sandbox is there. It changes nothing.
pub async fn status(home: &Home) -> Result<Vec<Part>, SandboxError> {
    let layout = home.layout();
    let part = |name, there, what: String| Part { name, there, what };
    let docker = match engine::connect(&layout) {
        Ok(docker) => docker,
        Err(error) => return Ok(vec![part("engine", false, error.to_string())]),
    };
    let version = engine::answer("version", docker.version()).await?.version.unwrap_or_default();
    let made = home.made();
    let by_us = |ours: bool| if ours { ", made by taster" } else { "" };
    let started = if made.dockerd.is_some_and(|process| process.alive()) { ", started by taster" } else { "" };
    let mut parts = vec![part("engine", true, format!("{version} at {}{started}", layout.engine.display()))];
    let info = engine::answer("info", docker.info()).await?;
    let cluster = info.swarm.and_then(|swarm| swarm.cluster).and_then(|cluster| cluster.id);
    let ours = cluster.is_some() && cluster == made.swarm;
    parts.push(part("swarm", cluster.is_some(), cluster.map_or("none".into(), |id| format!("{id}{}", by_us(ours)))));
    let network = swarm::network(&docker, &layout.network).await?.and_then(|network| network.id);
    let ours = network.is_some() && network == made.network;
    let what = network.as_ref().map_or("none".into(), |_| format!("{}{}", layout.network, by_us(ours)));
    parts.push(part("network", network.is_some(), what));
    let running = ingress::inspect(&docker, &layout.ingress_name()).await?.and_then(|found| found.state?.running);
    let what = match running {
        Some(true) => format!("https://*.{} at {}", layout.zone, layout.ingress_address()),
        Some(false) => "stopped".into(),
        None => "none".into(),
    };
    parts.push(part("ingress", running == Some(true), what));
    match agent::alive(home) {
        Some(agent) => {
            let pid = agent.process.map_or(0, |process| process.pid);
            parts.push(part("agent", true, format!("process {pid}, {} routes", agent.routes)));
            parts.extend(agent.warnings.into_iter().map(|warning| part("warning", false, warning)));
        }
        None => parts.push(part("agent", false, "none".into())),
    }
    let running = backup::running(&docker, &layout).await?;
    parts.push(part("backup", running, if running { layout.backup_name() } else { "none".into() }));
    let images = images::ours(&docker).await?;
    parts.push(part("images", !images.is_empty(), if images.is_empty() { "none".into() } else { images.join(", ") }));
    let machine = home.machine();
    let has = |there: bool| if there { "yes" } else { "no" };
    parts.push(part("machine", home.looked(), format!("IPVS {}, registry {}", has(machine.ipvs), has(machine.registry))));
    let host = home.host_file();
    parts.push(part("host file", host.exists(), host.display().to_string()));
    Ok(parts)
}

/// Removes what `up` made. The downloaded packages stay, so that the next `up` needs no network; all else of the folder goes.
pub async fn down(home: &Home, say: &mut dyn FnMut(Progress)) -> Result<(), SandboxError> {
    let mut teller = Teller::new(say);
    if !home.root().exists() {
        return Ok(());
    }
    let _lock = up::lock(home).await?;
    let layout = home.layout();
    if agent::stop(home).await? {
        teller.say("ended the agent of the ingress");
    }
    match engine::connect(&layout) {
        Ok(docker) => remove_objects(&docker, home, &layout, &mut teller).await?,
        // An engine that is gone has nothing of ours any more that we could remove.
        Err(SandboxError::NoEngine { .. }) => {}
        Err(error) => return Err(error),
    }
    if let Some(dockerd) = home.made().dockerd.filter(|process| process.alive()) {
        dockerd.terminate();
        let started = Instant::now();
        while dockerd.alive() && started.elapsed() < STOP {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if dockerd.alive() {
            let last = format!("process {} still runs", dockerd.pid);
            return Err(SandboxError::NotReady { what: "the end of dockerd".into(), after: STOP, last });
        }
        teller.say("stopped the Docker engine");
    }
    clear(home)?;
    teller.say("removed the sandbox's folder but for its downloads");
    Ok(())
}

async fn remove_objects(
    docker: &bollard::Docker,
    home: &Home,
    layout: &Layout,
    teller: &mut Teller<'_>,
) -> Result<(), SandboxError> {
    ipvs::remove(docker, layout).await?;
    if ingress::remove(docker, home, layout).await? {
        teller.say("removed the ingress");
    }
    if backup::remove(docker, home, layout).await? {
        teller.say("removed the backup service with its snapshots");
    }
    let made = home.made();
    let network = swarm::network(docker, &layout.network).await?;
    if let Some(network) = network.filter(|network| network.id.is_some() && network.id == made.network) {
        match swarm::remove_network(docker, &network.id.unwrap_or_default()).await {
            Ok(()) => teller.say(format!("removed the network {}", layout.network)),
            Err(error) => teller.say(format!("kept the network {}: {error}", layout.network)),
        }
    }
    for image in made.images {
        match images::remove(docker, &image).await? {
            true => teller.say(format!("removed the image {image}")),
            false => teller.say(format!("kept the image {image}: it is in use, or another by now")),
        }
    }
    images::remove_nameless(docker).await?;
    if let Some(swarm) = made.swarm {
        match swarm::leave(docker, &swarm).await? {
            Left::Dissolved => teller.say("dissolved the Swarm"),
            Left::InUse(services) => teller.say(format!("kept the Swarm: {services} services run on it")),
            Left::Gone => {}
        }
    }
    Ok(())
}

fn clear(home: &Home) -> Result<(), SandboxError> {
    let keep = [home.cache(), home.root().join("lock")];
    let entries = fs::read_dir(home.root()).map_err(|error| SandboxError::file(home.root(), error))?;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| !keep.contains(path)) {
        let done = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        done.map_err(|error| SandboxError::file(&path, error))?;
    }
    Ok(())
}
