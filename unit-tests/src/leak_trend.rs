//! Whether a measurement grows from run to run.

/// Measurements after several rounds, in the order of the rounds.
#[derive(Debug, Clone, Default)]
pub struct Series(Vec<u64>);

/// How much a measurement may rise without having grown.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    /// In percent of the first measurements.
    pub percent: u64,
    /// In the unit of the measurement; the larger one of both counts.
    pub flat: u64,
}

impl Series {
    /// Adds a measurement.
    pub fn add(&mut self, value: u64) {
        self.0.push(value);
    }

    /// The medians of the first and of the last third; `None` without measurements.
    pub fn ends(&self) -> Option<(u64, u64)> {
        let third = (self.0.len() / 3).max(1);
        Some((median(self.0.get(..third)?)?, median(self.0.get(self.0.len() - third..)?)?))
    }

    /// Whether it has grown by more than `tolerance`. Without measurements the answer is yes.
    pub fn grew(&self, tolerance: Tolerance) -> bool {
        self.ends().is_none_or(|(first, last)| last > first + (first * tolerance.percent / 100).max(tolerance.flat))
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
    fn higher_end_has_grown_and_a_single_peak_has_not() {
        let tolerance = Tolerance { percent: 10, flat: 5 };
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
            assert_eq!(Series(values.to_vec()).grew(tolerance), grew, "{values:?}");
        }
    }
}
