//! The one-node Swarm and its overlay network for public services. Both are created only when absent.

use std::time::{Duration, Instant};

use bollard::{
    Docker,
    models::{Ipam, IpamConfig, LocalNodeState, NetworkCreateRequest, NetworkInspect, SwarmInitRequest},
    query_parameters::{InspectNetworkOptions, LeaveSwarmOptions},
};

use super::{call, call_optional, labels};
use crate::{
    error::{LastObservation, NetworkProblem, SandboxError},
    home::Home,
    layout::Layout,
    progress::ProgressReporter,
    wait::wait_until,
};

/// Makes the engine a manager of a new Swarm, unless it is a manager.
pub(crate) async fn ensure(
    docker: &Docker,
    home: &Home,
    layout: &Layout,
    progress: &mut ProgressReporter<'_>,
) -> Result<(), SandboxError> {
    let info = call("info", docker.info()).await?;
    let socket = || layout.engine.display().to_string();
    if info.security_options.unwrap_or_default().iter().any(|option| option.contains("rootless")) {
        return Err(SandboxError::Rootless { socket: socket() });
    }
    let swarm = info.swarm.unwrap_or_default();
    match swarm.local_node_state {
        Some(LocalNodeState::ACTIVE) if swarm.control_available == Some(true) => return Ok(()),
        Some(LocalNodeState::ACTIVE | LocalNodeState::PENDING | LocalNodeState::ERROR | LocalNodeState::LOCKED) => {
            return Err(SandboxError::Worker { socket: socket() });
        }
        Some(LocalNodeState::INACTIVE | LocalNodeState::EMPTY) | None => {}
    }
    // No other node joins it, so the loopback address suffices.
    let request = SwarmInitRequest {
        listen_addr: Some("127.0.0.1:2377".into()),
        advertise_addr: Some("127.0.0.1".into()),
        ..SwarmInitRequest::default()
    };
    call("swarm init", docker.init_swarm(request)).await?;
    let mut created = home.created();
    created.swarm = call("swarm inspect", docker.inspect_swarm()).await?.id;
    home.save_created(&created)?;
    progress.report("made the engine a one-node Swarm");
    Ok(())
}

/// Creates the network, unless it exists.
pub(crate) async fn ensure_network(
    docker: &Docker,
    home: &Home,
    layout: &Layout,
    progress: &mut ProgressReporter<'_>,
) -> Result<(), SandboxError> {
    if let Some(network) = allocated(docker, &layout.network).await? {
        let bad = |problem| Err(SandboxError::BadNetwork { name: layout.network.clone(), problem });
        return match (network.driver.as_deref(), network.attachable) {
            (Some("overlay"), Some(true)) => Ok(()),
            (Some("overlay"), _) => bad(NetworkProblem::NotAttachable),
            _ => bad(NetworkProblem::NotOverlay),
        };
    }
    let range =
        IpamConfig { subnet: Some(layout.subnet.clone()), ip_range: Some(layout.task_range.clone()), ..IpamConfig::default() };
    let request = NetworkCreateRequest {
        name: layout.network.clone(),
        driver: Some("overlay".into()),
        attachable: Some(true),
        ipam: Some(Ipam { config: Some(vec![range]), ..Ipam::default() }),
        labels: Some(labels::base()),
        ..NetworkCreateRequest::default()
    };
    let mut created = home.created();
    created.network = Some(call("network create", docker.create_network(request)).await?.id);
    home.save_created(&created)?;
    progress.report(format!("made the overlay network {}", layout.network));
    Ok(())
}

pub(crate) async fn network(docker: &Docker, name: &str) -> Result<Option<NetworkInspect>, SandboxError> {
    call_optional("network inspect", docker.inspect_network(name, None::<InspectNetworkOptions>)).await
}

/// The longest that Swarm may take to allocate a new network.
const ALLOCATION_TIMEOUT: Duration = Duration::from_secs(10);

/// The network by its name. Waits until Swarm has allocated it, a moment after its creation: before that, its driver is
/// empty.
async fn allocated(docker: &Docker, name: &str) -> Result<Option<NetworkInspect>, SandboxError> {
    let started = Instant::now();
    loop {
        let network = network(docker, name).await?;
        let pending = network.as_ref().is_some_and(|network| network.driver.as_deref().unwrap_or_default().is_empty());
        if !pending || started.elapsed() > ALLOCATION_TIMEOUT {
            return Ok(network);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The result of [`leave`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LeaveResult {
    /// The engine left the Swarm, which removes it.
    Left,
    /// The Swarm stays, because this number of services runs on it.
    InUse(usize),
    /// The engine has another Swarm, or none.
    NotOurs,
}

/// Removes the Swarm with this id, if no service runs on it. Services that cannot be listed count as running: the error
/// of the list is returned, and the Swarm stays.
pub(crate) async fn leave(docker: &Docker, id: &str) -> Result<LeaveResult, SandboxError> {
    let info = call("info", docker.info()).await?;
    if info.swarm.and_then(|swarm| swarm.cluster).and_then(|cluster| cluster.id).as_deref() != Some(id) {
        return Ok(LeaveResult::NotOurs);
    }
    let services = call("service ls", docker.list_services(None)).await?.len();
    if services > 0 {
        return Ok(LeaveResult::InUse(services));
    }
    call("swarm leave", docker.leave_swarm(Some(LeaveSwarmOptions { force: true }))).await?;
    Ok(LeaveResult::Left)
}

/// The longest that a network may stay after its last container ended.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// Removes a network and waits until it is gone: a container that was just removed still holds it for a moment, and the
/// engine removes an overlay network some time after it confirmed the removal.
pub(crate) async fn remove_network(docker: &Docker, id: &str) -> Result<(), SandboxError> {
    wait_until("the removal of the network", RELEASE_TIMEOUT, async || {
        match call_optional("network rm", docker.remove_network(id)).await {
            Ok(_) => Ok(network(docker, id).await?.map(|_| LastObservation::state("it still exists"))),
            Err(error) => Ok(Some(error.into())),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::UnixListener,
    };

    use super::*;

    /// Leaves a Swarm whose engine answers a list of services with this status and body. Returns the requests, too.
    async fn leave_with(status: u16, services: &'static str) -> (Result<LeaveResult, SandboxError>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        let engine = tokio::spawn(async move {
            loop {
                let mut stream = BufReader::new(listener.accept().await.unwrap().0);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.is_ok_and(|read| read > 0) {}
                let path = head.split([' ', '?']).nth(1).unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
                let (status, body) = match path.as_str() {
                    "info" => (200, r#"{"Swarm": {"Cluster": {"ID": "ours"}}}"#),
                    "services" => (status, services),
                    _ => (200, "{}"),
                };
                log.lock().unwrap().push(path);
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n");
                let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).await;
            }
        });
        let docker = Docker::connect_with_unix(&socket.display().to_string(), 5, bollard::API_DEFAULT_VERSION).unwrap();
        let left = leave(&docker, "ours").await;
        engine.abort();
        let requests = requests.lock().unwrap().clone();
        (left, requests)
    }

    #[tokio::test]
    async fn swarm_is_left_only_when_the_list_of_services_is_empty() {
        let (left, requests) = leave_with(200, "[]").await;
        assert_eq!((left.unwrap(), requests), (LeaveResult::Left, ["info", "services", "leave"].map(str::to_owned).to_vec()));
        let (left, requests) = leave_with(200, "[{}, {}]").await;
        assert_eq!((left.unwrap(), requests.contains(&"leave".to_owned())), (LeaveResult::InUse(2), false));
        let (left, requests) = leave_with(500, r#"{"message": "rpc error: deadline exceeded"}"#).await;
        assert!(left.is_err() && !requests.contains(&"leave".to_owned()), "{left:?} {requests:?}");
    }
}
