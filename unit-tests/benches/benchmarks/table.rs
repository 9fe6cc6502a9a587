//! Printing of the results.

use std::time::Duration;

/// Prints a line.
#[expect(clippy::print_stdout, reason = "benchmarks are printed")]
pub(crate) fn print_line(text: &str) {
    println!("{text}");
}

/// Benchmarks of one kind.
#[derive(Debug, Default)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    /// Adds a duration.
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64());
    }

    /// Adds a difference in seconds; a late one is positive.
    pub(crate) fn add_signed(&mut self, seconds: f64) {
        self.0.push(seconds);
    }

    /// The median; of an even number the lower one of the middle two.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len().saturating_sub(1) / 2).copied()
    }

    fn format(&self) -> String {
        let Some(median) = self.median() else { return "never".into() };
        let min = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let max = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let times = self.0.len();
        if max < 1.0 {
            return format!("{:.1} / {:.1} / {:.1} ms  ({times} times)", min * 1000.0, median * 1000.0, max * 1000.0);
        }
        format!("{min:.2} / {median:.2} / {max:.2} s  ({times} times)")
    }
}

/// Prints min / median / max of the measurements.
pub(crate) fn row(what: &str, spread: &Spread) {
    print_line(&format!("  {what:<58} {}", spread.format()));
}
