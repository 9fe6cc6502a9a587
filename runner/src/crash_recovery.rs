//! What is done for a run that is dead, whoever does it: its children end, what it claimed goes, its journal and its reports say so.

use std::{path::Path, sync::Arc, time::Duration};

use harness::{
    adapters::{children::Processes, clock::SystemClock, files::Disk, folder::Folder, swarm::DockerSwarm},
    engine::steps::cleanup::{CleanupReport, IN_FLIGHT, Outside, Pace, cleanup_until_empty},
    journal::{self, Journal, Reading, RunLock},
    model::{engine::SwarmError, time::Wall},
    ports::{Children, Clock, Data, Files, Swarm},
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

use crate::secret_recovery;

/// What a dead run is swept through.
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

/// How long whoever holds the lock is waited for when there is something to add to a journal.
const TURN: Duration = Duration::from_secs(60);

/// The engine's socket where a journal names none.
pub const SOCKET: &str = "/var/run/docker.sock";

/// Reaches all of it, with the engine behind a socket.
pub type Connect = dyn Fn(&Path) -> Result<HostAccess, SwarmError> + Send + Sync;

/// How the outside is reached.
#[derive(Clone)]
pub struct Reaching {
    /// Children, which end whether an engine answers or not.
    pub children: Arc<dyn Children>,
    /// All, with the engine behind a socket.
    pub engine: Arc<Connect>,
}

impl Reaching {
    /// The real outside.
    pub fn real() -> Self {
        let engine = |socket: &Path| {
            let swarm = Arc::new(DockerSwarm::at(socket)?);
            let clock = Arc::new(SystemClock::start());
            Ok(HostAccess { swarm: swarm.clone(), data: swarm, files: Arc::new(Disk), children: Arc::new(Processes), clock })
        };
        Self { children: Arc::new(Processes), engine: Arc::new(engine) }
    }
}

impl HostAccess {
    /// What a sweep needs of it.
    pub fn outside(&self) -> Outside<'_> {
        Outside { swarm: &*self.swarm, files: &*self.files, data: &*self.data, children: &*self.children, clock: &*self.clock }
    }
}

/// Who sweeps, and how.
#[derive(Debug, Clone, Copy)]
pub struct CleanupPolicy {
    /// Who.
    pub by: CleanedBy,
    /// How long, and how often it looks.
    pub pace: Pace,
    /// Whether it stays until nothing can come any more that the engine was asked for before the run died. Otherwise that is left to
    /// whoever sweeps next.
    pub stays: bool,
}

/// Sweeps a dead run, whose lock the caller holds and whose journal was read under it. The error is one sentence.
///
/// There are two parts. The first takes what is there to zero, at once, and tells. The second looks again until the engine cannot be at
/// work any more on a request whose client has died, and only then are the claims released.
pub async fn clean_up(
    reach: &HostAccess,
    lock: RunLock,
    reading: &Reading,
    manner: CleanupPolicy,
) -> Result<CleanupReport, String> {
    let folder = lock.run_dir().to_owned();
    // The files that tell them go with the sweep.
    let redact = secret_recovery::secrets(&reading.claims);
    let journal = Journal::resume(lock, reading, reach.clock.clone()).map_err(|error| error.to_string())?;
    let append = |kind| journal.append(kind).map(drop).map_err(|error| error.to_string());
    let now = Pace { settle: Duration::ZERO, ..manner.pace };
    let mut swept =
        cleanup_until_empty(reach.outside(), &reading.claims, &reading.children, now).await.map_err(|error| error.to_string())?;
    swept.ended.iter().try_for_each(|pid| append(Kind::ChildEnded { pid: *pid }))?;
    let killed = !reading.finished && reading.cleaned_after.is_none();
    if killed || !swept.removed.is_empty() {
        append(told(&swept, manner.by))?;
    }
    let settle = flying(reading, reach.clock.wall());
    if swept.clean() && !settle.is_zero() {
        if !manner.stays {
            swept.released.clear();
            retell(&folder, reading, &redact);
            return Ok(swept);
        }
        retell(&folder, reading, &redact);
        let more = cleanup_until_empty(reach.outside(), &reading.claims, &[], Pace { settle, ..manner.pace }).await;
        let more = more.map_err(|error| error.to_string())?;
        if !more.removed.is_empty() || !more.clean() {
            append(told(&more, manner.by))?;
        }
        swept.removed.extend(more.removed);
        swept = CleanupReport {
            leaked: more.leaked,
            living: more.living,
            released: more.released,
            took: swept.took + more.took,
            ..swept
        };
    }
    swept.released.iter().try_for_each(|what| append(Kind::Released { what: what.clone() }))?;
    retell(&folder, reading, &redact);
    Ok(swept)
}

/// Says of a killed run that left nothing that it was killed. The error is one sentence.
pub fn tell(lock: RunLock, reading: &Reading, by: CleanedBy) -> Result<(), String> {
    if reading.finished || reading.run.is_none() || reading.cleaned_after.is_some() {
        return Ok(());
    }
    let folder = lock.run_dir().to_owned();
    let journal = Journal::resume(lock, reading, Arc::new(SystemClock::start())).map_err(|error| error.to_string())?;
    journal.append(told(&CleanupReport::default(), by)).map_err(|error| error.to_string())?;
    retell(&folder, reading, &secret_recovery::secrets(&reading.claims));
    Ok(())
}

/// Looks after a run that came to its own end when children of it had been ended by force: what they had asked the engine for may still
/// come, under claims that are released already. The error is one sentence.
pub async fn watch(reach: &HostAccess, run_dir: &Path, reading: &Reading, manner: CleanupPolicy) -> Result<(), String> {
    let pace = Pace { settle: IN_FLIGHT, ..manner.pace };
    // Nothing asks the backup service for anything any more once abra is dead.
    let of_engine = |claim: &&Claim| !matches!(claim.what(), Claimed::Snapshots { .. });
    let claims: Vec<Claim> = reading.released.iter().filter(of_engine).cloned().collect();
    let swept = cleanup_until_empty(reach.outside(), &claims, &[], pace).await.map_err(|error| error.to_string())?;
    if !swept.removed.is_empty() {
        // Another look would find nothing any more, so that this is the only chance to say it.
        let lock = RunLock::within(run_dir, TURN).map_err(|error| error.to_string())?;
        let reading = journal::read(run_dir).map_err(|error| error.to_string())?;
        let journal = Journal::resume(lock, &reading, reach.clock.clone()).map_err(|error| error.to_string())?;
        journal.append(told(&swept, manner.by)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn told(swept: &CleanupReport, by: CleanedBy) -> Kind {
    let left = swept.leaked.iter().map(ToString::to_string).chain(swept.living.iter().cloned());
    Kind::CleanedAfter { by, removed: u32::try_from(swept.removed.len()).unwrap_or(u32::MAX), left: left.collect() }
}

/// How long the engine may still be at work on what the dead run or a child of it had asked for. Nobody has seen the run die, so the
/// time counts from the first sweep after it.
fn flying(reading: &Reading, now: Wall) -> Duration {
    if !reading.busy {
        return Duration::ZERO;
    }
    let since = reading.cleaned_after.map(|at| now.millis().saturating_sub(at.millis()));
    // A clock that was set back says nothing about the time since.
    let since = since.and_then(|millis| u64::try_from(millis).ok()).map_or(Duration::ZERO, Duration::from_millis);
    IN_FLIGHT.saturating_sub(since)
}

/// Writes the reports of a killed run anew from its journal. A run that came to its own end has told its own truth. What cannot be
/// written changes nothing: the journal has it.
fn retell(folder: &Path, before: &Reading, redact: &Arc<Redact>) {
    let (Some(run), Some(runs), false) = (&before.run, folder.parent(), before.finished) else { return };
    let Ok(reading) = journal::read(folder) else { return };
    let state = reading.events.iter().fold(RunState::default(), fold);
    let folder_of_run = Folder::of(runs, run);
    if folder_of_run.root() == folder && state.begun.is_some() {
        report::write_all(&folder_of_run, &state, redact);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_what_flies_counts_from_the_first_sweep() {
        let at = |seconds: i64| Wall::from_millis(1_795_255_302_000 + seconds * 1000);
        for (busy, first, left) in [
            (false, None, Duration::ZERO),
            (true, None, IN_FLIGHT),
            (true, Some(at(-5)), IN_FLIGHT - Duration::from_secs(5)),
            (true, Some(at(-600)), Duration::ZERO),
            (true, Some(at(3600)), IN_FLIGHT),
        ] {
            let mut reading = Reading::default();
            (reading.busy, reading.cleaned_after) = (busy, first);
            assert_eq!(flying(&reading, at(0)), left, "{busy} {first:?}");
        }
    }
}
