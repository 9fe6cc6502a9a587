//! The fold of a run's events, and what it says is to be done next. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    claim::Claimed,
    event::{Cancel, Event, Kind, Note},
    model::{
        host::Host,
        names::{Domain, RunId, ServiceName, TaskId},
        outcome::Outcome,
        request::Request,
        time::{Mono, Wall},
    },
    plan::{Class, OnFail, Plan, Planned, StepId},
    preflight::Check,
    world::Hygiene,
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
    /// How often the app was deployed.
    pub deploys: u32,
    /// What the preflight found of the host.
    pub preflight: Vec<Check>,
    /// How what the files were taken to say compares with what runs, once that was looked at.
    pub calibration: Option<Calibration>,
    /// What a reader must know about how the result was made.
    pub remarks: Vec<String>,
    /// Sentences that change no outcome.
    pub warnings: Vec<String>,
    /// Files in the run's folder and what they show.
    pub evidence: Vec<(PathBuf, String)>,
    /// Why the run ends early, if it does.
    pub cancel: Option<Cancel>,
    /// What comparing the worlds showed.
    pub hygiene: Option<Hygiene>,
    /// When the last event happened, on both clocks.
    pub last: Option<(Wall, Mono)>,
    /// When the run ended.
    pub finished: Option<Wall>,
}

/// How what the recipe's files were taken to say compares with what runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// What differs, a sentence each; none when they agree.
    pub differences: Vec<String>,
    /// What the files say and that was not read.
    pub skipped: Vec<String>,
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

/// What became of a step so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepState {
    /// When its last attempt began.
    pub began: Mono,
    /// The number of its last attempt.
    pub attempt: u32,
    /// What it waits for.
    pub waiting_for: Vec<String>,
    /// How and when it ended.
    pub ended: Option<(Mono, Outcome)>,
}

impl StepState {
    /// How it ended, if it did.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.ended.as_ref().map(|(_, outcome)| outcome)
    }

    /// How long it took, if it ended.
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
        Kind::Planned { plan } => state.plan = Some(plan),
        Kind::Claimed { what, .. } => {
            state.claims.insert(what);
        }
        Kind::Released { what } => {
            state.claims.remove(&what);
        }
        Kind::StepStarted { step, attempt } => {
            state.steps.insert(step, StepState { began: event.mono, attempt, waiting_for: Vec::new(), ended: None });
        }
        Kind::Observed { step, waiting_for } => {
            if let Some(step) = state.steps.get_mut(&step) {
                step.waiting_for = waiting_for;
            }
        }
        Kind::CheckFinished { step, check, outcome } => state.checks.push(CheckState { step, check, outcome }),
        Kind::StepFinished { step, outcome } => {
            let never_began = StepState { began: event.mono, attempt: 0, waiting_for: Vec::new(), ended: None };
            state.steps.entry(step).or_insert(never_began).ended = Some((event.mono, outcome));
        }
        Kind::EvidenceKept { file, what, .. } => state.evidence.push((file, what)),
        Kind::Noted { note } => take_note(&mut state, note),
        Kind::Warned { text } => state.warnings.push(text),
        Kind::CancelRequested { why } => {
            state.cancel.get_or_insert(why);
        }
        Kind::WorldCompared { hygiene } => state.hygiene = Some(hygiene),
        Kind::RunFinished => state.finished = Some(event.at),
        Kind::ChildStarted { pid, start_ticks, doing } => {
            state.children.insert(pid, (start_ticks, doing));
        }
        Kind::ChildEnded { pid } => {
            state.children.remove(&pid);
        }
    }
    state
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
        Note::Settled { tasks } => state.settled = tasks,
        Note::Calibrated { differences, skipped } => state.calibration = Some(Calibration { differences, skipped }),
        Note::Preflight { checks } => state.preflight = checks,
        Note::Remark { text } => state.remarks.push(text),
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
