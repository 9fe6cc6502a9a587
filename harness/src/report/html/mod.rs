//! `report.html`: the whole run on one page, in one file, without a script and without anything to load.

mod timeline;

use askama::Template;

use self::timeline::{Timeline, timeline};
use super::{
    results::{CanaryV1, Image, ResultsV1, Stage, Status},
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
            verdict::VerdictOutcome,
        },
    },
};

/// How many objects of a list are shown; `results.json` has them all.
const MOST_OBJECTS: usize = 100;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    results: &'a ResultsV1,
    verdict: Word,
    level: String,
    short_commit: String,
    sandbox: bool,
    took: String,
    reasons: Vec<Why<'a>>,
    traces: Traces,
    ladder: Vec<Line>,
    tiers: Vec<(Tier, &'static str)>,
    timeline: Timeline,
    steps: Vec<Step<'a>>,
    canaries: Vec<Data<'a>>,
    images: Vec<(&'a str, &'a Image, Option<&'a str>)>,
    evidence: Vec<Proof>,
    /// The picture of the app in Base64; empty without one.
    picture: String,
    host: Vec<(Word, &'a Check)>,
    changes: Vec<Changes<'a>>,
}

/// A word with the sign and the look that go with it; the word says it all.
#[derive(Clone, Copy)]
struct Word {
    sign: &'static str,
    word: &'static str,
    look: &'static str,
}

struct Why<'a> {
    owner: Option<Owner>,
    sentence: &'a str,
    excerpt: String,
}

/// What the run left, in a sentence.
struct Traces {
    look: &'static str,
    sentence: String,
}

/// A rung.
struct Line {
    name: &'static str,
    status: Word,
    why: String,
}

struct Step<'a> {
    stage: &'a Stage,
    status: Word,
    took: String,
    checks: Vec<(Word, &'a str, &'a str)>,
    waits: Vec<(String, String)>,
    excerpt: String,
    evidence: &'a str,
}

/// A canary, as it was found.
struct Data<'a> {
    name: &'a str,
    worst: Word,
    seen: Vec<(String, Word, &'a str)>,
    backed_up: String,
}

/// A file, and the end of it.
struct Proof {
    file: String,
    what: String,
    step: String,
    tail: String,
}

/// Objects that were left or changed.
struct Changes<'a> {
    title: &'static str,
    /// Whether it says something about the run.
    counts: bool,
    shown: &'a [String],
    more: usize,
}

/// The page of a run, with the picture of the app, a PNG, in it. It is whole for any state, also one of a run that was refused, cut off or killed.
pub fn page(state: &RunState, picture: Option<&[u8]>) -> Result<String, String> {
    let results = ResultsV1::from(state);
    let page = Page {
        verdict: colour(results.verdict.outcome),
        level: capital(&level(&rungs(state)).to_string()),
        short_commit: results.commit.iter().flat_map(|commit| commit.chars()).take(12).collect(),
        sandbox: sandbox_abra(state),
        took: millis(results.duration_ms),
        reasons: reasons(&results),
        traces: traces(&results),
        ladder: ladder(state),
        tiers: Tier::ALL.into_iter().filter_map(|tier| Some((tier, word(*results.results.get(tier.name())?)))).collect(),
        timeline: timeline(state, &results),
        steps: results.stages.iter().map(|stage| step(state, stage)).collect(),
        canaries: results.canaries.iter().map(canary).collect(),
        images: images(&results),
        evidence: evidence(state),
        picture: picture.map(|picture| data_encoding::BASE64.encode(picture)).unwrap_or_default(),
        host: results.preflight.iter().map(|check| (found(check.finding), check)).collect(),
        changes: changes(&results),
        results: &results,
    };
    page.render().map_err(|error| error.to_string())
}

/// The word for what a check of the host found.
fn found(finding: Finding) -> Word {
    match finding {
        Finding::Ok => Word { word: "ok", ..status_word(Status::Pass) },
        Finding::Unknown => Word { word: "unknown", ..status_word(Status::Unver) },
        Finding::Notice => Word { word: "notice", ..status_word(Status::Unver) },
        Finding::Unfit => Word { word: "unfit", ..status_word(Status::Fail) },
    }
}

fn millis(millis: u64) -> String {
    format_duration(Mono(millis).since(Mono(0)))
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A status in a word for people.
fn word(status: Status) -> &'static str {
    status_word(status).word
}

fn status_word(status: Status) -> Word {
    let (sign, word, look) = match status {
        Status::Pass => ("✔", "passed", "pass"),
        Status::Fail => ("✘", "failed", "fail"),
        Status::Skip => ("–", "skipped", "skip"),
        Status::Unver => ("?", "not verified", "unver"),
    };
    Word { sign, word, look }
}

/// The word for what passed only when it was tried again.
const FLAKY: Word = Word { sign: "✔", word: "flaky", look: "unver" };

fn colour(colour: VerdictOutcome) -> Word {
    let (sign, look) = match colour {
        VerdictOutcome::Green => ("✔", "pass"),
        VerdictOutcome::Red => ("✘", "fail"),
        VerdictOutcome::Inconclusive => ("?", "unver"),
    };
    Word { sign, word: colour.name(), look }
}

fn reasons(results: &ResultsV1) -> Vec<Why<'_>> {
    let why = |reason: &'_ crate::pure::run::verdict::Reason| reason.excerpt.join("\n");
    let reasons = results.verdict.reasons.iter();
    reasons.map(|reason| Why { owner: reason.owner, sentence: &reason.sentence, excerpt: why(reason) }).collect()
}

fn traces(results: &ResultsV1) -> Traces {
    let (look, sentence) = match &results.cleanup_result {
        Some(cleanup_result) if cleanup_result.clean() && !results.claimed.is_empty() && results.kept.is_none() => {
            let claimed: Vec<String> = results.claimed.iter().map(ToString::to_string).collect();
            ("fail", format!("✘ Nothing is listed any more, and these were not seen to be gone: {}.", claimed.join(", ")))
        }
        Some(cleanup_result) if cleanup_result.clean() => ("pass", "✔ Nothing of the run is left.".into()),
        Some(cleanup_result) => {
            let (left, changed) = (cleanup_result.leaked.len(), cleanup_result.changed_bystanders.len());
            let told = match (left, changed) {
                (left, 0) => format!("{left} of the run left behind"),
                (0, changed) => format!("{changed} changed by us though not ours"),
                (left, changed) => format!("{left} of the run left behind, {changed} changed by us though not ours"),
            };
            ("fail", format!("✘ Objects: {told}. They are named below."))
        }
        None if let Some(kept) = &results.kept => {
            ("unver", format!("The app {} is kept until {}, and everything of the run with it.", kept.domain, kept.until))
        }
        None if results.claimed.is_empty() => {
            ("unver", "? Nothing that the run had claimed is left; all else could not be compared.".into())
        }
        None => ("unver", "? Whether something is left is not known: the inventories before and after were not compared.".into()),
    };
    Traces { look, sentence }
}

fn ladder(state: &RunState) -> Vec<Line> {
    let rungs = rungs(state);
    let line = |rung: Rung| {
        let standing = rungs.of(rung);
        let status = status_word(standing.status);
        let why = if standing.why == status.word { String::new() } else { standing.why.clone() };
        Line { name: rung.label(), status, why }
    };
    Rung::ALL.into_iter().map(line).collect()
}

fn step<'a>(state: &'a RunState, stage: &'a Stage) -> Step<'a> {
    let known = state.steps.iter().find(|(id, _)| id.0 == stage.name).map(|(_, step)| step);
    let (excerpt, evidence) = match &stage.outcome {
        Some(Outcome::Failed(failure)) => (failure.excerpt.join("\n"), failure.evidence.as_str()),
        Some(Outcome::Passed | Outcome::Skipped(_) | Outcome::Unverified(_)) | None => (String::new(), ""),
    };
    let checks = stage.tests.iter().map(|test| {
        // A check that failed as its step did would only say the same again.
        let summary = if test.summary == stage.summary { "" } else { test.summary.as_str() };
        (status_word(test.status), test.name.as_str(), summary)
    });
    Step {
        stage,
        status: if stage.flaky && stage.status == Status::Pass { FLAKY } else { status_word(stage.status) },
        took: known.and_then(StepState::took).map(format_duration).unwrap_or_default(),
        checks: checks.collect(),
        waits: known.map(waits).unwrap_or_default(),
        excerpt,
        evidence,
    }
}

fn waits(step: &StepState) -> Vec<(String, String)> {
    let told = step.waits.iter().filter(|(_, lines)| !lines.is_empty());
    told.map(|(at, lines)| (millis(at.0), lines.join(" · "))).collect()
}

fn canary(found: &CanaryV1) -> Data<'_> {
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
    Data { name: &found.name, worst: status_word(worst), seen: seen.collect(), backed_up }
}

/// What each service ran, and what it ran before where that was another image.
fn images(results: &ResultsV1) -> Vec<(&str, &Image, Option<&str>)> {
    let of = |(service, image): (&'_ String, &'_ Image)| {
        let before = results.images_before.get(service).filter(|before| *before != image);
        before.map(|before| before.image.as_str())
    };
    results.images.iter().map(|(service, image)| (service.as_str(), image, of((service, image)))).collect()
}

fn evidence(state: &RunState) -> Vec<Proof> {
    let proof = |kept: &KeptFile| Proof {
        file: kept.file.display().to_string(),
        what: kept.what.clone(),
        step: kept.step.to_string(),
        tail: kept.tail.clone(),
    };
    state.evidence.iter().map(proof).collect()
}

fn changes(results: &ResultsV1) -> Vec<Changes<'_>> {
    let Some(cleanup_result) = &results.cleanup_result else { return Vec::new() };
    let lists = [
        ("Left behind by the run", true, &cleanup_result.leaked),
        ("Changed by the run though not its own", true, &cleanup_result.changed_bystanders),
        ("Changed by others meanwhile, which does not count", false, &cleanup_result.others),
        ("Not counted, as the host's settings say", false, &cleanup_result.ignored),
    ];
    lists
        .into_iter()
        .filter(|(_, _, objects)| !objects.is_empty())
        .map(|(title, counts, objects)| {
            let shown = &objects[..objects.len().min(MOST_OBJECTS)];
            Changes { title, counts, shown, more: objects.len() - shown.len() }
        })
        .collect()
}
