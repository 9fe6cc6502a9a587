//! Removing what `up` created.

use std::{fs, time::Duration};

use bollard::Docker;

use crate::{
    backup, engine,
    engine::swarm::{self, LeaveResult},
    error::{LastObservation, SandboxError},
    home::Home,
    images, ingress,
    ingress::agent,
    ipvs,
    layout::Layout,
    machine::process::Process,
    progress::{Progress, ProgressReporter},
    wait::wait_until,
};

/// The longest that dockerd may take to end; it stops its containers first.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Removes what `up` created, and the sandbox's folder except its downloads, so that the next `up` needs no network.
pub async fn down(home: &Home, on_progress: &mut dyn FnMut(Progress)) -> Result<(), SandboxError> {
    let mut progress = ProgressReporter::new(on_progress);
    if !home.root().exists() {
        return Ok(());
    }
    let _lock = home.lock().await?;
    let layout = home.layout();
    if agent::stop(home).await? {
        progress.report("ended the agent of the ingress");
    }
    match engine::connect(&layout) {
        Ok(docker) => remove_objects(&docker, home, &layout, &mut progress).await?,
        // Without an engine there is nothing to remove from it.
        Err(SandboxError::NoEngine { .. }) => {}
        Err(error) => return Err(error),
    }
    if let Some(dockerd) = home.created().dockerd.filter(Process::is_alive) {
        stop_engine(&dockerd).await?;
        progress.report("stopped the Docker engine");
    }
    remove_files(home)?;
    progress.report("removed the sandbox's folder except its downloads");
    Ok(())
}

/// Removes the sandbox's objects from the engine. Objects in use and those of others stay.
async fn remove_objects(
    docker: &Docker,
    home: &Home,
    layout: &Layout,
    progress: &mut ProgressReporter<'_>,
) -> Result<(), SandboxError> {
    ipvs::remove(docker, layout).await?;
    if ingress::remove(docker, home, layout).await? {
        progress.report("removed the ingress");
    }
    if backup::remove(docker, home, layout).await? {
        progress.report("removed the backup service with its snapshots");
    }
    let created = home.created();
    let network = swarm::network(docker, &layout.network).await?;
    if let Some(network) = network.filter(|network| network.id.is_some() && network.id == created.network) {
        match swarm::remove_network(docker, &network.id.unwrap_or_default()).await {
            Ok(()) => progress.report(format!("removed the network {}", layout.network)),
            Err(error) => progress.report(format!("kept the network {}: {}", layout.network, error.with_causes())),
        }
    }
    for image in created.images {
        match images::remove(docker, &image).await? {
            true => progress.report(format!("removed the image {image}")),
            false => progress.report(format!("kept the image {image}: it is in use, or was replaced")),
        }
    }
    images::remove_untagged(docker).await?;
    if let Some(swarm) = created.swarm {
        match swarm::leave(docker, &swarm).await? {
            LeaveResult::Left => progress.report("dissolved the Swarm"),
            LeaveResult::InUse(services) => progress.report(format!("kept the Swarm: {services} services run on it")),
            LeaveResult::NotOurs => {}
        }
    }
    Ok(())
}

async fn stop_engine(dockerd: &Process) -> Result<(), SandboxError> {
    dockerd.terminate();
    wait_until("the end of dockerd", STOP_TIMEOUT, async || {
        Ok(dockerd.is_alive().then(|| LastObservation::state(format!("process {} still runs", dockerd.pid))))
    })
    .await
}

fn remove_files(home: &Home) -> Result<(), SandboxError> {
    let kept = [home.cache(), home.root().join("lock")];
    let entries = fs::read_dir(home.root()).map_err(|error| SandboxError::file(home.root(), error))?;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| !kept.contains(path)) {
        let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|error| SandboxError::file(&path, error))?;
    }
    Ok(())
}
