//! The steps that come next, over event logs.

use harness::{
    model::{
        host::Limits,
        outcome::{Gap, Outcome, Owner, Tier},
        refusal::Refusal,
    },
    pure::{
        recipe::upgrade_base::Base,
        run::{
            event::Cancel,
            facts::BaseFiles,
            plan::{Plan, StepId, plan},
            state::{NextSteps, next},
        },
    },
};
use unit_tests::event_log::{EventLog, failure};

const INSTALL: &[Tier] = &[Tier::Install];

fn after(log: &EventLog) -> NextSteps {
    let state = log.state();
    next(state.plan.as_ref().expect("the log has a plan"), &state)
}

fn start(step: &str) -> NextSteps {
    NextSteps::Start(vec![StepId(step.into())])
}

fn failed() -> Outcome {
    Outcome::Failed(failure(Owner::Recipe))
}

#[test]
fn good_run_goes_through_its_steps_one_after_the_other() {
    let mut log = EventLog::planned(INSTALL);
    for step in [
        "provision",
        "deploy",
        "verify-compose",
        "http",
        "stable",
        "screenshot",
        "still-stable",
        "undeploy",
        "cleanup",
        "compare-host",
    ] {
        let both = NextSteps::Start(vec![StepId("verify-compose".into()), StepId("http".into())]);
        assert_eq!(after(&log), if step == "verify-compose" { both } else { start(step) });
        log = log.starts(step);
        log = log.step(step, Outcome::Passed);
    }
    assert_eq!(after(&log), NextSteps::Finished);
}

#[test]
fn comparison_of_the_files_delays_the_end_and_no_other_step_of_the_tier() {
    let deployed = EventLog::planned(INSTALL).pass(&["provision", "deploy"]).starts("verify-compose").starts("http");
    assert_eq!(after(&deployed), NextSteps::Wait);
    let answered = deployed.step("http", Outcome::Passed);
    assert_eq!(after(&answered), start("stable"));
    let stable = answered.starts("stable").step("stable", Outcome::Passed);
    assert_eq!(after(&stable), NextSteps::Wait, "verify-compose still needs the app");
    let compared = stable.step("verify-compose", failed());
    assert_eq!(after(&compared), start("screenshot"));
    let pictured = compared.starts("screenshot").step("screenshot", Outcome::Unverified(Gap::RunEnded));
    assert_eq!(after(&pictured), start("still-stable"));
    assert_eq!(after(&pictured.pass(&["still-stable"])), start("undeploy"));
}

#[test]
fn failed_or_cancelled_run_undeploys_and_cleans_up() {
    let planned = || EventLog::planned(INSTALL);
    for (what, log, follows) in [
        ("provision fails", planned().step("provision", failed()), "undeploy"),
        ("deploy fails", planned().pass(&["provision"]).step("deploy", failed()), "undeploy"),
        ("deploy is not verified", planned().pass(&["provision"]).step("deploy", Outcome::Unverified(Gap::RunEnded)), "undeploy"),
        ("nothing answers", planned().pass(&["provision", "deploy", "verify-compose"]).step("http", failed()), "stable"),
        ("undeploy fails", planned().step("provision", failed()).step("undeploy", failed()), "cleanup"),
        ("a signal before anything", planned().cancelled(Cancel::Signal { signal: 15 }), "undeploy"),
        ("the deadline in mid-tier", planned().pass(&["provision"]).cancelled(Cancel::Deadline), "undeploy"),
    ] {
        assert_eq!(after(&log), start(follows), "{what}");
    }
}

#[test]
fn running_step_is_waited_for_after_a_signal() {
    let log = EventLog::planned(INSTALL).pass(&["provision"]).starts("deploy").cancelled(Cancel::Signal { signal: 2 });
    assert_eq!(after(&log), NextSteps::Wait);
    assert_eq!(after(&log.step("deploy", Outcome::Unverified(Gap::RunEnded))), start("undeploy"));
}

#[test]
fn refused_run_only_cleans_up() {
    let refused = Plan::refused(Refusal::Facts(failure(Owner::Infrastructure)));
    let log = EventLog::begun(INSTALL).under(refused);
    assert_eq!(after(&log), start("cleanup"));
    assert_eq!(after(&log.pass(&["cleanup", "compare-host"])), NextSteps::Finished);
}

#[test]
fn lint_runs_beside_the_tiers_and_only_undeploy_waits_for_it() {
    let begun = EventLog::begun(INSTALL).under(unit_tests::event_log::planned(&unit_tests::event_log::request(INSTALL)));
    assert_eq!(after(&begun), NextSteps::Start(vec![StepId("provision".into()), StepId("lint".into())]));
    let linting =
        begun.starts("lint").pass(&["provision", "deploy", "verify-compose", "http", "stable", "screenshot", "still-stable"]);
    assert_eq!(after(&linting), NextSteps::Wait);
    assert_eq!(after(&linting.clone().step("lint", failed())), start("undeploy"));
    let cancelled = linting.cancelled(Cancel::Deadline).step("lint", Outcome::Unverified(Gap::RunEnded));
    assert_eq!(after(&cancelled), start("undeploy"));
}

#[test]
fn base_is_linted_before_it_is_deployed_and_before_head_is_linted() {
    let mut facts = unit_tests::event_log::facts(unit_tests::event_log::tree(None));
    let commit = "f".repeat(40).parse().unwrap();
    facts.against = Base::Ref { name: "main".into(), commit, why: "it is".into() };
    facts.base = facts.against.clone();
    facts.base_files = Some(BaseFiles { tree: facts.tree.clone(), resolved: facts.resolved.clone(), pinned: true, repair: None });
    let both = [Tier::Install, Tier::Upgrade];
    let plan = plan(&unit_tests::event_log::request(&both), &facts, &Limits::default()).unwrap();
    let log = EventLog::begun(&both).under(plan);
    assert_eq!(after(&log), NextSteps::Start(vec![StepId("provision".into()), StepId("lint-base".into())]));
    assert_eq!(after(&log.clone().pass(&["provision"]).starts("lint-base")), NextSteps::Wait);
    // A base that could not be linted delays nothing.
    let linted = log.pass(&["provision"]).step("lint-base", Outcome::Unverified(Gap::RunEnded));
    assert_eq!(after(&linted), NextSteps::Start(vec![StepId("deploy".into()), StepId("lint".into())]));
}
