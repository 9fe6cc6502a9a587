//! The report for people: one line a step, on a terminal what each step waits for below them, and at the end the verdict, why,
//! and what to do next.

mod block;
mod ending;
mod line;
mod live;

use std::{borrow::Cow, io};

pub use block::{Board, LINES as BLOCK_LINES};
pub use ending::{EndingContext, ending};
pub use live::Live;

use crate::{
    model::text::plain,
    ports::{ReportError, Reporter},
    pure::run::{event::Event, state::RunState},
};

/// Whether colours are used. The words alone carry the meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paint {
    /// Words only.
    #[default]
    Plain,
    /// Colours, too.
    Colours,
}

/// A colour of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hue {
    Good,
    Bad,
    Unsure,
    Faint,
}

impl Paint {
    fn of(self, hue: Hue, text: &str) -> Cow<'_, str> {
        let code = match (self, hue) {
            (Paint::Plain, _) => return Cow::Borrowed(text),
            (Paint::Colours, Hue::Good) => "32",
            (Paint::Colours, Hue::Bad) => "31",
            (Paint::Colours, Hue::Unsure) => "33",
            (Paint::Colours, Hue::Faint) => "2",
        };
        Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[0m"))
    }
}

/// The text without control sequences, which would change the terminal: logs and labels of a recipe are foreign text. Line ends
/// stay.
pub fn printable(text: &str) -> String {
    plain(text).replace('\t', " ")
}

/// The reporter that prints a line for each step that ends and for each change of what a step waits for.
pub struct Lines<W> {
    out: W,
}

impl<W: io::Write> Lines<W> {
    /// Prints to `out`.
    pub fn to(out: W) -> Self {
        Self { out }
    }
}

impl<W: io::Write + Send> Reporter for Lines<W> {
    fn on(&mut self, event: &Event, state: &RunState) -> Result<(), ReportError> {
        let mut lines = line::lines(event, state).into_iter().chain(line::waiting(event));
        lines
            .try_for_each(|line| writeln!(self.out, "{}", line.text(event.mono, Paint::Plain)))
            .map_err(|error| ReportError::write("the terminal", error))
    }
}
