//! The engine's description of itself.

use bollard::{Docker, models::LocalNodeState};

use super::call::answer;
use crate::model::{
    engine::{Engine, SwarmError},
    time::Wall,
};

pub(super) async fn host(docker: &Docker) -> Result<Engine, SwarmError> {
    let (version, info) = tokio::try_join!(answer("version", docker.version()), answer("info", docker.info()))?;
    let swarm = info.swarm.unwrap_or_default();
    let active = swarm.local_node_state == Some(LocalNodeState::ACTIVE);
    Ok(Engine {
        version: version.version.unwrap_or_default(),
        api: version.api_version.unwrap_or_default(),
        swarm: swarm.cluster.and_then(|cluster| cluster.id).and_then(|id| id.parse().ok()),
        worker: active && swarm.control_available != Some(true),
        rootless: info.security_options.unwrap_or_default().iter().any(|option| option.contains("rootless")),
        machine: info.name.unwrap_or_default(),
        kernel: info.kernel_version.unwrap_or_default(),
        memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()),
        cpus: info.ncpu.and_then(|number| u64::try_from(number).ok()),
        root: info.docker_root_dir.unwrap_or_default().into(),
        nodes: swarm.nodes.and_then(|nodes| u64::try_from(nodes).ok()).unwrap_or_default(),
        clock: info.system_time.and_then(|time| Wall::try_from(time).ok()),
    })
}
