//! The state of one service of a watch, given the others: the rules by which a service has failed.
//!
//! Crash loops are recognised in `looping`. A rule fails a service only when Swarm will not repair it by itself.

use std::time::Duration;

use super::{
    allowance::{STABLE_WINDOW, allowance},
    slots::{Slots, slots},
    view::{Health, Mode, Observation, OnFailure, Order, ServiceView, TaskState, UpdateState, UpdateView},
    watch::{Track, UnplannedEnd, Watch},
};
use crate::model::{
    names::ServiceName,
    outcome::{Cause, Failure, Holder, Owner},
    task_fault::TaskFault,
    time::{Mono, format_duration},
};

/// How long Swarm may take for the successor of an ended task, or for the state of an update. It takes milliseconds.
const SUCCESSOR_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the scheduler may find no node, or a global service may have no task.
const PLACEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long others may hold a resource: a task that is being stopped keeps it for its stop grace period.
const HELD_TIMEOUT: Duration = Duration::from_secs(30);
/// A service without a health check counts as ready only this long after its start: "running" means that it was started, and half
/// of the catalogue exits with 1 until its database answers.
const READY_AFTER: Duration = Duration::from_secs(60);
/// How long Swarm may take to pause or roll back an update after its first failure. It takes milliseconds on an idle machine, and
/// seconds on a busy one.
const DECISION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the engine may refuse to start containers of a service: networks and addresses of apps that are being removed come
/// free.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(300);
/// How many equal ends in a row are a crash loop.
const EQUAL_ENDS: usize = 3;
/// How many ends of any kind are a crash loop.
const ANY_ENDS: usize = 6;

/// The state of a service.
#[derive(Debug, Clone)]
pub(super) enum ServiceState {
    /// All its slots are filled since then; they have to stay so for the window.
    Serving { since: Mono, window: Duration },
    /// A slot is empty, and can still be filled.
    Waiting { why: String, next_observation: Option<Mono> },
    /// It ends again and again, or never becomes healthy; only progress of another service can change that.
    Looping(Failure),
    /// It will not recover by itself.
    Failed(Failure),
}

pub(super) fn service_state(watch: &Watch, observation: &Observation, name: &ServiceName, view: &ServiceView) -> ServiceState {
    let Some(track) = watch.services.get(name) else {
        return ServiceState::Waiting { why: "not observed yet".into(), next_observation: None };
    };
    let slots = slots(view, watch.one_shots.contains(name));
    let case = Case { watch, observation, name, view, track, slots };
    if matches!(view.mode, Mode::Global) && case.slots.wanted == 0 {
        return case.without_node();
    }
    if case.slots.full() { case.serving() } else { case.lacking() }
}

struct Case<'a> {
    watch: &'a Watch,
    observation: &'a Observation,
    name: &'a ServiceName,
    view: &'a ServiceView,
    track: &'a Track,
    slots: Slots,
}

impl Case<'_> {
    fn serving(&self) -> ServiceState {
        let since = self.track.filled_since;
        let ended_lately = self.track.ends.last().is_some_and(|end| self.observation.at.since(end.at) < STABLE_WINDOW);
        let completed = self.track.completed_since.is_some_and(|completed| completed >= since) && !ended_lately;
        let over = self.slots.done == self.slots.filling.len();
        ServiceState::Serving { since, window: if over || completed { Duration::ZERO } else { STABLE_WINDOW } }
    }

    fn without_node(&self) -> ServiceState {
        let until = self.track.since.after(PLACEMENT_TIMEOUT);
        if self.observation.at < until {
            return ServiceState::Waiting { why: "no node yet".into(), next_observation: Some(until) };
        }
        let message = format!("{}: a global service without any task: no node satisfies its placement", self.name);
        ServiceState::Failed(Failure::new(Cause::NoEligibleNode { service: self.name.clone() }, message))
    }

    fn lacking(&self) -> ServiceState {
        if let Some(failure) = self.paused() {
            return ServiceState::Failed(failure);
        }
        // What Swarm decides about an update comes before what its tasks show: it may need seconds for it on a busy machine.
        let decided = self.undecided_until().is_none_or(|until| self.observation.at >= until);
        let by_tasks = || self.image_missing().or_else(|| self.abandoned()).or_else(|| self.refused()).or_else(|| self.looping());
        self.unplaced().or_else(|| decided.then(by_tasks).flatten()).unwrap_or_else(|| ServiceState::Waiting {
            why: self.why(),
            next_observation: self.undecided_until().filter(|until| *until > self.observation.at),
        })
    }

    /// An update or rollback that Swarm has paused while an old task runs on.
    fn paused(&self) -> Option<Failure> {
        let paused = |update: &&UpdateView| matches!(update.state, UpdateState::Paused | UpdateState::RollbackPaused);
        let update = self.view.update.as_ref().filter(paused)?;
        if self.slots.old == 0 && self.slots.outdated == 0 {
            return None;
        }
        let what = if update.state == UpdateState::Paused { "update" } else { "rollback" };
        let stopped = self.track.stopped_for(self.view);
        let because = stopped.as_ref().map_or(TaskFault::Unknown, UnplannedEnd::fault);
        let why = stopped_because(stopped.as_ref());
        let message = format!("{}: {why}, so Swarm paused the {what}, and nothing will continue it", self.name);
        Some(Failure::new(Cause::Paused { service: self.name.clone(), because }, message))
    }

    /// A task for which the scheduler finds no node.
    fn unplaced(&self) -> Option<ServiceState> {
        let (task, since) = self.track.unplaced.iter().min_by_key(|(_, since)| **since)?;
        let error = &self.view.tasks.iter().find(|view| view.id == *task)?.error;
        let service = self.name.clone();
        let (timeout, failure) = if error.contains("host-mode port") {
            let (timeout, holder, owner) = self.port_holder();
            let ports: Vec<String> = self.view.host_ports.iter().map(|port| format!("{}/{}", port.port, port.protocol)).collect();
            let what = format!("host port {}", ports.join(", "));
            let by = match &holder {
                Holder::Itself => "its own old task, which is only stopped once the new one runs (order: start-first)".to_owned(),
                Holder::AnotherRun => "another run".to_owned(),
                Holder::Stranger { name } => name.clone(),
            };
            let message = format!("{}: {what} is held by {by}", self.name);
            let failure = Failure::new(Cause::HeldResource { service, what, holder }, message);
            (timeout, owner.map_or(failure.clone(), |owner| failure.owned_by(owner)))
        } else if error.contains("insufficient resources") {
            let what = "the CPU or memory that it reserves".to_owned();
            let message = format!("{}: no node has {what} ({error})", self.name);
            let holder = Holder::Stranger { name: "other tasks of the Swarm".into() };
            (HELD_TIMEOUT, Failure::new(Cause::HeldResource { service, what, holder }, message))
        } else {
            let failure = Failure::new(Cause::NoEligibleNode { service }, format!("{}: {error}", self.name));
            (PLACEMENT_TIMEOUT, if lacks_what_a_host_has(error) { failure.owned_by(Owner::Infrastructure) } else { failure })
        };
        let until = since.after(timeout);
        Some(if self.observation.at < until {
            ServiceState::Waiting { why: format!("waits for a node: {error}"), next_observation: Some(until) }
        } else {
            ServiceState::Failed(failure)
        })
    }

    /// How long the service may wait for its host port, the holder of the port, and the owner of the failure where it is not the
    /// holder's.
    fn port_holder(&self) -> (Duration, Holder, Option<Owner>) {
        let stays = |view: &ServiceView| {
            view.tasks.iter().any(|task| task.state == TaskState::Running && task.desired == TaskState::Running)
        };
        if self.view.roll.order == Order::StartFirst && stays(self.view) {
            return (PLACEMENT_TIMEOUT, Holder::Itself, None);
        }
        let shares = |view: &ServiceView| view.host_ports.iter().any(|port| self.view.host_ports.contains(port));
        let sibling = self.observation.services.iter().find(|(name, view)| *name != self.name && shares(view) && stays(view));
        match sibling {
            Some((name, _)) => (HELD_TIMEOUT, Holder::Stranger { name: format!("service {name}") }, Some(Owner::Recipe)),
            None => (HELD_TIMEOUT, Holder::Stranger { name: "something outside the stack".into() }, None),
        }
    }

    fn image_missing(&self) -> Option<ServiceState> {
        let ends: Vec<&UnplannedEnd> = self.track.ends.iter().filter(|end| end.fault().of_image()).collect();
        let spent = self.track.abandoned_since.is_some_and(|since| self.observation.at >= since.after(SUCCESSOR_TIMEOUT));
        if ends.len() < 2 && !(spent && ends.len() == 1) {
            return None;
        }
        let (image, last) = (self.view.image.to_string(), ends.last()?);
        let because = last.fault();
        let message = format!("{}: image {image} cannot be pulled: {}: {}", self.name, because.sentence(), last.error);
        Some(ServiceState::Failed(Failure::new(Cause::ImageMissing { service: self.name.clone(), image, because }, message)))
    }

    /// An ended task that Swarm will not start again.
    fn abandoned(&self) -> Option<ServiceState> {
        let task = self.slots.abandoned.as_ref()?;
        let until = self.track.abandoned_since?.after(SUCCESSOR_TIMEOUT);
        if self.observation.at < until {
            return Some(ServiceState::Waiting { why: "ended".into(), next_observation: Some(until) });
        }
        let end = self.track.ends.iter().find(|end| end.task == *task)?;
        let service = self.name.clone();
        Some(ServiceState::Failed(if end.state == TaskState::Complete {
            let message = format!("{}: exited with 0, and its restart policy never starts it again after that", self.name);
            Failure::new(Cause::ExitedForGood { service }, message)
        } else if !end.fault().ran() {
            let failure = end.rejection(self.name);
            let message = format!("{}, and its restart policy allows no further attempt", failure.message);
            Failure { message, ..failure }
        } else {
            let message = format!("{}: {}, and its restart policy allows no further attempt", self.name, ended(end));
            Failure::new(Cause::AttemptsSpent { service, exit: end.exit }, message)
        }))
    }

    /// A service whose container the engine could not start for a long time. Until then it is waited for: a network that is being
    /// removed and an address that another app holds go by.
    fn refused(&self) -> Option<ServiceState> {
        let last = self.track.ends.last().filter(|end| end.fault().may_clear())?;
        let first = self.track.ends.iter().rev().take_while(|end| end.fault().may_clear()).last()?;
        let until = first.at.max(self.track.progress_at).after(REFUSED_TIMEOUT);
        (self.observation.at >= until).then(|| ServiceState::Failed(last.rejection(self.name)))
    }

    /// A crash loop, or a service that never becomes healthy, although the other services had their time.
    fn looping(&self) -> Option<ServiceState> {
        let (progress, ready) = self.others();
        let counts = |end: &&UnplannedEnd| !end.fault().may_clear() && (end.at > progress || self.alone());
        let ends: Vec<&UnplannedEnd> = self.track.ends.iter().filter(counts).collect();
        let last = ends.last()?;
        // An attempt that ended after the others were ready may have begun before; the next one did not.
        let fair = ready <= progress || ends.iter().filter(|end| end.at > ready).count() >= 2;
        if !fair {
            return None;
        }
        let service = self.name.clone();
        let over = format_duration(last.at.since(ends.first()?.at));
        let began = self.track.since.max(progress).max(ready);
        if last.unhealthy() && self.observation.at.since(began) >= allowance(self.view) {
            let allowed = format_duration(allowance(self.view));
            let message = match allowance(self.view) {
                Duration::ZERO => format!("{}: the health check of its image fails", self.name),
                _ => format!("{}: never healthy within the {allowed} that its own health check allows", self.name),
            };
            return Some(ServiceState::Looping(Failure::new(Cause::Unhealthy { service }, message)));
        }
        let equal = ends.iter().rev().take_while(|end| end.like(last)).count();
        if (equal < EQUAL_ENDS && ends.len() < ANY_ENDS) || last.unhealthy() {
            return None;
        }
        let times = if equal >= EQUAL_ENDS { equal } else { ends.len() };
        let message = format!("{}: {}; {times} times within {over}, while nothing else made progress", self.name, ended(last));
        if !last.fault().ran() {
            let failure = last.rejection(self.name);
            let message = format!("{}; {times} times within {over}", failure.message);
            return Some(ServiceState::Looping(Failure { message, ..failure }));
        }
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        Some(ServiceState::Looping(Failure::new(Cause::CrashLoop { service, exit: last.exit, times }, message)))
    }

    /// Until when Swarm may still report the result of a failure for the update that it monitors. Swarm decides about the first
    /// failure of an update; later ones only show that it did not.
    fn undecided_until(&self) -> Option<Mono> {
        let monitored = self.view.update.as_ref().is_some_and(|update| update.state == UpdateState::Updating)
            && self.view.roll.on_failure != OnFailure::Continue;
        let (first, last) = (self.track.ends.first().filter(|_| monitored)?, self.track.ends.last()?);
        Some(first.at.after(DECISION_TIMEOUT).max(last.at.after(SUCCESSOR_TIMEOUT * 2)))
    }

    fn alone(&self) -> bool {
        self.watch.services.len() == 1
    }

    /// When another service last made progress, and when the last of them counts as ready.
    fn others(&self) -> (Mono, Mono) {
        let mut progress = Mono::default();
        let mut ready = Mono::default();
        for (name, track) in self.watch.services.iter().filter(|(name, _)| *name != self.name) {
            progress = progress.max(track.progress_at);
            let no_health = self.observation.services.get(name).is_some_and(|view| {
                matches!(view.health, Health::Absent | Health::Disabled)
                    && view.tasks.iter().any(|task| task.current && task.state == TaskState::Running)
            });
            ready = ready.max(if no_health { track.progress_at.after(READY_AFTER) } else { track.progress_at });
        }
        (progress, ready)
    }

    /// What the service lacks, in a few words.
    fn why(&self) -> String {
        if self.slots.wanted == 0 {
            return format!("stopping, {} left", self.slots.living);
        }
        let count = format!("{}/{}", self.slots.filling.len(), self.slots.wanted);
        let next =
            self.view.tasks.iter().filter(|task| task.current && task.state < TaskState::Running).max_by_key(|task| task.state);
        let doing = match next {
            Some(task) if task.desired == TaskState::Ready => "waits before its next start".to_owned(),
            Some(task) => task.state.name().to_owned(),
            None if self.slots.outdated > 0 => "old tasks still run".to_owned(),
            None => "no task yet".to_owned(),
        };
        match self.track.ends.last() {
            Some(end) => format!("{doing} {count}; {} ({} so far)", ended(end), self.track.ends.len()),
            None => format!("{doing} {count}"),
        }
    }
}

/// Why Swarm stopped an update, after the name of the service: `its health check failed (task …)`.
pub(super) fn stopped_because(stopped: Option<&UnplannedEnd>) -> String {
    let Some(end) = stopped else { return "a new task failed that Swarm does not show any more".to_owned() };
    let why = match end.fault() {
        TaskFault::Exited => format!("its new task {}", ended(end)),
        TaskFault::Unhealthy => "the health check of its new task failed".to_owned(),
        other => format!("{}: {}", other.sentence(), end.error),
    };
    format!("{why} (task {})", end.task)
}

/// The end of a task, for people.
fn ended(end: &UnplannedEnd) -> String {
    match (end.exit, end.error.is_empty()) {
        _ if end.unhealthy() => "its health check failed".to_owned(),
        (Some(exit), _) if end.ran && (exit == 0 || end.error.contains("non-zero exit")) => format!("exited with {exit}"),
        (_, false) => format!("could not run: {}", end.error),
        (Some(exit), true) => format!("exited with {exit}"),
        (None, true) => "ended".to_owned(),
    }
}

/// Whether the scheduler lacks something that the host has to provide: a node that accepts tasks, a driver of volumes or
/// networks. The texts are those of swarmkit's filters (docs/reference/swarm.md 2).
fn lacks_what_a_host_has(error: &str) -> bool {
    ["missing plugin", "not available for new tasks"].iter().any(|filter| error.contains(filter))
}
