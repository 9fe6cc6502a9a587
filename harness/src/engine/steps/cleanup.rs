//! Carries a sweep out: looks, decides, removes, until two looks in a row show nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use futures_util::future::join_all;

use crate::{
    model::{engine::SwarmError, names::Domain, object::ObjectId, time::Mono},
    ports::{Child, Children, Clock, Data, Files, Ports, Swarm},
    pure::host::{
        claim::{Claim, Claimed},
        cleanup_plan::{CleanupPlan, Left, Why, cleanup_plan, released},
        inventory::Inventory,
    },
};

/// What a sweep acts through.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// The engine.
    pub swarm: &'a dyn Swarm,
    /// The claimed files.
    pub files: &'a dyn Files,
    /// The claimed snapshots.
    pub data: &'a dyn Data,
    /// The run's children.
    pub children: &'a dyn Children,
    /// The time that budgets are counted by.
    pub clock: &'a dyn Clock,
}

impl<'a> Outside<'a> {
    /// What a run has of it.
    pub fn of(ports: &'a Ports) -> Self {
        Self { swarm: &*ports.swarm, files: &*ports.files, data: &*ports.data, children: &*ports.children, clock: &*ports.clock }
    }
}

/// How long a sweep goes on, and how often it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The longest that it may take.
    pub budget: Duration,
    /// The time between two looks when there is nothing to do but wait.
    pub poll: Duration,
    /// How long it is waited for others to let go of what blocks, once nothing else is left.
    pub patience: Duration,
    /// How many looks in a row must show nothing: one alone may fall between the death of a child and what it had begun.
    pub empty_observations: u32,
    /// How long after the first look that the engine answers there must be another one that shows nothing. See [`IN_FLIGHT`].
    pub settle: Duration,
}

/// How long an engine may go on with a request whose client is dead: 20 s for requests about services, networks, secrets and
/// configs (docs/reference/swarm.md 5), and 2 s for the engine to begin with it.
pub const IN_FLIGHT: Duration = Duration::from_secs(22);

/// The time between two looks when there is nothing any more and it is only waited for what the engine may still make.
const WATCH_POLL: Duration = Duration::from_millis(500);

impl Default for Pace {
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(120),
            poll: Duration::from_millis(60),
            patience: Duration::from_secs(5),
            empty_observations: 2,
            settle: Duration::ZERO,
        }
    }
}

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CleanupReport {
    /// What was removed, in words, in the order of removal.
    pub removed: Vec<String>,
    /// The objects that calls of the sweep named.
    pub touched: BTreeSet<ObjectId>,
    /// What is left, and why.
    pub leaked: Vec<Left>,
    /// The claims of which nothing is left.
    pub released: BTreeSet<Claimed>,
    /// The children that have ended, by their process ids.
    pub ended: Vec<i32>,
    /// Sentences about children that could not be ended.
    pub living: Vec<String>,
    /// How often the inventory was looked at.
    pub looks: u32,
    /// How long it took.
    pub took: Duration,
}

impl CleanupReport {
    /// Whether nothing is left.
    pub fn clean(&self) -> bool {
        self.leaked.is_empty() && self.living.is_empty()
    }
}

/// Takes what `claims` cover to zero: ends the children first, because they go on making objects, then removes until
/// nothing is left, nothing but what others block is left, or the budget is used up.
///
/// All claims are one run's. An engine that does not answer is asked again until the budget is used up; its last error is
/// returned only when there was not a single look.
pub async fn cleanup_until_empty(
    outside: Outside<'_>,
    claims: &[Claim],
    children: &[Child],
    pace: Pace,
) -> Result<CleanupReport, SwarmError> {
    cleanup_until_empty_by(cleanup_plan, outside, claims, children, pace).await
}

/// [`cleanup_until_empty`] with another decision, so that tests can show what a wrong one does.
pub async fn cleanup_until_empty_by(
    decide: impl Fn(&[Claim], &Inventory) -> CleanupPlan,
    outside: Outside<'_>,
    claims: &[Claim],
    children: &[Child],
    pace: Pace,
) -> Result<CleanupReport, SwarmError> {
    let started = outside.clock.mono();
    let mut report = CleanupReport::default();
    end_children(outside, children, pace, &mut report).await;
    let watched: Vec<PathBuf> = claims.iter().filter_map(path).collect();
    let mut refusals: BTreeMap<String, String> = BTreeMap::new();
    let mut empty = 0;
    let mut last: Option<CleanupPlan> = None;
    let mut blocked_since: Option<Mono> = None;
    let mut snapshots = unlisted(claims);
    let mut first: Option<Mono> = None;
    let mut settled = false;
    loop {
        let over = outside.clock.mono().since(started) >= pace.budget;
        match outside.swarm.inventory().await {
            Err(error) if over && last.is_none() => return Err(error),
            Err(_) if over => break,
            Err(_) => empty = 0,
            Ok(mut inventory) => {
                if first.is_none() {
                    until_restored(outside, claims, &mut report).await;
                }
                let first = *first.get_or_insert(outside.clock.mono());
                inventory.files = outside.files.digests(&watched);
                inventory.snapshots.clone_from(&snapshots);
                report.looks += 1;
                let now = decide(claims, &inventory);
                let idle = now.remove.is_empty() && now.files.is_empty() && now.snapshots.is_empty();
                // Claims that are refused stay so; they do not keep the others from being known to be zero.
                empty = if idle && now.waiting.is_empty() && now.blocked.is_empty() { empty + 1 } else { 0 };
                let only_blocked = idle && now.waiting.iter().all(|left| left.why == Why::OthersFirst) && !now.blocked.is_empty();
                blocked_since = only_blocked.then(|| blocked_since.unwrap_or(outside.clock.mono()));
                let stuck = blocked_since.is_some_and(|since| outside.clock.mono().since(since) >= pace.patience);
                settled = empty >= pace.empty_observations && outside.clock.mono().since(first) >= pace.settle;
                let done = settled || stuck || over;
                let acted = !done && act(outside, &now, &mut refusals, &mut report).await;
                // A backup that was given up goes on in its service as long as it finds the app; nothing is known of it before.
                let app_gone = now.remove.is_empty() && now.waiting.iter().all(|left| left.why == Why::OthersFirst);
                if !done && app_gone && !now.snapshots.is_empty() {
                    forget(outside, &now.snapshots, &mut snapshots, &mut refusals, &mut report).await;
                }
                last = Some(now);
                if done {
                    break;
                }
                if acted {
                    continue;
                }
            }
        }
        tokio::time::sleep(if empty >= pace.empty_observations { WATCH_POLL } else { pace.poll }).await;
    }
    if let Some(last) = last {
        if settled || pace.settle.is_zero() {
            report.released = released(claims, &last);
        }
        // Snapshots that nobody could list stay claimed, so that the janitor looks again.
        report.released.retain(|what| !matches!(what, Claimed::Snapshots { app, .. } if !snapshots.contains_key(app)));
        report.leaked = residue(last, &refusals);
    }
    report.took = outside.clock.mono().since(started);
    Ok(report)
}

fn path(claim: &Claim) -> Option<PathBuf> {
    match claim.what() {
        Claimed::EnvFile { path } | Claimed::Dir { path } => Some(path.clone()),
        Claimed::Stack { .. } | Claimed::Marker { .. } | Claimed::Snapshots { .. } => None,
    }
}

/// Waits for restores that go on in a backup service although nobody waits for them; their volumes must not go before. One of which nothing is
/// known holds nothing up, and is told.
async fn until_restored(outside: Outside<'_>, claims: &[Claim], report: &mut CleanupReport) {
    for claim in claims {
        let Claimed::Snapshots { app, .. } = claim.what() else { continue };
        let mut ended = outside.data.restored(claim).await;
        if ended.is_err() {
            ended = outside.data.restored(claim).await;
        }
        if let Err(error) = ended {
            report.living.push(format!("a restore of {app} may still go on: {error}"));
        }
    }
}

/// The claimed apps, each with what stands for snapshots that nobody has looked for yet.
fn unlisted(claims: &[Claim]) -> BTreeMap<Domain, Vec<String>> {
    let app = |claim: &Claim| match claim.what() {
        Claimed::Snapshots { app, .. } => Some((app.clone(), vec!["not listed yet".to_owned()])),
        Claimed::Stack { .. } | Claimed::Marker { .. } | Claimed::EnvFile { .. } | Claimed::Dir { .. } => None,
    };
    claims.iter().filter_map(app).collect()
}

/// Looks for snapshots, has the backup service forget them, and looks whether it did. What cannot be listed is told as left: nobody
/// knows that it is gone.
async fn forget(
    outside: Outside<'_>,
    claims: &[Claim],
    snapshots: &mut BTreeMap<Domain, Vec<String>>,
    refusals: &mut BTreeMap<String, String>,
    report: &mut CleanupReport,
) {
    for claim in claims {
        let Claimed::Snapshots { app, .. } = claim.what() else { continue };
        let ids = match outside.data.snapshots(claim).await {
            Ok(ids) => ids,
            Err(error) => {
                report.living.push(format!("snapshots of {app} cannot be looked for: {error}"));
                snapshots.remove(app);
                continue;
            }
        };
        if ids.is_empty() {
            snapshots.insert(app.clone(), ids);
            continue;
        }
        let left = match outside.data.forget(claim, &ids).await {
            Ok(()) => outside.data.snapshots(claim).await,
            Err(error) => Err(error),
        };
        match left {
            Ok(left) => {
                let what = claim.what().to_string();
                // It is looked again as long as something is left, which is no further removal.
                if left.len() < ids.len() && !report.removed.contains(&what) {
                    report.removed.push(what);
                }
                snapshots.insert(app.clone(), left);
            }
            Err(error) => {
                refusals.insert(claim.what().to_string(), error.to_string());
            }
        }
    }
}

async fn end_children(outside: Outside<'_>, children: &[Child], pace: Pace, report: &mut CleanupReport) {
    let ended = join_all(children.iter().map(|child| outside.children.end(child, pace.patience))).await;
    for (child, ended) in children.iter().zip(ended) {
        match ended {
            Ok(()) => report.ended.push(child.pid),
            Err(error) => report.living.push(error.to_string()),
        }
    }
}

/// Removes all that can be removed now, beside each other, and says whether anything was.
async fn act(
    outside: Outside<'_>,
    now: &CleanupPlan,
    refusals: &mut BTreeMap<String, String>,
    report: &mut CleanupReport,
) -> bool {
    let done = join_all(now.remove.iter().map(|(claim, removal)| outside.swarm.remove(claim, removal))).await;
    let objects = now.remove.iter().map(|(_, removal)| (removal.to_string(), Some(&removal.object)));
    let done = done.into_iter().map(|done| done.map_err(|error| error.to_string()));
    let mut results: Vec<_> = objects.zip(done).collect();
    for (claim, path) in &now.files {
        let done = outside.files.remove(claim, path).map_err(|error| error.to_string());
        results.push(((claim.what().to_string(), None), done));
    }
    let mut acted = false;
    for ((what, object), done) in results {
        report.touched.extend(object.cloned());
        match done {
            Ok(()) => {
                refusals.remove(&what);
                // What is still listed after its removal is on its way out; that is waited for, not repeated at full speed.
                if !report.removed.contains(&what) {
                    acted = true;
                    report.removed.push(what);
                }
            }
            // It is tried again after the next look, which shows whether it is still there and why.
            Err(message) => {
                refusals.insert(what, message);
            }
        }
    }
    acted
}

fn residue(last: CleanupPlan, refusals: &BTreeMap<String, String>) -> Vec<Left> {
    let due = |claim: &Claim, what: String| {
        let why = refusals.get(&what).map_or(Why::OutOfTime, |message| Why::Refused { message: message.clone() });
        Left { claimed: claim.what().clone(), what, why }
    };
    let mut residue: Vec<Left> = last.refused;
    residue.extend(last.blocked);
    residue.extend(last.remove.iter().map(|(claim, removal)| due(claim, removal.to_string())));
    residue.extend(last.files.iter().map(|(claim, _)| due(claim, claim.what().to_string())));
    residue.extend(last.snapshots.iter().map(|claim| due(claim, claim.what().to_string())));
    residue.extend(last.waiting);
    residue
}
