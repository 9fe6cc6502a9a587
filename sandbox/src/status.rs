//! The state of each part of the sandbox, read without changing anything.

use bollard::Docker;

use crate::{
    backup, engine,
    engine::{call, swarm},
    error::SandboxError,
    home::Home,
    images, ingress,
    ingress::agent,
    layout::Layout,
};

/// One line of `taster sandbox status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartStatus {
    /// The part: `engine`, `ingress` …, or `warning`.
    pub name: &'static str,
    /// Whether it exists and works.
    pub ok: bool,
    /// Its version, address or id; `none` when it does not exist.
    pub detail: String,
}

impl PartStatus {
    fn new(name: &'static str, ok: bool, detail: impl Into<String>) -> Self {
        Self { name, ok, detail: detail.into() }
    }

    /// A part with the detail `none` when it is absent.
    fn optional(name: &'static str, detail: Option<String>) -> Self {
        Self::new(name, detail.is_some(), detail.unwrap_or_else(|| "none".into()))
    }
}

/// The state of each part. Without an engine it is the only one.
pub async fn status(home: &Home) -> Result<Vec<PartStatus>, SandboxError> {
    let layout = home.layout();
    let docker = match engine::connect(&layout) {
        Ok(docker) => docker,
        Err(error) => return Ok(vec![PartStatus::new("engine", false, error.with_causes())]),
    };
    let mut parts = engine_parts(&docker, &layout, home).await?;
    parts.push(ingress_part(&docker, &layout).await?);
    parts.extend(agent_parts(home));
    let backup = backup::is_running(&docker, &layout).await?;
    parts.push(PartStatus::optional("backup", backup.then(|| layout.backup_name())));
    let images = images::list_own(&docker).await?;
    parts.push(PartStatus::optional("images", (!images.is_empty()).then(|| images.join(", "))));
    let capabilities = home.capabilities();
    let yes_no = |there: bool| if there { "yes" } else { "no" };
    let detail = format!("IPVS {}, registry {}", yes_no(capabilities.ipvs), yes_no(capabilities.registry));
    parts.push(PartStatus::new("machine", home.is_probed(), detail));
    let host_file = home.host_file();
    parts.push(PartStatus::new("host file", host_file.exists(), host_file.display().to_string()));
    Ok(parts)
}

/// Engine, Swarm and network, each with a note when taster created it.
async fn engine_parts(docker: &Docker, layout: &Layout, home: &Home) -> Result<Vec<PartStatus>, SandboxError> {
    let created = home.created();
    let version = call("version", docker.version()).await?.version.unwrap_or_default();
    let started = created.dockerd.as_ref().is_some_and(|process| process.is_alive());
    let note = match home.engine_line() {
        _ if !started => "",
        Some(_) => ", built and started by taster",
        None => ", started by taster",
    };
    let engine = PartStatus::new("engine", true, format!("{version} at {}{note}", layout.engine.display()));
    let made_by = |id: &String, own: &Option<String>| if Some(id) == own.as_ref() { ", made by taster" } else { "" };
    let swarm = call("info", docker.info()).await?.swarm.and_then(|swarm| swarm.cluster).and_then(|cluster| cluster.id);
    let swarm = swarm.map(|id| format!("{id}{}", made_by(&id, &created.swarm)));
    let network = swarm::network(docker, &layout.network).await?.and_then(|network| network.id);
    let network = network.map(|id| format!("{}{}", layout.network, made_by(&id, &created.network)));
    Ok(vec![engine, PartStatus::optional("swarm", swarm), PartStatus::optional("network", network)])
}

async fn ingress_part(docker: &Docker, layout: &Layout) -> Result<PartStatus, SandboxError> {
    let running = ingress::inspect(docker, &layout.ingress_name()).await?.and_then(|container| container.state?.running);
    let detail = match running {
        Some(true) => format!("https://*.{} at {}", layout.zone, layout.ingress_address()),
        Some(false) => "stopped".into(),
        None => "none".into(),
    };
    Ok(PartStatus::new("ingress", running == Some(true), detail))
}

/// The agent, and each of its warnings.
fn agent_parts(home: &Home) -> Vec<PartStatus> {
    let Some(agent) = agent::running(home) else { return vec![PartStatus::optional("agent", None)] };
    let pid = agent.process.map_or(0, |process| process.pid);
    let state = PartStatus::new("agent", true, format!("process {pid}, {} routes", agent.routes));
    let warnings = agent.warnings.into_iter().map(|warning| PartStatus::new("warning", false, warning));
    [state].into_iter().chain(warnings).collect()
}
