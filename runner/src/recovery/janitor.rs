//! The janitor: cleans up after dead runs, one after another.
//!
//! Journals and the inventory alone decide, so that a janitor may be killed at any moment and started again, and several may run
//! beside each other.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use harness::{
    adapters::clock::SystemClock,
    engine::steps::shared::cleanup::{CleanupReport, Pace, cleanup_until_empty},
    journal::{self, JournalReading, LockError, RunLock},
    model::{engine::SwarmError, names::RunId, text::with_causes, time::format_duration},
    ports::Clock,
    pure::{
        host::{
            claim::{Claim, Claimed},
            cleanup_plan::cleanup_plan,
            marker::{self, MarkerState},
        },
        run::{
            event::CleanedBy,
            kept_app::{Keeping, Kept, keeping},
        },
    },
    report::terminal::printable,
};

use super::crash_recovery::{self, CleanupPolicy, HostAccess, HostConnector};
use crate::output;

/// The options of a pass.
#[derive(Clone)]
pub struct JanitorOptions {
    /// The folder with one folder per run.
    pub runs: PathBuf,
    /// The engine's socket; without one each run's own is used.
    pub engine: Option<PathBuf>,
    /// Whether the pass reports what it would remove, and removes nothing.
    pub dry_run: bool,
    /// The only run to clean up after; then an app that it keeps is removed too.
    pub only: Option<RunId>,
    /// How long the cleanup after one run may take.
    pub pace: Pace,
    /// Whether it waits until the engine cannot be at work for a run any more. Otherwise the next pass does.
    pub wait_for_engine: bool,
    /// How the host of a run is reached.
    pub connector: HostConnector,
}

/// The result for one run.
#[derive(Debug)]
pub struct Report {
    /// The run's folder name, which is its id.
    pub run: String,
    /// What the janitor did with it.
    pub outcome: RunOutcome,
    /// The parts of its journal that cannot be read.
    pub unread: Vec<String>,
    /// What its journal claims that cannot be the run's. Nothing was done about it.
    pub disbelieved: Vec<String>,
    /// Whether claims may be among the unread parts, so that something unknown may be left.
    pub lost_claims: bool,
}

/// What the janitor did with a run.
#[derive(Debug)]
pub enum RunOutcome {
    /// Nothing: the run keeps its app until a time that has not come.
    Kept(Kept),
    /// Nothing: its lock is held.
    Alive,
    /// Nothing: all that it claimed was released before.
    Settled,
    /// It cleaned up.
    Cleaned(CleanupReport),
    /// Nothing: it was a dry run, and this would be removed.
    WouldRemove(Vec<String>),
    /// Nothing, because of this.
    Failed(String),
    /// Nothing: the run is another machine's, or has no journal here, and its marker has not expired.
    Elsewhere(String),
    /// Nothing: the marker is not one that taster has made.
    Untrusted(String),
}

impl Report {
    /// Whether something of the run is left, or may be.
    pub fn leaked(&self) -> bool {
        let unknown = self.lost_claims || !self.disbelieved.is_empty();
        match &self.outcome {
            RunOutcome::Kept(_)
            | RunOutcome::Alive
            | RunOutcome::Settled
            | RunOutcome::Elsewhere(_)
            | RunOutcome::Untrusted(_) => false,
            RunOutcome::WouldRemove(_) => unknown,
            RunOutcome::Cleaned(cleaned) => !cleaned.clean() || unknown,
            RunOutcome::Failed(_) => true,
        }
    }

    /// The result in lines: one for the run, and one for each thing that is left or unread.
    pub fn lines(&self) -> Vec<String> {
        let run = &self.run;
        let first = match &self.outcome {
            RunOutcome::Kept(kept) => {
                format!("{run}: keeps {} until {}; `taster janitor {run}` removes it at once", kept.domain, kept.until)
            }
            RunOutcome::Alive => format!("{run}: left alone: it is alive, or another janitor cleans up after it"),
            RunOutcome::Settled => format!("{run}: nothing left"),
            RunOutcome::WouldRemove(removals) => {
                let what = if removals.is_empty() {
                    "nothing to remove".into()
                } else {
                    format!("would remove {}", removals.join(", "))
                };
                let extent = if self.lost_claims { ", of what can be read of its journal" } else { "" };
                format!("{run}: {what}{extent}")
            }
            RunOutcome::Failed(reason) => format!("{run}: not cleaned up: {reason}"),
            RunOutcome::Elsewhere(reason) | RunOutcome::Untrusted(reason) => format!("{run}: left alone: {reason}"),
            RunOutcome::Cleaned(cleaned) => {
                let state = match (cleaned.clean(), self.lost_claims) {
                    (false, _) => "something is left",
                    (true, true) => "nothing left of what can be read of its journal",
                    (true, false) if !self.disbelieved.is_empty() => "nothing left of what can be the run's",
                    (true, false) if cleaned.released.is_empty() => "nothing left; the next janitor looks once more",
                    (true, false) => "nothing left",
                };
                format!("{run}: {} removed in {}, {state}", cleaned.removed.len(), format_duration(cleaned.took))
            }
        };
        let mut lines = vec![first];
        if let RunOutcome::Cleaned(cleaned) = &self.outcome {
            lines.extend(cleaned.leaked.iter().map(|left| format!("  {left}")));
            lines.extend(cleaned.living.iter().map(|sentence| format!("  {sentence}")));
        }
        lines.extend(self.disbelieved.iter().map(|sentence| format!("  left alone: {sentence}")));
        lines.extend(self.unread.iter().map(|sentence| format!("  journal, {sentence}")));
        lines.iter().map(|line| printable(line).replace('\n', " ")).collect()
    }
}

/// Goes through all runs, one after another, oldest first, and reports each as soon as it is done.
pub async fn pass(options: &JanitorOptions, mut each: impl FnMut(&Report)) -> io::Result<Vec<Report>> {
    let mut folders: Vec<PathBuf> = match fs::read_dir(&options.runs) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?,
        // The machine has had no run yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    folders.retain(|folder| folder.is_dir());
    folders.retain(|folder| options.only.as_ref().is_none_or(|run| folder.ends_with(run.as_str())));
    folders.sort();
    tracing::debug!(runs = folders.len(), dry_run = options.dry_run, "a pass of the janitor begins");
    let mut reports = Vec::new();
    for folder in folders {
        let report = clean_up_after(options, &folder).await;
        publish(report, &mut each, &mut reports);
    }
    for report in clean_up_markers(options).await {
        publish(report, &mut each, &mut reports);
    }
    Ok(reports)
}

fn publish(report: Report, each: &mut impl FnMut(&Report), reports: &mut Vec<Report>) {
    let line = report.lines().join(";");
    match &report.outcome {
        RunOutcome::Settled => tracing::trace!("{line}"),
        RunOutcome::Cleaned(_) => tracing::info!("{line}"),
        _ => tracing::debug!("{line}"),
    }
    each(&report);
    reports.push(report);
}

/// The pass before a run, so that nothing of a dead run is in its way. Reports on standard error what it removed.
pub async fn before_run(runs: &Path, engine: &Path) {
    let options = JanitorOptions {
        runs: runs.to_owned(),
        engine: Some(engine.to_owned()),
        dry_run: false,
        only: None,
        pace: Pace::default(),
        wait_for_engine: false,
        connector: HostConnector::real(),
    };
    let print = |report: &Report| {
        if matches!(report.outcome, RunOutcome::Cleaned(_)) {
            report.lines().iter().for_each(|line| output::message(&format!("janitor: {line}")));
        }
    };
    // A janitor that fails does not prevent the run: names are unique, so that no run meets what another has left.
    if let Err(error) = pass(&options, print).await {
        output::message(&format!("janitor: cannot read {}: {error}", runs.display()));
    }
}

async fn clean_up_after(options: &JanitorOptions, folder: &Path) -> Report {
    let run = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let report = |outcome, reading: JournalReading| Report {
        run: run.clone(),
        outcome,
        lost_claims: reading.lost_claims > 0,
        disbelieved: reading.disbelieved,
        unread: reading.unread,
    };
    let failed = |reason: String| report(RunOutcome::Failed(reason), JournalReading::default());
    let unreadable = |error: io::Error| failed(format!("its journal cannot be read: {error}"));
    // A settled run stays settled, and reading it needs no lock, which another process might want.
    match journal::settled(folder) {
        Ok(true) => return report(RunOutcome::Settled, JournalReading::default()),
        Ok(false) => {}
        Err(error) => return unreadable(error),
    }
    let lock = match RunLock::attempt(folder) {
        Ok(lock) => lock,
        Err(LockError::Held { .. } | LockError::Replaced { .. }) => return report(RunOutcome::Alive, JournalReading::default()),
        Err(error @ (LockError::NoFile { .. } | LockError::System { .. })) => return failed(with_causes(&error)),
    };
    // Only what is read under the lock is final: another janitor may have finished in between.
    let reading = match journal::read(folder) {
        Ok(reading) if reading.settled() => return report(RunOutcome::Settled, reading),
        Ok(reading) => reading,
        Err(error) => return unreadable(error),
    };
    if let (Keeping::Valid(kept), None) = (keeping(&reading.events, &reading.claims, SystemClock::start().wall()), &options.only)
    {
        return report(RunOutcome::Kept(kept), reading);
    }
    let socket = options.engine.clone().or_else(|| reading.socket.clone()).unwrap_or_else(|| crash_recovery::SOCKET.into());
    let outcome = match (options.connector.connect)(&socket) {
        Err(error) => RunOutcome::Failed(error.to_string()),
        Ok(access) if options.dry_run => would_remove(&access, &reading.claims).await,
        Ok(access) => {
            let (pace, wait_for_engine) = (options.pace, options.wait_for_engine);
            let policy = CleanupPolicy { by: CleanedBy::Janitor, pace, wait_for_engine };
            let cleaned = crash_recovery::clean_up(&access, lock, &reading, policy).await;
            cleaned.map_or_else(|error| RunOutcome::Failed(error.in_one_line()), RunOutcome::Cleaned)
        }
    };
    report(outcome, reading)
}

/// Cleans up after the runs that only a marker on the Swarm names, because they were started on another machine or their folders
/// are gone.
async fn clean_up_markers(options: &JanitorOptions) -> Vec<Report> {
    let socket = options.engine.clone().unwrap_or_else(|| crash_recovery::SOCKET.into());
    // Without a Swarm there is no marker. An engine that does not answer is reported for the runs of this machine.
    let Ok(access) = (options.connector.connect)(&socket) else { return Vec::new() };
    let (Ok(inventory), Ok(engine)) = (access.swarm.inventory().await, access.swarm.host().await) else { return Vec::new() };
    // A marker has expired when both clocks say so: either may be wrong.
    let now = engine.clock.map_or(access.clock.wall(), |theirs| theirs.min(access.clock.wall()));
    let journals = marker::names(&inventory).filter(|run| options.runs.join(run.as_str()).is_dir());
    let journals = journals.filter(|run| !journal::settled(&options.runs.join(run.as_str())).unwrap_or(false)).collect();
    let mut reports = Vec::new();
    for (name, state) in marker::states(&inventory, now, &journals) {
        let outcome = match state {
            MarkerState::OfJournal => continue,
            MarkerState::Until(sentence) => RunOutcome::Elsewhere(sentence),
            MarkerState::Untrusted(sentence) => RunOutcome::Untrusted(sentence),
            MarkerState::Expired(claims) if options.dry_run => would_remove(&access, &claims).await,
            // This machine may never have had a run.
            MarkerState::Expired(claims) => match fs::create_dir_all(&options.runs).map(|()| RunLock::attempt(&options.runs)) {
                Err(error) => RunOutcome::Failed(format!("cannot create {}: {error}", options.runs.display())),
                Ok(Ok(_lock)) => {
                    let cleaned = cleanup_until_empty(access.outside(), &claims, &[], options.pace).await;
                    cleaned.map_or_else(|error| RunOutcome::Failed(error.to_string()), RunOutcome::Cleaned)
                }
                Ok(Err(LockError::Held { .. } | LockError::Replaced { .. })) => RunOutcome::Alive,
                Ok(Err(error @ (LockError::NoFile { .. } | LockError::System { .. }))) => RunOutcome::Failed(with_causes(&error)),
            },
        };
        reports.push(Report { run: name, outcome, unread: Vec::new(), disbelieved: Vec::new(), lost_claims: false });
    }
    reports
}

async fn would_remove(access: &HostAccess, claims: &[Claim]) -> RunOutcome {
    removals(access, claims).await.map_or_else(|error| RunOutcome::Failed(error.to_string()), RunOutcome::WouldRemove)
}

/// What a cleanup would remove, in the order of removal; in parentheses what it would leave.
async fn removals(access: &HostAccess, claims: &[Claim]) -> Result<Vec<String>, SwarmError> {
    let mut inventory = access.swarm.inventory().await?;
    let paths: Vec<PathBuf> = claims
        .iter()
        .filter_map(|claim| match claim.what() {
            Claimed::EnvFile { path } | Claimed::Dir { path } => Some(path.clone()),
            Claimed::Stack { .. } | Claimed::Marker { .. } | Claimed::Snapshots { .. } => None,
        })
        .collect();
    inventory.files = access.files.digests(&paths);
    for claim in claims {
        if let Claimed::Snapshots { app, .. } = claim.what() {
            inventory.snapshots.insert(app.clone(), access.data.snapshots(claim).await?);
        }
    }
    let plan = cleanup_plan(claims, &inventory);
    let objects = plan.remove.iter().map(|(_, removal)| removal.to_string());
    let files = plan.files.iter().map(|(claim, _)| claim.what().to_string());
    let snapshots = plan.snapshots.iter().map(|claim| claim.what().to_string());
    let later = plan.waiting.iter().map(|left| left.what.clone());
    let kept = plan.blocked.iter().chain(&plan.refused).map(|left| format!("(not {left})"));
    Ok(objects.chain(files).chain(snapshots).chain(later).chain(kept).collect())
}
