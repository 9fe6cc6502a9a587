//! Runs a custom test that is an executable, and says what its end means.

use std::time::Duration;

use super::{
    Context,
    custom::{GRACE, with_evidence},
};
use crate::{
    model::{
        outcome::{Cause, Failure, Gap, Outcome, SkipReason},
        pack::{CustomTest, TestName},
        time::{format_duration, millis},
    },
    ports::{Exited, Ran},
    pure::run::plan::StepId,
};

/// The exit code of a test that does not apply.
pub const NOT_APPLICABLE: i32 = 77;
/// The exit codes by which shells and the shim say that there was nothing to run.
const NOT_FOUND: [i32; 2] = [126, 127];

pub(super) async fn perform(context: &Context<'_>, id: &StepId, test: &CustomTest, name: &str, budget: Duration) -> Outcome {
    if let Some(flaw) = &test.flaw {
        return Outcome::Unverified(Gap::NotRun { because: flaw.clone() });
    }
    let head = match context.head() {
        Ok(head) => head,
        Err(failure) => return Outcome::Failed(failure),
    };
    match context.ports.executables.execute(test, head, budget.saturating_sub(GRACE).max(budget / 2)).await {
        Ok(ran) => with_evidence(context, id, name, told(&test.name, &ran), &ran),
        Err(error) => Outcome::Failed(error.into()),
    }
}

/// What the end of an executable means: 0 is passed, 77 that it does not apply, and any other code of its own that the app is not as
/// it should be. One that could not be run, or did not end by itself, says nothing about the app.
pub fn told(test: &TestName, ran: &Ran) -> Outcome {
    let failed = |cause, what: String| Outcome::Failed(Failure::new(cause, format!("{test}: {what}")).quoting(&ran.output));
    let last = || ran.output.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned);
    match ran.exited {
        Exited::Code(0) => Outcome::Passed,
        Exited::Code(NOT_APPLICABLE) => Outcome::Skipped(SkipReason::NotApplicable {
            because: last().unwrap_or_else(|| format!("it ended with exit code {NOT_APPLICABLE}")),
        }),
        Exited::Code(code) if NOT_FOUND.contains(&code) => failed(
            Cause::TestCrashed { exit: Some(code), signal: None },
            format!("it ended with exit code {code}, which says that a program was not found or cannot be run"),
        ),
        Exited::Code(code) => failed(Cause::Assertion, format!("it ended with exit code {code}")),
        Exited::Signal(signal) => {
            failed(Cause::TestCrashed { exit: None, signal: Some(signal) }, format!("it was ended by signal {signal}"))
        }
        Exited::Deadline(after) => {
            let after_ms = millis(after);
            failed(Cause::TestTimedOut { after_ms }, format!("it did not end within {}", format_duration(after)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Owner;

    #[test]
    fn an_exit_code_is_a_word_about_the_app_or_about_the_test() {
        let (recipe, test) = (Some(Owner::Recipe), Some(Owner::Test));
        for (exited, owner, words) in [
            (Exited::Code(0), None, ""),
            (Exited::Code(77), None, "there is no mail"),
            (Exited::Code(1), recipe, "tests/a.sh: it ended with exit code 1"),
            (Exited::Code(2), recipe, "tests/a.sh: it ended with exit code 2"),
            (Exited::Code(127), test, "tests/a.sh: it ended with exit code 127, which says that a program was not found"),
            (Exited::Signal(9), test, "tests/a.sh: it was ended by signal 9"),
            (Exited::Deadline(Duration::from_secs(3)), test, "tests/a.sh: it did not end within 3.0 s"),
        ] {
            let ran = Ran { exited, answer: None, output: "looking\nthere is no mail\n\n".into(), attachments: Vec::new() };
            match (told(&TestName::of_executable("tests/a.sh"), &ran), owner) {
                (Outcome::Failed(failure), Some(owner)) => {
                    assert_eq!(failure.owner, owner, "{}", failure.message);
                    assert!(failure.message.starts_with(words), "{}", failure.message);
                    assert_eq!(failure.excerpt, ["looking", "there is no mail"]);
                }
                (Outcome::Passed, None) => assert_eq!(words, ""),
                (Outcome::Skipped(SkipReason::NotApplicable { because }), None) => assert_eq!(because, words),
                (outcome, _) => panic!("{outcome:?}"),
            }
        }
    }
}
