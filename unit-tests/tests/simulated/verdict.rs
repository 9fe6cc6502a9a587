//! Verdict and exit code of runs, each with one combination of outcomes.

use harness::{
    model::{
        outcome::{Gap, Outcome, Owner, Tier},
        refusal::Refusal,
    },
    pure::{
        host::inventory::CleanupResult,
        run::{
            event::{Cancel, Kind},
            plan::Plan,
            verdict::{VerdictOutcome, exit_code, verdict},
        },
    },
};
use unit_tests::event_log::{EventLog, failure};

const INSTALL: &[Tier] = &[Tier::Install];
const TIER: &[&str] = &["provision", "deploy", "http", "stable"];

fn good() -> EventLog {
    EventLog::planned(INSTALL).pass(TIER).pass(&["undeploy", "cleanup"]).compared(CleanupResult::default())
}

fn fails_in(step: &str, owner: Owner) -> EventLog {
    let before: Vec<&str> = TIER.iter().copied().take_while(|other| *other != step).collect();
    EventLog::planned(INSTALL).pass(&before).step(step, Outcome::Failed(failure(owner)))
}

fn check(log: EventLog, outcome: VerdictOutcome, exit: u8) {
    let state = log.ends().state();
    let verdict = verdict(&state);
    assert_eq!((verdict.outcome, exit_code(&state).code()), (outcome, exit), "{verdict:?}");
    assert_eq!(verdict.reasons.is_empty(), outcome == VerdictOutcome::Green, "each verdict that is not green has a reason");
    assert_eq!(verdict.tiers, INSTALL, "a verdict names the tiers that were asked for");
}

#[test]
fn run_that_passed_everything_is_green() {
    check(good(), VerdictOutcome::Green, 0);
}

#[test]
fn owner_of_a_failure_decides_the_outcome() {
    for (owner, outcome, exit) in [
        (Owner::Recipe, VerdictOutcome::Red, 1),
        (Owner::Dependency, VerdictOutcome::Inconclusive, 3),
        (Owner::Infrastructure, VerdictOutcome::Inconclusive, 3),
        (Owner::Test, VerdictOutcome::Inconclusive, 3),
        (Owner::Harness, VerdictOutcome::Inconclusive, 6),
    ] {
        check(fails_in("deploy", owner), outcome, exit);
    }
}

#[test]
fn run_with_a_step_that_did_not_run_is_never_green() {
    for log in [
        EventLog::planned(INSTALL),
        EventLog::planned(INSTALL).pass(&["provision", "deploy"]),
        EventLog::planned(INSTALL).pass(&["provision", "deploy", "http"]).step("stable", Outcome::Unverified(Gap::RunEnded)),
        EventLog::begun(INSTALL).under(Plan::ended_early()),
        EventLog::begun(INSTALL),
    ] {
        check(log, VerdictOutcome::Inconclusive, 3);
    }
}

#[test]
fn install_without_an_http_step_is_not_verified() {
    let mut log = EventLog::planned(INSTALL);
    let mut plans = log.events.iter_mut().filter_map(|event| match &mut event.kind {
        Kind::Planned { plan } => Some(plan),
        _ => None,
    });
    let plan = plans.next().expect("the log has a plan");
    let steps = plan.steps.len();
    plan.steps.retain(|planned| planned.id.0 != "http");
    assert_eq!(plan.steps.len(), steps - 1, "the plan had the step");
    let log = log.pass(&["provision", "deploy", "stable"]);
    let reasons = verdict(&log.clone().ends().state()).reasons;
    assert!(reasons[0].sentence.contains("the app was not asked over HTTP"), "{reasons:?}");
    check(log, VerdictOutcome::Inconclusive, 3);
}

#[test]
fn leaks_and_changed_bystanders_outweigh_the_verdict_in_the_exit_code() {
    let left = CleanupResult { leaked: vec!["volume shop_data".into()], ..CleanupResult::default() };
    let changed = CleanupResult { changed_bystanders: vec!["config other_conf".into()], ..CleanupResult::default() };
    let others = CleanupResult { others: vec!["service their_app".into()], ..CleanupResult::default() };
    check(good().compared(left.clone()), VerdictOutcome::Green, 4);
    check(good().compared(changed), VerdictOutcome::Green, 4);
    check(good().compared(others), VerdictOutcome::Green, 0);
    check(fails_in("deploy", Owner::Recipe).compared(left.clone()), VerdictOutcome::Red, 4);
    check(fails_in("deploy", Owner::Harness).compared(left), VerdictOutcome::Inconclusive, 6);
}

#[test]
fn signal_outweighs_everything_in_the_exit_code() {
    check(EventLog::planned(INSTALL).cancelled(Cancel::Signal { signal: 15 }), VerdictOutcome::Inconclusive, 143);
    check(fails_in("deploy", Owner::Recipe).cancelled(Cancel::Signal { signal: 2 }), VerdictOutcome::Red, 130);
    check(EventLog::planned(INSTALL).cancelled(Cancel::Deadline), VerdictOutcome::Inconclusive, 3);
}

#[test]
fn refusal_is_usage_or_inconclusive() {
    let asked = Refusal::Request { sentence: "the recipe has no tag \"9.9\"".into() };
    check(EventLog::begun(INSTALL).under(Plan::refused(asked)), VerdictOutcome::Inconclusive, 2);
    let unfit = Refusal::Facts(failure(Owner::Infrastructure));
    check(EventLog::begun(INSTALL).under(Plan::refused(unfit)), VerdictOutcome::Inconclusive, 3);
}
