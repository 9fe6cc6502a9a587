//! The lines of a run as it goes on: one for each step that ends, and for other events that a person wants to know.

use super::{Hue, Paint, printable};
use crate::{
    model::{
        outcome::{Outcome, Tier},
        time::{Mono, format_duration},
    },
    pure::run::{
        event::{Event, Kind},
        state::{RunState, StepState},
    },
    report::{customization, summary::summary},
};

/// A line with one word that may have a colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    before: String,
    word: Option<(Hue, String)>,
    after: String,
}

impl Line {
    fn plain(text: String) -> Self {
        Self { before: text, word: None, after: String::new() }
    }

    /// The line with the time `at` before it.
    pub(super) fn text(&self, at: Mono, paint: Paint) -> String {
        let word = self.word.as_ref().map(|(hue, word)| paint.of(*hue, word)).unwrap_or_default();
        let clock = format!("[{:>7}]", clock(at));
        format!("{} {}{word}{}", paint.of(Hue::Faint, &clock), printable(&self.before), printable(&self.after))
    }
}

/// The lines for an event: one or none, and below a plan what the recipe's pack changes.
pub(super) fn lines(event: &Event, state: &RunState) -> Vec<Line> {
    let pack = match (&event.kind, &state.plan) {
        (Kind::Planned { .. }, Some(plan)) => customization::topics(&plan.pack),
        _ => Vec::new(),
    };
    let below = pack.into_iter().map(|(topic, text)| Line::plain(format!("  pack, {topic}: {text}")));
    line(event, state).into_iter().chain(below).collect()
}

/// The line for an event, if it is worth one.
fn line(event: &Event, state: &RunState) -> Option<Line> {
    let text = match &event.kind {
        Kind::RunStarted { run, request, host, .. } => {
            format!("tasting {} on {} (run {run}; {})", request.recipe, host.zone, tier_names(request.tiers.iter().copied()))
        }
        Kind::Planned { .. } => {
            let head = state.plan.as_ref()?.head.as_ref()?;
            let version = head.version.as_deref().unwrap_or("no release");
            let dirty = if head.dirty { " with uncommitted changes" } else { "" };
            format!("head is {version} ({}){dirty}, app {}", &head.commit.as_str()[..8], head.domain)
        }
        Kind::Queued { waiting_for } => format!("waiting for {}", waiting_for.join(" · ")),
        Kind::StepFinished { step, outcome } => {
            let took = state.steps.get(step).and_then(StepState::took).map(format_duration).unwrap_or_default();
            let flaky = state.steps.get(step).and_then(StepState::flaky);
            let after = match (outcome, flaky) {
                (Outcome::Passed, None) => format!(" in {took}"),
                (Outcome::Passed, Some(flaky)) => format!(" in {took}, flaky: {flaky}"),
                (other, _) => format!(" after {took}: {}", without_name(&step.0, &summary(other))),
            };
            return Some(Line { before: format!("{step}: "), word: Some(word(outcome)), after });
        }
        Kind::AttemptFailed { step, attempt, failure } => {
            let before = format!("{step}: attempt {attempt} ");
            let after = format!(": {}; it is tried again", without_name(&step.0, &failure.message));
            return Some(Line { before, word: Some((Hue::Unsure, "failed".into())), after });
        }
        Kind::Warned { text } => {
            return Some(Line { before: String::new(), word: Some((Hue::Unsure, "warning".into())), after: format!(": {text}") });
        }
        Kind::Kept { domain, until } => format!("{domain} is kept until {until}"),
        Kind::CancelRequested { .. } => "ending early; removing what the run made".to_owned(),
        _ => return None,
    };
    Some(Line::plain(text))
}

/// A sentence that follows the name of its step, without that name: the sentences of tests begin with it.
fn without_name<'a>(step: &str, sentence: &'a str) -> &'a str {
    let rest = sentence.strip_prefix(step);
    rest.and_then(|rest| rest.strip_prefix(": ").or_else(|| rest.strip_prefix(' '))).unwrap_or(sentence)
}

/// The line for a change in what is waited for.
pub(super) fn waiting(event: &Event) -> Option<Line> {
    match &event.kind {
        Kind::Observed { waiting_for, .. } if !waiting_for.is_empty() => {
            Some(Line::plain(format!("  waiting: {}", waiting_for.join(" · "))))
        }
        _ => None,
    }
}

fn clock(mono: Mono) -> String {
    format!("{}.{} s", mono.0 / 1000, mono.0 % 1000 / 100)
}

fn word(outcome: &Outcome) -> (Hue, String) {
    let (hue, word) = match outcome {
        Outcome::Passed => (Hue::Good, "passed"),
        Outcome::Failed(_) => (Hue::Bad, "failed"),
        Outcome::Skipped(_) => (Hue::Faint, "skipped"),
        Outcome::Unverified(_) => (Hue::Unsure, "not verified"),
    };
    (hue, word.to_owned())
}

/// The names of tiers, with commas.
pub(super) fn tier_names(tiers: impl Iterator<Item = Tier>) -> String {
    tiers.map(Tier::name).collect::<Vec<_>>().join(", ")
}
