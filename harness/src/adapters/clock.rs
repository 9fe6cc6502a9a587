//! The system's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::{
    model::time::{Mono, Wall},
    ports::Clock,
};

/// The system's clocks; the monotonic one counts from the moment this was made.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts to count now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn mono(&self) -> Mono {
        Mono(0).after(self.started.elapsed())
    }

    fn wall(&self) -> Wall {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Wall::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}
