//! Secrets learnt from an earlier report of the same run: what it masks, the later report shows in the same place. Pure.
//!
//! The secrets that a run has learnt are lost when it is killed. The texts that it had filtered still show where each of them
//! was.

use serde_json::Value;

use super::MASK;

/// The parts of the texts of `new` that `old` has hidden in the same places, each without what is hidden in both.
///
/// A list that has grown since may have something else in the same place. There a text must agree around its hidden part, and a
/// text that is hidden as a whole is ignored.
pub(super) fn hidden_before(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    gather(old, new, true, &mut found);
    found
}

fn gather(old: &Value, new: &Value, sure: bool, found: &mut Vec<String>) {
    match (old, new) {
        (Value::String(old), Value::String(new)) if sure || old != MASK => {
            let pieces = pieces(old, new).unwrap_or_default();
            let parts = pieces.into_iter().flat_map(|piece| piece.split(MASK)).filter(|part| !part.is_empty());
            found.extend(parts.map(str::to_owned));
        }
        (Value::Array(old), Value::Array(new)) => {
            let sure = sure && old.len() == new.len();
            old.iter().zip(new).for_each(|(old, new)| gather(old, new, sure, found));
        }
        (Value::Object(old), Value::Object(new)) => {
            let both = old.iter().filter_map(|(name, old)| Some((old, new.get(name)?)));
            both.for_each(|(old, new)| gather(old, new, sure, found));
        }
        _ => {}
    }
}

/// The parts of `new` that are hidden in `old`, when the two agree around them.
fn pieces<'a>(old: &str, new: &'a str) -> Option<Vec<&'a str>> {
    let (first, rest) = old.split_once(MASK)?;
    let (between, last) = rest.rsplit_once(MASK).map_or((None, rest), |(between, last)| (Some(between), last));
    let mut left = new.strip_prefix(first)?.strip_suffix(last)?;
    let mut pieces = Vec::new();
    for part in between.into_iter().flat_map(|between| between.split(MASK)) {
        let (piece, after) = left.split_once(part)?;
        pieces.push(piece);
        left = after;
    }
    pieces.push(left);
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_that_was_hidden_is_found_where_it_is_shown() {
        for (what, old, new, found) in [
            ("a text with one", json!("token=•••."), json!("token=s3cret."), &["s3cret"][..]),
            ("a text with two", json!("a •••, b ••• c"), json!("a one1, b two2 c"), &["one1", "two2"]),
            ("nothing else in the text", json!({"value": "•••"}), json!({"value": "s3cret"}), &["s3cret"]),
            ("hidden in both", json!("token=•••."), json!("token=•••."), &[]),
            ("hidden in both, and more", json!("a ••• c"), json!("a x1y2••• c"), &["x1y2"]),
            ("another text", json!("token=•••."), json!("the page is empty"), &[]),
            ("nothing was hidden", json!("token=s3cret."), json!("token=s3cret."), &[]),
            ("a list that has grown", json!(["a •••"]), json!(["a s3cret", "b"]), &["s3cret"]),
            ("a list with others before", json!(["•••"]), json!(["the first", "s3cret"]), &[]),
            ("a field that is gone", json!({"a": "•••"}), json!({"b": "s3cret"}), &[]),
            ("another shape", json!(["•••"]), json!({"a": "s3cret"}), &[]),
        ] {
            assert_eq!(hidden_before(&old, &new), found, "{what}");
        }
    }
}
