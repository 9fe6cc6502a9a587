//! The picture of the app that each run takes: a function like those of a pack, which taster brings itself.

use std::{
    panic::Location,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    Checked, Failed, TestContext, boxed,
    program::{Work, run, say},
};
use crate::{
    model::{
        protocol::{Ended, SCREENSHOT},
        time::format_duration,
    },
    pure::run::blank_screenshot::{Picture, fitting},
};

/// How long the app may be out of reach: it answered before.
const REACH: Duration = Duration::from_secs(5);
/// How long a page may move before it is pictured as it is.
const SETTLE: Duration = Duration::from_secs(2);
/// How long a page may show nothing.
const PATIENCE: Duration = Duration::from_secs(8);
/// The pause between two pictures.
const PAUSE: Duration = Duration::from_millis(100);
/// The most that the picture has, in bytes, so that a page with it inside stays below a megabyte.
const MOST: usize = 600 << 10;

/// Takes a picture of the app that `context` names, and leaves it with the answer.
pub fn shot(context: Option<&Path>) -> ExitCode {
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
    let browser = cx.browser().await?.budget(REACH);
    let status = browser.goto("/").await?;
    let (at, began) = (Location::caller(), Instant::now());
    let mut before: Option<Vec<u8>> = None;
    let (file, seen) = loop {
        let file = browser.picture(at).await?;
        let still = before.as_ref() == Some(&file);
        let shows = Picture::read(&file)?.shows_a_page(still);
        if shows && (still || began.elapsed() > SETTLE) {
            break (file, true);
        }
        if began.elapsed() > PATIENCE {
            break (file, shows);
        }
        before = Some(file);
        sleep(PAUSE).await;
    };
    cx.evidence().attach(&cx.context().room, SCREENSHOT, &fitting(file, MOST)?)?;
    if !seen {
        return Err(Failed::from(format!("the first page shows nothing, for {}", format_duration(began.elapsed()))));
    }
    match status {
        500.. => Err(Failed::from(format!("the first page answers {status}"))),
        _ => Ok(()),
    }
}
