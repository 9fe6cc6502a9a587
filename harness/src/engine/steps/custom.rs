//! Runs one function of the recipe's pack, and says what its end means.

use std::{collections::BTreeSet, time::Duration};

use super::{Context, Evidence, check, executable};
use crate::{
    model::{
        outcome::{Cause, Failure, Gap, Outcome, Owner, SkipReason, Tier},
        pack::{CustomTest, Origin, TestName},
        protocol::{Answer, Ended},
        time::{format_duration, millis},
    },
    ports::{Attached, Exited, ProgramError, Ran},
    pure::run::{
        event::{Kind, Note},
        plan::{Class, Planned, StepId},
        state::StepState,
    },
};

/// How much earlier than the step the process of a test has to end, so that the step ends by its own word.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// How long the program may take to list its functions.
const LIST_PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn custom(context: &Context<'_>, planned: &Planned, test: &TestName) -> Outcome {
    let (id, budget) = (&planned.id, planned.budget());
    let state = context.log.state();
    let tests = state.begun.as_ref().map(|begun| begun.request.tests.clone()).unwrap_or_default();
    let left_out = tests.leave_out(test).filter(|_| planned.class == Class::Tier(Tier::Custom));
    if let Some(by) = left_out {
        let outcome = Outcome::Skipped(SkipReason::Filtered { by });
        check(context, id, test.as_str(), &outcome);
        return outcome;
    }
    let outcome = match context.pack.not_applicable(test.as_str()) {
        Some(because) => Outcome::Skipped(SkipReason::NotApplicable { because: because.to_owned() }),
        None => {
            let name = file_name(id, state.steps.get(id).map_or(1, |step| step.attempt));
            match executable(context, test) {
                Some(executable) => executable::perform(context, id, executable, &name, budget).await,
                None => function(context, id, test, &name, budget).await,
            }
        }
    };
    let outcome = match state.steps.get(id) {
        Some(step) if tests.fail_on_flaky => flaky(outcome, step),
        Some(_) | None => outcome,
    };
    check(context, id, test.as_str(), &outcome);
    outcome
}

/// The test of this name that is an executable, or that has a flaw.
fn executable<'a>(context: &'a Context<'_>, test: &TestName) -> Option<&'a CustomTest> {
    let tests = &context.pack.tests;
    tests.iter().find(|known| known.name == *test && (known.origin != Origin::Pack || known.flaw.is_some()))
}

async fn function(context: &Context<'_>, id: &StepId, test: &TestName, name: &str, budget: Duration) -> Outcome {
    match run(context, test, budget).await {
        Ok(ran) => {
            let outcome = declared(context.pack.condition(test.as_str()), test, told(test, &ran));
            remark(context, test, ran.answer.as_ref());
            ran.attachments.iter().for_each(|attached| keep(context, id, name, attached));
            with_evidence(context, id, name, outcome, &ran)
        }
        Err(failure) => Outcome::Failed(failure),
    }
}

/// A test that says itself that it does not apply needs a condition that its pack declares: nobody would notice one that stopped to
/// look otherwise.
fn declared(condition: Option<&str>, test: &TestName, outcome: Outcome) -> Outcome {
    match (outcome, condition) {
        (Outcome::Skipped(SkipReason::NotApplicable { because }), Some(when)) => {
            Outcome::Skipped(SkipReason::NotApplicable { because: format!("{when}; the test says: {because}") })
        }
        (Outcome::Skipped(SkipReason::NotApplicable { because }), None) => {
            let because = format!(
                "{test} says that it does not apply ({because}), and recipe.toml declares no condition for that under [not_applicable]"
            );
            Outcome::Unverified(Gap::NotRun { because })
        }
        (outcome, _) => outcome,
    }
}

/// The outcome of the last attempt, where one that passed only when it was tried again counts as failed.
fn flaky(outcome: Outcome, step: &StepState) -> Outcome {
    match (&outcome, step.failed.first()) {
        (Outcome::Passed, Some(first)) => {
            let message =
                format!("it is flaky, for it passed only at attempt {}; at first {}", step.attempt, first.failure.message);
            let owner = first.failure.owner;
            Outcome::Failed(
                Failure { message, cause: Cause::Flaky { attempt: step.attempt }, ..first.failure.clone() }.owned_by(owner),
            )
        }
        (Outcome::Passed | Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Unverified(_), _) => outcome,
    }
}

/// Runs a function of the pack, if its program has it.
pub(super) async fn run(context: &Context<'_>, test: &TestName, budget: Duration) -> Result<Ran, Failure> {
    let head = context.head()?;
    let program = &context.ports.program;
    let reported = context.reported.get_or_try_init(|| async { program.list(LIST_PATIENCE).await }).await?;
    if !reported.contains(test) {
        return Err(missing(test, reported));
    }
    Ok(program.run_one(test, head, budget.saturating_sub(GRACE).max(budget / 2)).await?)
}

fn missing(test: &TestName, reported: &BTreeSet<TestName>) -> Failure {
    let message = format!("{test}: was planned, but the program of the pack does not have it among its {}", reported.len());
    Failure::new(Cause::TestMissing, message)
}

impl From<ProgramError> for Failure {
    fn from(error: ProgramError) -> Self {
        let failure = Failure::new(Cause::TestProgram, error.to_string());
        match error {
            ProgramError::NotRun { .. } => failure.owned_by(Owner::Infrastructure),
            ProgramError::Unlisted { .. } => failure,
        }
    }
}

/// What the end of a function means. What it says of the app counts only when its process ended as it said.
pub fn told(test: &TestName, ran: &Ran) -> Outcome {
    let failed = |cause, what: String| Outcome::Failed(Failure::new(cause, format!("{test}: {what}")).quoting(&ran.output));
    let crashed = |what: &str| {
        let (exit, signal, how) = match ran.exited {
            Exited::Code(code) => (Some(code), None, format!("ended with exit code {code}")),
            Exited::Signal(signal) => (None, Some(signal), format!("was ended by signal {signal}")),
            Exited::Deadline(after) => (None, None, format!("was ended after {}", format_duration(after))),
        };
        failed(Cause::TestCrashed { exit, signal }, format!("its process {how}{what}"))
    };
    if let Exited::Deadline(after) = ran.exited {
        let after_ms = millis(after);
        return failed(Cause::TestTimedOut { after_ms }, format!("its process did not end within {}", format_duration(after)));
    }
    match (ran.answer.as_ref().map(|answer| &answer.ended), ran.exited) {
        (None, _) => crashed(" before it had said how the test ended"),
        (Some(Ended::Passed), Exited::Code(0)) => Outcome::Passed,
        (Some(Ended::Passed), _) => crashed(" after it had said that the test passed"),
        (Some(Ended::NotApplicable { reason }), Exited::Code(0)) => {
            Outcome::Skipped(SkipReason::NotApplicable { because: reason.clone() })
        }
        (Some(Ended::NotApplicable { .. }), _) => crashed(" after it had said that the test does not apply"),
        (Some(Ended::ToolAbsent { what }), _) => Outcome::Unverified(Gap::ToolAbsent { what: what.clone() }),
        (Some(Ended::Unwritten), _) => Outcome::Unverified(Gap::NotRun { because: format!("{test} is not written yet") }),
        (Some(Ended::Failed { sentence, at }), _) => {
            let at = at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
            failed(Cause::Assertion, format!("{sentence}{at}"))
        }
        (Some(Ended::Panicked { sentence }), _) => failed(Cause::TestPanicked, format!("it panicked: {sentence}")),
        (Some(Ended::TimedOut { after_ms }), _) => {
            let after = format_duration(Duration::from_millis(*after_ms));
            failed(Cause::TestTimedOut { after_ms: *after_ms }, format!("it did not end within {after}"))
        }
    }
}

fn remark(context: &Context<'_>, test: &TestName, answer: Option<&Answer>) {
    for note in answer.iter().flat_map(|answer| &answer.notes) {
        context.log.note(Note::Remark { text: format!("{test}: {note}") });
    }
}

/// What files of an attempt of a test are called, without an ending.
fn file_name(id: &StepId, attempt: u32) -> String {
    let name: String = id.0.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(80).collect();
    if attempt > 1 { format!("{name}-{attempt}") } else { name }
}

/// Keeps a file that a function left. In a text secrets are hidden; any other file with one in it is not kept.
fn keep(context: &Context<'_>, id: &StepId, name: &str, attached: &Attached) {
    let what = &attached.name;
    let name = format!("{name}-{what}");
    let left = format!("{what}, left by the test");
    let kept = match attached.bytes.as_deref().map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        Ok((_, Ok(text))) => {
            Evidence { step: id, name: &name, what: left }.keep(context, text);
            return;
        }
        Ok((bytes, Err(_))) => {
            let text = String::from_utf8_lossy(bytes);
            match context.log.redact(&text) == text {
                true => context.folder.keep(&name, bytes).map_err(|error| error.to_string()),
                false => Err("a secret of the run is in it".to_owned()),
            }
        }
        Err(why) => Err(why.clone()),
    };
    context.log.record(match kept {
        Ok(file) => Kind::EvidenceKept { step: id.clone(), file, what: left, tail: String::new() },
        Err(why) => Kind::Warned { text: format!("{what} of {id} is not kept: {why}") },
    });
}

/// Keeps what a function printed that did not hold.
pub(super) fn with_evidence(context: &Context<'_>, id: &StepId, name: &str, outcome: Outcome, ran: &Ran) -> Outcome {
    let Outcome::Failed(failure) = outcome else { return outcome };
    let text = format!("{}\n\n{}", failure.message, ran.output);
    let printed = Evidence { step: id, name: &format!("{name}.txt"), what: "what the test printed".to_owned() };
    Outcome::Failed(printed.of(failure, context, &text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::protocol::PROTOCOL;

    fn ran(ended: Option<Ended>, exited: Exited) -> Ran {
        let answer =
            ended.map(|ended| Answer { version: PROTOCOL, ended, notes: Vec::new(), attachments: Vec::new(), wiring: None });
        Ran { exited, answer, output: "running 1 test\nlast words\n".into(), attachments: Vec::new() }
    }

    #[test]
    fn an_end_belongs_to_the_recipe_only_when_the_test_said_so() {
        let failed = || Ended::Failed { sentence: "the post is gone".into(), at: Some("custom/a.rs:7".into()) };
        let panicked = || Ended::Panicked { sentence: "index out of bounds".into() };
        let (recipe, test) = (Owner::Recipe, Owner::Test);
        for (ended, exited, owner, words) in [
            (Some(failed()), Exited::Code(101), recipe, "a::b: the post is gone (custom/a.rs:7)"),
            (Some(failed()), Exited::Signal(11), recipe, "a::b: the post is gone (custom/a.rs:7)"),
            (Some(panicked()), Exited::Code(101), test, "a::b: it panicked: index out of bounds"),
            (Some(Ended::TimedOut { after_ms: 3000 }), Exited::Code(101), test, "a::b: it did not end within 3.0 s"),
            (None, Exited::Code(7), test, "a::b: its process ended with exit code 7 before it had said how the test ended"),
            (None, Exited::Code(0), test, "a::b: its process ended with exit code 0 before it had said how the test ended"),
            (None, Exited::Signal(6), test, "a::b: its process was ended by signal 6 before it had said how the test ended"),
            (
                Some(Ended::Passed),
                Exited::Signal(11),
                test,
                "a::b: its process was ended by signal 11 after it had said that the test passed",
            ),
            (Some(Ended::Passed), Exited::Deadline(Duration::from_secs(9)), test, "a::b: its process did not end within 9.0 s"),
        ] {
            let Outcome::Failed(failure) = told(&TestName::reported("a::b"), &ran(ended, exited)) else { panic!("{words}") };
            assert_eq!((failure.owner, failure.message.as_str()), (owner, words));
            assert_eq!(failure.excerpt.last().map(String::as_str), Some("last words"), "the output's tail is quoted");
        }
    }

    #[test]
    fn what_passed_and_what_does_not_apply_ended_well() {
        let name = TestName::reported("a::b");
        assert_eq!(told(&name, &ran(Some(Ended::Passed), Exited::Code(0))), Outcome::Passed);
        let absent = told(&name, &ran(Some(Ended::ToolAbsent { what: "no browser".into() }), Exited::Code(101)));
        assert_eq!(absent, Outcome::Unverified(Gap::ToolAbsent { what: "no browser".into() }), "neither failed nor green");
        let skipped = told(&name, &ran(Some(Ended::NotApplicable { reason: "no mail".into() }), Exited::Code(0)));
        assert_eq!(skipped, Outcome::Skipped(SkipReason::NotApplicable { because: "no mail".into() }));
    }
}
