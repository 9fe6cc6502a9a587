//! Simulated volumes and snapshots of one app.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use harness::{
    model::{
        engine::SwarmError,
        names::{ImageRef, ServiceName, TaskId},
    },
    ports::{Access, Data, ExecOutput, VolumeFile, VolumeHolder},
    pure::host::claim::Claim,
};

/// Files by volume and path.
type Files = BTreeMap<(String, String), Vec<u8>>;

/// The volumes of an app and a backup service.
#[derive(Debug, Default)]
pub struct SimData {
    inner: Mutex<Inner>,
}

/// The behaviour of a simulated backup service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RestoreBehaviour {
    /// It restores the newest snapshot.
    #[default]
    Works,
    /// It restores the newest snapshot once and nothing from then on.
    WorksOnce,
    /// It restores nothing and reports no error.
    RestoresNothing,
    /// It empties all volumes.
    EmptiesVolumes,
    /// It removes what an ordinary pattern names, `*`, and restores nothing.
    RemovesOrdinaryFiles,
    /// It restores the newest snapshot, and all files belong to the super-user then.
    LosesOwners,
    /// It restores the canary of another run.
    RestoresOtherRun,
    /// It restores the newest snapshot, which a foreign client has made after the run's.
    SeesForeignSnapshot,
    /// It does not list its snapshots.
    CannotList,
    /// It reports that it has forgotten snapshots, and keeps them.
    ForgetsNothing,
}

#[derive(Debug, Default)]
struct Inner {
    files: Files,
    snapshots: Vec<(String, Files)>,
    behaviour: RestoreBehaviour,
    /// How many restores there were.
    restored: u32,
}

impl Inner {
    /// The owner of all files: another one after a restore that does not keep owners.
    fn owner(&self) -> Access {
        match self.behaviour {
            RestoreBehaviour::LosesOwners if self.restored > 0 => Access { uid: 0, gid: 0, mode: 0o755 },
            _ => Access { uid: 33, gid: 33, mode: 0o755 },
        }
    }
}

/// Volume and path of the database's row: it is copied and restored like a file.
fn database_row() -> (String, String) {
    ("database".into(), "row".into())
}

impl SimData {
    /// Volumes without data, and a backup service with this behaviour.
    pub fn restoring(behaviour: RestoreBehaviour) -> Self {
        Self { inner: Mutex::new(Inner { behaviour, ..Inner::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a snapshot of all volumes and gives its id.
    pub fn back_up(&self) -> String {
        let mut inner = self.lock();
        let id = format!("{:08x}", inner.snapshots.len() + 1);
        let files = inner.files.clone();
        inner.snapshots.push((id.clone(), files.clone()));
        if inner.behaviour == RestoreBehaviour::SeesForeignSnapshot {
            inner.snapshots.push(("ffffffff".into(), files));
        }
        id
    }

    /// Restores the newest snapshot.
    pub fn restore(&self) {
        let mut inner = self.lock();
        let Some((_, newest)) = inner.snapshots.last().cloned() else { return };
        inner.restored += 1;
        match inner.behaviour {
            RestoreBehaviour::WorksOnce if inner.restored > 1 => {}
            RestoreBehaviour::Works
            | RestoreBehaviour::SeesForeignSnapshot
            | RestoreBehaviour::WorksOnce
            | RestoreBehaviour::LosesOwners
            | RestoreBehaviour::ForgetsNothing => inner.files = newest,
            RestoreBehaviour::RestoresNothing | RestoreBehaviour::CannotList => {}
            RestoreBehaviour::EmptiesVolumes => inner.files.clear(),
            RestoreBehaviour::RemovesOrdinaryFiles => {
                inner.files.retain(|(volume, path), _| volume == "database" || path.starts_with('.'));
            }
            RestoreBehaviour::RestoresOtherRun => {
                inner.files = newest.into_keys().map(|at| (at, b"the canary of another run".to_vec())).collect();
            }
        }
    }

    /// Empties all volumes.
    pub fn empty_volumes(&self) {
        self.lock().files.clear();
    }

    /// The names of the volumes with data.
    pub fn volumes(&self) -> BTreeSet<String> {
        self.lock().files.keys().map(|(volume, _)| volume.clone()).collect()
    }

    /// Removes a volume with its data.
    pub fn remove_volume(&self, volume: &str) {
        self.lock().files.retain(|(known, _), _| known != volume);
    }

    /// The ids of the snapshots, oldest first.
    pub fn ids(&self) -> Vec<String> {
        self.lock().snapshots.iter().map(|(id, _)| id.clone()).collect()
    }

    /// The files of a snapshot, as a backup service prints them.
    pub fn listed(&self, id: &str) -> String {
        let inner = self.lock();
        let files = inner.snapshots.iter().find(|(known, _)| known == id).map(|(_, files)| files.keys());
        files.into_iter().flatten().map(|(volume, path)| format!("/volumes/{volume}/_data/{path}\n")).collect()
    }
}

#[async_trait]
impl Data for SimData {
    async fn hold(&self, _: &Claim, _: &ImageRef, volumes: &[String]) -> Result<VolumeHolder, SwarmError> {
        Ok(VolumeHolder { container: "holder".into(), volumes: volumes.to_vec() })
    }

    async fn put(&self, _: &VolumeHolder, volume: &str, path: &str, file: &VolumeFile) -> Result<(), SwarmError> {
        self.lock().files.insert((volume.to_owned(), path.to_owned()), file.bytes.clone());
        Ok(())
    }

    async fn get(&self, _: &VolumeHolder, volume: &str, path: &str) -> Result<Option<VolumeFile>, SwarmError> {
        let inner = self.lock();
        let access = Access { mode: 0o644, ..inner.owner() };
        Ok(inner.files.get(&(volume.to_owned(), path.to_owned())).map(|bytes| VolumeFile { bytes: bytes.clone(), access }))
    }

    async fn access(&self, _: &VolumeHolder, volume: &str, path: &str) -> Result<Option<Access>, SwarmError> {
        let inner = self.lock();
        let there = path.is_empty() || inner.files.contains_key(&(volume.to_owned(), path.to_owned()));
        Ok(there.then(|| inner.owner()))
    }

    async fn release(&self, _: VolumeHolder) -> Result<(), SwarmError> {
        Ok(())
    }

    /// Behaves like the client of a database: a statement with a value writes the row, and every statement returns it.
    async fn exec(&self, _: &Claim, _: &TaskId, argv: &[String], _: Duration) -> Result<ExecOutput, SwarmError> {
        let statement = argv.concat();
        let after = |word: &str| Some(statement.split_once(word)?.1.split_once("'\\''")?.0.to_owned());
        let mut inner = self.lock();
        if let Some(value) = after("VALUES ('\\''").or_else(|| after("SET nonce = '\\''")) {
            inner.files.insert(database_row(), value.into_bytes());
        }
        let text = inner.files.get(&database_row()).map(|value| String::from_utf8_lossy(value).into_owned());
        Ok(ExecOutput { exit: i64::from(text.is_none()), text: text.unwrap_or_else(|| "no such table: taster_canary".into()) })
    }

    async fn restored(&self, _: &Claim) -> Result<(), SwarmError> {
        Ok(())
    }

    async fn snapshots(&self, _: &Claim) -> Result<Vec<String>, SwarmError> {
        let behaviour = self.lock().behaviour;
        match behaviour {
            RestoreBehaviour::CannotList => {
                Err(SwarmError::Failed { call: "exec".into(), message: "no container of the backup service runs".into() })
            }
            RestoreBehaviour::Works
            | RestoreBehaviour::WorksOnce
            | RestoreBehaviour::RestoresNothing
            | RestoreBehaviour::EmptiesVolumes
            | RestoreBehaviour::RemovesOrdinaryFiles
            | RestoreBehaviour::LosesOwners
            | RestoreBehaviour::RestoresOtherRun
            | RestoreBehaviour::SeesForeignSnapshot
            | RestoreBehaviour::ForgetsNothing => Ok(self.ids()),
        }
    }

    async fn forget(&self, _: &Claim, snapshots: &[String]) -> Result<(), SwarmError> {
        let mut inner = self.lock();
        if inner.behaviour != RestoreBehaviour::ForgetsNothing {
            inner.snapshots.retain(|(id, _)| !snapshots.contains(id));
        }
        Ok(())
    }

    async fn runs(&self, _: &ServiceName) -> Result<bool, SwarmError> {
        Ok(true)
    }
}
