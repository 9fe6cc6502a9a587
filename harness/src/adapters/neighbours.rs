//! The other runs of this machine, from their locks and journals.

use std::{fs, path::PathBuf, time::Duration};

use async_trait::async_trait;

use crate::{
    journal::{self, LockError, RunLock},
    model::names::RunId,
    ports::{AdmissionLock, AdmissionLockError, Neighbours},
    pure::{
        host::preflight::{Needs, Neighbour},
        run::event::{Event, Kind, Note},
    },
};

/// The pause between two attempts to take the admission lock.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The other runs, whose folders are in the same folder as that of this run.
#[derive(Debug, Clone)]
pub struct OtherRuns {
    runs: PathBuf,
    own: RunId,
}

impl OtherRuns {
    /// The runs in the folder `runs` without the run `own`.
    pub fn new(runs: PathBuf, own: RunId) -> Self {
        Self { runs, own }
    }
}

#[async_trait]
impl Neighbours for OtherRuns {
    async fn lock_admission(&self) -> Result<Box<dyn AdmissionLock>, AdmissionLockError> {
        loop {
            match RunLock::attempt(&self.runs) {
                Ok(lock) => return Ok(Box::new(Held { runs: self.clone(), _lock: lock })),
                Err(LockError::Held { .. } | LockError::Replaced { .. }) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(error @ (LockError::NoFile { .. } | LockError::System { .. })) => {
                    return Err(AdmissionLockError { source: error.into() });
                }
            }
        }
    }
}

/// The admission lock: a lock on the folder of all runs.
struct Held {
    runs: OtherRuns,
    _lock: RunLock,
}

impl AdmissionLock for Held {
    fn living(&self) -> Vec<Neighbour> {
        let entries = fs::read_dir(&self.runs.runs).into_iter().flatten().flatten();
        let others = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name != self.runs.own.as_str()));
        let living = others.map(|entry| entry.path()).filter(|folder| RunLock::held(folder));
        living.filter_map(|folder| neighbour(&journal::read(&folder).ok()?.events)).collect()
    }
}

/// The needs of a living run from its journal; `None` before it was admitted.
fn neighbour(events: &[Event]) -> Option<Neighbour> {
    let (mut started, mut admitted, mut up): (_, Option<Needs>, _) = (None, None, false);
    for event in events {
        match &event.kind {
            Kind::RunStarted { run, request, .. } => started = Some((run.clone(), request.recipe.clone())),
            Kind::Admitted { needs } => admitted = Some(needs.clone()),
            Kind::Noted { note: Note::Settled { .. } } => up = true,
            _ => {}
        }
    }
    let ((run, recipe), needs) = started.zip(admitted)?;
    Some(Neighbour { run, recipe, needs, up })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn second_run_gets_the_admission_lock_after_the_first_drops_it() {
        let runs = tempfile::tempdir().unwrap();
        let runs_beside = |own: &str| OtherRuns::new(runs.path().to_owned(), own.parse().unwrap());
        let (one, other) = (runs_beside("20261121-101502-aebagbaf"), runs_beside("20261121-101502-aebagbag"));
        let first = one.lock_admission().await.unwrap();
        let second = tokio::spawn(async move { other.lock_admission().await.map(|lock| lock.living().len()) });
        tokio::task::yield_now().await;
        assert!(!second.is_finished(), "two runs hold the lock");
        drop(first);
        assert_eq!(second.await.unwrap().unwrap(), 0);
    }
}
