//! The evidence of a pack's function: attached files, and what its browsers show when it fails.

use std::{
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::timeout;

use super::open_browser::OpenBrowser;
use crate::model::protocol::{Attachment, Ended, FunctionContext};

/// The budget for the evidence of one browser. The process ends soon after its function.
const EVIDENCE_TIMEOUT: Duration = Duration::from_millis(1500);

/// The evidence of a function.
#[derive(Default)]
pub(super) struct FunctionEvidence {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    browsers: Vec<Arc<OpenBrowser>>,
    attachments: Vec<Attachment>,
}

impl FunctionEvidence {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a browser, which ends with the function.
    pub(super) fn add_browser(&self, browser: Arc<OpenBrowser>) {
        self.kept().browsers.push(browser);
    }

    /// Adds a file with this name and content.
    pub(super) fn attach(&self, work_dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
        if self.kept().attachments.iter().any(|known| known.name == name) {
            return Err(io::Error::other("another attached file has the same name"));
        }
        let mut file = tempfile::Builder::new().prefix("attached-").tempfile_in(work_dir)?;
        file.write_all(content)?;
        let (_, file) = file.keep().map_err(|error| error.error)?;
        self.kept().attachments.push(Attachment { name: name.to_owned(), file });
        Ok(())
    }

    pub(super) fn taken(&self) -> Vec<Attachment> {
        std::mem::take(&mut self.kept().attachments)
    }

    /// Ends the function's browsers. For a failed function each browser first leaves a screenshot and its console.
    pub(super) async fn gather(&self, context: &FunctionContext, ended: &Ended) {
        let browsers = std::mem::take(&mut self.kept().browsers);
        match ended {
            Ended::Passed | Ended::NotApplicable { .. } | Ended::ToolAbsent { .. } | Ended::Unwritten => return,
            Ended::Failed { .. } | Ended::Panicked { .. } | Ended::TimedOut { .. } => {}
        }
        for (number, browser) in browsers.iter().enumerate() {
            let suffix = if number == 0 { String::new() } else { format!("-{}", number + 1) };
            // Missing evidence does not change the function's result.
            let console = timeout(EVIDENCE_TIMEOUT, browser.console_text())
                .await
                .unwrap_or_else(|_| "the browser does not answer\n".into());
            let _ = self.attach(&context.work_dir, &format!("console{suffix}.txt"), console.as_bytes());
            if let Ok(Ok(picture)) = timeout(EVIDENCE_TIMEOUT, browser.session().screenshot()).await {
                let _ = self.attach(&context.work_dir, &format!("page{suffix}.png"), &picture);
            }
        }
    }
}
