//! The other runs of this machine, by their locks and journals.

use std::{fs, path::PathBuf, time::Duration};

use async_trait::async_trait;

use crate::{
    journal::{self, LockError, RunLock},
    model::names::RunId,
    ports::{Neighbours, Turn, TurnError},
    pure::{
        host::preflight::{Needs, Neighbour},
        run::event::{Event, Kind, Note},
    },
};

/// The pause between two attempts to have the turn.
const PAUSE: Duration = Duration::from_millis(20);

/// The runs that have their folders beside that of this one.
#[derive(Debug, Clone)]
pub struct OtherRuns {
    runs: PathBuf,
    own: RunId,
}

impl OtherRuns {
    /// Those in the folder `runs`, but for the run `own`.
    pub fn new(runs: PathBuf, own: RunId) -> Self {
        Self { runs, own }
    }
}

#[async_trait]
impl Neighbours for OtherRuns {
    async fn turn(&self) -> Result<Box<dyn Turn>, TurnError> {
        loop {
            match RunLock::attempt(&self.runs) {
                Ok(lock) => return Ok(Box::new(Held { beside: self.clone(), _lock: lock })),
                Err(LockError::Held { .. } | LockError::Replaced { .. }) => tokio::time::sleep(PAUSE).await,
                Err(error @ (LockError::NoFile { .. } | LockError::System { .. })) => {
                    return Err(TurnError { source: error.into() });
                }
            }
        }
    }
}

/// The turn, which is the lock of the folder of all runs.
struct Held {
    beside: OtherRuns,
    _lock: RunLock,
}

impl Turn for Held {
    fn living(&self) -> Vec<Neighbour> {
        let entries = fs::read_dir(&self.beside.runs).into_iter().flatten().flatten();
        let others = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name != self.beside.own.as_str()));
        let living = others.map(|entry| entry.path()).filter(|folder| RunLock::held(folder));
        living.filter_map(|folder| neighbour(&journal::read(&folder).ok()?.events)).collect()
    }
}

/// What a living run's journal says of its needs; nothing before it was admitted.
fn neighbour(events: &[Event]) -> Option<Neighbour> {
    let (mut begun, mut admitted, mut up): (_, Option<Needs>, _) = (None, None, false);
    for event in events {
        match &event.kind {
            Kind::RunStarted { run, request, .. } => begun = Some((run.clone(), request.recipe.clone())),
            Kind::Admitted { needs } => admitted = Some(needs.clone()),
            Kind::Noted { note: Note::Settled { .. } } => up = true,
            _ => {}
        }
    }
    let ((run, recipe), needs) = begun.zip(admitted)?;
    Some(Neighbour { run, recipe, needs, up })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_has_the_turn_and_whoever_drops_it_gives_it_on() {
        let runs = tempfile::tempdir().unwrap();
        let beside = |own: &str| OtherRuns::new(runs.path().to_owned(), own.parse().unwrap());
        let (one, other) = (beside("20261121-101502-aebagbaf"), beside("20261121-101502-aebagbag"));
        let first = one.turn().await.unwrap();
        let second = tokio::spawn(async move { other.turn().await.map(|turn| turn.living().len()) });
        tokio::task::yield_now().await;
        assert!(!second.is_finished(), "two have the turn");
        drop(first);
        assert_eq!(second.await.unwrap().unwrap(), 0);
    }
}
