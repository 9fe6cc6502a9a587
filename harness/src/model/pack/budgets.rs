//! The times that a pack gives the waits of a run.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest waits of a run for this app, where the defaults are wrong for it. None is longer than the run's deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// Until all services have settled after a deploy. By default as long as the services' own health checks allow, and at least
    /// 20 minutes. A limit of the host file that is shorter counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle: Option<Budget>,
    /// Until the app answers over HTTP once it has settled. By default as long as its label `timeout` says, else 5 minutes, and
    /// 20 seconds once the health checks of all services that visitors reach have passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Budget>,
    /// Until a snapshot is made. By default 15 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Budget>,
    /// Until a snapshot is restored and the services run again. By default 15 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<Budget>,
    /// Until a custom test, a check or a hook of the pack ends. By default 2 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Budget>,
}

impl Budgets {
    /// The budgets that are given, each with its key.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let keys = "settle answer backup restore test".split(' ');
        let budgets = [self.settle, self.answer, self.backup, self.restore, self.test];
        keys.zip(budgets).filter_map(|(key, budget)| Some((key, budget?.time())))
    }
}

/// A time in settings: a number of seconds, or a text such as `90s`, `15m` or `2h`; at least a second and at most a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "u64")]
#[schemars(with = "Written")]
pub struct Budget(u64);

/// A time as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number of seconds, or a time such as \"90s\", \"15m\" or \"2h\"")]
enum Written {
    /// Seconds.
    Seconds(u64),
    /// A number with its unit.
    Text(String),
}

impl Budget {
    /// The longest time, in seconds: a day.
    const LONGEST: u64 = 24 * 3600;

    /// The time.
    pub fn time(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl TryFrom<Written> for Budget {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let seconds = match &written {
            Written::Seconds(seconds) => Some(*seconds),
            Written::Text(text) => seconds(text),
        };
        let shown = match written {
            Written::Seconds(seconds) => seconds.to_string(),
            Written::Text(text) => format!("{text:?}"),
        };
        let in_range = seconds.filter(|seconds| (1..=Self::LONGEST).contains(seconds));
        in_range.map(Self).ok_or_else(|| {
            format!(
                "{shown} is not a time: it is a number of seconds, or a text such as \"90s\", \"15m\" or \"2h\", at most a day"
            )
        })
    }
}

impl From<Budget> for u64 {
    fn from(budget: Budget) -> u64 {
        budget.0
    }
}

/// The seconds of a number with the unit `s`, `m` or `h`.
fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pack::Settings;

    #[test]
    fn budgets_are_seconds_or_times_with_a_unit() {
        let text = "[budgets]\nsettle = 600\nanswer = \"90s\"\nbackup = \"15m\"\nrestore = \"2h\"\n";
        let budgets = Settings::parse(text).unwrap().budgets;
        let given: Vec<String> = budgets.given().map(|(key, time)| format!("{key} {}", time.as_secs())).collect();
        assert_eq!(given.join(", "), "settle 600, answer 90, backup 900, restore 7200");
        let again: Budgets = serde_json::from_value(serde_json::to_value(budgets).unwrap()).unwrap();
        assert_eq!(again, budgets);
    }

    #[test]
    fn time_that_cannot_be_one_is_reported_with_line_and_column() {
        for (value, message) in [
            (
                "\"soon\"",
                "line 2, column 10: \"soon\" is not a time: it is a number of seconds, or a text such as \"90s\", \"15m\" or \"2h\", \
                 at most a day",
            ),
            (
                "0",
                "line 2, column 10: 0 is not a time: it is a number of seconds, or a text such as \"90s\", \"15m\" or \"2h\", at most \
                 a day",
            ),
            ("-1", "line 2, column 10: a number of seconds, or a time such as \"90s\", \"15m\" or \"2h\""),
            ("true", "line 2, column 10: a number of seconds, or a time such as \"90s\", \"15m\" or \"2h\""),
        ] {
            assert_eq!(Settings::parse(&format!("[budgets]\nsettle = {value}\n")).unwrap_err().to_string(), message);
        }
        let error = Settings::parse("[budgets]\nrestor = 3\n").unwrap_err().to_string();
        assert_eq!(error, "line 2, column 1: unknown key `restor`; did you mean `restore`?");
    }
}
