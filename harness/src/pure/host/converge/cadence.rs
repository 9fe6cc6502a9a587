//! When to look again: soon after a nudge, and else when the judge asks for it.

use std::time::Duration;

use crate::model::time::Mono;

/// The looks after a nudge. The task list lags behind a container's events, so one look is not enough: by 50 ms and more when
/// little happens, and by up to 100 ms more when a node tells of several tasks at once, because it then tells them together.
const ECHOES: [Duration; 4] =
    [Duration::from_millis(80), Duration::from_millis(150), Duration::from_millis(250), Duration::from_millis(700)];

/// The looks that nudges still ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cadence {
    due: Vec<Mono>,
}

impl Cadence {
    /// One more nudge, at `now`. The first look that is due already stays, so that a stream of nudges cannot put it off.
    pub fn nudged(&mut self, now: Mono) {
        let first = self.due.first().copied();
        self.due = first.into_iter().chain(ECHOES.map(|echo| now.after(echo))).collect();
        self.due.sort_unstable();
        self.due.dedup();
    }

    /// A look was taken at `at`.
    pub fn looked(&mut self, at: Mono) {
        self.due.retain(|due| *due > at);
    }

    /// When the next look is due, given the one that the judge asks for.
    pub fn next(&self, look_again: Mono) -> Mono {
        self.due.first().copied().map_or(look_again, |due| due.min(look_again))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nudge_is_followed_by_four_looks() {
        let mut cadence = Cadence::default();
        assert_eq!(cadence.next(Mono(9_000)), Mono(9_000));
        cadence.nudged(Mono(1_000));
        let mut looks = Vec::new();
        while cadence.next(Mono(9_000)) < Mono(9_000) {
            let at = cadence.next(Mono(9_000));
            looks.push(at.0);
            cadence.looked(at);
        }
        assert_eq!(looks, [1_080, 1_150, 1_250, 1_700]);
    }

    #[test]
    fn a_stream_of_nudges_cannot_put_a_look_off() {
        let mut cadence = Cadence::default();
        for at in (0..1_000).step_by(10) {
            cadence.nudged(Mono(at));
            assert_eq!(cadence.next(Mono(9_000)), Mono(80));
        }
    }
}
