//! Simulated volumes and snapshots of one app.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use harness::{
    claim::Claim,
    model::names::{ImageRef, ServiceName, TaskId},
    ports::{Data, Holder, Said, SwarmError},
};

/// Files by volume and path.
type Files = BTreeMap<(String, String), Vec<u8>>;

/// The volumes of an app and a backup service.
#[derive(Debug, Default)]
pub struct SimData {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    files: Files,
    snapshots: Vec<(String, Files)>,
    /// Whether a restore says that it went well and brings nothing back.
    idle: bool,
}

impl SimData {
    /// Volumes and a backup service whose restores bring nothing back.
    pub fn that_restores_nothing() -> Self {
        Self { inner: Mutex::new(Inner { idle: true, ..Inner::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a snapshot of all volumes and gives its id.
    pub fn back_up(&self) -> String {
        let mut inner = self.lock();
        let id = format!("{:08x}", inner.snapshots.len() + 1);
        let files = inner.files.clone();
        inner.snapshots.push((id.clone(), files));
        id
    }

    /// Restores the newest snapshot.
    pub fn restore(&self) {
        let mut inner = self.lock();
        let newest = inner.snapshots.last().map(|(_, files)| files.clone());
        if let Some(files) = newest.filter(|_| !inner.idle) {
            inner.files = files;
        }
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

    async fn exec(&self, _: &Claim, _: &TaskId, _: &[String], _: Duration) -> Result<Said, SwarmError> {
        Ok(Said { exit: 0, text: String::new() })
    }

    async fn snapshots(&self, _: &Claim) -> Result<Vec<String>, SwarmError> {
        Ok(self.ids())
    }

    async fn forget(&self, _: &Claim, snapshots: &[String]) -> Result<(), SwarmError> {
        self.lock().snapshots.retain(|(id, _)| !snapshots.contains(id));
        Ok(())
    }

    async fn runs(&self, _: &ServiceName) -> Result<bool, SwarmError> {
        Ok(true)
    }
}
