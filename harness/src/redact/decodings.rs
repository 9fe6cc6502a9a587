//! The ways in which a text can be read: as it stands, with escapes undone, and with wrapped lines joined. Pure.

use std::collections::{BTreeSet, HashSet};

use super::SHORTEST;

/// From where to where, in bytes.
pub(super) type Span = (usize, usize);

/// How often escapes are undone, one within the other.
const DEPTH: usize = 3;
/// The shortest secret that is found across the end of a line, in characters. Of shorter ones, the ends and beginnings of two words
/// make too many.
const SHORTEST_WRAPPED: usize = 8;
/// The least of a secret that is hidden at the end or the beginning of a text, in bytes, where something may have cut it.
const SHORTEST_CUT: usize = 8;
/// What marks the place of a cut.
const CUT: char = '…';

/// Whether a piece of text begins and ends where the whole does.
#[derive(Clone, Copy)]
pub(super) struct Whole {
    pub(super) begins: bool,
    pub(super) ends: bool,
}

/// A text that was read from another, with the way back.
struct View {
    text: String,
    /// Where each part comes from, in order; the first begins at 0.
    parts: Vec<Part>,
}

/// A part of a view: either taken as it stands, or one that stands for `source` bytes of the other text.
#[derive(Clone, Copy)]
struct Part {
    at: usize,
    from: usize,
    source: Option<usize>,
}

impl View {
    /// Where `span` of this view comes from.
    fn back(&self, (start, end): Span) -> Span {
        let part = |at: usize| self.parts[self.parts.partition_point(|part| part.at <= at).saturating_sub(1)];
        let (first, last) = (part(start), part(end - 1));
        let from = if first.source.is_some() { first.from } else { first.from + start - first.at };
        let to = last.source.map_or_else(|| last.from + end - last.at, |length| last.from + length);
        (from, to)
    }
}

/// Reads `text`, `read` saying for what stands at a place how long it is and what it means; `None` when nothing is different.
fn view(text: &str, marks: &[char], read: impl Fn(&str) -> Option<(usize, Option<char>)>) -> Option<View> {
    let mut out = View { text: String::new(), parts: Vec::new() };
    let mut done = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find(marks).map(|found| at + found) {
        let Some((length, means)) = read(&text[found..]) else {
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

/// The escapes that are undone, each by itself.
const READERS: [fn(&str) -> Option<View>; 4] = [backslashes, entities, percents, form];

/// Where one of `secrets` shows in `text`, in whatever way it is read.
pub(super) fn spans(text: &str, whole: Whole, secrets: &BTreeSet<String>) -> Vec<Span> {
    let mut found = read(text, whole, secrets);
    let mut seen = HashSet::from([text.to_owned()]);
    // Every view with the one that it was read from; `None` is the text itself.
    let mut views: Vec<(Option<usize>, View)> = Vec::new();
    let mut level = vec![None];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for parent in level {
            let current = parent.map_or(text, |at: usize| views[at].1.text.as_str());
            let read_from: Vec<View> = READERS.iter().filter_map(|reader| reader(current)).collect();
            for view in read_from {
                if !seen.insert(view.text.clone()) {
                    continue;
                }
                let shown = read(&view.text, whole, secrets);
                views.push((parent, view));
                found.extend(shown.into_iter().map(|span| back(&views, views.len() - 1, span)));
                next.push(Some(views.len() - 1));
            }
        }
        level = next;
    }
    found
}

/// Where in the text itself a span of a view comes from.
fn back(views: &[(Option<usize>, View)], at: usize, span: Span) -> Span {
    let (parent, view) = &views[at];
    let span = view.back(span);
    parent.map_or(span, |parent| back(views, parent, span))
}

/// Where one of `secrets` stands in `text`, across the ends of lines too.
fn read(text: &str, whole: Whole, secrets: &BTreeSet<String>) -> Vec<Span> {
    let mut found: Vec<Span> = secrets.iter().flat_map(|secret| places(text, secret)).collect();
    found.extend(secrets.iter().flat_map(|secret| cut(text, whole, secret)));
    if let Some(joined) = joined(text) {
        for secret in secrets.iter().filter(|secret| secret.chars().count() >= SHORTEST_WRAPPED) {
            let secret: String = secret.chars().filter(|c| *c != '\n').collect();
            let shown = places(&joined.text, &secret).into_iter().chain(cut(&joined.text, whole, &secret));
            found.extend(shown.map(|span| joined.back(span)));
        }
    }
    found
}

/// Every place where `secret` stands, also where two of them overlap.
fn places(text: &str, secret: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(secret).map(|at| from + at).filter(|_| !secret.is_empty()) {
        found.push((at, at + secret.len()));
        from = at + text[at..].chars().next().map_or(1, char::len_utf8);
    }
    found
}

/// What is left of `secret` where the text, or a line in it, was cut.
fn cut(text: &str, whole: Whole, secret: &str) -> Vec<Span> {
    let heads = || secret.char_indices().map(|(at, _)| &secret[..at]).rev();
    let tails = || secret.char_indices().skip(1).map(|(at, _)| &secret[at..]);
    let mut found = Vec::new();
    let mut ends: Vec<(usize, usize)> = text.match_indices(CUT).map(|(at, _)| (at, SHORTEST)).collect();
    ends.extend(whole.ends.then_some((text.len(), SHORTEST_CUT)));
    for (end, least) in ends {
        let left = heads().take_while(|head| head.len() >= least).find(|head| text[..end].ends_with(head));
        found.extend(left.map(|head| (end - head.len(), end)));
    }
    let mut starts: Vec<(usize, usize)> = text.match_indices(CUT).map(|(at, cut)| (at + cut.len(), SHORTEST)).collect();
    starts.extend(whole.begins.then_some((0, SHORTEST_CUT)));
    for (start, least) in starts {
        let left = tails().take_while(|tail| tail.len() >= least).find(|tail| text[start..].starts_with(tail));
        found.extend(left.map(|tail| (start, start + tail.len())));
    }
    found
}

/// The text without the ends of lines and without what steers a terminal.
fn joined(text: &str) -> Option<View> {
    view(text, &['\n', '\r', '\u{1b}'], |rest| {
        let Some(sequence) = rest.strip_prefix('\u{1b}') else { return Some((1, None)) };
        let Some(parameters) = sequence.strip_prefix('[') else { return Some((1, None)) };
        let last = parameters.char_indices().find(|(_, letter)| ('@'..='~').contains(letter));
        Some((last.map_or(1, |(at, letter)| 2 + at + letter.len_utf8()), None))
    })
}

/// The escapes of JSON, of Rust's `{:?}` and of shells.
fn backslashes(text: &str) -> Option<View> {
    view(text, &['\\'], |rest| {
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
    })
}

fn hexadecimal(digits: &str) -> Option<u32> {
    u32::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// The entities of HTML and XML.
fn entities(text: &str) -> Option<View> {
    view(text, &['&'], entity)
}

/// The entity at the beginning of `text`: its length and what it means.
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
fn percents(text: &str) -> Option<View> {
    view(text, &['%'], percent)
}

/// The percent-encoding of forms, in which `+` is a blank.
fn form(text: &str) -> Option<View> {
    // Without a `+` it is the same as above.
    text.contains('+')
        .then(|| view(text, &['%', '+'], |rest| if rest.starts_with('+') { Some((1, Some(' '))) } else { percent(rest) }))?
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
