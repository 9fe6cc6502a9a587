//! The content of the live block: the running steps, and below each what it waits for and since when.

use std::collections::BTreeMap;

use unicode_width::UnicodeWidthChar;

use super::printable;
use crate::{
    model::time::{Mono, format_duration},
    pure::run::{
        event::{Event, Kind},
        plan::StepId,
        state::RunState,
    },
};

/// The most lines of a block.
pub const LINES: usize = 8;

/// The running steps, and since when each of them waits for what.
#[derive(Debug, Clone, Default)]
pub struct Board {
    /// The running steps, since when, and what each waits for.
    running: Vec<(StepId, Mono, Vec<String>)>,
    /// Since when a step waits for the same thing.
    since: BTreeMap<(StepId, String), Mono>,
    /// The activity outside of any step.
    outside: Option<&'static str>,
    /// When the last event happened.
    last: Mono,
}

impl Board {
    /// Takes note of an event, with the state after it.
    pub fn note(&mut self, event: &Event, state: &RunState) {
        self.last = event.mono;
        if let Kind::Observed { step, waiting_for } = &event.kind {
            self.since.retain(|(of, what), _| of != step || waiting_for.contains(what));
            for what in waiting_for {
                self.since.entry((step.clone(), what.clone())).or_insert(event.mono);
            }
        }
        let running = state.steps.iter().filter(|(_, step)| step.ended.is_none());
        self.running = running.map(|(id, step)| (id.clone(), step.began, step.waiting_for.clone())).collect();
        self.running.sort_by_key(|(_, began, _)| *began);
        self.since.retain(|(of, _), _| self.running.iter().any(|(id, ..)| id == of));
        self.outside = match (&state.plan, state.finished) {
            (None, None) => Some("reading the facts"),
            _ => None,
        };
    }

    /// When the last event happened.
    pub fn last(&self) -> Mono {
        self.last
    }

    /// The block at `now`: at most [`LINES`] lines, each at most `width` columns wide.
    pub fn block(&self, now: Mono, width: usize) -> Vec<String> {
        let mut lines: Vec<String> =
            self.outside.iter().map(|what| format!("{what} {}", format_duration(now.since(Mono(0))))).collect();
        for (id, began, waiting_for) in &self.running {
            lines.push(format!("{} {}", printable(&id.0).replace('\n', " "), format_duration(now.since(*began))));
            for what in waiting_for {
                let since = self.since.get(&(id.clone(), what.clone())).copied().unwrap_or(now);
                // The text is cut and never the time, whose growth shows that the run goes on.
                let span = format!(" for {}", format_duration(now.since(since)));
                let text = printable(what).replace('\n', " ");
                lines.push(format!("  {}{span}", cut(&text, width.saturating_sub(2 + span.len()))));
            }
        }
        if lines.len() > LINES {
            let more = lines.len() - (LINES - 1);
            lines.truncate(LINES - 1);
            lines.push(format!("  … and {more} more"));
        }
        lines.iter().map(|line| cut(line, width)).collect()
    }
}

/// The text cut to `width` columns of a terminal, with `…` for the rest.
fn cut(text: &str, width: usize) -> String {
    let wide = |c: char| c.width().unwrap_or(0);
    if text.chars().map(wide).sum::<usize>() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let kept = text.chars().take_while(|&c| {
        used += wide(c);
        used <= width
    });
    let kept: String = kept.collect();
    if width == 0 { kept } else { kept + "…" }
}
