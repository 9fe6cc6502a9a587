//! What of the sandbox is there.

use crate::{backup, engine, engine::swarm, error::SandboxError, home::Home, images, ingress, ingress::agent};

/// One line of `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is about: `engine`, `ingress`.
    pub name: &'static str,
    /// Whether it is there and as it should be.
    pub there: bool,
    /// What there is to say of it.
    pub what: String,
}

/// What of the sandbox is there. It changes nothing.
pub async fn status(home: &Home) -> Result<Vec<Part>, SandboxError> {
    let layout = home.layout();
    let part = |name, there, what: String| Part { name, there, what };
    let docker = match engine::connect(&layout) {
        Ok(docker) => docker,
        Err(error) => return Ok(vec![part("engine", false, error.with_causes())]),
    };
    let version = engine::answer("version", docker.version()).await?.version.unwrap_or_default();
    let made = home.made();
    let by_us = |ours: bool| if ours { ", made by taster" } else { "" };
    let started = if made.dockerd.is_some_and(|process| process.alive()) { ", started by taster" } else { "" };
    let mut parts = vec![part("engine", true, format!("{version} at {}{started}", layout.engine.display()))];
    let info = engine::answer("info", docker.info()).await?;
    let cluster = info.swarm.and_then(|swarm| swarm.cluster).and_then(|cluster| cluster.id);
    let ours = cluster.is_some() && cluster == made.swarm;
    parts.push(part("swarm", cluster.is_some(), cluster.map_or("none".into(), |id| format!("{id}{}", by_us(ours)))));
    let network = swarm::network(&docker, &layout.network).await?.and_then(|network| network.id);
    let ours = network.is_some() && network == made.network;
    let what = network.as_ref().map_or("none".into(), |_| format!("{}{}", layout.network, by_us(ours)));
    parts.push(part("network", network.is_some(), what));
    let running = ingress::inspect(&docker, &layout.ingress_name()).await?.and_then(|found| found.state?.running);
    let what = match running {
        Some(true) => format!("https://*.{} at {}", layout.zone, layout.ingress_address()),
        Some(false) => "stopped".into(),
        None => "none".into(),
    };
    parts.push(part("ingress", running == Some(true), what));
    match agent::alive(home) {
        Some(agent) => {
            let pid = agent.process.map_or(0, |process| process.pid);
            parts.push(part("agent", true, format!("process {pid}, {} routes", agent.routes)));
            parts.extend(agent.warnings.into_iter().map(|warning| part("warning", false, warning)));
        }
        None => parts.push(part("agent", false, "none".into())),
    }
    let running = backup::running(&docker, &layout).await?;
    parts.push(part("backup", running, if running { layout.backup_name() } else { "none".into() }));
    let images = images::ours(&docker).await?;
    parts.push(part("images", !images.is_empty(), if images.is_empty() { "none".into() } else { images.join(", ") }));
    let machine = home.machine();
    let has = |there: bool| if there { "yes" } else { "no" };
    parts.push(part("machine", home.looked(), format!("IPVS {}, registry {}", has(machine.ipvs), has(machine.registry))));
    let host = home.host_file();
    parts.push(part("host file", host.exists(), host.display().to_string()));
    Ok(parts)
}
