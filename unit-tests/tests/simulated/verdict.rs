//! Verdict and exit code of runs, each with one combination of outcomes.

use harness::{
    model::{
        outcome::{Gap, Outcome, Owner, SkipReason, Tier},
        refusal::Refusal,
    },
    pure::{
        host::{claim::Claimed, inventory::CleanupResult},
        run::{
            event::{Cancel, Kind},
            outcomes::outcome_of_tier,
            plan::Plan,
            severity::worst,
            verdict::{VerdictOutcome, exit_code, exit_code_so_far, verdict},
        },
    },
};
use proptest::prelude::*;
use unit_tests::event_log::{EventLog, failure};

const INSTALL: &[Tier] = &[Tier::Install];
const TIER: &[&str] = &["provision", "deploy", "verify-compose", "http", "stable", "still-stable"];

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
    assert_eq!(verdict.tiers, INSTALL, "a verdict names the tiers that it speaks of");
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
        EventLog::planned(INSTALL).pass(&TIER[..4]).step("stable", Outcome::Unverified(Gap::RunEnded)),
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
    let log = log.pass(&["provision", "deploy", "verify-compose", "stable", "still-stable"]);
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

/// All tiers, of which some are skipped and some are not planned.
fn partial() -> EventLog {
    let mut plan = unit_tests::event_log::planned(&unit_tests::event_log::request(&Tier::ALL));
    let lacks = || SkipReason::Structural { lacks: "an older version".into() };
    plan.skips = [(Tier::Upgrade, lacks()), (Tier::Backup, lacks())].into();
    EventLog::begun(&Tier::ALL).under(plan).pass(TIER).pass(&["undeploy", "cleanup"]).compared(CleanupResult::default())
}

#[test]
fn line_of_a_verdict_names_each_tier_with_how_it_ended_and_why() {
    let state = partial().ends().state();
    let found = verdict(&state);
    assert_eq!(
        found.to_string(),
        "inconclusive (restore not verified: no step of tier restore was planned; custom not verified: the recipe has no custom \
         tests; install passed; upgrade, backup skipped: there is no older version)"
    );
    assert_eq!(found.tiers, [Tier::Install, Tier::Restore, Tier::Custom], "a skipped tier is not among them");
    let failed = fails_in("deploy", Owner::Recipe).ends().state();
    assert_eq!(verdict(&failed).to_string(), "red (install failed)");
    assert_eq!(verdict(&good().ends().state()).to_string(), "green (install)");
}

#[test]
fn long_reason_is_cut_in_the_line_of_a_verdict() {
    let what = "x".repeat(150);
    let log = EventLog::planned(INSTALL).pass(&TIER[..4]).step("stable", Outcome::Unverified(Gap::Unread { what }));
    let line = verdict(&log.ends().state()).to_string();
    assert_eq!(line, format!("inconclusive (install not verified: {}…)", "x".repeat(100)));
}

#[test]
fn run_of_which_every_tier_is_skipped_is_not_green() {
    let mut plan = unit_tests::event_log::planned(&unit_tests::event_log::request(INSTALL));
    plan.skips = [(Tier::Install, SkipReason::NotApplicable { because: "it has no page".into() })].into();
    let state = EventLog::begun(INSTALL).under(plan).compared(CleanupResult::default()).ends().state();
    let found = verdict(&state);
    assert_eq!((found.outcome, exit_code(&state).code()), (VerdictOutcome::Inconclusive, 5), "{found:?}");
    assert_eq!(found.to_string(), "inconclusive (install skipped: it has no page)");
}

/// Any outcome of a step.
fn outcome() -> impl Strategy<Value = Outcome> {
    let owners = [Owner::Recipe, Owner::Dependency, Owner::Infrastructure, Owner::Test, Owner::Harness];
    let failures = owners.map(|owner| Outcome::Failed(failure(owner)));
    let gaps = [Gap::RunEnded, Gap::Interfered { what: "service app was scaled, and not by the run".into() }];
    let others = [Outcome::Passed, Outcome::Skipped(SkipReason::NotApplicable { because: "it has no page".into() })];
    prop::sample::select(failures.into_iter().chain(gaps.map(Outcome::Unverified)).chain(others).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn outcome_of_a_tier_does_not_depend_on_the_order_of_its_steps(
        (outcomes, permuted) in prop::collection::vec(outcome(), 3..=3).prop_flat_map(|outcomes| {
            (Just(outcomes.clone()), Just(outcomes).prop_shuffle())
        })
    ) {
        let ended = |outcomes: Vec<Outcome>| {
            let steps = ["provision", "deploy", "stable"].into_iter().zip(outcomes);
            let log = EventLog::planned(INSTALL).pass(&["verify-compose", "http", "still-stable"]);
            let log = steps.fold(log, |log, (step, outcome)| log.step(step, outcome));
            let state = log.compared(CleanupResult::default()).ends().state();
            let found = verdict(&state);
            let first = found.reasons.first().map(|reason| (reason.owner, reason.sentence.clone()));
            (outcome_of_tier(&state, Tier::Install), found.outcome, found.ended, first, exit_code(&state).code())
        };
        let expected = worst(outcomes.clone()).filter(|outcome| matches!(outcome, Outcome::Failed(_) | Outcome::Unverified(_)));
        let found = ended(outcomes);
        prop_assert_eq!(&found.0, &expected.unwrap_or(Outcome::Passed));
        prop_assert_eq!(found, ended(permuted));
    }
}

#[test]
fn comparison_that_the_journal_has_lost_may_hide_a_leak() {
    let whole = good();
    let mut log = EventLog { events: whole.events.clone() };
    let compared = log.events.iter().filter(|event| matches!(event.kind, Kind::InventoryCompared { .. })).count();
    assert_eq!(compared, 1);
    log = log.pass(&["compare-host"]);
    log.events.retain(|event| !matches!(event.kind, Kind::InventoryCompared { .. }));
    assert_eq!(exit_code(&log.ends().state()).code(), 4);
    assert_eq!(exit_code(&whole.pass(&["compare-host"]).ends().state()).code(), 0);
}

#[test]
fn killed_run_that_claims_something_may_have_left_it() {
    let name = "hello-aebagbaf_taster_test".parse().unwrap();
    let claim = Kind::Claimed { engine: "s".parse().unwrap(), what: Claimed::Stack { name } };
    let killed = |log: EventLog| exit_code_so_far(&log.state()).code();
    assert_eq!(killed(EventLog::planned(INSTALL).then(claim)), 4);
    assert_eq!(killed(EventLog::planned(INSTALL)), 3);
}
