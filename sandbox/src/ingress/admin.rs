//! A client of the ingress's admin interface: HTTP on a Unix socket in the sandbox's folder.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::routes::Route;
use crate::error::{AdminError, SandboxError};

/// The longest that an answer may take; usually it takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The path of the routes in the configuration.
const ROUTES: &str = "/config/apps/http/servers/https/routes";

/// The admin interface of one ingress.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    socket: PathBuf,
}

impl Admin {
    pub(crate) fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The ids of the loaded routes, in their order.
    pub(crate) async fn loaded(&self) -> Result<Vec<String>, SandboxError> {
        let text = self.request("GET", ROUTES, "").await?;
        let routes: Vec<Value> = serde_json::from_str(&text).map_err(|error| failed("GET", error.into()))?;
        Ok(routes.iter().filter_map(|route| route.get("@id")?.as_str()).map(str::to_owned).collect())
    }

    /// Inserts a route at a place of the list. It must not be loaded already: the ingress accepts an id twice.
    pub(crate) async fn load(&self, place: usize, route: &Route) -> Result<(), SandboxError> {
        self.request("PUT", &format!("{ROUTES}/{place}"), &route.to_json().to_string()).await.map(drop)
    }

    pub(crate) async fn delete(&self, id: &str) -> Result<(), SandboxError> {
        self.request("DELETE", &format!("/id/{id}"), "").await.map(drop)
    }

    /// Sends one request on its own connection. HTTP/1.0 prevents a chunked answer.
    async fn request(&self, method: &str, path: &str, body: &str) -> Result<String, SandboxError> {
        let exchange = async {
            let mut stream = UnixStream::connect(&self.socket).await?;
            let head = format!(
                "{method} {path} HTTP/1.0\r\nHost: taster\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
        };
        let answer = tokio::time::timeout(TIMEOUT, exchange)
            .await
            .map_err(|_| failed(method, AdminError::NoAnswer(TIMEOUT)))?
            .map_err(|error| failed(method, error.into()))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        match head.split(' ').nth(1) {
            Some("200") => Ok(body.to_owned()),
            _ => Err(failed(method, AdminError::Refused(format!("{} {body}", head.lines().next().unwrap_or("nothing"))))),
        }
    }
}

fn failed(method: &str, source: AdminError) -> SandboxError {
    SandboxError::Ingress { method: method.to_owned(), source }
}
