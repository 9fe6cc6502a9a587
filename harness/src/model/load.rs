//! The load of a machine.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The load averages of a machine: how many processes run or wait to run, as the kernel averages them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// Over one minute.
    pub one: Hundredths,
    /// Over five minutes.
    pub five: Hundredths,
    /// Over fifteen minutes.
    pub fifteen: Hundredths,
}

impl Load {
    /// The load in the kernel's own text, `/proc/loadavg`: `0.20 0.18 0.12 1/80 11206` (proc_loadavg(5)). Absent when it is
    /// anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_ascii_whitespace().map(|number| Some(Hundredths::of(number.parse().ok()?)));
        Some(Self { one: numbers.next()??, five: numbers.next()??, fifteen: numbers.next()?? })
    }
}

/// A number with two digits after the point. It is an integer, so that events can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hundredths(u32);

impl Hundredths {
    /// The nearest such number; 0 for a negative one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
    fn of(number: f64) -> Self {
        Self((number * 100.0).round() as u32)
    }
}

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for Hundredths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 100.0)
    }
}

impl<'de> Deserialize<'de> for Hundredths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self::of)
    }
}

impl JsonSchema for Hundredths {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hundredths".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_read_from_the_kernels_text() {
        let load = Load::parse("0.20 12.05 100.00 1/80 11206\n").unwrap();
        assert_eq!([load.one, load.five, load.fifteen].map(|number| number.to_string()), ["0.20", "12.05", "100.00"]);
        let json = serde_json::to_string(&load).unwrap();
        assert_eq!(json, r#"{"one":0.2,"five":12.05,"fifteen":100.0}"#);
        assert_eq!(serde_json::from_str::<Load>(&json).unwrap(), load);
        for text in ["", "0.20 0.18", "a b c", "0.1 0.2 x"] {
            assert_eq!(Load::parse(text), None, "{text}");
        }
    }
}
