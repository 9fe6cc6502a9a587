//! The one filter for all outgoing text. It learns a secret when it is made and hides it in every form it may come back in.

use std::{collections::BTreeSet, sync::RwLock};

use data_encoding::{BASE64, BASE64URL};
use serde_json::Value;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "•••";
/// The shortest value that is learnt, in characters. Shorter ones occur by chance, and hiding them would eat the text.
pub const SHORTEST: usize = 4;
/// The shortest line of a longer value that is hidden by itself, in bytes.
const SHORTEST_LINE: usize = 8;
/// The shortest piece of base64 that is hidden, in characters.
const SHORTEST_PIECE: usize = 6;

/// The secrets of a run.
#[derive(Default)]
pub struct Redact {
    forms: RwLock<BTreeSet<String>>,
}

impl std::fmt::Debug for Redact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redact")
    }
}

impl Redact {
    /// A filter that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides `secret` from now on. Says whether it did: a value of less than [`SHORTEST`] characters is not learnt.
    pub fn learn(&self, secret: &str) -> bool {
        if secret.chars().count() < SHORTEST || secret.trim().is_empty() {
            return false;
        }
        // A poisoned lock still holds all that was learnt, and forgetting would be worse.
        let mut forms = self.forms.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        forms.extend(forms_of(secret));
        let lines: Vec<&str> = secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE).collect();
        if secret.trim().lines().count() > 1 {
            lines.into_iter().for_each(|line| forms.extend(forms_of(line)));
        }
        true
    }

    /// `text` with every secret hidden. Where secrets overlap, all that any of them covers is hidden.
    pub fn text(&self, text: &str) -> String {
        let forms = self.forms.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut hidden: Vec<(usize, usize)> = forms.iter().flat_map(|form| places(text, form)).collect();
        if hidden.is_empty() {
            return text.to_owned();
        }
        hidden.sort_unstable();
        let mut out = String::new();
        let mut at = 0;
        let mut spans = hidden.into_iter().peekable();
        while let Some((from, mut to)) = spans.next() {
            while let Some((_, later)) = spans.next_if(|(next, _)| *next <= to) {
                to = to.max(later);
            }
            out.push_str(&text[at..from]);
            out.push_str(HIDDEN);
            at = to;
        }
        out.push_str(&text[at..]);
        out
    }

    /// Hides every secret in the texts of `value`; the names of its fields stay.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.value(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Every place where `form` stands, also where two of them overlap.
fn places(text: &str, form: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(form).map(|at| from + at) {
        found.push((at, at + form.len()));
        from = at + text[at..].chars().next().map_or(1, char::len_utf8);
    }
    found
}

/// The forms in which a secret can come back.
fn forms_of(secret: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([secret.to_owned(), secret.trim().to_owned(), secret.replace('\n', "\r\n")]);
    let json = serde_json::Value::from(secret).to_string();
    let escaped = &json[1..json.len() - 1];
    forms.insert(escaped.to_owned());
    forms.insert(escaped.replace('/', "\\/"));
    for upper in [true, false] {
        let encoded = percent(secret, upper);
        forms.insert(encoded.replace("%20", "+"));
        forms.insert(encoded);
    }
    forms.extend(base64(secret.as_bytes()));
    forms.retain(|form| form.chars().count() >= SHORTEST);
    forms
}

fn percent(secret: &str, upper: bool) -> String {
    let byte = |byte: u8| match (byte, upper) {
        (b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~', _) => char::from(byte).to_string(),
        (_, true) => format!("%{byte:02X}"),
        (_, false) => format!("%{byte:02x}"),
    };
    secret.bytes().map(byte).collect()
}

/// The base64 of the secret wherever it stands in a longer text, as in `user:password`: for each of the three ways in which
/// its bytes can fall on the four characters, those that depend on the secret alone.
fn base64(secret: &[u8]) -> Vec<String> {
    let mut pieces = Vec::new();
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(secret);
        let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for encoded in [BASE64.encode(&bytes), BASE64URL.encode(&bytes)] {
            if let Some(piece) = encoded.get(from..to).filter(|piece| piece.len() >= SHORTEST_PIECE) {
                pieces.push(piece.to_owned());
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        let redact = Redact::new();
        assert!(redact.learn("p\"ss w/rd"));
        let basic = BASE64.encode(b"admin:p\"ss w/rd");
        for text in ["p\"ss w/rd", r#"{"v":"p\"ss w/rd"}"#, "p%22ss%20w%2Frd", "p%22ss+w%2frd", &basic] {
            let shown = redact.text(&format!("<{text}>"));
            assert!(shown.contains(HIDDEN) && shown.len() < text.len() + 12, "{text} → {shown}");
        }
    }

    #[test]
    fn short_values_are_not_learnt() {
        let redact = Redact::new();
        assert!(!redact.learn("abc") && !redact.learn("") && !redact.learn("     "));
        assert_eq!(redact.text("abc"), "abc");
    }

    #[test]
    fn overlapping_secrets_leave_nothing() {
        let redact = Redact::new();
        redact.learn("abcdef");
        redact.learn("defghi");
        assert_eq!(redact.text("xabcdefghix"), format!("x{HIDDEN}x"));
        assert_eq!(redact.text("abcdefabcdef"), HIDDEN);
    }

    #[test]
    fn the_lines_of_a_key_are_hidden_one_by_one() {
        let redact = Redact::new();
        redact.learn("-----BEGIN-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n");
        assert_eq!(redact.text("a MIIEvQIBADAN b"), format!("a {HIDDEN} b"));
        assert_eq!(redact.text("MIIEvQIBADAN\r\nBgkqhkiG9w0B\r\n"), format!("{HIDDEN}\r\n{HIDDEN}\r\n"));
    }
}
