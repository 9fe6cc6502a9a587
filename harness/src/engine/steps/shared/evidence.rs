//! Files in the run's folder that show what an outcome rests on.

use std::path::PathBuf;

use super::context::StepContext;
use crate::{
    model::{
        outcome::Failure,
        text::{plain, with_causes},
    },
    pure::run::{
        event::{Kind, tail},
        plan::StepId,
    },
};

/// A text that is kept in the run's folder for the readers of the results.
pub(in crate::engine::steps) struct StepEvidence<'a> {
    /// The step that it belongs to.
    pub(in crate::engine::steps) step: &'a StepId,
    /// The name of the file, within the folder of evidence.
    pub(in crate::engine::steps) name: &'a str,
    /// What it shows.
    pub(in crate::engine::steps) what: String,
}

impl StepEvidence<'_> {
    /// Keeps `text` with its secrets hidden, and returns where. A text that cannot be kept changes no outcome, so that is a
    /// warning.
    pub(in crate::engine::steps) fn keep(self, context: &StepContext<'_>, text: &str) -> Option<PathBuf> {
        let StepEvidence { step, name, what } = self;
        // The tail is cut off after redaction: a cut secret would not be recognised.
        let text = plain(&context.log.redact(text));
        match context.folder.keep(name, text.as_bytes()) {
            Ok(file) => {
                context.log.record(Kind::EvidenceKept { step: step.clone(), file: file.clone(), what, tail: tail(&text) });
                Some(file)
            }
            Err(error) => {
                context.log.record(Kind::Warned { text: format!("{name} of {step} is not kept: {}", with_causes(&error)) });
                None
            }
        }
    }

    /// The failure with `text` as its evidence, where that can be kept.
    pub(in crate::engine::steps) fn attach_to(self, failure: Failure, context: &StepContext<'_>, text: &str) -> Failure {
        match self.keep(context, text) {
            Some(file) => Failure { evidence: file.display().to_string(), ..failure },
            None => failure,
        }
    }
}
