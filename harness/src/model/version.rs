//! Versions of recipes: `<recipe's own version>+<version of the software>`, and their order.

use std::{cmp::Ordering, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A version of a recipe, as in tags and labels: `1.7.1+1.27.2`, `2.0.0-rc1+5.1-fpm`.
///
/// The part behind `+` is an opaque Docker tag and does not take part in the order. `Eq` compares whole versions, so two
/// versions of equal precedence need not be equal; see [`RecipeVersion::precedence`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct RecipeVersion {
    text: String,
    core: [u64; 3],
    pre: Option<Vec<Part>>,
    upstream: String,
}

/// A piece of a pre-release; numbers are lower than words, as semver has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

/// Error in a text that is not a version of a recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a recipe version: {flaw}")]
pub struct BadVersion {
    /// The text.
    pub text: String,
    /// The error.
    pub flaw: Flaw,
}

/// What keeps a text from being a version of a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It is a version that lacks the part behind `+`.
    #[error("it has no `+` and version of the software")]
    NoUpstreamPart,
    /// It breaks this rule.
    #[error("{0}")]
    Unparseable(&'static str),
}

impl RecipeVersion {
    /// The version as written, trimmed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part behind `+`.
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// Whether the recipe's own part is a pre-release. A pre-release of the software does not count.
    pub fn is_pre_release(&self) -> bool {
        self.pre.is_some()
    }

    /// Major, minor and patch.
    pub fn core(&self) -> [u64; 3] {
        self.core
    }

    /// The order of releases. Two different versions with equal precedence are an anomaly.
    pub fn precedence(&self, other: &Self) -> Ordering {
        self.core.cmp(&other.core).then_with(|| match (&self.pre, &other.pre) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(own), Some(theirs)) => own.cmp(theirs),
        })
    }

    /// A total order for choosing a version: precedence, then the natural order of the software's part, then the text.
    pub fn pick_order(&self, other: &Self) -> Ordering {
        self.precedence(other)
            .then_with(|| natural(&self.upstream).cmp(&natural(&other.upstream)))
            .then_with(|| self.text.cmp(&other.text))
    }
}

impl FromStr for RecipeVersion {
    type Err = BadVersion;

    fn from_str(given: &str) -> Result<Self, BadVersion> {
        let bad = |flaw| BadVersion { text: given.to_owned(), flaw };
        let text = given.trim_matches(' ');
        let Some((left, upstream)) = text.split_once('+') else {
            let flaw = parse_left(text).map_or_else(Flaw::Unparseable, |_| Flaw::NoUpstreamPart);
            return Err(bad(flaw));
        };
        let docker = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let begins = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !upstream.starts_with(begins) || !upstream.chars().all(docker) || upstream.len() > 128 {
            return Err(bad(Flaw::Unparseable("the part after `+` is not a tag of an image")));
        }
        let (core, pre) = parse_left(left).map_err(|rule| bad(Flaw::Unparseable(rule)))?;
        Ok(Self { text: text.to_owned(), core, pre, upstream: upstream.to_owned() })
    }
}

/// Parses the recipe's own part: three numbers and a pre-release. The error is the rule that it breaks.
fn parse_left(left: &str) -> Result<([u64; 3], Option<Vec<Part>>), &'static str> {
    let left = left.strip_prefix('v').unwrap_or(left);
    let (numbers, pre) = left.split_once('-').map_or((left, None), |(numbers, pre)| (numbers, Some(pre)));
    let numbers: Vec<u64> = numbers.split('.').map(number).collect::<Option<_>>().ok_or(NUMBERS)?;
    let core = numbers.try_into().map_err(|_| NUMBERS)?;
    let pre = pre.map(|pre| parts(pre).ok_or("the pre-release is not made of letters, digits and `-`")).transpose()?;
    Ok((core, pre))
}

const NUMBERS: &str = "before `+` it needs three numbers without leading zeros, joined by dots";

fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// The pieces of a pre-release. `rcN`, `rc.N` and `rc-N` are equal.
fn parts(pre: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    for piece in pre.split('.') {
        if piece.is_empty() || !piece.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return None;
        }
        let folded = piece.strip_prefix("rc").map(|rest| rest.strip_prefix('-').unwrap_or(rest));
        match folded.filter(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit())) {
            Some(digits) => parts.extend([Part::Word("rc".to_owned()), parse_part(digits)]),
            None => parts.push(parse_part(piece)),
        }
    }
    Some(parts)
}

fn parse_part(piece: &str) -> Part {
    match piece.parse() {
        Ok(number) if piece.chars().all(|c| c.is_ascii_digit()) => Part::Number(number),
        _ => Part::Word(piece.to_owned()),
    }
}

/// Splits digits into numbers and the rest into words, so that `9` comes before `10`.
fn natural(text: &str) -> Vec<Part> {
    let mut pieces: Vec<(bool, String)> = Vec::new();
    for c in text.chars() {
        match pieces.last_mut() {
            Some((digits, piece)) if *digits == c.is_ascii_digit() => piece.push(c),
            _ => pieces.push((c.is_ascii_digit(), c.to_string())),
        }
    }
    pieces.iter().map(|(_, piece)| parse_part(piece)).collect()
}

impl fmt::Display for RecipeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<RecipeVersion> for String {
    fn from(version: RecipeVersion) -> String {
        version.text
    }
}

impl TryFrom<String> for RecipeVersion {
    type Error = BadVersion;

    fn try_from(text: String) -> Result<Self, BadVersion> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> RecipeVersion {
        text.parse().unwrap()
    }

    #[test]
    fn recipe_versions_are_parsed() {
        for (text, upstream, pre) in [
            ("5.0.3+27.0.1-fpm", "27.0.1-fpm", false),
            ("v0.8.1+3.5.0", "3.5.0", false),
            (" 1.2.3+4 ", "4", false),
            ("1.2.3+1.14.1_1", "1.14.1_1", false),
            ("1.0.0+v0.15.0", "v0.15.0", false),
            ("1.2.3+RELEASE.2023-01-01T00-00-00Z", "RELEASE.2023-01-01T00-00-00Z", false),
            ("1.2.3+2024.01.05", "2024.01.05", false),
            ("1.0.0+2.0.0-rc1", "2.0.0-rc1", false),
            ("1.2.3-rc.1+4.5.6", "4.5.6", true),
        ] {
            let read = version(text);
            assert_eq!((read.upstream(), read.is_pre_release(), read.as_str()), (upstream, pre, text.trim()), "{text}");
        }
    }

    #[test]
    fn invalid_versions_are_refused() {
        for text in [
            "1.13.4_1",
            "1.14.1-rootless_1",
            "latest",
            "1.2",
            "1.2.3",
            "1.2.3.4+5",
            "+4.5.6",
            "01.2.3+1",
            "1.2.3+",
            "1.2.3+-x",
            "1.2.3-+4",
            "1.2.3+a+b",
            "1.2.3 +4",
            "1.2.3+é",
            "",
            "1.2.+3",
            "1.2.3-a_b+4",
            "99999999999999999999.0.0+1",
        ] {
            assert!(text.parse::<RecipeVersion>().is_err(), "{text}");
        }
    }

    #[test]
    fn version_without_software_differs_from_other_text() {
        for (text, lacks_software) in [
            ("1.2.3", true),
            ("v1.2.3", true),
            ("1.2.3-rc1", true),
            ("1.2", false),
            ("latest", false),
            ("1.13.4_1", false),
            ("1.14.1-rootless_1", false),
            ("01.2.3", false),
        ] {
            let bad = text.parse::<RecipeVersion>().unwrap_err();
            assert_eq!(bad.flaw == Flaw::NoUpstreamPart, lacks_software, "{bad}");
        }
    }

    #[test]
    fn releases_are_ordered_by_precedence() {
        let rising =
            ["1.2.3-alpha+9", "1.2.3-rc2+4", "1.2.3-rc.9+4", "1.2.3-rc10+4", "1.2.3-rc-11+4", "1.2.3+4", "1.10.0+1", "2.0.0+0"];
        for pair in rising.windows(2) {
            assert_eq!(version(pair[0]).precedence(&version(pair[1])), Ordering::Less, "{pair:?}");
        }
    }

    #[test]
    fn software_version_breaks_ties_only() {
        let (nine, ten) = (version("1.2.3+4.5.9"), version("1.2.3+4.5.10"));
        assert_eq!(nine.precedence(&ten), Ordering::Equal);
        assert_eq!(nine.pick_order(&ten), Ordering::Less);
        assert_ne!(nine, ten);
    }
}
