//! Markers: configs on the Swarm that show other machines which run a stack belongs to.
//!
//! A journal is on one machine, and a Swarm can be reached from many. A janitor that finds a marker without a journal of its run
//! leaves the run alone until the marker expires, and then takes the claims from its labels.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    model::{
        names::{BadName, RunId, StackName, SwarmId},
        object::ObjectKind,
        time::Wall,
    },
    pure::host::{
        claim::{Claim, ClaimPlace, Claimed, MARKER_PREFIX, marker_name},
        inventory::{Inventory, Object},
    },
};

/// The label that makes a config a marker, also under another name.
const RUN: &str = "taster.run";
const STACK: &str = "taster.stack";
const SWARM: &str = "taster.swarm";
const INSTANCE: &str = "taster.instance";
const BOOT: &str = "taster.boot";
const EXPIRES: &str = "taster.expires";

/// A marker, as its labels have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The run.
    pub run: RunId,
    /// Its stack.
    pub stack: StackName,
    /// The Swarm that it was made on.
    pub swarm: SwarmId,
    /// The place of its journal, for people: the machine and the folder of its runs.
    pub instance: String,
    /// The boot id of that machine.
    pub boot: String,
    /// Until when the run is left alone.
    pub expires: Wall,
}

/// What a janitor does about a marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkerState {
    /// The journal of the run is here and decides.
    OfJournal,
    /// The run is left alone; the sentence says where its journal is and until when.
    Until(String),
    /// The marker has expired, and these are the claims of the run.
    Expired(Vec<Claim>),
    /// The marker cannot be trusted; the sentence says why.
    Untrusted(String),
}

/// Why a config is not a marker that can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMarker {
    /// A label is missing.
    #[error("it has no label {name}")]
    NoLabel {
        /// The label.
        name: &'static str,
    },
    /// A label has no valid value.
    #[error("its label {name}: {message}")]
    BadLabel {
        /// The label.
        name: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The config has the label of a stack.
    #[error("it belongs to a stack")]
    OfAStack,
    /// The config has another name than its run's marker.
    #[error("it is not named after its run {run}")]
    OtherName {
        /// The run.
        run: RunId,
    },
    /// The stack does not belong to the run.
    #[error("its stack {stack} does not contain the letters of its run {run}")]
    ForeignStack {
        /// The stack.
        stack: StackName,
        /// The run.
        run: RunId,
    },
}

impl Marker {
    /// The name of the marker of `run`.
    pub fn name(run: &RunId) -> String {
        marker_name(run)
    }

    /// Its labels.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = [
            (RUN, self.run.to_string()),
            (STACK, self.stack.to_string()),
            (SWARM, self.swarm.to_string()),
            (INSTANCE, self.instance.clone()),
            (BOOT, self.boot.clone()),
            (EXPIRES, self.expires.to_string()),
        ];
        labels.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Reads a config that has the name or the label of a marker.
    ///
    /// Anyone can set labels on a config, and name a foreign stack in them. So the config has to be named after the run, and the
    /// stack's name has to contain the run's letters, which no other stack has.
    ///
    /// # Errors
    /// When the config cannot be trusted.
    pub fn read(config: &Object) -> Result<Self, BadMarker> {
        let label = |name: &'static str| config.labels.get(name).ok_or(BadMarker::NoLabel { name });
        let bad = |name: &'static str| move |error: BadName| BadMarker::BadLabel { name, message: error.to_string() };
        let run: RunId = label(RUN)?.parse().map_err(bad(RUN))?;
        let stack: StackName = label(STACK)?.parse().map_err(bad(STACK))?;
        let swarm: SwarmId = label(SWARM)?.parse().map_err(bad(SWARM))?;
        let expires = label(EXPIRES)?.clone();
        let bad_time = |_| BadMarker::BadLabel { name: EXPIRES, message: format!("{expires:?} is not a time") };
        let expires = Wall::try_from(expires.clone()).map_err(bad_time)?;
        let text = |name: &str| config.labels.get(name).cloned().unwrap_or_default();
        let marker = Self { run, stack, swarm, instance: text(INSTANCE), boot: text(BOOT), expires };
        match () {
            () if config.stack.is_some() => Err(BadMarker::OfAStack),
            () if config.name != Self::name(&marker.run) => Err(BadMarker::OtherName { run: marker.run }),
            () if marker.claims().is_none() => Err(BadMarker::ForeignStack { stack: marker.stack, run: marker.run }),
            () => Ok(marker),
        }
    }

    /// The claims that follow from it: the stack and the marker. The `.env` and the folders of the run are on its own machine.
    /// Absent when the stack is not the run's.
    fn claims(&self) -> Option<Vec<Claim>> {
        let place = ClaimPlace { run: self.run.clone(), folder: None };
        let claimed = [Claimed::Stack { name: self.stack.clone() }, Claimed::Marker { name: Self::name(&self.run) }];
        let claims = claimed.map(|what| Claim::believed(what, self.swarm.clone(), &place, Path::to_owned));
        claims.into_iter().collect::<Result<_, _>>().ok()
    }
}

/// The runs whose markers are in the inventory, by their names.
pub fn names(inventory: &Inventory) -> impl Iterator<Item = RunId> {
    markers(inventory).filter_map(|config| config.name.strip_prefix(MARKER_PREFIX)?.parse().ok())
}

/// The state of each marker of the inventory at `now`, by its name. `journals` are the runs with unreleased claims in a journal
/// here.
pub fn states(inventory: &Inventory, now: Wall, journals: &BTreeSet<RunId>) -> Vec<(String, MarkerState)> {
    markers(inventory).map(|config| (config.name.clone(), state(inventory, config, now, journals))).collect()
}

fn markers(inventory: &Inventory) -> impl Iterator<Item = &Object> {
    let configs = inventory.objects.iter().filter(|(id, _)| id.kind == ObjectKind::Config).map(|(_, object)| object);
    configs.filter(|config| {
        let named = config.name.strip_prefix(MARKER_PREFIX).is_some_and(|run| run.parse::<RunId>().is_ok());
        named || config.labels.contains_key(RUN)
    })
}

fn state(inventory: &Inventory, config: &Object, now: Wall, journals: &BTreeSet<RunId>) -> MarkerState {
    let named: Option<RunId> = config.name.strip_prefix(MARKER_PREFIX).and_then(|run| run.parse().ok());
    if named.is_some_and(|run| journals.contains(&run)) {
        return MarkerState::OfJournal;
    }
    let marker = match Marker::read(config) {
        Ok(marker) => marker,
        Err(why) => return MarkerState::Untrusted(format!("config {} is not a marker of a run: {why}", config.name)),
    };
    match () {
        () if marker.swarm != inventory.engine => {
            MarkerState::Untrusted(format!("config {} was made on the Swarm {}, not on this one", config.name, marker.swarm))
        }
        () if now >= marker.expires => MarkerState::Expired(marker.claims().unwrap_or_default()),
        () => {
            MarkerState::Until(format!("its journal is on {}; the run is left alone until {}", marker.instance, marker.expires))
        }
    }
}

#[cfg(test)]
mod tests;
