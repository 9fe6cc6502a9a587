//! Sweeps what dead runs left behind. Nothing but their journals and the inventory decides, so it may be killed at any moment
//! and started again, and several may run beside each other.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use harness::{
    adapters::clock::SystemClock,
    engine::steps::cleanup::{CleanupReport, Pace, cleanup_until_empty},
    journal::{self, LockError, Reading, RunLock},
    model::{engine::SwarmError, names::RunId, time::format_duration},
    ports::Clock,
    pure::{
        host::{
            claim::{Claim, Claimed},
            cleanup_plan::cleanup_plan,
            marker::{self, Standing},
        },
        run::{
            event::CleanedBy,
            kept_app::{Keeping, Kept, keeping},
        },
    },
};

use crate::{
    crash_recovery::{self, CleanupPolicy, HostAccess, Reaching},
    output,
};

/// What a janitor is to do.
#[derive(Clone)]
pub struct Orders {
    /// The folder with one folder per run.
    pub runs: PathBuf,
    /// The engine's socket; without one each run's own is used.
    pub engine: Option<PathBuf>,
    /// Whether to say only what would be removed.
    pub dry_run: bool,
    /// The only run to go through; then what it keeps is removed too.
    pub only: Option<RunId>,
    /// How long one run's sweep may take.
    pub pace: Pace,
    /// Whether it stays with a run until the engine cannot be at work for it any more; otherwise that is left to the next pass.
    pub stays: bool,
    /// How the engine and all else is reached.
    pub reach: Reaching,
}

/// What became of one run.
#[derive(Debug)]
pub struct Report {
    /// The run's folder name, which is its id.
    pub run: String,
    /// What became of it.
    pub fate: RunFate,
    /// What of its journal could not be read.
    pub unread: Vec<String>,
    /// Whether claims may be among that, so that nobody knows what is left.
    pub lost_claims: bool,
}

/// What the janitor did with a run.
#[derive(Debug)]
pub enum RunFate {
    /// Nothing: it keeps its app for some time yet.
    Kept(Kept),
    /// Nothing: its lock is held.
    Alive,
    /// Nothing: all that it claimed was released before.
    Settled,
    /// It was swept.
    CleanupReport(CleanupReport),
    /// It was only looked at; this would be removed.
    Would(Vec<String>),
    /// It could not be swept at all.
    Failed(String),
    /// Nothing: it is another machine's, or has no journal here, and its marker speaks for it until then.
    Elsewhere(String),
    /// Nothing: what looks like a marker is none that could be believed.
    Unbelieved(String),
}

impl Report {
    /// Whether something of the run is left, or may be.
    pub fn residue(&self) -> bool {
        match &self.fate {
            RunFate::Kept(_)
            | RunFate::Alive
            | RunFate::Settled
            | RunFate::Would(_)
            | RunFate::Elsewhere(_)
            | RunFate::Unbelieved(_) => false,
            RunFate::CleanupReport(swept) => !swept.clean() || self.lost_claims,
            RunFate::Failed(_) => true,
        }
    }

    /// What became of the run, a line, and a line for each thing that is left or unread.
    pub fn lines(&self) -> Vec<String> {
        let run = &self.run;
        let first = match &self.fate {
            RunFate::Kept(kept) => {
                format!("{run}: keeps {} until {}; `taster janitor {run}` removes it at once", kept.domain, kept.until)
            }
            RunFate::Alive => format!("{run}: alive, or being swept by another janitor; left alone"),
            RunFate::Settled => format!("{run}: nothing left"),
            RunFate::Would(removals) if removals.is_empty() => format!("{run}: nothing to remove"),
            RunFate::Would(removals) => format!("{run}: would remove {}", removals.join(", ")),
            RunFate::Failed(sentence) => format!("{run}: not swept: {sentence}"),
            RunFate::Elsewhere(sentence) | RunFate::Unbelieved(sentence) => format!("{run}: left alone: {sentence}"),
            RunFate::CleanupReport(swept) => {
                let state = match (swept.clean(), self.lost_claims) {
                    (false, _) => "not all is gone",
                    (true, true) => "nothing left of what can be read of its journal",
                    (true, false) if swept.released.is_empty() => "nothing left; it is looked at once more by the next janitor",
                    (true, false) => "nothing left",
                };
                format!("{run}: {} removed in {}, {state}", swept.removed.len(), format_duration(swept.took))
            }
        };
        let mut lines = vec![first];
        if let RunFate::CleanupReport(swept) = &self.fate {
            lines.extend(swept.leaked.iter().map(|left| format!("  {left}")));
            lines.extend(swept.living.iter().map(|sentence| format!("  {sentence}")));
        }
        lines.extend(self.unread.iter().map(|sentence| format!("  journal, {sentence}")));
        lines
    }
}

/// Goes through all runs, one after another, oldest first, and reports each as soon as it is done.
pub async fn pass(orders: &Orders, mut each: impl FnMut(&Report)) -> io::Result<Vec<Report>> {
    let mut folders: Vec<PathBuf> = match fs::read_dir(&orders.runs) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?,
        // A machine on which nothing ever ran.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    folders.retain(|folder| folder.is_dir());
    folders.retain(|folder| orders.only.as_ref().is_none_or(|run| folder.ends_with(run.as_str())));
    folders.sort();
    let mut reports = Vec::new();
    for folder in folders {
        let report = one(orders, &folder).await;
        each(&report);
        reports.push(report);
    }
    for report in marked(orders).await {
        each(&report);
        reports.push(report);
    }
    Ok(reports)
}

/// The pass before a run, so that what a dead run left does not stand in its way. What it did is told on standard error.
pub async fn before_a_run(runs: &Path, engine: &Path) {
    let (runs, engine, pace) = (runs.to_owned(), Some(engine.to_owned()), Pace::default());
    let reach = Reaching::real();
    let orders = Orders { runs: runs.clone(), engine, dry_run: false, only: None, pace, stays: false, reach };
    let told = |report: &Report| {
        if matches!(report.fate, RunFate::CleanupReport(_)) {
            report.lines().iter().for_each(|line| output::tell(&format!("janitor: {line}")));
        }
    };
    // What the janitor cannot do is no reason not to run: names are unique, so no run can meet another's remains.
    if let Err(error) = pass(&orders, told).await {
        output::tell(&format!("janitor: cannot read {}: {error}", runs.display()));
    }
}

async fn one(orders: &Orders, folder: &Path) -> Report {
    let run = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let report =
        |fate, reading: Reading| Report { run: run.clone(), fate, lost_claims: reading.lost_claims > 0, unread: reading.unread };
    // A run that is settled stays so, and reading it takes no lock away from anybody.
    match journal::settled(folder) {
        Ok(true) => return report(RunFate::Settled, Reading::default()),
        Ok(false) => {}
        Err(error) => return report(RunFate::Failed(format!("its journal cannot be read: {error}")), Reading::default()),
    }
    let lock = match RunLock::attempt(folder) {
        Ok(lock) => lock,
        Err(LockError::Held { .. } | LockError::Replaced { .. }) => return report(RunFate::Alive, Reading::default()),
        Err(error @ (LockError::NoFile { .. } | LockError::System { .. })) => {
            return report(RunFate::Failed(error.to_string()), Reading::default());
        }
    };
    // Only what is read under the lock is final: another janitor may have finished in between.
    let reading = match journal::read(folder) {
        Ok(reading) if reading.settled() => return report(RunFate::Settled, reading),
        Ok(reading) => reading,
        Err(error) => return report(RunFate::Failed(format!("its journal cannot be read: {error}")), Reading::default()),
    };
    if let (Keeping::Valid(kept), None) = (keeping(&reading, SystemClock::start().wall()), &orders.only) {
        return report(RunFate::Kept(kept), reading);
    }
    let socket = orders.engine.clone().or_else(|| reading.engine.clone()).unwrap_or_else(|| crash_recovery::SOCKET.into());
    let fate = match (orders.reach.engine)(&socket) {
        Err(error) => RunFate::Failed(error.to_string()),
        Ok(reach) if orders.dry_run => {
            would(&reach, &reading.claims).await.unwrap_or_else(|error| RunFate::Failed(error.to_string()))
        }
        Ok(reach) => {
            let manner = CleanupPolicy { by: CleanedBy::Janitor, pace: orders.pace, stays: orders.stays };
            crash_recovery::clean_up(&reach, lock, &reading, manner).await.map_or_else(RunFate::Failed, RunFate::CleanupReport)
        }
    };
    report(fate, reading)
}

/// The runs that only a marker on the Swarm tells of, because they were started on another machine or their folders are gone.
async fn marked(orders: &Orders) -> Vec<Report> {
    let socket = orders.engine.clone().unwrap_or_else(|| crash_recovery::SOCKET.into());
    // Where there is no Swarm there is no marker, and of an engine that does not answer the runs of this machine tell.
    let Ok(reach) = (orders.reach.engine)(&socket) else { return Vec::new() };
    let (Ok(inventory), Ok(engine)) = (reach.swarm.inventory().await, reach.swarm.host().await) else { return Vec::new() };
    // Both clocks have to say that a time is over: either may have been set wrongly.
    let now = engine.clock.map_or(reach.clock.wall(), |theirs| theirs.min(reach.clock.wall()));
    let journals = marker::names(&inventory).filter(|run| orders.runs.join(run.as_str()).is_dir());
    let journals = journals.filter(|run| !journal::settled(&orders.runs.join(run.as_str())).unwrap_or(false)).collect();
    let mut reports = Vec::new();
    for (name, standing) in marker::standings(&inventory, now, &journals) {
        let fate = match standing {
            Standing::OfJournal => continue,
            Standing::Until(sentence) => RunFate::Elsewhere(sentence),
            Standing::Unbelieved(sentence) => RunFate::Unbelieved(sentence),
            Standing::Expired(claims) if orders.dry_run => {
                would(&reach, &claims).await.unwrap_or_else(|error| RunFate::Failed(error.to_string()))
            }
            // Nothing may ever have run on this machine.
            Standing::Expired(claims) => match fs::create_dir_all(&orders.runs).map(|()| RunLock::attempt(&orders.runs)) {
                Err(error) => RunFate::Failed(format!("cannot make {}: {error}", orders.runs.display())),
                Ok(Ok(_lock)) => {
                    let swept = cleanup_until_empty(reach.outside(), &claims, &[], orders.pace).await;
                    swept.map_or_else(|error| RunFate::Failed(error.to_string()), RunFate::CleanupReport)
                }
                Ok(Err(LockError::Held { .. } | LockError::Replaced { .. })) => RunFate::Alive,
                Ok(Err(error @ (LockError::NoFile { .. } | LockError::System { .. }))) => RunFate::Failed(error.to_string()),
            },
        };
        reports.push(Report { run: name, fate, unread: Vec::new(), lost_claims: false });
    }
    reports
}

async fn would(reach: &HostAccess, claims: &[Claim]) -> Result<RunFate, SwarmError> {
    let mut inventory = reach.swarm.inventory().await?;
    let paths: Vec<PathBuf> = claims
        .iter()
        .filter_map(|claim| match claim.what() {
            Claimed::EnvFile { path } | Claimed::Dir { path } => Some(path.clone()),
            Claimed::Stack { .. } | Claimed::Marker { .. } | Claimed::Snapshots { .. } => None,
        })
        .collect();
    inventory.files = reach.files.digests(&paths);
    for claim in claims {
        if let Claimed::Snapshots { app, .. } = claim.what() {
            inventory.snapshots.insert(app.clone(), reach.data.snapshots(claim).await?);
        }
    }
    let now = cleanup_plan(claims, &inventory);
    let first = now.remove.iter().map(|(_, removal)| removal.to_string());
    let files = now.files.iter().map(|(claim, _)| claim.what().to_string());
    let snapshots = now.snapshots.iter().map(|claim| claim.what().to_string());
    let later = now.waiting.iter().map(|left| left.what.clone());
    let kept = now.blocked.iter().chain(&now.refused).map(|left| format!("(not {left})"));
    Ok(RunFate::Would(first.chain(files).chain(snapshots).chain(later).chain(kept).collect()))
}
