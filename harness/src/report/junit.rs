//! `junit.xml`: a failure of the recipe is a failure, any other failure is an error, and so is what was not verified.
//!
//! A run whose verdict is not green has at least one case that failed, and so has a run that left something behind: a reader of
//! this file alone never takes such a run for a good one.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::{
    results::{Attempt, Results, Stage, Status, StepResult},
    summary::summary,
    verdict_line,
};
use crate::{
    model::{
        outcome::{Failure, Gap, Outcome, Owner, SkipReason, Tier},
        rung::Rung,
    },
    pure::run::{plan::step_ids, state::RunState, verdict::Reason},
};

/// The report of a run: one suite with a case for each step of a tier and each of its checks, one for lint, one for each tier
/// that was skipped, one for what ended the run early, and one for what the run left behind.
pub fn junit(state: &RunState) -> Report {
    let results = Results::from(state);
    let mut suite = TestSuite::new(results.recipe.clone());
    suite.set_time(Duration::from_millis(results.duration_ms));
    suite.add_properties(properties(state, &results));
    for stage in &results.stages {
        for result in stage.steps.iter().filter(|step| counts(stage, step)) {
            suite.add_test_case(step(stage, result, &results));
            suite.add_test_cases(checks(state, stage, result));
        }
    }
    suite.add_test_cases(skipped(state, &results));
    let without_case = results.verdict.reasons.iter().filter(|reason| !has_case(reason, &results));
    suite.add_test_cases(without_case.map(reason));
    suite.add_test_case(cleanup(&results));
    let mut report = Report::new(format!("taster {}", results.run_id));
    report.set_time(Duration::from_millis(results.duration_ms));
    report.add_test_suite(suite);
    report
}

fn properties(state: &RunState, results: &Results) -> Vec<Property> {
    let level = results.level.to_string();
    let verdict = results.verdict.to_string();
    let line = verdict_line(state);
    let started = results.started.map(|started| started.to_string());
    let properties = [
        ("recipe", Some(results.recipe.as_str())),
        ("version", results.version.as_deref()),
        ("commit", results.commit.as_deref()),
        ("pr", results.pr.as_deref()),
        ("trigger", results.trigger.as_deref()),
        ("run", Some(results.run_id.as_str())),
        ("started", started.as_deref()),
        ("verdict", Some(verdict.as_str())),
        ("level", Some(level.as_str())),
        ("summary", Some(line.as_str())),
        ("owner", results.owner.map(Owner::name)),
        ("repeat", Some(results.repeat.as_str())),
    ];
    properties.into_iter().filter_map(|(name, value)| value.map(|value| Property::new(name, value))).collect()
}

fn is_lint(stage: &Stage) -> bool {
    stage.name == Rung::Lint.name()
}

/// Whether a step is a case of its own. Lint of base only says what head introduced.
fn counts(stage: &Stage, step: &StepResult) -> bool {
    !is_lint(stage) || step.name == step_ids::LINT
}

fn step(stage: &Stage, step: &StepResult, results: &Results) -> TestCase {
    let asked = is_lint(stage) || results.requested.iter().any(|tier| tier.name() == stage.name);
    let status = match (&step.outcome, step.status) {
        (Some(outcome), _) => ended(outcome),
        (None, Status::Unver) if !asked => skip(&step.summary),
        (None, Status::Pass | Status::Fail | Status::Skip | Status::Unver) => not_verified(&step.summary),
    };
    let mut case = TestCase::new(step.name.clone(), status);
    case.set_classname(stage.name.as_str()).set_time(Duration::from_millis(step.duration_ms));
    case.status.add_reruns(step.attempts.iter().map(rerun));
    if let Some(Outcome::Failed(failure)) = &step.outcome {
        let evidence = if failure.evidence.is_empty() { String::new() } else { format!("\nsee {}", failure.evidence) };
        let text = format!("{}{evidence}", failure.excerpt.join("\n"));
        if !text.is_empty() {
            case.set_system_out(text);
        }
    }
    case
}

/// An attempt before the last one, as surefire writes it: a flaky failure of a case that passed, else a failure of a rerun.
fn rerun(attempt: &Attempt) -> TestRerun {
    let mut rerun = TestRerun::new(kind(attempt.failure.owner));
    rerun.set_message(attempt.summary.as_str()).set_type(attempt.failure.owner.name());
    rerun.set_time(Duration::from_millis(attempt.duration_ms));
    if !attempt.failure.excerpt.is_empty() {
        rerun.set_description(attempt.failure.excerpt.join("\n"));
    }
    rerun
}

/// The checks of a step of a tier. A step that is one check is one case.
fn checks<'a>(state: &'a RunState, stage: &'a Stage, step: &'a StepResult) -> impl Iterator<Item = TestCase> + 'a {
    let of_step = state.checks.iter().filter(|check| check.step.0 == step.name && check.check != step.name);
    of_step.filter(|_| !is_lint(stage)).map(|check| {
        let mut case = TestCase::new(check.check.clone(), ended(&check.outcome));
        case.set_classname(stage.name.as_str());
        case
    })
}

/// A case for each tier that was skipped and has no step.
fn skipped(state: &RunState, results: &Results) -> Vec<TestCase> {
    let has_step = |tier: &Tier| results.stages.iter().any(|stage| stage.name == tier.name() && !stage.steps.is_empty());
    let skips = state.plan.iter().flat_map(|plan| &plan.skips).filter(|(tier, _)| !has_step(tier));
    let case = |(tier, reason): (&Tier, &SkipReason)| {
        let mut case = TestCase::new(tier.name(), skip(&summary(&Outcome::Skipped(reason.clone()))));
        case.set_classname(tier.name());
        case
    };
    skips.map(case).collect()
}

/// Whether a failing case of a step reports the reason already.
fn has_case(reason: &Reason, results: &Results) -> bool {
    let steps = results.stages.iter().flat_map(|stage| stage.steps.iter().map(move |step| (stage, step)));
    steps.filter(|(_, step)| matches!(step.status, Status::Fail | Status::Unver)).any(|(stage, step)| match reason.tier {
        Some(tier) => stage.name == tier.name(),
        None => is_lint(stage) && counts(stage, step) && reason.sentence.ends_with(&step.summary),
    })
}

fn reason(reason: &Reason) -> TestCase {
    let mut status = TestCaseStatus::non_success(reason.owner.map_or(NonSuccessKind::Error, kind));
    status.set_message(reason.sentence.as_str());
    status.set_type(reason.owner.map_or("unverified", Owner::name));
    if !reason.excerpt.is_empty() {
        status.set_description(reason.excerpt.join("\n"));
    }
    let class = reason.tier.map_or("run", Tier::name);
    let mut case = TestCase::new(class, status);
    case.set_classname(class);
    case
}

/// The case of what the run left behind and changed.
fn cleanup(results: &Results) -> TestCase {
    let status = match &results.cleanup {
        Some(cleanup) if cleanup.clean() && (results.claimed.is_empty() || results.kept.is_some()) => TestCaseStatus::success(),
        Some(cleanup) if cleanup.clean() => claimed(results, "nothing is listed any more, but these were not confirmed gone"),
        Some(cleanup) => {
            let leaked = cleanup.leaked.iter().map(|object| format!("left behind: {object}"));
            let changed =
                cleanup.changed_bystanders.iter().map(|object| format!("changed by the run though not its own: {object}"));
            let lines: Vec<String> = leaked.chain(changed).collect();
            let (leaked, changed) = (cleanup.leaked.len(), cleanup.changed_bystanders.len());
            error("cleanup", &format!("{leaked} of the run left behind, {changed} of others changed"), &lines)
        }
        None if results.kept.is_some() => skip("the app is kept, and removed when its time is over"),
        None if results.claimed.is_empty() => {
            skip("the inventories before and after were not compared; nothing is claimed any more")
        }
        None => claimed(results, "the inventories before and after were not compared, and these are still claimed"),
    };
    let mut case = TestCase::new("nothing is left behind", status);
    case.set_classname("cleanup");
    case
}

/// An error that names what is still claimed.
fn claimed(results: &Results, message: &str) -> TestCaseStatus {
    let lines: Vec<String> = results.claimed.iter().map(ToString::to_string).collect();
    error("cleanup", message, &lines)
}

fn error(kind: &str, message: &str, lines: &[String]) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(message).set_type(kind);
    if !lines.is_empty() {
        status.set_description(lines.join("\n"));
    }
    status
}

fn ended(outcome: &Outcome) -> TestCaseStatus {
    match outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Skipped(_) => skip(&summary(outcome)),
        // It counts for no verdict, so that a green run has no failing case.
        Outcome::Unverified(Gap::Incomparable { .. }) => skip(&summary(outcome)),
        Outcome::Unverified(_) => not_verified(&summary(outcome)),
        Outcome::Failed(failure) => failed(failure),
    }
}

/// Only a failure of the recipe is a failure.
fn kind(owner: Owner) -> NonSuccessKind {
    match owner {
        Owner::Recipe => NonSuccessKind::Failure,
        Owner::Dependency | Owner::Infrastructure | Owner::Test | Owner::Harness => NonSuccessKind::Error,
    }
}

fn failed(failure: &Failure) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind(failure.owner));
    status.set_message(failure.message.as_str()).set_type(failure.owner.name());
    if !failure.excerpt.is_empty() {
        status.set_description(failure.with_excerpt());
    }
    status
}

fn not_verified(sentence: &str) -> TestCaseStatus {
    error("unverified", sentence, &[])
}

fn skip(sentence: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(sentence);
    status
}
