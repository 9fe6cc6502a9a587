//! What `up` and `down` say while they work.

use std::time::{Duration, Instant};

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Since the command started.
    pub at: Duration,
    /// What was done, as a sentence without its full stop.
    pub what: String,
}

/// Where progress goes, with the clock that it is measured by.
pub(crate) struct Teller<'a> {
    started: Instant,
    sink: &'a mut dyn FnMut(Progress),
}

impl<'a> Teller<'a> {
    pub(crate) fn new(sink: &'a mut dyn FnMut(Progress)) -> Self {
        Self { started: Instant::now(), sink }
    }

    pub(crate) fn say(&mut self, what: impl Into<String>) {
        (self.sink)(Progress { at: self.started.elapsed(), what: what.into() });
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
