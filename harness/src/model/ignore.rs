//! Objects whose changes during a run do not count, by a setting with a reason and a last day.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::ObjectKind;
use crate::model::time::Wall;

/// A change that reports show with its reason and do not count, until a day. Leaked objects of the run itself always count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ignore {
    /// The object as results name it: `volume metrics_data`. A `*` at the end matches every name with that prefix.
    pub what: Pattern,
    /// Why its changes do not count.
    pub reason: String,
    /// The last day of this setting, in UTC: `2026-12-31`.
    pub until: Day,
}

impl Ignore {
    /// Whether it matches the object that results name `object`.
    pub fn covers(&self, object: &str) -> bool {
        match self.what.0.strip_suffix('*') {
            Some(beginning) => object.starts_with(beginning),
            None => object == self.what.0,
        }
    }

    /// Whether its last day has passed at `now`.
    pub fn over(&self, now: Wall) -> bool {
        now > self.until.end
    }
}

/// An object's description, or a prefix of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Pattern(String);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let kinds: Vec<&str> = ObjectKind::ALL.map(ObjectKind::name).into_iter().chain(["file"]).collect();
        let name = text.split_once(' ').filter(|(kind, _)| kinds.contains(kind)).map(|(_, name)| name.trim());
        match name {
            None => Err(format!("{text:?} names no object: it begins with one of {}, then a name follows", kinds.join(", "))),
            Some("" | "*") => Err(format!("{text:?} would ignore all of a kind; name the object, or the beginning of its name")),
            Some(_) => Ok(Self(text)),
        }
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A day in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Day {
    text: String,
    end: Wall,
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let end =
            Wall::try_from(format!("{text}T23:59:59.999Z")).map_err(|_| format!("{text:?} is not a day such as 2026-12-31"))?;
        Ok(Self { text, end })
    }
}

impl From<Day> for String {
    fn from(day: Day) -> String {
        day.text
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignore(what: &str, until: &str) -> Result<Ignore, String> {
        Ok(Ignore { what: what.to_owned().try_into()?, reason: "it turns over".into(), until: until.to_owned().try_into()? })
    }

    #[test]
    fn pattern_matches_an_object_or_a_prefix() {
        for (what, object, covered) in [
            ("volume metrics_data", "volume metrics_data", true),
            ("volume metrics_data", "volume metrics_data2", false),
            ("volume metrics_*", "volume metrics_data", true),
            ("volume metrics_*", "network metrics_data", false),
        ] {
            assert_eq!(ignore(what, "2026-12-31").unwrap().covers(object), covered, "{what}: {object}");
        }
    }

    #[test]
    fn pattern_without_name_is_refused() {
        for (what, until) in
            [("metrics", "2026-12-31"), ("volume *", "2026-12-31"), ("volume ", "2026-12-31"), ("volume a", "soon")]
        {
            assert!(ignore(what, until).is_err(), "{what} until {until}");
        }
    }

    #[test]
    fn ignore_ends_with_its_last_day() {
        let ignore = ignore("volume a", "2026-11-21").unwrap();
        for (now, over) in [("2026-11-21T23:59:59.000Z", false), ("2026-11-22T00:00:00.000Z", true)] {
            assert_eq!(ignore.over(Wall::try_from(now.to_owned()).unwrap()), over, "{now}");
        }
    }
}
