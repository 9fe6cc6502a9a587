//! Canaries: data that a run seeds, checks at each later moment, and corrupts before a restore.
//!
//! Each named volume of the app gets files without any setting of a pack, and each database that its pack names or its image
//! shows gets a row instead. The backup labels decide which of them must come back with a restore.

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
        compose::{Mounted, Resolved, Service},
        database,
    },
};

/// A moment at which canaries are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Right after they were seeded.
    #[serde(alias = "planted")]
    Seeded,
    /// After the upgrade.
    AfterUpgrade,
    /// After all services were restarted.
    AfterRestart,
    /// After the app was removed and reinstalled with its data kept.
    AfterReinstall,
    /// After they were corrupted. Here the check must fail.
    #[serde(alias = "spoiled")]
    Corrupted,
    /// After the restore.
    AfterRestore,
    /// After the restore into a fresh app, whose predecessor was removed with all its data.
    AfterDisaster,
}

impl Moment {
    /// The name in results.
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

    /// Whether the data must come from the backup.
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
        /// The volume's name in the compose files.
        volume: String,
        /// Its name on the node.
        name: String,
    },
    /// A row in a database that the pack declares.
    Row {
        /// The database's service.
        service: String,
        /// The database's kind.
        kind: DatabaseKind,
    },
    /// Data that the pack's lifecycle seeds.
    Pack {
        /// Its name in the pack.
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

/// The files of a canary, relative to its volume. They are ordinary ones: a command that removes `*` removes them, too.
pub const FILES: [&str; 2] = ["taster-canary.txt", "taster-canary/kept.txt"];

/// The content of a canary of this run. Canaries of other runs differ.
pub fn nonce(run: &str, canary: &Canary) -> String {
    format!("{canary} of run {run}\n")
}

/// The content of a corrupted canary.
pub const CORRUPTED: &str = "corrupted\n";

/// The value of a row of this run.
pub fn row(run: &str) -> String {
    format!("taster-{run}")
}

/// All canaries for an app: a row for each database, the pack's own canaries, and files for each other volume. Files in a
/// database's volume could disturb the database.
pub fn of(resolved: &Resolved, pack: &Pack) -> Vec<Canary> {
    let databases = databases(resolved, pack);
    let of_database = |volume: &str| {
        let declared = databases.iter().any(|database| holds(resolved, database, volume));
        declared || resolved.services.values().any(|service| is_database(service) && mounts(&service.mounts, volume))
    };
    let files = of_volumes(resolved).filter(|(volume, _)| !of_database(volume));
    let files = files.map(|(volume, name)| Canary::File { volume, name });
    let rows = databases.iter().map(|database| Canary::Row { service: database.service.clone(), kind: database.kind });
    let own = pack.hooks.canaries.iter().map(|name| Canary::Pack { name: name.clone() });
    rows.chain(own).chain(files).collect()
}

/// The databases that get a row: those that the pack names, and those that their images show, with the variables of the official
/// images. A Redis that the pack does not name is taken for a cache. A pack with canaries of its own decides itself.
pub fn databases(resolved: &Resolved, pack: &Pack) -> Vec<Database> {
    let declared = &pack.settings.databases;
    let shown = resolved.services.iter().filter_map(|(name, service)| {
        let kind = database::kind_of_image(&service.image).filter(|kind| *kind != DatabaseKind::Redis)?;
        let named = declared.iter().any(|database| database.service == *name);
        let own = of_volumes(resolved).any(|(volume, _)| mounts(&service.mounts, &volume));
        (!named && own && pack.hooks.canaries.is_empty()).then(|| Database::of(name.clone(), kind))
    });
    declared.iter().cloned().chain(shown).collect()
}

fn is_database(service: &Service) -> bool {
    database::kind_of_image(&service.image).is_some()
}

/// Whether a volume holds the database: for SQLite the volume of its file, for others each volume of their service.
fn holds(resolved: &Resolved, database: &Database, volume: &str) -> bool {
    let Some(service) = resolved.services.get(&database.service) else { return false };
    service.mounts.iter().any(|mount| {
        let file_is_in = database.path.as_ref().is_none_or(|path| Path::new(path).starts_with(&mount.target));
        file_is_in && matches!(&mount.what, Mounted::Volume { source, .. } if source == volume)
    })
}

/// Whether a backup with this part of the database's volume has the database's own files.
fn has_files_of(resolved: &Resolved, database: &Database, coverage: &Coverage) -> bool {
    let Coverage::Paths { paths } = coverage else { return *coverage == Coverage::Whole };
    let (Some(file), Some(service)) = (&database.path, resolved.services.get(&database.service)) else { return false };
    let inside = service.mounts.iter().filter_map(|mount| Path::new(file).strip_prefix(&mount.target).ok());
    inside.into_iter().any(|file| paths.iter().any(|path| file.starts_with(path)))
}

/// The databases whose files are copied while they run, and that no command of the backup dumps: a sentence for each. Redis
/// writes its file in one piece.
pub fn copied_while_running(resolved: &Resolved, pack: &Pack) -> Vec<String> {
    let backed = Backed::of(resolved);
    if !backed.enabled() {
        return Vec::new();
    }
    let shown = resolved
        .services
        .iter()
        .filter_map(|(name, service)| Some(Database::of(name.clone(), database::kind_of_image(&service.image)?)));
    let declared = &pack.settings.databases;
    let shown = shown.filter(|shown| declared.iter().all(|database| database.service != shown.service));
    let all = declared.iter().cloned().chain(shown).filter(|database| database.kind != DatabaseKind::Redis);
    let live = all.filter(|database| !backed.is_dumped(&database.service)).filter_map(|database| {
        let (volume, _) = of_volumes(resolved)
            .find(|(volume, _)| holds(resolved, &database, volume) && has_files_of(resolved, &database, &backed.coverage(volume)))?;
        Some(format!(
            "the {} database of {} is copied while it runs: volume {volume} is in the backup, and no backupbot.backup.pre-hook of \
             the service dumps it; such a copy may be no database",
            database.kind.name(),
            database.service
        ))
    });
    live.collect()
}

/// The app's own volumes that a service mounts, each with its name on the node. A run never writes into external volumes.
pub(crate) fn of_volumes(resolved: &Resolved) -> impl Iterator<Item = (String, String)> {
    let used = |name: &str| resolved.services.values().any(|service| mounts(&service.mounts, name));
    let volumes = resolved.volumes.iter().filter(move |(volume, found)| !found.external && used(volume));
    volumes.map(|(volume, found)| (volume.clone(), found.name.clone()))
}

fn mounts(mounts: &[crate::pure::recipe::compose::Mount], volume: &str) -> bool {
    mounts.iter().any(|mount| matches!(&mount.what, Mounted::Volume { source, .. } if source == volume))
}

/// The volumes that base mounts and head does not, each with the consequence: a service that remains without its volume loses
/// data; a volume without any remaining service is unused.
pub fn dropped_volumes(base: &Resolved, head: &Resolved) -> Vec<(String, DroppedVolume)> {
    let gone = of_volumes(base).filter_map(|(volume, _)| {
        let by_name =
            head.volumes.get(&volume).filter(|found| Some(&found.name) == base.volumes.get(&volume).map(|had| &had.name));
        let users = || base.services.iter().filter(|(_, service)| mounts(&service.mounts, &volume));
        let loser = users().find(|(name, _)| {
            head.services.get(*name).is_some_and(|service| by_name.is_none() || !mounts(&service.mounts, &volume))
        });
        let used = by_name.is_some() && head.services.values().any(|service| mounts(&service.mounts, &volume));
        match loser {
            Some((service, _)) => Some((volume.clone(), DroppedVolume::Lost { service: service.clone() })),
            None if used => None,
            None => Some((volume.clone(), DroppedVolume::Unused)),
        }
    });
    gone.collect()
}

/// The consequence of a volume that head no longer mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DroppedVolume {
    /// A remaining service loses its data.
    Lost {
        /// The service.
        service: String,
    },
    /// Its services are removed, too.
    Unused,
}

/// Why a canary need not come back with a restore.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotExpected {
    /// The backup holds other paths of its volume.
    #[error("only {} of it is in the backup", paths.join(", "))]
    OtherPaths {
        /// The paths in the backup.
        paths: Vec<String>,
    },
    /// The labels exclude its volume, which it is a file of.
    #[error("the labels leave it out of the backup")]
    Excluded,
    /// The labels exclude the volumes of a Redis, which may be a cache.
    #[error("the labels leave its volume out of the backup")]
    CacheExcluded,
    /// No backup holds the database.
    #[error("no backup holds the database: the labels leave its volume out, and no backupbot.backup.pre-hook dumps it")]
    NotBackedUp,
}

impl NotExpected {
    /// Whether it is a gap: the data is lost with its volume, and nothing says that it may be.
    pub fn is_gap(&self) -> bool {
        *self == NotExpected::NotBackedUp
    }
}

/// Why a row of a running Redis did not come back.
pub const REDIS_RUNS: &str = "a running Redis does not read the files that are restored under it, and writes its own over them; \
                              have a restore hook end it without saving";

/// Whether a canary must exist at a moment, given the backup's coverage. The error is the reason why it need not.
pub fn expected(canary: &Canary, moment: Moment, backed: &Backed, resolved: &Resolved) -> Result<(), NotExpected> {
    if !moment.restored() {
        return Ok(());
    }
    match canary {
        Canary::File { volume, .. } => match backed.coverage(volume) {
            Coverage::Whole => Ok(()),
            Coverage::Paths { paths } if !paths.is_empty() => Err(NotExpected::OtherPaths { paths }),
            Coverage::Paths { .. } | Coverage::Excluded => Err(NotExpected::Excluded),
        },
        Canary::Row { service, kind } => {
            let mut volumes = of_volumes(resolved)
                .filter(|(volume, _)| resolved.services.get(service).is_some_and(|service| mounts(&service.mounts, volume)))
                .peekable();
            let excluded = volumes.peek().is_some() && volumes.all(|(volume, _)| backed.coverage(&volume) == Coverage::Excluded);
            match kind {
                _ if !excluded || backed.is_dumped(service) => Ok(()),
                DatabaseKind::Redis => Err(NotExpected::CacheExcluded),
                DatabaseKind::Postgres | DatabaseKind::Mysql | DatabaseKind::Sqlite => Err(NotExpected::NotBackedUp),
            }
        }
        Canary::Pack { .. } => Ok(()),
    }
}

/// Those of `canaries` in the service's data: in a volume that it mounts, or in its database.
pub fn into_service<'a>(canaries: &'a [Canary], resolved: &Resolved, service: &str) -> Vec<&'a Canary> {
    let mounted = |volume: &str| resolved.services.get(service).is_some_and(|service| mounts(&service.mounts, volume));
    let inside = |canary: &&Canary| match canary {
        Canary::File { volume, .. } => mounted(volume),
        Canary::Row { service: of, .. } => of == service,
        // The place of a pack's own canary is unknown.
        Canary::Pack { .. } => false,
    };
    canaries.iter().filter(inside).collect()
}

/// The results of a canary's checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryState {
    /// The canary.
    pub canary: Canary,
    /// The outcome of the check by moment.
    pub seen: BTreeMap<Moment, Outcome>,
}

impl CanaryState {
    /// Whether its last seeding passed.
    pub fn sound(&self) -> bool {
        self.seen.get(&Moment::Seeded).is_some_and(Outcome::passed)
    }

    /// Whether the upgrade lost it.
    pub fn lost_in_upgrade(&self) -> bool {
        matches!(self.seen.get(&Moment::AfterUpgrade), Some(Outcome::Failed(_)))
    }
}
