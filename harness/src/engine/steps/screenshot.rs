//! Takes a picture of the app. It is for people to look at and counts for nothing.

use std::time::Duration;

use super::Context;
use crate::{
    model::{
        outcome::{Cause, Failure, Gap, Outcome},
        protocol::SCREENSHOT,
    },
    ports::{NoShot, Shot},
    pure::run::event::Note,
};

/// How much earlier than the step the browser has to end, so that the step ends by its own word.
const GRACE: Duration = Duration::from_secs(5);

pub(super) async fn screenshot(context: &Context<'_>, budget: Duration) -> Outcome {
    let head = match context.head() {
        Ok(head) => head,
        Err(failure) => return failure.into(),
    };
    if context.log.state().runs.is_none() {
        return Outcome::Unverified(Gap::NotRun { because: "nothing was deployed".into() });
    }
    let Shot { picture, remark } = match context.ports.browser.shot(head, budget.saturating_sub(GRACE)).await {
        Ok(shot) => shot,
        Err(NoShot::Absent { what }) => return Outcome::Unverified(Gap::ToolAbsent { what }),
        Err(NoShot::Unread { what }) => return Outcome::Unverified(Gap::Unread { what }),
    };
    if let Err(error) = context.folder.replace(SCREENSHOT.as_ref(), picture) {
        return Failure::new(Cause::Panic, format!("the picture cannot be kept: {error}")).into();
    }
    context.log.note(Note::Screenshot { file: SCREENSHOT.to_owned() });
    match remark {
        None => Outcome::Passed,
        Some(what) => Outcome::Unverified(Gap::Unread { what }),
    }
}
