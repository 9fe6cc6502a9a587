//! The moments of observations: soon after a wake-up, and else when the evaluation asks for one.

use std::time::Duration;

use crate::model::time::Mono;

/// The delays of the observations after a wake-up. The task list lags behind a container's events by 50 ms or more, and by up to
/// 100 ms more when a node reports several tasks together, so one observation is not enough.
const DELAYS: [Duration; 4] =
    [Duration::from_millis(80), Duration::from_millis(150), Duration::from_millis(250), Duration::from_millis(700)];

/// The observations that wake-ups still ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cadence {
    due: Vec<Mono>,
}

impl Cadence {
    /// Adds a wake-up at `now`. The first observation that is due already stays, so that a stream of wake-ups cannot postpone it.
    pub fn woken(&mut self, now: Mono) {
        let first = self.due.first().copied();
        self.due = first.into_iter().chain(DELAYS.map(|delay| now.after(delay))).collect();
        self.due.sort_unstable();
        self.due.dedup();
    }

    /// Records an observation at `at`.
    pub fn observed(&mut self, at: Mono) {
        self.due.retain(|due| *due > at);
    }

    /// When the next observation is due, given the one that the evaluation asks for.
    pub fn next(&self, next_observation: Mono) -> Mono {
        self.due.first().copied().map_or(next_observation, |due| due.min(next_observation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_up_is_followed_by_four_observations() {
        let mut cadence = Cadence::default();
        assert_eq!(cadence.next(Mono(9_000)), Mono(9_000));
        cadence.woken(Mono(1_000));
        let mut observations = Vec::new();
        while cadence.next(Mono(9_000)) < Mono(9_000) {
            let at = cadence.next(Mono(9_000));
            observations.push(at.0);
            cadence.observed(at);
        }
        assert_eq!(observations, [1_080, 1_150, 1_250, 1_700]);
    }

    #[test]
    fn stream_of_wake_ups_cannot_postpone_an_observation() {
        let mut cadence = Cadence::default();
        for at in (0..1_000).step_by(10) {
            cadence.woken(Mono(at));
            assert_eq!(cadence.next(Mono(9_000)), Mono(80));
        }
    }
}
