//! Networks, volumes, secrets and configs with their names on the Swarm.

use std::collections::BTreeMap;

use super::{
    env::{Env, Modifiers},
    error::Unresolved,
    fields::Fields,
    load::{Loaded, Section},
    resolved::{Config, Network, Secret, Skipped, Volume},
    tree::{FoundPath, Tree},
};
use crate::model::names::StackName;

/// The declared objects that services may use.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) networks: BTreeMap<String, Network>,
    pub(super) volumes: BTreeMap<String, Volume>,
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) configs: BTreeMap<String, Config>,
    /// The folder to which paths are relative.
    pub(super) folder: String,
}

impl Objects {
    pub(super) fn of(
        loaded: &mut Loaded,
        tree: &Tree,
        env: &Env,
        stack: &StackName,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Self, Unresolved> {
        let mut objects = Self { folder: loaded.folder.clone(), ..Self::default() };
        for (key, mut fields) in section(loaded, "networks") {
            let network = network(&key, &mut fields, stack, skipped)?;
            fields.rest(skipped);
            objects.networks.insert(key, network);
        }
        for (key, mut fields) in section(loaded, "volumes") {
            let volume = volume(&key, &mut fields, stack)?;
            fields.rest(skipped);
            objects.volumes.insert(key, volume);
        }
        for (key, mut fields) in section(loaded, "configs") {
            let config = config(&key, &mut fields, stack, tree)?;
            fields.rest(skipped);
            objects.configs.insert(key, config);
        }
        for (key, mut fields) in section(loaded, "secrets") {
            let raw = loaded.raw_secrets.get(&key).map_or("", String::as_str);
            let modifiers = env.modifiers().find(|(variable, _)| raw.contains(variable)).map(|(_, modifiers)| modifiers.clone());
            let secret = secret(&key, &mut fields, stack, tree, modifiers.unwrap_or_default())?;
            fields.rest(skipped);
            objects.secrets.insert(key, secret);
        }
        Ok(objects)
    }
}

fn section(loaded: &mut Loaded, name: &'static str) -> Vec<(String, Fields)> {
    let objects: Section = loaded.sections.remove(name).unwrap_or_default();
    objects
        .into_iter()
        .map(|(key, node)| {
            let path = format!("{name}.{key}");
            (key, Fields::of(node, path))
        })
        .collect()
}

/// Whether an object is external, and its name on the Swarm.
fn named(key: &str, fields: &mut Fields, stack: &StackName) -> (bool, String) {
    (fields.truth("external"), fields.text("name").unwrap_or_else(|| format!("{stack}_{key}")))
}

fn network(key: &str, fields: &mut Fields, stack: &StackName, skipped: &mut Vec<Skipped>) -> Result<Network, Unresolved> {
    let (external, name) = named(key, fields, stack);
    let mut ipam = fields.object("ipam");
    let mut subnets = Vec::new();
    for mut pool in ipam.objects("config") {
        subnets.extend(pool.text("subnet"));
        pool.rest(skipped);
    }
    let network = Network {
        name,
        external,
        driver: fields.text("driver"),
        driver_opts: fields.pairs("driver_opts"),
        attachable: fields.truth("attachable"),
        internal: fields.truth("internal"),
        subnets,
        ipam_driver: ipam.text("driver"),
        labels: fields.pairs("labels"),
    };
    ipam.rest(skipped);
    Ok(network)
}

fn volume(key: &str, fields: &mut Fields, stack: &StackName) -> Result<Volume, Unresolved> {
    let (external, name) = named(key, fields, stack);
    let volume = Volume {
        name,
        external,
        driver: fields.text("driver"),
        driver_opts: fields.pairs("driver_opts"),
        labels: fields.pairs("labels"),
    };
    Ok(volume)
}

/// The file of a secret or config. Its text is known only for a file of the recipe.
fn file(fields: &mut Fields, external: bool, tree: &Tree) -> Result<(Option<String>, Option<String>), Unresolved> {
    let path = fields.path("file");
    let Some(file) = fields.text("file").filter(|_| !external) else { return Ok((None, None)) };
    match tree.find(&file) {
        FoundPath::Text(text) => Ok((Some(file), Some(text.to_owned()))),
        FoundPath::Opaque(_) | FoundPath::Outside => Ok((Some(file), None)),
        FoundPath::Absent | FoundPath::Folder => Err(Unresolved::NoFile { path, file }),
    }
}

fn config(key: &str, fields: &mut Fields, stack: &StackName, tree: &Tree) -> Result<Config, Unresolved> {
    let (external, name) = named(key, fields, stack);
    let (file, content) = file(fields, external, tree)?;
    Ok(Config { name, external, file, content, template_driver: fields.text("template_driver") })
}

fn secret(key: &str, fields: &mut Fields, stack: &StackName, tree: &Tree, modifiers: Modifiers) -> Result<Secret, Unresolved> {
    let (external, name) = named(key, fields, stack);
    let (file, _) = file(fields, external, tree)?;
    Ok(Secret { name, external, file, template_driver: fields.text("template_driver"), modifiers, used: false })
}
