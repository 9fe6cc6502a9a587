//! A simulated browser.

use std::time::Duration;

use async_trait::async_trait;
use harness::{
    model::head::Head,
    ports::{Browser, NoShot, Shot},
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
    fn found(&self) -> Result<String, String> {
        match self {
            SimBrowser::Page | SimBrowser::Blank => Ok("/usr/bin/chromium".into()),
            SimBrowser::Absent => Err("there is no Chromium".into()),
        }
    }

    async fn shot(&self, _: &Head, _: Duration) -> Result<Shot, NoShot> {
        let picture = PICTURE.to_vec();
        match self {
            SimBrowser::Page => Ok(Shot { picture, remark: None }),
            SimBrowser::Blank => Ok(Shot { picture, remark: Some("the first page shows nothing".into()) }),
            SimBrowser::Absent => Err(NoShot::Absent { what: "there is no Chromium; install it".into() }),
        }
    }
}
