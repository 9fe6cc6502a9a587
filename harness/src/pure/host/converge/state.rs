//! Where one service of a watch stands, beside the others.

use super::allowance::WINDOW;
use std::time::Duration;

use super::{
    allowance::allowance,
    slots::{Slots, slots},
    view::{Health, Mode, Observation, OnFailure, Order, ServiceView, TaskState, UpdateState},
    watch::{Fall, Track, Watch},
};
use crate::model::{
    names::ServiceName,
    outcome::{Cause, Failure, Holder, Owner},
    time::{Mono, format_duration},
};

/// How long Swarm gets for putting a successor into the place of an ended task, or a word on an update. It takes milliseconds.
const GAP: Duration = Duration::from_secs(1);
/// How long the scheduler may find no node, or a global service may have no task.
const PLACEMENT: Duration = Duration::from_secs(5);
/// How long something that others hold is waited for: a task of theirs that is being stopped keeps it for its stop grace.
const HELD: Duration = Duration::from_secs(30);
/// A service without health check counts as ready only this long after its start: "running" says that it was started,
/// and half the catalogue exits with 1 until its database answers.
const READY_AFTER: Duration = Duration::from_secs(60);
/// How many equal ends in a row make a crash loop, and how many of any kind.
const EQUAL_FALLS: usize = 3;
const ANY_FALLS: usize = 6;

/// Where a service stands.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// All that is wanted is there since then; it has to stay so for the window.
    Serving { since: Mono, window: Duration },
    /// Something is missing that can still come.
    Going { why: String, look_again: Option<Mono> },
    /// It fails in the same way again and again; only progress of another service can change that.
    Looping(Failure),
    /// It will not come by itself.
    Failed(Failure),
}

pub(super) fn state(watch: &Watch, look: &Observation, name: &ServiceName, view: &ServiceView) -> State {
    let Some(track) = watch.services.get(name) else {
        return State::Going { why: "not seen yet".into(), look_again: None };
    };
    let slots = slots(view, watch.one_shots.contains(name));
    let case = Case { watch, look, name, view, track, slots };
    if matches!(view.mode, Mode::Global) && case.slots.wanted == 0 {
        return case.nowhere();
    }
    if case.slots.full() { case.serving() } else { case.lacking() }
}

struct Case<'a> {
    watch: &'a Watch,
    look: &'a Observation,
    name: &'a ServiceName,
    view: &'a ServiceView,
    track: &'a Track,
    slots: Slots,
}

impl Case<'_> {
    fn serving(&self) -> State {
        let since = self.track.filled_since;
        let fell_lately = self.track.falls.last().is_some_and(|fall| self.look.at.since(fall.at) < WINDOW);
        let spoken_for = self.track.completed_since.is_some_and(|completed| completed >= since) && !fell_lately;
        let over = self.slots.done == self.slots.filling.len();
        State::Serving { since, window: if over || spoken_for { Duration::ZERO } else { WINDOW } }
    }

    fn nowhere(&self) -> State {
        let until = self.track.since.after(PLACEMENT);
        if self.look.at < until {
            return State::Going { why: "no node yet".into(), look_again: Some(until) };
        }
        let message = format!("{}: a global service without any task: no node satisfies its placement", self.name);
        State::Failed(Failure::new(Cause::NoEligibleNode { service: self.name.clone() }, message))
    }

    fn lacking(&self) -> State {
        let said = self.view.update.as_ref();
        if self.slots.outdated > 0
            && let Some(update) = said.filter(|update| matches!(update.state, UpdateState::Paused | UpdateState::RollbackPaused))
        {
            let what = if update.state == UpdateState::Paused { "update" } else { "rollback" };
            let message = format!("{}: Swarm paused the {what} and nothing will continue it: {}", self.name, update.message);
            return State::Failed(Failure::new(Cause::Paused { service: self.name.clone() }, message));
        }
        self.unplaced().or_else(|| self.imageless()).or_else(|| self.bereft()).or_else(|| self.looping()).unwrap_or_else(|| {
            State::Going { why: self.why(), look_again: self.speaks_until().filter(|until| *until > self.look.at) }
        })
    }

    /// A task for which the scheduler finds no node.
    fn unplaced(&self) -> Option<State> {
        let (task, since) = self.track.unplaced.iter().min_by_key(|(_, since)| **since)?;
        let error = &self.view.tasks.iter().find(|view| view.id == *task)?.error;
        let service = self.name.clone();
        let (patience, failure) = if error.contains("host-mode port") {
            let (patience, holder, owner) = self.port_holder();
            let ports: Vec<String> = self.view.host_ports.iter().map(|port| format!("{}/{}", port.port, port.protocol)).collect();
            let what = format!("host port {}", ports.join(", "));
            let by = match &holder {
                Holder::Itself => "its own old task, which is only stopped once the new one runs (order: start-first)".to_owned(),
                Holder::AnotherRun => "another run".to_owned(),
                Holder::Stranger { name } => name.clone(),
            };
            let message = format!("{}: {what} is held by {by}", self.name);
            let failure = Failure::new(Cause::HeldResource { service, what, holder }, message);
            (patience, owner.map_or(failure.clone(), |owner| failure.owned_by(owner)))
        } else if error.contains("insufficient resources") {
            let what = "the CPU or memory that it reserves".to_owned();
            let message = format!("{}: no node has {what} ({error})", self.name);
            let holder = Holder::Stranger { name: "other tasks of the Swarm".into() };
            (HELD, Failure::new(Cause::HeldResource { service, what, holder }, message))
        } else {
            let failure = Failure::new(Cause::NoEligibleNode { service }, format!("{}: {error}", self.name));
            (PLACEMENT, if lacks_what_a_host_has(error) { failure.owned_by(Owner::Infrastructure) } else { failure })
        };
        let until = since.after(patience);
        Some(if self.look.at < until {
            State::Going { why: format!("waits for a node: {error}"), look_again: Some(until) }
        } else {
            State::Failed(failure)
        })
    }

    /// Who holds the service's host port, how long that is waited for, and whose fault it is if not the holder's.
    fn port_holder(&self) -> (Duration, Holder, Option<Owner>) {
        let stays = |view: &ServiceView| {
            view.tasks.iter().any(|task| task.state == TaskState::Running && task.desired == TaskState::Running)
        };
        if self.view.roll.order == Order::StartFirst && stays(self.view) {
            return (PLACEMENT, Holder::Itself, None);
        }
        let shares = |view: &ServiceView| view.host_ports.iter().any(|port| self.view.host_ports.contains(port));
        let sibling = self.look.services.iter().find(|(name, view)| *name != self.name && shares(view) && stays(view));
        match sibling {
            Some((name, _)) => (HELD, Holder::Stranger { name: format!("service {name}") }, Some(Owner::Recipe)),
            None => (HELD, Holder::Stranger { name: "something outside the stack".into() }, None),
        }
    }

    fn imageless(&self) -> Option<State> {
        let falls: Vec<&Fall> = self.track.falls.iter().filter(|fall| fall.imageless()).collect();
        let spent = self.track.bereft_since.is_some_and(|since| self.look.at >= since.after(GAP));
        if falls.len() < 2 && !(spent && falls.len() == 1) {
            return None;
        }
        let image = self.view.image.to_string();
        let message = format!("{}: image {image} cannot be had: {}", self.name, falls.last()?.error);
        Some(State::Failed(Failure::new(Cause::ImageMissing { service: self.name.clone(), image }, message)))
    }

    /// An ended task that nobody will start again.
    fn bereft(&self) -> Option<State> {
        let task = self.slots.bereft.as_ref()?;
        let until = self.track.bereft_since?.after(GAP);
        if self.look.at < until {
            return Some(State::Going { why: "ended".into(), look_again: Some(until) });
        }
        let fall = self.track.falls.iter().find(|fall| fall.task == *task)?;
        let service = self.name.clone();
        Some(State::Failed(if fall.state == TaskState::Complete {
            let message = format!("{}: exited with 0, and its restart policy never starts it again after that", self.name);
            Failure::new(Cause::ExitedForGood { service }, message)
        } else {
            let message = format!("{}: {}, and its restart policy allows no further attempt", self.name, ended(fall));
            Failure::new(Cause::AttemptsSpent { service, exit: fall.exit }, message)
        }))
    }

    /// Failing again and again, though everything else had its time.
    fn looping(&self) -> Option<State> {
        if self.speaks_until().is_some_and(|until| self.look.at < until) {
            return None;
        }
        let (progress, ready) = self.others();
        let falls: Vec<&Fall> = self.track.falls.iter().filter(|fall| fall.at > progress || self.alone()).collect();
        let last = falls.last()?;
        // An attempt that fell after the others were ready may have begun before; the one after it did not.
        let fair = ready <= progress || falls.iter().filter(|fall| fall.at > ready).count() >= 2;
        if !fair {
            return None;
        }
        let service = self.name.clone();
        let over = format_duration(last.at.since(falls.first()?.at));
        let began = self.track.since.max(progress).max(ready);
        if last.unhealthy() && self.look.at.since(began) >= allowance(self.view) {
            let allowed = format_duration(allowance(self.view));
            let message = match allowance(self.view) {
                Duration::ZERO => format!("{}: the health check of its image fails", self.name),
                _ => format!("{}: never healthy within the {allowed} that its own health check allows", self.name),
            };
            return Some(State::Looping(Failure::new(Cause::Unhealthy { service }, message)));
        }
        let equal = falls.iter().rev().take_while(|fall| fall.like(last)).count();
        if (equal < EQUAL_FALLS && falls.len() < ANY_FALLS) || last.unhealthy() {
            return None;
        }
        let times = if equal >= EQUAL_FALLS { equal } else { falls.len() };
        let message = format!("{}: {}; {times} times within {over}, while nothing else made progress", self.name, ended(last));
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        Some(State::Looping(Failure::new(Cause::CrashLoop { service, exit: last.exit, times }, message)))
    }

    /// Until when Swarm may still say what a failure means for the update that it is watching.
    fn speaks_until(&self) -> Option<Mono> {
        let watching = self.view.update.as_ref().is_some_and(|update| update.state == UpdateState::Updating)
            && self.view.roll.on_failure != OnFailure::Continue;
        watching.then(|| self.track.falls.last().map(|fall| fall.at.after(GAP * 2))).flatten()
    }

    fn alone(&self) -> bool {
        self.watch.services.len() == 1
    }

    /// When another service last made progress, and when the last of them may be thought ready.
    fn others(&self) -> (Mono, Mono) {
        let mut progress = Mono::default();
        let mut ready = Mono::default();
        for (name, track) in self.watch.services.iter().filter(|(name, _)| *name != self.name) {
            progress = progress.max(track.progress_at);
            let unproved = self.look.services.get(name).is_some_and(|view| {
                matches!(view.health, Health::Absent | Health::Disabled)
                    && view.tasks.iter().any(|task| task.current && task.state == TaskState::Running)
            });
            ready = ready.max(if unproved { track.progress_at.after(READY_AFTER) } else { track.progress_at });
        }
        (progress, ready)
    }

    /// What is missing, in a few words.
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
        match self.track.falls.last() {
            Some(fall) => format!("{doing} {count}; {} ({} so far)", ended(fall), self.track.falls.len()),
            None => format!("{doing} {count}"),
        }
    }
}

/// How a task ended, for people.
fn ended(fall: &Fall) -> String {
    match (fall.exit, fall.error.is_empty()) {
        _ if fall.unhealthy() => "its health check failed".to_owned(),
        (Some(exit), _) if fall.ran && (exit == 0 || fall.error.contains("non-zero exit")) => format!("exited with {exit}"),
        (_, false) => format!("could not run: {}", fall.error),
        (Some(exit), true) => format!("exited with {exit}"),
        (None, true) => "ended".to_owned(),
    }
}

/// Whether the scheduler lacks something that the host has to provide: a node that takes tasks, a driver of volumes or networks.
/// The texts are those of swarmkit's filters (docs/reference/swarm.md 2).
fn lacks_what_a_host_has(error: &str) -> bool {
    ["missing plugin", "not available for new tasks"].iter().any(|filter| error.contains(filter))
}
