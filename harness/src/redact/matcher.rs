//! The search for all forms of secrets in one pass over a text. Pure.
//!
//! An automaton finds *seeds*, short pieces of the forms at regular distances, so that each piece that has to be hidden holds a
//! whole seed. Each seed is then extended as far as text and form agree. The cost hardly depends on the number of secrets.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::{AhoCorasick, BuildError};

use super::forms::Form;

/// A range of bytes: its start and its end.
pub(super) type Span = (usize, usize);

/// A place of a seed: the form, and the offset in it.
type SeedPlace = (usize, usize);

/// Finds the forms of some secrets.
pub(super) struct Matcher {
    forms: Vec<Form>,
    automaton: AhoCorasick,
    /// The places of each seed of the automaton.
    places: Vec<Vec<SeedPlace>>,
}

impl Matcher {
    /// A matcher of these forms.
    ///
    /// # Errors
    /// When they are more than an automaton holds.
    pub(super) fn new(forms: Vec<Form>) -> Result<Self, BuildError> {
        let mut seeds: BTreeMap<Vec<u8>, Vec<SeedPlace>> = BTreeMap::new();
        for (at, form) in forms.iter().enumerate() {
            for (offset, seed) in seeds_of(form) {
                seeds.entry(seed.to_ascii_lowercase()).or_default().push((at, offset));
            }
        }
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(seeds.keys())?;
        Ok(Self { forms, automaton, places: seeds.into_values().collect() })
    }

    /// The forms.
    pub(super) fn forms(&self) -> &[Form] {
        &self.forms
    }

    /// A matcher of the forms of both.
    ///
    /// # Errors
    /// When they are more than an automaton holds.
    pub(super) fn with(&self, other: &Self) -> Result<Self, BuildError> {
        Self::new(self.forms.iter().chain(&other.forms).cloned().collect())
    }

    /// The places of the forms in `text` to which `wanted` applies.
    pub(super) fn spans(&self, text: &str, wanted: impl Fn(&Form) -> bool) -> Vec<Span> {
        let mut found: Vec<Span> = Vec::new();
        // A form that was found here covers the next seeds of it, which lie on the same diagonal.
        let mut covered: HashMap<usize, (usize, usize)> = HashMap::new();
        for hit in self.automaton.find_overlapping_iter(text) {
            for (form_at, offset) in &self.places[hit.pattern().as_usize()] {
                let form = &self.forms[*form_at];
                let diagonal = hit.start().wrapping_sub(*offset);
                let is_covered = covered.get(form_at).is_some_and(|(last, end)| *last == diagonal && hit.end() <= *end);
                if is_covered || !wanted(form) {
                    continue;
                }
                let span = extended(text, form, hit.start(), *offset, hit.len());
                covered.insert(*form_at, (diagonal, span.1));
                if span.1 - span.0 == form.text.len() || text.get(span.0..span.1).is_some_and(|piece| form.hides(piece)) {
                    found.push(span);
                }
            }
        }
        found
    }
}

/// The seeds of a form with their offsets. Each piece that has to be hidden holds one of them.
fn seeds_of(form: &Form) -> impl Iterator<Item = (usize, &[u8])> {
    let bytes = form.text.as_bytes();
    let length = if form.least < bytes.len() || form.any_case { form.least / 2 } else { bytes.len() };
    let stride = if form.least < bytes.len() { form.least - length + 1 } else { bytes.len() };
    (0..bytes.len()).step_by(stride.max(1)).filter_map(move |at| Some((at, bytes.get(at..at + length.max(1))?)))
}

/// The longest piece of the form around a seed, which is at `at` in the text and at `offset` in the form. It begins and ends
/// between characters.
fn extended(text: &str, form: &Form, at: usize, offset: usize, length: usize) -> Span {
    let (bytes, wanted) = (text.as_bytes(), form.text.as_bytes());
    let same = |one: u8, other: u8| if form.any_case { one.eq_ignore_ascii_case(&other) } else { one == other };
    if !(0..length).all(|i| same(bytes[at + i], wanted[offset + i])) {
        return (at, at);
    }
    let left = (1..=at.min(offset)).take_while(|back| same(bytes[at - back], wanted[offset - back])).count();
    let (after, rest) = (at + length, offset + length);
    let right = bytes[after..].iter().zip(&wanted[rest..]).take_while(|(one, other)| same(**one, **other)).count();
    let from = (at - left..=at).find(|at| text.is_char_boundary(*at));
    let to = (after..=after + right).rev().find(|at| text.is_char_boundary(*at));
    match (from, to) {
        (Some(from), Some(to)) if from < to => (from, to),
        _ => (at, at),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::forms::forms_of, *};

    #[test]
    fn each_piece_from_eight_characters_on_is_found_at_its_full_length() {
        let secret = "k3V9q2M7xYz1Wt5RdGh8";
        let matcher = Matcher::new(forms_of(secret)).unwrap();
        for from in 0..secret.len() {
            for to in from + 1..=secret.len() {
                let text = format!("<{}>", &secret[from..to]);
                let found = matcher.spans(&text, |_| true);
                let expected = if to - from >= 8 { vec![(1, 1 + to - from)] } else { Vec::new() };
                assert_eq!(
                    found.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>(),
                    expected,
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn short_form_is_found_in_its_own_case_alone() {
        let matcher = Matcher::new(forms_of("Ghost")).unwrap();
        assert_eq!(matcher.spans("a Ghost", |_| true), [(2, 7)]);
        assert!(matcher.spans("a ghost", |_| true).is_empty());
    }
}
