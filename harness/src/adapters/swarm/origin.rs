//! All that may answer under a name, and a request to a task within the network of its container.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    os::fd::AsFd,
    path::Path,
    time::{Duration, Instant},
};

use bollard::{
    Docker,
    models::{EndpointSettings, Service},
    query_parameters::{ListContainersOptions, ListNetworksOptions},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{
    call::{answer, found},
    observe::NAMESPACE,
    raw,
};
use crate::{
    model::{engine::SwarmError, http::HttpView},
    ports::{OriginError, TaskRequest},
    pure::host::http::impostors::Exposure,
};

/// The label of containers that belong to a task.
const TASK: &str = "com.docker.swarm.task.id";
/// The largest part of an answer that is read, in bytes.
const ANSWER_LIMIT: u64 = 128 * 1024;

pub(super) async fn exposures(docker: &Docker, socket: &Path) -> Result<Vec<Exposure>, SwarmError> {
    let (services, networks, containers) = tokio::try_join!(
        raw::all(socket),
        answer("networks", docker.list_networks(None::<ListNetworksOptions>)),
        answer("containers", docker.list_containers(None::<ListContainersOptions>)),
    )?;
    // Services name their networks by id or by name.
    let ids: HashMap<String, String> = networks.into_iter().filter_map(|network| Some((network.name?, network.id?))).collect();
    let mut found: Vec<Exposure> = services.into_iter().filter_map(|service| of_service(service, &ids)).collect();
    for container in containers {
        let labels: BTreeMap<String, String> = container.labels.unwrap_or_default().into_iter().collect();
        // Containers on no network of others are most of a machine's.
        let attached = container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        if labels.contains_key(TASK) || attached.is_empty() && labels.is_empty() {
            continue;
        }
        if let Some(id) = container.id {
            found.extend(of_container(docker, &id, labels).await?);
        }
    }
    Ok(found)
}

fn of_service(service: Service, ids: &HashMap<String, String>) -> Option<Exposure> {
    let spec = service.spec?;
    let name = spec.name?;
    let template = spec.task_template.unwrap_or_default();
    let mut networks: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for network in spec.networks.into_iter().chain(template.networks).flatten() {
        let target = network.target.unwrap_or_default();
        let names = networks.entry(ids.get(&target).cloned().unwrap_or(target)).or_default();
        names.extend(network.aliases.unwrap_or_default());
        names.insert(name.clone());
    }
    let labels: BTreeMap<String, String> = spec.labels.unwrap_or_default().into_iter().collect();
    Some(Exposure { stack: labels.get(NAMESPACE).and_then(|stack| stack.parse().ok()), name, labels, networks })
}

/// The container, unless it is gone by now. The list of containers has no aliases.
async fn of_container(docker: &Docker, id: &str, labels: BTreeMap<String, String>) -> Result<Option<Exposure>, SwarmError> {
    let Some(inspected) = found("container", docker.inspect_container(id, None)).await? else { return Ok(None) };
    let name = inspected.name.unwrap_or_default().trim_start_matches('/').to_owned();
    let attached = inspected.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let names = |endpoint: EndpointSettings| {
        let all = endpoint.aliases.into_iter().chain(endpoint.dns_names).flatten().chain([name.clone()]);
        Some((endpoint.network_id?, all.collect()))
    };
    let networks = attached.into_values().filter_map(names).collect();
    Ok(Some(Exposure { name, stack: None, labels, networks }))
}

pub(super) async fn ask_task(docker: &Docker, request: &TaskRequest, timeout: Duration) -> Result<HttpView, OriginError> {
    let out_of_reach = |error: &dyn ToString| OriginError::OutOfReach(error.to_string());
    let inspected = found("container", docker.inspect_container(&request.container, None)).await;
    let inspected = inspected.map_err(|error| out_of_reach(&error))?;
    let inspected = inspected.ok_or_else(|| out_of_reach(&"its container is not on this machine"))?;
    let pid = inspected.state.and_then(|state| state.pid).filter(|pid| *pid > 0);
    let pid = pid.ok_or_else(|| out_of_reach(&"its container does not run"))?;
    let attached = inspected.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let addresses: Vec<IpAddr> = attached.into_values().filter_map(|endpoint| endpoint.ip_address?.parse().ok()).collect();
    let network = File::open(format!("/proc/{pid}/ns/net")).map_err(|error| out_of_reach(&error))?;
    let (answered, answer) = tokio::sync::oneshot::channel();
    let request = request.clone();
    // A thread of its own, because it stays in the container's network until it ends.
    std::thread::spawn(move || {
        let result = move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|error| OriginError::OutOfReach(error.to_string()))
            .and_then(|()| exchange(&request, &addresses, timeout));
        // The step that waits may have ended.
        let _ = answered.send(result);
    });
    let no_answer = || OriginError::NoAnswer(format!("nothing within {timeout:?}"));
    tokio::time::timeout(timeout, answer).await.map_err(|_| no_answer())?.map_err(|_| no_answer())?
}

/// One request in HTTP 1.0, whose answer ends with the connection and has no chunks.
fn exchange(request: &TaskRequest, addresses: &[IpAddr], timeout: Duration) -> Result<HttpView, OriginError> {
    let deadline = Instant::now() + timeout;
    let left = || deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let failed = |error: std::io::Error| OriginError::NoAnswer(error.to_string());
    let mut last = OriginError::OutOfReach("its container has no address".into());
    let connected = addresses.iter().find_map(|address| {
        let connected = TcpStream::connect_timeout(&SocketAddr::new(*address, request.port), left());
        connected.map_err(|error| last = failed(error)).ok()
    });
    let mut stream = connected.ok_or(last)?;
    stream.set_write_timeout(Some(left())).map_err(failed)?;
    let TaskRequest { host, path, .. } = request;
    let head = format!(
        "GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: taster\r\nAccept: */*\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: {host}\r\nX-Forwarded-Port: 443\r\nX-Forwarded-For: 127.0.0.1\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).map_err(failed)?;
    stream.set_read_timeout(Some(left())).map_err(failed)?;
    let mut answer = Vec::new();
    // What was read before a failure may be a whole answer: some programs close the connection hard.
    let read = stream.take(ANSWER_LIMIT).read_to_end(&mut answer);
    parse(&answer).ok_or_else(|| match read {
        Err(error) => failed(error),
        Ok(_) => OriginError::NoAnswer("the answer is not HTTP".into()),
    })
}

/// The answer in the bytes of a connection.
fn parse(answer: &[u8]) -> Option<HttpView> {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    first.next().filter(|version| version.starts_with("HTTP/"))?;
    let status = first.next()?.parse().ok()?;
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let all = headers.entry(name.trim().to_ascii_lowercase()).or_default();
        if !all.is_empty() {
            all.push('\n');
        }
        all.push_str(value.trim());
    }
    Some(HttpView { status, headers, body: String::from_utf8_lossy(&answer[end + 4..]).into_owned() })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn request(port: u16) -> TaskRequest {
        TaskRequest { container: String::new(), port, host: "a.taster.test".into(), path: "/up?q".into() }
    }

    #[test]
    fn task_is_asked_as_an_ingress_asks_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut got = Vec::new();
            let mut piece = [0; 512];
            while !got.ends_with(b"\r\n\r\n") {
                let length = stream.read(&mut piece).unwrap();
                got.extend_from_slice(&piece[..length]);
            }
            stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /in\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\nmoved").unwrap();
            String::from_utf8(got).unwrap()
        });
        let view = exchange(&request(port), &[Ipv4Addr::LOCALHOST.into()], Duration::from_secs(5)).unwrap();
        assert_eq!((view.status, view.body.as_str()), (302, "moved"));
        assert_eq!((view.header("location"), view.header("set-cookie")), (Some("/in"), Some("a=1\nb=2")));
        let got = app.join().unwrap();
        assert!(
            got.starts_with("GET /up?q HTTP/1.0\r\nHost: a.taster.test\r\n") && got.contains("X-Forwarded-Proto: https"),
            "{got}"
        );
    }

    #[test]
    fn task_without_an_answer_is_an_error() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let answer = exchange(&request(closed), &[Ipv4Addr::LOCALHOST.into()], Duration::from_secs(5));
        assert!(matches!(answer, Err(OriginError::NoAnswer(_))), "{answer:?}");
        assert_eq!(parse(b"SSH-2.0-x\r\n\r\n"), None);
        assert!(matches!(exchange(&request(80), &[], Duration::from_secs(1)), Err(OriginError::OutOfReach(_))));
    }
}
