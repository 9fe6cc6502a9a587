//! A simulated browser.

use std::time::Duration;

use async_trait::async_trait;
use harness::{
    model::head::Head,
    ports::{Browser, BrowserError, Screenshot},
};

/// What the machine has of a browser, and what that shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SimBrowser {
    /// The app.
    #[default]
    Page,
    /// Nothing, though the app is there.
    Blank,
    /// There is none.
    Absent,
}

/// The bytes of each picture.
pub const PICTURE: &[u8] = b"a picture";

#[async_trait]
impl Browser for SimBrowser {
    fn found(&self) -> Result<String, BrowserError> {
        match self {
            SimBrowser::Page | SimBrowser::Blank => Ok("/usr/bin/chromium".into()),
            SimBrowser::Absent => Err(BrowserError::Absent { what: "there is no Chromium".into() }),
        }
    }

    async fn screenshot(&self, _: &Head, _: Duration) -> Result<Screenshot, BrowserError> {
        let image = PICTURE.to_vec();
        match self {
            SimBrowser::Page => Ok(Screenshot { image, remark: None }),
            SimBrowser::Blank => Ok(Screenshot { image, remark: Some("the first page shows nothing".into()) }),
            SimBrowser::Absent => Err(BrowserError::Absent { what: "there is no Chromium; install it".into() }),
        }
    }
}
