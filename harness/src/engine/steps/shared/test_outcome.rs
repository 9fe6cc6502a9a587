//! The meaning of the end of a custom test: of a function of a pack, and of an executable.
//!
//! A test may blame the recipe only by its own answer or exit code. A test that crashes, hangs or cannot be run says nothing
//! about the app, so its owner is the test.

use std::time::Duration;

use crate::{
    model::{
        outcome::{Cause, Failure, Gap, Outcome, SkipReason},
        pack::TestName,
        protocol::Ended,
        time::{format_duration, millis},
    },
    ports::{Exited, Ran},
};

/// The exit code of an executable that does not apply.
pub const NOT_APPLICABLE: i32 = 77;
/// The exit codes of shells and of the shim for a program that was not found or cannot be run.
const NOT_FOUND: [i32; 2] = [126, 127];

/// The outcome of a function. Its answer counts only when its process ended accordingly.
pub fn of_function(test: &TestName, ran: &Ran) -> Outcome {
    let failed = |cause, what: String| Outcome::Failed(Failure::new(cause, format!("{test}: {what}")).with_output(&ran.output));
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

/// The outcome of an executable: exit code 0 is passed, 77 not applicable, 126 and 127 are not found, and any other one says that
/// the app is not as it should be.
pub fn of_executable(test: &TestName, ran: &Ran) -> Outcome {
    let failed = |cause, what: String| Outcome::Failed(Failure::new(cause, format!("{test}: {what}")).with_output(&ran.output));
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
    use crate::model::{
        outcome::Owner,
        protocol::{Answer, PROTOCOL},
    };

    fn ran(ended: Option<Ended>, exited: Exited) -> Ran {
        let answer = ended.map(|ended| Answer {
            version: PROTOCOL,
            ended,
            notes: Vec::new(),
            attachments: Vec::new(),
            configuration: None,
        });
        Ran { exited, answer, output: "running 1 test\nlast line\n".into(), attachments: Vec::new() }
    }

    #[test]
    fn function_blames_the_recipe_only_by_its_own_answer() {
        let failed = || Ended::Failed { sentence: "the post is gone".into(), at: Some("custom/a.rs:7".into()) };
        let panicked = || Ended::Panicked { sentence: "index out of bounds".into() };
        let (recipe, test) = (Owner::Recipe, Owner::Test);
        for (ended, exited, owner, message) in [
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
            let outcome = of_function(&TestName::reported("a::b"), &ran(ended, exited));
            let Outcome::Failed(failure) = outcome else { panic!("{message}") };
            assert_eq!((failure.owner, failure.message.as_str()), (owner, message));
            assert_eq!(failure.excerpt.last().map(String::as_str), Some("last line"), "the output's tail is quoted");
        }
    }

    #[test]
    fn function_that_passed_or_does_not_apply_is_no_failure() {
        let name = TestName::reported("a::b");
        assert_eq!(of_function(&name, &ran(Some(Ended::Passed), Exited::Code(0))), Outcome::Passed);
        let absent = of_function(&name, &ran(Some(Ended::ToolAbsent { what: "no browser".into() }), Exited::Code(101)));
        assert_eq!(absent, Outcome::Unverified(Gap::ToolAbsent { what: "no browser".into() }), "neither failed nor green");
        let skipped = of_function(&name, &ran(Some(Ended::NotApplicable { reason: "no mail".into() }), Exited::Code(0)));
        assert_eq!(skipped, Outcome::Skipped(SkipReason::NotApplicable { because: "no mail".into() }));
    }

    #[test]
    fn executable_blames_the_recipe_by_an_exit_code_of_its_own() {
        let (recipe, test) = (Some(Owner::Recipe), Some(Owner::Test));
        for (exited, owner, message) in [
            (Exited::Code(0), None, ""),
            (Exited::Code(77), None, "there is no mail"),
            (Exited::Code(1), recipe, "tests/a.sh: it ended with exit code 1"),
            (Exited::Code(2), recipe, "tests/a.sh: it ended with exit code 2"),
            (Exited::Code(127), test, "tests/a.sh: it ended with exit code 127, which says that a program was not found"),
            (Exited::Signal(9), test, "tests/a.sh: it was ended by signal 9"),
            (Exited::Deadline(Duration::from_secs(3)), test, "tests/a.sh: it did not end within 3.0 s"),
        ] {
            let ran = Ran { exited, answer: None, output: "looking\nthere is no mail\n\n".into(), attachments: Vec::new() };
            match (of_executable(&TestName::of_executable("tests/a.sh"), &ran), owner) {
                (Outcome::Failed(failure), Some(owner)) => {
                    assert_eq!(failure.owner, owner, "{}", failure.message);
                    assert!(failure.message.starts_with(message), "{}", failure.message);
                    assert_eq!(failure.excerpt, ["looking", "there is no mail"]);
                }
                (Outcome::Passed, None) => assert_eq!(message, ""),
                (Outcome::Skipped(SkipReason::NotApplicable { because }), None) => assert_eq!(because, message),
                (outcome, _) => panic!("{outcome:?}"),
            }
        }
    }
}
