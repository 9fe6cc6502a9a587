//! The last lines of a run.

use std::fmt::Write;

use super::{Hue, Paint, line::asked, printable};
use crate::{
    model::{
        outcome::{Gap, Outcome, Subject, Tier},
        pack::TestName,
        request::{DEFAULT_DEADLINE, Source, Tests, USUAL_RETRIES},
        time::format_duration,
    },
    pure::{
        recipe::lint::{Linted, named},
        run::{
            level::{level, rungs},
            outcomes::lint_outcome,
            state::{KeptFile, RunState, StepState},
            verdict::{Verdict, VerdictOutcome, verdict_so_far},
        },
    },
    report::sandbox_abra,
};

/// The most lines of an ending.
const LINES: usize = 20;
/// The most reasons that are given, and the most lines of each.
const REASONS: usize = 3;
const QUOTED: usize = 6;
/// The most tests that are named in a line.
const NAMED: usize = 3;

/// Where an ending is read, and what lies in the run's folder.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The run's folder.
    pub folder: &'a str,
    /// Whether there is a `report.html` in it.
    pub page: bool,
    /// Whether colours are used.
    pub paint: Paint,
}

/// The last lines of a run, at most twenty whatever happened in it: the verdict with its tiers, why, what is left, what to look
/// at, how to repeat it. A run that has not come to its end is told as one that was killed.
pub fn ending(state: &RunState, place: Place<'_>) -> String {
    let verdict = verdict_so_far(state);
    let mut last = left(state);
    last.extend(look_at(state, &verdict, place));
    last.push(format!("  results: {}/results.json", place.folder));
    last.push(format!("  repeat: {}", repeat(state)));
    let disaster =
        state.disaster().map(|took| format!("  disaster: the app was back with its data after {}", format_duration(took)));
    let notes = state.remarks.iter().take(2).map(|remark| format!("  note: {}", flat(remark)));
    let notes: Vec<String> = disaster.into_iter().chain(flaky(state)).chain(vanished(state)).chain(notes).collect();
    let mut lines = vec![headline(state, &verdict, place.paint)];
    let room = LINES.saturating_sub(lines.len() + notes.len() + last.len());
    let lint: Vec<String> = lint(state).map(|told| format!("  lint: {}", flat(&told))).into_iter().collect();
    lines.extend(why(&verdict, room.saturating_sub(lint.len())));
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
    let tiers = asked(verdict.tiers.iter().copied());
    format!("{} ({tiers}), {}{with}", paint.of(hue, verdict.outcome.name()), flat(&level(&rungs(state)).to_string()))
}

/// The reasons in at most `room` lines: the sentence of each, and what it quotes below it as far as there is room.
fn why(verdict: &Verdict, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for reason in verdict.reasons.iter().take(REASONS) {
        let owner = reason.owner.map(|owner| format!(" ({owner})")).unwrap_or_default();
        lines.push(format!("  why{owner}: {}", flat(&reason.sentence)));
        lines.extend(reason.excerpt.iter().take(QUOTED).map(|line| format!("    {}", flat(line))));
    }
    lines.truncate(room);
    let more = verdict.reasons.len().saturating_sub(REASONS);
    if more > 0 && lines.len() < room {
        lines.push(format!("  why: {more} more, in results.json"));
    }
    lines
}

/// The lint errors that make no verdict; those that do stand among its reasons.
fn lint(state: &RunState) -> Option<String> {
    let plan = state.plan.as_ref()?;
    let errors = state.lint.get(&Subject::Head).map(Linted::errors).filter(|errors| !errors.is_empty())?;
    match lint_outcome(plan, state)? {
        Outcome::Passed => Some(format!("head has errors that base has too: {}", named(&errors))),
        Outcome::Unverified(Gap::Incomparable { what }) => Some(what),
        Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Unverified(_) => None,
    }
}

/// What passed only as it was tried again.
fn flaky(state: &RunState) -> Option<String> {
    let flaky = state.steps.iter().filter(|(_, step)| step.flaky().is_some());
    let names: Vec<String> = flaky.map(|(id, _)| flat(&id.0)).collect();
    (!names.is_empty()).then(|| format!("  flaky: {}", some_of(&names)))
}

/// The tests that the last green run had and this one had not.
fn vanished(state: &RunState) -> Option<String> {
    let names: Vec<String> = state.vanished.iter().map(|name| flat(name)).collect();
    (!names.is_empty()).then(|| format!("  vanished since the last green run: {}", some_of(&names)))
}

/// The first of these names, and how many more there are.
fn some_of(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ") + &more
}

fn left(state: &RunState) -> Vec<String> {
    if let (Some(kept), Some(begun)) = (&state.kept, &state.begun) {
        return vec![
            format!("  kept: {} until {}; `taster janitor {}` removes it at once", kept.domain, kept.until, begun.run),
            format!(
                "  test it again: taster --recipe {0} --attach {1}, or whenever a file is saved: taster watch --recipe {0} --attach {1}",
                begun.request.recipe, kept.domain
            ),
        ];
    }
    let Some(cleanup_result) = &state.cleanup_result else {
        let told = match state.claims.is_empty() {
            true => "nothing that the run had claimed; all else could not be compared",
            false => "not known, the inventory could not be compared",
        };
        return vec![format!("  left behind: {told}")];
    };
    if cleanup_result.clean() {
        let claimed: Vec<String> = state.claims.iter().map(|what| flat(&what.to_string())).collect();
        return vec![match claimed.is_empty() {
            true => "  left behind: nothing".into(),
            false => format!("  left behind: nothing that is listed, and these were not seen to be gone: {}", some_of(&claimed)),
        }];
    }
    let residue = cleanup_result.leaked.iter().take(3).map(|object| format!("  left behind: {}", flat(&object.to_string())));
    let changed = cleanup_result.changed_bystanders.iter().take(2);
    residue.chain(changed.map(|object| format!("  changed by us though not ours: {}", flat(&object.to_string())))).collect()
}

fn look_at(state: &RunState, verdict: &Verdict, place: Place<'_>) -> Vec<String> {
    // What belongs to a step that passed shows nothing of what went wrong.
    let passed = |kept: &&KeptFile| state.steps.get(&kept.step).and_then(StepState::outcome).is_some_and(Outcome::passed);
    let evidence = state.evidence.iter().filter(|kept| !passed(kept)).take(3).map(|kept| flat(&kept.file.display().to_string()));
    let mut files: Vec<String> = if verdict.outcome == VerdictOutcome::Green { Vec::new() } else { evidence.collect() };
    if place.page {
        files.push("report.html".into());
    }
    if files.is_empty() { Vec::new() } else { vec![format!("  look at: {}", files.join(", "))] }
}

/// Foreign text in one line.
fn flat(text: &str) -> String {
    printable(text).replace('\n', " ")
}

/// The command that makes the same run again, in one line.
pub fn repeat(state: &RunState) -> String {
    let Some(begun) = &state.begun else { return String::new() };
    let request = &begun.request;
    let mut command = format!("taster --recipe {}", request.recipe);
    if let Some(attach) = &request.authoring.attach {
        option(&mut command, "--attach", attach.domain.as_str());
    }
    if let Some(folder) = &request.authoring.folder {
        option(&mut command, "--pack", &folder.to_string_lossy());
    }
    match &request.source {
        _ if request.authoring.attach.is_some() => {}
        Source::Folder { path } => option(&mut command, "--path", &path.to_string_lossy()),
        Source::Catalogue { at } => {
            let commit = state.plan.as_ref().and_then(|plan| plan.head.as_ref()).map(|head| head.commit.to_string());
            if let Some(at) = commit.or_else(|| at.clone()) {
                option(&mut command, "--ref", &at);
            }
        }
    }
    if request.authoring.attach.is_none() && !request.tiers.iter().eq([Tier::Install].iter()) {
        option(&mut command, "--tiers", &request.tiers.iter().map(|tier| tier.name()).collect::<Vec<_>>().join(","));
    }
    if let Some(file) = &request.host_file {
        option(&mut command, "--host", &file.to_string_lossy());
    }
    if request.tests.retries != USUAL_RETRIES {
        option(&mut command, "--retries", &request.tests.retries.to_string());
    }
    if request.deadline != DEFAULT_DEADLINE {
        option(&mut command, "--deadline", &request.deadline.as_secs().to_string());
    }
    for (asked, flag) in [
        (request.authoring.trusted, " --trust-tests"),
        (request.extent.disaster, " --disaster"),
        (request.extent.thorough, " --thorough"),
        (request.extent.no_canaries, " --no-canaries"),
        (request.tests.fail_on_flaky, " --fail-on-flaky"),
    ] {
        command.push_str(if asked { flag } else { "" });
    }
    if request.offline.is_some() {
        command.push_str(" --offline");
    }
    chosen(&mut command, &request.tests);
    command
}

/// The choice among custom tests, which comes last. Those that had failed before are named, for later runs have others.
fn chosen(command: &mut String, tests: &Tests) {
    if !tests.choose() {
        return;
    }
    command.push_str(" --");
    let failed = tests.failed.iter().flatten().filter(|test| tests.leave_out(test).is_none());
    let (names, exact): (Vec<&str>, bool) = match &tests.failed {
        Some(_) => (failed.map(TestName::as_str).collect(), true),
        None => (tests.names.iter().map(String::as_str).collect(), tests.exact),
    };
    if exact {
        command.push_str(" --exact");
    }
    for part in tests.skip.iter().filter(|_| tests.failed.is_none()) {
        option(command, "--skip", part);
    }
    for name in names {
        let _ = write!(command, " {}", quoted(name));
    }
}

fn option(command: &mut String, name: &str, value: &str) {
    let _ = write!(command, " {name} {}", quoted(value));
}

/// A word for a shell.
fn quoted(value: &str) -> String {
    match value.contains(char::is_control) {
        // Quotes of a shell keep a line end, and this is one line.
        true => format!("$'{}'", value.chars().map(escaped).collect::<String>()),
        false => shell_words::quote(value).into_owned(),
    }
}

fn escaped(c: char) -> String {
    match c {
        '\\' | '\'' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    }
}
