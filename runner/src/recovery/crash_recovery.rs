//! Cleanup after a run that died: its children end, what it claimed is removed, its journal and its reports say that it was
//! killed.
//!
//! Guardian and janitor do the same through this module. The caller holds the run's lock, and everything rests on the journal
//! that was read under it.

use std::{error::Error, io, iter, path::Path, sync::Arc, time::Duration};

use harness::{
    adapters::{children::Processes, clock::SystemClock, files::Disk, folder::Folder, swarm::DockerSwarm},
    engine::steps::shared::cleanup::{CleanupPorts, CleanupReport, IN_FLIGHT, Pace, cleanup_until_empty},
    journal::{self, Journal, JournalError, JournalReading, LockError, RunLock},
    model::{engine::SwarmError, time::Wall},
    ports::{Children, Clock, Data, Files, RunFolder, Swarm},
    pure::{
        host::claim::{Claim, Claimed},
        run::{
            event::{CleanedBy, Kind},
            state::{RunState, fold},
        },
    },
    redact::Redact,
    report,
};

use super::secret_recovery;
use crate::logging;

/// The ports for the cleanup of a dead run.
#[derive(Clone)]
pub struct HostAccess {
    /// The engine.
    pub swarm: Arc<dyn Swarm>,
    /// The snapshots.
    pub data: Arc<dyn Data>,
    /// The files.
    pub files: Arc<dyn Files>,
    /// The children.
    pub children: Arc<dyn Children>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
}

/// The longest wait for the lock of a run when there is something to add to its journal.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// The engine's socket where a journal names none.
pub const SOCKET: &str = "/var/run/docker.sock";

/// Connects to the engine behind a socket.
pub type Connect = dyn Fn(&Path) -> Result<HostAccess, SwarmError> + Send + Sync;

/// Connects to the host of a dead run.
#[derive(Clone)]
pub struct HostConnector {
    /// The children, which are ended even if no engine answers.
    pub children: Arc<dyn Children>,
    /// All ports, with the engine behind a socket.
    pub connect: Arc<Connect>,
}

impl HostConnector {
    /// The adapters of this machine.
    pub fn real() -> Self {
        let connect = |socket: &Path| {
            let swarm = Arc::new(DockerSwarm::at(socket)?);
            let clock = Arc::new(SystemClock::start());
            Ok(HostAccess { swarm: swarm.clone(), data: swarm, files: Arc::new(Disk), children: Arc::new(Processes), clock })
        };
        Self { children: Arc::new(Processes), connect: Arc::new(connect) }
    }
}

impl HostAccess {
    /// The part of it that cleanup uses.
    pub fn outside(&self) -> CleanupPorts<'_> {
        CleanupPorts {
            swarm: &*self.swarm,
            files: &*self.files,
            data: &*self.data,
            children: &*self.children,
            clock: &*self.clock,
        }
    }
}

/// Who cleans up, and how.
#[derive(Debug, Clone, Copy)]
pub struct CleanupPolicy {
    /// Who.
    pub by: CleanedBy,
    /// How long, and how often the inventory is read.
    pub pace: Pace,
    /// Whether it waits until the engine cannot be at work any more on what the dead run had asked for. Otherwise the next
    /// cleanup does.
    pub wait_for_engine: bool,
}

/// Why a dead run cannot be cleaned up.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The engine does not do its part.
    #[error("the engine cannot be used")]
    Engine(#[from] SwarmError),
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] io::Error),
    /// The journal cannot be written.
    #[error("the journal cannot be written")]
    Write(#[from] JournalError),
    /// Another process holds the run's lock.
    #[error("the run's lock cannot be taken")]
    Lock(#[from] LockError),
}

impl RecoveryError {
    /// The error and its causes in one line, separated by colons.
    pub fn in_one_line(&self) -> String {
        let causes = iter::successors(self.source(), |&error| error.source());
        causes.fold(self.to_string(), |line, cause| format!("{line}: {cause}"))
    }
}

/// Cleans up after a dead run, whose lock the caller holds and whose journal was read under it.
///
/// There are two parts. The first removes what exists at once and reports it. The second looks again until the engine cannot be
/// at work any more on a request whose client has died, and only then are the claims released.
pub async fn clean_up(
    access: &HostAccess,
    lock: RunLock,
    reading: &JournalReading,
    policy: CleanupPolicy,
) -> Result<CleanupReport, RecoveryError> {
    let folder = lock.run_dir().to_owned();
    tracing::info!(run_dir = %folder.display(), claims = reading.claims.len(), by = ?policy.by, "cleanup of a dead run begins");
    // The files that hold the secrets are removed by the cleanup.
    let redact = secret_recovery::secrets(&reading.claims);
    logging::hide_secrets_of(&redact);
    let journal = Journal::resume(lock, reading, access.clock.clone())?;
    let append = |kind| journal.append(kind).map(drop);
    let now = Pace { settle: Duration::ZERO, ..policy.pace };
    let mut cleaned = cleanup_until_empty(access.outside(), &reading.claims, &reading.children, now).await?;
    cleaned.ended.iter().try_for_each(|pid| append(Kind::ChildEnded { pid: *pid }))?;
    let killed = !reading.finished && reading.cleaned_after.is_none();
    if killed || !cleaned.removed.is_empty() {
        append(cleaned_after(&cleaned, reading, policy.by))?;
    }
    let settle = time_in_flight(reading, access.clock.wall());
    if cleaned.clean() && !settle.is_zero() {
        rewrite_reports(&folder, reading, &redact);
        if !policy.wait_for_engine {
            tracing::debug!("the engine may be at work for {settle:?} more; the next cleanup releases the claims");
            cleaned.released.clear();
            return Ok(cleaned);
        }
        let more = cleanup_until_empty(access.outside(), &reading.claims, &[], Pace { settle, ..policy.pace }).await?;
        if !more.removed.is_empty() || !more.clean() {
            append(cleaned_after(&more, reading, policy.by))?;
        }
        cleaned.removed.extend(more.removed);
        cleaned = CleanupReport {
            leaked: more.leaked,
            living: more.living,
            released: more.released,
            took: cleaned.took + more.took,
            ..cleaned
        };
    }
    cleaned.released.iter().try_for_each(|what| append(Kind::Released { what: what.clone() }))?;
    rewrite_reports(&folder, reading, &redact);
    tracing::info!(removed = cleaned.removed.len(), leaked = cleaned.leaked.len(), "cleanup of a dead run ends");
    Ok(cleaned)
}

/// Records that a run that left nothing was killed. Does nothing for a run that came to its own end, or whose kill is recorded.
pub fn record_kill(lock: RunLock, reading: &JournalReading, by: CleanedBy) -> Result<(), RecoveryError> {
    if reading.finished || reading.run.is_none() || reading.cleaned_after.is_some() {
        return Ok(());
    }
    let folder = lock.run_dir().to_owned();
    let journal = Journal::resume(lock, reading, Arc::new(SystemClock::start()))?;
    journal.append(cleaned_after(&CleanupReport::default(), reading, by))?;
    rewrite_reports(&folder, reading, &secret_recovery::secrets(&reading.claims));
    Ok(())
}

/// Cleans up after children of a finished run that were ended by force: what they had asked the engine for may still appear,
/// under claims that are released already.
pub async fn watch(
    access: &HostAccess,
    run_dir: &Path,
    reading: &JournalReading,
    policy: CleanupPolicy,
) -> Result<(), RecoveryError> {
    let pace = Pace { settle: IN_FLIGHT, ..policy.pace };
    // Only abra asks for snapshots, and abra is dead.
    let of_engine = |claim: &&Claim| !matches!(claim.what(), Claimed::Snapshots { .. });
    let claims: Vec<Claim> = reading.released.iter().filter(of_engine).cloned().collect();
    let cleaned = cleanup_until_empty(access.outside(), &claims, &[], pace).await?;
    if !cleaned.removed.is_empty() {
        // Another cleanup would find nothing, so the journal must get this now.
        let lock = RunLock::within(run_dir, LOCK_TIMEOUT)?;
        let reading = journal::read(run_dir)?;
        let journal = Journal::resume(lock, &reading, access.clock.clone())?;
        journal.append(cleaned_after(&cleaned, &reading, policy.by))?;
    }
    Ok(())
}

fn cleaned_after(cleaned: &CleanupReport, reading: &JournalReading, by: CleanedBy) -> Kind {
    let left = cleaned.leaked.iter().map(ToString::to_string).chain(cleaned.living.iter().cloned());
    let lost = (reading.lost_claims > 0)
        .then(|| format!("what unreadable lines of the journal may have claimed; their number is {}", reading.lost_claims));
    let disbelieved = reading.disbelieved.iter().map(|sentence| format!("left alone: {sentence}"));
    let left = left.chain(lost).chain(disbelieved);
    Kind::CleanedAfter { by, removed: u32::try_from(cleaned.removed.len()).unwrap_or(u32::MAX), left: left.collect() }
}

/// How long the engine may still be at work on what the dead run or a child of it had asked for. The moment of the death is
/// unknown, so the time counts from the first cleanup after it.
fn time_in_flight(reading: &JournalReading, now: Wall) -> Duration {
    if !reading.was_acting {
        return Duration::ZERO;
    }
    let since = reading.cleaned_after.map(|at| now.millis().saturating_sub(at.millis()));
    // A clock that was set back says nothing about the time since.
    let since = since.and_then(|millis| u64::try_from(millis).ok()).map_or(Duration::ZERO, Duration::from_millis);
    IN_FLIGHT.saturating_sub(since)
}

/// Writes the reports of a killed run again from its journal. A run that came to its own end has written its reports. A report
/// that cannot be written changes nothing: the journal has it all.
fn rewrite_reports(folder: &Path, before: &JournalReading, redact: &Arc<Redact>) {
    let (Some(run), Some(runs), false) = (&before.run, folder.parent(), before.finished) else { return };
    let Ok(reading) = journal::read(folder) else { return };
    let state = reading.events.iter().fold(RunState::default(), fold);
    let folder_of_run = Folder::of(runs, run);
    if folder_of_run.root() == folder && state.begun.is_some() {
        let folder: Arc<dyn RunFolder> = Arc::new(folder_of_run);
        report::write_all(&folder, &state, redact);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_flight_counts_from_the_first_cleanup() {
        let at = |seconds: i64| Wall::from_millis(1_795_255_302_000 + seconds * 1000);
        for (busy, first, left) in [
            (false, None, Duration::ZERO),
            (true, None, IN_FLIGHT),
            (true, Some(at(-5)), IN_FLIGHT - Duration::from_secs(5)),
            (true, Some(at(-600)), Duration::ZERO),
            (true, Some(at(3600)), IN_FLIGHT),
        ] {
            let mut reading = JournalReading::default();
            (reading.was_acting, reading.cleaned_after) = (busy, first);
            assert_eq!(time_in_flight(&reading, at(0)), left, "{busy} {first:?}");
        }
    }
}
