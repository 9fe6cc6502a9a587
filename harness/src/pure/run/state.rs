//! The fold of a run's events, and what it says is to be done next. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        host::Host,
        names::{Domain, RunId, ServiceName, TaskId},
        outcome::{Cause, Failure, Gap, Outcome, Subject},
        request::Request,
        time::{Mono, Wall},
    },
    pure::{
        host::{claim::Claimed, converge::TaskState, inventory::CleanupResult, preflight::Check},
        recipe::{
            canary::{CanaryState, Moment},
            lint::Linted,
        },
        run::{
            event::{Cancel, CleanedBy, Event, Kind, Note, TaskSeen},
            kept_app,
            plan::{Class, OnFail, Plan, Planned, Step, StepId},
        },
    },
};

/// All that is known of a run: the fold of its events. Every report is a function of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunState {
    /// What the run began with; absent only before its first event.
    pub begun: Option<Begun>,
    /// The plan, once there is one.
    pub plan: Option<Plan>,
    /// What became of the plan's steps so far.
    pub steps: BTreeMap<StepId, StepState>,
    /// The checks that ended, in order.
    pub checks: Vec<CheckState>,
    /// What is claimed and not yet released.
    pub claims: BTreeSet<Claimed>,
    /// The children that have not ended: by process id when they started, in clock ticks since boot, and what they do.
    pub children: BTreeMap<i32, (u64, String)>,
    /// The app's domain, once it has one.
    pub domain: Option<Domain>,
    /// Versions of tools.
    pub tools: BTreeMap<String, String>,
    /// What each service ran.
    pub images: BTreeMap<String, String>,
    /// The tasks on which the app last settled.
    pub settled: BTreeMap<ServiceName, BTreeSet<TaskId>>,
    /// What each service ran before the upgrade; empty without one.
    pub images_before: BTreeMap<String, String>,
    /// How often the app was deployed where none was.
    pub deploys: u32,
    /// What of the recipe runs, once something was deployed.
    pub runs: Option<Subject>,
    /// The canaries, and how they were found.
    pub canaries: Vec<CanaryState>,
    /// The snapshot that the backup service made of the app.
    pub snapshot: Option<String>,
    /// The services that head dropped and that were removed.
    pub dropped: Vec<String>,
    /// What an operator has to do or to know for the upgrade.
    pub operator_must: Vec<String>,
    /// What lint says of base and of head, as far as they could be linted.
    pub lint: BTreeMap<Subject, Linted>,
    /// What the preflight found of the host.
    pub preflight: Vec<Check>,
    /// How what the files were taken to say compares with what runs, once that was looked at.
    pub calibration: Option<Calibration>,
    /// The file with the picture of the app, relative to the run's folder.
    pub screenshot: Option<String>,
    /// What a reader must know about how the result was made.
    pub remarks: Vec<String>,
    /// The custom tests that the last green run had and that are not in the pack any more.
    pub vanished: Vec<String>,
    /// Sentences that change no outcome.
    pub warnings: Vec<String>,
    /// Files in the run's folder and what they show.
    pub evidence: Vec<KeptFile>,
    /// The tasks of the app as the looks showed them, in the order in which they were first seen.
    pub tasks: Vec<TaskStory>,
    /// Why the run ends early, if it does.
    pub cancel: Option<Cancel>,
    /// The app that outlives the run; absent when it is removed.
    pub kept: Option<kept_app::Kept>,
    /// What comparing the inventories showed.
    pub cleanup_result: Option<CleanupResult>,
    /// When the last event happened, on both clocks.
    pub last: Option<(Wall, Mono)>,
    /// When the run ended.
    pub finished: Option<Wall>,
    /// Who swept after the run last, and what is left; a run that did not end before that was killed.
    pub cleaned_after: Option<CleanedAfter>,
}

/// What somebody else than the run has swept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanedAfter {
    /// Who, the last time.
    pub by: CleanedBy,
    /// How many objects and files were removed, by all of them.
    pub removed: u32,
    /// What is left, after the last of them.
    pub left: Vec<String>,
}

/// How what the recipe's files were taken to say compares with what runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// What differs, a sentence each; none when they agree.
    pub differences: Vec<String>,
    /// What the files say and that was not read.
    pub skipped: Vec<String>,
}

/// A file in the run's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// The step that it belongs to.
    pub step: StepId,
    /// The file, relative to the run's folder.
    pub file: PathBuf,
    /// What it shows.
    pub what: String,
    /// Its last lines; empty when the journal does not have them.
    pub tail: String,
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStory {
    /// The step that looked.
    pub step: StepId,
    /// The service without its stack.
    pub service: String,
    /// The task.
    pub task: TaskId,
    /// Its slot; global tasks have none.
    pub slot: Option<u64>,
    /// What it was seen to be, never empty; each with the moment from which on.
    pub changes: Vec<TaskChange>,
}

/// What a task was seen to be from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskChange {
    /// When it was seen so first.
    pub at: Mono,
    /// What it was.
    pub state: TaskState,
    /// The exit code of its container, when that had ended.
    pub exit: Option<i32>,
    /// Swarm's sentence on what went wrong; empty when nothing had.
    pub error: String,
}

impl RunState {
    /// How long it took from a new app under the old name until the data was seen to be back; absent unless it came to that.
    pub fn disaster(&self) -> Option<Duration> {
        let plan = self.plan.as_ref()?;
        let of =
            |step: &Step| plan.steps.iter().find(|planned| planned.step == *step).and_then(|planned| self.steps.get(&planned.id));
        let looked = of(&Step::Check { moment: Moment::AfterDisaster })?;
        let (at, outcome) = looked.ended.as_ref()?;
        outcome.passed().then(|| Some(at.since(of(&Step::Renew)?.began)))?
    }

    /// Whether it is known that nothing is left of the run and nothing of others was changed by it: the inventories were compared, and all
    /// that was claimed was seen to be gone.
    pub fn left_nothing(&self) -> bool {
        self.claims.is_empty() && self.cleanup_result.as_ref().is_some_and(CleanupResult::clean)
    }

    /// Why what is done now says nothing about head: something else runs, or nothing does. Absent when head runs.
    pub fn not_on_head(&self) -> Option<Gap> {
        match self.runs {
            Some(Subject::Head) => None,
            Some(subject @ (Subject::Base | Subject::Mixed)) => Some(Gap::NotHead { subject }),
            None => Some(Gap::NotRun { because: "nothing was deployed".into() }),
        }
    }

    /// Whether a look at a task tells something that the state does not hold yet.
    pub fn is_news(&self, seen: &TaskSeen) -> bool {
        let known = self.tasks.iter().find(|story| story.task == seen.task).and_then(|story| story.changes.last());
        known.is_none_or(|last| (last.state, last.exit, &last.error) != (seen.state, seen.exit, &seen.error))
    }
}

/// What a run began with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The run.
    pub run: RunId,
    /// When.
    pub at: Wall,
    /// taster's version.
    pub taster: String,
    /// What was asked for.
    pub request: Request,
    /// The host.
    pub host: Host,
}

/// How many changes of what a step waits for are kept.
pub const MOST_WAITS: usize = 100;

/// What became of a step so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepState {
    /// When its last attempt began.
    pub began: Mono,
    /// The number of its last attempt.
    pub attempt: u32,
    /// What it waits for.
    pub waiting_for: Vec<String>,
    /// What it waited for, from when on, the first [`MOST_WAITS`] changes of it.
    pub waits: Vec<(Mono, Vec<String>)>,
    /// The attempts before the last one, all of which failed.
    pub failed: Vec<FailedAttempt>,
    /// How and when it ended.
    pub ended: Option<(Mono, Outcome)>,
}

/// An attempt of a step that failed before the step was tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAttempt {
    /// How long it took.
    pub took: Duration,
    /// How it failed.
    pub failure: Failure,
}

impl StepState {
    fn begun(began: Mono, attempt: u32) -> Self {
        Self { began, attempt, waiting_for: Vec::new(), waits: Vec::new(), failed: Vec::new(), ended: None }
    }

    /// How it ended, if it did.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.ended.as_ref().map(|(_, outcome)| outcome)
    }

    /// How it had failed before, in a sentence, when it passed only as it was tried again.
    pub fn flaky(&self) -> Option<String> {
        let passed = match self.outcome()? {
            Outcome::Passed => true,
            Outcome::Failed(failure) => matches!(failure.cause, Cause::Flaky { .. }),
            Outcome::Skipped(_) | Outcome::Unverified(_) => false,
        };
        let first = self.failed.first().filter(|_| passed)?;
        Some(format!("it passed at attempt {}; at first {}", self.attempt, first.failure.message))
    }

    /// How long its last attempt took, if it ended.
    pub fn took(&self) -> Option<Duration> {
        self.ended.as_ref().map(|(at, _)| at.since(self.began))
    }
}

/// A check that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckState {
    /// The step that made it.
    pub step: StepId,
    /// Its name.
    pub check: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// The state after one more event. Total: an event that does not fit changes nothing but the time.
pub fn fold(mut state: RunState, event: &Event) -> RunState {
    state.last = Some((event.at, event.mono));
    match event.kind.clone() {
        Kind::RunStarted { run, taster, request, host, .. } => {
            state.begun = Some(Begun { run, at: event.at, taster, request, host });
        }
        Kind::Queued { .. } | Kind::Admitted { .. } => {}
        Kind::Planned { plan } => {
            // The recipe's repository may have custom tests that were not known when the request was made.
            if let Some(begun) = &mut state.begun {
                begun.request = begun.request.with_custom_tier_by_default(&plan.pack);
            }
            state.plan = Some(plan);
        }
        Kind::Claimed { what, .. } => {
            state.claims.insert(what);
        }
        Kind::Released { what } => {
            state.claims.remove(&what);
        }
        Kind::StepStarted { step, attempt } => {
            if state.plan.as_ref().and_then(|plan| plan.step(&step)).is_some_and(|planned| planned.step.upgrades()) {
                state.images_before = state.images.clone();
            }
            let failed = state.steps.remove(&step).map(|before| before.failed).unwrap_or_default();
            state.steps.insert(step, StepState { failed, ..StepState::begun(event.mono, attempt) });
        }
        Kind::AttemptFailed { step, failure, .. } => {
            // What it said of the app is said anew.
            state.checks.retain(|check| check.step != step);
            if let Some(step) = state.steps.get_mut(&step) {
                let took = event.mono.since(step.began);
                step.failed.push(FailedAttempt { took, failure });
            }
        }
        Kind::Observed { step, waiting_for } => {
            if let Some(step) = state.steps.get_mut(&step) {
                if step.waits.len() < MOST_WAITS {
                    step.waits.push((event.mono, waiting_for.clone()));
                }
                step.waiting_for = waiting_for;
            }
        }
        Kind::CheckFinished { step, check, outcome } => state.checks.push(CheckState { step, check, outcome }),
        Kind::StepFinished { step, outcome } => {
            let never_began = StepState::begun(event.mono, 0);
            state.steps.entry(step).or_insert(never_began).ended = Some((event.mono, outcome));
        }
        Kind::EvidenceKept { step, file, what, tail } => state.evidence.push(KeptFile { step, file, what, tail }),
        Kind::TaskChanged { step, seen } => see_task(&mut state, step, event.mono, seen),
        Kind::Noted { note } => take_note(&mut state, note),
        Kind::Warned { text } => state.warnings.push(text),
        Kind::CancelRequested { why } => {
            state.cancel.get_or_insert(why);
        }
        Kind::Kept { domain, until } => state.kept = Some(kept_app::Kept { domain, until }),
        Kind::InventoryCompared { cleanup_result } => state.cleanup_result = Some(cleanup_result),
        Kind::RunFinished => state.finished = Some(event.at),
        Kind::CleanedAfter { by, removed, left } => {
            let before = state.cleaned_after.take().map_or(0, |before| before.removed);
            state.cleaned_after = Some(CleanedAfter { by, removed: before.saturating_add(removed), left });
        }
        Kind::ChildStarted { pid, start_ticks, doing } => {
            state.children.insert(pid, (start_ticks, doing));
        }
        Kind::ChildEnded { pid } => {
            state.children.remove(&pid);
        }
    }
    state
}

fn see_task(state: &mut RunState, step: StepId, at: Mono, seen: TaskSeen) {
    let TaskSeen { service, task, slot, state: now, exit, error } = seen;
    let change = TaskChange { at, state: now, exit, error };
    match state.tasks.iter_mut().find(|story| story.task == task) {
        Some(story) => story.changes.push(change),
        None => state.tasks.push(TaskStory { step, service, task, slot, changes: vec![change] }),
    }
}

fn take_note(state: &mut RunState, note: Note) {
    match note {
        Note::Domain { domain } => state.domain = Some(domain),
        Note::Tool { tool, version } => {
            state.tools.insert(tool, version);
        }
        Note::Image { service, image } => {
            state.images.insert(service, image);
        }
        Note::Deployed => state.deploys += 1,
        Note::Runs { subject } => state.runs = Some(subject),
        Note::Canary { canary, moment, outcome } => match state.canaries.iter_mut().find(|known| known.canary == canary) {
            Some(known) => {
                known.seen.insert(moment, outcome);
            }
            None => state.canaries.push(CanaryState { canary, seen: BTreeMap::from([(moment, outcome)]) }),
        },
        Note::Snapshot { id } => state.snapshot = Some(id),
        Note::Dropped { service } => {
            state.images.remove(&service);
            state.dropped.push(service);
        }
        Note::OperatorMust { text } => state.operator_must.push(text),
        Note::Settled { tasks } => state.settled = tasks,
        Note::Calibrated { differences, skipped } => state.calibration = Some(Calibration { differences, skipped }),
        Note::Linted { subject, linted } => {
            state.lint.insert(subject, linted);
        }
        Note::Preflight { checks } => state.preflight = checks,
        Note::Screenshot { file } => state.screenshot = Some(file),
        Note::Vanished { tests } => state.vanished = tests,
        Note::Remark { text } => {
            if !state.remarks.contains(&text) {
                state.remarks.push(text);
            }
        }
    }
}

/// What the engine is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Start these steps.
    Start(Vec<StepId>),
    /// Wait for one of the running steps, or for whatever else wakes the engine.
    Wait,
    /// All is done.
    Finished,
}

/// What is to be done next under `plan`, given what happened so far.
pub fn next(plan: &Plan, state: &RunState) -> Next {
    let standings: Vec<(&Planned, Standing)> =
        plan.steps.iter().map(|planned| (planned, standing(plan, state, planned))).collect();
    let ready: Vec<StepId> =
        standings.iter().filter(|(_, standing)| *standing == Standing::Ready).map(|(planned, _)| planned.id.clone()).collect();
    if !ready.is_empty() {
        Next::Start(ready)
    } else if standings.iter().any(|(_, standing)| matches!(standing, Standing::Running | Standing::Waiting)) {
        Next::Wait
    } else {
        Next::Finished
    }
}

/// How a step failed that is tried again now that it ended so, and the number of the next attempt. A function that used up all its
/// time, or that cannot be run at all, would do so again.
pub fn tried_again(plan: &Plan, state: &RunState, id: &StepId, outcome: &Outcome) -> Option<(Failure, u32)> {
    let Outcome::Failed(failure) = outcome else { return None };
    let attempt = state.steps.get(id)?.attempt;
    let more = state.cancel.is_none() && plan.step(id)?.attempts > attempt;
    let again = matches!(failure.cause, Cause::Assertion | Cause::TestPanicked | Cause::TestCrashed { .. });
    (more && again).then(|| (failure.clone(), attempt + 1))
}

/// Where a planned step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It waits for steps before it.
    Waiting,
    /// It can start.
    Ready,
    /// It runs.
    Running,
    /// It ended.
    Done,
    /// It will never run.
    Barred,
}

/// Where `planned` stands.
pub fn standing(plan: &Plan, state: &RunState, planned: &Planned) -> Standing {
    if let Some(step) = state.steps.get(&planned.id) {
        return if step.ended.is_some() { Standing::Done } else { Standing::Running };
    }
    if planned.class != Class::Always && barred(plan, state, planned) {
        return Standing::Barred;
    }
    if behind(plan, planned).all(|before| over(plan, state, before)) { Standing::Ready } else { Standing::Waiting }
}

fn behind<'a>(plan: &'a Plan, planned: &'a Planned) -> impl Iterator<Item = &'a Planned> {
    planned.after.iter().filter_map(|id| plan.step(id))
}

/// Whether nothing of a step, or of what it would have waited for, can still happen.
fn over(plan: &Plan, state: &RunState, planned: &Planned) -> bool {
    match standing(plan, state, planned) {
        Standing::Done => true,
        Standing::Barred => behind(plan, planned).all(|before| over(plan, state, before)),
        Standing::Waiting | Standing::Ready | Standing::Running => false,
    }
}

/// Whether a cancelled run or a failure keeps a step that is not always done from ever running.
fn barred(plan: &Plan, state: &RunState, planned: &Planned) -> bool {
    state.cancel.is_some()
        || plan.steps.iter().any(|other| {
            let failed = state
                .steps
                .get(&other.id)
                .and_then(StepState::outcome)
                .is_some_and(|outcome| matches!(outcome, Outcome::Failed(_) | Outcome::Unverified(_)));
            failed
                && match other.on_fail {
                    OnFail::Continue => false,
                    OnFail::SkipTier => other.class == planned.class,
                    OnFail::EndTiers => true,
                }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_left_nothing_only_when_that_was_seen() {
        let clean = || Some(CleanupResult::default());
        let residue = || Some(CleanupResult { leaked: vec!["volume x".into()], ..CleanupResult::default() });
        let marker = || BTreeSet::from([Claimed::Marker { name: "taster-x".into() }]);
        for (cleanup_result, claims, nothing) in [
            (clean(), BTreeSet::new(), true),
            (clean(), marker(), false),
            (residue(), BTreeSet::new(), false),
            (None, BTreeSet::new(), false),
        ] {
            let state = RunState { cleanup_result, claims, ..RunState::default() };
            assert_eq!(state.left_nothing(), nothing, "{state:?}");
        }
    }
}
