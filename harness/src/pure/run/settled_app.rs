//! What becomes of the app after it has settled: which of its tasks have ended, which step of the run explains that, and what
//! something else than the run has changed.
//!
//! A service without a health check counts as settled as soon as it runs, so a crash loop that is slower than the stable window
//! shows only here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    model::{
        names::{ServiceName, StackName, TaskId},
        outcome::{Cause, Failure, Owner},
        time::{Mono, format_duration},
    },
    pure::{
        host::converge::{Mode, RestartCondition, ServiceView, SpecDigest, TaskState, TaskView, UpdateState, allowance},
        run::{
            event::{End, EndedTask, Note},
            plan::{Plan, Step, StepId, step_ids},
            state::{RunState, StepState},
        },
    },
};

/// How long after a step the end of a task may show that the step has caused: a node reports its tasks in batches.
const REPORTED_WITHIN: Duration = Duration::from_secs(2);
/// How long a task may have run so that its end counts as one of a crash loop until its successor has run for longer.
const SHORT_LIFE: Duration = Duration::from_secs(30);

/// An observation of the settled app.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// The stack.
    pub stack: &'a StackName,
    /// Its services.
    pub services: &'a BTreeMap<ServiceName, ServiceView>,
    /// The services that end by themselves, as the pack declares.
    pub one_shots: &'a BTreeSet<ServiceName>,
    /// The ended tasks whose health check had failed.
    pub unhealthy: &'a BTreeSet<TaskId>,
    /// A step that runs and has not yet done what could explain an end.
    pub not_yet: Option<&'a StepId>,
    /// The tasks whose containers a client of the engine has killed; Swarm does that too.
    pub killed: &'a BTreeSet<TaskId>,
}

/// The tasks of each service that run and that Swarm means to keep: a task that it has replaced runs on for some seconds.
pub fn running_tasks(services: &BTreeMap<ServiceName, ServiceView>) -> BTreeMap<ServiceName, BTreeSet<TaskId>> {
    let kept = |task: &&TaskView| task.state == TaskState::Running && task.desired == TaskState::Running;
    let tasks_of = |service: &ServiceView| service.tasks.iter().filter(kept).map(|task| task.id.clone()).collect();
    services.iter().map(|(name, service)| (name.clone(), tasks_of(service))).collect()
}

/// The specs of the services.
pub fn specs(services: &BTreeMap<ServiceName, ServiceView>) -> BTreeMap<ServiceName, SpecDigest> {
    services.iter().map(|(name, service)| (name.clone(), service.spec.clone())).collect()
}

/// Whether an observation now shows the app as it settled: no step is replacing it, and nothing else has changed it.
pub fn is_watched(state: &RunState) -> bool {
    let runs = |step: &Step| {
        let running = |id: &StepId| state.steps.get(id).is_some_and(|step| step.ended.is_none());
        state.plan.iter().flat_map(|plan| &plan.steps).any(|planned| planned.step == *step && running(&planned.id))
    };
    !state.settled_specs.is_empty() && state.interfered.is_none() && !runs(&Step::VerifyHead)
}

/// The settled tasks that have ended and are not known to have, each as far as Swarm still shows it. A service that ends by
/// itself may end with success.
pub fn newly_ended<'a>(state: &'a RunState, seen: Observed<'a>) -> Vec<(&'a ServiceName, &'a TaskId, Option<&'a TaskView>)> {
    let running = running_tasks(seen.services);
    let is_known = |task: &TaskId| state.ended_tasks.iter().any(|(_, ended)| ended.task == *task);
    let mut found = Vec::new();
    for (name, tasks) in state.settled.iter().filter(|(name, _)| !is_dropped(state, seen.stack, name)) {
        let Some(service) = seen.services.get(name) else { continue };
        let ends_well = seen.one_shots.contains(name)
            || matches!(service.mode, Mode::Job { .. })
            || service.restart.condition == RestartCondition::None;
        for task in tasks.iter().filter(|task| !running[name].contains(*task) && !is_known(task)) {
            let view = service.tasks.iter().find(|view| view.id == *task);
            // A task that Swarm stops has not ended as long as it runs.
            let is_over = view.is_none_or(|view| view.state > TaskState::Running);
            let well = ends_well && view.is_some_and(|view| view.state == TaskState::Complete);
            if is_over && !well {
                found.push((name, task, view));
            }
        }
    }
    found
}

/// What an observation shows of the settled app that is not known yet.
pub fn news(state: &RunState, now: Mono, seen: Observed<'_>) -> Vec<Note> {
    if !is_watched(state) {
        return Vec::new();
    }
    if let Some(what) = foreign_change(state, seen) {
        return vec![Note::Interfered { what }];
    }
    let mut notes = Vec::new();
    for (name, task, view) in newly_ended(state, seen) {
        let end = end_of(task, view, seen);
        if end == End::Killed {
            let what = format!("a container of service {} was killed, and not by the run", seen.stack.short(name));
            notes.push(Note::Interfered { what });
            return notes;
        }
        let service = &seen.services[name];
        let ended = EndedTask {
            service: name.clone(),
            task: task.clone(),
            exit: view.and_then(|view| view.exit),
            end,
            error: view.map(|view| view.error.clone()).unwrap_or_default(),
            during: step_in_progress(state),
            because_of: explaining_step(state, task, end, now, service).filter(|step| seen.not_yet != Some(step)),
        };
        notes.push(Note::TaskEnded { ended });
    }
    notes.extend(replaced(state, seen));
    notes
}

fn is_dropped(state: &RunState, stack: &StackName, name: &ServiceName) -> bool {
    state.dropped.iter().any(|dropped| dropped == stack.short(name))
}

/// The first change of a service's spec that no step of the run has made. Swarm takes back an update by itself.
fn foreign_change(state: &RunState, seen: Observed<'_>) -> Option<String> {
    let settled = state.settled_specs.iter().filter(|(name, _)| !is_dropped(state, seen.stack, name));
    let known = |name: &ServiceName| state.settled_specs.contains_key(name);
    let changed = settled.into_iter().find_map(|(name, spec)| {
        let short = seen.stack.short(name);
        let Some(service) = seen.services.get(name) else {
            return Some(format!("service {short} was removed, and not by the run"));
        };
        let by_swarm = service.update.as_ref().is_some_and(|update| {
            let rolls_back = [UpdateState::RollbackStarted, UpdateState::RollbackPaused, UpdateState::RollbackCompleted];
            rolls_back.contains(&update.state) && !update.message.contains("manually requested")
        });
        (service.spec != *spec && !by_swarm)
            .then(|| format!("service {short} was changed after it had settled, and not by the run"))
    });
    let added = || seen.services.keys().find(|name| !known(name) && !is_dropped(state, seen.stack, name));
    changed.or_else(|| Some(format!("service {} was added, and not by the run", seen.stack.short(added()?))))
}

fn end_of(task: &TaskId, view: Option<&TaskView>, seen: Observed<'_>) -> End {
    match view {
        None => End::Unknown,
        Some(view) if seen.unhealthy.contains(task) || view.error.contains("unhealthy container") => End::Unhealthy,
        Some(view) => match view.state {
            TaskState::Complete | TaskState::Failed if seen.killed.contains(task) => End::Killed,
            TaskState::Complete | TaskState::Failed | TaskState::Rejected => End::ByItself,
            _ => End::Stopped,
        },
    }
}

/// A step of a tier that runs now.
fn step_in_progress(state: &RunState) -> Option<StepId> {
    let running = |id: &&StepId| state.steps.get(*id).is_some_and(|step| step.ended.is_none());
    state
        .plan
        .iter()
        .flat_map(|plan| &plan.steps)
        .filter(|planned| !matches!(planned.step, Step::Lint { .. }))
        .map(|planned| &planned.id)
        .find(running)
        .cloned()
}

/// The step that explains the end of a task: a restore or a command that ran when the task had settled already, or not long
/// before its end. A health check may take its time to notice what a restore has replaced.
fn explaining_step(state: &RunState, task: &TaskId, end: End, now: Mono, service: &ServiceView) -> Option<StepId> {
    let since = state.settled_since.get(task).copied().unwrap_or_default();
    let lag = match end {
        End::Unhealthy => allowance(service).saturating_add(REPORTED_WITHIN),
        End::ByItself | End::Stopped | End::Killed | End::Unknown => REPORTED_WITHIN,
    };
    let explains = |step: &StepState| {
        let lasts = step.ended.as_ref().is_none_or(|(ended, _)| now <= ended.after(lag));
        step.attempt > 0 && step.began >= since && lasts
    };
    let may = state.plan.iter().flat_map(|plan| &plan.steps);
    let mut may = may.filter(|planned| matches!(planned.step, Step::Restore | Step::PostDeploy { .. }));
    may.find(|planned| state.steps.get(&planned.id).is_some_and(explains)).map(|planned| planned.id.clone())
}

/// The tasks that run in the place of ended ones, once there are as many.
fn replaced(state: &RunState, seen: Observed<'_>) -> Option<Note> {
    let mut tasks = state.settled.clone();
    for (name, running) in running_tasks(seen.services) {
        if let Some(settled) = tasks.get_mut(&name)
            && running.len() >= settled.len()
        {
            *settled = running;
        }
    }
    (tasks != state.settled).then(|| Note::Settled { tasks, specs: state.settled_specs.clone() })
}

/// Whether an ended task has no successor yet that runs.
pub fn is_restarting(state: &RunState) -> bool {
    let waits = |ended: &EndedTask| state.settled.get(&ended.service).is_some_and(|tasks| tasks.contains(&ended.task));
    state.ended_tasks.iter().any(|(_, ended)| waits(ended))
}

/// The failure that the ended tasks are which `step` has to report; absent when a step of the run explains all of them. A step
/// reports what an earlier one of its kind has not, and of an upgraded app only what came after the upgrade.
pub fn failure(plan: &Plan, state: &RunState, stack: &StackName, step: &StepId) -> Option<(Failure, TaskId)> {
    let began = |of: &dyn Fn(&Step) -> bool| {
        let steps = plan.steps.iter().filter(move |planned| of(&planned.step) && planned.id != *step);
        steps.filter_map(|planned| state.steps.get(&planned.id)).filter(|step| step.ended.is_some()).map(|step| step.began).max()
    };
    let from = began(&|step| matches!(step, Step::Stable | Step::Upgrade)).unwrap_or_default();
    let ends: Vec<&(Mono, EndedTask)> =
        state.ended_tasks.iter().filter(|(at, ended)| *at >= from && ended.because_of.is_none()).collect();
    let of_recipe = |(_, ended): &&&(Mono, EndedTask)| owner(ended.end) == Owner::Recipe;
    let (at, ended) = ends.iter().find(of_recipe).or(ends.first())?;
    let times = ends.iter().filter(|(_, other)| other.service == ended.service).count();
    let times = if times > 1 { format!(", {times} times, at first") } else { String::new() };
    let during = ended.during.as_ref().map(|step| format!(" (during {step})")).unwrap_or_default();
    let at = format_duration(at.since(Mono::default()));
    let message = format!(
        "{}: {} after it had settled{times} {at} into the run{during}; no step of the run explains it",
        stack.short(&ended.service),
        how(ended)
    );
    let cause = Cause::Restarted { service: ended.service.clone(), exit: ended.exit };
    Some((Failure::new(cause, message).owned_by(owner(ended.end)), ended.task.clone()))
}

fn owner(end: End) -> Owner {
    match end {
        End::ByItself | End::Unhealthy => Owner::Recipe,
        End::Stopped | End::Killed | End::Unknown => Owner::Infrastructure,
    }
}

fn how(ended: &EndedTask) -> String {
    match (ended.end, ended.exit) {
        (End::Unhealthy, _) => "its health check failed".to_owned(),
        (End::ByItself, Some(exit)) => format!("exited with {exit}"),
        (End::ByItself, None) if ended.error.is_empty() => "ended".to_owned(),
        (End::ByItself, None) => format!("ended ({})", ended.error),
        (End::Stopped | End::Killed, _) => "its task was stopped".to_owned(),
        (End::Unknown, _) => "its task was replaced".to_owned(),
    }
}

/// Until when the successors of ended tasks have to run so that their ends are no crash loop: as long as the ended ones had. The
/// restore that explains an end says nothing about the next one.
pub fn proven_at(state: &RunState) -> Option<Mono> {
    let explained = state.ended_tasks.iter().filter(|(_, ended)| ended.because_of.is_some());
    let due = explained.filter_map(|(at, ended)| {
        let seen = state.tasks.iter().find(|task| task.task == ended.task).and_then(|task| task.changes.first());
        let since = seen.map(|change| change.at).or_else(|| state.settled_since.get(&ended.task).copied())?;
        let lived = at.since(since);
        (lived <= SHORT_LIFE).then(|| at.after(lived).after(REPORTED_WITHIN))
    });
    due.max()
}

/// Whether a step is the last look at the settled app.
pub fn is_last_look(step: &StepId) -> bool {
    step.0 == step_ids::STILL_STABLE
}
