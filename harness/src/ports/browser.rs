//! The browser of a run itself. Tests of a pack open theirs in their own process.

use std::time::Duration;

use async_trait::async_trait;

use crate::model::head::Head;

/// Takes screenshots of the app.
#[async_trait]
pub trait Browser: Send + Sync {
    /// Which browser there is.
    fn found(&self) -> Result<String, BrowserError>;
    /// A screenshot of the app's first page. No process of the browser is alive when this returns.
    async fn screenshot(&self, head: &Head, budget: Duration) -> Result<Screenshot, BrowserError>;
}

/// A screenshot of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screenshot {
    /// A PNG that is small enough to embed in a page.
    pub image: Vec<u8>,
    /// Why it may not show the app, when that is so.
    pub remark: Option<String>,
}

/// Why there is no screenshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrowserError {
    /// There is no browser.
    #[error("{what}")]
    Absent {
        /// What is missing; where a run needs it, with the remedy.
        what: String,
    },
    /// There is a browser, and it gave no screenshot.
    #[error("{what}")]
    NoScreenshot {
        /// Why not.
        what: String,
    },
}
