//! A browser, as far as a run itself needs one. Tests of a pack open theirs in their own process.

use std::time::Duration;

use async_trait::async_trait;

use crate::model::head::Head;

/// Who takes a picture of the app.
#[async_trait]
pub trait Browser: Send + Sync {
    /// Which browser there is; the error says what is missing.
    fn found(&self) -> Result<String, String>;
    /// A picture of the app's first page. Nothing of the browser is alive when this returns.
    async fn shot(&self, head: &Head, budget: Duration) -> Result<Shot, NoShot>;
}

/// A picture of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shot {
    /// The picture, as a PNG that is small enough to stand in a page.
    pub picture: Vec<u8>,
    /// Why it may not be one of the app, when that is so.
    pub remark: Option<String>,
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoShot {
    /// There is no browser.
    Absent {
        /// What is missing, with the remedy.
        what: String,
    },
    /// There is one, and it gave none.
    Unread {
        /// Why not.
        what: String,
    },
}
