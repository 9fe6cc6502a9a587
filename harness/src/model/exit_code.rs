//! The exit codes of taster: each code, its meaning, and the code of a run to which several apply.

use std::fmt;

/// An exit code. The README, the reference and the help say what [`ExitCode::meaning`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// What was asked for was done, and a verdict is green.
    Green,
    /// The verdict is red.
    Red,
    /// The command line, a settings file or the host's policy does not allow the request.
    Usage,
    /// The run proves nothing either way, or the host is not fit.
    Inconclusive,
    /// The run leaked something or changed something of others.
    Leaked,
    /// Nothing ran.
    NothingRan,
    /// taster itself failed.
    Defect,
    /// A signal ended the run; the number of the signal.
    Signal(u8),
}

/// The exit code of a run that signal n ended is this plus n, as shells have it.
const SIGNAL_BASE: u8 = 128;

impl ExitCode {
    /// All codes but those of signals, the most severe first. When several apply, the first of them is the exit code. A signal
    /// comes before all of them.
    pub const BY_PRECEDENCE: [ExitCode; 7] = [
        ExitCode::Defect,
        ExitCode::Leaked,
        ExitCode::Usage,
        ExitCode::Red,
        ExitCode::Inconclusive,
        ExitCode::NothingRan,
        ExitCode::Green,
    ];

    /// The number that the process exits with.
    pub fn code(self) -> u8 {
        match self {
            ExitCode::Green => 0,
            ExitCode::Red => 1,
            ExitCode::Usage => 2,
            ExitCode::Inconclusive => 3,
            ExitCode::Leaked => 4,
            ExitCode::NothingRan => 5,
            ExitCode::Defect => 6,
            ExitCode::Signal(number) => SIGNAL_BASE.saturating_add(number),
        }
    }

    /// The exit code of a taster process by its number. A number that taster never exits with, such as 101 of a panic, is a
    /// defect.
    pub fn from_code(code: u8) -> Self {
        match Self::BY_PRECEDENCE.into_iter().find(|exit| exit.code() == code) {
            Some(exit) => exit,
            None if code > SIGNAL_BASE => ExitCode::Signal(code - SIGNAL_BASE),
            None => ExitCode::Defect,
        }
    }

    /// The exit code of a run that the signal with this number ended.
    pub fn of_signal(signal: i32) -> Self {
        ExitCode::Signal(u8::try_from(signal).unwrap_or(u8::MAX - SIGNAL_BASE))
    }

    /// Whether a signal ended the run.
    pub fn is_signal(self) -> bool {
        matches!(self, ExitCode::Signal(_))
    }

    /// The meaning, in a phrase.
    pub fn meaning(self) -> &'static str {
        match self {
            ExitCode::Green => "green",
            ExitCode::Red => "red: the recipe failed",
            ExitCode::Usage => "usage: the command line, a settings file or the request cannot be used",
            ExitCode::Inconclusive => "inconclusive: infrastructure, a dependency, a test, or something that was not verified",
            ExitCode::Leaked => {
                "leaked: something of the run is left or may be left, or the run changed something of others; the verdict stands"
            }
            ExitCode::NothingRan => "nothing ran",
            ExitCode::Defect => "taster itself failed",
            ExitCode::Signal(_) => "ended by signal n, and cleaned up",
        }
    }

    /// The most severe of several exit codes, by the precedence of one run's. Absent without any.
    pub fn worst(exits: impl IntoIterator<Item = Self>) -> Option<Self> {
        exits.into_iter().min_by_key(|exit| exit.rank())
    }

    /// The numbers by precedence: `128+n, 6, 4, 2, 1, 3, 5, 0`.
    pub fn precedence() -> String {
        let numbers = Self::BY_PRECEDENCE.map(|exit| exit.to_string());
        format!("{SIGNAL_BASE}+n, {}", numbers.join(", "))
    }

    /// All codes with their meanings, by number: a table for a Markdown page.
    pub fn table() -> String {
        let mut exits = Self::BY_PRECEDENCE;
        exits.sort_by_key(|exit| exit.code());
        let rows = exits.map(|exit| format!("| {exit} | {} |\n", exit.meaning()));
        format!("| code | meaning |\n|---|---|\n{}| {SIGNAL_BASE}+n | {} |\n", rows.concat(), ExitCode::Signal(0).meaning())
    }

    fn rank(self) -> usize {
        Self::BY_PRECEDENCE.iter().position(|exit| *exit == self).map_or(0, |at| at + 1)
    }
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code())
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(exit: ExitCode) -> Self {
        std::process::ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_read_as_the_exit_code_that_has_it() {
        for code in (0..=6).chain(129..=u8::MAX) {
            assert_eq!(ExitCode::from_code(code).code(), code);
        }
        for code in [7, 101, 127, 128] {
            assert_eq!(ExitCode::from_code(code), ExitCode::Defect, "{code}");
        }
        assert_eq!(ExitCode::of_signal(15).code(), 143);
        assert_eq!(ExitCode::of_signal(-1).code(), 255);
    }

    #[test]
    fn worst_follows_the_precedence() {
        assert_eq!(ExitCode::precedence(), "128+n, 6, 4, 2, 1, 3, 5, 0");
        for (exits, worst) in [
            (&[0, 143, 6][..], Some(143)),
            (&[0, 4, 6], Some(6)),
            (&[1, 2, 4], Some(4)),
            (&[3, 1, 2], Some(2)),
            (&[0, 3, 1], Some(1)),
            (&[0, 5, 3], Some(3)),
            (&[0, 5], Some(5)),
            (&[0, 0], Some(0)),
            (&[], None),
        ] {
            let exits = exits.iter().copied().map(ExitCode::from_code);
            assert_eq!(ExitCode::worst(exits).map(ExitCode::code), worst);
        }
    }
}
