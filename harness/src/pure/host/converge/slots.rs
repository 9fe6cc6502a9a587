//! The slots of a service: which of them its tasks fill.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{Mode, RestartCondition, ServiceView, TaskState, TaskView};
use crate::model::names::{NodeId, TaskId};

/// The slots of a service, as one observation shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slots {
    /// How many slots are wanted. For a global service it is the number of places of its tasks, because the engine reports no
    /// other.
    pub(super) wanted: usize,
    /// The current tasks that fill a slot: running ones, or ones that ended with success where that is wanted.
    pub(super) filling: BTreeSet<TaskId>,
    /// How many of these ended with success, which is final.
    pub(super) done: usize,
    /// How many tasks are alive, current or not.
    pub(super) living: usize,
    /// Slots that only a task of an earlier spec fills, which Swarm still wants running.
    pub(super) outdated: usize,
    /// Slots in which a task of an earlier spec runs that Swarm still wants running, whatever else is in them.
    pub(super) old: usize,
    /// An ended current task without a successor in its slot.
    pub(super) abandoned: Option<TaskId>,
}

impl Slots {
    /// Whether all wanted slots are filled.
    pub(super) fn full(&self) -> bool {
        if self.wanted == 0 { self.living == 0 } else { self.filling.len() >= self.wanted }
    }
}

/// A place: a slot of a replicated service, a node of a global one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Slot(u64),
    Node(NodeId),
    /// A task of a global service that has no node yet, or one of a job.
    Own(TaskId),
}

pub(super) fn slots(view: &ServiceView, one_shot: bool) -> Slots {
    let living = view.tasks.iter().filter(|task| task.state.alive()).count();
    if let Mode::Job { completions } = view.mode {
        let done: BTreeSet<TaskId> = view
            .tasks
            .iter()
            .filter(|task| task.current && task.state == TaskState::Complete)
            .map(|task| task.id.clone())
            .collect();
        let wanted = usize::try_from(completions).unwrap_or(usize::MAX);
        let ended = view.tasks.iter().find(|task| task.current && ended_by_itself(task));
        let abandoned = ended.filter(|_| done.len() < wanted && living == 0).map(|task| task.id.clone());
        return Slots { wanted, done: done.len(), filling: done, living, outdated: 0, old: 0, abandoned };
    }
    let ends_well = one_shot || view.restart.condition == RestartCondition::None;
    let mut places: BTreeMap<Place, Vec<&TaskView>> = BTreeMap::new();
    for task in &view.tasks {
        places.entry(place(task)).or_default().push(task);
    }
    let mut filling = BTreeSet::new();
    let mut done = 0;
    let mut outdated = 0;
    let mut old = 0;
    let mut abandoned = None;
    let mut in_use = 0;
    for tasks in places.values() {
        let current = || tasks.iter().filter(|task| task.current);
        let wants_task = tasks.iter().any(|task| task.desired <= TaskState::Running && task.state.alive());
        let runs_on = |task: &&&TaskView| !task.current && task.desired == TaskState::Running && task.state == TaskState::Running;
        old += usize::from(tasks.iter().any(|task| runs_on(&task)));
        let running = current().find(|task| task.desired == TaskState::Running && task.state == TaskState::Running);
        let complete = current().find(|task| ends_well && task.state == TaskState::Complete);
        let ended = current().find(|task| ended_by_itself(task));
        if let Some(task) = running {
            filling.insert(task.id.clone());
        } else if let Some(task) = complete.filter(|_| !wants_task) {
            filling.insert(task.id.clone());
            done += 1;
        } else if wants_task && !current().any(|task| task.state.alive()) {
            outdated += 1;
        } else if let Some(task) = ended.filter(|_| !wants_task) {
            abandoned = Some(task.id.clone());
        } else if !wants_task {
            continue;
        }
        in_use += 1;
    }
    let wanted = match view.mode {
        Mode::Replicated { replicas } => usize::try_from(replicas).unwrap_or(usize::MAX),
        Mode::Global | Mode::Job { .. } => in_use,
    };
    // A service that was scaled down keeps ended tasks in slots that are not wanted any more.
    let abandoned = abandoned.filter(|_| filling.len() < wanted && in_use <= wanted);
    Slots { wanted, filling, done, living, outdated, old, abandoned }
}

/// Whether a task ended by itself.
fn ended_by_itself(task: &TaskView) -> bool {
    matches!(task.state, TaskState::Complete | TaskState::Failed | TaskState::Rejected)
}

fn place(task: &TaskView) -> Place {
    match (task.slot, &task.node) {
        (Some(slot), _) => Place::Slot(slot),
        (None, Some(node)) => Place::Node(node.clone()),
        (None, None) => Place::Own(task.id.clone()),
    }
}

/// Whether a task waits for a node, with a reason of the scheduler.
pub(super) fn unplaced(task: &TaskView) -> bool {
    task.state == TaskState::Pending && task.desired <= TaskState::Running && task.error.contains("no suitable node")
}
