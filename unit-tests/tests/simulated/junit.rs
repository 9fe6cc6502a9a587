//! `junit.xml`, as CI reads it.

use harness::{
    model::outcome::{Outcome, Owner, Tier},
    pure::run::{
        event::Kind,
        plan::StepId,
        verdict::{exit_code, verdict},
    },
    report::junit::junit,
};
use quick_xml::{Reader, events::Event};
use unit_tests::event_log::{EventLog, beginnings, ending, failure};

fn failed_by(owner: Owner) -> String {
    let log = EventLog::planned(&[Tier::Install]).pass(&["provision"]).step("deploy", Outcome::Failed(failure(owner)));
    junit(&log.ends().state()).to_string().unwrap()
}

fn document_of(name: &str) -> String {
    junit(&ending(name).state()).to_string().unwrap()
}

/// How many elements of this name a well-formed document has.
fn count(document: &str, name: &str) -> usize {
    let mut reader = Reader::from_str(document);
    let mut found = 0;
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error} in {document}")) {
            Event::Eof => return found,
            Event::Start(element) | Event::Empty(element) if element.name().as_ref() == name.as_bytes() => found += 1,
            _ => {}
        }
    }
}

#[test]
fn failure_of_the_recipe_is_a_failure_and_any_other_an_error() {
    let red = failed_by(Owner::Recipe);
    assert!(red.contains(r#"<failure message="the fault of recipe" type="recipe"/>"#), "{red}");
    assert!(red.contains(r#"errors="4" failures="1""#), "the steps after it did not run, and are not a success: {red}");
    for owner in [Owner::Dependency, Owner::Infrastructure, Owner::Test, Owner::Harness] {
        let other = failed_by(owner);
        assert!(other.contains(&format!(r#"<error message="the fault of {owner}" type="{owner}"/>"#)), "{other}");
        assert!(other.contains(r#"failures="0""#), "{other}");
    }
}

#[test]
fn good_run_has_a_case_for_each_step_and_for_each_tier_that_was_not_asked_for() {
    let text = document_of("green");
    for step in ["provision", "deploy", "verify-compose", "http", "stable", "still-stable"] {
        assert!(text.contains(&format!(r#"<testcase name="{step}" classname="install" time="#)), "{step}: {text}");
    }
    assert!(!text.contains("undeploy"), "cleanup is not a test of the recipe: {text}");
    assert_eq!((count(&text, "failure"), count(&text, "error"), count(&text, "skipped")), (0, 0, 4), "{text}");
    assert_eq!(text.matches(r#"<skipped message="was not asked for"/>"#).count(), 4, "{text}");
}

#[test]
fn suite_has_the_subject_and_the_verdict_as_properties() {
    let text = document_of("red");
    for (name, value) in [
        ("recipe", "hello"),
        ("commit", "0123456789012345678901234567890123456789"),
        ("verdict", "red (install failed)"),
        ("level", "0"),
        ("summary", "red (install failed), level 0: install failed"),
        ("owner", "recipe"),
    ] {
        assert!(text.contains(&format!(r#"<property name="{name}" value="{value}"/>"#)), "{name}: {text}");
    }
}

#[test]
fn failed_step_is_quoted() {
    let text = document_of("red");
    assert_eq!(count(&text, "system-out"), 1, "{text}");
    assert!(text.contains("its last lines") && text.contains("see evidence/deploy.txt"), "{text}");
}

#[test]
fn leak_is_an_error_beside_the_verdict() {
    let text = document_of("green with leaked objects");
    assert_eq!((count(&text, "failure"), count(&text, "error")), (0, 1), "{text}");
    assert!(text.contains("left behind: volume shop_data"), "{text}");
}

#[test]
fn run_that_ended_early_has_a_case_with_the_reason() {
    for (name, message) in [
        ("refused by request", "the recipe has no tag &quot;9.9&quot;"),
        ("refused by facts", "the fault of infrastructure"),
        ("ended before the plan", "the run was ended by signal 15"),
        ("ended in the deploy", "the run was ended by signal 15"),
        ("ended at the deadline", "the run was ended at its deadline"),
    ] {
        let text = document_of(name);
        assert!(text.contains(&format!(r#"<error message="{message}""#)), "{name}: {text}");
    }
}

#[test]
fn document_without_a_failing_case_is_of_a_good_run() {
    for (name, state) in beginnings() {
        let text = junit(&state).to_string().unwrap();
        let failing = count(&text, "failure") + count(&text, "error");
        let ended_well = state.finished.is_some() && exit_code(&state).code() == 0;
        if !ended_well && !verdict(&state).tiers.is_empty() {
            assert!(failing > 0, "{name}: {text}");
        }
        if ended_well {
            assert_eq!(failing, 0, "{name}: {text}");
        }
    }
}

#[test]
fn attempt_before_the_last_is_a_flaky_failure_or_a_failed_rerun() {
    let step = StepId("http".into());
    let document = |outcome| {
        let begun = EventLog::planned(&[Tier::Install]).pass(&["provision", "deploy"]).starts("http");
        let failed = Kind::AttemptFailed { step: step.clone(), attempt: 1, failure: failure(Owner::Recipe) };
        let again = Kind::StepStarted { step: step.clone(), attempt: 2 };
        let log = begun.then(failed).then(again).then(Kind::StepFinished { step: step.clone(), outcome });
        junit(&log.state()).to_string().unwrap()
    };
    let flaky = document(Outcome::Passed);
    assert_eq!((count(&flaky, "flakyFailure"), count(&flaky, "failure")), (1, 0), "{flaky}");
    let red = document(Outcome::Failed(failure(Owner::Recipe)));
    assert_eq!((count(&red, "rerunFailure"), count(&red, "failure")), (1, 1), "{red}");
}
