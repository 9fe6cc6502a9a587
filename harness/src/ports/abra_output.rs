//! Parsers of what abra prints: its version and the secrets that it makes. They are pure, and a run relies on no other part of
//! abra's output. An output that cannot be parsed is never quoted, because it may hold secrets.

use serde_json::Value;

use super::{AbraError, Exchange};

/// abra's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The tag: `0.13.0-beta`.
    pub tag: String,
    /// The short commit, where the build has one.
    pub commit: Option<String>,
}

impl Version {
    /// Whether it is the sandbox's stand-in.
    pub fn is_sandbox(&self) -> bool {
        self.tag.contains("sandbox")
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.commit {
            Some(commit) => write!(f, "{}-{commit}", self.tag),
            None => f.write_str(&self.tag),
        }
    }
}

/// The version in the output of `--version`: a line `abra version <tag>[-<7 or 8 hexadecimal digits>]`.
pub fn version(exchange: &Exchange) -> Result<Version, AbraError> {
    let mut lines = exchange.text.lines().filter_map(|line| line.trim().strip_prefix("abra version "));
    let text = lines.next().filter(|text| !text.is_empty() && !text.contains(char::is_whitespace));
    let text = text.ok_or_else(|| unreadable("--version", "no line `abra version …`", exchange))?;
    let commit = text.rsplit_once('-').filter(|(tag, end)| {
        !tag.is_empty() && matches!(end.len(), 7 | 8) && end.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
    });
    Ok(match commit {
        Some((tag, commit)) => Version { tag: tag.to_owned(), commit: Some(commit.to_owned()) },
        None => Version { tag: text.to_owned(), commit: None },
    })
}

/// A secret that abra made.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name in the recipe.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

/// The secrets in the output of `app secret generate -m`: a JSON array at the beginning of a line, `WARN` lines may precede
/// it. Without an array abra generated nothing. The spelling of keys differs between versions, so their case does not matter.
pub fn secrets(exchange: &Exchange) -> Result<Vec<Secret>, AbraError> {
    let call = "app secret generate";
    let mut starts = std::iter::once(0).chain(exchange.text.match_indices('\n').map(|(at, _)| at + 1));
    let Some(at) = starts.find(|at| exchange.text[*at..].starts_with(['[', '{'])) else { return Ok(Vec::new()) };
    let json = serde_json::Deserializer::from_str(&exchange.text[at..]).into_iter::<Value>().next();
    let json = json.unwrap_or(Ok(Value::Null)).map_err(|error| unreadable(call, &error.to_string(), exchange))?;
    let entries: Vec<Option<Secret>> = match &json {
        Value::Array(list) => list.iter().map(entry).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| secret(name, value.as_str()?)).collect(),
        _ => vec![None],
    };
    entries.into_iter().collect::<Option<_>>().ok_or_else(|| unreadable(call, "an entry has no name or no value", exchange))
}

/// The output of `app secret generate` with everything masked that may be a secret and that [`secrets`] cannot read, such as a
/// table: all lines but those of abra's log. `None` when no line has to be masked.
pub fn masked(exchange: &Exchange) -> Option<String> {
    if secrets(exchange).is_ok_and(|secrets| !secrets.is_empty()) {
        return None;
    }
    let plain = |line: &str| {
        line.trim().is_empty() || matches!(line.trim(), "[]" | "{}") || LEVELS.iter().any(|level| line.starts_with(level))
    };
    let mask = |line| if plain(line) { line } else { "(hidden because it may hold a secret)" };
    let masked: String = exchange.text.lines().map(|line| format!("{}\n", mask(line))).collect();
    (!exchange.text.lines().all(plain)).then_some(masked)
}

/// How the lines of abra's log begin.
const LEVELS: [&str; 5] = ["DEBU", "INFO", "WARN", "ERRO", "FATA"];

fn secret(name: &str, value: &str) -> Option<Secret> {
    Some(Secret { name: name.to_owned(), value: value.to_owned() })
}

fn entry(json: &Value) -> Option<Secret> {
    let map = json.as_object()?;
    let field = |wanted: &str| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted))?.1.as_str();
    secret(field("name")?, field("value")?)
}

fn unreadable(call: &str, message: &str, exchange: &Exchange) -> AbraError {
    let message = format!("{message} (in {} bytes)", exchange.text.len());
    AbraError::Unreadable { call: call.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn exchange(text: &str) -> Exchange {
        Exchange { text: text.to_owned(), raw: Vec::new(), took: Duration::ZERO }
    }

    #[test]
    fn version_of_every_build_is_parsed() {
        for (text, tag, commit) in [
            ("abra version 0.13.0-beta-06a57de\n", "0.13.0-beta", Some("06a57de")),
            ("abra version 0.11.0-beta\n", "0.11.0-beta", None),
            ("WARN x\nabra version 0.13.0-beta-sandbox\n", "0.13.0-beta-sandbox", None),
            ("abra version dev-0123abcd\n", "dev", Some("0123abcd")),
        ] {
            assert_eq!(version(&exchange(text)).unwrap(), Version { tag: tag.into(), commit: commit.map(Into::into) }, "{text}");
        }
        for text in ["", "abra version \n", "abra version a b\n", "bash: abra: not found\n"] {
            assert!(version(&exchange(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_after_warnings_are_found() {
        let text = "WARN odd\n[{\"name\":\"db\",\"value\":\"p[x]\"},{\"NAME\":\"key\",\"Value\":\"k\"}]\n";
        let found = secrets(&exchange(text)).unwrap();
        assert_eq!(found, [secret("db", "p[x]").unwrap(), secret("key", "k").unwrap()]);
        assert_eq!(secrets(&exchange("WARN nothing\n")).unwrap(), []);
    }

    #[test]
    fn secrets_on_several_lines_are_found() {
        let text = "INFO x\n[\n  {\n    \"name\": \"db\",\n    \"value\": \"p\"\n  }\n]\nINFO y\n";
        assert_eq!(secrets(&exchange(text)).unwrap(), [secret("db", "p").unwrap()]);
    }

    #[test]
    fn lines_that_may_hold_secrets_are_masked() {
        let hidden = "(hidden because it may hold a secret)";
        for (text, shown) in [
            ("[{\"name\":\"db\",\"value\":\"hunter2\"}]\n", None),
            ("WARN no secrets to generate\n", None),
            ("[]\n", None),
            ("INFO x\n| db | hunter2 |\nFATA y\n", Some(format!("INFO x\n{hidden}\nFATA y\n"))),
            ("[{\"name\":\"db\",\"value\":\"hunter2\n", Some(format!("{hidden}\n"))),
        ] {
            assert_eq!(masked(&exchange(text)), shown, "{text}");
        }
    }

    #[test]
    fn unreadable_secrets_are_never_quoted() {
        for text in ["[{\"name\":\"db\",\"val\":\"hunter2\"}]\n", "[{\"name\":\"db\",\"value\":\"hunter2\n"] {
            let error = secrets(&exchange(text)).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
