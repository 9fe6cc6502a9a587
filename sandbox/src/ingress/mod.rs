//! The ingress: Caddy in a plain container, with the sandbox's certificate and, at its start, without a route.
//!
//! It is not a Swarm service, because only a plain container can listen on chosen addresses, have a fixed address and join
//! the networks of apps while it runs.

mod admin;
pub mod agent;
mod container;
pub mod matcher;
mod middleware;
pub mod routes;
pub(crate) mod tls;

use std::{os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use bollard::{
    Docker,
    models::ContainerInspectResponse,
    query_parameters::{CreateContainerOptionsBuilder, ListContainersOptions, RemoveContainerOptions},
};

use self::{admin::Admin, tls::Tls};
use crate::{
    engine::{call, call_optional, labels},
    error::{LastObservation, SandboxError},
    home::{Home, files},
    layout::Layout,
    machine::ports,
    progress::ProgressReporter,
    wait::wait_until,
};

/// The longest that Caddy may take from its start to its first answer.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// The label with the digest of everything that the container is made from.
const DIGEST_LABEL: &str = "taster.ingress";
/// The header of the ingress's own answers. Its value is `no-route`, `redirect`, `backend` when an app does not answer, or
/// `unsupported` when the labels ask for what the ingress cannot do.
pub const HEADER: &str = "taster-ingress";
/// The header of answers that the ingress passes on without all that the labels ask for. Its values name the rest.
pub const WITHOUT_HEADER: &str = "taster-ingress-without";

/// Starts the ingress, or replaces one with another layout, certificate or image. Returns whether it did.
pub(crate) async fn ensure(
    docker: &Docker,
    home: &Home,
    layout: &Layout,
    tls: &Tls,
    progress: &mut ProgressReporter<'_>,
) -> Result<bool, SandboxError> {
    let name = layout.ingress_name();
    let body = container::definition(docker, home, layout, tls).await?;
    let wanted = body.labels.as_ref().and_then(|labels| labels.get(DIGEST_LABEL)).cloned();
    if let Some(existing) = inspect(docker, &name).await? {
        if let Some(other) = other_home(&existing, home).filter(|other| other.exists()) {
            let by = format!("the container {name} of the sandbox in {}", other.display());
            return Err(SandboxError::PortTaken { address: layout.address.to_string(), port: layout.https, by });
        }
        let current = label(&existing, DIGEST_LABEL) == wanted.as_deref();
        let running = existing.state.as_ref().and_then(|state| state.running) == Some(true);
        if current && running {
            return Ok(false);
        }
        force_remove(docker, &name).await?;
    }
    check_ports(docker, layout).await?;
    let folder = home.ingress();
    std::fs::create_dir_all(&folder).map_err(|error| SandboxError::file(&folder, error))?;
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))
        .map_err(|error| SandboxError::file(&folder, error))?;
    files::replace(&folder.join("caddy.json"), container::caddy_config(layout, tls).to_string().as_bytes(), 0o600)?;
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    call("container create", docker.create_container(Some(options), body)).await?;
    call("container start", docker.start_container(&name, None)).await?;
    let admin = admin(home);
    wait_until("the ingress", START_TIMEOUT, async || Ok(admin.loaded().await.err().map(LastObservation::from))).await?;
    progress.report(format!("started the ingress on {}", layout.ingress_address()));
    Ok(true)
}

/// The ingress's admin interface.
pub(crate) fn admin(home: &Home) -> Admin {
    Admin::at(home.ingress().join("admin.sock"))
}

pub(crate) async fn inspect(docker: &Docker, name: &str) -> Result<Option<ContainerInspectResponse>, SandboxError> {
    call_optional("container inspect", docker.inspect_container(name, None)).await
}

/// Removes the ingress, if it belongs to this folder. Returns whether it did.
pub(crate) async fn remove(docker: &Docker, home: &Home, layout: &Layout) -> Result<bool, SandboxError> {
    let name = layout.ingress_name();
    match inspect(docker, &name).await? {
        Some(existing) if other_home(&existing, home).is_none() => force_remove(docker, &name).await,
        Some(_) | None => Ok(false),
    }
}

async fn force_remove(docker: &Docker, name: &str) -> Result<bool, SandboxError> {
    let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
    Ok(call_optional("container rm", docker.remove_container(name, Some(options))).await?.is_some())
}

fn label<'a>(container: &'a ContainerInspectResponse, name: &str) -> Option<&'a str> {
    container.config.as_ref()?.labels.as_ref()?.get(name).map(String::as_str)
}

/// The folder that the container belongs to; `None` when it is this one.
fn other_home(container: &ContainerInspectResponse, home: &Home) -> Option<PathBuf> {
    let other = PathBuf::from(label(container, labels::HOME)?);
    (std::fs::canonicalize(&other).unwrap_or(other.clone()) != home.canonical_root()).then_some(other)
}

/// Returns an error that names the user of a port of the ingress that is not free.
async fn check_ports(docker: &Docker, layout: &Layout) -> Result<(), SandboxError> {
    for port in [layout.http, layout.https] {
        let by = match publisher(docker, port).await? {
            Some(container) => Some(format!("the container {container}")),
            None => ports::blocker(layout.address, port),
        };
        if let Some(by) = by {
            return Err(SandboxError::PortTaken { address: layout.address.to_string(), port, by });
        }
    }
    Ok(())
}

/// The running container that publishes a port.
async fn publisher(docker: &Docker, port: u16) -> Result<Option<String>, SandboxError> {
    let containers = call("container ls", docker.list_containers(None::<ListContainersOptions>)).await?;
    let found = containers
        .into_iter()
        .find(|container| container.ports.iter().flatten().any(|published| published.public_port == Some(port)));
    Ok(found.and_then(|container| container.names?.pop()).map(|name| name.trim_start_matches('/').to_owned()))
}
