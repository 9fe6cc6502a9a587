//! Sweeps what dead runs left behind. Nothing but their journals and the world decides, so it may be killed at any moment
//! and started again, and several may run beside each other.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use harness::{
    adapters::clock::SystemClock,
    engine::steps::cleanup::{Pace, Swept, until_zero},
    journal::{self, LockError, Reading, RunLock},
    model::{names::RunId, time::spoken},
    ports::{Clock, SwarmError},
    pure::{
        host::{
            claim::{Claim, Claimed},
            cleanup_plan::sweep,
            marker::{self, Standing},
        },
        run::{
            event::Sweeper,
            kept_app::{Keeping, Kept, keeping},
        },
    },
};

use crate::{
    crash_recovery::{self, Manner, Reach, Reaching},
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
    pub fate: Fate,
    /// What of its journal could not be read.
    pub unread: Vec<String>,
    /// Whether claims may be among that, so that nobody knows what is left.
    pub lost_claims: bool,
}

/// What the janitor did with a run.
#[derive(Debug)]
pub enum Fate {
    /// Nothing: it keeps its app for some time yet.
    Kept(Kept),
    /// Nothing: its lock is held.
    Alive,
    /// Nothing: all that it claimed was released before.
    Settled,
    /// It was swept.
    Swept(Swept),
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
            Fate::Kept(_) | Fate::Alive | Fate::Settled | Fate::Would(_) | Fate::Elsewhere(_) | Fate::Unbelieved(_) => false,
            Fate::Swept(swept) => !swept.clean() || self.lost_claims,
            Fate::Failed(_) => true,
        }
    }

    /// What became of the run, a line, and a line for each thing that is left or unread.
    pub fn lines(&self) -> Vec<String> {
        let run = &self.run;
        let first = match &self.fate {
            Fate::Kept(kept) => {
                format!("{run}: keeps {} until {}; `taster janitor {run}` removes it at once", kept.domain, kept.until)
            }
            Fate::Alive => format!("{run}: alive, or being swept by another janitor; left alone"),
            Fate::Settled => format!("{run}: nothing left"),
            Fate::Would(removals) if removals.is_empty() => format!("{run}: nothing to remove"),
            Fate::Would(removals) => format!("{run}: would remove {}", removals.join(", ")),
            Fate::Failed(sentence) => format!("{run}: not swept: {sentence}"),
            Fate::Elsewhere(sentence) | Fate::Unbelieved(sentence) => format!("{run}: left alone: {sentence}"),
            Fate::Swept(swept) => {
                let state = match (swept.clean(), self.lost_claims) {
                    (false, _) => "not all is gone",
                    (true, true) => "nothing left of what can be read of its journal",
                    (true, false) if swept.released.is_empty() => "nothing left; it is looked at once more by the next janitor",
                    (true, false) => "nothing left",
                };
                format!("{run}: {} removed in {}, {state}", swept.removed.len(), spoken(swept.took))
            }
        };
        let mut lines = vec![first];
        if let Fate::Swept(swept) = &self.fate {
            lines.extend(swept.residue.iter().map(|left| format!("  {left}")));
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
        if matches!(report.fate, Fate::Swept(_)) {
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
        Ok(true) => return report(Fate::Settled, Reading::default()),
        Ok(false) => {}
        Err(error) => return report(Fate::Failed(format!("its journal cannot be read: {error}")), Reading::default()),
    }
    let lock = match RunLock::attempt(folder) {
        Ok(lock) => lock,
        Err(LockError::Held { .. } | LockError::Replaced { .. }) => return report(Fate::Alive, Reading::default()),
        Err(error @ (LockError::NoFile { .. } | LockError::System { .. })) => {
            return report(Fate::Failed(error.to_string()), Reading::default());
        }
    };
    // Only what is read under the lock is final: another janitor may have finished in between.
    let reading = match journal::read(folder) {
        Ok(reading) if reading.settled() => return report(Fate::Settled, reading),
        Ok(reading) => reading,
        Err(error) => return report(Fate::Failed(format!("its journal cannot be read: {error}")), Reading::default()),
    };
    if let (Keeping::Valid(kept), None) = (keeping(&reading, SystemClock::start().wall()), &orders.only) {
        return report(Fate::Kept(kept), reading);
    }
    let socket = orders.engine.clone().or_else(|| reading.engine.clone()).unwrap_or_else(|| crash_recovery::SOCKET.into());
    let fate = match (orders.reach.engine)(&socket) {
        Err(error) => Fate::Failed(error.to_string()),
        Ok(reach) if orders.dry_run => {
            would(&reach, &reading.claims).await.unwrap_or_else(|error| Fate::Failed(error.to_string()))
        }
        Ok(reach) => {
            let manner = Manner { by: Sweeper::Janitor, pace: orders.pace, stays: orders.stays };
            crash_recovery::sweep(&reach, lock, &reading, manner).await.map_or_else(Fate::Failed, Fate::Swept)
        }
    };
    report(fate, reading)
}

/// The runs that only a marker on the Swarm tells of, because they were started on another machine or their folders are gone.
async fn marked(orders: &Orders) -> Vec<Report> {
    let socket = orders.engine.clone().unwrap_or_else(|| crash_recovery::SOCKET.into());
    // Where there is no Swarm there is no marker, and of an engine that does not answer the runs of this machine tell.
    let Ok(reach) = (orders.reach.engine)(&socket) else { return Vec::new() };
    let (Ok(world), Ok(engine)) = (reach.swarm.world().await, reach.swarm.host().await) else { return Vec::new() };
    // Both clocks have to say that a time is over: either may have been set wrongly.
    let now = engine.clock.map_or(reach.clock.wall(), |theirs| theirs.min(reach.clock.wall()));
    let journals = marker::names(&world).filter(|run| orders.runs.join(run.as_str()).is_dir());
    let journals = journals.filter(|run| !journal::settled(&orders.runs.join(run.as_str())).unwrap_or(false)).collect();
    let mut reports = Vec::new();
    for (name, standing) in marker::standings(&world, now, &journals) {
        let fate = match standing {
            Standing::OfJournal => continue,
            Standing::Until(sentence) => Fate::Elsewhere(sentence),
            Standing::Unbelieved(sentence) => Fate::Unbelieved(sentence),
            Standing::Expired(claims) if orders.dry_run => {
                would(&reach, &claims).await.unwrap_or_else(|error| Fate::Failed(error.to_string()))
            }
            // Nothing may ever have run on this machine.
            Standing::Expired(claims) => match fs::create_dir_all(&orders.runs).map(|()| RunLock::attempt(&orders.runs)) {
                Err(error) => Fate::Failed(format!("cannot make {}: {error}", orders.runs.display())),
                Ok(Ok(_lock)) => {
                    let swept = until_zero(reach.outside(), &claims, &[], orders.pace).await;
                    swept.map_or_else(|error| Fate::Failed(error.to_string()), Fate::Swept)
                }
                Ok(Err(LockError::Held { .. } | LockError::Replaced { .. })) => Fate::Alive,
                Ok(Err(error @ (LockError::NoFile { .. } | LockError::System { .. }))) => Fate::Failed(error.to_string()),
            },
        };
        reports.push(Report { run: name, fate, unread: Vec::new(), lost_claims: false });
    }
    reports
}

async fn would(reach: &Reach, claims: &[Claim]) -> Result<Fate, SwarmError> {
    let mut world = reach.swarm.world().await?;
    let paths: Vec<PathBuf> = claims
        .iter()
        .filter_map(|claim| match claim.what() {
            Claimed::EnvFile { path } | Claimed::Dir { path } => Some(path.clone()),
            Claimed::Stack { .. } | Claimed::Marker { .. } | Claimed::Snapshots { .. } => None,
        })
        .collect();
    world.files = reach.files.digests(&paths);
    for claim in claims {
        if let Claimed::Snapshots { app, .. } = claim.what() {
            world.snapshots.insert(app.clone(), reach.data.snapshots(claim).await?);
        }
    }
    let now = sweep(claims, &world);
    let first = now.remove.iter().map(|(_, removal)| removal.to_string());
    let files = now.files.iter().map(|(claim, _)| claim.what().to_string());
    let snapshots = now.snapshots.iter().map(|claim| claim.what().to_string());
    let later = now.waiting.iter().map(|left| left.what.clone());
    let kept = now.blocked.iter().chain(&now.refused).map(|left| format!("(not {left})"));
    Ok(Fate::Would(first.chain(files).chain(snapshots).chain(later).chain(kept).collect()))
}
