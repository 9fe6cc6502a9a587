//! Resolver of a recipe's compose files, with the semantics of abra and docker/cli.
//!
//! Files come as a [`Tree`], variables as an [`Env`]. [`resolve`] derives the objects that Swarm gets, with their names, and
//! lists the keys that it does not model. [`compare_with_services`] compares the result with the running services.
//!
//! The rules are those of docker/cli's loader for stacks, including its oddities, because that loader decides what is deployed.
//! `docs/decisions/compose.md` lists the oddities.

mod canon;
mod config;
mod env;
mod error;
mod fields;
mod fill;
mod load;
mod merge;
mod objects;
mod resolved;
mod schema;
mod secrets;
mod services;
mod shape;
mod short;
mod tree;
mod units;
mod verify;
mod without_variables;
mod yaml;

use std::collections::BTreeMap;

pub use config::{MergedFiles, config};
pub use env::{Assignment, BadEnv, Env, EnvFault, Modifiers, Setting, Uneditable, assignments, edit, exports, is_secret_version};
pub use error::{Position, Unresolved};
pub use fill::{Flaw, fill};
pub use resolved::{
    Attachment, Config, Mount, Mounted, Network, Port, PortMode, Resolved, Resources, Secret, Service, Skipped, Use, Volume,
};
pub use secrets::WantedSecret;
pub use tree::{Entry, FoundPath, Tree, TreeDifference};
pub use verify::{Difference, Kernel, compare_with_services};
pub use without_variables::{WithVariables, plain, without_variables};

use self::{fields::Fields, objects::Objects, services::DEFAULT_NETWORK};
use crate::model::names::StackName;

/// Resolves the files of `tree` with the variables of `env` as the stack `stack`.
pub fn resolve(tree: &Tree, env: &Env, stack: &StackName) -> Result<Resolved, Unresolved> {
    let variables = load::variables(tree, env, stack);
    let mut loaded = load::load(tree, &variables)?;
    let mut skipped: Vec<Skipped> =
        loaded.extensions.keys().map(|key| Skipped { path: key.clone(), value: String::new() }).collect();
    let mut objects = Objects::of(&mut loaded, tree, env, stack, &mut skipped)?;
    let mut services = BTreeMap::new();
    for (short, node) in loaded.sections.remove("services").unwrap_or_default() {
        let fields = Fields::of(node, format!("services.{short}"));
        let service = services::service(&short, fields, stack, &objects, &mut skipped)?;
        services.insert(short, service);
    }
    for service in services.values() {
        for used in &service.secrets {
            objects.secrets.entry(used.source.clone()).and_modify(|secret| secret.used = true);
        }
        if let Some(default) = service.networks.iter().find(|attachment| attachment.network == DEFAULT_NETWORK) {
            let name = default.name.clone();
            objects.networks.entry(DEFAULT_NETWORK.to_owned()).or_insert_with(|| Network::implicit(name));
        }
    }
    skipped.sort();
    let Objects { networks, volumes, secrets, configs, .. } = objects;
    let version = loaded.version.and_then(|version| version.printed()).unwrap_or_default();
    Ok(Resolved { stack: stack.clone(), version, services, networks, volumes, secrets, configs, skipped })
}
