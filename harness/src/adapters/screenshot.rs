//! The browser behind the port. It takes the screenshot in a separate process, which ends like that of a pack's function.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    browser,
    pack_program::{PackProgram, ProgramSetup},
};
use crate::{
    model::{
        head::Head,
        pack::TestName,
        protocol::{Ended, SCREENSHOT, Tools},
        tested_app::{Images, TestedApp},
    },
    ports::{Browser, BrowserError, ChildRegister, Screenshot, TestProgram},
    pure::host::preflight::BROWSER_REMEDY,
    redact::Redact,
};

/// The program that takes the screenshot of a run.
pub struct ScreenshotProgram {
    tools: Tools,
    /// Whether the browser has to trust a CA of the host.
    trusts: bool,
    program: PackProgram,
}

impl ScreenshotProgram {
    /// The program that `setup` names.
    pub fn new(setup: ProgramSetup, children: Arc<dyn ChildRegister>, redact: Arc<Redact>) -> Self {
        let (tools, trusts) = (browser::find(&setup.path), setup.host.ca.is_some());
        Self { tools, trusts, program: PackProgram::new(setup, children, redact) }
    }
}

#[async_trait]
impl Browser for ScreenshotProgram {
    fn found(&self) -> Result<String, BrowserError> {
        match browser::missing(&self.tools, self.trusts) {
            None => Ok(self.tools.browser.as_ref().map_or_else(|| "none".to_owned(), |browser| browser.display().to_string())),
            Some(what) => Err(BrowserError::Absent { what }),
        }
    }

    async fn screenshot(&self, head: &Head, budget: Duration) -> Result<Screenshot, BrowserError> {
        let failed = |what: String| BrowserError::NoScreenshot { what };
        self.found().map_err(|error| BrowserError::Absent { what: format!("{error}; {BROWSER_REMEDY}") })?;
        let ran = self
            .program
            .run_one(&TestName::reported("screenshot"), TestedApp { head, images: &Images::default() }, budget)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let answer = ran.answer.ok_or_else(|| failed("the browser did not finish".into()))?;
        let image = ran.attachments.into_iter().find(|attached| attached.name == SCREENSHOT);
        let image = image.and_then(|attached| attached.bytes.ok());
        let remark = match answer.ended {
            Ended::Passed | Ended::Unwritten => None,
            Ended::ToolAbsent { what } => return Err(BrowserError::Absent { what }),
            Ended::Failed { sentence, .. } | Ended::Panicked { sentence } | Ended::NotApplicable { reason: sentence } => {
                Some(sentence)
            }
            Ended::TimedOut { .. } => Some("the page did not load in time".into()),
        };
        match (image, remark) {
            (Some(image), remark) => Ok(Screenshot { image, remark }),
            (None, Some(what)) => Err(failed(what)),
            (None, None) => Err(failed("the browser left no screenshot".into())),
        }
    }
}
