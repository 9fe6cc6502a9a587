//! Reports: functions of a run's state, and the reporters that write and print them.
//!
//! No report derives a verdict by itself, so that all of them say the same. [`Format`] lists the formats.

pub mod badge;
pub mod customization;
mod files;
mod format;
pub mod html;
pub mod junit;
pub mod repeat;
pub mod results;
pub mod summary;
pub mod terminal;

use std::{path::Path, sync::Arc};

pub use files::ReportFile;
pub use format::Format;
pub use results::results_schema;

use self::results::Results;
use crate::{
    ports::{ReportError, Reporter, RunFolder},
    pure::run::{
        event::{Event, Kind},
        level::{self, level, rungs},
        state::RunState,
        verdict::verdict_so_far,
    },
    redact::Redact,
};

/// Verdict and level in one line, as every report shows them: `green (install), level 1: upgrade was not asked for`.
pub fn verdict_line(state: &RunState) -> String {
    level::line(&verdict_so_far(state), &level(&rungs(state)))
}

/// Whether the run used the sandbox's abra, which every report says with the verdict.
pub fn sandbox_abra(state: &RunState) -> bool {
    state.tools.get("abra").is_some_and(|version| version.contains("sandbox"))
}

/// The reporters that keep the files of a run's folder.
pub fn reporters(folder: &Arc<dyn RunFolder>, redact: &Arc<Redact>) -> Vec<Box<dyn Reporter>> {
    documents(folder, redact).map(|document| Box::new(document) as Box<dyn Reporter>).collect()
}

/// Writes all report files of a run into its folder, at any moment of it. A file that cannot be written stays as it was. What
/// `results.json` has hidden stays hidden, besides what `redact` knows.
pub fn write_all(folder: &Arc<dyn RunFolder>, state: &RunState, redact: &Arc<Redact>) {
    let old = folder.read(Path::new(ReportFile::Results.name())).ok();
    let old = old.and_then(|text| serde_json::from_slice(&text).ok()).map(results::current);
    if let (Some(old), Ok(new)) = (old, serde_json::to_value(Results::from(state))) {
        redact.learn_hidden(&old, &new);
    }
    for document in documents(folder, redact) {
        let _ = document.write(state);
    }
}

fn documents(folder: &Arc<dyn RunFolder>, redact: &Arc<Redact>) -> impl Iterator<Item = Document> {
    let (folder, redact) = (folder.clone(), redact.clone());
    ReportFile::ALL.into_iter().map(move |file| Document { file, folder: folder.clone(), redact: redact.clone() })
}

/// Writes a report into the run's folder: `results.json` at the start and after each step, so that a run that is killed leaves a
/// true one, the others when the run ends.
pub struct Document {
    /// The file.
    pub file: ReportFile,
    /// The folder of the run.
    pub folder: Arc<dyn RunFolder>,
    /// The filter of what is written.
    pub redact: Arc<Redact>,
}

impl Document {
    fn write(&self, state: &RunState) -> Result<(), ReportError> {
        let name = self.file.name();
        let text = self.file.render(state, &*self.folder, &self.redact)?;
        self.folder.replace(Path::new(name), text.as_bytes()).map_err(|error| ReportError::write(name, error))
    }

    fn is_due(&self, kind: &Kind) -> bool {
        match kind {
            Kind::RunFinished => true,
            Kind::RunStarted { .. } | Kind::Planned { .. } | Kind::StepFinished { .. } | Kind::CancelRequested { .. } => {
                self.file == ReportFile::Results
            }
            _ => false,
        }
    }
}

impl Reporter for Document {
    fn on(&mut self, event: &Event, state: &RunState) -> Result<(), ReportError> {
        if self.is_due(&event.kind) { self.write(state) } else { Ok(()) }
    }
}
