//! Chromium, driven by chromedriver over plain HTTP on the loopback.

mod session;
mod tools;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

pub use session::{Action, ConsoleLine, SessionError, ActionError, Session, LoadError};
pub use tools::find;

use super::program::{PackProgram, Setup};
use crate::{
    model::{
        head::Head,
        pack::TestName,
        protocol::{Ended, SCREENSHOT, Tools},
    },
    ports::{Browser, BrowserError, ChildRegister, Screenshot, TestProgram},
    pure::host::preflight::BROWSER_REMEDY,
    redact::Redact,
};

/// What a run wants of a browser itself. It is a process of its own, like a function of a pack, so that it is ended like one.
pub struct ScreenshotProgram {
    tools: Tools,
    trusts: bool,
    program: PackProgram,
}

impl ScreenshotProgram {
    /// One that takes its pictures with the program that `setup` names.
    pub fn new(setup: Setup, children: Arc<dyn ChildRegister>, redact: Arc<Redact>) -> Self {
        let (tools, trusts) = (find(&setup.path), setup.host.ca.is_some());
        Self { tools, trusts, program: PackProgram::new(setup, children, redact) }
    }
}

#[async_trait]
impl Browser for ScreenshotProgram {
    fn found(&self) -> Result<String, BrowserError> {
        match tools::missing(&self.tools, self.trusts) {
            None => Ok(tools::told(&self.tools)),
            Some(what) => Err(BrowserError::Absent { what }),
        }
    }

    async fn screenshot(&self, head: &Head, budget: Duration) -> Result<Screenshot, BrowserError> {
        let unread = |what: String| BrowserError::NoScreenshot { what };
        self.found().map_err(|error| BrowserError::Absent { what: format!("{error}; {BROWSER_REMEDY}") })?;
        let ran = self
            .program
            .run_one(&TestName::reported("screenshot"), head, budget)
            .await
            .map_err(|error| unread(error.to_string()))?;
        let answer = ran.answer.ok_or_else(|| unread("the browser did not come to an end".into()))?;
        let image = ran.attachments.into_iter().find(|attached| attached.name == SCREENSHOT);
        let image = image.and_then(|attached| attached.bytes.ok());
        let remark = match answer.ended {
            Ended::Passed | Ended::Unwritten => None,
            Ended::ToolAbsent { what } => return Err(BrowserError::Absent { what }),
            Ended::Failed { sentence, .. } | Ended::Panicked { sentence } | Ended::NotApplicable { reason: sentence } => {
                Some(sentence)
            }
            Ended::TimedOut { .. } => Some("the page did not come about in time".into()),
        };
        match (image, remark) {
            (Some(image), remark) => Ok(Screenshot { image, remark }),
            (None, Some(what)) => Err(unread(what)),
            (None, None) => Err(unread("no picture was left".into())),
        }
    }
}
