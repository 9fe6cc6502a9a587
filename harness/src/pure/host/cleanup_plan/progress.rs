//! Progress of a cleanup: what to do after each inventory, until nothing is left or the budget is used up.
//!
//! It performs nothing and reads no clock: the loop around it reads the inventory, performs what [`NextAction`] says, and passes
//! the results back. So each end of a cleanup is a row of a test.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use super::{CleanupPlan, Left, Removal, Why, released};
use crate::{
    model::{engine::SwarmError, names::Domain, object::ObjectId, time::Mono},
    pure::host::claim::{Claim, Claimed},
};

/// How long a cleanup goes on, and how often it reads the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The longest that it may take.
    pub budget: Duration,
    /// The time between two inventories when there is nothing to do but wait.
    pub poll: Duration,
    /// How long the cleanup waits for others to release what they block, once nothing else is left.
    pub blocked_timeout: Duration,
    /// How many inventories in a row must show nothing: a single one may be read between the end of a child and the effect of
    /// what the child had begun.
    pub empty_inventories: u32,
    /// How long after the first inventory that the engine answers another one must show nothing. See [`IN_FLIGHT`].
    pub settle: Duration,
}

/// How long an engine may go on with a request whose client is dead: 20 s for requests about services, networks, secrets and
/// configs (docs/reference/swarm.md 5), and 2 s for the engine to begin with it.
pub const IN_FLIGHT: Duration = Duration::from_secs(22);

/// The time between two inventories once nothing is left and only late effects of the engine are awaited.
const SETTLE_POLL: Duration = Duration::from_millis(500);

impl Default for Pace {
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(120),
            poll: Duration::from_millis(60),
            blocked_timeout: Duration::from_secs(5),
            empty_inventories: 2,
            settle: Duration::ZERO,
        }
    }
}

/// The result of a cleanup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CleanupReport {
    /// What was removed, in words, in the order of removal.
    pub removed: Vec<String>,
    /// The objects that calls of the cleanup named.
    pub touched: BTreeSet<ObjectId>,
    /// What is left, and why.
    pub leaked: Vec<Left>,
    /// The claims of which nothing is left.
    pub released: BTreeSet<Claimed>,
    /// The children that have ended, by their process ids.
    pub ended: Vec<i32>,
    /// Sentences about what may still act: children, restores, and snapshots that could not be listed.
    pub living: Vec<String>,
    /// How often the inventory was observed.
    pub observations: u32,
    /// How long it took.
    pub took: Duration,
}

impl CleanupReport {
    /// Whether nothing is left.
    pub fn clean(&self) -> bool {
        self.leaked.is_empty() && self.living.is_empty()
    }
}

/// What one observation shows.
#[derive(Debug)]
pub enum Observed {
    /// What is to be done about the inventory, which has the snapshots of [`Progress::snapshots`].
    Plan(CleanupPlan),
    /// The engine does not answer.
    NoAnswer(SwarmError),
}

/// What to do after an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextAction {
    /// Perform these and pass the results to [`Progress::performed`].
    Act(Actions),
    /// Observe again after this time.
    Wait(Duration),
    /// Stop. The error is of an engine that never answered.
    Done(Result<CleanupReport, SwarmError>),
}

/// What can be done now. All of it may be performed at the same time, the snapshots last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actions {
    /// The objects to remove.
    pub remove: Vec<(Claim, Removal)>,
    /// The files and folders to remove.
    pub files: Vec<(Claim, PathBuf)>,
    /// The apps whose snapshots are to be forgotten.
    pub snapshots: Vec<Claim>,
}

/// The result of a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// What was to be removed, in words.
    pub what: String,
    /// The object, if it is one.
    pub object: Option<ObjectId>,
    /// The message of the engine or the system, if it refused.
    pub refusal: Option<String>,
}

/// The result of having snapshots forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgotten {
    /// The snapshots cannot be listed, so nothing is known of them.
    Unlisted(String),
    /// There were so many, and these are left.
    Listed {
        /// How many there were.
        before: usize,
        /// The ids of those that are left.
        left: Vec<String>,
    },
    /// The backup service refused.
    Refused(String),
}

/// The progress of one cleanup.
#[derive(Debug)]
pub struct Progress<'a> {
    claims: &'a [Claim],
    pace: Pace,
    started: Mono,
    /// When the engine first answered.
    first: Option<Mono>,
    /// How many inventories in a row showed nothing.
    empty: u32,
    /// Since when only what others block is left.
    blocked_since: Option<Mono>,
    last: Option<CleanupPlan>,
    /// The snapshots of each claimed app as last listed; an app whose snapshots cannot be listed is missing.
    snapshots: BTreeMap<Domain, Vec<String>>,
    /// The messages of removals that failed the last time.
    refusals: BTreeMap<String, String>,
    report: CleanupReport,
}

impl<'a> Progress<'a> {
    /// The progress of a cleanup of `claims`, all of one run, that starts now.
    pub fn new(claims: &'a [Claim], pace: Pace, now: Mono) -> Self {
        Self {
            claims,
            pace,
            started: now,
            first: None,
            empty: 0,
            blocked_since: None,
            last: None,
            snapshots: unlisted(claims),
            refusals: BTreeMap::new(),
            report: CleanupReport::default(),
        }
    }

    /// Notes that a child has ended.
    pub fn child_ended(&mut self, pid: i32) {
        self.report.ended.push(pid);
    }

    /// Notes what may still act, in a sentence.
    pub fn still_acts(&mut self, sentence: String) {
        self.report.living.push(sentence);
    }

    /// Whether the engine has answered before.
    pub fn has_observed(&self) -> bool {
        self.first.is_some()
    }

    /// The snapshots that are known of each app, for the inventory that the plan is made from.
    pub fn snapshots(&self) -> &BTreeMap<Domain, Vec<String>> {
        &self.snapshots
    }

    /// What to do after an observation that was begun at `began` and is complete `now`.
    pub fn next(&mut self, began: Mono, now: Mono, observed: Observed) -> NextAction {
        let over = began.since(self.started) >= self.pace.budget;
        let plan = match observed {
            Observed::NoAnswer(error) if over && self.last.is_none() => return NextAction::Done(Err(error)),
            Observed::NoAnswer(_) if over => return self.done(now, false),
            Observed::NoAnswer(_) => {
                self.empty = 0;
                return NextAction::Wait(self.pause());
            }
            Observed::Plan(plan) => plan,
        };
        let first = *self.first.get_or_insert(now);
        self.report.observations += 1;
        let idle = plan.remove.is_empty() && plan.files.is_empty() && plan.snapshots.is_empty();
        // Claims that are refused stay so; they do not keep the others from being known to be empty.
        self.empty = if idle && plan.waiting.is_empty() && plan.blocked.is_empty() { self.empty + 1 } else { 0 };
        let only_marker_waits = plan.waiting.iter().all(|left| left.why == Why::OthersFirst);
        let only_blocked = idle && only_marker_waits && !plan.blocked.is_empty();
        self.blocked_since = only_blocked.then(|| self.blocked_since.unwrap_or(now));
        let stuck = self.blocked_since.is_some_and(|since| now.since(since) >= self.pace.blocked_timeout);
        let settled = self.empty >= self.pace.empty_inventories && now.since(first) >= self.pace.settle;
        if settled || stuck || over {
            self.last = Some(plan);
            return self.done(now, settled);
        }
        // A backup whose abra was killed goes on in its service as long as it finds the app, so snapshots go after the app.
        let app_gone = plan.remove.is_empty() && only_marker_waits;
        let actions = Actions {
            remove: plan.remove.clone(),
            files: plan.files.clone(),
            snapshots: if app_gone { plan.snapshots.clone() } else { Vec::new() },
        };
        self.last = Some(plan);
        if actions == Actions::default() { NextAction::Wait(self.pause()) } else { NextAction::Act(actions) }
    }

    /// Takes the results of [`NextAction::Act`] and says how long to wait before the next observation.
    pub fn performed(&mut self, removed: Vec<Removed>, forgotten: Vec<(Claim, Forgotten)>) -> Duration {
        let mut progressed = false;
        for Removed { what, object, refusal } in removed {
            self.report.touched.extend(object);
            match refusal {
                None => {
                    self.refusals.remove(&what);
                    // An object that is still listed after its removal is on its way out; the loop waits for it.
                    progressed |= self.note_removed(what);
                }
                // The next observation shows whether it is still there and why; then it is tried again.
                Some(message) => {
                    self.refusals.insert(what, message);
                }
            }
        }
        for (claim, forgotten) in forgotten {
            let Claimed::Snapshots { app, .. } = claim.what() else { continue };
            match forgotten {
                Forgotten::Unlisted(message) => {
                    self.still_acts(format!("snapshots of {app} cannot be listed: {message}"));
                    self.snapshots.remove(app);
                }
                Forgotten::Listed { before, left } => {
                    if left.len() < before {
                        self.note_removed(claim.what().to_string());
                    }
                    self.snapshots.insert(app.clone(), left);
                }
                Forgotten::Refused(message) => {
                    self.refusals.insert(claim.what().to_string(), message);
                }
            }
        }
        if progressed { Duration::ZERO } else { self.pause() }
    }

    /// Notes a removal, and says whether it is the first of this thing.
    fn note_removed(&mut self, what: String) -> bool {
        let new = !self.report.removed.contains(&what);
        if new {
            self.report.removed.push(what);
        }
        new
    }

    fn pause(&self) -> Duration {
        if self.empty >= self.pace.empty_inventories { SETTLE_POLL } else { self.pace.poll }
    }

    fn done(&mut self, now: Mono, settled: bool) -> NextAction {
        let mut report = std::mem::take(&mut self.report);
        if let Some(last) = self.last.take() {
            if settled || self.pace.settle.is_zero() {
                report.released = released(self.claims, &last);
            }
            // Snapshots that could not be listed stay claimed, so that the janitor looks again.
            report.released.retain(|what| !matches!(what, Claimed::Snapshots { app, .. } if !self.snapshots.contains_key(app)));
            report.leaked = leaked(last, &self.refusals);
        }
        report.took = now.since(self.started);
        NextAction::Done(Ok(report))
    }
}

/// The claimed apps, each with a placeholder for snapshots that are not listed yet.
fn unlisted(claims: &[Claim]) -> BTreeMap<Domain, Vec<String>> {
    let app = |claim: &Claim| match claim.what() {
        Claimed::Snapshots { app, .. } => Some((app.clone(), vec!["not listed yet".to_owned()])),
        Claimed::Stack { .. } | Claimed::Marker { .. } | Claimed::EnvFile { .. } | Claimed::Dir { .. } => None,
    };
    claims.iter().filter_map(app).collect()
}

fn leaked(last: CleanupPlan, refusals: &BTreeMap<String, String>) -> Vec<Left> {
    let due = |claim: &Claim, what: String| {
        let why = refusals.get(&what).map_or(Why::OutOfTime, |message| Why::Refused { message: message.clone() });
        Left { claimed: claim.what().clone(), what, why }
    };
    let mut leaked: Vec<Left> = last.refused;
    leaked.extend(last.blocked);
    leaked.extend(last.remove.iter().map(|(claim, removal)| due(claim, removal.to_string())));
    leaked.extend(last.files.iter().map(|(claim, _)| due(claim, claim.what().to_string())));
    leaked.extend(last.snapshots.iter().map(|claim| due(claim, claim.what().to_string())));
    leaked.extend(last.waiting);
    leaked
}

#[cfg(test)]
mod tests;
