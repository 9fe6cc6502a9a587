//! `report.html`: the whole run on one page, in one file. It has no script and loads nothing, so that it can be read anywhere.

mod timeline;

use askama::Template;

use self::timeline::{Timeline, timeline};
use super::{
    results::{CanaryResult, Image, Results, Stage, Status, StepResult},
    sandbox_abra,
};
use crate::{
    model::{
        outcome::{Outcome, Owner, Tier},
        rung::Rung,
        time::{Mono, format_duration},
    },
    pure::{
        host::preflight::{Check, Finding},
        recipe::backup::Coverage,
        run::{
            level::{level, rungs},
            state::{KeptFile, RunState, StepState},
            verdict::{Reason, VerdictOutcome},
        },
    },
};

/// The most objects of a list that are shown; `results.json` has all of them.
const MOST_OBJECTS: usize = 100;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    results: &'a Results,
    verdict: Word,
    level: String,
    short_commit: String,
    sandbox: bool,
    took: String,
    reasons: Vec<ShownReason<'a>>,
    cleanup: Cleanup,
    ladder: Vec<RungRow>,
    tiers: Vec<(Tier, &'static str)>,
    timeline: Timeline,
    steps: Vec<StepRow<'a>>,
    canaries: Vec<CanaryRow<'a>>,
    images: Vec<(&'a str, &'a Image, Option<&'a str>)>,
    evidence: Vec<EvidenceRow>,
    /// The screenshot of the app in Base64; empty without one.
    screenshot: String,
    host: Vec<(Word, &'a Check)>,
    changes: Vec<ObjectList<'a>>,
}

/// A word with its sign and its CSS class. The word alone carries the meaning.
#[derive(Clone, Copy)]
struct Word {
    sign: &'static str,
    word: &'static str,
    class: &'static str,
}

struct ShownReason<'a> {
    owner: Option<Owner>,
    sentence: &'a str,
    excerpt: String,
}

/// The result of the cleanup, in a sentence.
struct Cleanup {
    class: &'static str,
    sentence: String,
}

struct RungRow {
    name: &'static str,
    status: Word,
    why: String,
}

struct StepRow<'a> {
    /// The name of its tier or lint; empty when it belongs to none.
    stage: &'a str,
    result: &'a StepResult,
    status: Word,
    took: String,
    checks: Vec<(Word, &'a str, &'a str)>,
    waits: Vec<(String, String)>,
    excerpt: String,
    evidence: &'a str,
}

struct CanaryRow<'a> {
    name: &'a str,
    worst: Word,
    seen: Vec<(String, Word, &'a str)>,
    backed_up: String,
}

/// A file, and its last lines.
struct EvidenceRow {
    file: String,
    what: String,
    step: String,
    tail: String,
}

/// Objects that were left behind or changed.
struct ObjectList<'a> {
    title: &'static str,
    /// Whether the run is to blame.
    counts: bool,
    shown: &'a [String],
    more: usize,
}

/// The page of a run with the screenshot of the app, a PNG, in it. It is complete for any state, also of a run that was refused,
/// cut off or killed.
///
/// # Errors
/// When the template cannot be rendered.
pub fn page(state: &RunState, screenshot: Option<&[u8]>) -> Result<String, askama::Error> {
    let results = Results::from(state);
    let page = Page {
        verdict: verdict_word(results.verdict.outcome),
        level: capitalised(&level(&rungs(state)).to_string()),
        short_commit: results.commit.iter().flat_map(|commit| commit.chars()).take(12).collect(),
        sandbox: sandbox_abra(state),
        took: format_millis(results.duration_ms),
        reasons: reasons(&results),
        cleanup: cleanup(&results),
        ladder: ladder(state),
        tiers: Tier::ALL.into_iter().filter_map(|tier| Some((tier, word(*results.results.get(tier.name())?)))).collect(),
        timeline: timeline(state, &results),
        steps: results.steps_by_time().into_iter().map(|(stage, result)| step(state, stage, result)).collect(),
        canaries: results.canaries.iter().map(canary).collect(),
        images: images(&results),
        evidence: evidence(state),
        screenshot: screenshot.map(|png| data_encoding::BASE64.encode(png)).unwrap_or_default(),
        host: results.preflight.iter().map(|check| (finding_word(check.finding), check)).collect(),
        changes: changes(&results),
        results: &results,
    };
    page.render()
}

fn finding_word(finding: Finding) -> Word {
    match finding {
        Finding::Ok => Word { word: "ok", ..status_word(Status::Pass) },
        Finding::Unknown => Word { word: "unknown", ..status_word(Status::Unver) },
        Finding::Notice => Word { word: "notice", ..status_word(Status::Unver) },
        Finding::Unfit => Word { word: "unfit", ..status_word(Status::Fail) },
    }
}

fn format_millis(millis: u64) -> String {
    format_duration(Mono(millis).since(Mono(0)))
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The word for a status.
fn word(status: Status) -> &'static str {
    status_word(status).word
}

fn status_word(status: Status) -> Word {
    let (sign, word, class) = match status {
        Status::Pass => ("✔", "passed", "pass"),
        Status::Fail => ("✘", "failed", "fail"),
        Status::Skip => ("–", "skipped", "skip"),
        Status::Unver => ("?", "not verified", "unver"),
    };
    Word { sign, word, class }
}

/// The word for a step that passed only when it was tried again.
const FLAKY: Word = Word { sign: "✔", word: "flaky", class: "unver" };

fn verdict_word(outcome: VerdictOutcome) -> Word {
    let (sign, class) = match outcome {
        VerdictOutcome::Green => ("✔", "pass"),
        VerdictOutcome::Red => ("✘", "fail"),
        VerdictOutcome::Inconclusive => ("?", "unver"),
    };
    Word { sign, word: outcome.name(), class }
}

fn reasons(results: &Results) -> Vec<ShownReason<'_>> {
    let shown = |reason: &'_ Reason| reason.excerpt.join("\n");
    let reasons = results.verdict.reasons.iter();
    reasons.map(|reason| ShownReason { owner: reason.owner, sentence: &reason.sentence, excerpt: shown(reason) }).collect()
}

fn cleanup(results: &Results) -> Cleanup {
    let (class, sentence) = match &results.cleanup {
        Some(cleanup) if cleanup.clean() && !results.claimed.is_empty() && results.kept.is_none() => {
            let claimed: Vec<String> = results.claimed.iter().map(ToString::to_string).collect();
            ("fail", format!("✘ Nothing is listed any more, but these were not confirmed gone: {}.", claimed.join(", ")))
        }
        Some(cleanup) if cleanup.clean() => ("pass", "✔ Nothing of the run is left.".into()),
        Some(cleanup) => {
            let counts = match (cleanup.leaked.len(), cleanup.changed_bystanders.len()) {
                (leaked, 0) => format!("{leaked} of the run left behind"),
                (0, changed) => format!("{changed} of others changed by the run"),
                (leaked, changed) => format!("{leaked} of the run left behind, {changed} of others changed by the run"),
            };
            ("fail", format!("✘ Objects: {counts}. They are named below."))
        }
        None if let Some(kept) = &results.kept => {
            ("unver", format!("The app {} is kept until {}, and everything of the run with it.", kept.domain, kept.until))
        }
        None if results.claimed.is_empty() => {
            ("unver", "? Nothing that the run had claimed is left; the inventories before and after were not compared.".into())
        }
        None => ("unver", "? It is not known what is left: the inventories before and after were not compared.".into()),
    };
    Cleanup { class, sentence }
}

fn ladder(state: &RunState) -> Vec<RungRow> {
    let rungs = rungs(state);
    let row = |rung: Rung| {
        let found = rungs.of(rung);
        let status = status_word(found.status);
        let why = if found.why == status.word { String::new() } else { found.why.clone() };
        RungRow { name: rung.label(), status, why }
    };
    Rung::ALL.into_iter().map(row).collect()
}

fn step<'a>(state: &'a RunState, stage: Option<&'a Stage>, result: &'a StepResult) -> StepRow<'a> {
    let known = state.steps.iter().find(|(id, _)| id.0 == result.name).map(|(_, step)| step);
    let (excerpt, evidence) = match &result.outcome {
        Some(Outcome::Failed(failure)) => (failure.excerpt.join("\n"), failure.evidence.as_str()),
        Some(Outcome::Passed | Outcome::Skipped(_) | Outcome::Unverified(_)) | None => (String::new(), ""),
    };
    let checks = result.tests.iter().map(|test| {
        // A check with the summary of its step would repeat it.
        let summary = if test.summary == result.summary { "" } else { test.summary.as_str() };
        (status_word(test.status), test.name.as_str(), summary)
    });
    StepRow {
        stage: stage.map_or("", |stage| stage.name.as_str()),
        result,
        status: if result.flaky && result.status == Status::Pass { FLAKY } else { status_word(result.status) },
        took: known.and_then(StepState::took).map(format_duration).unwrap_or_default(),
        checks: checks.collect(),
        waits: known.map(waits).unwrap_or_default(),
        excerpt,
        evidence,
    }
}

fn waits(step: &StepState) -> Vec<(String, String)> {
    let waits = step.waits.iter().filter(|(_, lines)| !lines.is_empty());
    waits.map(|(at, lines)| (format_millis(at.0), lines.join(" · "))).collect()
}

fn canary(found: &CanaryResult) -> CanaryRow<'_> {
    let rank = |status: &Status| match status {
        Status::Fail => 0,
        Status::Unver => 1,
        Status::Pass => 2,
        Status::Skip => 3,
    };
    let worst = found.seen.values().map(|seen| seen.status).min_by_key(rank).unwrap_or(Status::Unver);
    let seen = found
        .seen
        .iter()
        .map(|(moment, seen)| (moment.name().replace('-', " "), status_word(seen.status), seen.summary.as_str()));
    let backed_up = match &found.backed_up {
        Some(Coverage::Whole) => "all of its volume".to_owned(),
        Some(Coverage::Paths { paths }) => format!("of its volume {}", paths.join(", ")),
        Some(Coverage::Excluded) => "nothing of its volume".to_owned(),
        None => String::new(),
    };
    CanaryRow { name: &found.name, worst: status_word(worst), seen: seen.collect(), backed_up }
}

/// The image of each service, and the one before the upgrade where that was another.
fn images(results: &Results) -> Vec<(&str, &Image, Option<&str>)> {
    let of = |(service, image): (&'_ String, &'_ Image)| {
        let before = results.images_before.get(service).filter(|before| *before != image);
        before.map(|before| before.image.as_str())
    };
    results.images.iter().map(|(service, image)| (service.as_str(), image, of((service, image)))).collect()
}

fn evidence(state: &RunState) -> Vec<EvidenceRow> {
    let row = |kept: &KeptFile| EvidenceRow {
        file: kept.file.display().to_string(),
        what: kept.what.clone(),
        step: kept.step.to_string(),
        tail: kept.tail.clone(),
    };
    state.evidence.iter().map(row).collect()
}

fn changes(results: &Results) -> Vec<ObjectList<'_>> {
    let Some(cleanup) = &results.cleanup else { return Vec::new() };
    let lists = [
        ("Left behind by the run", true, &cleanup.leaked),
        ("Objects of others that the run changed", true, &cleanup.changed_bystanders),
        ("Changed by others during the run; does not count", false, &cleanup.others),
        ("Ignored by the host's settings", false, &cleanup.ignored),
    ];
    lists
        .into_iter()
        .filter(|(_, _, objects)| !objects.is_empty())
        .map(|(title, counts, objects)| {
            let shown = &objects[..objects.len().min(MOST_OBJECTS)];
            ObjectList { title, counts, shown, more: objects.len() - shown.len() }
        })
        .collect()
}
