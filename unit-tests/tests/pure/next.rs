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
    for step in ["provision", "deploy", "answer", "steady", "undeploy", "sweep", "compare"] {
        assert_eq!(after(&tale), start(step));
        tale = tale.starts(step);
        assert_eq!(after(&tale), Next::Wait, "{step} runs");
        tale = tale.step(step, Outcome::Passed);
    }
    assert_eq!(after(&tale), Next::Finished);
}

#[test]
fn whatever_happens_the_app_is_undeployed_and_swept() {
    let planned = || Tale::planned(INSTALL);
    for (what, tale, follows) in [
        ("provision fails", planned().step("provision", failed()), "undeploy"),
        ("deploy fails", planned().pass(&["provision"]).step("deploy", failed()), "undeploy"),
        ("deploy is not verified", planned().pass(&["provision"]).step("deploy", Outcome::Unverified(Gap::Killed)), "undeploy"),
        ("nothing answers", planned().pass(&["provision", "deploy"]).step("answer", failed()), "steady"),
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
