//! Takes a screenshot of the app for people. It changes no verdict.

use std::time::Duration;

use super::shared::context::StepContext;
use crate::{
    model::{
        outcome::{Cause, Failure, Gap, Outcome},
        protocol::SCREENSHOT,
        text::with_causes,
    },
    ports::{BrowserError, Screenshot},
    pure::run::event::Note,
};

/// How much earlier than the step the browser has to end, so that the step ends with the browser's result.
const REPORT_TIME: Duration = Duration::from_secs(5);

pub(super) async fn screenshot(context: &StepContext<'_>, budget: Duration) -> Outcome {
    let head = match context.head() {
        Ok(head) => head,
        Err(failure) => return failure.into(),
    };
    let runs = context.log.state().runs;
    if runs.is_none() {
        return Outcome::Unverified(Gap::NotRun { because: "nothing was deployed".into() });
    }
    let Screenshot { image, remark } = match context.ports.browser.screenshot(head, budget.saturating_sub(REPORT_TIME)).await {
        Ok(screenshot) => screenshot,
        Err(BrowserError::Absent { what }) => return Outcome::Unverified(Gap::ToolAbsent { what }),
        Err(BrowserError::NoScreenshot { what }) => return Outcome::Unverified(Gap::Unread { what }),
    };
    if let Err(error) = context.folder.replace(SCREENSHOT.as_ref(), &image) {
        let message = format!("the screenshot cannot be kept: {}", with_causes(&error));
        return Failure::new(Cause::Defect, message).into();
    }
    context.log.note(Note::Screenshot { file: SCREENSHOT.to_owned(), of: runs });
    match remark {
        None => Outcome::Passed,
        Some(what) => Outcome::Unverified(Gap::Unread { what }),
    }
}
