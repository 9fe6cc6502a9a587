//! Settings in TOML, read strictly: an unknown key is an error with its place and the closest match.

use serde::de::DeserializeOwned;

/// Why a settings text cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}{}", .closest.as_ref().map(|key| format!("; did you mean `{key}`?")).unwrap_or_default())]
pub struct BadSettings {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
    /// The known key that is closest to an unknown one.
    pub closest: Option<String>,
}

/// Reads `text`. `T` must deny unknown fields; `keys` are the ones it knows, for the closest match.
pub fn parse<T: DeserializeOwned>(text: &str, keys: &[&str]) -> Result<T, BadSettings> {
    toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start).min(text.len());
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let message = error.message().lines().next().unwrap_or_default();
        let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        BadSettings {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: match unknown {
                Some(key) => format!("unknown key `{key}`"),
                None => message.to_owned(),
            },
            closest: unknown.and_then(|key| closest(key, keys)),
        }
    })
}

/// The one of `known` that is most like `word`, if any is like it at all.
pub fn closest(word: &str, known: &[&str]) -> Option<String> {
    let scored = known.iter().map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate));
    scored.filter(|(score, _)| *score > 0.7).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, candidate)| candidate.to_owned())
}
