//! The log of taster's own work: events of `tracing` as lines on standard error.
//!
//! Every line passes the filter of secrets, because the text of an error may come from an app or its engine. Warnings and errors
//! are written always, more only as `TASTER_LOG` says: a run shows its progress by its reporters, and the log is for those who
//! look for a defect.

use std::{
    ffi::OsStr,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use harness::redact::Redact;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt};

use crate::error::CommandError;

/// The environment variable with the level of the log.
pub const VARIABLE: &str = "TASTER_LOG";
/// The level without the variable.
const DEFAULT_LEVEL: LevelFilter = LevelFilter::WARN;
/// The crates whose events are written. Those of libraries are of no use to a reader of taster's log.
const CRATES: [&str; 4] = ["harness", "recipes", "runner", "sandbox"];

/// The filters of the runs of this process. `tracing` has one subscriber a process, so its writer has one list.
static FILTERS: Mutex<Vec<Weak<Redact>>> = Mutex::new(Vec::new());

/// Hides the secrets that `redact` knows, now and later, from the log, as long as the filter lives.
pub fn hide_secrets_of(redact: &Arc<Redact>) {
    let mut filters = FILTERS.lock().unwrap_or_else(PoisonError::into_inner);
    filters.retain(|filter| filter.strong_count() > 0);
    filters.push(Arc::downgrade(redact));
}

/// Starts the log of this process; `value` is that of [`VARIABLE`]. A second call changes nothing.
pub fn init(value: Option<&OsStr>) -> Result<(), CommandError> {
    let level = level(value)?;
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(RedactedStderr);
    let crates = CRATES.iter().fold(Targets::new(), |targets, name| targets.with_target(*name, level));
    // The only error is that the process has a subscriber already.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines).with(crates));
    Ok(())
}

fn level(value: Option<&OsStr>) -> Result<LevelFilter, CommandError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(DEFAULT_LEVEL) };
    value.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        CommandError::usage(format!("{VARIABLE} names no level: {}", value.to_string_lossy()))
            .hint("The levels are off, error, warn, info, debug and trace.")
    })
}

/// Standard error behind the filters. The subscriber writes each event at once, as whole lines.
#[derive(Clone, Copy)]
struct RedactedStderr;

impl Write for RedactedStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(redacted(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for RedactedStderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

fn redacted(text: &str) -> String {
    let filters: Vec<Arc<Redact>> =
        FILTERS.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect();
    filters.iter().fold(text.to_owned(), |text, filter| filter.text(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_line_hides_secrets_as_long_as_their_filter_lives() {
        let redact = Arc::new(Redact::new());
        hide_secrets_of(&redact);
        redact.learn("hunter2-secret");
        assert!(!redacted("the engine answers: hunter2-secret\n").contains("hunter2"));
        drop(redact);
        assert_eq!(redacted("no filter: hunter2-secret\n"), "no filter: hunter2-secret\n");
    }

    #[test]
    fn level_is_warn_without_a_value_and_an_unknown_one_is_usage() {
        for (value, expected) in [(None, LevelFilter::WARN), (Some(""), LevelFilter::WARN), (Some("debug"), LevelFilter::DEBUG)] {
            assert_eq!(level(value.map(OsStr::new)).unwrap(), expected);
        }
        let error = level(Some(OsStr::new("loud"))).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit_code().code()), ("TASTER_LOG names no level: loud", 2));
    }
}
