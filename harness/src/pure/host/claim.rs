//! Claims: the durable record that something belongs to a run.
//!
//! Cleanup removes what a claim covers and nothing else, so a name alone never makes an object ours when its label says
//! otherwise. Journals and markers are read by processes that did not write them, so a claim exists only where [`believable`]
//! says that a run of that id could have made it.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        names::{Domain, RunId, ServiceName, StackName, SwarmId},
        object::{ObjectId, ObjectKind},
    },
    pure::host::inventory::{Inventory, Object},
};

/// The beginning of a marker's name; the run's id follows.
pub const MARKER_PREFIX: &str = "taster-";

/// The record that `what` belongs to `run` on the Swarm `engine`, written to the journal before the act that makes it.
///
/// Only [`crate::journal::Journal::claim`], the journal's reader and a marker make one, so holding a claim proves that it is
/// durable, and that it is [`believable`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    run: RunId,
    engine: SwarmId,
    what: Claimed,
}

/// A run, as the place where its claims are read names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPlace {
    /// The run.
    pub run: RunId,
    /// The run's folder with links resolved; absent where the claims come from a marker on the Swarm, which names no paths.
    pub folder: Option<PathBuf>,
}

/// Why a claim is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disbelief {
    /// The name does not hold the run's letters.
    #[error("it does not have the letters of the run {run}")]
    OtherName {
        /// The run.
        run: RunId,
    },
    /// The marker is that of another run.
    #[error("the marker of the run {run} has another name")]
    OtherMarker {
        /// The run.
        run: RunId,
    },
    /// No run can claim the path.
    #[error("{flaw}")]
    Flawed {
        /// Its flaw.
        flaw: &'static str,
    },
    /// The path is not in the run's folder.
    #[error("it is not in the run's folder")]
    Outside,
    /// The journal is not in the folder of the run that it names.
    #[error("the journal names the run {named}, whose folder this is not")]
    OtherFolder {
        /// The run that it names.
        named: RunId,
    },
    /// No child of a run has this process id.
    #[error("no child of a run has this process id")]
    OtherProcess,
}

/// Whether the run of `place` can have claimed `what`: names hold the run's own letters, paths are in its own folder. `resolve`
/// gives a path with the links on the way to it resolved.
///
/// # Errors
/// With the reason why the run cannot.
pub fn believable(what: &Claimed, place: &ClaimPlace, resolve: impl Fn(&Path) -> PathBuf) -> Result<(), Disbelief> {
    let run = &place.run;
    let named = |stack: &StackName| is_of_run(stack, run).then_some(()).ok_or_else(|| Disbelief::OtherName { run: run.clone() });
    match what {
        Claimed::Stack { name } => named(name),
        Claimed::Snapshots { app, .. } => named(&StackName::of(app)),
        Claimed::Marker { name } if *name == marker_name(run) => Ok(()),
        Claimed::Marker { .. } => Err(Disbelief::OtherMarker { run: run.clone() }),
        Claimed::EnvFile { path } | Claimed::Dir { path } => {
            if let Some(flaw) = what.flaw() {
                return Err(Disbelief::Flawed { flaw });
            }
            // The folder itself has the journal, which outlives every cleanup.
            let above = path.parent().map(resolve);
            let within = place.folder.as_ref().zip(above).is_some_and(|(folder, above)| above.starts_with(folder));
            within.then_some(()).ok_or(Disbelief::Outside)
        }
    }
}

/// Whether a process of the machine can be a child of a run by its id: neither the first process nor a group of processes.
///
/// # Errors
/// When it cannot.
pub fn believable_child(pid: i32) -> Result<(), Disbelief> {
    if pid > 1 { Ok(()) } else { Err(Disbelief::OtherProcess) }
}

/// The name of the marker of `run`.
pub fn marker_name(run: &RunId) -> String {
    format!("{MARKER_PREFIX}{run}")
}

/// Whether a stack has the name of the run's app: letters of the recipe, `-`, the run's letters, the zone. No other stack has it.
fn is_of_run(stack: &StackName, run: &RunId) -> bool {
    let rest = stack.as_str().split_once('-').map(|(_, rest)| rest);
    rest.and_then(|rest| rest.strip_prefix(run.token())).is_some_and(|zone| zone.starts_with('_'))
}

impl Claim {
    /// The claim of `what` on the Swarm `engine` by the run of `place`.
    ///
    /// # Errors
    /// When it is not [`believable`].
    pub(crate) fn believed(
        what: Claimed,
        engine: SwarmId,
        place: &ClaimPlace,
        resolve: impl Fn(&Path) -> PathBuf,
    ) -> Result<Self, Disbelief> {
        believable(&what, place, resolve)?;
        Ok(Self { run: place.run.clone(), engine, what })
    }

    /// A claim that need not be believable.
    #[cfg(test)]
    pub(crate) fn new(run: RunId, engine: SwarmId, what: Claimed) -> Self {
        Self { run, engine, what }
    }

    /// The run that it belongs to.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The Swarm on which it is.
    pub fn engine(&self) -> &SwarmId {
        &self.engine
    }

    /// The claimed object, file or folder.
    pub fn what(&self) -> &Claimed {
        &self.what
    }

    /// Whether the claim covers an object of `inventory`. It never covers an object of another Swarm.
    ///
    /// The name is the claim. An object with another stack's label is never ours, however its name begins; one without a
    /// stack label (as abra makes secrets) belongs to the stack with the longest name that owns it. One with our label and
    /// another name, as a compose file can ask for, is ours if its labels cannot have been set later.
    pub fn covers(&self, inventory: &Inventory, id: &ObjectId) -> bool {
        let Some(object) = inventory.objects.get(id) else { return false };
        if inventory.engine != self.engine {
            return false;
        }
        match &self.what {
            Claimed::Stack { name } => match &object.stack {
                Some(label) if label == name => name.owns(&object.name) || labels_are_fixed(id.kind),
                Some(_) => false,
                None => name.owns(&object.name) && !owned_by_longer(inventory, name, object),
            },
            Claimed::Marker { name } => id.kind == ObjectKind::Config && object.stack.is_none() && object.name == *name,
            Claimed::EnvFile { .. } | Claimed::Dir { .. } | Claimed::Snapshots { .. } => false,
        }
    }

    /// Whether a file has the name that abra gives to the `.env` of this claim's app, in any folder.
    pub fn names(&self, path: &Path) -> bool {
        let Claimed::Stack { name } = &self.what else { return false };
        let domain = path.file_name().and_then(|file| file.to_str()?.strip_suffix(".env")?.parse().ok());
        domain.is_some_and(|domain| StackName::of(&domain) == *name)
    }

    /// Whether the claim covers the file or folder.
    pub fn covers_path(&self, path: &Path) -> bool {
        match &self.what {
            Claimed::EnvFile { path: claimed } => path == claimed,
            Claimed::Dir { path: claimed } => path.starts_with(claimed),
            Claimed::Stack { .. } | Claimed::Marker { .. } | Claimed::Snapshots { .. } => false,
        }
    }
}

/// Whether the labels of an object cannot change after it was made. Labels of secrets and configs can be set on an existing one,
/// and `docker stack deploy` sets them on any that has the wanted name.
fn labels_are_fixed(kind: ObjectKind) -> bool {
    match kind {
        ObjectKind::Task | ObjectKind::Container | ObjectKind::Network | ObjectKind::Volume => true,
        ObjectKind::Service | ObjectKind::Secret | ObjectKind::Config => false,
    }
}

/// Whether a stack of this inventory whose name goes on where `ours` ends owns the object: `shop_extra` owns `shop_extra_pw_v1`.
fn owned_by_longer(inventory: &Inventory, ours: &StackName, object: &Object) -> bool {
    let longer = |stack: &StackName| stack.as_str().len() > ours.as_str().len() && stack.owns(&object.name);
    inventory.objects.values().filter_map(|other| other.stack.as_ref()).any(longer)
}

impl Claimed {
    /// Why this cannot be claimed; absent when it can. Cleanup removes what is claimed, so a path has to be unambiguous:
    /// absolute, without `..`, and not a folder at the top of the file system.
    pub fn flaw(&self) -> Option<&'static str> {
        let (Claimed::EnvFile { path } | Claimed::Dir { path }) = self else { return None };
        let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        let depth = path.components().filter(|part| matches!(part, Component::Normal(_))).count();
        match () {
            () if !path.is_absolute() => Some("the path is not absolute"),
            () if !plain => Some("the path contains `..`"),
            () if depth < 2 => Some("the path is at the top of the file system"),
            () => None,
        }
    }
}

impl fmt::Display for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Claimed::Stack { name } => write!(f, "stack {name}"),
            Claimed::EnvFile { path } => write!(f, "file {}", path.display()),
            Claimed::Dir { path } => write!(f, "folder {}", path.display()),
            Claimed::Marker { name } => write!(f, "marker {name}"),
            Claimed::Snapshots { app, .. } => write!(f, "snapshots of {app}"),
        }
    }
}

/// The kinds of things that a run claims.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "claimed", rename_all = "kebab-case")]
pub enum Claimed {
    /// A stack and everything that is named after it: services, containers, networks, volumes, secrets, configs.
    Stack {
        /// The stack's name, which no other run ever has.
        name: StackName,
    },
    /// abra's file for the app.
    EnvFile {
        /// Its absolute path.
        path: PathBuf,
    },
    /// A folder of the run, such as its `ABRA_DIR`.
    Dir {
        /// Its absolute path.
        path: PathBuf,
    },
    /// The app's snapshots in the backup service.
    Snapshots {
        /// The app, which no other run ever has.
        app: Domain,
        /// The backup service.
        service: ServiceName,
    },
    /// The config on the Swarm that shows other machines which run the stack belongs to.
    Marker {
        /// The config's name, `taster-<run>`.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "20261121-101502-k3v7q2m7";
    const FOLDER: &str = "/state/runs/20261121-101502-k3v7q2m7";

    fn place() -> ClaimPlace {
        ClaimPlace { run: RUN.parse().unwrap(), folder: Some(FOLDER.into()) }
    }

    /// On this machine `link` in the run's folder leads to `/srv`.
    fn resolve(path: &Path) -> PathBuf {
        path.to_str().unwrap().replace(&format!("{FOLDER}/link"), "/srv").into()
    }

    fn stack(name: &str) -> Claimed {
        Claimed::Stack { name: name.parse().unwrap() }
    }

    fn dir(path: &str) -> Claimed {
        Claimed::Dir { path: path.replace("FOLDER", FOLDER).into() }
    }

    fn env(path: &str) -> Claimed {
        Claimed::EnvFile { path: path.replace("FOLDER", FOLDER).into() }
    }

    fn marker(name: &str) -> Claimed {
        Claimed::Marker { name: name.to_owned() }
    }

    fn snapshots(app: &str) -> Claimed {
        Claimed::Snapshots { app: app.parse().unwrap(), service: "backups_app".parse().unwrap() }
    }

    #[test]
    fn claims_that_a_run_makes_are_believed() {
        for what in [
            stack("hello-k3v7q2m7_taster_test"),
            snapshots("hello-k3v7q2m7.taster.test"),
            marker("taster-20261121-101502-k3v7q2m7"),
            dir("FOLDER/abra"),
            dir("FOLDER/lint-head"),
            env("FOLDER/abra/servers/default/hello-k3v7q2m7.taster.test.env"),
        ] {
            assert_eq!(believable(&what, &place(), resolve), Ok(()), "{what}");
        }
        assert_eq!((believable_child(2), believable_child(1).is_ok(), believable_child(-5).is_ok()), (Ok(()), false, false));
    }

    #[test]
    fn claims_of_what_is_not_the_runs_are_not_believed() {
        for (what, why) in [
            (stack("shop"), "it does not have the letters of the run 20261121-101502-k3v7q2m7"),
            (stack("hello-aebagbaf_taster_test"), "letters"),
            (stack("hello-k3v7q2m7"), "letters"),
            (stack("hello-k3v7q2m7x_taster_test"), "letters"),
            (stack("k3v7q2m7_taster_test"), "letters"),
            (stack("a-b-k3v7q2m7_taster_test"), "letters"),
            (snapshots("cloud.example.org"), "letters"),
            (snapshots("hello-aebagbaf.taster.test"), "letters"),
            (marker("taster-20261121-101502-aebagbaf"), "the marker of the run 20261121-101502-k3v7q2m7 has another name"),
            (marker("proxy_config"), "has another name"),
            (dir("/srv/shop"), "it is not in the run's folder"),
            (dir(FOLDER), "not in the run's folder"),
            (dir("/state/runs/20261121-101502-aebagbaf/abra"), "not in the run's folder"),
            (dir("FOLDERx/abra"), "not in the run's folder"),
            (dir("FOLDER/link/shop"), "not in the run's folder"),
            (dir("FOLDER/../20261121-101502-aebagbaf/abra"), "the path contains `..`"),
            (dir("/"), "the path is at the top of the file system"),
            (dir("abra"), "the path is not absolute"),
            (env("/root/.abra/servers/default/hello-k3v7q2m7.taster.test.env"), "not in the run's folder"),
            (env("FOLDER/link/hello-k3v7q2m7.taster.test.env"), "not in the run's folder"),
        ] {
            let disbelief = believable(&what, &place(), resolve).unwrap_err().to_string();
            assert!(disbelief.contains(why), "{what}: {disbelief}");
        }
        let no_folder = ClaimPlace { folder: None, ..place() };
        assert_eq!(believable(&dir("FOLDER/abra"), &no_folder, resolve), Err(Disbelief::Outside), "a marker names no paths");
    }
}
