//! The last lines of a run: verdict, reasons, what is left, and how to go on.

use super::{Hue, Paint, printable};
use crate::{
    model::{
        outcome::{Gap, Outcome, Subject},
        time::format_duration,
    },
    pure::{
        recipe::lint::{Linted, list_faults},
        run::{
            level::{level, rungs},
            outcomes::lint_outcome,
            state::{KeptFile, RunState, StepState},
            verdict::{Verdict, VerdictOutcome, verdict_so_far},
        },
    },
    report::{
        files::ReportFile,
        repeat::{host_option, repeat},
        sandbox_abra,
    },
};

/// The most lines of an ending.
const MAX_LINES: usize = 20;
/// The most reasons that are given, and the most quoted lines of each.
const MAX_REASONS: usize = 3;
const MAX_QUOTED_LINES: usize = 6;
/// The most names in a line.
const MAX_NAMES: usize = 3;

/// The surroundings of an ending: the run's folder, and the terminal.
#[derive(Debug, Clone, Copy)]
pub struct EndingContext<'a> {
    /// The run's folder.
    pub folder: &'a str,
    /// Whether the folder has the run's `results.json`: it may have been removed while the run went on.
    pub results: bool,
    /// Whether the folder has the page of the run.
    pub page: bool,
    /// Whether colours are used.
    pub paint: Paint,
}

/// The last lines of a run, at most twenty: the verdict with its tiers, why, what is left, where to look, and how to repeat it. A
/// run that has not ended counts as killed.
pub fn ending(state: &RunState, place: EndingContext<'_>) -> String {
    let verdict = verdict_so_far(state);
    let mut last = left_behind(state);
    last.extend(look_at(state, &verdict, place));
    last.push(match place.results {
        true => format!("  results: {}/{}", place.folder, ReportFile::Results.name()),
        false => format!("  results: none are in {}", place.folder),
    });
    last.push(format!("  repeat: {}", repeat(state)));
    let disaster =
        state.disaster().map(|took| format!("  disaster: the app was back with its data after {}", format_duration(took)));
    let notes = state.remarks.iter().take(2).map(|remark| format!("  note: {}", flat(remark)));
    let notes: Vec<String> = disaster.into_iter().chain(flaky(state)).chain(vanished(state)).chain(notes).collect();
    let mut lines = vec![headline(state, &verdict, place.paint)];
    let lines_left = MAX_LINES.saturating_sub(lines.len() + notes.len() + last.len());
    let lint: Vec<String> = lint(state).map(|sentence| format!("  lint: {}", flat(&sentence))).into_iter().collect();
    lines.extend(reasons(&verdict, lines_left.saturating_sub(lint.len())));
    lines.extend(lint);
    lines.extend(notes);
    lines.extend(last);
    lines.iter().map(|line| line.clone() + "\n").collect()
}

fn headline(state: &RunState, verdict: &Verdict, paint: Paint) -> String {
    let hue = match verdict.outcome {
        VerdictOutcome::Green => Hue::Good,
        VerdictOutcome::Red => Hue::Bad,
        VerdictOutcome::Inconclusive => Hue::Unsure,
    };
    let with = if sandbox_abra(state) { ", with the sandbox abra" } else { "" };
    let tiers = flat(&verdict.tiers_in_words());
    format!("{} ({tiers}), {}{with}", paint.of(hue, verdict.outcome.name()), flat(&level(&rungs(state)).to_string()))
}

/// The reasons in at most `max_lines` lines: the sentence of each, and below it the lines that it quotes as far as they fit.
fn reasons(verdict: &Verdict, max_lines: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for reason in verdict.reasons.iter().take(MAX_REASONS) {
        let owner = reason.owner.map(|owner| format!(" ({owner})")).unwrap_or_default();
        lines.push(format!("  why{owner}: {}", flat(&reason.sentence)));
        lines.extend(reason.excerpt.iter().take(MAX_QUOTED_LINES).map(|line| format!("    {}", flat(line))));
    }
    lines.truncate(max_lines);
    let more = verdict.reasons.len().saturating_sub(MAX_REASONS);
    if more > 0 && lines.len() < max_lines {
        lines.push(format!("  why: {more} more, in results.json"));
    }
    lines
}

/// The lint errors that count for no verdict; the others are among its reasons.
fn lint(state: &RunState) -> Option<String> {
    let plan = state.plan.as_ref()?;
    let errors = state.lint.get(&Subject::Head).map(Linted::errors).filter(|errors| !errors.is_empty())?;
    match lint_outcome(plan, state)? {
        Outcome::Passed => Some(format!("head has errors that base has too: {}", list_faults(&errors))),
        Outcome::Unverified(Gap::Incomparable { what }) => Some(what),
        Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Unverified(_) => None,
    }
}

/// The steps that passed only at a later attempt.
fn flaky(state: &RunState) -> Option<String> {
    let flaky = state.steps.iter().filter(|(_, step)| step.flaky().is_some());
    let names: Vec<String> = flaky.map(|(id, _)| flat(&id.0)).collect();
    (!names.is_empty()).then(|| format!("  flaky: {}", shortened_list(&names)))
}

/// The tests of the last green run that this one does not have.
fn vanished(state: &RunState) -> Option<String> {
    let names: Vec<String> = state.vanished.iter().map(|name| flat(name)).collect();
    (!names.is_empty()).then(|| format!("  vanished since the last green run: {}", shortened_list(&names)))
}

/// The first of these names, and how many more there are.
fn shortened_list(names: &[String]) -> String {
    let more = names.len().saturating_sub(MAX_NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>().join(", ") + &more
}

fn left_behind(state: &RunState) -> Vec<String> {
    if let (Some(kept), Some(begun)) = (&state.kept, &state.begun) {
        return vec![
            format!("  kept: {} until {}; `taster janitor {}` removes it at once", kept.domain, kept.until, begun.run),
            format!(
                "  test it again: taster --recipe {0} --attach {1}{2}, or whenever a file is saved: \
                 taster watch --recipe {0} --attach {1}{2}",
                begun.request.recipe,
                kept.domain,
                host_option(&begun.request)
            ),
        ];
    }
    let Some(cleanup) = &state.cleanup_result else {
        let left = state.cleaned_after.iter().flat_map(|after| &after.left).take(3);
        let left: Vec<String> = left.map(|what| format!("  left behind: {}", flat(what))).collect();
        if !left.is_empty() {
            return left;
        }
        let known = match state.claims.is_empty() {
            true => "nothing that the run had claimed; the inventories were not compared",
            false => "not known; the inventories were not compared",
        };
        return vec![format!("  left behind: {known}")];
    };
    if cleanup.clean() {
        let claimed: Vec<String> = state.claims.iter().map(|what| flat(&what.to_string())).collect();
        return vec![match claimed.is_empty() {
            true => "  left behind: nothing".into(),
            false => {
                format!("  left behind: nothing that is listed, but these were not confirmed gone: {}", shortened_list(&claimed))
            }
        }];
    }
    let leaked = cleanup.leaked.iter().take(3).map(|object| format!("  left behind: {}", flat(object)));
    let changed = cleanup.changed_bystanders.iter().take(2);
    leaked.chain(changed.map(|object| format!("  changed by the run though not its own: {}", flat(object)))).collect()
}

fn look_at(state: &RunState, verdict: &Verdict, place: EndingContext<'_>) -> Vec<String> {
    // The evidence of a step that passed does not show what failed.
    let passed = |kept: &&KeptFile| state.steps.get(&kept.step).and_then(StepState::outcome).is_some_and(Outcome::passed);
    let evidence = state.evidence.iter().filter(|kept| !passed(kept)).take(3).map(|kept| flat(&kept.file.display().to_string()));
    let mut files: Vec<String> = if verdict.outcome == VerdictOutcome::Green { Vec::new() } else { evidence.collect() };
    files.extend(place.page.then(|| ReportFile::Page.name().to_owned()));
    if files.is_empty() { Vec::new() } else { vec![format!("  look at: {}", files.join(", "))] }
}

/// Foreign text in one line.
fn flat(text: &str) -> String {
    printable(text).replace('\n', " ")
}
