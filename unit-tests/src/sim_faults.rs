//! Faults that a run meets in its ports: in one call, or in all calls of that name or port from there on.

use std::{fmt, io, time::Duration};

use harness::{
    model::engine::SwarmError,
    ports::{
        AbraError, AdmissionLockError, BrowserError, CheckoutError, ChildError, FileError, MachineError, OriginError,
        ProgramError, WebError,
    },
};

use crate::sim_child::CHILD;

/// The fault of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It has no effect and returns an error.
    Fails,
    /// It has its effect, and its answer is lost.
    AnswerLost,
    /// It has no effect and never ends.
    Hangs,
    /// It has its effect and never ends.
    Stalls,
    /// It is done twice, as by a client that repeats it. The answer is the second one.
    Repeated,
}

/// The calls after the first that meet the same fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// None.
    Once,
    /// All calls of the same name.
    Name,
    /// All calls of the same port.
    Port,
}

/// Calls that neither wait nor have an effect: they can only fail. `machine.name` is not one of them, because the kernel always
/// knows it.
const READINGS: &[&str] = &[
    "browser.found",
    "files.digests",
    "machine.env_files",
    "machine.boot",
    "machine.load",
    "machine.memory",
    "machine.free_bytes_in",
    "machine.listening",
    "machine.ipvs",
];

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The number of the first call, from 1.
    pub call: u32,
    /// Its name: `swarm.inventory`.
    pub name: &'static str,
    /// What happens in the call.
    pub kind: FaultKind,
    /// The calls that meet it.
    pub lasts: Lasts,
}

impl Fault {
    /// All faults of a run that makes calls of these names in this order.
    pub fn all(names: &[&'static str]) -> Vec<Self> {
        let kinds = [FaultKind::Fails, FaultKind::AnswerLost, FaultKind::Hangs, FaultKind::Stalls, FaultKind::Repeated];
        let lasting = [Lasts::Once, Lasts::Name, Lasts::Port];
        let faults = (1..).zip(names).flat_map(|(call, name)| {
            kinds.into_iter().flat_map(move |kind| lasting.map(|lasts| Self { call, name, kind, lasts }))
        });
        faults.filter(Self::can_be).collect()
    }

    fn can_be(&self) -> bool {
        match self.kind {
            FaultKind::Fails => true,
            FaultKind::AnswerLost | FaultKind::Hangs | FaultKind::Stalls => !READINGS.contains(&self.name),
            // The adapter never repeats a call of abra, and one repetition covers several.
            FaultKind::Repeated => self.lasts == Lasts::Once && self.port() != "abra" && !READINGS.contains(&self.name),
        }
    }

    /// The port of the first call.
    pub fn port(&self) -> &'static str {
        port(self.name)
    }

    /// The fault of the call of this number and name, if it has one.
    pub fn of(&self, number: u32, name: &str) -> Option<FaultKind> {
        let meant = match self.lasts {
            Lasts::Once => number == self.call,
            Lasts::Name => number >= self.call && name == self.name,
            Lasts::Port => number >= self.call && port(name) == self.port(),
        };
        meant.then_some(self.kind)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, name, kind, lasts } = self;
        let lasts = match lasts {
            Lasts::Once => "",
            Lasts::Name => ", and so do all of that name after it",
            Lasts::Port => ", and so do all of that port after it",
        };
        write!(f, "call {call} ({name}) {kind:?}{lasts}")
    }
}

fn port(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// An error of a port for a call that failed without fault of the recipe.
pub trait InjectedError {
    /// The error of the call of this name.
    fn injected(name: &str) -> Self;
}

fn format_call(name: &str) -> String {
    format!("{name} broke")
}

impl InjectedError for SwarmError {
    fn injected(name: &str) -> Self {
        SwarmError::Failed { call: name.into(), message: format_call(name) }
    }
}

impl InjectedError for AbraError {
    fn injected(name: &str) -> Self {
        AbraError::Hung { after: Duration::from_secs(1), last: format_call(name) }
    }
}

impl InjectedError for CheckoutError {
    fn injected(name: &str) -> Self {
        CheckoutError::File { path: name.into(), message: format_call(name) }
    }
}

impl InjectedError for ProgramError {
    fn injected(name: &str) -> Self {
        ProgramError::NotRun { message: format_call(name) }
    }
}

impl InjectedError for WebError {
    fn injected(name: &str) -> Self {
        WebError::NoConnection { message: format_call(name) }
    }
}

impl InjectedError for OriginError {
    fn injected(name: &str) -> Self {
        OriginError::OutOfReach(format_call(name))
    }
}

impl InjectedError for BrowserError {
    fn injected(name: &str) -> Self {
        BrowserError::NoScreenshot { what: format_call(name) }
    }
}

impl InjectedError for ChildError {
    fn injected(name: &str) -> Self {
        ChildError::LivesOn { pid: CHILD, doing: format_call(name) }
    }
}

impl InjectedError for FileError {
    fn injected(name: &str) -> Self {
        FileError::Refused { path: name.into(), source: io::Error::other(format_call(name)) }
    }
}

impl InjectedError for MachineError {
    fn injected(name: &str) -> Self {
        MachineError::Unreadable { path: name.into(), source: format_call(name).into() }
    }
}

impl InjectedError for AdmissionLockError {
    fn injected(name: &str) -> Self {
        AdmissionLockError { source: format_call(name).into() }
    }
}
