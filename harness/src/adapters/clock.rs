//! The machine's two clocks.

use std::time::SystemTime;

use crate::{
    model::time::{Mono, Wall},
    ports::Clock,
};

/// The machine's clocks. Monotonic time counts from the creation of this value.
///
/// Monotonic time is that of the runtime, so that a test that pauses the runtime moves its timers and this clock together.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl SystemClock {
    /// The clocks, with monotonic time zero now.
    pub fn start() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    fn mono(&self) -> Mono {
        Mono::default().after(self.start.elapsed())
    }

    fn wall(&self) -> Wall {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Wall::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}
