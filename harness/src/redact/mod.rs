//! The one filter for all outgoing text. It learns a secret when it is made, inserted or read, and hides it in every form in
//! which it may come back.
//!
//! It searches the raw text, the text with the escapes of JSON, HTML and URLs decoded up to three times over, and the text with
//! the lines joined that a terminal wrapped ([`decodings`]), for each secret in each of its [`forms`]. Text that shows a secret
//! in any of these decodings is hidden.

mod decodings;
pub mod env;
mod forms;
mod markup;
mod matcher;
mod prior_redactions;

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError, RwLock},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use decodings::{PieceEnds, spans};
use forms::forms_of;
use matcher::{Matcher, Span};

use crate::model::pack::Settings;

/// The text that replaces a secret.
pub const MASK: &str = "•••";
/// The shortest value that is learnt, in characters. Shorter ones occur by chance, and hiding them would make texts unreadable.
pub const SHORTEST: usize = 4;
/// The shortest line of a longer value that is hidden on its own, in bytes.
const SHORTEST_LINE: usize = 8;
/// The size of a piece of text that is searched at once, in bytes, and the overlap of pieces.
const PIECE: (usize, usize) = (256 << 10, 32 << 10);

/// The secrets of a run.
#[derive(Default)]
pub struct Redact {
    known: RwLock<Known>,
    doubts: Mutex<Doubts>,
}

/// What a filter has learnt.
#[derive(Default)]
struct Known {
    /// The secrets, and the lines of those that have several.
    values: BTreeSet<String>,
    /// The values that anybody can read.
    public: BTreeSet<String>,
    /// Matchers of the forms of all values, each of more values than the next.
    matchers: Vec<(u32, Matcher)>,
}

impl Known {
    /// Adds the forms of a value. Matchers of equally many values become one, so that there are few, and each value is built into
    /// few.
    fn add(&mut self, value: &str) {
        if !self.values.insert(value.to_owned()) {
            return;
        }
        let Ok(mut matcher) = Matcher::new(forms_of(value)) else { return };
        let mut rank = 0;
        while let Some((_, last)) = self.matchers.pop_if(|(last, _)| *last == rank) {
            match last.with(&matcher) {
                Ok(both) => matcher = both,
                // More than one automaton holds.
                Err(_) => self.matchers.push((u32::MAX, last)),
            }
            rank += 1;
        }
        self.matchers.push((rank, matcher));
    }
}

/// Why not every secret can be hidden.
#[derive(Default)]
struct Doubts {
    any: bool,
    unreported: Vec<String>,
}

impl std::fmt::Debug for Redact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redact")
    }
}

impl Redact {
    /// A filter without secrets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides `secret` from now on. Returns false for a value of less than [`SHORTEST`] characters, which is not learnt.
    pub fn learn(&self, secret: &str) -> bool {
        if secret.trim().chars().count() < SHORTEST {
            return false;
        }
        // A poisoned lock still holds all that was learnt; forgetting it would be worse.
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.add(secret);
        if secret.trim().lines().count() > 1 {
            let lines = secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE);
            lines.for_each(|line| known.add(line));
        }
        true
    }

    /// How many values are hidden; the lines of a value with several count as well.
    pub fn values(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).values.len()
    }

    /// Hides the value of the secret `name` from now on. A value that is too short becomes one of the [`Redact::complaints`]; an
    /// empty one is not a secret.
    pub fn learn_as(&self, name: &str, value: &str) {
        if !self.learn(value) && !value.trim().is_empty() {
            self.doubt(&format!(
                "the secret {name} has fewer than {SHORTEST} characters and cannot be hidden, because so short a \
                 text occurs by chance"
            ));
        }
    }

    /// Adds to the [`Redact::complaints`] why not every secret is known.
    pub fn doubt(&self, why: &str) {
        let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        doubts.any = true;
        doubts.unreported.push(why.to_owned());
    }

    /// Hides the secrets of an `.env` from now on, see [`env::secrets`], but not those that the recipe's sample has: anybody can
    /// read them there, and they are often words, such as `postgres`.
    pub fn learn_env(&self, text: &str) {
        let public = self.known.read().unwrap_or_else(PoisonError::into_inner).public.clone();
        env::secrets(text).into_iter().filter(|(_, value)| !public.contains(value)).for_each(|(_, value)| {
            self.learn(&value);
        });
    }

    /// The values of the recipe's `.env.sample` are public from now on, see [`Redact::learn_env`].
    pub fn publish_sample(&self, text: &str) {
        let values = env::secrets(text).into_iter().map(|(_, value)| value);
        self.known.write().unwrap_or_else(PoisonError::into_inner).public.extend(values);
    }

    /// Hides the secrets that a pack sets in the app's `.env` from now on, by the same rule.
    pub fn learn_settings(&self, settings: &Settings) {
        let variables = settings.env.iter().chain(&settings.upgrade_env);
        let pairs: Vec<(String, String)> = variables.map(|(key, value)| (key.clone(), value.clone().into())).collect();
        env::among(&pairs).into_iter().for_each(|(_, value)| {
            self.learn(&value);
        });
        settings.secrets.values().for_each(|value| {
            self.learn(&String::from(value.clone()));
        });
    }

    /// Learns secrets from `old`, an earlier report of the same run: what it masks is a secret, and `new`
    /// shows it in the same place.
    pub fn learn_hidden(&self, old: &Value, new: &Value) {
        prior_redactions::hidden_before(old, new).iter().for_each(|piece| {
            self.learn(piece);
        });
    }

    /// Why not every secret can be hidden; each reason is returned once.
    pub fn complaints(&self) -> Vec<String> {
        std::mem::take(&mut self.doubts.lock().unwrap_or_else(PoisonError::into_inner).unreported)
    }

    /// Whether every secret so far is known and can be hidden.
    pub fn complete(&self) -> bool {
        !self.doubts.lock().unwrap_or_else(PoisonError::into_inner).any
    }

    /// `text` with every secret hidden. Of overlapping secrets, everything is hidden that one of them covers.
    pub fn text(&self, text: &str) -> String {
        let hidden = self.spans(text);
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (from, to) in hidden {
            out.push_str(&text[at..from]);
            out.push_str(MASK);
            at = to;
        }
        out.push_str(&text[at..]);
        out
    }

    /// The places of secrets in `text`, in order, neither overlapping nor adjacent.
    fn spans(&self, text: &str) -> Vec<Span> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.matchers.is_empty() {
            return Vec::new();
        }
        let matchers: Vec<&Matcher> = known.matchers.iter().map(|(_, matcher)| matcher).collect();
        let mut found = Vec::new();
        let mut from = 0;
        loop {
            let end = text.floor_char_boundary((from + PIECE.0 + PIECE.1).min(text.len()));
            let ends = PieceEnds { at_start: from == 0, at_end: end == text.len() };
            found.extend(spans(&text[from..end], ends, &matchers).into_iter().map(|(a, b)| (a + from, b + from)));
            if end == text.len() {
                break;
            }
            from = text.floor_char_boundary(from + PIECE.0);
        }
        merged(found)
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

    /// The fact with every secret in its texts hidden, and whether there was any. A text that the fact cannot be parsed
    /// without, such as the name of a stack or a word of its schema, stays: cleanup needs these names.
    pub fn fact<T: Serialize + DeserializeOwned>(&self, fact: T) -> (T, bool) {
        let Ok(before) = serde_json::to_value(&fact) else { return (fact, false) };
        let mut value = before.clone();
        self.value(&mut value);
        if value == before {
            return (fact, false);
        }
        if let Ok(hidden) = serde_json::from_value(value.clone()) {
            return (hidden, true);
        }
        // One of the texts is needed. Each is hidden on its own, as long as the fact can still be parsed.
        let mut kept = before;
        for place in differing(&kept, &value) {
            let (Some(old), Some(new)) = (kept.pointer(&place).cloned(), value.pointer(&place)) else { continue };
            if let Some(text) = kept.pointer_mut(&place) {
                text.clone_from(new);
            }
            if serde_json::from_value::<T>(kept.clone()).is_err()
                && let Some(text) = kept.pointer_mut(&place)
            {
                *text = old;
            }
        }
        (serde_json::from_value(kept).unwrap_or(fact), true)
    }

    /// XML or HTML with every secret in its texts and the values of its attributes hidden; its tags stay, so that it can still be
    /// parsed.
    pub fn markup(&self, document: &str) -> String {
        markup::with_texts(document, &|text| self.text(text))
    }
}

/// The places, as JSON pointers, of the texts in which two values of one shape differ.
fn differing(one: &Value, other: &Value) -> Vec<String> {
    let below = |name: &str, places: Vec<String>| -> Vec<String> {
        let name = name.replace('~', "~0").replace('/', "~1");
        places.into_iter().map(|place| format!("/{name}{place}")).collect()
    };
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            let pairs = one.iter().zip(other).enumerate();
            pairs.flat_map(|(at, (one, other))| below(&at.to_string(), differing(one, other))).collect()
        }
        (Value::Object(one), Value::Object(other)) => {
            let pairs = one.iter().filter_map(|(name, one)| Some((name, one, other.get(name)?)));
            pairs.flat_map(|(name, one, other)| below(name, differing(one, other))).collect()
        }
        (one, other) if one != other => vec![String::new()],
        _ => Vec::new(),
    }
}

/// The spans in order, those that overlap or touch as one.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::new();
    for (from, to) in spans {
        match merged.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => merged.push((from, to)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, HEXLOWER, HEXUPPER};

    use super::*;

    #[test]
    fn secret_is_hidden_in_every_form() {
        let redact = Redact::new();
        assert!(redact.learn("p\"ss w/rd<'é"));
        let basic = BASE64.encode("admin:p\"ss w/rd<'é".as_bytes());
        for text in [
            "p\"ss w/rd<'é",
            r#"{"v":"p\"ss w/rd<'é"}"#,
            r#"{"v":"p\u0022ss w\/rd\u003C'\u00e9"}"#,
            r#"{"v":"{\"w\":\"p\\\"ss w\\/rd<'\\u00E9\"}"}"#,
            "p%22ss%20w%2Frd%3C%27%C3%A9",
            "p%22ss+w%2frd%3c'%c3%a9",
            "p%2522ss%2520w%252Frd%253C%2527%25C3%25A9",
            "p&quot;ss w&#x2F;rd&lt;&#39;&#xe9;",
            "p&amp;quot;ss w/rd&amp;lt;&amp;#x27;é",
            "p&#34;ss w&#47;rd&#60;&apos;&#233;",
            "p\\\"ss w/rd<\\'\\u{e9}",
            "p\"ss\r\n w/rd\u{1b}[0m<'é",
            &basic,
        ] {
            let shown = redact.text(&format!("<{text}>"));
            assert!(shown.contains(MASK) && shown.len() < text.len().min(30) + 14, "{text} → {shown}");
        }
    }

    #[test]
    fn short_value_is_not_learnt_and_reported_once() {
        let redact = Redact::new();
        assert!(!redact.learn("abc") && !redact.learn("") && !redact.learn("     "));
        assert_eq!(redact.text("abc"), "abc");
        assert!(redact.complete());
        redact.learn_as("pin", "123");
        redact.learn_as("none", "");
        redact.learn_as("long", "1234567");
        assert!(!redact.complete());
        let complaints = redact.complaints();
        assert!(complaints.len() == 1 && complaints[0].contains("pin") && !complaints[0].contains("123"), "{complaints:?}");
        assert!(redact.complaints().is_empty());
    }

    #[test]
    fn overlapping_secrets_are_hidden_together() {
        let redact = Redact::new();
        redact.learn("abcdef");
        redact.learn("defghi");
        assert_eq!(redact.text("xabcdefghix"), format!("x{MASK}x"));
        assert_eq!(redact.text("abcdefabcdef"), MASK);
    }

    #[test]
    fn lines_of_a_key_are_hidden_one_by_one() {
        let redact = Redact::new();
        redact.learn("-----BEGIN-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n");
        assert_eq!(redact.text("a MIIEvQIBADAN b"), format!("a {MASK} b"));
        assert_eq!(redact.text("log 1: MIIEvQIBADAN\r\nlog 2: BgkqhkiG9w0B\r\n"), format!("log 1: {MASK}\r\nlog 2: {MASK}\r\n"));
        assert_eq!(redact.text(r"-----BEGIN-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n"), MASK);
    }

    #[test]
    fn rest_of_a_cut_secret_is_hidden() {
        let redact = Redact::new();
        redact.learn("correcthorsebattery");
        for (text, shown) in [
            ("password correcthor…", "password •••…"),
            ("password corre…, and more", "password •••…, and more"),
            ("password correcthorse", "password •••"),
            ("horsebattery is the password", "••• is the password"),
            ("he is correct", "he is correct"),
            ("a battery", "a battery"),
        ] {
            assert_eq!(redact.text(text), shown);
        }
    }

    #[test]
    fn long_text_is_searched_to_its_end() {
        let redact = Redact::new();
        redact.learn("correcthorsebattery");
        let text = format!("{}correcthorsebattery{}", "é".repeat(PIECE.0 / 2 + 3), "x".repeat(PIECE.0 * 2));
        assert_eq!(redact.text(&text).matches(MASK).count(), 1);
        assert!(!redact.text(&text).contains("correcthorse"));
    }

    #[test]
    fn fact_keeps_only_texts_that_it_needs() {
        #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
        struct Fact {
            name: crate::model::names::StackName,
            text: String,
        }
        let redact = Redact::new();
        redact.learn("hello");
        let fact = |text: &str| Fact { name: "hello_x".parse().unwrap(), text: text.into() };
        assert_eq!(redact.fact(fact("greets hello")), (fact("greets •••"), true));
        assert_eq!(Redact::new().fact(fact("greets hello")), (fact("greets hello"), false));
    }

    #[test]
    fn pieces_encodings_and_other_cases_of_a_generated_secret_are_hidden() {
        let secret = "k3V9q2M7xYz1Wt5RdGh8";
        let redact = Redact::new();
        redact.learn(secret);
        let hex = HEXLOWER.encode(secret.as_bytes());
        let base64 = BASE64.encode(secret.as_bytes());
        let broken = |by: &str| format!("{}{by}{}", &secret[..7], &secret[7..]);
        for (what, text) in [
            ("12 characters of its beginning", secret[..12].to_owned()),
            ("8 characters of its beginning", secret[..8].to_owned()),
            ("8 characters of its end", secret[12..].to_owned()),
            ("8 characters of its middle", secret[5..13].to_owned()),
            ("upper case", secret.to_uppercase()),
            ("lower case", secret.to_lowercase()),
            ("hexadecimal digits", hex.clone()),
            ("upper hexadecimal digits", HEXUPPER.encode(secret.as_bytes())),
            ("a piece of its hexadecimal digits", hex[3..21].to_owned()),
            ("a piece of its base64", base64[..12].to_owned()),
            ("base64 of base64", BASE64.encode(base64.as_bytes())),
            ("base64 of base64, further on", BASE64.encode(format!("Basic {base64}").as_bytes())),
            ("base64 of hexadecimal digits", BASE64.encode(hex.as_bytes())),
            ("hexadecimal digits of base64", HEXLOWER.encode(base64.as_bytes())),
            ("hexadecimal digits twice", HEXLOWER.encode(hex.as_bytes())),
            ("base64 in a URL", BASE64.encode(format!("?{secret}").as_bytes()).replace('=', "%3D")),
            ("broken by a tab", broken("\t")),
            ("broken by a line end", broken("\n")),
            ("broken by an indented line", broken("\n        ")),
            ("broken by colours", broken("\u{1b}[31m")),
            ("broken by a mark of direction", broken("\u{202e}")),
            ("broken by a space of no width", broken("\u{200b}")),
            ("broken by an escaped tab", broken("\\t")),
        ] {
            let shown = redact.text(&format!("<{text}>"));
            // What is left around the secret belongs to the text around it.
            let left = shown.replace(MASK, "").chars().count();
            assert!(
                shown.contains(MASK) && left <= 2 + text.len() - secret.len().min(text.len()) && left <= 16,
                "{what}: {text} → {shown}"
            );
        }
        for text in [&secret[..7], &secret[13..], &hex[..10], "k3V9 q2M7 xYz1"] {
            assert_eq!(redact.text(text), text, "too short a piece");
        }
    }

    #[test]
    fn words_of_a_chosen_password_stay_readable() {
        let redact = Redact::new();
        for password in ["administrator1", "postgres-database", "correct horse battery staple", "Ghost"] {
            redact.learn(password);
        }
        for text in ["the administrator of postgres", "a database", "a correct horse runs", "ghost", "the battery is low"] {
            assert_eq!(redact.text(text), text);
        }
        assert_eq!(redact.text("POSTGRES-DATABASE, Ghost"), "•••, •••");
    }

    #[test]
    fn value_of_the_sample_is_no_secret() {
        let redact = Redact::new();
        redact.publish_sample("DB_PASSWORD=postgres\nSMTP_PASSWORD=\n");
        redact.learn_env("DB_PASSWORD=postgres\nPOSTGRES_PASSWORD=postgres\nSMTP_PASSWORD=m4il-p4ss\n");
        assert_eq!(redact.text("service postgres, password m4il-p4ss"), "service postgres, password •••");
        assert_eq!(redact.values(), 1);
    }
}
