//! Whole runs on simulated hosts with and without a browser: a picture is for people, and counts for nothing.

use harness::{
    model::outcome::{Status, Tier},
    pure::run::{plan::Step, verdict::VerdictOutcome::Green},
};
use unit_tests::{
    event_log,
    sim_browser::SimBrowser,
    sim_host::{Does, Manners, SimHost, WELL},
};

use crate::run::told_of;

const INSTALL: &[Tier] = &[Tier::Install];

fn host(manners: Manners, browser: SimBrowser) -> SimHost {
    let mut host = SimHost::healthy(manners);
    host.browser = browser;
    host
}

#[test]
fn a_run_is_green_whatever_became_of_its_picture() {
    for (browser, status, words, file) in [
        (SimBrowser::Page, Status::Pass, "", Some("screenshot.png")),
        (SimBrowser::Blank, Status::Unver, "the first page shows nothing", Some("screenshot.png")),
        (SimBrowser::Absent, Status::Unver, "there is no Chromium; install it", None),
    ] {
        let told = told_of(host(WELL, browser), INSTALL, None);
        assert_eq!((told.colour, told.exit), (Green, 0), "{browser:?}: {}", told.why);
        let step = told.results.step("screenshot").unwrap();
        assert_eq!(step.status, status, "{browser:?}");
        assert!(step.summary.contains(words), "{browser:?}: {}", step.summary);
        assert_eq!(told.results.screenshot.as_deref(), file, "{browser:?}");
    }
}

#[test]
fn a_machine_without_a_browser_is_told_with_the_remedy() {
    let told = told_of(host(WELL, SimBrowser::Absent), INSTALL, None);
    let check = told.results.preflight.iter().find(|check| check.topic.name() == "browser").unwrap();
    assert_eq!(check.finding.name(), "notice");
    assert!(check.remedy.as_ref().unwrap().contains("apt-get install chromium-headless-shell"), "{check:?}");
}

#[test]
fn there_is_no_picture_of_an_app_that_was_not_deployed() {
    let told = told_of(host(Manners { deploy: Does::Fails, ..WELL }, SimBrowser::Page), INSTALL, None);
    let step = told.results.step("screenshot").unwrap();
    assert_eq!((step.status, told.results.screenshot), (Status::Unver, None));
}

#[test]
fn every_run_takes_one_picture_before_the_app_goes() {
    for tiers in [INSTALL, &Tier::ALL] {
        let plan = event_log::planned(&event_log::request(tiers));
        let at = |wanted: &Step| plan.steps.iter().position(|planned| planned.step == *wanted).unwrap();
        assert!(at(&Step::Screenshot) < at(&Step::Undeploy));
        assert_eq!(plan.steps.iter().filter(|planned| planned.step == Step::Screenshot).count(), 1);
    }
}
