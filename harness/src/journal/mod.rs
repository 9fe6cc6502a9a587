//! The journal of a run, `events.jsonl` in its folder: what happened, one JSON object a line, in the order in which it happened.
//!
//! It is written before the act that it announces, and what must survive is on the disk when a call returns. It is the only
//! source of claims: whoever holds a [`Claim`] knows that it is durable.

mod lock;
mod read;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

pub use lock::{LockError, RunLock};
pub use read::{Reading, read, settled};

use crate::{
    model::{
        names::{EngineId, RunId},
        time::Mono,
    },
    ports::Clock,
    pure::{
        host::claim::{Claim, Claimed},
        run::event::{Event, Kind},
    },
};

/// The journal's file in a run's folder.
pub const FILE: &str = "events.jsonl";

/// The journal of one run, with the run's lock: as long as this value lives, the run is known to be alive. Locks of the
/// system end with the process, so a run that was killed is known to be dead.
pub struct Journal {
    run: RunId,
    clock: Arc<dyn Clock>,
    writer: Mutex<Writer>,
    _lock: RunLock,
}

struct Writer {
    path: PathBuf,
    file: File,
    /// The length of what was written whole.
    len: u64,
    seq: u64,
    /// What the clock's times are added to, so that a journal that is gone on with never goes back in time.
    since: Mono,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The run's lock cannot be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There is a journal already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The journal.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot use {}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's sentence.
        message: String,
    },
    /// An earlier write failed, and nothing is written after it.
    #[error("{message}")]
    Broken {
        /// Why it failed.
        message: String,
    },
    /// This cannot be claimed, because a sweep of it could not be right.
    #[error("cannot claim {what}: {flaw}")]
    Flawed {
        /// What was to be claimed.
        what: Claimed,
        /// What is wrong with it.
        flaw: &'static str,
    },
}

/// The error of a file or folder that could not be read or written.
fn unusable(path: &Path) -> impl Fn(io::Error) -> JournalError {
    move |error| JournalError::File { path: path.to_owned(), message: error.to_string() }
}

impl Journal {
    /// The journal of a new run, in `run_dir`, which is made when it is absent. The run's lock is held from here on.
    pub fn create(run_dir: &Path, run: RunId, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        std::fs::create_dir_all(run_dir).map_err(unusable(run_dir))?;
        let lock = RunLock::take(run_dir)?;
        let path = run_dir.join(FILE);
        let opened = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = opened.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => JournalError::Exists { path: path.clone() },
            _ => unusable(&path)(error),
        })?;
        // The file's name is in its folder, and the folder's in the one above: without both, a crash of the machine loses it.
        for folder in [Some(run_dir), run_dir.parent()].into_iter().flatten().filter(|path| !path.as_os_str().is_empty()) {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(unusable(folder))?;
        }
        let writer = Mutex::new(Writer { path, file, len: 0, seq: 0, since: Mono(0) });
        Ok(Self { run, clock, writer, _lock: lock })
    }

    /// Goes on with the journal of a dead run, whose lock the caller holds and which `reading` came from. A last line that was
    /// cut off by the run's death is removed: it was never durable, so nothing was done upon it.
    pub fn resume(lock: RunLock, reading: &Reading, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        let path = lock.run_dir().join(FILE);
        let failed = unusable(&path);
        let run = reading.run.clone().ok_or_else(|| failed(io::Error::other("it does not say which run it is of")))?;
        let mut file = OpenOptions::new().append(true).open(&path).map_err(&failed)?;
        file.set_len(reading.whole).map_err(&failed)?;
        let mut len = reading.whole;
        if reading.unended {
            file.write_all(b"\n").map_err(&failed)?;
            len += 1;
        }
        let writer = Mutex::new(Writer { path: path.clone(), file, len, seq: reading.last_seq, since: reading.last_mono });
        Ok(Self { run, clock, writer, _lock: lock })
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Writes what happened. When the call returns, a durable kind is on the disk; after an error it is not in the journal.
    pub fn append(&self, kind: Kind) -> Result<Event, JournalError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let event = writer.event(&*self.clock, kind);
        writer.write(&event)?;
        writer.seq = event.seq;
        Ok(event)
    }

    /// What happened, as an event that is not in the journal: for a run that has to end because its journal cannot be written.
    pub fn unwritten(&self, kind: Kind) -> Event {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let event = writer.event(&*self.clock, kind);
        writer.seq = event.seq;
        event
    }

    /// Makes it durable that `what` is the run's on the Swarm `engine`, before the act that makes it so.
    pub fn claim(&self, what: Claimed, engine: &EngineId) -> Result<(Claim, Event), JournalError> {
        if let Some(flaw) = what.flaw() {
            return Err(JournalError::Flawed { what, flaw });
        }
        let event = self.append(Kind::Claimed { engine: engine.clone(), what: what.clone() })?;
        Ok((Claim::new(self.run.clone(), engine.clone(), what), event))
    }
}

impl Writer {
    fn event(&self, clock: &dyn Clock, kind: Kind) -> Event {
        let mono = self.since.after(clock.mono().since(Mono(0)));
        Event { seq: self.seq + 1, at: clock.wall(), mono, kind }
    }

    fn write(&mut self, event: &Event) -> Result<(), JournalError> {
        let written = serde_json::to_vec(event).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            self.file.write_all(&line)?;
            if event.kind.durable() {
                self.file.sync_data()?;
            }
            Ok(line.len() as u64)
        });
        match written {
            Ok(len) => {
                self.len += len;
                Ok(())
            }
            Err(error) => {
                // Half a line would spoil the next one. If even this fails, the reader says so of that line.
                let _ = self.file.set_len(self.len);
                Err(unusable(&self.path)(error))
            }
        }
    }
}

#[cfg(test)]
mod tests;
