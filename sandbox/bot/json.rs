//! JSON, as far as the answers of the engine and restic need it: parsing a value, quoting a text.

use std::collections::BTreeMap;

/// A JSON value. Numbers and literals are kept as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    /// An object. The last of equal keys wins.
    Object(BTreeMap<String, Json>),
    /// An array.
    Array(Vec<Json>),
    /// A text.
    Text(String),
    /// A number, `true`, `false` or `null`.
    Bare(String),
}

impl Json {
    /// Parses a text that is one value.
    pub(crate) fn parse(text: &str) -> Option<Json> {
        let mut reader = Reader { rest: text };
        let value = reader.value()?;
        reader.skip_blanks();
        reader.rest.is_empty().then_some(value)
    }

    /// The value at `path`.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Json> {
        path.iter().try_fold(self, |value, key| match value {
            Json::Object(fields) => fields.get(*key),
            Json::Array(_) | Json::Text(_) | Json::Bare(_) => None,
        })
    }

    /// The text or number at `path`.
    pub(crate) fn text(&self, path: &[&str]) -> Option<&str> {
        match self.at(path)? {
            Json::Text(text) | Json::Bare(text) => Some(text),
            Json::Object(_) | Json::Array(_) => None,
        }
    }

    /// The items of the array at `path`; empty without an array.
    pub(crate) fn items(&self, path: &[&str]) -> &[Json] {
        match self.at(path) {
            Some(Json::Array(items)) => items,
            _ => &[],
        }
    }

    /// The texts in the object at `path`; empty without an object.
    pub(crate) fn texts(&self, path: &[&str]) -> BTreeMap<String, String> {
        let Some(Json::Object(fields)) = self.at(path) else { return BTreeMap::new() };
        fields.iter().filter_map(|(key, value)| Some((key.clone(), value.text(&[])?.to_owned()))).collect()
    }
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, mark: char) -> bool {
        self.skip_blanks();
        let rest = self.rest.strip_prefix(mark);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self) -> Option<Json> {
        if self.take('{') {
            let mut fields = BTreeMap::new();
            while !self.take('}') {
                let key = self.take('"').then(|| self.string())??;
                self.take(':').then_some(())?;
                fields.insert(key, self.value()?);
                self.skip_blanks();
                (self.take(',') || self.rest.starts_with('}')).then_some(())?;
            }
            return Some(Json::Object(fields));
        }
        if self.take('[') {
            let mut items = Vec::new();
            while !self.take(']') {
                items.push(self.value()?);
                self.skip_blanks();
                (self.take(',') || self.rest.starts_with(']')).then_some(())?;
            }
            return Some(Json::Array(items));
        }
        if self.take('"') {
            return self.string().map(Json::Text);
        }
        let end = self.rest.find([',', '}', ']', ' ', '\n', '\r', '\t']).unwrap_or(self.rest.len());
        let (bare, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!bare.is_empty()).then(|| Json::Bare(bare.to_owned()))
    }

    /// The rest of a string, after its opening quotation mark.
    fn string(&mut self) -> Option<String> {
        let mut out = String::new();
        loop {
            let mut chars = self.rest.chars();
            match chars.next()? {
                '"' => {
                    self.rest = chars.as_str();
                    return Some(out);
                }
                '\\' => {
                    let escaped = chars.next()?;
                    self.rest = chars.as_str();
                    match escaped {
                        'n' => out.push('\n'),
                        't' => out.push('\t'),
                        'r' => out.push('\r'),
                        'b' => out.push('\u{8}'),
                        'f' => out.push('\u{c}'),
                        'u' => out.push(self.unicode_escape()?),
                        other => out.push(other),
                    }
                }
                c => {
                    out.push(c);
                    self.rest = chars.as_str();
                }
            }
        }
    }

    /// The character of an escape, after `\u`. A character above U+FFFF consists of two escapes.
    fn unicode_escape(&mut self) -> Option<char> {
        let high = self.hex()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high);
        }
        self.rest = self.rest.strip_prefix("\\u")?;
        let low = self.hex()?.checked_sub(0xdc00)?;
        char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)
    }

    fn hex(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        u32::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_of_the_engine_is_parsed() {
        let answer =
            r#"[{"Spec": {"Labels": {"a": "x\"\\\/\n\u00fc\ud83d\ude00", "b": ""}, "Mounts": []}, "N": -1.5e3, "Ok": true}]"#;
        let value = Json::parse(answer).unwrap();
        let first = &value.items(&[])[0];
        assert_eq!(first.text(&["Spec", "Labels", "a"]), Some("x\"\\/\nü😀"));
        assert_eq!(first.texts(&["Spec", "Labels"]).len(), 2);
        assert_eq!((first.text(&["N"]), first.text(&["Ok"])), (Some("-1.5e3"), Some("true")));
        assert!(first.items(&["Spec", "Mounts"]).is_empty() && first.at(&["Spec", "None"]).is_none());
    }

    #[test]
    fn invalid_json_is_none() {
        for text in ["", "{", "[1", "[1 2]", "{\"a\" 1}", "\"open", "{} {}", "\"\\ud83d\"", "\"\\u12\""] {
            assert_eq!(Json::parse(text), None, "{text}");
        }
    }

    #[test]
    fn quoted_text_is_parsed_to_the_same_text() {
        let text = "a \"b\" \\ \n\t\u{1} ü 😀";
        assert_eq!(Json::parse(&quoted(text)), Some(Json::Text(text.to_owned())));
    }
}
