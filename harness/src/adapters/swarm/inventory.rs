//! All objects of a Swarm, the marker of a run, and the removal of claimed objects.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Debug,
    path::Path,
};

use bollard::{
    Docker,
    models::{ConfigSpec, ContainerSummary, ContainerSummaryStateEnum, MountType, Network, Service, Task, TaskState, Volume},
    query_parameters::{
        ListConfigsOptions, ListContainersOptions, ListNetworksOptions, ListSecretsOptions, ListVolumesOptions,
        RemoveContainerOptions, RemoveVolumeOptions,
    },
};

use super::{
    call::{answer, found},
    observe::NAMESPACE,
    raw,
    tasks::tasks,
};
use crate::{
    model::{
        engine::SwarmError,
        names::StackName,
        object::{ObjectId, ObjectKind},
    },
    pure::host::{
        claim::{Claim, Claimed},
        cleanup_plan::Removal,
        inventory::{Inventory, Object},
    },
};

pub(super) async fn inventory(docker: &Docker, socket: &Path) -> Result<Inventory, SwarmError> {
    let containers = ListContainersOptions { all: true, ..Default::default() };
    let (swarm, services, tasks, containers, networks, volumes, secrets, configs) = tokio::try_join!(
        answer("swarm", docker.inspect_swarm()),
        raw::all(socket),
        tasks("tasks", docker, None),
        answer("containers", docker.list_containers(Some(containers))),
        answer("networks", docker.list_networks(None::<ListNetworksOptions>)),
        answer("volumes", docker.list_volumes(None::<ListVolumesOptions>)),
        answer("secrets", docker.list_secrets(None::<ListSecretsOptions>)),
        answer("configs", docker.list_configs(None::<ListConfigsOptions>)),
    )?;
    let engine = swarm.id.and_then(|id| id.parse().ok());
    let engine = engine.ok_or_else(|| SwarmError::Failed { call: "swarm".into(), message: "the Swarm has no id".into() })?;
    let mut objects: BTreeMap<ObjectId, Object> = BTreeMap::new();
    // Services name their networks by id or by name.
    let networks_by_name: HashMap<String, String> =
        networks.iter().filter_map(|network| Some((network.name.clone()?, network.id.clone()?))).collect();
    let names: HashMap<String, String> =
        services.iter().filter_map(|service| Some((service.id.clone()?, service.spec.as_ref()?.name.clone()?))).collect();
    objects.extend(networks.into_iter().filter_map(network));
    objects.extend(volumes.volumes.unwrap_or_default().into_iter().map(volume));
    objects.extend(containers.into_iter().filter_map(container));
    objects.extend(services.into_iter().filter_map(|found| service(found, &networks_by_name)));
    objects.extend(tasks.into_iter().filter_map(|found| task(found, &names)));
    for secret in secrets {
        let (Some(id), Some(spec)) = (secret.id, secret.spec) else { continue };
        objects.insert(object_id(ObjectKind::Secret, id), object(spec.name, spec.labels, &secret.version, BTreeSet::new()));
    }
    for config in configs {
        let (Some(id), Some(spec)) = (config.id, config.spec) else { continue };
        objects.insert(object_id(ObjectKind::Config, id), object(spec.name, spec.labels, &config.version, BTreeSet::new()));
    }
    Ok(Inventory { engine, objects, files: BTreeMap::new(), snapshots: BTreeMap::new() })
}

fn object_id(kind: ObjectKind, id: String) -> ObjectId {
    ObjectId { kind, id }
}

fn object(
    name: Option<String>,
    labels: Option<HashMap<String, String>>,
    version: &impl Debug,
    uses: BTreeSet<ObjectId>,
) -> Object {
    let labels: BTreeMap<String, String> = labels.unwrap_or_default().into_iter().collect();
    let stack: Option<StackName> = labels.get(NAMESPACE).and_then(|label| label.parse().ok());
    Object { name: name.unwrap_or_default(), stack, labels, version: format!("{version:?}"), uses }
}

fn network(network: Network) -> Option<(ObjectId, Object)> {
    let id = object_id(ObjectKind::Network, network.id?);
    Some((id, object(network.name, network.labels, &(network.created, network.driver, network.internal), BTreeSet::new())))
}

fn volume(volume: Volume) -> (ObjectId, Object) {
    let id = object_id(ObjectKind::Volume, volume.name.clone());
    let options: BTreeMap<_, _> = volume.options.into_iter().collect();
    (id, object(Some(volume.name), Some(volume.labels), &(volume.created_at, volume.driver, options), BTreeSet::new()))
}

fn container(container: ContainerSummary) -> Option<(ObjectId, Object)> {
    let id = object_id(ObjectKind::Container, container.id?);
    let name = container.names.unwrap_or_default().into_iter().next().map(|name| name.trim_start_matches('/').to_owned());
    let mut uses: BTreeSet<ObjectId> = BTreeSet::new();
    for mount in container.mounts.unwrap_or_default() {
        if mount.typ.as_deref() == Some("volume") {
            uses.extend(mount.name.map(|name| object_id(ObjectKind::Volume, name)));
        }
    }
    // Only a running container uses its networks.
    for endpoint in container.network_settings.and_then(|settings| settings.networks).unwrap_or_default().into_values() {
        if endpoint.endpoint_id.is_some_and(|id| !id.is_empty()) {
            uses.extend(endpoint.network_id.map(|id| object_id(ObjectKind::Network, id)));
        }
    }
    let running = container.state == Some(ContainerSummaryStateEnum::RUNNING);
    Some((id, object(name, container.labels, &(container.created, running), uses)))
}

fn service(service: Service, networks: &HashMap<String, String>) -> Option<(ObjectId, Object)> {
    let id = object_id(ObjectKind::Service, service.id?);
    let spec = service.spec?;
    let template = spec.task_template.unwrap_or_default();
    let container = template.container_spec.unwrap_or_default();
    let mut uses = BTreeSet::new();
    for network in spec.networks.into_iter().chain(template.networks).flatten().filter_map(|network| network.target) {
        let target = networks.get(&network).cloned().unwrap_or(network);
        uses.insert(object_id(ObjectKind::Network, target));
    }
    for mount in container.mounts.unwrap_or_default() {
        if mount.typ == Some(MountType::VOLUME) {
            uses.extend(mount.source.map(|name| object_id(ObjectKind::Volume, name)));
        }
    }
    let secrets = container.secrets.unwrap_or_default().into_iter().filter_map(|secret| secret.secret_id);
    uses.extend(secrets.map(|id| object_id(ObjectKind::Secret, id)));
    let configs = container.configs.unwrap_or_default().into_iter().filter_map(|config| config.config_id);
    uses.extend(configs.map(|id| object_id(ObjectKind::Config, id)));
    Some((id, object(spec.name, spec.labels, &service.version, uses)))
}

/// A task that has not ended. Ended tasks are history and disappear with their service.
fn task(task: Task, services: &HashMap<String, String>) -> Option<(ObjectId, Object)> {
    let id = task.id?;
    // A task in an unknown state counts as living.
    let living = task.status.and_then(|status| status.state).is_none_or(is_living);
    // After the removal of its service the labels of its container name its stack.
    let labels = task.spec.and_then(|spec| spec.container_spec).and_then(|container| container.labels);
    let service = task.service_id.and_then(|id| services.get(&id).cloned()).unwrap_or_default();
    living.then(|| {
        let name = Some(format!("{service}.{}.{id}", task.slot.unwrap_or(0)));
        // The state of a task changes by itself, so it is not part of its version.
        (object_id(ObjectKind::Task, id), object(name, labels, &(), BTreeSet::new()))
    })
}

fn is_living(state: TaskState) -> bool {
    match state {
        TaskState::NEW
        | TaskState::ALLOCATED
        | TaskState::PENDING
        | TaskState::ASSIGNED
        | TaskState::ACCEPTED
        | TaskState::PREPARING
        | TaskState::READY
        | TaskState::STARTING
        | TaskState::RUNNING => true,
        TaskState::COMPLETE
        | TaskState::SHUTDOWN
        | TaskState::FAILED
        | TaskState::REJECTED
        | TaskState::REMOVE
        | TaskState::ORPHANED => false,
    }
}

pub(super) async fn mark(docker: &Docker, claim: &Claim, labels: &BTreeMap<String, String>) -> Result<(), SwarmError> {
    let Claimed::Marker { name } = claim.what() else {
        let message = format!("the claim of {} covers no marker", claim.what());
        return Err(SwarmError::Refused { call: "make the marker".into(), message });
    };
    let spec = ConfigSpec {
        name: Some(name.clone()),
        labels: Some(labels.clone().into_iter().collect()),
        data: Some(data_encoding::BASE64.encode(claim.run().as_str().as_bytes())),
        templating: None,
    };
    answer("make the marker", docker.create_config(spec)).await.map(|_| ())
}

/// Whether a claim of this kind may cover an object of this kind and name. The cleanup plan decides by the whole inventory
/// whether it does; this is the last check before the removal.
fn may_cover(what: &Claimed, removal: &Removal) -> bool {
    match what {
        Claimed::Stack { .. } => true,
        Claimed::Marker { name } => removal.object.kind == ObjectKind::Config && removal.name == *name,
        Claimed::EnvFile { .. } | Claimed::Dir { .. } | Claimed::Snapshots { .. } => false,
    }
}

pub(super) async fn remove(docker: &Docker, claim: &Claim, removal: &Removal) -> Result<(), SwarmError> {
    let call = format!("remove {removal}");
    let id = removal.object.id.as_str();
    if !may_cover(claim.what(), removal) {
        let message = format!("the claim of {} does not cover it", claim.what());
        return Err(SwarmError::Refused { call, message });
    }
    // An object that is gone already needs no removal.
    let removed = match removal.object.kind {
        ObjectKind::Service => found(&call, docker.delete_service(id)).await,
        // The engine has no call for it; the task's node ends it.
        ObjectKind::Task => Ok(None),
        ObjectKind::Container => {
            // `v` removes its anonymous volumes too; without the container nothing ties them to the run.
            let options = RemoveContainerOptions { v: true, force: true, link: false };
            found(&call, docker.remove_container(id, Some(options))).await
        }
        ObjectKind::Network => found(&call, docker.remove_network(id)).await,
        ObjectKind::Volume => found(&call, docker.remove_volume(id, None::<RemoveVolumeOptions>)).await,
        ObjectKind::Secret => found(&call, docker.delete_secret(id)).await,
        ObjectKind::Config => found(&call, docker.delete_config(id)).await,
    };
    removed.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claim_covers_only_objects_of_its_kind_and_name() {
        let removal = |kind, name: &str| Removal { object: object_id(kind, "x".into()), name: name.into() };
        let marker = Claimed::Marker { name: "taster-run".into() };
        let snapshots = Claimed::Snapshots { app: "a.taster.test".parse().unwrap(), service: "backups_app".parse().unwrap() };
        for (what, removal, may) in [
            (Claimed::Stack { name: "shop".parse().unwrap() }, removal(ObjectKind::Volume, "shop_data"), true),
            (marker.clone(), removal(ObjectKind::Config, "taster-run"), true),
            (marker.clone(), removal(ObjectKind::Config, "settings"), false),
            (marker, removal(ObjectKind::Secret, "taster-run"), false),
            (snapshots, removal(ObjectKind::Volume, "shop_data"), false),
            (Claimed::Dir { path: "/tmp/run/abra".into() }, removal(ObjectKind::Volume, "shop_data"), false),
        ] {
            assert_eq!(may_cover(&what, &removal), may, "{removal} under the claim of {what}");
        }
    }
}
