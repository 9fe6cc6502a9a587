//! Removing what `up` made.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::{
    backup, engine,
    engine::swarm::{self, Left},
    error::{LastObservation, SandboxError},
    home::{Home, lock},
    images, ingress,
    ingress::agent,
    ipvs,
    layout::Layout,
    progress::{Progress, Teller},
};

/// How long dockerd may take to end; it stops its containers first.
const STOP: Duration = Duration::from_secs(60);

/// Removes what `up` made. The downloaded packages stay, so that the next `up` needs no network; all else of the folder goes.
pub async fn down(home: &Home, say: &mut dyn FnMut(Progress)) -> Result<(), SandboxError> {
    let mut teller = Teller::new(say);
    if !home.root().exists() {
        return Ok(());
    }
    let _lock = lock::of_home(home).await?;
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
            let source = LastObservation::State(format!("process {} still runs", dockerd.pid));
            return Err(SandboxError::NotReady { what: "the end of dockerd".into(), after: STOP, source });
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
            Err(error) => teller.say(format!("kept the network {}: {}", layout.network, error.with_causes())),
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
