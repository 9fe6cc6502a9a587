//! `junit.xml`: the recipe's fault is a failure, anybody else's an error, and what was not verified is an error too.
//!
//! A run whose verdict is not green has at least one case that failed, whatever became of its plan, and so has one that left
//! something behind: who reads only this file is never told that all is well when it is not.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::{
    results::{Attempt, ResultsV1, Stage, Status},
    terminal::summary,
    verdict_line,
};
use crate::{
    model::outcome::{Failure, Gap, Outcome, Owner, Subject, Tier},
    pure::run::{plan::Step, state::RunState, verdict::Reason},
};

/// The report of a run: one suite with a case for each step of a tier and each of its checks, one for each tier that was skipped,
/// one for what ended the run early, and one for what the run left behind.
pub fn junit(state: &RunState) -> Report {
    let results = ResultsV1::from(state);
    let mut suite = TestSuite::new(results.recipe.clone());
    suite.set_time(Duration::from_millis(results.duration_ms));
    suite.add_properties(properties(state, &results));
    let lint = |stage: &Stage| stage.name == lint_step(state);
    for stage in &results.stages {
        match stage.tier {
            Some(tier) => {
                suite.add_test_case(step(stage, tier.name(), results.requested.contains(&tier)));
                suite.add_test_cases(checks(state, stage, tier));
            }
            None if lint(stage) => {
                suite.add_test_case(step(stage, "lint", true));
            }
            None => {}
        }
    }
    suite.add_test_cases(skipped(state, &results));
    let untold: Vec<&Reason> = results.verdict.reasons.iter().filter(|reason| !is_told(reason, &results, lint)).collect();
    suite.add_test_cases(untold.into_iter().map(reason));
    suite.add_test_case(traces(&results));
    let mut report = Report::new(format!("taster {}", results.run_id));
    report.set_time(Duration::from_millis(results.duration_ms));
    report.add_test_suite(suite);
    report
}

fn properties(state: &RunState, results: &ResultsV1) -> Vec<Property> {
    let level = results.level.to_string();
    let verdict = results.verdict.to_string();
    let line = verdict_line(state);
    let started = results.started.map(|started| started.to_string());
    let told = [
        ("recipe", Some(results.recipe.as_str())),
        ("version", results.version.as_deref()),
        ("commit", results.commit.as_deref()),
        ("run", Some(results.run_id.as_str())),
        ("started", started.as_deref()),
        ("verdict", Some(verdict.as_str())),
        ("level", Some(level.as_str())),
        ("summary", Some(line.as_str())),
        ("owner", results.owner.map(Owner::name)),
        ("repeat", Some(results.repeat.as_str())),
    ];
    told.into_iter().filter_map(|(name, value)| value.map(|value| Property::new(name, value))).collect()
}

/// The name of the step that lints head; empty when the plan has none.
fn lint_step(state: &RunState) -> &str {
    let head = Step::Lint { subject: Subject::Head };
    let steps = state.plan.iter().flat_map(|plan| &plan.steps);
    steps.into_iter().find(|planned| planned.step == head).map_or("", |planned| planned.id.0.as_str())
}

fn step(stage: &Stage, class: &str, asked: bool) -> TestCase {
    let told = match (&stage.outcome, stage.status) {
        (Some(outcome), _) => ended(outcome),
        (None, Status::Unver) if !asked => skip(&stage.summary),
        (None, Status::Pass | Status::Fail | Status::Skip | Status::Unver) => not_verified(&stage.summary),
    };
    let mut case = TestCase::new(stage.name.clone(), told);
    case.set_classname(class).set_time(Duration::from_millis(stage.duration_ms));
    case.status.add_reruns(stage.attempts.iter().map(rerun));
    if let Some(Outcome::Failed(failure)) = &stage.outcome {
        let evidence = if failure.evidence.is_empty() { String::new() } else { format!("\nsee {}", failure.evidence) };
        let text = format!("{}{evidence}", failure.excerpt.join("\n"));
        if !text.is_empty() {
            case.set_system_out(text);
        }
    }
    case
}

/// An attempt before the last one, as surefire has it: a flaky failure of a case that passed, a failure of another run else.
fn rerun(attempt: &Attempt) -> TestRerun {
    let mut rerun = TestRerun::new(kind(attempt.failure.owner));
    rerun.set_message(attempt.summary.as_str()).set_type(attempt.failure.owner.name());
    rerun.set_time(Duration::from_millis(attempt.duration_ms));
    if !attempt.failure.excerpt.is_empty() {
        rerun.set_description(attempt.failure.excerpt.join("\n"));
    }
    rerun
}

fn checks<'a>(state: &'a RunState, stage: &'a Stage, tier: Tier) -> impl Iterator<Item = TestCase> + 'a {
    // A step that is one check is one case.
    state.checks.iter().filter(|check| check.step.0 == stage.name && check.check != stage.name).map(move |check| {
        let mut case = TestCase::new(check.check.clone(), ended(&check.outcome));
        case.set_classname(tier.name());
        case
    })
}

/// A case for each tier without steps that was not to run.
fn skipped(state: &RunState, results: &ResultsV1) -> Vec<TestCase> {
    let skips = state.plan.iter().flat_map(|plan| &plan.skips);
    let untouched = skips.filter(|(tier, _)| results.stages.iter().all(|stage| stage.tier != Some(**tier)));
    untouched
        .map(|(tier, reason)| {
            let mut case = TestCase::new(tier.name(), skip(&summary(&Outcome::Skipped(reason.clone()))));
            case.set_classname(tier.name());
            case
        })
        .collect()
}

/// Whether a case of a step tells of the reason already.
fn is_told(reason: &Reason, results: &ResultsV1, lint: impl Fn(&Stage) -> bool) -> bool {
    let told = |stage: &Stage| {
        let its = match reason.tier {
            Some(tier) => stage.tier == Some(tier),
            None => lint(stage) && reason.sentence.ends_with(&stage.summary),
        };
        its && matches!(stage.status, Status::Fail | Status::Unver)
    };
    results.stages.iter().any(told)
}

fn reason(reason: &Reason) -> TestCase {
    let mut told = TestCaseStatus::non_success(reason.owner.map_or(NonSuccessKind::Error, kind));
    told.set_message(reason.sentence.as_str());
    told.set_type(reason.owner.map_or("unverified", Owner::name));
    if !reason.excerpt.is_empty() {
        told.set_description(reason.excerpt.join("\n"));
    }
    let class = reason.tier.map_or("run", Tier::name);
    let mut case = TestCase::new(class, told);
    case.set_classname(class);
    case
}

/// The case of what the run left and changed.
fn traces(results: &ResultsV1) -> TestCase {
    let told = match &results.cleanup_result {
        Some(cleanup_result) if cleanup_result.clean() && (results.claimed.is_empty() || results.kept.is_some()) => {
            TestCaseStatus::success()
        }
        Some(cleanup_result) if cleanup_result.clean() => {
            claimed(results, "nothing is listed any more, and these were not seen to be gone")
        }
        Some(cleanup_result) => {
            let left = cleanup_result.leaked.iter().map(|object| format!("left behind: {object}"));
            let changed =
                cleanup_result.changed_bystanders.iter().map(|object| format!("changed by us though not ours: {object}"));
            let lines: Vec<String> = left.chain(changed).collect();
            let mut told = TestCaseStatus::non_success(NonSuccessKind::Error);
            told.set_message(format!(
                "{} of the run left, {} of others changed",
                cleanup_result.leaked.len(),
                cleanup_result.changed_bystanders.len()
            ));
            told.set_type("cleanup_result").set_description(lines.join("\n"));
            told
        }
        None if results.kept.is_some() => skip("the app is kept, and removed when its time is over"),
        None if results.claimed.is_empty() => {
            skip("the inventories before and after were not compared; nothing is claimed any more")
        }
        None => claimed(results, "the run did not come to compare the inventories, and these are still claimed"),
    };
    let mut case = TestCase::new("nothing is left behind", told);
    case.set_classname("cleanup_result");
    case
}

/// That what is claimed was not seen to be gone.
fn claimed(results: &ResultsV1, message: &str) -> TestCaseStatus {
    let lines: Vec<String> = results.claimed.iter().map(ToString::to_string).collect();
    let mut told = TestCaseStatus::non_success(NonSuccessKind::Error);
    told.set_message(message).set_type("cleanup_result").set_description(lines.join("\n"));
    told
}

fn ended(outcome: &Outcome) -> TestCaseStatus {
    match outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Skipped(_) => skip(&summary(outcome)),
        // It counts for no verdict, so it must not turn a green run's file red.
        Outcome::Unverified(Gap::Incomparable { .. }) => skip(&summary(outcome)),
        Outcome::Unverified(_) => not_verified(&summary(outcome)),
        Outcome::Failed(failure) => failed(failure),
    }
}

/// Only what the recipe did wrong is a failure.
fn kind(owner: Owner) -> NonSuccessKind {
    match owner {
        Owner::Recipe => NonSuccessKind::Failure,
        Owner::Dependency | Owner::Infrastructure | Owner::Test | Owner::Harness => NonSuccessKind::Error,
    }
}

fn failed(failure: &Failure) -> TestCaseStatus {
    let mut told = TestCaseStatus::non_success(kind(failure.owner));
    told.set_message(failure.message.as_str()).set_type(failure.owner.name());
    if !failure.excerpt.is_empty() {
        told.set_description(failure.told());
    }
    told
}

fn not_verified(sentence: &str) -> TestCaseStatus {
    let mut told = TestCaseStatus::non_success(NonSuccessKind::Error);
    told.set_message(sentence).set_type("unverified");
    told
}

fn skip(sentence: &str) -> TestCaseStatus {
    let mut told = TestCaseStatus::skipped();
    told.set_message(sentence);
    told
}
