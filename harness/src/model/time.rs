//! The two clocks of a run: monotonic time for decisions, and wall time for people.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Milliseconds since the run (or the recording) started, on a monotonic clock. Decisions use only this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Mono(pub u64);

impl Mono {
    /// The time from `earlier` to this one; zero when `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This time plus `wait`.
    pub fn after(self, wait: Duration) -> Mono {
        Mono(self.0.saturating_add(millis(wait)))
    }
}

/// A moment on the wall clock, printed and serialised as RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Wall(jiff::Timestamp);

impl Wall {
    /// The moment `millis` milliseconds after the Unix epoch; the epoch itself when that is out of range.
    pub fn from_millis(millis: i64) -> Self {
        Self(jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    }

    /// Milliseconds since the Unix epoch.
    pub fn millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// `YYYYMMDD-HHMMSS` in UTC, the beginning of a run id.
    pub fn stamp(self) -> String {
        self.0.strftime("%Y%m%d-%H%M%S").to_string()
    }
}

impl JsonSchema for Wall {
    fn schema_name() -> Cow<'static, str> {
        "Wall".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "RFC 3339 in UTC with milliseconds." })
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl From<Wall> for String {
    fn from(wall: Wall) -> String {
        wall.to_string()
    }
}

impl TryFrom<String> for Wall {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

/// A duration in whole milliseconds, saturating.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration for people: `0.3 s`, `12 s`, `2 min 5 s`.
pub fn format_duration(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    let secs = duration.as_secs();
    match secs {
        0..10 => format!("{}.{} s", tenths / 10, tenths % 10),
        10..100 => format!("{secs} s"),
        _ if secs.is_multiple_of(60) => format!("{} min", secs / 60),
        _ => format!("{} min {} s", secs / 60, secs % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_rfc_3339_with_milliseconds() {
        let wall = Wall::from_millis(1_795_255_302_120);
        assert_eq!(wall.to_string(), "2026-11-21T10:01:42.120Z");
        assert_eq!(Wall::try_from(wall.to_string()).unwrap(), wall);
        assert_eq!(wall.stamp(), "20261121-100142");
    }

    #[test]
    fn durations_are_formatted_for_people() {
        for (millis, text) in [(0, "0.0 s"), (320, "0.3 s"), (12_900, "12 s"), (120_000, "2 min"), (125_400, "2 min 5 s")] {
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
    }
}
