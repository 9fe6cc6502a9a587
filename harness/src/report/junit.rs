//! `junit.xml`: the recipe's fault is a failure, anybody else's an error, and what was not verified is an error too.

use std::path::Path;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::results::{ResultsV1, Stage, Status};
use crate::{
    adapters::folder::Folder,
    event::{Event, Kind},
    log::Reporter,
    model::outcome::Owner,
    state::RunState,
};

/// The report of a run: one suite with a case for each step of a tier and one for each of its checks.
pub fn junit(state: &RunState) -> Report {
    let results = ResultsV1::from(state);
    let mut suite = TestSuite::new(results.recipe.clone());
    for stage in results.stages.iter().filter(|stage| stage.tier.is_some()) {
        let tier = stage.tier.map(|tier| tier.name()).unwrap_or_default();
        let mut case = TestCase::new(stage.name.clone(), status(stage.status, stage.owner, &stage.summary));
        case.set_classname(tier).set_time(std::time::Duration::from_millis(stage.duration_ms));
        suite.add_test_case(case);
        suite.add_test_cases(checks(stage, tier));
    }
    let mut report = Report::new(format!("taster {}", results.run_id));
    report.add_test_suite(suite);
    report
}

fn checks<'a>(stage: &'a Stage, tier: &'a str) -> impl Iterator<Item = TestCase> + 'a {
    stage.tests.iter().map(move |check| {
        let mut case = TestCase::new(check.name.clone(), status(check.status, stage.owner, &check.summary));
        case.set_classname(tier);
        case
    })
}

fn status(status: Status, owner: Option<Owner>, summary: &str) -> TestCaseStatus {
    let mut told = match (status, owner) {
        (Status::Pass, _) => TestCaseStatus::success(),
        (Status::Skip, _) => TestCaseStatus::skipped(),
        (Status::Fail, Some(Owner::Recipe)) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        (Status::Fail | Status::Unver, _) => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if !summary.is_empty() {
        told.set_message(summary);
    }
    told
}

/// The text of `junit.xml`.
pub fn document(state: &RunState) -> Result<String, String> {
    junit(state).to_string().map_err(|error| error.to_string())
}

/// Writes `junit.xml` when the run ends.
pub struct JunitFile {
    folder: Folder,
}

impl JunitFile {
    /// Writes into the run's folder.
    pub fn in_folder(folder: Folder) -> Self {
        Self { folder }
    }
}

impl Reporter for JunitFile {
    fn on(&mut self, event: &Event, state: &RunState) -> Result<(), String> {
        if !matches!(event.kind, Kind::RunFinished) {
            return Ok(());
        }
        self.folder
            .replace(Path::new("junit.xml"), &document(state)?)
            .map_err(|error| format!("junit.xml cannot be written: {error}"))
    }
}
