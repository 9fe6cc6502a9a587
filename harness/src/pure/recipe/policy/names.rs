//! Names that exceed the limits of Docker or abra.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    model::names::{SECRET_LIMIT, SERVICE_LIMIT, STACK_LIMIT},
    pure::recipe::compose::Resolved,
};

/// The kind of a named object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    /// The stack.
    Stack,
    /// A service.
    Service,
    /// A secret.
    Secret,
    /// A config.
    Config,
}

impl Named {
    /// The maximum number of characters of its name.
    pub fn limit(self) -> usize {
        match self {
            Self::Stack => STACK_LIMIT,
            Self::Service => SERVICE_LIMIT,
            Self::Secret | Self::Config => SECRET_LIMIT,
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stack => "stack",
            Self::Service => "service",
            Self::Secret => "secret",
            Self::Config => "config",
        })
    }
}

/// A name that is too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameFlaw {
    /// The kind of the object.
    pub kind: Named,
    /// The name.
    pub name: String,
}

impl fmt::Display for NameFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name } = self;
        write!(f, "the {kind} would be named {name}, which has {} characters of at most {}", name.len(), kind.limit())
    }
}

/// The names of an app that are too long.
pub fn name_flaws(resolved: &Resolved) -> Vec<NameFlaw> {
    let stack = [(Named::Stack, resolved.stack.as_str())];
    let services = resolved.services.values().map(|service| (Named::Service, service.name.as_str()));
    let secrets = resolved.secrets.values().map(|secret| (Named::Secret, secret.name.as_str()));
    let configs = resolved.configs.values().map(|config| (Named::Config, config.name.as_str()));
    let all = stack.into_iter().chain(services).chain(secrets).chain(configs);
    let long = all.filter(|(kind, name)| name.len() > kind.limit());
    long.map(|(kind, name)| NameFlaw { kind, name: name.to_owned() }).collect()
}
