//! What the engine has of a stack, in its own JSON.

use std::collections::BTreeMap;

use serde_json::Value;

/// The specs of a stack's services, and all networks and volumes of the engine, so that what the services name can be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Live {
    /// The specs of the services.
    pub services: Vec<Value>,
    /// The networks.
    pub networks: Vec<Value>,
    /// The volumes of the engine's node.
    pub volumes: Vec<Value>,
}

impl Live {
    /// The spec of a service.
    pub fn service(&self, name: &str) -> Option<&Value> {
        self.services.iter().find(|spec| spec["Name"] == name)
    }

    /// A network by its name.
    pub fn network(&self, name: &str) -> Option<&Value> {
        self.networks.iter().find(|network| network["Name"] == name)
    }

    /// The name of a network that a spec names by its id or its name.
    pub fn network_name(&self, target: &str) -> Option<&str> {
        let found = self.networks.iter().find(|network| network["Id"] == target || network["Name"] == target)?;
        found["Name"].as_str()
    }

    /// The volumes by their names.
    pub fn volumes(&self) -> BTreeMap<&str, &Value> {
        self.volumes.iter().filter_map(|volume| Some((volume["Name"].as_str()?, volume))).collect()
    }
}
