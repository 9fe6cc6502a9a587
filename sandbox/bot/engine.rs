//! A client of the engine's API over its socket: services, running containers, commands in containers.
//!
//! It speaks HTTP/1.0, so that an answer is not chunked and ends with the connection.

use std::{
    env,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
};

use crate::{
    Fatal,
    json::{Json, quoted},
    labels::Service,
};

/// The label with the stack of a service or container.
const NAMESPACE: &str = "com.docker.stack.namespace";

struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// The error message of the engine.
    fn message(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        Json::parse(&text).and_then(|json| json.text(&["message"]).map(str::to_owned)).unwrap_or_else(|| text.trim().to_owned())
    }

    fn json(&self, call: &str) -> Result<Json, Fatal> {
        if self.status >= 300 {
            return Err(refused(call, self));
        }
        Json::parse(&String::from_utf8_lossy(&self.body))
            .ok_or_else(|| Fatal::new(format!("the engine's answer to {call} is not JSON")))
    }
}

/// The failure of a call, with its status and the name of the status. 409 is a container that no longer runs.
fn refused(call: &str, answer: &Answer) -> Fatal {
    let kind = match answer.status {
        404 => "Not Found",
        409 => "Conflict",
        _ => "Error",
    };
    Fatal::new(format!("{} {kind} for {call}: {}", answer.status, answer.message()))
}

fn call(method: &str, path: &str, body: &str) -> Result<Answer, Fatal> {
    let exchange = || -> io::Result<Vec<u8>> {
        let mut socket = UnixStream::connect(env::var("DOCKER_SOCKET").unwrap_or_else(|_| "/var/run/docker.sock".to_owned()))?;
        let length = body.len();
        write!(
            socket,
            "{method} {path} HTTP/1.0\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|error| Fatal::new(format!("the engine does not answer: {error}")))?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let status = String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|status| status.parse().ok());
    match (end, status) {
        (Some(end), Some(status)) => Ok(Answer { status, body: answer[end + 4..].to_vec() }),
        _ => Err(Fatal::new("the engine's answer is not HTTP")),
    }
}

/// The list at `path`, filtered by a label.
fn list_with_label(path: &str, label: &str) -> Result<Json, Fatal> {
    let filters = format!("{{\"label\":[{}]}}", quoted(label));
    let encoded: String = filters
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    let path = format!("{path}?filters={encoded}");
    call("GET", &path, "")?.json(&path)
}

/// The services of a stack, by name.
pub(crate) fn services(stack: &str) -> Result<Vec<Service>, Fatal> {
    let all = list_with_label("/services", &format!("{NAMESPACE}={stack}"))?;
    let service = |json: &Json| {
        let mounts = json.items(&["Spec", "TaskTemplate", "ContainerSpec", "Mounts"]).iter();
        let volume =
            |mount: &Json| mount.text(&["Source"]).filter(|_| mount.text(&["Type"]) == Some("volume")).map(str::to_owned);
        Some(Service {
            name: json.text(&["Spec", "Name"])?.to_owned(),
            labels: json.texts(&["Spec", "Labels"]),
            volumes: mounts.filter_map(volume).collect(),
        })
    };
    let mut services: Vec<Service> = all.items(&[]).iter().filter_map(service).collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(services)
}

/// The id of the newest running container of the service.
pub(crate) fn running_container(service: &str) -> Result<Option<String>, Fatal> {
    let all = list_with_label("/containers/json", &format!("com.docker.swarm.service.name={service}"))?;
    Ok(all.items(&[]).first().and_then(|container| container.text(&["Id"]).map(str::to_owned)))
}

/// Runs a command in a container. Returns its exit code and its output.
pub(crate) fn exec(container: &str, argv: &[&str]) -> Result<(i64, String), Fatal> {
    let args: Vec<String> = argv.iter().map(|arg| quoted(arg)).collect();
    let body = format!("{{\"AttachStdout\":true,\"AttachStderr\":true,\"Cmd\":[{}]}}", args.join(","));
    let path = format!("/containers/{container}/exec");
    let made = call("POST", &path, &body)?.json(&path)?;
    let id = made.text(&["Id"]).ok_or_else(|| Fatal::new("the engine created a command without an id"))?.to_owned();
    let path = format!("/exec/{id}/start");
    let answer = call("POST", &path, "{\"Detach\":false,\"Tty\":false}")?;
    if answer.status >= 300 {
        return Err(refused(&path, &answer));
    }
    let path = format!("/exec/{id}/json");
    let code = call("GET", &path, "")?.json(&path)?.text(&["ExitCode"]).and_then(|code| code.parse().ok());
    Ok((code.unwrap_or(-1), frames(&answer.body)))
}

/// The text in a stream of frames. A frame has a head of eight bytes, whose last four are the length, and then its bytes.
/// Other text, such as messages of the container runtime, is kept as it is.
fn frames(mut bytes: &[u8]) -> String {
    let mut out = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(8) {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if head[0] > 2 || head[1..4] != [0; 3] || length > rest.len() {
            break;
        }
        out.extend_from_slice(&rest[..length]);
        bytes = &rest[length..];
    }
    out.extend_from_slice(bytes);
    String::from_utf8_lossy(&out).trim_end().to_owned()
}
