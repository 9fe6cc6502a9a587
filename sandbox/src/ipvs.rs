//! A probe of IPVS: whether a service's virtual address answers a real connection. The kernel's table of IPVS can prove only
//! that IPVS is absent, not that it works.

use std::{collections::HashMap, time::Duration};

use bollard::{
    Docker,
    errors::Error,
    models::{
        ContainerCreateBody, EndpointSpec, EndpointSpecModeEnum, HostConfig, NetworkAttachmentConfig, ServiceSpec, TaskSpec,
        TaskSpecContainerSpec, TaskSpecRestartPolicy, TaskSpecRestartPolicyConditionEnum, TaskState,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, ListContainersOptionsBuilder, ListTasksOptionsBuilder, RemoveContainerOptions,
    },
};
use tokio::time::{sleep, timeout};

use crate::{
    engine::{self, call, call_optional, labels},
    error::{LastObservation, SandboxError},
    images,
    layout::Layout,
    wait::wait_until,
};

/// The longest that the probe may take. A late answer counts as none.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that the connection may take, once the service runs.
const CONNECT_SECONDS: u32 = 4;
/// The longest that the removal of the service's containers may take.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two observations.
const POLL: Duration = Duration::from_millis(50);
/// The engine's label with the service that a container belongs to.
const SERVICE_LABEL: &str = "com.docker.swarm.service.name";

/// Whether a plain container on the layout's network reaches a service by its name, which resolves to the service's virtual
/// address. Creates a service and a container for the probe and removes them in any case; first it removes those of an
/// interrupted probe. The network and the specimen's image must exist.
pub async fn probe(layout: &Layout) -> Result<bool, SandboxError> {
    probe_on(&engine::connect(layout)?, layout).await
}

/// [`probe`] on a connected engine.
pub(crate) async fn probe_on(docker: &Docker, layout: &Layout) -> Result<bool, SandboxError> {
    remove(docker, layout).await?;
    let tried = timeout(PROBE_TIMEOUT, connect_to_service(docker, layout)).await;
    remove(docker, layout).await?;
    tried.unwrap_or(Ok(false))
}

fn service_name(layout: &Layout) -> String {
    format!("{}-ipvs", layout.prefix)
}

fn client_name(layout: &Layout) -> String {
    format!("{}-ipvs-client", layout.prefix)
}

/// Starts the service and the container, and returns whether the container connected.
async fn connect_to_service(docker: &Docker, layout: &Layout) -> Result<bool, SandboxError> {
    call("service create", docker.create_service(service(layout), None)).await?;
    let (service, client) = (service_name(layout), client_name(layout));
    while !is_running(docker, &service).await? {
        sleep(POLL).await;
    }
    let body = ContainerCreateBody {
        image: Some(images::specimen()),
        cmd: Some(["connect".to_owned(), format!("{service}:80"), CONNECT_SECONDS.to_string()].to_vec()),
        host_config: Some(HostConfig { network_mode: Some(layout.network.clone()), ..HostConfig::default() }),
        labels: Some(labels::base()),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(&client).build();
    call("container create", docker.create_container(Some(options), body)).await?;
    call("container start", docker.start_container(&client, None)).await?;
    loop {
        let state = call("container inspect", docker.inspect_container(&client, None)).await?.state.unwrap_or_default();
        if state.running != Some(true) {
            return Ok(state.exit_code == Some(0));
        }
        sleep(POLL).await;
    }
}

fn service(layout: &Layout) -> ServiceSpec {
    let network = NetworkAttachmentConfig { target: Some(layout.network.clone()), ..NetworkAttachmentConfig::default() };
    let no_restart =
        TaskSpecRestartPolicy { condition: Some(TaskSpecRestartPolicyConditionEnum::NONE), ..TaskSpecRestartPolicy::default() };
    let task = TaskSpec {
        container_spec: Some(TaskSpecContainerSpec { image: Some(images::specimen()), ..TaskSpecContainerSpec::default() }),
        networks: Some(vec![network]),
        restart_policy: Some(no_restart),
        ..TaskSpec::default()
    };
    ServiceSpec {
        name: Some(service_name(layout)),
        labels: Some(labels::base()),
        task_template: Some(task),
        endpoint_spec: Some(EndpointSpec { mode: Some(EndpointSpecModeEnum::VIP), ..EndpointSpec::default() }),
        ..ServiceSpec::default()
    }
}

async fn is_running(docker: &Docker, service: &str) -> Result<bool, SandboxError> {
    let filters = HashMap::from([("service", vec![service])]);
    let options = ListTasksOptionsBuilder::default().filters(&filters).build();
    let tasks = call("task ls", docker.list_tasks(Some(options))).await?;
    Ok(tasks.iter().any(|task| task.status.as_ref().and_then(|status| status.state) == Some(TaskState::RUNNING)))
}

/// Removes service and container of a probe, also of an interrupted one, and waits until they are gone: the engine ends the
/// containers of a service some time after it confirmed the removal of the service.
pub(crate) async fn remove(docker: &Docker, layout: &Layout) -> Result<(), SandboxError> {
    let service = service_name(layout);
    let force = || Some(RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() });
    call_optional("container rm", docker.remove_container(&client_name(layout), force())).await?;
    call("service rm", async {
        match docker.delete_service(&service).await {
            // No such service, or no Swarm.
            Err(Error::DockerResponseServerError { status_code: 404 | 503, .. }) => Ok(()),
            other => other,
        }
    })
    .await?;
    wait_until(&format!("the removal of service {service}"), REMOVAL_TIMEOUT, async || {
        let filters = HashMap::from([("label", vec![format!("{SERVICE_LABEL}={service}")])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let left = call("container ls", docker.list_containers(Some(options))).await?;
        for id in left.iter().filter_map(|container| container.id.as_deref()) {
            // The call fails when the engine is removing it already; the next list shows the result.
            let _ = docker.remove_container(id, force()).await;
        }
        Ok((!left.is_empty()).then(|| LastObservation::state(format!("{} of its containers still exist", left.len()))))
    })
    .await
}
