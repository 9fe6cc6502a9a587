//! The lines that stay.

use super::{Hue, Paint, printable};
use crate::{
    model::{
        outcome::{Outcome, SkipReason, Tier},
        time::{Mono, format_duration},
    },
    pure::run::{
        event::{Event, Kind},
        state::{RunState, StepState},
        verdict::format_gap,
    },
    report::customization,
};

/// A line: what it says, with the part of it that may have a colour in the middle.
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

    /// The line as it is printed at `at`.
    pub(super) fn text(&self, at: Mono, paint: Paint) -> String {
        let word = self.word.as_ref().map(|(hue, word)| paint.of(*hue, word)).unwrap_or_default();
        let clock = format!("[{:>7}]", clock(at));
        format!("{} {}{word}{}", paint.of(Hue::Faint, &clock), printable(&self.before), printable(&self.after))
    }
}

/// The lines for an event: none, mostly one, and below a plan what the recipe's pack changes.
pub(super) fn lines(event: &Event, state: &RunState) -> Vec<Line> {
    let pack = match (&event.kind, &state.plan) {
        (Kind::Planned { .. }, Some(plan)) => customization::told(&plan.pack),
        _ => Vec::new(),
    };
    let below = pack.into_iter().map(|(topic, told)| Line::plain(format!("  pack, {topic}: {told}")));
    line(event, state).into_iter().chain(below).collect()
}

/// The line for an event, if it is worth one.
fn line(event: &Event, state: &RunState) -> Option<Line> {
    let text = match &event.kind {
        Kind::RunStarted { run, request, host, .. } => {
            format!("tasting {} on {} (run {run}; {})", request.recipe, host.zone, asked(request.tiers.iter().copied()))
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
            let tried = state.steps.get(step).and_then(StepState::flaky);
            let after = match (outcome, tried) {
                (Outcome::Passed, None) => format!(" in {took}"),
                (Outcome::Passed, Some(tried)) => format!(" in {took}, flaky: {tried}"),
                (other, _) => format!(" after {took}: {}", unnamed(&step.0, &summary(other))),
            };
            return Some(Line { before: format!("{step}: "), word: Some(word(outcome)), after });
        }
        Kind::AttemptFailed { step, attempt, failure } => {
            let before = format!("{step}: attempt {attempt} ");
            let after = format!(": {}; it is tried again", unnamed(&step.0, &failure.message));
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

/// What is said of a step behind its name: a test says its own name, too.
fn unnamed<'a>(step: &str, said: &'a str) -> &'a str {
    said.strip_prefix(step).and_then(|rest| rest.strip_prefix(": ").or_else(|| rest.strip_prefix(' '))).unwrap_or(said)
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

/// One sentence on an outcome; empty when it passed.
pub fn summary(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => String::new(),
        Outcome::Failed(failure) => failure.message.clone(),
        Outcome::Skipped(SkipReason::NotAsked) => "was not asked for".into(),
        Outcome::Skipped(SkipReason::Filtered { by }) => format!("was left out by the choice of tests ({by})"),
        Outcome::Skipped(SkipReason::Structural { lacks }) => SkipReason::there_is_no(lacks),
        Outcome::Skipped(SkipReason::NotApplicable { because }) => format!("does not apply: {because}"),
        Outcome::Unverified(why) => format_gap(why),
    }
}

/// The tiers by their names.
pub(super) fn asked(tiers: impl Iterator<Item = Tier>) -> String {
    tiers.map(Tier::name).collect::<Vec<_>>().join(", ")
}
