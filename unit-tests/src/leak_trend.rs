//! Whether something grows from one run to the next.

/// What was measured after each of several rounds, in the order of the rounds.
#[derive(Debug, Clone, Default)]
pub struct Measured(Vec<u64>);

/// How much more than at first something may be without having grown.
#[derive(Debug, Clone, Copy)]
pub struct Slack {
    /// In hundredths of what it was at first.
    pub percent: u64,
    /// In its own unit, which counts when it is more.
    pub flat: u64,
}

impl Measured {
    /// One more.
    pub fn add(&mut self, value: u64) {
        self.0.push(value);
    }

    /// The middle of the first third and of the last third; `None` when nothing was measured.
    pub fn ends(&self) -> Option<(u64, u64)> {
        let third = (self.0.len() / 3).max(1);
        Some((median(self.0.get(..third)?)?, median(self.0.get(self.0.len() - third..)?)?))
    }

    /// Whether it has grown by more than `slack`. What was never measured is not known not to have grown.
    pub fn grew(&self, slack: Slack) -> bool {
        self.ends().is_none_or(|(first, last)| last > first + (first * slack.percent / 100).max(slack.flat))
    }
}

fn median(values: &[u64]) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_in_the_end_than_at_first_has_grown_and_one_peak_has_not() {
        let slack = Slack { percent: 10, flat: 5 };
        for (values, grew) in [
            (&[][..], true),
            (&[100], false),
            (&[100, 111], true),
            (&[100, 110], false),
            (&[10, 15], false),
            (&[10, 16], true),
            (&[100, 100, 900, 100, 100, 100], false),
            (&[100, 120, 140, 160, 180, 200], true),
            (&[200, 100, 100], false),
        ] {
            assert_eq!(Measured(values.to_vec()).grew(slack), grew, "{values:?}");
        }
    }
}
