//! Runs one custom test: a function of the recipe's pack, or an executable.

use std::time::Duration;

use super::shared::{
    attributed::attributed,
    backup_service::wait_until_still,
    context::StepContext,
    evidence::StepEvidence,
    pack_function::{process_budget, run_function},
    settled_app::is_restarting,
    test_outcome,
};
use crate::{
    model::{
        outcome::{Cause, Failure, Gap, Outcome, SkipReason, Tier},
        pack::{CustomTest, Origin, TestName},
        protocol::Answer,
        text::with_causes,
    },
    ports::{AttachedFile, Ran},
    pure::run::{
        event::{Kind, Note},
        plan::{Class, Planned, StepId},
        state::StepState,
    },
};

pub(super) async fn custom(context: &StepContext<'_>, planned: &Planned, test: &TestName) -> Outcome {
    let (id, budget) = (&planned.id, planned.budget());
    let state = context.log.state();
    let tests = state.begun.as_ref().map(|begun| begun.request.tests.clone()).unwrap_or_default();
    let left_out = tests.leave_out(test).filter(|_| planned.class == Class::Tier(Tier::Custom));
    if let Some(by) = left_out {
        let outcome = Outcome::Skipped(SkipReason::Filtered { by });
        context.check(id, test.as_str(), &outcome);
        return outcome;
    }
    // A restart that a restore has caused is not the test's.
    if is_restarting(context)
        && let Ok(head) = context.head()
        && let Some(outcome) = wait_until_still(context, id, head, budget).await
    {
        context.check(id, test.as_str(), &outcome);
        return outcome;
    }
    let outcome = match context.pack.not_applicable(test.as_str()) {
        Some(because) => Outcome::Skipped(SkipReason::NotApplicable { because: because.to_owned() }),
        None => {
            let name = file_name(id, state.steps.get(id).map_or(1, |step| step.attempt));
            match executable_named(context, test) {
                Some(executable) => run_executable(context, id, executable, &name, budget).await,
                None => run_pack_function(context, id, test, &name, budget).await,
            }
        }
    };
    let outcome = attributed(context, outcome).await;
    let outcome = match state.steps.get(id) {
        Some(step) if tests.fail_on_flaky => failed_if_flaky(outcome, step),
        Some(_) | None => outcome,
    };
    context.check(id, test.as_str(), &outcome);
    outcome
}

/// The test of this name that is an executable, or that has a flaw.
fn executable_named<'a>(context: &'a StepContext<'_>, test: &TestName) -> Option<&'a CustomTest> {
    let tests = &context.pack.tests;
    tests.iter().find(|known| known.name == *test && (known.origin != Origin::Pack || known.flaw.is_some()))
}

async fn run_executable(context: &StepContext<'_>, id: &StepId, test: &CustomTest, name: &str, budget: Duration) -> Outcome {
    if let Some(flaw) = &test.flaw {
        return Outcome::Unverified(Gap::NotRun { because: flaw.clone() });
    }
    let app = match context.tested_app() {
        Ok(app) => app,
        Err(failure) => return Outcome::Failed(failure),
    };
    match context.ports.executables.execute(test, app, process_budget(budget)).await {
        Ok(ran) => with_output_kept(context, id, name, test_outcome::of_executable(&test.name, &ran), &ran),
        Err(error) => Outcome::Failed(error.into()),
    }
}

async fn run_pack_function(context: &StepContext<'_>, id: &StepId, test: &TestName, name: &str, budget: Duration) -> Outcome {
    match run_function(context, test, budget).await {
        Ok(ran) => {
            let condition = context.pack.condition(test.as_str());
            let outcome = with_condition(condition, test, test_outcome::of_function(test, &ran));
            note_remarks(context, test, ran.answer.as_ref());
            ran.attachments.iter().for_each(|attached| keep(context, id, name, attached));
            with_output_kept(context, id, name, outcome, &ran)
        }
        Err(failure) => Outcome::Failed(failure),
    }
}

/// A test that reports itself as not applicable needs a condition that its pack declares: otherwise a test that stopped testing
/// anything would go unnoticed.
fn with_condition(condition: Option<&str>, test: &TestName, outcome: Outcome) -> Outcome {
    match (outcome, condition) {
        (Outcome::Skipped(SkipReason::NotApplicable { because }), Some(when)) => {
            Outcome::Skipped(SkipReason::NotApplicable { because: format!("{when}; the test says: {because}") })
        }
        (Outcome::Skipped(SkipReason::NotApplicable { because }), None) => {
            let because = format!(
                "{test} says that it does not apply ({because}), and recipe.toml declares no condition for that under \
                 [not_applicable]"
            );
            Outcome::Unverified(Gap::NotRun { because })
        }
        (outcome, _) => outcome,
    }
}

/// The outcome of the last attempt, where a test that passed only at a later attempt counts as failed.
fn failed_if_flaky(outcome: Outcome, step: &StepState) -> Outcome {
    match (&outcome, step.failed.first()) {
        (Outcome::Passed, Some(first)) => {
            let message =
                format!("it is flaky because it passed only at attempt {}; at first {}", step.attempt, first.failure.message);
            let owner = first.failure.owner;
            Outcome::Failed(
                Failure { message, cause: Cause::Flaky { attempt: step.attempt }, ..first.failure.clone() }.owned_by(owner),
            )
        }
        (Outcome::Passed | Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Unverified(_), _) => outcome,
    }
}

fn note_remarks(context: &StepContext<'_>, test: &TestName, answer: Option<&Answer>) {
    for note in answer.iter().flat_map(|answer| &answer.notes) {
        context.log.note(Note::Remark { text: format!("{test}: {note}") });
    }
}

/// The name of files of an attempt of a test, without an ending.
fn file_name(id: &StepId, attempt: u32) -> String {
    let name: String = id.0.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(80).collect();
    if attempt > 1 { format!("{name}-{attempt}") } else { name }
}

/// Keeps a file that a function left. In a text secrets are hidden; any other file with a secret in it is not kept.
fn keep(context: &StepContext<'_>, id: &StepId, name: &str, attached: &AttachedFile) {
    let what = &attached.name;
    let name = format!("{name}-{what}");
    let left = format!("{what}, left by the test");
    let kept = match attached.bytes.as_deref().map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        Ok((_, Ok(text))) => {
            StepEvidence { step: id, name: &name, what: left }.keep(context, text);
            return;
        }
        Ok((bytes, Err(_))) => {
            let text = String::from_utf8_lossy(bytes);
            match context.log.redact(&text) == text {
                true => context.folder.keep(&name, bytes).map_err(|error| with_causes(&error)),
                false => Err("a secret of the run is in it".to_owned()),
            }
        }
        Err(error) => Err(error.to_string()),
    };
    context.log.record(match kept {
        Ok(file) => Kind::EvidenceKept { step: id.clone(), file, what: left, tail: String::new() },
        Err(why) => Kind::Warned { text: format!("{what} of {id} is not kept: {why}") },
    });
}

/// Keeps the output of a test that failed.
fn with_output_kept(context: &StepContext<'_>, id: &StepId, name: &str, outcome: Outcome, ran: &Ran) -> Outcome {
    let Outcome::Failed(failure) = outcome else { return outcome };
    let text = format!("{}\n\n{}", failure.message, ran.output);
    let output = StepEvidence { step: id, name: &format!("{name}.txt"), what: "what the test printed".to_owned() };
    Outcome::Failed(output.attach_to(failure, context, &text))
}
