//! The forms of a secret that are searched for, and which pieces of them are hidden. Pure.
//!
//! A secret comes back as it was written, as a notation spells it, in base64 or hexadecimal digits, or in one of these within the
//! other; and of each a truncation may leave a piece. A piece counts from eight characters of the secret on, where it cannot be
//! an ordinary word.

use std::collections::BTreeSet;

use data_encoding::{BASE64, BASE64URL, HEXLOWER};
use serde_json::Value;

/// The shortest piece of a secret that is hidden, in characters of the secret.
pub(super) const SHORTEST_PIECE: usize = 8;
/// The shortest piece of base64 that is hidden, in characters.
const SHORTEST_BASE64: usize = 6;
/// The length from which a secret of letters alone differs from a word.
const LONG: usize = 16;

/// A text that shows a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    pub(super) text: String,
    /// The shortest piece of it that is hidden, in bytes; its whole length where no piece is.
    pub(super) least: usize,
    /// Whether each piece of that length is hidden, or only one that is no ordinary word.
    pub(super) any_piece: bool,
    /// Whether it is also searched for in another case.
    pub(super) any_case: bool,
    /// Whether it is searched for across the ends of lines: shorter ones occur by chance at the ends and beginnings of words.
    pub(super) wrapped: bool,
    /// Whether it is searched for at the ends of a truncated text.
    pub(super) truncated: bool,
}

impl Form {
    /// Whether a piece of the form, which is not all of it, is hidden.
    pub(super) fn hides(&self, piece: &str) -> bool {
        let letters: BTreeSet<char> = piece.chars().collect();
        piece.len() >= self.least && letters.len() >= 4 && (self.any_piece || is_mixed(piece))
    }
}

/// All forms of a secret.
pub(super) fn forms_of(secret: &str) -> Vec<Form> {
    let secret = secret.replace("\r\n", "\n");
    let spelled = spellings(&secret);
    let random = is_random(&secret);
    let wrapped = secret.chars().count() >= SHORTEST_PIECE;
    let form = |text: &str, any_piece: bool, truncated: bool| {
        let share = (SHORTEST_PIECE * text.len()).div_ceil(secret.len().max(1));
        let least = share.max(SHORTEST_PIECE).min(text.len());
        Form { text: text.to_owned(), least, any_piece, any_case: text.len() >= SHORTEST_PIECE, wrapped, truncated }
    };
    let mut forms: BTreeSet<Form> = spelled.iter().map(|text| form(text, random, true)).collect();
    let encoded: BTreeSet<String> = spelled.iter().flat_map(|text| encodings(text.as_bytes())).collect();
    forms.extend(encoded.iter().map(|text| form(text, true, true)));
    let inner = spelled.iter().flat_map(|text| inner_encodings(text.as_bytes()));
    let twice: BTreeSet<String> = inner.flat_map(|text| inner_encodings(text.as_bytes())).collect();
    forms.extend(twice.iter().filter(|text| !encoded.contains(*text)).map(|text| form(text, true, false)));
    forms.into_iter().filter(|form| !form.text.is_empty()).collect()
}

/// The secret as it stands, and as JSON and URLs spell it. All other escapes are undone by the decodings.
fn spellings(secret: &str) -> BTreeSet<String> {
    // Blanks around a secret belong to the text as often as to it.
    let mut spelled = BTreeSet::from([secret.to_owned(), secret.trim().to_owned(), bare(secret)]);
    // After a stray backslash, as in `\` + `p\"ss`, decoding pairs the characters wrongly. So the escaped form is searched for,
    // too.
    let json = Value::from(secret).to_string();
    spelled.insert(json[1..json.len() - 1].to_owned());
    // The percent-encoded forms likewise, because of a stray `%` before the secret.
    let unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let escaped = |byte: u8| if unreserved(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let percent: String = secret.bytes().map(escaped).collect();
    spelled.insert(percent.replace("%20", "+"));
    spelled.insert(percent);
    spelled
}

/// The text without characters that leave no trace on a terminal or end a line.
fn bare(secret: &str) -> String {
    secret.chars().filter(|letter| !crate::model::text::is_hidden(*letter) && !['\n', '\t'].contains(letter)).collect()
}

/// The text in base64 and in hexadecimal digits.
fn encodings(text: &[u8]) -> Vec<String> {
    let mut all = inner_encodings(text);
    for before in 0..3 {
        // At the end of a text the last character depends on the secret alone, too.
        all.extend(aligned(text, before).into_iter().filter_map(|(encoded, from, _)| encoded.get(from..).map(str::to_owned)));
    }
    all.retain(|piece| piece.len() >= SHORTEST_BASE64);
    all
}

/// The characters of base64 and hexadecimal digits that depend on the text alone, wherever in a longer text it stands.
fn inner_encodings(text: &[u8]) -> Vec<String> {
    let base64 = (0..3)
        .flat_map(|before| aligned(text, before))
        .filter_map(|(encoded, from, to)| encoded.get(from..to).map(str::to_owned));
    base64.filter(|piece| piece.len() >= SHORTEST_BASE64).chain([HEXLOWER.encode(text)]).collect()
}

/// The base64 of the text behind as many other bytes, in both alphabets, with the range of the characters that depend on the text
/// alone.
fn aligned(text: &[u8], before: usize) -> [(String, usize, usize); 2] {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(text);
    let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    [BASE64.encode(&bytes), BASE64URL.encode(&bytes)].map(|encoded| (encoded, from, to))
}

/// Whether a secret cannot be an ordinary word or a phrase: a program has drawn its letters.
fn is_random(secret: &str) -> bool {
    let letters: Vec<char> = secret.chars().collect();
    if letters.len() < LONG || letters.iter().any(|letter| letter.is_whitespace() || "-_./:".contains(*letter)) {
        return false;
    }
    let alphabetic = letters.iter().filter(|letter| letter.is_alphabetic()).count();
    let vowels = letters.iter().filter(|letter| "aeiouyAEIOUY".contains(**letter)).count();
    let switches = letters.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
    // About every third letter of a word is a vowel, and words change their class once.
    switches * 5 >= letters.len() || vowels * 4 < alphabetic
}

/// Whether a piece has characters that words and names do not mix.
fn is_mixed(piece: &str) -> bool {
    let has = |wanted: fn(char) -> bool| piece.chars().any(wanted);
    let letter = has(char::is_alphabetic);
    let letters: Vec<char> = piece.chars().collect();
    let rises = letters.windows(2).filter(|pair| pair[0].is_lowercase() && pair[1].is_uppercase()).count();
    let sign = has(|letter| !letter.is_alphanumeric() && !letter.is_whitespace() && !"-_./:,".contains(letter));
    letter && (has(char::is_numeric) || sign || rises > 1)
}

fn class(letter: char) -> u8 {
    match letter {
        _ if letter.is_numeric() => 0,
        _ if letter.is_uppercase() => 1,
        _ if letter.is_alphabetic() => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_words_and_names_are_not_hidden() {
        for (secret, piece, hidden) in [
            ("k3V9q2M7xYz1Wt5R", "k3V9q2M7", true),
            ("k3V9q2M7xYz1Wt5R", "k3V9q2M", false),
            ("qzxkvbnmwrtplkjhgfds", "qzxkvbnm", true),
            ("0123456789abcdef0123456789abcdef", "89abcdef", true),
            ("configuration-database", "configur", false),
            ("administrator1", "administ", false),
            ("administrator1", "nistrator1", true),
            ("postgres", "postgre", false),
            ("correct horse battery staple", "correct horse", false),
            ("p#ssw0rd-and-more", "p#ssw0rd", true),
            ("aaaaaaaaaaaa1111111111", "aaaaa111", false),
        ] {
            let forms = forms_of(secret);
            let form = forms.iter().find(|form| form.text == secret).unwrap();
            assert_eq!(form.hides(piece), hidden, "{piece} of {secret}");
        }
    }

    #[test]
    fn forms_hold_one_encoding_within_another() {
        let secret = "k3V9q2M7xYz1Wt5R";
        let forms: BTreeSet<String> = forms_of(secret).into_iter().map(|form| form.text).collect();
        for form in [
            HEXLOWER.encode(secret.as_bytes()),
            HEXLOWER.encode(HEXLOWER.encode(secret.as_bytes()).as_bytes()),
            BASE64.encode(HEXLOWER.encode(secret.as_bytes()).as_bytes()).trim_end_matches('=').get(..42).unwrap().to_owned(),
        ] {
            assert!(forms.contains(&form), "{form}");
        }
    }
}
