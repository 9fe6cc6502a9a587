//! What a run does next, as a table over tales.

use harness::{
    event::Cancel,
    model::outcome::{Gap, Outcome, Owner, Tier},
    plan::{Plan, Refusal, StepId},
    state::{Next, next},
};
use unit_tests::tale::{Tale, failure};

const INSTALL: &[Tier] = &[Tier::Install];

fn after(tale: &Tale) -> Next {
    let state = tale.state();
    next(state.plan.as_ref().expect("the tale has a plan"), &state)
}

fn start(step: &str) -> Next {
    Next::Start(vec![StepId(step.into())])
}

fn failed() -> Outcome {
    Outcome::Failed(failure(Owner::Recipe))
}

#[test]
fn a_good_run_goes_through_its_steps_one_after_the_other() {
    let mut tale = Tale::planned(INSTALL);
    for step in ["provision", "deploy", "calibrate", "answer", "steady", "undeploy", "sweep", "compare"] {
        let both = Next::Start(vec![StepId("calibrate".into()), StepId("answer".into())]);
        assert_eq!(after(&tale), if step == "calibrate" { both } else { start(step) });
        tale = tale.starts(step);
        tale = tale.step(step, Outcome::Passed);
    }
    assert_eq!(after(&tale), Next::Finished);
}

#[test]
fn what_runs_beside_the_tiers_holds_nothing_up_but_the_end() {
    let deployed = Tale::planned(INSTALL).pass(&["provision", "deploy"]).starts("calibrate").starts("answer");
    assert_eq!(after(&deployed), Next::Wait);
    let answered = deployed.step("answer", Outcome::Passed);
    assert_eq!(after(&answered), start("steady"));
    let steady = answered.starts("steady").step("steady", Outcome::Passed);
    assert_eq!(after(&steady), Next::Wait, "calibrate still looks at the app");
    assert_eq!(after(&steady.step("calibrate", failed())), start("undeploy"));
}

#[test]
fn whatever_happens_the_app_is_undeployed_and_swept() {
    let planned = || Tale::planned(INSTALL);
    for (what, tale, follows) in [
        ("provision fails", planned().step("provision", failed()), "undeploy"),
        ("deploy fails", planned().pass(&["provision"]).step("deploy", failed()), "undeploy"),
        ("deploy is not verified", planned().pass(&["provision"]).step("deploy", Outcome::Unverified(Gap::Killed)), "undeploy"),
        ("nothing answers", planned().pass(&["provision", "deploy", "calibrate"]).step("answer", failed()), "steady"),
        ("undeploy fails", planned().step("provision", failed()).step("undeploy", failed()), "sweep"),
        ("a signal before anything", planned().cancelled(Cancel::Signal { signal: 15 }), "undeploy"),
        ("the deadline in mid-tier", planned().pass(&["provision"]).cancelled(Cancel::Deadline), "undeploy"),
    ] {
        assert_eq!(after(&tale), start(follows), "{what}");
    }
}

#[test]
fn a_step_that_runs_when_a_signal_comes_is_waited_for() {
    let tale = Tale::planned(INSTALL).pass(&["provision"]).starts("deploy").cancelled(Cancel::Signal { signal: 2 });
    assert_eq!(after(&tale), Next::Wait);
    assert_eq!(after(&tale.step("deploy", Outcome::Unverified(Gap::Killed))), start("undeploy"));
}

#[test]
fn a_refused_run_only_removes_what_is_already_its_own() {
    let refused = Plan::refused(Refusal::Facts(failure(Owner::Infrastructure)));
    let tale = Tale::begun(INSTALL).under(refused);
    assert_eq!(after(&tale), start("sweep"));
    assert_eq!(after(&tale.pass(&["sweep", "compare"])), Next::Finished);
}
