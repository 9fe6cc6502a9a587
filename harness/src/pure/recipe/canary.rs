//! Canaries: data that is planted, looked for at each later moment, and spoiled before a restore. Pure.
//!
//! A file in each named volume of the app needs no word of a pack. Which of them has to come back with a restore follows from what the
//! labels say is in the backup.

use std::{collections::BTreeMap, fmt, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        outcome::Outcome,
        pack::{Database, DatabaseKind, Pack},
    },
    pure::recipe::{
        backup::{Backed, Coverage},
        compose::{Mounted, Resolved},
    },
};

/// A moment at which canaries are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Right after they were seeded.
    #[serde(alias = "planted")]
    Seeded,
    /// After the upgrade.
    AfterUpgrade,
    /// After all services were started again.
    AfterRestart,
    /// After the app was removed and installed again with its data kept.
    AfterReinstall,
    /// After they were corrupted: now the check has to fail.
    #[serde(alias = "spoiled")]
    Corrupted,
    /// After the restore.
    AfterRestore,
    /// After the restore into an app that had been removed with all its data.
    AfterDisaster,
}

impl Moment {
    /// The word in results.
    pub fn name(self) -> &'static str {
        match self {
            Moment::Seeded => "seeded",
            Moment::AfterUpgrade => "after-upgrade",
            Moment::AfterRestart => "after-restart",
            Moment::AfterReinstall => "after-reinstall",
            Moment::Corrupted => "corrupted",
            Moment::AfterRestore => "after-restore",
            Moment::AfterDisaster => "after-disaster",
        }
    }

    /// Whether the data has to have come out of the backup.
    pub fn restored(self) -> bool {
        matches!(self, Moment::AfterRestore | Moment::AfterDisaster)
    }
}

/// A canary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "canary", rename_all = "kebab-case")]
pub enum Canary {
    /// A file in a named volume.
    File {
        /// The name that the files give the volume.
        volume: String,
        /// Its name on the node.
        name: String,
    },
    /// A row in a database that the pack names.
    Row {
        /// The service that the database runs in.
        service: String,
        /// What it is.
        kind: DatabaseKind,
    },
    /// What the pack's lifecycle plants.
    Pack {
        /// Its name there.
        name: String,
    },
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Canary::File { volume, .. } => write!(f, "a file in volume {volume}"),
            Canary::Row { service, kind } => write!(f, "a row in the {} database of {service}", kind.name()),
            Canary::Pack { name } => f.write_str(name),
        }
    }
}

/// The file that is a canary, at the top of its volume.
pub const FILE: &str = ".taster-canary";

/// What a canary of this run consists of. Another run's differs.
pub fn nonce(run: &str, canary: &Canary) -> String {
    format!("{canary} of run {run}\n")
}

/// What a spoiled canary consists of.
pub const CORRUPTED: &str = "spoiled\n";

/// What a row of this run holds.
pub fn row(run: &str) -> String {
    format!("taster-{run}")
}

/// All canaries for an app of these files: a row for each database that the pack names, the pack's own, and a file for each other
/// volume. In a database's own volume a file would only disturb it.
pub fn of(resolved: &Resolved, pack: &Pack) -> Vec<Canary> {
    let of_database = |volume: &str| pack.settings.databases.iter().any(|database| holds(resolved, database, volume));
    let files = of_volumes(resolved).filter(|(volume, _)| !of_database(volume));
    let files = files.map(|(volume, name)| Canary::File { volume, name });
    let rows = pack.settings.databases.iter();
    let rows = rows.map(|database| Canary::Row { service: database.service.clone(), kind: database.kind });
    let own = pack.hooks.canaries.iter().map(|name| Canary::Pack { name: name.clone() });
    rows.chain(own).chain(files).collect()
}

/// Whether a volume holds the database: of SQLite the one that its file is in, of others each that their service mounts.
fn holds(resolved: &Resolved, database: &Database, volume: &str) -> bool {
    let Some(service) = resolved.services.get(&database.service) else { return false };
    service.mounts.iter().any(|mount| {
        let file_is_in = database.path.as_ref().is_none_or(|path| Path::new(path).starts_with(&mount.target));
        file_is_in && matches!(&mount.what, Mounted::Volume { source, .. } if source == volume)
    })
}

/// The volumes that the app of these files makes and uses, each with its name on the node. External volumes are not the app's to
/// write to.
pub(crate) fn of_volumes(resolved: &Resolved) -> impl Iterator<Item = (String, String)> {
    let used = |name: &str| resolved.services.values().any(|service| mounts(&service.mounts, name));
    let volumes = resolved.volumes.iter().filter(move |(volume, found)| !found.external && used(volume));
    volumes.map(|(volume, found)| (volume.clone(), found.name.clone()))
}

fn mounts(mounts: &[crate::pure::recipe::compose::Mount], volume: &str) -> bool {
    mounts.iter().any(|mount| matches!(&mount.what, Mounted::Volume { source, .. } if source == volume))
}

/// The volumes that head gives up, each with what became of it: a service that stays and does not mount what it mounted has lost its
/// data; a volume whose services are all gone is only not used any more.
pub fn given_up(base: &Resolved, head: &Resolved) -> Vec<(String, GivenUp)> {
    let gone = of_volumes(base).filter_map(|(volume, _)| {
        let by_name =
            head.volumes.get(&volume).filter(|found| Some(&found.name) == base.volumes.get(&volume).map(|had| &had.name));
        let users = || base.services.iter().filter(|(_, service)| mounts(&service.mounts, &volume));
        let loser = users().find(|(name, _)| {
            head.services.get(*name).is_some_and(|service| by_name.is_none() || !mounts(&service.mounts, &volume))
        });
        let used = by_name.is_some() && head.services.values().any(|service| mounts(&service.mounts, &volume));
        match loser {
            Some((service, _)) => Some((volume.clone(), GivenUp::Lost { service: service.clone() })),
            None if used => None,
            None => Some((volume.clone(), GivenUp::Unused)),
        }
    });
    gone.collect()
}

/// What became of a volume that head does not have as base had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GivenUp {
    /// A service stays and has lost it.
    Lost {
        /// The service.
        service: String,
    },
    /// The services that used it are gone.
    Unused,
}

/// Whether a canary has to be there at a moment, given what is in the backup; else why not.
pub fn expected(canary: &Canary, moment: Moment, backed: &Backed, resolved: &Resolved) -> Result<(), String> {
    if !moment.restored() {
        return Ok(());
    }
    match canary {
        Canary::File { volume, .. } => match backed.coverage(volume) {
            Coverage::Whole => Ok(()),
            Coverage::Paths { paths } => Err(format!("only {} of it is in the backup", paths.join(", "))),
            Coverage::Excluded => Err("the labels leave it out of the backup".into()),
        },
        Canary::Row { kind: DatabaseKind::Redis, .. } => {
            Err("a running Redis does not read the files that are restored under it".into())
        }
        Canary::Row { service, .. } => {
            let volumes = of_volumes(resolved)
                .filter(|(volume, _)| resolved.services.get(service).is_some_and(|service| mounts(&service.mounts, volume)));
            let excluded = |volume: &str| backed.coverage(volume) == Coverage::Excluded;
            match volumes.map(|(volume, _)| excluded(&volume)).collect::<Vec<_>>()[..] {
                [] => Ok(()),
                ref all if all.iter().all(|excluded| *excluded) => Err("the labels leave its volume out of the backup".into()),
                _ => Ok(()),
            }
        }
        Canary::Pack { .. } => Ok(()),
    }
}

/// Those of `planted` that are in the data of the service: in a volume that it mounts, or in its database.
pub fn into_service<'a>(planted: &'a [Canary], resolved: &Resolved, service: &str) -> Vec<&'a Canary> {
    let mounted = |volume: &str| resolved.services.get(service).is_some_and(|service| mounts(&service.mounts, volume));
    let inside = |canary: &&Canary| match canary {
        Canary::File { volume, .. } => mounted(volume),
        Canary::Row { service: of, .. } => of == service,
        // Where a pack puts its own is not known.
        Canary::Pack { .. } => false,
    };
    planted.iter().filter(inside).collect()
}

/// What became of a canary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryState {
    /// The canary.
    pub canary: Canary,
    /// How it was found, by moment.
    pub seen: BTreeMap<Moment, Outcome>,
}

impl CanaryState {
    /// Whether it was planted well, the last time it was.
    pub fn sound(&self) -> bool {
        self.seen.get(&Moment::Seeded).is_some_and(Outcome::passed)
    }

    /// Whether the upgrade lost it.
    pub fn lost_in_upgrade(&self) -> bool {
        matches!(self.seen.get(&Moment::AfterUpgrade), Some(Outcome::Failed(_)))
    }
}
