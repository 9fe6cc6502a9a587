//! The rules of Traefik's routers: which requests a rule takes, and which hosts it may take.
//!
//! Traefik has two syntaxes, that of version 2 and that of version 3, and its configuration says which one a router has. A
//! rule is read with either, or with both where nobody says which one holds.

mod bind;
mod expression;
mod matcher;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, net::IpAddr};

pub use matcher::{Matcher, QueryTest};

use self::expression::Expression;
pub use super::error::RuleError;

/// The syntax of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Syntax {
    /// That of version 2: several arguments of a matcher are alternatives, and `{name:pattern}` is a pattern.
    V2,
    /// That of version 3: a matcher has a fixed number of arguments, and patterns are regular expressions.
    V3,
}

impl Syntax {
    /// Both.
    pub const ALL: [Syntax; 2] = [Syntax::V2, Syntax::V3];

    /// The syntax that a router's `rulesyntax` names.
    pub fn of_label(value: &str) -> Option<Self> {
        match value {
            "v2" => Some(Syntax::V2),
            "v3" => Some(Syntax::V3),
            _ => None,
        }
    }
}

/// Whether a rule takes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// That depends on what is not known of the request.
    Unknown,
}

/// A request, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The host as the client sent it, without a port.
    pub host: Option<String>,
    /// The path, decoded, without the query.
    pub path: Option<String>,
    /// The method, in upper case.
    pub method: Option<String>,
    /// All headers besides the host. A name that occurs twice is there twice.
    pub headers: Option<Vec<(String, String)>>,
    /// The parameters of the query, decoded.
    pub query: Option<Vec<(String, String)>>,
    /// The address of the client.
    pub client: Option<IpAddr>,
}

impl Request {
    /// A request of which nothing is known but its host.
    pub fn to_host(host: &str) -> Self {
        Self { host: Some(host.to_owned()), ..Self::default() }
    }
}

/// The hosts that a rule takes at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Nothing bounds them.
    Any,
    /// Each is one of these.
    Within(BTreeSet<HostShape>),
}

/// A set of hosts, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostShape {
    /// This name.
    Name(String),
    /// Names that end in this text, such as `.example.org`. Without a dot at its start the text ends other names too:
    /// `example.org` ends `badexample.org`.
    Ending(String),
}

/// The longest rule that is read, in bytes: the tree of a rule is as deep as the rule is long.
const LONGEST_RULE: usize = 16 << 10;

/// A node of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Both take the request.
    And(Box<Node>, Box<Node>),
    /// One of them takes the request.
    Or(Box<Node>, Box<Node>),
    /// It does not take the request.
    Not(Box<Node>),
    /// A matcher.
    Leaf(Matcher),
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    root: Node,
}

impl Rule {
    /// Reads a rule in one syntax.
    ///
    /// # Errors
    /// When Traefik refuses it, or its meaning is not certain.
    pub fn parse(text: &str, syntax: Syntax) -> Result<Self, RuleError> {
        if text.len() > LONGEST_RULE {
            return Err(RuleError::Unsupported(format!("the rule is longer than {} KiB", LONGEST_RULE >> 10)));
        }
        let root = bind::bind(&Expression::parse(text)?, syntax)?;
        Ok(Self { root })
    }

    /// The rule in each syntax that accepts it, where nobody says which one holds.
    ///
    /// # Errors
    /// [`RuleError::Unsupported`] when its meaning is uncertain in one of them, [`RuleError::Invalid`] when both refuse it.
    pub fn readings(text: &str) -> Result<Vec<Self>, RuleError> {
        let read = Syntax::ALL.map(|syntax| Self::parse(text, syntax));
        if let Some(Err(error)) = read.iter().find(|read| matches!(read, Err(RuleError::Unsupported(_)))) {
            return Err(error.clone());
        }
        let [v2, v3] = read;
        match (v2, v3) {
            (Err(error), Err(_)) => Err(error),
            (v2, v3) => Ok([v2, v3].into_iter().flatten().collect()),
        }
    }

    /// Its tree.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Whether it takes a request.
    pub fn takes(&self, request: &Request) -> Takes {
        self.root.takes(request)
    }

    /// Whether it takes a request to this host, whatever the rest of the request is.
    pub fn may_take_host(&self, host: &str) -> bool {
        self.takes(&Request::to_host(host)) != Takes::No
    }

    /// The hosts that it takes at most.
    pub fn hosts(&self) -> Hosts {
        self.root.hosts(true)
    }
}

impl Node {
    fn takes(&self, request: &Request) -> Takes {
        match self {
            Node::And(left, right) => match (left.takes(request), right.takes(request)) {
                (Takes::No, _) | (_, Takes::No) => Takes::No,
                (Takes::Yes, Takes::Yes) => Takes::Yes,
                (Takes::Unknown, _) | (_, Takes::Unknown) => Takes::Unknown,
            },
            Node::Or(left, right) => match (left.takes(request), right.takes(request)) {
                (Takes::Yes, _) | (_, Takes::Yes) => Takes::Yes,
                (Takes::No, Takes::No) => Takes::No,
                (Takes::Unknown, _) | (_, Takes::Unknown) => Takes::Unknown,
            },
            Node::Not(inner) => match inner.takes(request) {
                Takes::Yes => Takes::No,
                Takes::No => Takes::Yes,
                Takes::Unknown => Takes::Unknown,
            },
            Node::Leaf(matcher) => {
                matcher.takes(request).map_or(Takes::Unknown, |takes| if takes { Takes::Yes } else { Takes::No })
            }
        }
    }

    /// The hosts at most, of the node or (`positive` is false) of all that it does not take.
    fn hosts(&self, positive: bool) -> Hosts {
        match self {
            Node::Not(inner) => inner.hosts(!positive),
            Node::And(left, right) if positive => narrower(left.hosts(true), right.hosts(true)),
            Node::Or(left, right) if !positive => narrower(left.hosts(false), right.hosts(false)),
            Node::And(left, right) | Node::Or(left, right) => together(left.hosts(positive), right.hosts(positive)),
            Node::Leaf(matcher) if positive => matcher.hosts(),
            Node::Leaf(_) => Hosts::Any,
        }
    }

    /// All matchers below, in their order.
    pub fn matchers(&self) -> Vec<&Matcher> {
        match self {
            Node::And(left, right) | Node::Or(left, right) => [left.matchers(), right.matchers()].concat(),
            Node::Not(inner) => inner.matchers(),
            Node::Leaf(matcher) => vec![matcher],
        }
    }
}

/// Both bounds hold, so either one is a bound: the one with fewer shapes.
fn narrower(left: Hosts, right: Hosts) -> Hosts {
    match (left, right) {
        (Hosts::Any, other) | (other, Hosts::Any) => other,
        (Hosts::Within(left), Hosts::Within(right)) => {
            let open = |shapes: &BTreeSet<HostShape>| shapes.iter().filter(|shape| matches!(shape, HostShape::Ending(_))).count();
            let pick = (open(&left), left.len()) <= (open(&right), right.len());
            Hosts::Within(if pick { left } else { right })
        }
    }
}

fn together(left: Hosts, right: Hosts) -> Hosts {
    match (left, right) {
        (Hosts::Within(mut left), Hosts::Within(right)) => {
            left.extend(right);
            Hosts::Within(left)
        }
        (Hosts::Any, _) | (_, Hosts::Any) => Hosts::Any,
    }
}
