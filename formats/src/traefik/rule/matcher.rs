//! What a single matcher takes.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{HostShape, Hosts, Request, RuleError};
use crate::traefik::regexp::Pattern;

/// A matcher with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// The host is one of these, which are in lower case.
    Host(Vec<String>),
    /// One of these matches the host in lower case.
    HostRegexp(Vec<Pattern>),
    /// The path is one of these.
    Path(Vec<String>),
    /// The path begins with one of these.
    PathPrefix(Vec<String>),
    /// One of these matches the path.
    PathRegexp(Vec<Pattern>),
    /// The method is one of these, which are in upper case.
    Method(Vec<String>),
    /// A header of this name has this value, or any where none is given.
    Header {
        /// The name, in any case.
        name: String,
        /// The value.
        value: Option<String>,
    },
    /// A header of this name has a value that matches.
    HeaderRegexp {
        /// The name, in any case.
        name: String,
        /// The pattern.
        pattern: Pattern,
    },
    /// A parameter of the query passes a test.
    Query {
        /// Its name.
        name: String,
        /// The test.
        test: QueryTest,
    },
    /// The client's address is in one of these networks.
    ClientIp(Vec<(IpAddr, u8)>),
}

/// What a parameter of the query has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryTest {
    /// One of its values is this.
    OneIs(String),
    /// One of its values matches.
    OneMatches(Pattern),
    /// Its first value is this.
    FirstIs(String),
    /// It is there.
    Present,
}

impl Matcher {
    /// Whether it takes a request; `None` when that part of the request is not known.
    pub(super) fn takes(&self, request: &Request) -> Option<bool> {
        match self {
            Matcher::Host(hosts) => {
                let asked = request.host.as_ref()?.to_ascii_lowercase();
                Some(!asked.is_empty() && hosts.iter().any(|host| same_host(&asked, host)))
            }
            Matcher::HostRegexp(patterns) => any_match(patterns, &request.host.as_ref()?.to_ascii_lowercase()),
            Matcher::Path(paths) => Some(paths.contains(request.path.as_ref()?)),
            Matcher::PathPrefix(starts) => {
                let path = request.path.as_ref()?;
                Some(starts.iter().any(|start| path.starts_with(start.as_str())))
            }
            Matcher::PathRegexp(patterns) => any_match(patterns, request.path.as_ref()?),
            Matcher::Method(methods) => Some(methods.contains(request.method.as_ref()?)),
            Matcher::Header { name, value } => {
                let found = values(request.headers.as_ref()?, name);
                Some(found.iter().any(|found| value.as_ref().is_none_or(|value| value == found)))
            }
            Matcher::HeaderRegexp { name, pattern } => {
                let found = values(request.headers.as_ref()?, name);
                let answers: Vec<Option<bool>> = found.iter().map(|value| pattern.is_match(value)).collect();
                one_of(&answers)
            }
            Matcher::Query { name, test } => {
                let query = request.query.as_ref()?;
                let found: Vec<&str> = query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect();
                match test {
                    QueryTest::OneIs(value) => Some(found.contains(&value.as_str())),
                    QueryTest::FirstIs(value) => Some(found.first() == Some(&value.as_str())),
                    QueryTest::Present => Some(!found.is_empty()),
                    QueryTest::OneMatches(pattern) => {
                        one_of(&found.iter().map(|value| pattern.is_match(value)).collect::<Vec<_>>())
                    }
                }
            }
            Matcher::ClientIp(networks) => {
                let client = request.client?;
                Some(networks.iter().any(|(address, length)| contains(*address, *length, client)))
            }
        }
    }

    /// The hosts that it takes at most.
    pub(super) fn hosts(&self) -> Hosts {
        match self {
            Matcher::Host(hosts) => {
                Hosts::Within(hosts.iter().map(|host| HostShape::Name(host.trim_end_matches('.').to_owned())).collect())
            }
            Matcher::HostRegexp(patterns) => {
                let shapes: Option<BTreeSet<HostShape>> =
                    patterns.iter().map(|pattern| pattern.suffix().map(HostShape::Ending)).collect();
                shapes.map_or(Hosts::Any, Hosts::Within)
            }
            Matcher::Path(_)
            | Matcher::PathPrefix(_)
            | Matcher::PathRegexp(_)
            | Matcher::Method(_)
            | Matcher::Header { .. }
            | Matcher::HeaderRegexp { .. }
            | Matcher::Query { .. }
            | Matcher::ClientIp(_) => Hosts::Any,
        }
    }
}

/// Whether two hosts are the same: either may have a dot at its end.
fn same_host(asked: &str, host: &str) -> bool {
    asked == host || host.strip_suffix('.') == Some(asked) || asked.strip_suffix('.') == Some(host)
}

fn any_match(patterns: &[Pattern], text: &str) -> Option<bool> {
    one_of(&patterns.iter().map(|pattern| pattern.is_match(text)).collect::<Vec<_>>())
}

/// Whether one of the answers is yes; `None` when that is not known.
fn one_of(answers: &[Option<bool>]) -> Option<bool> {
    if answers.contains(&Some(true)) { Some(true) } else { (!answers.contains(&None)).then_some(false) }
}

/// The values of a header, whose name has no case.
fn values<'a>(headers: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
}

fn contains(network: IpAddr, length: u8, client: IpAddr) -> bool {
    match (network.to_canonical(), client.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(client)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            Ipv4Addr::to_bits(network) & mask == Ipv4Addr::to_bits(client) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(client)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            Ipv6Addr::to_bits(network) & mask == Ipv6Addr::to_bits(client) & mask
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// An address, or a network as `10.0.0.0/8`.
pub(super) fn network(text: &str) -> Result<(IpAddr, u8), RuleError> {
    let invalid = || RuleError::Invalid(format!("{text:?} is neither an address nor a network"));
    match text.split_once('/') {
        None => {
            let address: IpAddr = text.parse().map_err(|_| invalid())?;
            Ok((address, if address.is_ipv4() { 32 } else { 128 }))
        }
        Some((address, length)) => {
            let address: IpAddr = address.parse().map_err(|_| invalid())?;
            let digits = !length.is_empty() && length.chars().all(|c| c.is_ascii_digit());
            let length: u8 = length.parse().ok().filter(|_| digits).ok_or_else(invalid)?;
            (length <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, length)).ok_or_else(invalid)
        }
    }
}
