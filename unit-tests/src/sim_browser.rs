//! A simulated browser.

use std::time::Duration;

use async_trait::async_trait;
use harness::{
    model::head::Head,
    ports::{Browser, BrowserError, Screenshot},
};

/// The browser of a machine, by the page that it shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SimBrowser {
    /// The page of the app.
    #[default]
    Page,
    /// A blank page, although the app answers.
    Blank,
    /// The machine has no browser.
    Absent,
}

/// The bytes of each screenshot.
const IMAGE: &[u8] = b"an image";

#[async_trait]
impl Browser for SimBrowser {
    fn found(&self) -> Result<String, BrowserError> {
        match self {
            SimBrowser::Page | SimBrowser::Blank => Ok("/usr/bin/chromium".into()),
            SimBrowser::Absent => Err(BrowserError::Absent { what: "there is no Chromium".into() }),
        }
    }

    async fn screenshot(&self, _: &Head, _: Duration) -> Result<Screenshot, BrowserError> {
        let image = IMAGE.to_vec();
        match self {
            SimBrowser::Page => Ok(Screenshot { image, remark: None }),
            SimBrowser::Blank => Ok(Screenshot { image, remark: Some("the first page shows nothing".into()) }),
            SimBrowser::Absent => Err(BrowserError::Absent { what: "there is no Chromium; install it".into() }),
        }
    }
}
