//! The calls of a rule as matchers of one syntax.

use super::{Matcher, Node, QueryTest, RuleError, Syntax, expression::Expression, matcher::network};
use crate::traefik::regexp::Pattern;

/// The matchers of version 2.
const V2: [&str; 10] =
    ["Host", "HostHeader", "HostRegexp", "ClientIP", "Path", "PathPrefix", "Method", "Headers", "HeadersRegexp", "Query"];
/// The matchers of version 3.
const V3: [&str; 11] = [
    "ClientIP",
    "Method",
    "Host",
    "HostRegexp",
    "Path",
    "PathRegexp",
    "PathPrefix",
    "Header",
    "HeaderRegexp",
    "Query",
    "QueryRegexp",
];

pub(super) fn bind(expression: &Expression, syntax: Syntax) -> Result<Node, RuleError> {
    let inner = |expression: &Expression| bind(expression, syntax).map(Box::new);
    Ok(match expression {
        Expression::And(left, right) => Node::And(inner(left)?, inner(right)?),
        Expression::Or(left, right) => Node::Or(inner(left)?, inner(right)?),
        Expression::Not(negated) => Node::Not(inner(negated)?),
        Expression::Call { name, arguments } => {
            let known: &[&str] = match syntax {
                Syntax::V2 => &V2,
                Syntax::V3 => &V3,
            };
            let matcher = known.iter().find(|known| is_spelling(name, known));
            let matcher = matcher.ok_or_else(|| invalid(format!("there is no matcher {name}")))?;
            if arguments.is_empty() || arguments.iter().any(String::is_empty) {
                return Err(invalid(format!("an argument of {matcher} is missing")));
            }
            match syntax {
                Syntax::V2 => v2(matcher, arguments)?,
                Syntax::V3 => v3(matcher, arguments)?,
            }
        }
    })
}

/// Whether a name is a matcher as Traefik spells it: as it is, in lower case, in upper case, or with one capital.
fn is_spelling(name: &str, matcher: &str) -> bool {
    let lower = matcher.to_ascii_lowercase();
    let title = format!("{}{}", lower[..1].to_ascii_uppercase(), &lower[1..]);
    name == matcher || name == lower || name == matcher.to_ascii_uppercase() || name == title
}

fn invalid(message: String) -> RuleError {
    RuleError::Invalid(message)
}

fn v3(matcher: &str, arguments: &[String]) -> Result<Node, RuleError> {
    let most = match matcher {
        "Header" | "HeaderRegexp" => 2..=2,
        "Query" | "QueryRegexp" => 1..=2,
        _ => 1..=1,
    };
    if !most.contains(&arguments.len()) {
        return Err(invalid(format!("{matcher} has {} arguments", arguments.len())));
    }
    let first = &arguments[0];
    let second = arguments.get(1);
    let one = |text: &String| vec![text.clone()];
    Ok(Node::Leaf(match matcher {
        "Host" => Matcher::Host(vec![host(first)?]),
        "HostRegexp" => {
            let pattern = Pattern::compile(ascii(first)?)?;
            // Traefik matches it with an empty text besides the host, the name behind an alias that it does not look up.
            let takes_all = pattern.is_match("") == Some(true);
            Matcher::HostRegexp(vec![if takes_all { Pattern::compile("")? } else { pattern }])
        }
        "Path" => Matcher::Path(one(path(first)?)),
        "PathPrefix" => Matcher::PathPrefix(one(path(first)?)),
        "PathRegexp" => Matcher::PathRegexp(vec![Pattern::compile(first)?]),
        "Method" => Matcher::Method(vec![first.to_uppercase()]),
        "ClientIP" => Matcher::ClientIp(vec![network(first)?]),
        "Header" => Matcher::Header { name: first.clone(), value: second.cloned() },
        "HeaderRegexp" => Matcher::HeaderRegexp { name: first.clone(), pattern: Pattern::compile(&arguments[1])? },
        "QueryRegexp" if let Some(pattern) = second => {
            Matcher::Query { name: first.clone(), test: QueryTest::OneMatches(Pattern::compile(pattern)?) }
        }
        _ => Matcher::Query { name: first.clone(), test: QueryTest::OneIs(second.cloned().unwrap_or_default()) },
    }))
}

fn v2(matcher: &str, arguments: &[String]) -> Result<Node, RuleError> {
    Ok(Node::Leaf(match matcher {
        "Host" | "HostHeader" => Matcher::Host(arguments.iter().map(|name| host(name)).collect::<Result<_, _>>()?),
        "HostRegexp" => {
            let patterns = arguments.iter().map(|name| Pattern::compile(&template(ascii(name)?, "[^.]+", Anchor::Host)?));
            Matcher::HostRegexp(patterns.collect::<Result<_, _>>()?)
        }
        "ClientIP" => Matcher::ClientIp(arguments.iter().map(|text| network(text)).collect::<Result<_, _>>()?),
        "Path" | "PathPrefix" => return paths(matcher == "PathPrefix", arguments),
        "Method" => Matcher::Method(arguments.iter().map(|method| method.to_uppercase()).collect()),
        "Headers" => {
            return all(pairs(matcher, arguments)?
                .into_iter()
                .map(|(name, value)| Ok(Matcher::Header { name, value: Some(value) })));
        }
        "HeadersRegexp" => {
            return all(pairs(matcher, arguments)?
                .into_iter()
                .map(|(name, pattern)| Ok(Matcher::HeaderRegexp { name, pattern: Pattern::compile(&pattern)? })));
        }
        _ => return queries(arguments),
    }))
}

/// Paths of version 2, each of which may have patterns.
fn paths(prefix: bool, arguments: &[String]) -> Result<Node, RuleError> {
    let (mut plain, mut patterns) = (Vec::new(), Vec::new());
    for argument in arguments {
        let argument = path(argument)?;
        if argument.contains(['{', '}']) {
            let anchor = if prefix { Anchor::Prefix } else { Anchor::Whole };
            patterns.push(Pattern::compile(&template(argument, "[^/]+", anchor)?)?);
        } else {
            plain.push(argument.clone());
        }
    }
    let plain_matcher = |plain| if prefix { Matcher::PathPrefix(plain) } else { Matcher::Path(plain) };
    Ok(match (plain.is_empty(), patterns.is_empty()) {
        (false, true) => Node::Leaf(plain_matcher(plain)),
        (true, _) => Node::Leaf(Matcher::PathRegexp(patterns)),
        (false, false) => {
            Node::Or(Box::new(Node::Leaf(plain_matcher(plain))), Box::new(Node::Leaf(Matcher::PathRegexp(patterns))))
        }
    })
}

/// `Query` of version 2: all of `key=value`, of which only the first value in the request counts. Key and value may be arguments
/// of their own.
fn queries(arguments: &[String]) -> Result<Node, RuleError> {
    if let Some(pattern) = arguments.iter().find(|argument| argument.contains(['{', '}'])) {
        return Err(RuleError::Unsupported(format!("a pattern in Query: {pattern:?}")));
    }
    let parts: Vec<String> = arguments.iter().flat_map(|argument| argument.splitn(2, '=')).map(str::to_owned).collect();
    if !parts.len().is_multiple_of(2) {
        return Err(invalid("Query has a key without a value".into()));
    }
    all(parts.chunks(2).map(|pair| {
        let test = if pair[1].is_empty() { QueryTest::Present } else { QueryTest::FirstIs(pair[1].clone()) };
        Ok(Matcher::Query { name: pair[0].clone(), test })
    }))
}

/// Pairs of name and value. Of two with one name, Traefik takes the last.
fn pairs(matcher: &str, arguments: &[String]) -> Result<Vec<(String, String)>, RuleError> {
    if !arguments.len().is_multiple_of(2) {
        return Err(invalid(format!("{matcher} has an odd number of arguments")));
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in arguments.chunks(2) {
        pairs.retain(|(name, _)| *name != pair[0]);
        pairs.push((pair[0].clone(), pair[1].clone()));
    }
    Ok(pairs)
}

fn all(matchers: impl Iterator<Item = Result<Matcher, RuleError>>) -> Result<Node, RuleError> {
    let mut node: Option<Node> = None;
    for matcher in matchers {
        let leaf = Node::Leaf(matcher?);
        node = Some(match node {
            None => leaf,
            Some(before) => Node::And(Box::new(before), Box::new(leaf)),
        });
    }
    node.ok_or_else(|| invalid("an argument is missing".into()))
}

fn ascii(text: &str) -> Result<&str, RuleError> {
    if text.is_ascii() { Ok(text) } else { Err(invalid(format!("{text:?} has characters beyond ASCII"))) }
}

fn host(text: &str) -> Result<String, RuleError> {
    Ok(ascii(text)?.to_ascii_lowercase())
}

fn path(text: &String) -> Result<&String, RuleError> {
    if text.starts_with('/') { Ok(text) } else { Err(invalid(format!("the path {text:?} does not begin with a slash"))) }
}

/// What a template matches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Anchor {
    /// A whole host, in any case.
    Host,
    /// A whole path.
    Whole,
    /// The begin of a path.
    Prefix,
}

/// A template of version 2 such as `{name:[a-z]+}.example.org` as a regular expression of Go.
fn template(text: &str, default: &str, anchor: Anchor) -> Result<String, RuleError> {
    let unbalanced = || invalid(format!("brackets in {text:?} are not balanced"));
    let mut out = String::from(if anchor == Anchor::Host { "(?i)^" } else { "^" });
    let (mut level, mut open, mut end, mut group) = (0_i32, 0, 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => {
                level += 1;
                if level == 1 {
                    open = at;
                }
            }
            '}' => {
                level -= 1;
                if level == 0 {
                    let inside = &text[open + 1..at];
                    let (name, pattern) = inside.split_once(':').unwrap_or((inside, default));
                    if name.is_empty() || pattern.is_empty() {
                        return Err(invalid(format!("a name or a pattern is missing in {text:?}")));
                    }
                    Pattern::compile(pattern)?;
                    out.push_str(&format!("{}(?P<v{group}>{pattern})", quote(&text[end..open])));
                    group += 1;
                    end = at + 1;
                }
            }
            _ => {}
        }
        if level < 0 {
            return Err(unbalanced());
        }
    }
    if level != 0 {
        return Err(unbalanced());
    }
    out.push_str(&quote(&text[end..]));
    if anchor != Anchor::Prefix {
        out.push('$');
    }
    Ok(out)
}

/// A text as the expression that matches it alone, as Go writes it.
fn quote(text: &str) -> String {
    let special = |c: &char| r"\.+*?()|[]{}^$".contains(*c);
    text.chars().flat_map(|c| [special(&c).then_some('\\'), Some(c)]).flatten().collect()
}
