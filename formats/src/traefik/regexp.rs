//! Regular expressions in the syntax of Go, which Traefik compiles with Go's `regexp`, evaluated with the crate `regex`.
//!
//! The two syntaxes differ in places. A difference is written out in the other syntax, or refused.

use regex::Regex;

use super::error::RuleError;

/// A compiled expression. It matches anywhere in a text unless it is anchored.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    compiled: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// Compiles an expression of Go.
    ///
    /// # Errors
    /// [`RuleError::Invalid`] when Go refuses it, [`RuleError::Unsupported`] when its meaning here is not certain.
    pub fn compile(source: &str) -> Result<Self, RuleError> {
        let translated = translate(source)?;
        let compiled = Regex::new(&translated)
            .map_err(|_| RuleError::Unsupported(format!("the regular expression {source:?} cannot be compiled")))?;
        Ok(Self { source: source.to_owned(), compiled })
    }

    /// The expression as Go reads it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it matches. `None` for a text beyond ASCII, in which Go's classes differ.
    pub fn is_match(&self, text: &str) -> Option<bool> {
        text.is_ascii().then(|| self.compiled.is_match(text))
    }

    /// The literal end, in lower case, of all lower-case texts that match: `.example.org` of `^[a-z]+\.example\.org$`. `None`
    /// without one.
    pub fn suffix(&self) -> Option<String> {
        let body = self.source.strip_suffix('$').filter(|body| !ends_in_escape(body))?;
        if alternates(body) {
            return None;
        }
        let mut rest: Vec<char> = body.chars().collect();
        let mut suffix = Vec::new();
        while let Some(last) = rest.pop() {
            let escaped = rest.iter().rev().take_while(|c| **c == '\\').count() % 2 == 1;
            // A letter after a backslash is a class, and punctuation without one an operator.
            let literal = match escaped {
                true => last.is_ascii_punctuation(),
                false => last.is_ascii_alphanumeric() || matches!(last, '-' | '_'),
            };
            if !literal {
                break;
            }
            if escaped {
                rest.pop();
            }
            suffix.push(last.to_ascii_lowercase());
        }
        suffix.reverse();
        let suffix: String = suffix.into_iter().collect();
        (!suffix.is_empty()).then_some(suffix)
    }
}

fn ends_in_escape(text: &str) -> bool {
    text.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// Whether the expression has an alternative outside brackets.
fn alternates(source: &str) -> bool {
    let (mut depth, mut class, mut chars) = (0_u32, false, source.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '[' if !class => class = true,
            ']' if class => class = false,
            '(' if !class => depth += 1,
            ')' if !class => depth = depth.saturating_sub(1),
            '|' if !class && depth == 0 => return true,
            _ => {}
        }
    }
    false
}

/// Writes an expression of Go in the syntax of the crate `regex`.
fn translate(source: &str) -> Result<String, RuleError> {
    let unsupported = |what: &str| RuleError::Unsupported(format!("{what} in the regular expression {source:?}"));
    let invalid = |what: &str| RuleError::Invalid(format!("{what} in the regular expression {source:?}"));
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    // Whether something stands before that can be repeated, and whether it is repeated already.
    let (mut repeatable, mut repeated) = (false, false);
    while let Some(&c) = chars.get(at) {
        match c {
            '\\' => {
                let next = *chars.get(at + 1).ok_or_else(|| invalid("a backslash at the end"))?;
                match next {
                    'p' | 'P' | 'x' | 'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'b' | 'B' | 'A' | 'z' | 'a' | 'f' | 't' | 'n' | 'r'
                    | 'v' => {
                        out.extend(['\\', next]);
                        if next == 'b' && chars.get(at + 2) == Some(&'{') {
                            return Err(unsupported("a bracket after \\b"));
                        }
                    }
                    c if c.is_ascii_punctuation() => out.push_str(&regex::escape(&c.to_string())),
                    c => return Err(unsupported(&format!("\\{c}"))),
                }
                at += 2;
                if matches!(next, 'p' | 'P' | 'x') && chars.get(at) == Some(&'{') {
                    let end = chars[at..].iter().position(|c| *c == '}').ok_or_else(|| invalid("an open bracket"))?;
                    out.extend(&chars[at..=at + end]);
                    at += end + 1;
                }
                (repeatable, repeated) = (true, false);
            }
            '[' => {
                at = class(&chars, at, &mut out).map_err(unsupported)?;
                (repeatable, repeated) = (true, false);
            }
            '(' => {
                at += 1;
                out.push('(');
                if chars.get(at) == Some(&'?') {
                    let group: String = chars[at..].iter().take_while(|c| !matches!(c, ')' | ':' | '<')).collect();
                    if !matches!(group.as_str(), "?" | "?P") && !group[1..].chars().all(|c| "imsU-".contains(c)) {
                        return Err(unsupported(&format!("the group ({group}")));
                    }
                    out.push_str(&group);
                    at += group.chars().count();
                }
                (repeatable, repeated) = (false, false);
            }
            '*' | '+' | '?' => {
                if repeated && c != '?' || !repeatable {
                    return Err(invalid(&format!("{c} without anything to repeat")));
                }
                // A question mark after a repetition makes it reluctant, and nothing may follow that.
                (repeatable, repeated) = (!repeated, true);
                out.push(c);
                at += 1;
            }
            '{' => match repetition(&chars[at..]) {
                Some(_) if repeated || !repeatable => return Err(invalid("a count without anything to repeat")),
                Some(length) => {
                    out.extend(&chars[at..at + length]);
                    at += length;
                    repeated = true;
                }
                None => {
                    out.push_str("\\{");
                    at += 1;
                    (repeatable, repeated) = (true, false);
                }
            },
            '}' => {
                out.push_str("\\}");
                at += 1;
                (repeatable, repeated) = (true, false);
            }
            c => {
                out.push(c);
                at += 1;
                (repeatable, repeated) = (c != '|', false);
            }
        }
    }
    Ok(out)
}

/// The length of a count such as `{2}`, `{2,}` or `{2,4}`. Go takes any other brace as itself.
fn repetition(chars: &[char]) -> Option<usize> {
    let end = chars.iter().position(|c| *c == '}')?;
    let inside: String = chars[1..end].iter().collect();
    let (low, high) = inside.split_once(',').unwrap_or((&inside, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    (!low.is_empty() && digits(low) && digits(high)).then_some(end + 1)
}

/// Copies a class such as `[a-z]`, in which only the crate `regex` knows nested classes and operators. Returns its end.
fn class(chars: &[char], start: usize, out: &mut String) -> Result<usize, &'static str> {
    let mut at = start + 1;
    out.push('[');
    if chars.get(at) == Some(&'^') {
        out.push('^');
        at += 1;
    }
    let first = at;
    loop {
        match chars.get(at) {
            None => return Err("an open class"),
            Some(']') if at > first => {
                out.push(']');
                return Ok(at + 1);
            }
            Some('[') if chars.get(at + 1) == Some(&':') => {
                let end = chars[at..].windows(2).position(|two| two == [':', ']']).ok_or("an open class")?;
                out.extend(&chars[at..at + end + 2]);
                at += end + 2;
            }
            Some('-') if chars.get(at + 1) == Some(&'-') => return Err("two hyphens in a class"),
            Some('\\') => {
                match chars.get(at + 1) {
                    Some(c @ ('d' | 'D' | 's' | 'S' | 'w' | 'W' | 't' | 'n' | 'r' | 'f' | 'v' | 'a')) => out.extend(['\\', *c]),
                    Some(c) if c.is_ascii_punctuation() => out.extend(['\\', *c]),
                    _ => return Err("an unusual escape in a class"),
                }
                at += 2;
            }
            Some(c @ (']' | '[' | '&' | '~')) => {
                out.extend(['\\', *c]);
                at += 1;
            }
            Some(c) => {
                out.push(*c);
                at += 1;
            }
        }
    }
}
