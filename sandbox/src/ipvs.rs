//! Whether a service's virtual address answers, found out by a real connection: the kernel's table says only that IPVS is
//! absent, never that it works.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

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
    engine::{self, answer, found, labels},
    error::{LastObservation, SandboxError},
    images,
    layout::Layout,
};

/// How long the whole attempt may take. What does not answer in time does not answer.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How long the connection may take of it, once the service runs.
const CONNECT_SECONDS: u32 = 4;
/// How long the end of the service's container is waited for.
const GONE: Duration = Duration::from_secs(10);
/// The pause between two looks.
const POLL: Duration = Duration::from_millis(50);
/// The label by which the engine says to which service a container belongs.
const SERVICE_LABEL: &str = "com.docker.swarm.service.name";

/// Whether a plain container on the layout's network reaches a service by its name, which resolves to the service's virtual
/// address. Service and container are there for this alone and gone when this returns, whatever came of it; those of an
/// attempt that was cut off are removed first. The network and the specimen's image must be there.
pub async fn answers(layout: &Layout) -> Result<bool, SandboxError> {
    probe(&engine::connect(layout)?, layout).await
}

/// [`answers`] on an engine that was found before.
pub(crate) async fn probe(docker: &Docker, layout: &Layout) -> Result<bool, SandboxError> {
    remove(docker, layout).await?;
    let tried = timeout(ATTEMPT, attempt(docker, layout)).await;
    remove(docker, layout).await?;
    tried.unwrap_or(Ok(false))
}

/// The name of the service.
fn service_name(layout: &Layout) -> String {
    format!("{}-ipvs", layout.prefix)
}

/// The name of the container that connects to it.
fn client_name(layout: &Layout) -> String {
    format!("{}-ipvs-client", layout.prefix)
}

async fn attempt(docker: &Docker, layout: &Layout) -> Result<bool, SandboxError> {
    answer("service create", docker.create_service(service(layout), None)).await?;
    let (service, client) = (service_name(layout), client_name(layout));
    while !runs(docker, &service).await? {
        sleep(POLL).await;
    }
    let body = ContainerCreateBody {
        image: Some(images::specimen()),
        cmd: Some(["connect".to_owned(), format!("{service}:80"), CONNECT_SECONDS.to_string()].to_vec()),
        host_config: Some(HostConfig { network_mode: Some(layout.network.clone()), ..HostConfig::default() }),
        labels: Some(labels::all()),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(&client).build();
    answer("container create", docker.create_container(Some(options), body)).await?;
    answer("container start", docker.start_container(&client, None)).await?;
    loop {
        let state = answer("container inspect", docker.inspect_container(&client, None)).await?.state.unwrap_or_default();
        if state.running != Some(true) {
            return Ok(state.exit_code == Some(0));
        }
        sleep(POLL).await;
    }
}

fn service(layout: &Layout) -> ServiceSpec {
    let network = NetworkAttachmentConfig { target: Some(layout.network.clone()), ..NetworkAttachmentConfig::default() };
    let once =
        TaskSpecRestartPolicy { condition: Some(TaskSpecRestartPolicyConditionEnum::NONE), ..TaskSpecRestartPolicy::default() };
    let task = TaskSpec {
        container_spec: Some(TaskSpecContainerSpec { image: Some(images::specimen()), ..TaskSpecContainerSpec::default() }),
        networks: Some(vec![network]),
        restart_policy: Some(once),
        ..TaskSpec::default()
    };
    ServiceSpec {
        name: Some(service_name(layout)),
        labels: Some(labels::all()),
        task_template: Some(task),
        endpoint_spec: Some(EndpointSpec { mode: Some(EndpointSpecModeEnum::VIP), ..EndpointSpec::default() }),
        ..ServiceSpec::default()
    }
}

async fn runs(docker: &Docker, service: &str) -> Result<bool, SandboxError> {
    let filters = HashMap::from([("service", vec![service])]);
    let options = ListTasksOptionsBuilder::default().filters(&filters).build();
    let tasks = answer("task ls", docker.list_tasks(Some(options))).await?;
    Ok(tasks.iter().any(|task| task.status.as_ref().and_then(|status| status.state) == Some(TaskState::RUNNING)))
}

/// Removes service and container, those of an attempt that was cut off too, and waits until nothing is left of them: the
/// engine ends the containers of a service some time after it said that the service is gone.
pub(crate) async fn remove(docker: &Docker, layout: &Layout) -> Result<(), SandboxError> {
    let service = service_name(layout);
    let force = || Some(RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() });
    found("container rm", docker.remove_container(&client_name(layout), force())).await?;
    answer("service rm", async {
        match docker.delete_service(&service).await {
            // There is no such service, or no Swarm that could have one.
            Err(Error::DockerResponseServerError { status_code: 404 | 503, .. }) => Ok(()),
            other => other,
        }
    })
    .await?;
    let started = Instant::now();
    loop {
        let filters = HashMap::from([("label", vec![format!("{SERVICE_LABEL}={service}")])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let left = answer("container ls", docker.list_containers(Some(options))).await?;
        if left.is_empty() {
            return Ok(());
        }
        if started.elapsed() > GONE {
            let source = LastObservation::State(format!("{} of its containers are still there", left.len()));
            return Err(SandboxError::NotReady { what: format!("the end of service {service}"), after: GONE, source });
        }
        for id in left.into_iter().filter_map(|container| container.id) {
            // The engine may be removing it at this moment, which is as good; the next look shows it.
            let _ = docker.remove_container(&id, force()).await;
        }
        sleep(POLL).await;
    }
}
