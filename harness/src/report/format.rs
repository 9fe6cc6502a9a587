//! The formats that a command prints, and the text of each report.
//!
//! A new printed format is a variant of [`Format`], a new file of the run's folder one of [`ReportFile`]; the compiler then asks
//! for its name and its text. `taster run --format`, the help and the files of a run's folder are made from these lists.

use std::error::Error;

use super::{
    badge,
    files::ReportFile,
    html, junit, results,
    terminal::{self, EndingContext, Paint},
};
use crate::{
    model::text::plain,
    ports::{ReportError, RunFolder},
    pure::run::state::RunState,
    redact::Redact,
};

/// A format that a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The last lines on a terminal.
    Human,
    /// The content of `results.json`.
    Json,
    /// The content of `junit.xml`.
    Junit,
}

impl Format {
    /// All of them, the default first.
    pub const ALL: [Format; 3] = [Format::Human, Format::Json, Format::Junit];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Human => "human",
            Format::Json => "json",
            Format::Junit => "junit",
        }
    }

    /// The format with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The content, as the help has it.
    pub fn help(self) -> &'static str {
        match self {
            Format::Human => "The verdict, why, and what to do next",
            Format::Json => "The content of results.json",
            Format::Junit => "The content of junit.xml",
        }
    }

    /// The file of the run's folder with the same content; absent when there is none.
    pub fn file(self) -> Option<ReportFile> {
        match self {
            Format::Human => None,
            Format::Json => Some(ReportFile::Results),
            Format::Junit => Some(ReportFile::Junit),
        }
    }

    /// The text, without the secrets that `redact` knows by now.
    ///
    /// # Errors
    /// When the state has no form in this format.
    pub fn render(self, state: &RunState, folder: &dyn RunFolder, redact: &Redact, paint: Paint) -> Result<String, ReportError> {
        match self.file() {
            Some(file) => file.render(state, folder, redact),
            None => {
                let root = folder.root();
                let page = ReportFile::Page.is_in(root);
                let results = ReportFile::Results.is_in(root);
                let text = terminal::ending(state, EndingContext { folder: &root.display().to_string(), results, page, paint });
                Ok(redact.text(&text))
            }
        }
    }
}

impl ReportFile {
    /// The text, without the secrets that `redact` knows by now. The log has filtered every text when it was recorded; this is
    /// for a secret that was learnt only after that.
    ///
    /// # Errors
    /// When the state has no form in this format.
    pub fn render(self, state: &RunState, folder: &dyn RunFolder, redact: &Redact) -> Result<String, ReportError> {
        match self {
            ReportFile::Results => {
                // The texts of a run that goes on are still being written.
                let texts = if state.finished.is_some() { folder.texts() } else { Vec::new() };
                results::document(state, redact, texts).map_err(|error| self.content_error(error))
            }
            ReportFile::Junit => self.filtered(junit::junit(state).to_string(), redact),
            ReportFile::Page => self.filtered(html::page(state, screenshot(state, folder).as_deref()), redact),
            ReportFile::Badge => self.filtered(badge::badge(state), redact),
        }
    }

    fn filtered<E: Error + Send + Sync + 'static>(self, text: Result<String, E>, redact: &Redact) -> Result<String, ReportError> {
        text.map(|text| plain(&redact.markup(&text))).map_err(|error| self.content_error(error))
    }

    fn content_error(self, error: impl Error + Send + Sync + 'static) -> ReportError {
        ReportError::content(self.name(), error)
    }
}

/// The screenshot of the app. A page without it is better than none.
fn screenshot(state: &RunState, folder: &dyn RunFolder) -> Option<Vec<u8>> {
    state.screenshot.as_ref().and_then(|file| folder.read(file.as_ref()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_found_by_its_name() {
        for format in Format::ALL {
            assert_eq!(Format::named(format.name()), Some(format));
        }
        assert_eq!(Format::named("html"), None);
    }
}
