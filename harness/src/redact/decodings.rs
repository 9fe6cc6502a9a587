//! The decodings of a text: unchanged, with escapes undone, and with wrapped lines joined. Pure.
//!
//! Each decoding keeps the way back to the bytes of the original text, so that a secret is hidden where it was written.

use std::collections::HashSet;

use super::{
    SHORTEST,
    matcher::{Matcher, Span},
};
use crate::model::text::is_hidden;

/// How many nested levels of escapes are undone.
const DEPTH: usize = 3;
/// The shortest part of a secret that is hidden at the end or the beginning of a text even where it may be a word, in bytes:
/// truncation may have left it.
const SHORTEST_TRUNCATED: usize = 12;
/// The mark that a truncated text ends or begins with.
const TRUNCATION: char = '…';

/// Whether a piece of text begins and ends where the whole text does.
#[derive(Clone, Copy)]
pub(super) struct PieceEnds {
    pub(super) at_start: bool,
    pub(super) at_end: bool,
}

/// A decoded text with the way back to the text that it was decoded from.
struct Decoded {
    text: String,
    /// The parts in order; the first begins at 0.
    parts: Vec<Part>,
}

/// A part of a decoded text: copied unchanged, or decoded from `source` bytes of the other text.
#[derive(Clone, Copy)]
struct Part {
    at: usize,
    from: usize,
    source: Option<usize>,
}

impl Decoded {
    /// The span of the other text that `span` was decoded from.
    fn original(&self, (start, end): Span) -> Span {
        let part = |at: usize| self.parts[self.parts.partition_point(|part| part.at <= at).saturating_sub(1)];
        let (first, last) = (part(start), part(end - 1));
        let from = if first.source.is_some() { first.from } else { first.from + start - first.at };
        let to = last.source.map_or_else(|| last.from + end - last.at, |length| last.from + length);
        (from, to)
    }
}

/// Decodes `text`. At each mark, `escape` returns the length of the escape and its meaning. `None` when nothing is
/// different.
fn decode(text: &str, marks: impl Fn(char) -> bool, escape: impl Fn(&str) -> Option<(usize, Option<char>)>) -> Option<Decoded> {
    let mut out = Decoded { text: String::new(), parts: Vec::new() };
    let mut done = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find(&marks).map(|found| at + found) {
        let Some((length, means)) = escape(&text[found..]) else {
            at = found + text[found..].chars().next().map_or(1, char::len_utf8);
            continue;
        };
        if found > done {
            out.parts.push(Part { at: out.text.len(), from: done, source: None });
            out.text.push_str(&text[done..found]);
        }
        if let Some(means) = means {
            out.parts.push(Part { at: out.text.len(), from: found, source: Some(length) });
            out.text.push(means);
        }
        at = found + length;
        done = at;
    }
    if done == 0 {
        return None;
    }
    if done < text.len() {
        out.parts.push(Part { at: out.text.len(), from: done, source: None });
        out.text.push_str(&text[done..]);
    }
    Some(out)
}

/// The decoders, one for each kind of escapes.
const DECODERS: [fn(&str) -> Option<Decoded>; 4] = [backslashes, entities, percents, form];

/// The places of `secrets` in `text` and in all its decodings.
pub(super) fn spans(text: &str, piece: PieceEnds, secrets: &[&Matcher]) -> Vec<Span> {
    let mut found = search(text, piece, secrets);
    let mut seen = HashSet::from([text.to_owned()]);
    // Each decoding with the index of the one that it was decoded from; `None` is the text itself.
    let mut decodings: Vec<(Option<usize>, Decoded)> = Vec::new();
    let mut level = vec![None];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for parent in level {
            let current = parent.map_or(text, |at: usize| decodings[at].1.text.as_str());
            let decoded: Vec<Decoded> = DECODERS.iter().filter_map(|decoder| decoder(current)).collect();
            for decoded in decoded {
                if !seen.insert(decoded.text.clone()) {
                    continue;
                }
                let shown = search(&decoded.text, piece, secrets);
                decodings.push((parent, decoded));
                found.extend(shown.into_iter().map(|span| original_span(&decodings, decodings.len() - 1, span)));
                next.push(Some(decodings.len() - 1));
            }
        }
        level = next;
    }
    found
}

/// The span of the original text that a span of a decoding comes from.
fn original_span(decodings: &[(Option<usize>, Decoded)], at: usize, span: Span) -> Span {
    let (parent, decoded) = &decodings[at];
    let span = decoded.original(span);
    parent.map_or(span, |parent| original_span(decodings, parent, span))
}

/// The places of `secrets` in `text`, across the ends of lines and hidden characters too.
fn search(text: &str, piece: PieceEnds, secrets: &[&Matcher]) -> Vec<Span> {
    let mut found = Vec::new();
    for matcher in secrets {
        found.extend(matcher.spans(text, |_| true));
        let forms = matcher.forms().iter().filter(|form| form.truncated);
        found.extend(forms.flat_map(|form| truncated(text, piece, &form.text)));
    }
    for joined in [joined(text, false), joined(text, true)].into_iter().flatten() {
        for matcher in secrets {
            let forms = matcher.forms().iter().filter(|form| form.truncated && form.wrapped);
            let ends = forms.flat_map(|form| truncated(&joined.text, piece, &form.text));
            let shown = matcher.spans(&joined.text, |form| form.wrapped).into_iter().chain(ends);
            found.extend(shown.map(|span| joined.original(span)));
        }
    }
    found
}

/// The heads and tails of `secret` at a truncation mark, or at the ends of a truncated text.
fn truncated(text: &str, piece: PieceEnds, secret: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut ends: Vec<(usize, usize)> = text.match_indices(TRUNCATION).map(|(at, _)| (at, SHORTEST)).collect();
    ends.extend(piece.at_end.then_some((text.len(), SHORTEST_TRUNCATED)));
    for (end, least) in ends {
        // A head ends with the last character before the mark.
        let Some(last) = text[..end].chars().next_back() else { continue };
        let heads = secret.rmatch_indices(last).map(|(at, last)| &secret[..at + last.len()]);
        let heads = heads.filter(|head| head.len() >= least && head.len() < secret.len());
        let left = heads.into_iter().find(|head| text[..end].ends_with(head));
        found.extend(left.map(|head| (end - head.len(), end)));
    }
    let mut starts: Vec<(usize, usize)> = text.match_indices(TRUNCATION).map(|(at, mark)| (at + mark.len(), SHORTEST)).collect();
    starts.extend(piece.at_start.then_some((0, SHORTEST_TRUNCATED)));
    for (start, least) in starts {
        let Some(first) = text[start..].chars().next() else { continue };
        let tails = secret.match_indices(first).map(|(at, _)| &secret[at..]);
        let tails = tails.filter(|tail| tail.len() >= least && tail.len() < secret.len());
        let left = tails.into_iter().find(|tail| text[start..].starts_with(tail));
        found.extend(left.map(|tail| (start, start + tail.len())));
    }
    found
}

/// The text without the ends of lines, tabs, escape sequences of terminals and characters that leave no trace; with `indented`
/// also without the blanks at the beginning of a line. `None` when there is nothing of the kind.
fn joined(text: &str, indented: bool) -> Option<Decoded> {
    if indented && !["\n ", "\n\t"].iter().any(|indent| text.contains(indent)) {
        return None;
    }
    let leaves_no_trace = |letter: char| ['\n', '\t'].contains(&letter) || is_hidden(letter);
    decode(text, leaves_no_trace, |rest| {
        let first = rest.chars().next()?;
        let blanks = |from: usize| rest[from..].len() - rest[from..].trim_start_matches([' ', '\t']).len();
        let length = match first {
            '\u{1b}' => sequence_length(rest),
            '\n' if indented => 1 + blanks(1),
            _ => first.len_utf8(),
        };
        Some((length, None))
    })
}

/// The length of the escape sequence at the beginning of `text`; that of its first character without one.
fn sequence_length(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else { return 1 };
    let last = parameters.char_indices().find(|(_, letter)| ('@'..='~').contains(letter));
    last.map_or(1, |(at, letter)| 2 + at + letter.len_utf8())
}

/// The escapes of JSON, of Rust's `{:?}` and of shells.
fn backslashes(text: &str) -> Option<Decoded> {
    decode(
        text,
        |letter| letter == '\\',
        |rest| {
            let letter = rest[1..].chars().next()?;
            let short = |means: char| Some((2, Some(means)));
            match letter {
                'n' => short('\n'),
                't' => short('\t'),
                'r' => short('\r'),
                'b' => short('\u{8}'),
                'f' => short('\u{c}'),
                '0' => short('\0'),
                'e' => short('\u{1b}'),
                'x' => hexadecimal(rest.get(2..4)?).and_then(char::from_u32).map(|means| (4, Some(means))),
                'u' => match rest[2..].strip_prefix('{') {
                    Some(digits) => {
                        let end = digits.find('}').filter(|end| *end <= 6)?;
                        Some((4 + end, Some(char::from_u32(hexadecimal(&digits[..end])?)?)))
                    }
                    None => {
                        let high = hexadecimal(rest.get(2..6)?)?;
                        if let Some(means) = char::from_u32(high) {
                            return Some((6, Some(means)));
                        }
                        let low = rest.get(6..12)?.strip_prefix("\\u").and_then(hexadecimal)?;
                        let means = 0x1_0000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
                        Some((12, Some(char::from_u32(means)?)))
                    }
                },
                letter if letter.is_ascii_punctuation() => short(letter),
                _ => None,
            }
        },
    )
}

fn hexadecimal(digits: &str) -> Option<u32> {
    u32::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// The entities of HTML and XML.
fn entities(text: &str) -> Option<Decoded> {
    decode(text, |letter| letter == '&', entity)
}

/// The entity at the beginning of `text`: its length and its meaning.
pub(super) fn entity(text: &str) -> Option<(usize, Option<char>)> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    let means = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "sol" => '/',
        "bsol" => '\\',
        "nbsp" => '\u{a0}',
        "grave" => '`',
        "equals" => '=',
        "plus" => '+',
        _ => {
            let number = name.strip_prefix('#')?;
            let digits = number.strip_prefix(['x', 'X']);
            char::from_u32(digits.map_or_else(|| number.parse().ok(), hexadecimal)?)?
        }
    };
    Some((end + 1, Some(means)))
}

/// The percent-encoding of URLs.
fn percents(text: &str) -> Option<Decoded> {
    decode(text, |letter| letter == '%', percent)
}

/// The percent-encoding of forms, in which `+` is a blank.
fn form(text: &str) -> Option<Decoded> {
    // Without a `+` the result is that of `percents`.
    text.contains('+').then(|| {
        decode(
            text,
            |letter| ['%', '+'].contains(&letter),
            |rest| if rest.starts_with('+') { Some((1, Some(' '))) } else { percent(rest) },
        )
    })?
}

/// One character in percent-encoding: as many bytes of UTF-8 as it takes.
fn percent(text: &str) -> Option<(usize, Option<char>)> {
    let byte = |at: usize| {
        text.get(3 * at..3 * at + 3)?.strip_prefix('%').and_then(hexadecimal).and_then(|byte| u8::try_from(byte).ok())
    };
    let mut bytes = Vec::new();
    for at in 0..4 {
        bytes.push(byte(at)?);
        if let Ok(letter) = std::str::from_utf8(&bytes) {
            return letter.chars().next().map(|letter| (3 * bytes.len(), Some(letter)));
        }
    }
    None
}
