//! Verdict and exit code, row by row after the table of the design.

use harness::{
    event::{Cancel, Kind},
    model::outcome::{Gap, Outcome, Owner, Tier},
    plan::{Plan, Refusal},
    verdict::{Colour, exit_code, verdict},
    world::Hygiene,
};
use unit_tests::event_log::{EventLog, failure};

const INSTALL: &[Tier] = &[Tier::Install];
const TIER: &[&str] = &["provision", "deploy", "answer", "steady"];

fn good() -> EventLog {
    EventLog::planned(INSTALL).pass(TIER).pass(&["undeploy", "sweep"]).compared(Hygiene::default())
}

fn fails_in(step: &str, owner: Owner) -> EventLog {
    let before: Vec<&str> = TIER.iter().copied().take_while(|other| *other != step).collect();
    EventLog::planned(INSTALL).pass(&before).step(step, Outcome::Failed(failure(owner)))
}

fn check(log: EventLog, colour: Colour, exit: u8) {
    let state = log.ends().state();
    let verdict = verdict(&state);
    assert_eq!((verdict.outcome, exit_code(&state)), (colour, exit), "{verdict:?}");
    assert_eq!(verdict.reasons.is_empty(), colour == Colour::Green, "every verdict that is not green says why");
    assert_eq!(verdict.tiers, INSTALL, "a verdict speaks of the tiers that were asked for");
}

#[test]
fn all_that_was_asked_for_ran_and_passed() {
    check(good(), Colour::Green, 0);
}

#[test]
fn the_owner_of_a_failure_decides_the_colour() {
    for (owner, colour, exit) in [
        (Owner::Recipe, Colour::Red, 1),
        (Owner::Dependency, Colour::Inconclusive, 3),
        (Owner::Infrastructure, Colour::Inconclusive, 3),
        (Owner::Test, Colour::Inconclusive, 3),
        (Owner::Harness, Colour::Inconclusive, 6),
    ] {
        check(fails_in("deploy", owner), colour, exit);
    }
}

#[test]
fn what_did_not_run_is_never_green() {
    for log in [
        EventLog::planned(INSTALL),
        EventLog::planned(INSTALL).pass(&["provision", "deploy"]),
        EventLog::planned(INSTALL).pass(&["provision", "deploy", "answer"]).step("steady", Outcome::Unverified(Gap::Killed)),
        EventLog::begun(INSTALL).under(Plan::ended_early()),
        EventLog::begun(INSTALL),
    ] {
        check(event_log, Colour::Inconclusive, 3);
    }
}

#[test]
fn an_install_that_was_not_asked_over_http_is_not_verified() {
    let mut log = EventLog::planned(INSTALL);
    let mut plans = log.events.iter_mut().filter_map(|event| match &mut event.kind {
        Kind::Planned { plan } => Some(plan),
        _ => None,
    });
    let plan = plans.next().expect("the log has a plan");
    let steps = plan.steps.len();
    plan.steps.retain(|planned| planned.id.0 != "answer");
    assert_eq!(plan.steps.len(), steps - 1, "the plan would have asked");
    let log = log.pass(&["provision", "deploy", "steady"]);
    let reasons = verdict(&log.clone().ends().state()).reasons;
    assert!(reasons[0].sentence.contains("nothing was asked over HTTP"), "{reasons:?}");
    check(event_log, Colour::Inconclusive, 3);
}

#[test]
fn residue_and_changed_bystanders_outweigh_the_colour() {
    let left = Hygiene { residue: vec!["volume shop_data".into()], ..Hygiene::default() };
    let changed = Hygiene { bystanders: vec!["config other_conf".into()], ..Hygiene::default() };
    let others = Hygiene { others: vec!["service their_app".into()], ..Hygiene::default() };
    check(good().compared(left.clone()), Colour::Green, 4);
    check(good().compared(changed), Colour::Green, 4);
    check(good().compared(others), Colour::Green, 0);
    check(fails_in("deploy", Owner::Recipe).compared(left.clone()), Colour::Red, 4);
    check(fails_in("deploy", Owner::Harness).compared(left), Colour::Inconclusive, 6);
}

#[test]
fn a_signal_outweighs_everything_in_the_exit_code() {
    check(EventLog::planned(INSTALL).cancelled(Cancel::Signal { signal: 15 }), Colour::Inconclusive, 143);
    check(fails_in("deploy", Owner::Recipe).cancelled(Cancel::Signal { signal: 2 }), Colour::Red, 130);
    check(EventLog::planned(INSTALL).cancelled(Cancel::Deadline), Colour::Inconclusive, 3);
}

#[test]
fn a_refusal_is_usage_or_infrastructure() {
    let asked = Refusal::Request { sentence: "the recipe has no tag \"9.9\"".into() };
    check(EventLog::begun(INSTALL).under(Plan::refused(asked)), Colour::Inconclusive, 2);
    let unfit = Refusal::Facts(failure(Owner::Infrastructure));
    check(EventLog::begun(INSTALL).under(Plan::refused(unfit)), Colour::Inconclusive, 3);
}
