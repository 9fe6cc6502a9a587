//! Interpolation of variables as in docker/cli (`cli/compose/template`), including its oddities.
//!
//! The syntax has `$V`, `${V}`, `-` and `:-` for defaults, `?` and `:?` for required variables, and `$$`. A default is verbatim
//! and ends at the first `}`. An operator works without braces, too, and then reaches to the next `}` or the end. The operator is
//! the first of `:-`, `-`, `:?` and `?`, in this order, that occurs anywhere in the text.

/// Error of an interpolation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// A `$` without a variable.
    Invalid,
    /// A required variable is unset.
    Missing {
        /// The variable.
        variable: String,
        /// The text's message.
        message: String,
    },
}

/// Interpolates `text`.
///
/// Only the last variable of a text decides whether it fails, because docker/cli drops earlier errors.
pub fn fill<'a>(text: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> Result<String, Flaw> {
    let mut out = String::with_capacity(text.len());
    let mut flaw = None;
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (substitution, after) = match substitution(rest) {
            Some(end) => (&rest[..end], &rest[end..]),
            None => match braced(rest) {
                Some(inner) => (inner, &rest[inner.len() + 2..]),
                None => {
                    flaw = Some(Flaw::Invalid);
                    continue;
                }
            },
        };
        rest = after;
        match value(substitution, &lookup) {
            Ok(value) => {
                flaw = None;
                out.push_str(&value);
            }
            Err(missing) => flaw = Some(missing),
        }
    }
    out.push_str(rest);
    flaw.map_or(Ok(out), Err)
}

/// The end of the variable at the start of `text`, operator included.
fn substitution(text: &str) -> Option<usize> {
    let name = text.find(|c: char| !is_of_name(c)).unwrap_or(text.len());
    if name == 0 || text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let operator = text[name..].strip_prefix(':').unwrap_or(&text[name..]);
    match operator.starts_with(['-', '?']) {
        true => Some(text[name..].find('}').map_or(text.len(), |brace| name + brace)),
        false => Some(name),
    }
}

/// Letters, digits and `_`. Go's regular expressions take two more letters for an `s` and a `k` in upper case.
fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '\u{17f}' | '\u{212a}')
}

fn braced(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?;
    let end = substitution(inner)?;
    inner[end..].starts_with('}').then_some(&inner[..end])
}

fn value<'a>(substitution: &str, lookup: &impl Fn(&str) -> Option<&'a str>) -> Result<String, Flaw> {
    let set = |name: &str| lookup(name).map(str::to_owned);
    if let Some((name, default)) = substitution.split_once(":-") {
        return Ok(set(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned()));
    }
    if let Some((name, default)) = substitution.split_once('-') {
        return Ok(set(name).unwrap_or_else(|| default.to_owned()));
    }
    let missing = |name: &str, message: &str| Flaw::Missing { variable: name.to_owned(), message: message.to_owned() };
    if let Some((name, message)) = substitution.split_once(":?") {
        return set(name).filter(|value| !value.is_empty()).ok_or_else(|| missing(name, message));
    }
    if let Some((name, message)) = substitution.split_once('?') {
        return set(name).ok_or_else(|| missing(name, message));
    }
    Ok(set(substitution).unwrap_or_default())
}
