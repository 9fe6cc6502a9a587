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
    ports::{Data, ExecOutput, Holder},
    pure::host::claim::Claim,
};

/// Files by volume and path.
type Files = BTreeMap<(String, String), Vec<u8>>;

/// The volumes of an app and a backup service.
#[derive(Debug, Default)]
pub struct SimData {
    inner: Mutex<Inner>,
}

/// What a restore brings back, and what else happens to the snapshots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Restores {
    /// The newest snapshot.
    #[default]
    Well,
    /// The newest snapshot, but only the first time.
    Once,
    /// Nothing, without a word.
    Nothing,
    /// Empty volumes.
    Empty,
    /// The canary of another run.
    AnotherRuns,
    /// The newest snapshot, which a foreign client has made in the meantime.
    AfterAnother,
    /// The service does not even list its snapshots.
    Mute,
    /// The service says that it has forgotten snapshots, and keeps them.
    Keeping,
}

#[derive(Debug, Default)]
struct Inner {
    files: Files,
    snapshots: Vec<(String, Files)>,
    restores: Restores,
    /// How often something was restored.
    restored: u32,
}

/// Where the row of the database is kept, so that it is copied and restored like a file.
fn row() -> (String, String) {
    ("database".into(), "row".into())
}

impl SimData {
    /// Volumes and a backup service whose restores do this.
    pub fn that(restores: Restores) -> Self {
        Self { inner: Mutex::new(Inner { restores, ..Inner::default() }) }
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
        if inner.restores == Restores::AfterAnother {
            inner.snapshots.push(("ffffffff".into(), files));
        }
        id
    }

    /// Restores the newest snapshot.
    pub fn restore(&self) {
        let mut inner = self.lock();
        let Some((_, newest)) = inner.snapshots.last().cloned() else { return };
        inner.restored += 1;
        match inner.restores {
            Restores::Once if inner.restored > 1 => {}
            Restores::Well | Restores::AfterAnother | Restores::Once | Restores::Keeping => inner.files = newest,
            Restores::Nothing | Restores::Mute => {}
            Restores::Empty => inner.files.clear(),
            Restores::AnotherRuns => {
                inner.files = newest.into_keys().map(|at| (at, b"the canary of another run".to_vec())).collect();
            }
        }
    }

    /// Empties all volumes.
    pub fn lose(&self) {
        self.lock().files.clear();
    }

    /// The names of the volumes that something is in.
    pub fn volumes(&self) -> BTreeSet<String> {
        self.lock().files.keys().map(|(volume, _)| volume.clone()).collect()
    }

    /// Removes a volume with all that is in it.
    pub fn lose_volume(&self, volume: &str) {
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
    async fn hold(&self, _: &Claim, _: &ImageRef, volumes: &[String]) -> Result<Holder, SwarmError> {
        Ok(Holder { container: "holder".into(), volumes: volumes.to_vec() })
    }

    async fn put(&self, _: &Holder, volume: &str, path: &str, bytes: &[u8]) -> Result<(), SwarmError> {
        self.lock().files.insert((volume.to_owned(), path.to_owned()), bytes.to_vec());
        Ok(())
    }

    async fn get(&self, _: &Holder, volume: &str, path: &str) -> Result<Option<Vec<u8>>, SwarmError> {
        Ok(self.lock().files.get(&(volume.to_owned(), path.to_owned())).cloned())
    }

    async fn release(&self, _: Holder) -> Result<(), SwarmError> {
        Ok(())
    }

    /// Does what the client of a database would do with the words that follow each other in the statement.
    async fn exec(&self, _: &Claim, _: &TaskId, argv: &[String], _: Duration) -> Result<ExecOutput, SwarmError> {
        let statement = argv.concat();
        let after = |word: &str| Some(statement.split_once(word)?.1.split_once("'\\''")?.0.to_owned());
        let mut inner = self.lock();
        if let Some(value) = after("VALUES ('\\''").or_else(|| after("SET nonce = '\\''")) {
            inner.files.insert(row(), value.into_bytes());
        }
        let text = inner.files.get(&row()).map(|value| String::from_utf8_lossy(value).into_owned());
        Ok(ExecOutput { exit: i64::from(text.is_none()), text: text.unwrap_or_else(|| "no such table: taster_canary".into()) })
    }

    async fn restored(&self, _: &Claim) -> Result<(), SwarmError> {
        Ok(())
    }

    async fn snapshots(&self, _: &Claim) -> Result<Vec<String>, SwarmError> {
        let restores = self.lock().restores;
        match restores {
            Restores::Mute => {
                Err(SwarmError::Failed { call: "exec".into(), message: "no container of the backup service runs".into() })
            }
            Restores::Well
            | Restores::Once
            | Restores::Nothing
            | Restores::Empty
            | Restores::AnotherRuns
            | Restores::AfterAnother
            | Restores::Keeping => Ok(self.ids()),
        }
    }

    async fn forget(&self, _: &Claim, snapshots: &[String]) -> Result<(), SwarmError> {
        let mut inner = self.lock();
        if inner.restores != Restores::Keeping {
            inner.snapshots.retain(|(id, _)| !snapshots.contains(id));
        }
        Ok(())
    }

    async fn runs(&self, _: &ServiceName) -> Result<bool, SwarmError> {
        Ok(true)
    }
}
