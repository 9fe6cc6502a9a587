//! What a person sees: one line a step, and at the end the verdict, why, and what to do next.

use std::{fmt::Write, io};

use crate::{
    event::{Event, Kind},
    log::Reporter,
    model::{
        outcome::{Gap, Outcome, SkipReason, Tier},
        request::Source,
        time::{Mono, spoken},
    },
    state::{RunState, StepState},
    verdict::{Colour, verdict},
};

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
        match line(event, state) {
            Some(line) => writeln!(self.out, "{line}").map_err(|error| format!("the terminal cannot be written: {error}")),
            None => Ok(()),
        }
    }
}

fn line(event: &Event, state: &RunState) -> Option<String> {
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
        Kind::StepFinished { step, outcome } => {
            let took = state.steps.get(step).and_then(StepState::took).map(spoken).unwrap_or_default();
            match outcome {
                Outcome::Passed => format!("{step}: passed in {took}"),
                other => format!("{step}: {} after {took}: {}", word(other), summary(other)),
            }
        }
        Kind::Observed { waiting_for, .. } if !waiting_for.is_empty() => format!("  waiting: {}", waiting_for.join(" · ")),
        Kind::Warned { text } => format!("warning: {text}"),
        Kind::CancelRequested { .. } => "ending early; removing what the run made".to_owned(),
        _ => return None,
    };
    Some(format!("[{:>7}] {text}", clock(event.mono)))
}

fn clock(mono: Mono) -> String {
    format!("{}.{} s", mono.0 / 1000, mono.0 % 1000 / 100)
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "failed",
        Outcome::Skipped(_) => "skipped",
        Outcome::Unverified(_) => "not verified",
    }
}

/// One sentence on an outcome; empty when it passed.
pub fn summary(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => String::new(),
        Outcome::Failed(failure) => failure.message.clone(),
        Outcome::Skipped(SkipReason::NotAsked) => "was not asked for".into(),
        Outcome::Skipped(SkipReason::Structural { lacks }) => format!("there is no {}", lacks.trim_start_matches("a ")),
        Outcome::Unverified(Gap::NotRun { because }) => because.clone(),
        Outcome::Unverified(Gap::Interfered { what }) => format!("somebody else changed {what}"),
        Outcome::Unverified(Gap::Unread { what }) => what.clone(),
        Outcome::Unverified(Gap::Killed) => "the run was ended before".into(),
    }
}

fn asked(tiers: impl Iterator<Item = Tier>) -> String {
    tiers.map(Tier::name).collect::<Vec<_>>().join(", ")
}

/// The command that makes the same run again.
pub fn repeat(state: &RunState) -> String {
    let Some(begun) = &state.begun else { return String::new() };
    let mut command = format!("taster --recipe {}", begun.request.recipe);
    match &begun.request.source {
        Source::Folder { path } => {
            let _ = write!(command, " --path {}", shell_words::quote(&path.to_string_lossy()));
        }
        Source::Catalogue { at } => {
            let commit = state.plan.as_ref().and_then(|plan| plan.head.as_ref()).map(|head| head.commit.to_string());
            if let Some(at) = commit.or_else(|| at.clone()) {
                let _ = write!(command, " --ref {}", shell_words::quote(&at));
            }
        }
    }
    command
}

/// A sentence with what it quotes below it set off from the lines around it.
fn indented(sentence: &str) -> String {
    sentence.replace('\n', "\n    ")
}

/// The last lines of a run, at most twenty: the verdict with its tiers, why, what is left, where to look, how to repeat it.
pub fn ending(state: &RunState, folder: &str) -> String {
    let verdict = verdict(state);
    let mut text = format!("{} ({})", verdict.outcome.name(), asked(verdict.tiers.iter().copied()));
    if state.tools.get("abra").is_some_and(|version| version.contains("sandbox")) {
        text.push_str(", with the sandbox abra");
    }
    text.push('\n');
    for reason in verdict.reasons.iter().take(5) {
        let owner = reason.owner.map(|owner| format!(" ({owner})")).unwrap_or_default();
        let _ = writeln!(text, "  why{owner}: {}", indented(&reason.sentence));
    }
    for remark in state.remarks.iter().take(3) {
        let _ = writeln!(text, "  note: {remark}");
    }
    match &state.hygiene {
        Some(hygiene) if hygiene.clean() => text.push_str("  left behind: nothing\n"),
        Some(hygiene) => {
            for object in hygiene.residue.iter().take(4) {
                let _ = writeln!(text, "  left behind: {object}");
            }
            for object in hygiene.bystanders.iter().take(2) {
                let _ = writeln!(text, "  changed by us though not ours: {object}");
            }
        }
        None if state.claims.is_empty() => {
            text.push_str("  left behind: nothing that the run had claimed; all else could not be compared\n");
        }
        None => text.push_str("  left behind: not known, the world could not be compared\n"),
    }
    if verdict.outcome != Colour::Green {
        let evidence: Vec<String> = state.evidence.iter().take(3).map(|(file, _)| file.display().to_string()).collect();
        if !evidence.is_empty() {
            let _ = writeln!(text, "  evidence: {}", evidence.join(", "));
        }
    }
    let _ = writeln!(text, "  results: {folder}/results.json");
    let _ = writeln!(text, "  repeat: {}", repeat(state));
    text
}
