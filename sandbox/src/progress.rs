//! Progress of `up`, `down` and the provision of images.

use std::time::{Duration, Instant};

/// One finished or starting piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The time since the command started.
    pub elapsed: Duration,
    /// A sentence without its full stop.
    pub message: String,
}

/// Sends progress to its receiver, with the time since the start.
pub(crate) struct ProgressReporter<'a> {
    started: Instant,
    receiver: &'a mut dyn FnMut(Progress),
}

impl<'a> ProgressReporter<'a> {
    /// Starts the clock.
    pub(crate) fn new(receiver: &'a mut dyn FnMut(Progress)) -> Self {
        Self { started: Instant::now(), receiver }
    }

    pub(crate) fn report(&mut self, message: impl Into<String>) {
        (self.receiver)(Progress { elapsed: self.started.elapsed(), message: message.into() });
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
