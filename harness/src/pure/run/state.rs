//! The state of a run as the fold of its events, and the steps that come next.
//!
//! The fold is total: an event that does not fit changes nothing but the time, so that a journal that was cut still has a state.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
    path::PathBuf,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        host::Host,
        load::Load,
        names::{Domain, RunId, ServiceName, TaskId},
        outcome::{Cause, Failure, Gap, Outcome, Subject},
        request::Request,
        time::{Mono, Wall},
    },
    pure::{
        host::{
            claim::Claimed,
            converge::{SpecDigest, TaskState},
            inventory::CleanupResult,
            preflight::Check,
        },
        recipe::{
            canary::{CanaryState, Moment},
            lint::Linted,
        },
        run::{
            event::{Cancel, CleanedBy, EndedTask, Event, Kind, Note, TaskSeen},
            kept_app,
            plan::{Class, OnFail, Plan, Planned, Step, StepId},
            severity::worst,
        },
    },
};

/// The fold of a run's events. Every report is a function of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunState {
    /// The request and the host of the run; absent only before its first event.
    pub begun: Option<Begun>,
    /// The plan, once there is one.
    pub plan: Option<Plan>,
    /// The steps that began so far.
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
    /// The image of each service.
    pub images: BTreeMap<String, String>,
    /// The tasks that the app last settled on, with those that replaced them.
    pub settled: BTreeMap<ServiceName, BTreeSet<TaskId>>,
    /// When each of these tasks was found settled first.
    pub settled_since: BTreeMap<TaskId, Mono>,
    /// The specs that the services settled on; empty while a step replaces the app, and after a deploy that failed.
    pub settled_specs: BTreeMap<ServiceName, SpecDigest>,
    /// The settled tasks that have ended, each with the moment at which that was observed.
    pub ended_tasks: Vec<(Mono, EndedTask)>,
    /// What something other than the run changed after the app had settled; absent when nothing did.
    pub interfered: Option<String>,
    /// The image of each service before the upgrade; empty without one.
    pub images_before: BTreeMap<String, String>,
    /// How often the app was deployed where no app was.
    pub deploys: u32,
    /// Which commit runs, once something was deployed.
    pub runs: Option<Subject>,
    /// The canaries, and how they were found.
    pub canaries: Vec<CanaryState>,
    /// The snapshot that the backup service made of the app.
    pub snapshot: Option<String>,
    /// The services that head dropped, and that were removed.
    pub dropped: Vec<String>,
    /// What an operator has to do or to know for the upgrade.
    pub operator_must: Vec<String>,
    /// Lint of base and of head, as far as they could be linted.
    pub lint: BTreeMap<Subject, Linted>,
    /// The SHA-256 over the files of base and head, as they were judged.
    pub files: BTreeMap<Subject, String>,
    /// The load of the machine at the start of the run.
    pub load: Option<Load>,
    /// The checks of the host before the run.
    pub preflight: Vec<Check>,
    /// The resolved compose files compared with the running services, once that was done.
    pub compose_verification: Option<ComposeVerification>,
    /// The file with the screenshot of the app, relative to the run's folder.
    pub screenshot: Option<String>,
    /// What ran when the screenshot was taken.
    pub screenshot_of: Option<Subject>,
    /// What a reader has to know about how the result was made.
    pub remarks: Vec<String>,
    /// The custom tests of the last green run that are not in the pack any more.
    pub vanished: Vec<String>,
    /// Sentences that change no outcome.
    pub warnings: Vec<String>,
    /// The files of evidence in the run's folder.
    pub evidence: Vec<KeptFile>,
    /// The tasks of the app, in the order in which they were first observed.
    pub tasks: Vec<TaskHistory>,
    /// Why the run ends early, if it does.
    pub cancel: Option<Cancel>,
    /// The app that outlives the run; absent when it is removed.
    pub kept: Option<kept_app::Kept>,
    /// The difference between the inventories before and after the run.
    pub cleanup_result: Option<CleanupResult>,
    /// When the last event happened, on both clocks.
    pub last: Option<(Wall, Mono)>,
    /// When the run ended.
    pub finished: Option<Wall>,
    /// The cleanup after the run by the guardian or the janitor; a run that did not end before that was killed.
    pub cleaned_after: Option<CleanedAfter>,
}

/// The cleanup after a run by the guardian and the janitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanedAfter {
    /// The last of them that cleaned up.
    pub by: CleanedBy,
    /// How many objects and files all of them removed.
    pub removed: u32,
    /// What the last of them could not remove.
    pub left: Vec<String>,
}

/// The differences between the resolved compose files and the running services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComposeVerification {
    /// The differences, a sentence each.
    pub differences: Vec<String>,
    /// The keys of the files that are not compared.
    pub skipped: Vec<String>,
}

/// A file of evidence in the run's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// The step that it belongs to.
    pub step: StepId,
    /// The file, relative to the run's folder.
    pub file: PathBuf,
    /// Its content, in words.
    pub what: String,
    /// Its last lines; empty when the journal does not have them.
    pub tail: String,
}

/// A task with its states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskHistory {
    /// The step that observed it first.
    pub step: StepId,
    /// The service without its stack.
    pub service: String,
    /// The task.
    pub task: TaskId,
    /// Its slot; global tasks have none.
    pub slot: Option<u64>,
    /// Its states, never empty, each from the moment on when it was observed.
    pub changes: Vec<TaskChange>,
}

/// A state of a task, from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskChange {
    /// When it was observed first.
    pub at: Mono,
    /// The state.
    pub state: TaskState,
    /// The exit code of its container, when that had ended.
    pub exit: Option<i32>,
    /// Swarm's sentence on what went wrong; empty when nothing had.
    pub error: String,
}

impl RunState {
    /// How long it took from a new app under the old name until the check found the data; absent unless that passed.
    pub fn disaster(&self) -> Option<Duration> {
        let plan = self.plan.as_ref()?;
        let of =
            |step: &Step| plan.steps.iter().find(|planned| planned.step == *step).and_then(|planned| self.steps.get(&planned.id));
        let check = of(&Step::Check { moment: Moment::AfterDisaster })?;
        let (at, outcome) = check.ended.as_ref()?;
        outcome.passed().then(|| Some(at.since(of(&Step::Renew)?.began)))?
    }

    /// Whether the run is known to have leaked nothing and to have changed nothing of others: the inventories were compared, and
    /// every claim was confirmed gone.
    pub fn left_nothing(&self) -> bool {
        self.claims.is_empty() && self.cleanup_result.as_ref().is_some_and(CleanupResult::clean)
    }

    /// Why the running app is not head: base or a mixture runs, or nothing was deployed. Absent when head runs.
    pub fn not_on_head(&self) -> Option<Gap> {
        match self.runs {
            Some(Subject::Head) => None,
            Some(subject @ (Subject::Base | Subject::Mixed)) => Some(Gap::NotHead { subject }),
            None => Some(Gap::NotRun { because: "nothing was deployed".into() }),
        }
    }

    /// Whether an observation of a task differs from what the state has of it.
    pub fn is_news(&self, seen: &TaskSeen) -> bool {
        let known = self.tasks.iter().find(|task| task.task == seen.task).and_then(|task| task.changes.last());
        known.is_none_or(|last| (last.state, last.exit, &last.error) != (seen.state, seen.exit, &seen.error))
    }
}

/// The first event of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The run.
    pub run: RunId,
    /// When.
    pub at: Wall,
    /// taster's version.
    pub taster: String,
    /// The commit that taster was built from.
    pub commit: Option<String>,
    /// What was asked for.
    pub request: Request,
    /// The host.
    pub host: Host,
}

/// The most changes of what a step waits for that are kept.
pub const MOST_WAITS: usize = 100;

/// A step that began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepState {
    /// When its last attempt began.
    pub began: Mono,
    /// The number of its last attempt.
    pub attempt: u32,
    /// What it waits for.
    pub waiting_for: Vec<String>,
    /// What it waited for, each from when on; the first [`MOST_WAITS`] changes.
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

    /// How it failed at first, in a sentence, when it passed only at a later attempt.
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

/// The state after one more event.
pub fn fold(mut state: RunState, event: &Event) -> RunState {
    state.last = Some((event.at, event.mono));
    match event.kind.clone() {
        Kind::RunStarted { run, taster, commit, request, host, .. } => {
            state.begun = Some(Begun { run, at: event.at, taster, commit, request, host });
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
            let what = state.plan.as_ref().and_then(|plan| plan.step(&step)).map(|planned| planned.step.clone());
            if what.as_ref().is_some_and(Step::upgrades) {
                state.images_before = state.images.clone();
            }
            if what.as_ref().is_some_and(Step::replaces_app) {
                state.settled_specs.clear();
            }
            let failed = state.steps.remove(&step).map(|before| before.failed).unwrap_or_default();
            state.steps.insert(step, StepState { failed, ..StepState::begun(event.mono, attempt) });
        }
        Kind::AttemptFailed { step, failure, .. } => {
            // The next attempt makes its checks again.
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
        Kind::TaskChanged { step, seen } => add_task_change(&mut state, step, event.mono, seen),
        Kind::Noted { note } => add_note(&mut state, event.mono, note),
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

fn add_task_change(state: &mut RunState, step: StepId, at: Mono, seen: TaskSeen) {
    let TaskSeen { service, task, slot, state: now, exit, error } = seen;
    let change = TaskChange { at, state: now, exit, error };
    match state.tasks.iter_mut().find(|known| known.task == task) {
        Some(known) => known.changes.push(change),
        None => state.tasks.push(TaskHistory { step, service, task, slot, changes: vec![change] }),
    }
}

fn add_note(state: &mut RunState, at: Mono, note: Note) {
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
        Note::Settled { tasks, specs } => {
            let since = |task: &TaskId| (task.clone(), state.settled_since.get(task).copied().unwrap_or(at));
            state.settled_since = tasks.values().flatten().map(since).collect();
            (state.settled, state.settled_specs) = (tasks, specs);
        }
        Note::TaskEnded { ended } => state.ended_tasks.push((at, ended)),
        Note::Interfered { what } => {
            state.interfered.get_or_insert(what);
        }
        Note::ComposeVerified { differences, skipped } => {
            state.compose_verification = Some(ComposeVerification { differences, skipped });
        }
        Note::Files { subject, digest } => {
            state.files.insert(subject, digest);
        }
        Note::Linted { subject, linted } => {
            state.lint.insert(subject, linted);
        }
        Note::Load { load } => state.load = Some(load),
        Note::Preflight { checks } => state.preflight = checks,
        Note::Screenshot { file, of } => (state.screenshot, state.screenshot_of) = (Some(file), of),
        Note::Vanished { tests } => state.vanished = tests,
        Note::Remark { text } => {
            if !state.remarks.contains(&text) {
                state.remarks.push(text);
            }
        }
    }
}

/// What the run loop does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextSteps {
    /// It starts these steps.
    Start(Vec<StepId>),
    /// It waits for one of the running steps, or for anything else that wakes it.
    Wait,
    /// The run is over.
    Finished,
}

/// What the run loop does next under `plan`, given the events so far.
pub fn next(plan: &Plan, state: &RunState) -> NextSteps {
    let phases: Vec<(&Planned, StepPhase)> = plan.steps.iter().map(|planned| (planned, phase(plan, state, planned))).collect();
    let ready: Vec<StepId> =
        phases.iter().filter(|(_, phase)| *phase == StepPhase::Ready).map(|(planned, _)| planned.id.clone()).collect();
    if !ready.is_empty() {
        NextSteps::Start(ready)
    } else if phases.iter().any(|(_, phase)| matches!(phase, StepPhase::Running | StepPhase::Waiting)) {
        NextSteps::Wait
    } else {
        NextSteps::Finished
    }
}

/// The failure after which a step is tried again, and the number of the next attempt; absent when the step is not tried again. A
/// function that exceeded its budget, or that cannot be run at all, would fail in the same way again.
pub fn retry_of(plan: &Plan, state: &RunState, id: &StepId, outcome: &Outcome) -> Option<(Failure, u32)> {
    let Outcome::Failed(failure) = outcome else { return None };
    let attempt = state.steps.get(id)?.attempt;
    let more = state.cancel.is_none() && plan.step(id)?.attempts > attempt;
    let again = matches!(failure.cause, Cause::Assertion | Cause::TestPanicked | Cause::TestCrashed { .. });
    (more && again).then(|| (failure.clone(), attempt + 1))
}

/// The outcome of a step whose last attempt ended so: where all attempts failed, the most severe failure, and the last of equally
/// severe ones.
pub fn worst_attempt(state: &RunState, id: &StepId, last: Outcome) -> Outcome {
    if !matches!(&last, Outcome::Failed(failure) if !matches!(failure.cause, Cause::Flaky { .. })) {
        return last;
    }
    let before = state.steps.get(id).into_iter().flat_map(|step| &step.failed).rev();
    let before = before.map(|attempt| Outcome::Failed(attempt.failure.clone()));
    worst(iter::once(last.clone()).chain(before)).unwrap_or(last)
}

/// The phase of a planned step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepPhase {
    /// It waits for steps before it.
    Waiting,
    /// It can start.
    Ready,
    /// It runs.
    Running,
    /// It ended.
    Done,
    /// It will never run.
    Excluded,
}

/// The phase of `planned`.
pub fn phase(plan: &Plan, state: &RunState, planned: &Planned) -> StepPhase {
    if let Some(step) = state.steps.get(&planned.id) {
        return if step.ended.is_some() { StepPhase::Done } else { StepPhase::Running };
    }
    if planned.class != Class::Always && is_excluded(plan, state, planned) {
        return StepPhase::Excluded;
    }
    if steps_before(plan, planned).all(|before| is_finished(plan, state, before)) { StepPhase::Ready } else { StepPhase::Waiting }
}

/// The steps that `planned` waits for.
fn steps_before<'a>(plan: &'a Plan, planned: &'a Planned) -> impl Iterator<Item = &'a Planned> {
    planned.after.iter().filter_map(|id| plan.step(id))
}

/// Whether neither a step nor one that it waits for can still run.
fn is_finished(plan: &Plan, state: &RunState, planned: &Planned) -> bool {
    match phase(plan, state, planned) {
        StepPhase::Done => true,
        StepPhase::Excluded => steps_before(plan, planned).all(|before| is_finished(plan, state, before)),
        StepPhase::Waiting | StepPhase::Ready | StepPhase::Running => false,
    }
}

/// Whether the cancelled run or a failure before it keeps a step from ever running.
fn is_excluded(plan: &Plan, state: &RunState, planned: &Planned) -> bool {
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
    fn run_has_left_nothing_only_when_that_was_confirmed() {
        let clean = || Some(CleanupResult::default());
        let leaked = || Some(CleanupResult { leaked: vec!["volume x".into()], ..CleanupResult::default() });
        let marker = || BTreeSet::from([Claimed::Marker { name: "taster-x".into() }]);
        for (cleanup_result, claims, nothing) in [
            (clean(), BTreeSet::new(), true),
            (clean(), marker(), false),
            (leaked(), BTreeSet::new(), false),
            (None, BTreeSet::new(), false),
        ] {
            let state = RunState { cleanup_result, claims, ..RunState::default() };
            assert_eq!(state.left_nothing(), nothing, "{state:?}");
        }
    }
}
