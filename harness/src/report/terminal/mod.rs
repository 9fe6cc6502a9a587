//! What a person sees: one line a step, on a terminal what is waited for right now below them, and at the end the verdict, why,
//! and what to do next.

mod block;
mod ending;
mod line;
mod live;

use std::{borrow::Cow, io};

pub use block::{Board, LINES as BLOCK_LINES};
pub use ending::{Place, ending, repeat};
pub use line::summary;
pub use live::Live;

use crate::{
    engine::log::Reporter,
    model::text::plain,
    pure::run::{event::Event, state::RunState},
};

/// Whether colours are used. They never say anything that the words do not.
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

/// The text without what would move a cursor or change a terminal: logs and labels of a recipe are foreign text. Line ends stay.
pub fn printable(text: &str) -> String {
    plain(text).replace('\t', " ")
}

/// Prints one line for each step that ends and for each change in what is waited for.
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
    fn on(&mut self, event: &Event, state: &RunState) -> Result<(), String> {
        let mut told = line::lines(event, state).into_iter().chain(line::waiting(event));
        told.try_for_each(|line| writeln!(self.out, "{}", line.text(event.mono, Paint::Plain)))
            .map_err(|error| format!("the terminal cannot be written: {error}"))
    }
}
