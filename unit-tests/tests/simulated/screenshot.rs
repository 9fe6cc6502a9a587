//! The screenshot in whole simulated runs with and without a browser: it never counts for the verdict.

use harness::{
    model::outcome::{Status, Tier},
    pure::{
        host::preflight::{Finding, Topic},
        run::{plan::Step, verdict::VerdictOutcome::Green},
    },
};
use unit_tests::{
    event_log::{planned, request},
    sim_browser::SimBrowser,
    sim_host::{CallBehaviour, HostBehaviour, SimHost},
};

use crate::sim_run::{FinishedRun, run_on};

fn host_with(browser: SimBrowser) -> SimHost {
    let mut host = SimHost::healthy();
    host.browser = browser;
    host
}

fn screenshot_file(run: &FinishedRun) -> Option<&str> {
    run.results.screenshot.as_deref()
}

#[test]
fn screenshot_of_the_app_is_kept() {
    let run = run_on(host_with(SimBrowser::Page)).expect(Green).step("screenshot", Status::Pass);

    assert_eq!(screenshot_file(&run), Some("screenshot.png"));
}

#[test]
fn blank_screenshot_is_kept_unverified_and_the_run_is_green() {
    let run = run_on(host_with(SimBrowser::Blank))
        .expect(Green)
        .step("screenshot", Status::Unver)
        .summary("the first page shows nothing");

    assert_eq!(screenshot_file(&run), Some("screenshot.png"));
}

#[test]
fn machine_without_browser_has_no_screenshot_and_the_run_is_green() {
    let run = run_on(host_with(SimBrowser::Absent))
        .expect(Green)
        .step("screenshot", Status::Unver)
        .summary("there is no Chromium; install it");

    assert_eq!(screenshot_file(&run), None);
}

#[test]
fn preflight_of_a_machine_without_browser_names_the_remedy() {
    let run = run_on(host_with(SimBrowser::Absent)).finish();

    let check = run.results.preflight.iter().find(|check| check.topic == Topic::Browser).unwrap();
    assert_eq!(check.finding, Finding::Notice);
    assert!(check.remedy.as_ref().unwrap().contains("apt-get install chromium-headless-shell"), "{check:?}");
}

#[test]
fn app_that_was_not_deployed_has_no_screenshot() {
    let host = SimHost::behaving(HostBehaviour { deploy: CallBehaviour::Fails, ..HostBehaviour::WORKING });

    let run = run_on(host).finish().step("screenshot", Status::Unver);

    assert_eq!(screenshot_file(&run), None);
}

#[test]
fn each_plan_has_one_screenshot_before_the_undeploy() {
    for tiers in [&[Tier::Install][..], &Tier::ALL] {
        let plan = planned(&request(tiers));

        let position = |step: &Step| plan.steps.iter().position(|planned| planned.step == *step).unwrap();
        assert!(position(&Step::Screenshot) < position(&Step::Undeploy), "{tiers:?}");
        assert_eq!(plan.steps.iter().filter(|planned| planned.step == Step::Screenshot).count(), 1, "{tiers:?}");
    }
}
