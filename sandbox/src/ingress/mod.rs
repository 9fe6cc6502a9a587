//! The ingress: Caddy in a plain container, with the sandbox's certificate and, at its start, no route.
//!
//! A plain container and no Swarm service, because only that can listen on chosen addresses, have an address of its own and
//! join the networks of apps while it runs.

mod admin;
pub mod agent;
pub mod routes;
pub(crate) mod tls;

use std::{
    collections::HashMap,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use bollard::{
    Docker,
    models::{
        ContainerCreateBody, ContainerInspectResponse, EndpointIpamConfig, EndpointSettings, HostConfig, NetworkingConfig,
        PortBinding, RestartPolicy, RestartPolicyNameEnum,
    },
    query_parameters::{CreateContainerOptionsBuilder, ListContainersOptions, RemoveContainerOptions},
};
use serde_json::{Value, json};

use self::{admin::Admin, tls::Tls};
use crate::{
    embedded::digest,
    engine::{answer, found, labels, swarm},
    error::{LastObservation, SandboxError},
    home::{Home, files},
    images,
    layout::Layout,
    machine::ports,
    progress::Teller,
};

/// How long Caddy may take to answer after its start.
const START: Duration = Duration::from_secs(20);
/// The label with the digest of all that the container was made from.
const DIGEST_LABEL: &str = "taster.ingress";
/// The header of the ingress's own answers: `no-route`, or `backend` when an app does not answer.
pub const HEADER: &str = "taster-ingress";

/// Makes sure that the ingress runs, as the layout and the certificate say. Says whether it was started.
pub(crate) async fn ensure(
    docker: &Docker,
    home: &Home,
    layout: &Layout,
    tls: &Tls,
    teller: &mut Teller<'_>,
) -> Result<bool, SandboxError> {
    let name = layout.ingress_name();
    let body = container(docker, home, layout, tls).await?;
    let wanted = body.labels.as_ref().and_then(|labels| labels.get(DIGEST_LABEL)).cloned();
    if let Some(there) = inspect(docker, &name).await? {
        if let Some(other) = other_home(&there, home).filter(|other| other.exists()) {
            let by = format!("the container {name} of the sandbox in {}", other.display());
            return Err(SandboxError::PortTaken { address: layout.address.to_string(), port: layout.https, by });
        }
        let current = label(&there, DIGEST_LABEL) == wanted.as_deref();
        let running = there.state.as_ref().and_then(|state| state.running) == Some(true);
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
    files::replace(&folder.join("caddy.json"), config(layout, tls).to_string().as_bytes(), 0o600)?;
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    answer("container create", docker.create_container(Some(options), body)).await?;
    answer("container start", docker.start_container(&name, None)).await?;
    wait(&admin(home)).await?;
    teller.say(format!("started the ingress on {}", layout.ingress_address()));
    Ok(true)
}

/// The ingress's admin interface.
pub(crate) fn admin(home: &Home) -> Admin {
    Admin::at(home.ingress().join("admin.sock"))
}

pub(crate) async fn inspect(docker: &Docker, name: &str) -> Result<Option<ContainerInspectResponse>, SandboxError> {
    found("container inspect", docker.inspect_container(name, None)).await
}

/// Removes the ingress, if it is there and this folder's.
pub(crate) async fn remove(docker: &Docker, home: &Home, layout: &Layout) -> Result<bool, SandboxError> {
    let name = layout.ingress_name();
    match inspect(docker, &name).await? {
        Some(there) if other_home(&there, home).is_none() => force_remove(docker, &name).await,
        Some(_) | None => Ok(false),
    }
}

async fn force_remove(docker: &Docker, name: &str) -> Result<bool, SandboxError> {
    let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
    Ok(found("container rm", docker.remove_container(name, Some(options))).await?.is_some())
}

fn label<'a>(container: &'a ContainerInspectResponse, name: &str) -> Option<&'a str> {
    container.config.as_ref()?.labels.as_ref()?.get(name).map(String::as_str)
}

/// The folder that the container belongs to, when that is not this one.
fn other_home(container: &ContainerInspectResponse, home: &Home) -> Option<PathBuf> {
    let other = PathBuf::from(label(container, labels::HOME)?);
    (std::fs::canonicalize(&other).unwrap_or(other.clone()) != home.canonical()).then_some(other)
}

async fn wait(admin: &Admin) -> Result<(), SandboxError> {
    let started = Instant::now();
    loop {
        let last = match admin.loaded().await {
            Ok(_) => return Ok(()),
            Err(error) => LastObservation::Failure(Box::new(error)),
        };
        if started.elapsed() > START {
            return Err(SandboxError::NotReady { what: "the ingress".into(), after: START, source: last });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What Caddy reads at its start. Routes come later, from the agent, and are not kept over a restart.
fn config(layout: &Layout, tls: &Tls) -> Value {
    let redirect = if layout.https == 443 {
        "https://{http.request.host}{http.request.uri}".to_owned()
    } else {
        format!("https://{{http.request.host}}:{}{{http.request.uri}}", layout.https)
    };
    // Without a last route of ours Caddy answers an unknown host with 200 and nothing.
    let no_route = json!({ "handle": [{
        "handler": "static_response", "status_code": "404", "headers": { HEADER: ["no-route"] },
        "body": "The ingress has no route for {http.request.host}.\n",
    }] });
    let backend = json!({ "handle": [{
        "handler": "static_response", "status_code": "{http.error.status_code}", "headers": { HEADER: ["backend"] },
        "body": "The app behind {http.request.host} does not answer: {http.error.message}\n",
    }] });
    json!({
        "admin": { "listen": "unix//run/ingress/admin.sock", "origins": ["taster"], "config": { "persist": false } },
        "apps": {
            "tls": { "certificates": { "load_pem": [{ "certificate": tls.leaf, "key": tls.leaf_key }] } },
            "http": { "servers": {
                "https": {
                    "listen": [":443"], "protocols": ["h1", "h2"], "automatic_https": { "disable": true },
                    "tls_connection_policies": [{ "default_sni": layout.zone }],
                    "routes": [no_route], "errors": { "routes": [backend] },
                },
                "http": {
                    "listen": [":80"], "protocols": ["h1"], "automatic_https": { "disable": true },
                    "routes": [{ "handle": [{
                        "handler": "static_response", "status_code": "308", "headers": { "Location": [redirect], HEADER: ["redirect"] },
                    }] }],
                },
            } },
        },
    })
}

async fn container(docker: &Docker, home: &Home, layout: &Layout, tls: &Tls) -> Result<ContainerCreateBody, SandboxError> {
    let gateway = if layout.gateway { gateway(docker).await? } else { None };
    let addresses: Vec<String> = [layout.address.to_string()].into_iter().chain(gateway).collect();
    let publish = |inside: u16, outside: u16| {
        let bindings = addresses
            .iter()
            .map(|address| PortBinding { host_ip: Some(address.clone()), host_port: Some(outside.to_string()) })
            .collect::<Vec<_>>();
        (format!("{inside}/tcp"), Some(bindings))
    };
    // The ingress has an address of its own where the network is of our making; in a network of others it takes any.
    let own = swarm::network(docker, &layout.network).await?.is_some_and(|network| {
        let subnets = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        subnets.iter().any(|config| config.subnet.as_deref() == Some(&layout.subnet) && config.ip_range.is_some())
    });
    let address = EndpointIpamConfig { ipv4_address: Some(layout.ingress.to_string()), ..EndpointIpamConfig::default() };
    let endpoint = EndpointSettings { ipam_config: own.then_some(address), ..EndpointSettings::default() };
    let folder = home.canonical().join("ingress");
    let user = format!("{}:{}", rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let host = HostConfig {
        binds: Some(vec![format!("{}:/run/ingress", folder.display())]),
        network_mode: Some(layout.network.clone()),
        port_bindings: Some(HashMap::from([publish(443, layout.https), publish(80, layout.http)])),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::UNLESS_STOPPED), ..RestartPolicy::default() }),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(vec!["NET_BIND_SERVICE".into()]),
        security_opt: Some(vec!["no-new-privileges".into()]),
        tmpfs: Some(HashMap::from([("/data".to_owned(), "mode=1777".to_owned())])),
        ..HostConfig::default()
    };
    let mut body = ContainerCreateBody {
        image: Some(images::caddy()),
        cmd: Some(["caddy", "run", "--config", "/run/ingress/caddy.json"].map(str::to_owned).to_vec()),
        env: Some(["HOME=/data", "XDG_DATA_HOME=/data", "XDG_CONFIG_HOME=/data"].map(str::to_owned).to_vec()),
        // The socket lies in a folder that only the user who runs taster may enter.
        user: Some(user),
        exposed_ports: Some(vec!["443/tcp".into(), "80/tcp".into()]),
        host_config: Some(host),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(layout.network.clone(), endpoint)])) }),
        ..ContainerCreateBody::default()
    };
    let image =
        found("image inspect", docker.inspect_image(&images::caddy())).await?.and_then(|image| image.id).unwrap_or_default();
    let mut made_from = image;
    canonical(&serde_json::to_value(&body).unwrap_or_default(), &mut made_from);
    canonical(&config(layout, tls), &mut made_from);
    let digest = digest([made_from.as_bytes()]);
    let mut own = labels::all();
    own.insert(DIGEST_LABEL.to_owned(), digest);
    own.insert(labels::HOME.to_owned(), home.canonical().display().to_string());
    body.labels = Some(own);
    Ok(body)
}

/// A JSON value with its keys sorted: those of a hash map come in another order each time.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort();
            for key in keys {
                out.push_str(key);
                out.push('{');
                canonical(&object[key], out);
                out.push('}');
            }
        }
        Value::Array(items) => items.iter().for_each(|item| canonical(item, out)),
        other => out.push_str(&format!("{other};")),
    }
}

/// The address by which containers reach the machine.
async fn gateway(docker: &Docker) -> Result<Option<String>, SandboxError> {
    let network = swarm::network(docker, "docker_gwbridge").await?;
    let configs = network.and_then(|network| network.ipam).and_then(|ipam| ipam.config).unwrap_or_default();
    Ok(configs.into_iter().find_map(|config| config.gateway))
}

/// Whether the ports are free, and if not, who has them.
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
    let containers = answer("container ls", docker.list_containers(None::<ListContainersOptions>)).await?;
    let found = containers
        .into_iter()
        .find(|container| container.ports.iter().flatten().any(|published| published.public_port == Some(port)));
    Ok(found.and_then(|container| container.names?.pop()).map(|name| name.trim_start_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_makes_no_difference() {
        let text = |json: &str| {
            let mut out = String::new();
            canonical(&serde_json::from_str(json).unwrap(), &mut out);
            out
        };
        assert_eq!(text(r#"{"a":1,"b":{"c":[1,2],"d":null}}"#), text(r#"{"b":{"d":null,"c":[1,2]},"a":1}"#));
        assert_ne!(text(r#"{"a":1}"#), text(r#"{"a":2}"#));
        assert_ne!(text(r#"{"a":{"b":1}}"#), text(r#"{"a":1,"b":1}"#));
    }
}
