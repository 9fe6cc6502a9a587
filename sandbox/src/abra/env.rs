//! The `.env` of an app and its sample: `env_file` syntax, later lines expand earlier ones, comments configure secrets.

use std::collections::BTreeMap;

/// The variables of an `.env`. The last declaration wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Env {
    pub(super) values: BTreeMap<String, String>,
    /// The comment after a value, which configures a secret on `SECRET_*_VERSION` lines.
    pub(super) comments: BTreeMap<String, String>,
}

impl Env {
    pub(super) fn parse(text: &str) -> Self {
        let mut env = Self::default();
        for line in text.lines() {
            let line = line.trim_start();
            let Some((key, rest)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
            let key = key.trim().trim_start_matches("export ").trim().to_owned();
            let (value, comment) = split_value(rest.trim_start());
            let value = match value {
                Value::Literal(text) => text,
                Value::Expanded(text) => expand(&text, |name| env.values.get(name).cloned()),
            };
            if let Some(comment) = comment {
                env.comments.insert(key.clone(), comment);
            }
            env.values.insert(key, value);
        }
        env
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The recipe and its version, from `TYPE` or its alias `RECIPE`.
    pub(super) fn recipe(&self) -> Option<(String, Option<String>)> {
        let value = self.get("TYPE").or_else(|| self.get("RECIPE"))?;
        Some(match value.split_once(':') {
            Some((recipe, version)) => (recipe.to_owned(), Some(version.to_owned())),
            None => (value.to_owned(), None),
        })
    }
}

/// The text of an `.env` with its `TYPE` line replaced by `recipe:version`.
pub(super) fn replace_type(text: &str, recipe: &str, version: &str) -> String {
    let replacement = format!("TYPE={recipe}:{version}");
    let mut found = false;
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match line.starts_with("TYPE=") || line.starts_with("RECIPE=") {
            true if !found => {
                found = true;
                lines.push(replacement.clone());
            }
            _ => lines.push(line.to_owned()),
        }
    }
    if !found {
        lines.insert(0, replacement);
    }
    lines.join("\n") + "\n"
}

/// The lines `export NAME=value` of an `abra.sh`.
pub(super) fn exports(script: &str) -> BTreeMap<String, String> {
    let lines = script.lines().filter_map(|line| line.trim().strip_prefix("export "));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, rest)| {
            let (Value::Literal(value) | Value::Expanded(value)) = split_value(rest).0;
            (key.trim().to_owned(), value)
        })
        .collect()
}

enum Value {
    Literal(String),
    Expanded(String),
}

/// The value at the start of `rest`, and the comment after it.
fn split_value(rest: &str) -> (Value, Option<String>) {
    let comment = |after: &str| after.trim_start().strip_prefix('#').map(|text| text.trim().to_owned());
    if let Some((value, after)) = rest.strip_prefix('\'').and_then(|inner| inner.split_once('\'')) {
        return (Value::Literal(value.to_owned()), comment(after));
    }
    if let Some((value, after)) = rest.strip_prefix('"').and_then(split_double_quoted) {
        return (Value::Expanded(value), comment(after));
    }
    let end = if rest.starts_with('#') { Some(0) } else { rest.find(" #").or_else(|| rest.find("\t#")) };
    match end {
        Some(at) => (Value::Expanded(rest[..at].trim_end().to_owned()), comment(&rest[at..])),
        None => (Value::Expanded(rest.trim_end().to_owned()), None),
    }
}

/// Splits at the closing double quote and resolves the escapes before it, as godotenv does. An escaped dollar becomes two,
/// which [`expand`] reads as one.
fn split_double_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                '$' => value.push_str("$$"),
                other => value.push(other),
            },
            c => value.push(c),
        }
    }
    None
}

/// Replaces `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}` and `${NAME:+other}`. `$$` is a dollar.
pub(super) fn expand(text: &str, lookup: impl Fn(&str) -> Option<String> + Copy) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((inner, after)) = rest.strip_prefix('{').and_then(split_at_closing_brace) {
            out.push_str(&expand_braced(inner, lookup));
            rest = after;
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            match end {
                0 => out.push('$'),
                _ => out.push_str(&lookup(&rest[..end]).unwrap_or_default()),
            }
            rest = &rest[end..];
        }
    }
    out + rest
}

/// Splits at the closing brace. Defaults may contain braces.
fn split_at_closing_brace(text: &str) -> Option<(&str, &str)> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

fn expand_braced(inner: &str, lookup: impl Fn(&str) -> Option<String> + Copy) -> String {
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
    let (name, operator) = inner.split_at(end);
    let value = lookup(name);
    let filled = value.clone().filter(|text| !text.is_empty());
    if let Some(default) = operator.strip_prefix(":-") {
        filled.unwrap_or_else(|| expand(default, lookup))
    } else if let Some(default) = operator.strip_prefix('-') {
        value.unwrap_or_else(|| expand(default, lookup))
    } else if let Some(other) = operator.strip_prefix(":+") {
        filled.map(|_| expand(other, lookup)).unwrap_or_default()
    } else {
        value.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_is_parsed_as_in_abra() {
        let env = Env::parse(
            "TYPE=ghost:1.2.3+4\nCOMPOSE_FILE=\"compose.yml\"\nCOMPOSE_FILE=\"$COMPOSE_FILE:compose.db.yml\"\n\
             #SECRET_OLD_VERSION=v1\nSECRET_DB_VERSION=v2 # length=64 charset=hex\nLITERAL='$DOMAIN # kept'\nEMPTY=\nHASH=a#b\n\
             ESCAPED=\"it's \\\"\\$5\\\" \\\\ two\\nlines\" # why\nOPEN=\"no end\n",
        );
        for (key, value) in [
            ("COMPOSE_FILE", Some("compose.yml:compose.db.yml")),
            ("SECRET_OLD_VERSION", None),
            ("SECRET_DB_VERSION", Some("v2")),
            ("LITERAL", Some("$DOMAIN # kept")),
            ("EMPTY", Some("")),
            ("HASH", Some("a#b")),
            ("ESCAPED", Some("it's \"$5\" \\ two\nlines")),
            ("OPEN", Some("\"no end")),
        ] {
            assert_eq!(env.get(key), value, "{key}");
        }
        assert_eq!(env.comments["SECRET_DB_VERSION"], "length=64 charset=hex");
        assert_eq!(env.recipe(), Some(("ghost".to_owned(), Some("1.2.3+4".to_owned()))));
    }

    #[test]
    fn replace_type_changes_only_the_type_line() {
        assert_eq!(replace_type("TYPE=a\nX=1\n", "a", "1.0.0+2"), "TYPE=a:1.0.0+2\nX=1\n");
        assert_eq!(replace_type("X=1\n", "a", "deadbeef+U"), "TYPE=a:deadbeef+U\nX=1\n");
    }

    #[test]
    fn variables_expand_as_in_compose_files() {
        let lookup = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "E" => Some(String::new()),
            _ => None,
        };
        for (text, expanded) in [
            ("$A-${A}", "1-1"),
            ("${B:-x}${E:-y}${E-z}", "xy"),
            ("${B:-${A}}", "1"),
            ("$$A $", "$A $"),
            ("${A:+set}${B:+set}", "set"),
            ("${B:?must}", ""),
        ] {
            assert_eq!(expand(text, lookup), expanded, "{text}");
        }
    }

    #[test]
    fn exports_of_abra_sh_are_parsed() {
        let script = "#!/bin/bash\nexport APP_CONF_VERSION=v4\nexport B=\"v1\" # why\nfn() { echo; }\n";
        assert_eq!(exports(script), BTreeMap::from([("APP_CONF_VERSION".into(), "v4".into()), ("B".into(), "v1".into())]));
    }
}
