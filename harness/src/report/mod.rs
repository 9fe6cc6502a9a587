//! Reports: functions of a run's state, and the reporters that write and print them.

pub mod badge;
pub mod customization;
pub mod html;
pub mod junit;
pub mod results;
pub mod terminal;

use std::{path::Path, sync::Arc};

pub use results::results_schema;

use crate::{
    adapters::folder::Folder,
    engine::log::Reporter,
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

/// Whether the run was driven with the sandbox's abra, which every report says beside the verdict.
pub fn sandbox_abra(state: &RunState) -> bool {
    state.tools.get("abra").is_some_and(|version| version.contains("sandbox"))
}

/// Writes a report into the run's folder when the run ends.
pub struct Document {
    folder: Folder,
    redact: Arc<Redact>,
    file: &'static str,
    made: fn(&RunState, &Folder) -> Result<String, String>,
}

impl Document {
    /// `junit.xml`, see [`junit::junit`].
    pub fn junit(folder: Folder, redact: Arc<Redact>) -> Self {
        let made = |state: &RunState, _: &Folder| junit::junit(state).to_string().map_err(|error| error.to_string());
        Self { folder, redact, file: "junit.xml", made }
    }

    /// `report.html`, see [`html::page`].
    pub fn page(folder: Folder, redact: Arc<Redact>) -> Self {
        let made = |state: &RunState, folder: &Folder| {
            // A page without the picture is better than none.
            let picture = state.screenshot.as_ref().and_then(|file| std::fs::read(folder.root().join(file)).ok());
            html::page(state, picture.as_deref())
        };
        Self { folder, redact, file: "report.html", made }
    }

    /// `badge.svg`, see [`badge::badge`].
    pub fn badge(folder: Folder, redact: Arc<Redact>) -> Self {
        Self { folder, redact, file: "badge.svg", made: |state, _| badge::badge(state) }
    }
}

impl Document {
    /// The text of the document.
    pub fn text(&self, state: &RunState) -> Result<String, String> {
        // The log has filtered every text when it was recorded; this is for a secret that was learnt only after that.
        (self.made)(state, &self.folder).map(|text| self.redact.markup(&text))
    }
}

/// Writes all reports of a run into its folder, whatever it has come to. What cannot be written is left as it was. What `results.json`
/// has hidden stays hidden, besides what `redact` knows.
pub fn write_all(folder: &Folder, state: &RunState, redact: &Arc<Redact>) {
    let results = Path::new("results.json");
    let old = std::fs::read(folder.root().join(results)).ok().and_then(|text| serde_json::from_slice(&text).ok());
    if let (Some(old), Ok(new)) = (old, serde_json::to_value(results::ResultsV1::from(state))) {
        redact.learn_hidden(&old, &new);
    }
    if let Ok(text) = results::document(state, redact) {
        let _ = folder.replace(results, &text);
    }
    for document in [Document::junit, Document::page, Document::badge].map(|document| document(folder.clone(), redact.clone())) {
        if let Ok(text) = document.text(state) {
            let _ = folder.replace(Path::new(document.file), &text);
        }
    }
}

impl Reporter for Document {
    fn on(&mut self, event: &Event, state: &RunState) -> Result<(), String> {
        if !matches!(event.kind, Kind::RunFinished) {
            return Ok(());
        }
        let file = self.file;
        self.folder.replace(Path::new(file), &self.text(state)?).map_err(|error| format!("{file} cannot be written: {error}"))
    }
}
