//! A one-node Swarm and the overlay network that public services are on, made only when absent.

use std::time::{Duration, Instant};

use bollard::{
    Docker,
    models::{Ipam, IpamConfig, LocalNodeState, NetworkCreateRequest, NetworkInspect, SwarmInitRequest},
    query_parameters::{InspectNetworkOptions, LeaveSwarmOptions},
};

use super::{answer, found, labels};
use crate::{
    error::{LastObservation, NetworkProblem, SandboxError},
    home::Home,
    layout::Layout,
    progress::Teller,
};

/// Makes the engine a manager, unless it is one.
pub(crate) async fn ensure(docker: &Docker, home: &Home, layout: &Layout, teller: &mut Teller<'_>) -> Result<(), SandboxError> {
    let info = answer("info", docker.info()).await?;
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
    // Nobody else is to join it, so it needs no address that others reach.
    let request = SwarmInitRequest {
        listen_addr: Some("127.0.0.1:2377".into()),
        advertise_addr: Some("127.0.0.1".into()),
        ..SwarmInitRequest::default()
    };
    answer("swarm init", docker.init_swarm(request)).await?;
    let mut made = home.made();
    made.swarm = answer("swarm inspect", docker.inspect_swarm()).await?.id;
    home.keep_made(&made)?;
    teller.say("made the engine a one-node Swarm");
    Ok(())
}

/// Makes the network, unless it is there.
pub(crate) async fn ensure_network(
    docker: &Docker,
    home: &Home,
    layout: &Layout,
    teller: &mut Teller<'_>,
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
        labels: Some(labels::all()),
        ..NetworkCreateRequest::default()
    };
    let mut made = home.made();
    made.network = Some(answer("network create", docker.create_network(request)).await?.id);
    home.keep_made(&made)?;
    teller.say(format!("made the overlay network {}", layout.network));
    Ok(())
}

pub(crate) async fn network(docker: &Docker, name: &str) -> Result<Option<NetworkInspect>, SandboxError> {
    found("network inspect", docker.inspect_network(name, None::<InspectNetworkOptions>)).await
}

/// How long Swarm may take to allocate a network that was just made.
const ALLOCATION: Duration = Duration::from_secs(10);

/// The network by its name. Swarm tells of the driver only once it has allocated the network, a moment after the engine
/// said that it is made: until then nobody knows what it is, and it is waited for.
async fn allocated(docker: &Docker, name: &str) -> Result<Option<NetworkInspect>, SandboxError> {
    let started = Instant::now();
    loop {
        let network = network(docker, name).await?;
        let unknown = network.as_ref().is_some_and(|network| network.driver.as_deref().unwrap_or_default().is_empty());
        if !unknown || started.elapsed() > ALLOCATION {
            return Ok(network);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What became of the Swarm that was made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It is removed.
    Dissolved,
    /// It stays, for so many services run on it.
    InUse(usize),
    /// It was gone before; the engine has another one, or none.
    Gone,
}

/// Leaves and so removes the Swarm, if it is the one with this id and nothing runs on it. Services that cannot be listed may be there.
pub(crate) async fn leave(docker: &Docker, id: &str) -> Result<Left, SandboxError> {
    let info = answer("info", docker.info()).await?;
    if info.swarm.and_then(|swarm| swarm.cluster).and_then(|cluster| cluster.id).as_deref() != Some(id) {
        return Ok(Left::Gone);
    }
    let services = answer("service ls", docker.list_services(None)).await?.len();
    if services > 0 {
        return Ok(Left::InUse(services));
    }
    answer("swarm leave", docker.leave_swarm(Some(LeaveSwarmOptions { force: true }))).await?;
    Ok(Left::Dissolved)
}

/// How long the last container's end may keep a network in use.
const RELEASE: Duration = Duration::from_secs(10);

/// Removes a network. A container that was just removed holds it for a moment more, and the engine removes an overlay
/// network some time after it said so: both are waited for.
pub(crate) async fn remove_network(docker: &Docker, id: &str) -> Result<(), SandboxError> {
    let started = Instant::now();
    loop {
        let last = match found("network rm", docker.remove_network(id)).await {
            Ok(_) if network(docker, id).await?.is_none() => return Ok(()),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        if started.elapsed() > RELEASE {
            let still_there = || LastObservation::State("it is still there".into());
            let source = last.map_or_else(still_there, |error| LastObservation::Failure(Box::new(error)));
            return Err(SandboxError::NotReady { what: "the end of the network".into(), after: RELEASE, source });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::UnixListener,
    };

    use super::*;

    /// Leaves a Swarm whose engine answers a list of services with this status and text. Gives what the engine was asked for.
    async fn left_with(status: u16, services: &'static str) -> (Result<Left, SandboxError>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = asked.clone();
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
                told.lock().unwrap().push(path);
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n");
                let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).await;
            }
        });
        let docker = Docker::connect_with_unix(&socket.display().to_string(), 5, bollard::API_DEFAULT_VERSION).unwrap();
        let left = leave(&docker, "ours").await;
        engine.abort();
        let asked = asked.lock().unwrap().clone();
        (left, asked)
    }

    #[tokio::test]
    async fn a_swarm_is_dissolved_only_when_it_is_known_that_nothing_runs_on_it() {
        let (left, asked) = left_with(200, "[]").await;
        assert_eq!((left.unwrap(), asked), (Left::Dissolved, ["info", "services", "leave"].map(str::to_owned).to_vec()));
        let (left, asked) = left_with(200, "[{}, {}]").await;
        assert_eq!((left.unwrap(), asked.contains(&"leave".to_owned())), (Left::InUse(2), false));
        let (left, asked) = left_with(500, r#"{"message": "rpc error: deadline exceeded"}"#).await;
        assert!(left.is_err() && !asked.contains(&"leave".to_owned()), "{left:?} {asked:?}");
    }
}
