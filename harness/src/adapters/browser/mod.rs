//! Chromium, driven by chromedriver over plain HTTP on the loopback.

mod session;
mod tools;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

pub use session::{Act, Line, NoBrowser, NotDone, Session, Unloaded};
pub use tools::find;

use super::program::{PackProgram, Setup};
use crate::{
    model::{
        head::Head,
        pack::TestName,
        protocol::{Ended, SCREENSHOT, Tools},
    },
    ports::{Browser, ChildRegister, NoShot, Shot, TestProgram},
    pure::host::preflight::BROWSER_REMEDY,
    redact::Redact,
};

/// What a run wants of a browser itself. It is a process of its own, like a function of a pack, so that it is ended like one.
pub struct Photographer {
    tools: Tools,
    trusts: bool,
    program: PackProgram,
}

impl Photographer {
    /// One that takes its pictures with the program that `setup` names.
    pub fn new(setup: Setup, children: Arc<dyn ChildRegister>, redact: Arc<Redact>) -> Self {
        let (tools, trusts) = (find(&setup.path), setup.host.ca.is_some());
        Self { tools, trusts, program: PackProgram::new(setup, children, redact) }
    }
}

#[async_trait]
impl Browser for Photographer {
    fn found(&self) -> Result<String, String> {
        match tools::missing(&self.tools, self.trusts) {
            None => Ok(tools::told(&self.tools)),
            Some(missing) => Err(missing),
        }
    }

    async fn shot(&self, head: &Head, budget: Duration) -> Result<Shot, NoShot> {
        let unread = |what: String| NoShot::Unread { what };
        self.found().map_err(|what| NoShot::Absent { what: format!("{what}; {BROWSER_REMEDY}") })?;
        let ran = self
            .program
            .run_one(&TestName::reported("screenshot"), head, budget)
            .await
            .map_err(|error| unread(error.to_string()))?;
        let answer = ran.answer.ok_or_else(|| unread("the browser did not come to an end".into()))?;
        let picture = ran.attachments.into_iter().find(|attached| attached.name == SCREENSHOT);
        let picture = picture.and_then(|attached| attached.bytes.ok());
        let remark = match answer.ended {
            Ended::Passed | Ended::Unwritten => None,
            Ended::ToolAbsent { what } => return Err(NoShot::Absent { what }),
            Ended::Failed { sentence, .. } | Ended::Panicked { sentence } | Ended::NotApplicable { reason: sentence } => {
                Some(sentence)
            }
            Ended::TimedOut { .. } => Some("the page did not come about in time".into()),
        };
        match (picture, remark) {
            (Some(picture), remark) => Ok(Shot { picture, remark }),
            (None, Some(what)) => Err(unread(what)),
            (None, None) => Err(unread("no picture was left".into())),
        }
    }
}
