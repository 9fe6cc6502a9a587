//! The journal of a run, `events.jsonl` in its folder: its events, one JSON object a line, in their order.
//!
//! An event is written before the act that it announces, and a durable one is on the disk when the call returns. Only the journal
//! makes a [`Claim`], so a claim that exists is durable: another process can clean up what it covers when this one is killed.

mod lock;
mod read;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

pub use lock::{LockError, RunLock};
pub use read::{JournalReading, read, settled};

use crate::{
    disk::plain_file::{self, JOURNAL_LIMIT, Links},
    model::{
        names::{RunId, SwarmId},
        time::Mono,
    },
    ports::Clock,
    pure::{
        host::claim::{Claim, Claimed, Disbelief},
        run::event::{Event, Kind},
    },
};

/// The journal's file in a run's folder.
pub const FILE: &str = "events.jsonl";
/// The mode of the files of a run's folder: their owner's alone.
const PRIVATE: u32 = 0o600;
/// The most bytes that a run writes. Its cleanup may write up to what a reader takes, so that a run that has written too much is
/// still cleaned up.
const RUN_LIMIT: u64 = JOURNAL_LIMIT / 2;

/// The journal of one run, with the run's lock: as long as this value lives, other processes see that the run is alive. The
/// kernel releases the lock of a process that was killed.
pub struct Journal {
    run: RunId,
    clock: Arc<dyn Clock>,
    writer: Mutex<Writer>,
    lock: RunLock,
}

struct Writer {
    path: PathBuf,
    file: File,
    /// The length of all whole lines, in bytes.
    len: u64,
    /// The most bytes that it may have.
    limit: u64,
    seq: u64,
    /// The time that the clock's times are added to, so that a resumed journal never goes back in time.
    since: Mono,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The run's lock cannot be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The folder has a journal already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The journal.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The journal does not name its run.
    #[error("{} does not name its run", path.display())]
    NoRun {
        /// The journal.
        path: PathBuf,
    },
    /// An earlier write failed, and nothing is written after it.
    #[error("the journal cannot be written any more")]
    Broken {
        /// Why it failed.
        source: Arc<JournalError>,
    },
    /// The journal was removed, so that no other process could clean up after the run.
    #[error("{} was removed while the run went on", path.display())]
    Removed {
        /// The journal.
        path: PathBuf,
    },
    /// The journal has as many bytes as a run may write.
    #[error("{} has {} MiB, and a run writes no more", path.display(), limit >> 20)]
    Full {
        /// The journal.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// This cannot be claimed, because no cleanup would believe it.
    #[error("cannot claim {what}")]
    Disbelieved {
        /// The thing to be claimed.
        what: Claimed,
        /// Why not.
        source: Disbelief,
    },
}

/// The error of a file or folder that could not be read or written.
fn unusable(path: &Path) -> impl Fn(io::Error) -> JournalError {
    move |source| JournalError::File { path: path.to_owned(), source }
}

impl Journal {
    /// Creates the journal of a new run in `run_dir`, which is made when it is absent, and takes the run's lock.
    pub fn create(run_dir: &Path, run: RunId, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        std::fs::create_dir_all(run_dir).map_err(unusable(run_dir))?;
        let lock = RunLock::take(run_dir)?;
        let path = run_dir.join(FILE);
        let opened = OpenOptions::new().append(true).create_new(true).mode(PRIVATE).open(&path);
        let file = opened.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => JournalError::Exists { path: path.clone() },
            _ => unusable(&path)(error),
        })?;
        // The file's name is stored in its folder, and the folder's in the one above: a crash of the machine loses what is not
        // synced.
        for folder in [Some(run_dir), run_dir.parent()].into_iter().flatten().filter(|path| !path.as_os_str().is_empty()) {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(unusable(folder))?;
        }
        let writer = Mutex::new(Writer { path, file, len: 0, limit: RUN_LIMIT, seq: 0, since: Mono(0) });
        Ok(Self { run, clock, writer, lock })
    }

    /// Continues the journal of a dead run, whose lock the caller holds and which `reading` came from. Removes a last line that
    /// the crash cut off: it was never durable, so no act followed it.
    pub fn resume(lock: RunLock, reading: &JournalReading, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        let path = lock.run_dir().join(FILE);
        let failed = unusable(&path);
        let run = reading.run.clone().ok_or_else(|| JournalError::NoRun { path: path.clone() })?;
        let mut file = plain_file::opened(&path, Links::Refused, OpenOptions::new().append(true)).map_err(&failed)?;
        file.set_len(reading.whole_bytes).map_err(&failed)?;
        let mut len = reading.whole_bytes;
        if reading.lacks_line_end {
            file.write_all(b"\n").map_err(&failed)?;
            len += 1;
        }
        let (seq, since) = (reading.last_seq, reading.last_mono);
        let writer = Mutex::new(Writer { path: path.clone(), file, len, limit: JOURNAL_LIMIT, seq, since });
        Ok(Self { run, clock, writer, lock })
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Writes an event. When the call returns, a durable one is on the disk; after an error it is not in the journal.
    pub fn append(&self, kind: Kind) -> Result<Event, JournalError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let event = writer.event(&*self.clock, kind);
        writer.write(&event)?;
        writer.seq = event.seq;
        Ok(event)
    }

    /// Makes an event that is not in the journal, for a run that has to end because its journal cannot be written.
    pub fn unwritten(&self, kind: Kind) -> Event {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let event = writer.event(&*self.clock, kind);
        writer.seq = event.seq;
        event
    }

    /// Claims `what` on the Swarm `engine` for the run, durably, before the act that makes it.
    pub fn claim(&self, what: Claimed, engine: &SwarmId) -> Result<(Claim, Event), JournalError> {
        let place = read::place(self.lock.run_dir(), self.run.clone());
        let claim = Claim::believed(what.clone(), engine.clone(), &place, read::resolved)
            .map_err(|source| JournalError::Disbelieved { what: what.clone(), source })?;
        let event = self.append(Kind::Claimed { engine: engine.clone(), what })?;
        Ok((claim, event))
    }
}

impl Writer {
    fn event(&self, clock: &dyn Clock, kind: Kind) -> Event {
        let mono = self.since.after(clock.mono().since(Mono(0)));
        Event { seq: self.seq + 1, at: clock.wall(), mono, kind }
    }

    /// Whether the file still has its name. What is written to a removed file is lost.
    fn is_there(&self) -> Result<(), JournalError> {
        match self.file.metadata() {
            Ok(meta) if meta.nlink() == 0 => Err(JournalError::Removed { path: self.path.clone() }),
            Ok(_) => Ok(()),
            Err(error) => Err(unusable(&self.path)(error)),
        }
    }

    fn write(&mut self, event: &Event) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(event).map_err(io::Error::from).map_err(unusable(&self.path))?;
        line.push(b'\n');
        if self.len + line.len() as u64 > self.limit {
            return Err(JournalError::Full { path: self.path.clone(), limit: self.limit });
        }
        let written = self.file.write_all(&line).and_then(|()| {
            if event.kind.durable() {
                self.file.sync_data()?;
            }
            Ok(line.len() as u64)
        });
        match written {
            Ok(len) => {
                self.len += len;
                self.is_there()
            }
            Err(error) => {
                // Half a line would corrupt the next one. If even this fails, the reader reports that line.
                if let Err(error) = self.file.set_len(self.len) {
                    tracing::warn!(path = %self.path.display(), %error, "an incomplete line stays in the journal");
                }
                Err(unusable(&self.path)(error))
            }
        }
    }
}

#[cfg(test)]
mod tests;
