//! What CI reads of a run.

use harness::{
    model::outcome::{Outcome, Owner, Tier},
    report::junit::junit,
};
use unit_tests::tale::{Tale, failure};

fn told(owner: Owner) -> String {
    let tale = Tale::planned(&[Tier::Install]).pass(&["provision"]).step("deploy", Outcome::Failed(failure(owner)));
    junit(&tale.ends().state()).to_string().unwrap()
}

#[test]
fn the_recipes_fault_is_a_failure_and_anybody_elses_an_error() {
    let red = told(Owner::Recipe);
    assert!(red.contains(r#"<failure message="the fault of recipe"/>"#), "{red}");
    assert!(red.contains(r#"failures="1" errors="2""#), "what came after did not run, and that is no success: {red}");
    let other = told(Owner::Infrastructure);
    assert!(other.contains(r#"<error message="the fault of infrastructure"/>"#) && other.contains(r#"failures="0""#), "{other}");
}

#[test]
fn a_good_run_has_a_case_for_each_step_of_its_tier() {
    let tale = Tale::planned(&[Tier::Install]).pass(&["provision", "deploy", "answer", "steady", "undeploy"]);
    let text = junit(&tale.ends().state()).to_string().unwrap();
    assert!(text.contains(r#"tests="4""#) && text.contains(r#"failures="0" errors="0""#), "{text}");
    assert!(!text.contains("undeploy"), "cleaning up is no test of the recipe: {text}");
}
