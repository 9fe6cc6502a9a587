//! The container of the ingress: its definition for the engine, and the configuration of the Caddy in it.

use std::collections::HashMap;

use bollard::{
    Docker,
    models::{
        ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, NetworkingConfig, PortBinding, RestartPolicy,
        RestartPolicyNameEnum,
    },
};
use serde_json::{Value, json};

use super::{DIGEST_LABEL, HEADER, tls::Tls};
use crate::{
    embedded::digest,
    engine::{call_optional, labels, swarm},
    error::SandboxError,
    home::Home,
    images,
    layout::Layout,
};

/// The definition of the container. Its label [`DIGEST_LABEL`] is a digest of image, definition and configuration.
pub(super) async fn definition(
    docker: &Docker,
    home: &Home,
    layout: &Layout,
    tls: &Tls,
) -> Result<ContainerCreateBody, SandboxError> {
    let gateway = if layout.gateway { gateway(docker).await? } else { None };
    let addresses: Vec<String> = [layout.address.to_string()].into_iter().chain(gateway).collect();
    let endpoint = EndpointSettings { ipam_config: fixed_address(docker, layout).await?, ..EndpointSettings::default() };
    let user = format!("{}:{}", rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let body = ContainerCreateBody {
        image: Some(images::caddy()),
        cmd: Some(["caddy", "run", "--config", "/run/ingress/caddy.json"].map(str::to_owned).to_vec()),
        env: Some(["HOME=/data", "XDG_DATA_HOME=/data", "XDG_CONFIG_HOME=/data"].map(str::to_owned).to_vec()),
        // The socket is in a folder that only the user of taster may enter.
        user: Some(user),
        exposed_ports: Some(vec!["443/tcp".into(), "80/tcp".into()]),
        host_config: Some(host_config(home, layout, &addresses)),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(layout.network.clone(), endpoint)])) }),
        ..ContainerCreateBody::default()
    };
    let image = call_optional("image inspect", docker.inspect_image(&images::caddy())).await?;
    let mut source = image.and_then(|image| image.id).unwrap_or_default();
    append_canonical(&serde_json::to_value(&body).unwrap_or_default(), &mut source);
    append_canonical(&caddy_config(layout, tls), &mut source);
    let mut own_labels = labels::base();
    own_labels.insert(DIGEST_LABEL.to_owned(), digest([source.as_bytes()]));
    own_labels.insert(labels::HOME.to_owned(), home.canonical_root().display().to_string());
    Ok(ContainerCreateBody { labels: Some(own_labels), ..body })
}

/// Rights, ports and mounts of the container. `addresses` are those of the machine on which its ports are published.
fn host_config(home: &Home, layout: &Layout, addresses: &[String]) -> HostConfig {
    let publish = |inside: u16, outside: u16| {
        let bindings = addresses
            .iter()
            .map(|address| PortBinding { host_ip: Some(address.clone()), host_port: Some(outside.to_string()) })
            .collect::<Vec<_>>();
        (format!("{inside}/tcp"), Some(bindings))
    };
    HostConfig {
        binds: Some(vec![format!("{}:/run/ingress", home.canonical_root().join("ingress").display())]),
        network_mode: Some(layout.network.clone()),
        port_bindings: Some(HashMap::from([publish(443, layout.https), publish(80, layout.http)])),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::UNLESS_STOPPED), ..RestartPolicy::default() }),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(vec!["NET_BIND_SERVICE".into()]),
        security_opt: Some(vec!["no-new-privileges".into()]),
        tmpfs: Some(HashMap::from([("/data".to_owned(), "mode=1777".to_owned())])),
        ..HostConfig::default()
    }
}

/// The fixed address of the ingress, if the network has the sandbox's subnet; in another network it gets any address.
async fn fixed_address(docker: &Docker, layout: &Layout) -> Result<Option<EndpointIpamConfig>, SandboxError> {
    let network = swarm::network(docker, &layout.network).await?;
    let subnets = network.and_then(|network| network.ipam).and_then(|ipam| ipam.config).unwrap_or_default();
    let is_own = subnets.iter().any(|config| config.subnet.as_deref() == Some(&layout.subnet) && config.ip_range.is_some());
    let address = EndpointIpamConfig { ipv4_address: Some(layout.ingress.to_string()), ..EndpointIpamConfig::default() };
    Ok(is_own.then_some(address))
}

/// The address by which containers reach the machine.
async fn gateway(docker: &Docker) -> Result<Option<String>, SandboxError> {
    let network = swarm::network(docker, "docker_gwbridge").await?;
    let configs = network.and_then(|network| network.ipam).and_then(|ipam| ipam.config).unwrap_or_default();
    Ok(configs.into_iter().find_map(|config| config.gateway))
}

/// The configuration of Caddy at its start. The agent adds the routes, and a restart forgets them.
pub(super) fn caddy_config(layout: &Layout, tls: &Tls) -> Value {
    let redirect = if layout.https == 443 {
        "https://{http.request.host}{http.request.uri}".to_owned()
    } else {
        format!("https://{{http.request.host}}:{}{{http.request.uri}}", layout.https)
    };
    // Without a last route, Caddy answers an unknown host with 200 and an empty body.
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
                        "handler": "static_response", "status_code": "308",
                        "headers": { "Location": [redirect], HEADER: ["redirect"] },
                    }] }],
                },
            } },
        },
    })
}

/// Appends a JSON value with its keys sorted. The keys of a hash map have another order each time.
fn append_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort();
            for key in keys {
                out.push_str(key);
                out.push('{');
                append_canonical(&object[key], out);
                out.push('}');
            }
        }
        Value::Array(items) => items.iter().for_each(|item| append_canonical(item, out)),
        other => out.push_str(&format!("{other};")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form_does_not_depend_on_key_order() {
        let text = |json: &str| {
            let mut out = String::new();
            append_canonical(&serde_json::from_str(json).unwrap(), &mut out);
            out
        };
        assert_eq!(text(r#"{"a":1,"b":{"c":[1,2],"d":null}}"#), text(r#"{"b":{"d":null,"c":[1,2]},"a":1}"#));
        assert_ne!(text(r#"{"a":1}"#), text(r#"{"a":2}"#));
        assert_ne!(text(r#"{"a":{"b":1}}"#), text(r#"{"a":1,"b":1}"#));
    }
}
