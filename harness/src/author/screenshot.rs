//! The app's screenshot of each run: a built-in function that runs like those of a pack.

use std::{
    panic::Location,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    Checked, TestContext, TestError, boxed,
    pack_main::{Work, run, say},
};
use crate::{
    model::{
        protocol::{Ended, SCREENSHOT},
        time::format_duration,
    },
    pure::run::blank_screenshot::{Picture, fitting},
};

/// The budget for reaching the app, which has answered before.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum time to wait for a page without motion.
const STILL_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum time to wait for a page that is not blank.
const CONTENT_TIMEOUT: Duration = Duration::from_secs(8);
/// The pause between two screenshots.
const SCREENSHOT_PAUSE: Duration = Duration::from_millis(100);
/// The maximum size of the screenshot in bytes, so that the report page stays below a megabyte.
const MAX_BYTES: usize = 600 << 10;

/// Takes a screenshot of the app that `context` names, and adds it to the answer.
pub fn take_screenshot(context: Option<&Path>) -> ExitCode {
    match run(context, Vec::new(), Work::Function(boxed(take))) {
        Ok(Ended::Passed) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(sentence) => {
            say(&sentence);
            ExitCode::FAILURE
        }
    }
}

async fn take(cx: TestContext) -> Checked {
    let browser = cx.browser().await?.budget(REACH_TIMEOUT);
    let status = browser.goto("/").await?;
    let (at, began) = (Location::caller(), Instant::now());
    let mut before: Option<Vec<u8>> = None;
    let (file, seen) = loop {
        let file = browser.picture(at).await?;
        let still = before.as_ref() == Some(&file);
        let shows = Picture::read(&file)?.shows_a_page(still);
        if shows && (still || began.elapsed() > STILL_TIMEOUT) {
            break (file, true);
        }
        if began.elapsed() > CONTENT_TIMEOUT {
            break (file, shows);
        }
        before = Some(file);
        sleep(SCREENSHOT_PAUSE).await;
    };
    cx.evidence().attach(&cx.context().work_dir, SCREENSHOT, &fitting(file, MAX_BYTES)?)?;
    if !seen {
        return Err(TestError::from(format!("the first page showed nothing for {}", format_duration(began.elapsed()))));
    }
    match status {
        500.. => Err(TestError::from(format!("the first page answers {status}"))),
        _ => Ok(()),
    }
}
