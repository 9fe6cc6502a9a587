//! The fold of looks: what is known of a stack beyond its present moment.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    slots::{self, Slots},
    view::{Index, Observation, ServiceView, SpecDigest, TaskState, TaskView, UpdateState},
};
use crate::model::{
    names::{ServiceName, TaskId},
    time::Mono,
};

/// The version index and spec digest of each service right after a deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(pub BTreeMap<ServiceName, (Index, SpecDigest)>);

impl Marks {
    /// The marks of what a look shows.
    pub fn of(services: &BTreeMap<ServiceName, ServiceView>) -> Self {
        Self(services.iter().map(|(name, view)| (name.clone(), (view.index, view.spec.clone()))).collect())
    }
}

/// What a stack is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "goal", content = "marks", rename_all = "kebab-case")]
pub enum Goal {
    /// That all its services settle, whatever they are.
    Settle,
    /// That all its services settle on what a deploy just asked for.
    Upgrade(Marks),
}

/// All that was seen of a stack so far, as far as the judge needs it.
#[derive(Debug, Clone)]
pub struct Watch {
    pub(super) goal: Goal,
    pub(super) before: Marks,
    pub(super) one_shots: BTreeSet<ServiceName>,
    pub(super) last: Option<Observation>,
    pub(super) services: BTreeMap<ServiceName, Track>,
    /// When a look last differed from the one before it.
    pub(super) changed_at: Mono,
}

impl Watch {
    /// A watch that has seen nothing yet.
    pub fn new(goal: Goal) -> Self {
        Self {
            goal,
            before: Marks::default(),
            one_shots: BTreeSet::new(),
            last: None,
            services: BTreeMap::new(),
            changed_at: Mono::default(),
        }
    }

    /// The same watch, which knows what ran before the deploy: a service that shows it again was reverted.
    pub fn coming_from(self, before: Marks) -> Self {
        Self { before, ..self }
    }

    /// The same watch, which knows that these services are to end with exit 0 although their restart policy does not say so.
    pub fn with_one_shots(self, one_shots: BTreeSet<ServiceName>) -> Self {
        Self { one_shots, ..self }
    }

    /// The last look, once there is one.
    pub fn last(&self) -> Option<&Observation> {
        self.last.as_ref()
    }

    /// The task of `service` that tells most about its failure: the one for which Swarm stopped an update, else the last one that
    /// failed, else the last that ran.
    pub fn telling_task(&self, service: &ServiceName) -> Option<Telling<'_>> {
        let track = self.services.get(service)?;
        let view = self.last.as_ref()?.services.get(service)?;
        let ran = |task: &&TaskView| task.container.is_some();
        let stopped = track.stopped_for(view).filter(ran).map(|task| &task.id);
        let failed = || track.falls.iter().rev().find(|fall| fall.ran).map(|fall| &fall.task);
        let ended = || view.tasks.iter().filter(ran).find(|task| task.state == TaskState::Failed);
        let any = || view.tasks.iter().find(ran);
        let id = stopped.or_else(failed).or_else(|| ended().or_else(any).map(|task| &task.id))?;
        let container = view.tasks.iter().find(|task| task.id == *id).and_then(|task| task.container.as_deref());
        Some(Telling { task: id, container })
    }
}

/// The task that tells about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling<'a> {
    /// The task.
    pub task: &'a TaskId,
    /// Its container, as long as Swarm shows the task.
    pub container: Option<&'a str>,
}

/// What is known of one service, since its spec was first seen.
#[derive(Debug, Clone)]
pub(super) struct Track {
    spec: SpecDigest,
    /// When the spec was first seen.
    pub(super) since: Mono,
    /// The tasks that fill a slot of the current spec, and when that set last changed.
    pub(super) filled: BTreeSet<TaskId>,
    pub(super) filled_since: Mono,
    /// How many of them have ended with success.
    done: usize,
    /// The most slots that were ever filled at once. Growth of it is progress; flickering is not.
    most: usize,
    pub(super) progress_at: Mono,
    /// The ends of current tasks that nobody asked for, in the order in which they were seen.
    pub(super) falls: Vec<Fall>,
    /// When each current task was first seen starting.
    pub(super) starting: BTreeMap<TaskId, Mono>,
    /// Since when the same task waits for a node.
    pub(super) unplaced: BTreeMap<TaskId, Mono>,
    /// Since when an ended task stands in a slot without a successor.
    pub(super) bereft_since: Option<Mono>,
    /// Since when Swarm says that the update is completed.
    pub(super) completed_since: Option<Mono>,
    /// Whether Swarm ever spoke of a rollback during this watch, under whatever spec.
    pub(super) rolled_back: bool,
    /// The tasks that were current in any look since the spec was first seen.
    current: BTreeSet<TaskId>,
    /// The tasks that were current under an earlier spec of this watch. After a rollback they are those that were tried in vain.
    tried: BTreeSet<TaskId>,
}

/// The end of a task that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fall {
    pub(super) task: TaskId,
    pub(super) at: Mono,
    pub(super) state: TaskState,
    pub(super) exit: Option<i32>,
    pub(super) error: String,
    /// Whether it had a container at all.
    pub(super) ran: bool,
}

impl Fall {
    /// Whether the engine ended it because its health check failed.
    pub(super) fn unhealthy(&self) -> bool {
        self.error.contains("unhealthy container")
    }

    /// Whether its image could not be had.
    pub(super) fn imageless(&self) -> bool {
        let says = |text: &str| self.error.contains(text);
        self.state == TaskState::Rejected
            && (says("No such image")
                || says("manifest unknown")
                || says("pull access denied")
                || says("repository does not exist")
                || (says("manifest for") && says("not found")))
    }

    /// Whether two falls tell the same story.
    pub(super) fn like(&self, other: &Fall) -> bool {
        self.state == other.state && self.exit == other.exit
    }
}

/// The watch after one more look. A look that is older than the last one tells nothing new and is left out.
pub fn see(mut watch: Watch, look: Observation) -> Watch {
    if let Some(last) = &watch.last {
        if look.at < last.at {
            return watch;
        }
        if look.services != last.services {
            watch.changed_at = look.at;
        }
    } else {
        watch.changed_at = look.at;
    }
    watch.services.retain(|name, _| look.services.contains_key(name));
    for (name, view) in &look.services {
        let one_shot = watch.one_shots.contains(name);
        let track = match watch.services.remove(name) {
            Some(track) if track.spec == view.spec => track,
            other => Track::new(view, look.at, other),
        };
        watch.services.insert(name.clone(), track.seen(view, one_shot, look.at));
    }
    watch.last = Some(look);
    watch
}

impl Track {
    fn new(view: &ServiceView, at: Mono, before: Option<Track>) -> Self {
        let rolled_back = before.as_ref().is_some_and(|track| track.rolled_back);
        let tried = before.map(|track| track.tried.into_iter().chain(track.current).collect()).unwrap_or_default();
        Self {
            spec: view.spec.clone(),
            since: at,
            filled: BTreeSet::new(),
            filled_since: at,
            done: 0,
            most: 0,
            progress_at: at,
            falls: Vec::new(),
            starting: BTreeMap::new(),
            unplaced: BTreeMap::new(),
            bereft_since: None,
            completed_since: None,
            rolled_back,
            current: BTreeSet::new(),
            tried,
        }
    }

    /// The task for which Swarm stopped the update: the one that it names, else one that was tried before a rollback and has ended.
    pub(super) fn stopped_for<'a>(&self, view: &'a ServiceView) -> Option<&'a TaskView> {
        let word = view.update.as_ref()?;
        let named = view.tasks.iter().find(|task| word.message.contains(task.id.as_str()));
        let ended = |task: &&TaskView| self.tried.contains(&task.id) && task.state > TaskState::Running;
        named.or_else(|| view.tasks.iter().find(ended))
    }

    fn seen(mut self, view: &ServiceView, one_shot: bool, at: Mono) -> Self {
        let slots = slots::slots(view, one_shot);
        self.remember_ends(view, &slots, at);
        self.current.extend(view.tasks.iter().filter(|task| task.current).map(|task| task.id.clone()));
        // A one-shot that runs and one that has ended fill the same slot with the same task.
        if slots.filling != self.filled || slots.done != self.done {
            // The end of a one-shot is what others may have waited for.
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
        self.bereft_since = slots.bereft.as_ref().map(|_| self.bereft_since.unwrap_or(at));
        let state = view.update.as_ref().map(|update| update.state);
        self.completed_since = (state == Some(UpdateState::Completed)).then(|| self.completed_since.unwrap_or(at));
        self.rolled_back |=
            matches!(state, Some(UpdateState::RollbackStarted | UpdateState::RollbackPaused | UpdateState::RollbackCompleted));
        self
    }

    fn remember_ends(&mut self, view: &ServiceView, slots: &Slots, at: Mono) {
        for task in view.tasks.iter().filter(|task| task.current && !slots.filling.contains(&task.id)) {
            let ended = matches!(task.state, TaskState::Complete | TaskState::Failed | TaskState::Rejected);
            if ended && self.falls.iter().all(|fall| fall.task != task.id) {
                self.falls.push(Fall {
                    task: task.id.clone(),
                    at,
                    state: task.state,
                    exit: task.exit,
                    error: task.error.clone(),
                    ran: task.container.is_some(),
                });
            }
        }
    }
}
