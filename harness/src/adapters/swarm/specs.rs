//! The specs of a stack in the engine's own JSON, with nothing left out that the library does not know.

use std::{collections::HashMap, path::Path};

use serde_json::Value;

use super::{observe::NAMESPACE, raw};
use crate::{
    model::{engine::SwarmError, names::StackName},
    pure::recipe::power::Live,
};

/// What the engine has of a stack.
pub(super) async fn specs(socket: &Path, stack: &StackName) -> Result<Live, SwarmError> {
    let of_stack = HashMap::from([("label".to_owned(), vec![format!("{NAMESPACE}={stack}")])]);
    let (services, networks, volumes) = tokio::try_join!(
        raw::services(socket, Some(&of_stack)),
        raw::list(socket, "networks", "/networks"),
        raw::list(socket, "volumes", "/volumes"),
    )?;
    let items = |value: Value| if let Value::Array(items) = value { items } else { Vec::new() };
    Ok(Live {
        services: services.into_iter().map(|service| service.spec).collect(),
        networks: items(networks),
        volumes: items(volumes["Volumes"].clone()),
    })
}
