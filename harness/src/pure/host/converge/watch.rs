//! The fold of observations: the history of a stack as far as the evaluation needs it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    slots::{self, Slots},
    task_error,
    view::{Index, Observation, ServiceView, SpecDigest, TaskState, TaskView, UpdateState},
};
use crate::model::{
    names::{ImageRef, ServiceName, TaskId},
    outcome::{Cause, Failure},
    task_fault::TaskFault,
    time::Mono,
};

/// The version index and the spec digest of each service at one moment, before or right after a deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(pub BTreeMap<ServiceName, (Index, SpecDigest)>);

impl Marks {
    /// The marks of an observation.
    pub fn of(services: &BTreeMap<ServiceName, ServiceView>) -> Self {
        Self(services.iter().map(|(name, view)| (name.clone(), (view.index, view.spec.clone()))).collect())
    }
}

/// What a watch waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "goal", content = "marks", rename_all = "kebab-case")]
pub enum Goal {
    /// All services settle, whatever their specs.
    Settle,
    /// All services settle on the specs of the last deploy.
    Upgrade(Marks),
}

/// The observations of a stack so far, folded.
#[derive(Debug, Clone)]
pub struct Watch {
    pub(super) goal: Goal,
    pub(super) marks_before: Marks,
    pub(super) one_shots: BTreeSet<ServiceName>,
    /// The services whose limit of memory is the host file's.
    default_memory: BTreeSet<ServiceName>,
    pub(super) last: Option<Observation>,
    pub(super) services: BTreeMap<ServiceName, Track>,
    /// When an observation last differed from the one before it.
    pub(super) changed_at: Mono,
}

impl Watch {
    /// A watch without an observation.
    pub fn new(goal: Goal) -> Self {
        Self {
            goal,
            marks_before: Marks::default(),
            one_shots: BTreeSet::new(),
            default_memory: BTreeSet::new(),
            last: None,
            services: BTreeMap::new(),
            changed_at: Mono::default(),
        }
    }

    /// The same watch with the marks from before the deploy: a service that shows them again was reverted.
    pub fn coming_from(self, marks_before: Marks) -> Self {
        Self { marks_before, ..self }
    }

    /// The same watch with services that end with exit 0 by design, although their restart policy does not say so.
    pub fn with_one_shots(self, one_shots: BTreeSet<ServiceName>) -> Self {
        Self { one_shots, ..self }
    }

    /// The same watch with services whose limit of memory is the host file's and not the recipe's.
    pub fn with_default_memory(self, default_memory: BTreeSet<ServiceName>) -> Self {
        Self { default_memory, ..self }
    }

    /// Whether the limit of a service's memory is the host file's.
    pub fn has_default_memory(&self, service: &ServiceName) -> bool {
        self.default_memory.contains(service)
    }

    /// The last observation, once there is one.
    pub fn last(&self) -> Option<&Observation> {
        self.last.as_ref()
    }

    /// The task of `service` whose log explains its failure best: the one that made Swarm stop an update, else the last one that
    /// failed, else the last one that ran. Absent when the engine rejected the one that made Swarm stop an update.
    pub fn decisive_task(&self, service: &ServiceName) -> Option<DecisiveTask<'_>> {
        let track = self.services.get(service)?;
        let view = self.last.as_ref()?.services.get(service)?;
        let ran = |task: &&TaskView| task.container.is_some();
        let stopped = match track.stopped_for(view) {
            Some(end) if !end.ran || !end.fault().ran() => return None,
            stopped => stopped.map(|end| end.task),
        };
        let failed = || track.ends.iter().rev().find(|end| end.ran).map(|end| &end.task);
        let ended = || view.tasks.iter().filter(ran).find(|task| task.state == TaskState::Failed);
        let any = || view.tasks.iter().find(ran);
        let id = stopped.as_ref().or_else(failed).or_else(|| ended().or_else(any).map(|task| &task.id))?.clone();
        let container = view.tasks.iter().find(|task| task.id == id).and_then(|task| task.container.as_deref());
        Some(DecisiveTask { task: id, container })
    }

    /// The image that the service's last task needed and its node does not have, where the engine does not say why.
    pub fn absent_image(&self, service: &ServiceName) -> Option<ImageRef> {
        let track = self.services.get(service)?;
        let view = self.last.as_ref()?.services.get(service)?;
        let end = track.stopped_for(view).or_else(|| track.ends.last().cloned())?;
        if end.fault() != TaskFault::ImageAbsent {
            return None;
        }
        let named = task_error::absent_image(&end.error).and_then(|image| image.parse().ok());
        Some(named.unwrap_or_else(|| view.image.clone()))
    }

    /// The failure of a service whose container the engine could not start when it last tried.
    pub fn refused(&self) -> Option<Failure> {
        let last = self.last.as_ref()?;
        self.services.iter().find_map(|(name, track)| {
            let waits = last.services.get(name).is_some_and(|view| !slots::slots(view, self.one_shots.contains(name)).full());
            let end = track.ends.last().filter(|end| waits && end.fault().may_clear())?;
            Some(end.rejection(name))
        })
    }
}

/// The task that explains a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisiveTask<'a> {
    /// The task.
    pub task: TaskId,
    /// Its container, as long as Swarm shows the task.
    pub container: Option<&'a str>,
}

/// The history of one service since its spec was first observed.
#[derive(Debug, Clone)]
pub(super) struct Track {
    spec: SpecDigest,
    /// When the spec was first observed.
    pub(super) since: Mono,
    /// The tasks that fill a slot of the current spec, and when that set last changed.
    pub(super) filled: BTreeSet<TaskId>,
    pub(super) filled_since: Mono,
    /// How many of them have ended with success.
    done: usize,
    /// The most slots that were ever filled at once. Its growth is progress; flickering is not.
    most: usize,
    pub(super) progress_at: Mono,
    /// The unplanned ends of current tasks, in the order in which they were observed.
    pub(super) ends: Vec<UnplannedEnd>,
    /// When each current task was first observed starting.
    pub(super) starting: BTreeMap<TaskId, Mono>,
    /// Since when the same task waits for a node.
    pub(super) unplaced: BTreeMap<TaskId, Mono>,
    /// Since when an ended task has no successor in its slot.
    pub(super) abandoned_since: Option<Mono>,
    /// Since when Swarm reports the update as completed.
    pub(super) completed_since: Option<Mono>,
    /// Whether Swarm ever reported a rollback during this watch, under any spec.
    pub(super) rolled_back: bool,
    /// The tasks that were current in any observation since the spec was first observed.
    current: BTreeSet<TaskId>,
    /// The tasks that were current under an earlier spec of this watch. After a rollback they are those of the failed update.
    tried: BTreeSet<TaskId>,
    /// The unplanned ends of those tasks, as far as they were observed. Swarm keeps few of its ended tasks.
    tried_ends: Vec<UnplannedEnd>,
}

/// The end of a task that neither Swarm nor the run asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnplannedEnd {
    pub(super) task: TaskId,
    pub(super) at: Mono,
    pub(super) state: TaskState,
    pub(super) exit: Option<i32>,
    pub(super) error: String,
    /// Whether it had a container at all.
    pub(super) ran: bool,
}

impl UnplannedEnd {
    fn of(task: &TaskView, at: Mono) -> Self {
        Self {
            task: task.id.clone(),
            at,
            state: task.state,
            exit: task.exit,
            error: task.error.clone(),
            ran: task.container.is_some(),
        }
    }

    /// Why it ended.
    pub(super) fn fault(&self) -> TaskFault {
        task_error::fault(&self.error)
    }

    /// Whether the engine ended it because its health check failed.
    pub(super) fn unhealthy(&self) -> bool {
        self.fault() == TaskFault::Unhealthy
    }

    /// The failure of a service whose task the engine rejected.
    pub(super) fn rejection(&self, service: &ServiceName) -> Failure {
        let because = self.fault();
        let message = format!("{service}: {}: {}", because.sentence(), self.error);
        Failure::new(Cause::Rejected { service: service.clone(), because }, message)
    }

    /// Whether two ends are of the same kind.
    pub(super) fn like(&self, other: &UnplannedEnd) -> bool {
        self.state == other.state && self.exit == other.exit
    }
}

/// The watch after one more observation. An observation that is older than the last one is left out.
pub fn observe_into(mut watch: Watch, observation: Observation) -> Watch {
    if let Some(last) = &watch.last {
        if observation.at < last.at {
            return watch;
        }
        if observation.services != last.services {
            watch.changed_at = observation.at;
        }
    } else {
        watch.changed_at = observation.at;
    }
    watch.services.retain(|name, _| observation.services.contains_key(name));
    for (name, view) in &observation.services {
        let one_shot = watch.one_shots.contains(name);
        let track = match watch.services.remove(name) {
            Some(track) if track.spec == view.spec => track,
            other => Track::new(view, observation.at, other),
        };
        watch.services.insert(name.clone(), track.observed(view, one_shot, observation.at));
    }
    watch.last = Some(observation);
    watch
}

impl Track {
    fn new(view: &ServiceView, at: Mono, before: Option<Track>) -> Self {
        let rolled_back = before.as_ref().is_some_and(|track| track.rolled_back);
        let (tried, tried_ends) = before.map_or_else(Default::default, |track| {
            let tried = track.tried.into_iter().chain(track.current).collect();
            (tried, track.tried_ends.into_iter().chain(track.ends).collect())
        });
        Self {
            spec: view.spec.clone(),
            since: at,
            filled: BTreeSet::new(),
            filled_since: at,
            done: 0,
            most: 0,
            progress_at: at,
            ends: Vec::new(),
            starting: BTreeMap::new(),
            unplaced: BTreeMap::new(),
            abandoned_since: None,
            completed_since: None,
            rolled_back,
            current: BTreeSet::new(),
            tried,
            tried_ends,
        }
    }

    /// The end of the task that made Swarm stop the update: the one that Swarm names, else an ended one of the failed update.
    pub(super) fn stopped_for(&self, view: &ServiceView) -> Option<UnplannedEnd> {
        let update = view.update.as_ref()?;
        let stopped = matches!(
            update.state,
            UpdateState::Paused | UpdateState::RollbackStarted | UpdateState::RollbackPaused | UpdateState::RollbackCompleted
        );
        if !stopped {
            return None;
        }
        let named = |id: &TaskId| update.message.contains(id.as_str());
        let ended = |task: &&TaskView| matches!(task.state, TaskState::Complete | TaskState::Failed | TaskState::Rejected);
        let shown = || view.tasks.iter().filter(ended);
        let of_view = |task: &TaskView| UnplannedEnd::of(task, self.since);
        // The list may show the task as it was before its node reported its end, or not any more.
        let seen = self.tried_ends.iter().chain(&self.ends).find(|end| named(&end.task));
        let last = if update.state == UpdateState::Paused { self.ends.last() } else { self.tried_ends.last() };
        let tried = || shown().find(|task| self.tried.contains(&task.id)).map(of_view);
        shown().find(|task| named(&task.id)).map(of_view).or_else(|| seen.cloned()).or_else(tried).or_else(|| last.cloned())
    }

    fn observed(mut self, view: &ServiceView, one_shot: bool, at: Mono) -> Self {
        let slots = slots::slots(view, one_shot);
        self.remember_ends(view, &slots, at);
        self.current.extend(view.tasks.iter().filter(|task| task.current).map(|task| task.id.clone()));
        // A one-shot fills its slot with the same task while it runs and after it has ended.
        if slots.filling != self.filled || slots.done != self.done {
            // Other services may have waited for the end of a one-shot.
            if slots.done > self.done {
                self.progress_at = at;
            }
            self.done = slots.done;
            self.filled = slots.filling.clone();
            self.filled_since = at;
        }
        if self.filled.len() > self.most {
            self.most = self.filled.len();
            self.progress_at = at;
        }
        let starting = view.tasks.iter().filter(|task| task.current && task.state == TaskState::Starting);
        self.starting = starting.map(|task| (task.id.clone(), *self.starting.get(&task.id).unwrap_or(&at))).collect();
        let unplaced = view.tasks.iter().filter(|task| slots::unplaced(task));
        self.unplaced = unplaced.map(|task| (task.id.clone(), *self.unplaced.get(&task.id).unwrap_or(&at))).collect();
        self.abandoned_since = slots.abandoned.as_ref().map(|_| self.abandoned_since.unwrap_or(at));
        let state = view.update.as_ref().map(|update| update.state);
        self.completed_since = (state == Some(UpdateState::Completed)).then(|| self.completed_since.unwrap_or(at));
        self.rolled_back |=
            matches!(state, Some(UpdateState::RollbackStarted | UpdateState::RollbackPaused | UpdateState::RollbackCompleted));
        self
    }

    fn remember_ends(&mut self, view: &ServiceView, slots: &Slots, at: Mono) {
        for task in view.tasks.iter().filter(|task| task.current && !slots.filling.contains(&task.id)) {
            let ended = matches!(task.state, TaskState::Complete | TaskState::Failed | TaskState::Rejected);
            if ended && self.ends.iter().all(|end| end.task != task.id) {
                self.ends.push(UnplannedEnd::of(task, at));
            }
        }
    }
}
