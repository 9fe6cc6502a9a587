//! The backup service: restic behind a small bot, as a Swarm service with the label by which abra finds it.
//!
//! The bot reads the labels of backupbot's specification, version 2; its source is `sandbox/bot`.

use std::{collections::HashMap, path::Path, time::Duration};

use bollard::{
    Docker,
    models::{
        ContainerSummary, Mount, MountType, MountVolumeOptions, Service, ServiceSpec, TaskSpec, TaskSpecContainerSpec,
        TaskSpecRestartPolicy, TaskSpecRestartPolicyConditionEnum,
    },
    query_parameters::{InspectServiceOptions, ListContainersOptions, RemoveContainerOptions, RemoveVolumeOptions},
};

use crate::{
    embedded::digest,
    engine::{call, call_optional, labels},
    error::{LastObservation, SandboxError},
    home::Home,
    images,
    layout::Layout,
    wait::wait_until,
};

/// The longest that the service may take to start or to end.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The label by which abra finds the service.
pub(crate) const BOT_LABEL: &str = "coop-cloud.backupbot.enabled";
/// The label with the digest of everything that the service is made from.
const DIGEST_LABEL: &str = "taster.backup";
/// The password of the repository. It protects nothing: the repository is on the machine whose volumes it copies.
const PASSWORD: &str = "sandbox";

/// Creates the service, or replaces one of another build. Returns whether it has yet to start.
pub(crate) async fn ensure(docker: &Docker, home: &Home, layout: &Layout) -> Result<bool, SandboxError> {
    let root = call("info", docker.info()).await?.docker_root_dir.unwrap_or_else(|| "/var/lib/docker".to_owned());
    let spec = spec(home, layout, Path::new(&root));
    if let Some(existing) = inspect(docker, layout).await? {
        if label(&existing, DIGEST_LABEL) == spec.labels.as_ref().and_then(|labels| labels.get(DIGEST_LABEL)).map(String::as_str)
        {
            return Ok(!is_running(docker, layout).await?);
        }
        // The volume with the snapshots stays.
        remove_service(docker, layout).await?;
    }
    call("service create", docker.create_service(spec, None)).await?;
    Ok(true)
}

/// Waits until the bot can be called.
pub(crate) async fn wait_until_running(docker: &Docker, layout: &Layout) -> Result<(), SandboxError> {
    wait_until("the backup service", TIMEOUT, async || {
        let running = is_running(docker, layout).await?;
        Ok((!running).then(|| LastObservation::state("it does not run; see docker service ps")))
    })
    .await
}

/// Whether the bot can be called.
pub(crate) async fn is_running(docker: &Docker, layout: &Layout) -> Result<bool, SandboxError> {
    Ok(!containers(docker, layout, false).await?.is_empty())
}

/// Removes the service and its volume, if they belong to this folder. Returns whether they did.
pub(crate) async fn remove(docker: &Docker, home: &Home, layout: &Layout) -> Result<bool, SandboxError> {
    let name = layout.backup_name();
    let service = inspect(docker, layout).await?;
    let volume = call_optional("volume inspect", docker.inspect_volume(&name)).await?;
    let owner = match (&service, &volume) {
        (Some(service), _) => label(service, labels::HOME),
        (None, Some(volume)) => volume.labels.get(labels::HOME).map(String::as_str),
        (None, None) => None,
    };
    if owner != Some(&home_label(home)) {
        return Ok(false);
    }
    remove_service(docker, layout).await?;
    call_optional("volume rm", docker.remove_volume(&name, None::<RemoveVolumeOptions>)).await?;
    Ok(true)
}

async fn inspect(docker: &Docker, layout: &Layout) -> Result<Option<Service>, SandboxError> {
    call_optional("service inspect", docker.inspect_service(&layout.backup_name(), None::<InspectServiceOptions>)).await
}

fn label<'a>(service: &'a Service, name: &str) -> Option<&'a str> {
    service.spec.as_ref()?.labels.as_ref()?.get(name).map(String::as_str)
}

fn home_label(home: &Home) -> String {
    home.canonical_root().display().to_string()
}

/// Removes the service and waits until its containers are gone, because they hold the volume.
async fn remove_service(docker: &Docker, layout: &Layout) -> Result<(), SandboxError> {
    call_optional("service rm", docker.delete_service(&layout.backup_name())).await?;
    wait_until("the removal of the backup service", TIMEOUT, async || {
        let left = containers(docker, layout, true).await?;
        for container in &left {
            let options = RemoveContainerOptions { force: true, ..RemoveContainerOptions::default() };
            // Swarm removes them as well, so this call may fail.
            let _ = docker.remove_container(container.id.as_deref().unwrap_or_default(), Some(options)).await;
        }
        Ok((!left.is_empty()).then(|| LastObservation::state(format!("{} of its containers still exist", left.len()))))
    })
    .await
}

/// The running containers of the service, or all of them.
async fn containers(docker: &Docker, layout: &Layout, all: bool) -> Result<Vec<ContainerSummary>, SandboxError> {
    let of_service = format!("com.docker.swarm.service.name={}", layout.backup_name());
    let filters = Some(HashMap::from([("label".to_owned(), vec![of_service])]));
    call("container ls", docker.list_containers(Some(ListContainersOptions { all, filters, ..ListContainersOptions::default() })))
        .await
}

/// The service. `root` is the engine's data folder.
fn spec(home: &Home, layout: &Layout, root: &Path) -> ServiceSpec {
    let name = layout.backup_name();
    let mut own_labels = labels::base();
    own_labels.insert(labels::HOME.to_owned(), home_label(home));
    let bind = |source: String, target: &str| Mount {
        typ: Some(MountType::BIND),
        source: Some(source),
        target: Some(target.to_owned()),
        ..Mount::default()
    };
    let socket = std::fs::canonicalize(&layout.engine).unwrap_or_else(|_| layout.engine.clone());
    let options = MountVolumeOptions { labels: Some(own_labels.clone()), ..MountVolumeOptions::default() };
    let repository = Mount {
        typ: Some(MountType::VOLUME),
        source: Some(name.clone()),
        target: Some("/backups".to_owned()),
        volume_options: Some(options),
        ..Mount::default()
    };
    let mounts = vec![
        bind(socket.display().to_string(), "/var/run/docker.sock"),
        bind(root.join("volumes").display().to_string(), "/var/lib/docker/volumes"),
        repository,
    ];
    // Commands executed in the container read these, restic included.
    let env = [
        "RESTIC_REPOSITORY=/backups/restic".to_owned(),
        format!("RESTIC_PASSWORD={PASSWORD}"),
        "RESTIC_CACHE_DIR=/tmp/cache".to_owned(),
    ];
    let image = images::backup();
    let made_from = format!("{image} {} {} {} {env:?}", home_label(home), socket.display(), root.display());
    let container = TaskSpecContainerSpec {
        image: Some(image),
        // restic recognises the locks of dead processes by the host's name.
        hostname: Some(name.clone()),
        env: Some(env.to_vec()),
        mounts: Some(mounts),
        ..TaskSpecContainerSpec::default()
    };
    let restart = TaskSpecRestartPolicy {
        condition: Some(TaskSpecRestartPolicyConditionEnum::ANY),
        delay: Some(1_000_000_000),
        ..TaskSpecRestartPolicy::default()
    };
    own_labels.insert(BOT_LABEL.to_owned(), "true".to_owned());
    own_labels.insert(DIGEST_LABEL.to_owned(), digest([made_from.as_bytes()]));
    ServiceSpec {
        name: Some(name),
        labels: Some(own_labels),
        task_template: Some(TaskSpec { container_spec: Some(container), restart_policy: Some(restart), ..TaskSpec::default() }),
        ..ServiceSpec::default()
    }
}

/// The pure modules of the bot, which is otherwise compiled for its image only.
#[cfg(test)]
#[path = "../bot"]
mod bot {
    mod json;
    mod labels;
}
