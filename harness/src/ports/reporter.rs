//! Reporters: what receives the events of a run.

use std::{error::Error, fmt};

use crate::pure::run::{event::Event, state::RunState};

/// Receives every event and the resulting state.
pub trait Reporter: Send {
    /// Takes an event. After an error the reporter receives no further one; the run goes on with a warning.
    fn on(&mut self, event: &Event, state: &RunState) -> Result<(), ReportError>;
}

/// Why a report cannot be made or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The state has no form in this report.
    #[error("{report} cannot be made")]
    Content {
        /// The report: `junit.xml`.
        report: String,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The report cannot be written to its place.
    #[error("{report} cannot be written")]
    Write {
        /// The report: `junit.xml`, or `the terminal`.
        report: String,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ReportError {
    /// The state has no form in `report`.
    pub fn content(report: impl fmt::Display, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Content { report: report.to_string(), source: source.into() }
    }

    /// `report` cannot be written to its place.
    pub fn write(report: impl fmt::Display, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Write { report: report.to_string(), source: source.into() }
    }
}
