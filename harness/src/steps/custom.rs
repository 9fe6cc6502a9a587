//! Runs one function of the recipe's pack, and says what its end means.

use std::{collections::BTreeSet, time::Duration};

use super::{Context, check, executable};
use crate::{
    event::{Kind, Note, tail},
    model::{
        outcome::{Cause, Failure, Gap, Outcome, Owner, SkipReason},
        pack::{CustomTest, Origin, TestName},
        protocol::{Answer, Ended},
        time::spoken,
    },
    plan::StepId,
    ports::{Exited, ProgramError, Ran},
};

/// How much earlier than the step the process of a test has to end, so that the step ends by its own word.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// How long the program may take to list its functions.
const LIST_PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn custom(context: &Context<'_>, id: &StepId, test: &TestName, budget: Duration) -> Outcome {
    let outcome = match context.pack.not_applicable(test.as_str()) {
        Some(because) => Outcome::Skipped(SkipReason::NotApplicable { because: because.to_owned() }),
        None => match executable(context, test) {
            Some(executable) => executable::perform(context, id, executable, budget).await,
            None => function(context, id, test, budget).await,
        },
    };
    check(context, id, test.as_str(), &outcome);
    outcome
}

/// The test of this name that is an executable, or that has a flaw.
fn executable<'a>(context: &'a Context<'_>, test: &TestName) -> Option<&'a CustomTest> {
    let tests = &context.pack.tests;
    tests.iter().find(|known| known.name == *test && (known.origin != Origin::Pack || known.flaw.is_some()))
}

async fn function(context: &Context<'_>, id: &StepId, test: &TestName, budget: Duration) -> Outcome {
    match run(context, test, budget).await {
        Ok(ran) => {
            let outcome = told(test, &ran);
            remark(context, test, ran.answer.as_ref());
            with_evidence(context, id, outcome, &ran)
        }
        Err(failure) => Outcome::Failed(failure),
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
            Exited::Deadline(after) => (None, None, format!("was ended after {}", spoken(after))),
        };
        failed(Cause::TestCrashed { exit, signal }, format!("its process {how}{what}"))
    };
    if let Exited::Deadline(after) = ran.exited {
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        return failed(Cause::TestTimedOut { after_ms }, format!("its process did not end within {}", spoken(after)));
    }
    match (ran.answer.as_ref().map(|answer| &answer.ended), ran.exited) {
        (None, _) => crashed(" before it had said how the test ended"),
        (Some(Ended::Passed), Exited::Code(0)) => Outcome::Passed,
        (Some(Ended::Passed), _) => crashed(" after it had said that the test passed"),
        (Some(Ended::NotApplicable { reason }), Exited::Code(0)) => {
            Outcome::Skipped(SkipReason::NotApplicable { because: reason.clone() })
        }
        (Some(Ended::NotApplicable { .. }), _) => crashed(" after it had said that the test does not apply"),
        (Some(Ended::Unwritten), _) => Outcome::Unverified(Gap::NotRun { because: format!("{test} is not written yet") }),
        (Some(Ended::Failed { sentence, at }), _) => {
            let at = at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
            failed(Cause::Assertion, format!("{sentence}{at}"))
        }
        (Some(Ended::Panicked { sentence }), _) => failed(Cause::TestPanicked, format!("it panicked: {sentence}")),
        (Some(Ended::TimedOut { after_ms }), _) => {
            let after = spoken(Duration::from_millis(*after_ms));
            failed(Cause::TestTimedOut { after_ms: *after_ms }, format!("it did not end within {after}"))
        }
    }
}

fn remark(context: &Context<'_>, test: &TestName, answer: Option<&Answer>) {
    for note in answer.iter().flat_map(|answer| &answer.notes) {
        context.log.note(Note::Remark { text: format!("{test}: {note}") });
    }
}

/// Keeps what a function printed that did not hold.
pub(super) fn with_evidence(context: &Context<'_>, id: &StepId, outcome: Outcome, ran: &Ran) -> Outcome {
    let Outcome::Failed(failure) = outcome else { return outcome };
    let text = format!("{}\n\n{}", failure.message, ran.output);
    let name: String = id.0.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(80).collect();
    Outcome::Failed(match context.folder.keep(&format!("{name}.txt"), &context.log.redact(&text)) {
        Ok(file) => {
            let evidence = file.display().to_string();
            let what = "what the test printed".to_owned();
            context.log.record(Kind::EvidenceKept { step: id.clone(), file, what, tail: tail(&text) });
            Failure { evidence, ..failure }
        }
        Err(error) => {
            context.log.record(Kind::Warned { text: format!("evidence of {id} could not be kept: {error}") });
            failure
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::protocol::PROTOCOL;

    fn ran(ended: Option<Ended>, exited: Exited) -> Ran {
        let answer = ended.map(|ended| Answer { version: PROTOCOL, ended, notes: Vec::new(), wiring: None });
        Ran { exited, answer, output: "running 1 test\nlast words\n".into() }
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
        let skipped = told(&name, &ran(Some(Ended::NotApplicable { reason: "no mail".into() }), Exited::Code(0)));
        assert_eq!(skipped, Outcome::Skipped(SkipReason::NotApplicable { because: "no mail".into() }));
    }
}
