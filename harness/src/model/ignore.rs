//! What somebody decided not to count of the changes around a run: a setting with a reason and an end.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::ObjectKind;
use crate::model::time::Wall;

/// A change of the inventory that is shown with its reason and not counted, until a day. What is left of a run itself is always counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ignore {
    /// The object as the results name it: `volume metrics_data`. With `*` at its end it stands for all that begin so.
    pub what: Pattern,
    /// Why its changes say nothing about a run.
    pub reason: String,
    /// The last day, in UTC, on which it is ignored: `2026-12-31`.
    pub until: Day,
}

impl Ignore {
    /// Whether it speaks of an object that results name so.
    pub fn covers(&self, spoken: &str) -> bool {
        match self.what.0.strip_suffix('*') {
            Some(beginning) => spoken.starts_with(beginning),
            None => spoken == self.what.0,
        }
    }

    /// Whether it is over at `now`.
    pub fn over(&self, now: Wall) -> bool {
        now > self.until.end
    }
}

/// An object, or the beginning of several.
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
            Wall::try_from(format!("{text}T23:59:59.999Z")).map_err(|_| format!("{text:?} is no day such as 2026-12-31"))?;
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
    fn an_object_or_the_beginning_of_several_is_named() {
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
    fn what_says_nothing_or_too_much_is_refused() {
        for (what, until) in
            [("metrics", "2026-12-31"), ("volume *", "2026-12-31"), ("volume ", "2026-12-31"), ("volume a", "soon")]
        {
            assert!(ignore(what, until).is_err(), "{what} until {until}");
        }
    }

    #[test]
    fn it_holds_until_the_end_of_its_day() {
        let ignore = ignore("volume a", "2026-11-21").unwrap();
        for (now, over) in [("2026-11-21T23:59:59.000Z", false), ("2026-11-22T00:00:00.000Z", true)] {
            assert_eq!(ignore.over(Wall::try_from(now.to_owned()).unwrap()), over, "{now}");
        }
    }
}
