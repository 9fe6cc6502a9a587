//! The report files of a run's folder: their names.

use std::path::Path;

/// A file of the run's folder that reports the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFile {
    /// `results.json`, for programs.
    Results,
    /// `junit.xml`, for CI.
    Junit,
    /// `report.html`, for people.
    Page,
    /// `badge.svg`, for a page that lists recipes.
    Badge,
}

impl ReportFile {
    /// All of them.
    pub const ALL: [ReportFile; 4] = [ReportFile::Results, ReportFile::Junit, ReportFile::Page, ReportFile::Badge];

    /// The name of the file.
    pub fn name(self) -> &'static str {
        match self {
            ReportFile::Results => "results.json",
            ReportFile::Junit => "junit.xml",
            ReportFile::Page => "report.html",
            ReportFile::Badge => "badge.svg",
        }
    }

    /// Whether the file is in the folder of a run.
    pub fn is_in(self, folder: &Path) -> bool {
        folder.join(self.name()).is_file()
    }
}
