//! Services in the engine's own JSON, to read them and to write them back.
//!
//! The library reads a service's health check under another name than the engine writes and so loses part of the spec. These
//! calls therefore bypass the library: one request over the engine's socket, without chunks.

use std::{collections::HashMap, fmt::Write as _, path::Path};

use bollard::models::Service;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::call::{ANSWER_TIMEOUT, failed, status_error};
use crate::{
    model::{engine::SwarmError, names::ServiceName},
    pure::host::claim::{Claim, Claimed},
};

/// The names of the calls in errors.
const LIST: &str = "services";
const RESTART: &str = "restart";

/// A service, and its spec in the engine's own JSON.
pub(super) struct RawService {
    pub(super) read: Service,
    pub(super) spec: Value,
}

pub(super) async fn services(
    socket: &Path,
    filters: Option<&HashMap<String, Vec<String>>>,
) -> Result<Vec<RawService>, SwarmError> {
    let target = match filters {
        Some(filters) => format!("/services?filters={}", percent_encoded(&serde_json::json!(filters).to_string())),
        None => "/services".to_owned(),
    };
    let answer = request(socket, LIST, &format!("GET {target}"), "").await?;
    let services: Vec<Value> = serde_json::from_slice(body(LIST, &answer)?).map_err(|error| failed(LIST, error.to_string()))?;
    services.into_iter().map(service).collect()
}

/// All services, as values of the library.
pub(super) async fn all(socket: &Path) -> Result<Vec<Service>, SwarmError> {
    Ok(services(socket, None).await?.into_iter().map(|service| service.read).collect())
}

/// The answer to a request for a list.
pub(super) async fn list(socket: &Path, call: &str, target: &str) -> Result<Value, SwarmError> {
    let answer = request(socket, call, &format!("GET {target}"), "").await?;
    serde_json::from_slice(body(call, &answer)?).map_err(|error| failed(call, error.to_string()))
}

/// Raises the counter that makes Swarm replace the tasks of a service. The rest of the spec stays unchanged.
pub(super) async fn restart(socket: &Path, claim: &Claim, service: &ServiceName) -> Result<(), SwarmError> {
    let covered = matches!(claim.what(), Claimed::Stack { name } if name.owns(service.as_str()));
    if !covered {
        return Err(SwarmError::Refused { call: RESTART.into(), message: format!("no claim covers {service}") });
    }
    let named = HashMap::from([("name".to_owned(), vec![service.to_string()])]);
    let found = services(socket, Some(&named)).await?.into_iter();
    let found = found.into_iter().find(|found| found.spec["Name"].as_str() == Some(service.as_str()));
    let gone = || failed(RESTART, format!("service {service} does not exist"));
    let RawService { read, mut spec } = found.ok_or_else(gone)?;
    let (Some(id), Some(version)) = (read.id, read.version.and_then(|version| version.index)) else { return Err(gone()) };
    let counter = spec["TaskTemplate"]["ForceUpdate"].as_u64().unwrap_or_default();
    spec["TaskTemplate"]["ForceUpdate"] = (counter + 1).into();
    let line = format!("POST /services/{id}/update?version={version}");
    let answer = request(socket, RESTART, &line, &spec.to_string()).await?;
    body(RESTART, &answer).map(drop)
}

/// The answer to a request, within the time limit. `line` is a method and a target.
async fn request(socket: &Path, call: &str, line: &str, sent: &str) -> Result<Vec<u8>, SwarmError> {
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, exchange(socket, line, sent)).await;
    let answer = answer.map_err(|_| SwarmError::Silent { call: call.to_owned(), after: ANSWER_TIMEOUT })?;
    answer.map_err(|error| failed(call, error.to_string()))
}

/// One request in HTTP 1.0, whose answer ends with the connection and has no chunks.
async fn exchange(socket: &Path, line: &str, sent: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).await?;
    let body = match sent {
        "" => String::new(),
        sent => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", sent.len()),
    };
    stream.write_all(format!("{line} HTTP/1.0\r\nHost: engine\r\n{body}\r\n{sent}").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The body of an answer with status 200.
fn body<'a>(call: &str, answer: &'a [u8]) -> Result<&'a [u8], SwarmError> {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").ok_or_else(|| failed(call, "the answer is incomplete"))?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let body = &answer[end + 4..];
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse::<u16>().ok()).unwrap_or_default();
    if status != 200 {
        let error: Option<Value> = serde_json::from_slice(body).ok();
        let message = error.and_then(|error| error["message"].as_str().map(str::to_owned)).unwrap_or_else(|| head.into_owned());
        return Err(status_error(call, status, message));
    }
    Ok(body)
}

fn service(mut value: Value) -> Result<RawService, SwarmError> {
    let spec = value["Spec"].clone();
    for part in ["Spec", "PreviousSpec"] {
        if let Some(container) = value.pointer_mut(&format!("/{part}/TaskTemplate/ContainerSpec")).and_then(Value::as_object_mut)
            && let Some(check) = container.remove("Healthcheck")
        {
            container.insert("HealthCheck".into(), check);
        }
    }
    // A service with an unknown update state counts as one without an update, so that the observation succeeds.
    let read = serde_json::from_value(value.clone()).or_else(|_| {
        if let Some(fields) = value.as_object_mut() {
            fields.remove("UpdateStatus");
        }
        serde_json::from_value(value)
    });
    Ok(RawService { read: read.map_err(|error| failed(LIST, error.to_string()))?, spec })
}

/// The text with all characters except letters and digits percent-encoded.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &[u8]) -> Result<Vec<RawService>, SwarmError> {
        let services: Vec<Value> = serde_json::from_slice(body(LIST, answer)?).unwrap();
        services.into_iter().map(service).collect()
    }

    fn answered(body: &str) -> Vec<u8> {
        format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn health_check_is_read_under_the_engines_name() {
        let body = r#"[{"ID":"a","Spec":{"TaskTemplate":{"ContainerSpec":{"Healthcheck":{"Retries":7}}}}}]"#;
        let service = read(&answered(body)).unwrap().remove(0).read;
        let container = service.spec.unwrap().task_template.unwrap().container_spec.unwrap();
        assert_eq!(container.health_check.unwrap().retries, Some(7));
    }

    #[test]
    fn unknown_update_state_does_not_fail_the_observation() {
        let body = r#"[{"ID":"a","Spec":{},"UpdateStatus":{"State":"meditating"}}]"#;
        assert!(read(&answered(body)).unwrap().remove(0).read.update_status.is_none());
    }

    #[test]
    fn error_contains_the_engines_message() {
        let answer = b"HTTP/1.0 503 Unavailable\r\n\r\n{\"message\":\"This node is not a swarm manager.\"}";
        let error = read(answer).err().unwrap();
        assert_eq!(error.to_string(), "the engine refuses services: This node is not a swarm manager.");
        let conflict = body(RESTART, b"HTTP/1.0 409 Conflict\r\n\r\n{\"message\":\"update out of sequence\"}").unwrap_err();
        assert_eq!(conflict.to_string(), "the engine refuses restart: update out of sequence");
        assert!(read(b"HTTP/1.0 200").is_err());
    }
}
