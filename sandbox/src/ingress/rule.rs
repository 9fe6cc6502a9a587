//! The rule of a Traefik router, as far as the ingress supports it: hosts. Pure.

use std::collections::BTreeSet;

/// What of a router's rule is not supported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A matcher other than `Host`.
    #[error("{0} instead of Host")]
    OtherMatcher(String),
    /// Text where `Host(…)` was expected.
    #[error("{0:?} is not of the form Host(…)")]
    NotAMatcher(String),
    /// A bracket without its end.
    #[error("a bracket is not closed")]
    Unclosed,
    /// An argument of `Host` without quotes.
    #[error("{0:?} is not a host in quotes")]
    NotQuoted(String),
    /// A name that cannot be a host.
    #[error("{0:?} is not a host")]
    NotAHost(String),
    /// Text after the last host, such as `&&`.
    #[error("{0:?} after the hosts")]
    Rest(String),
}

/// The hosts of a rule such as ``Host(`a`, `b`) || Host(`c`)``.
pub fn hosts_of_rule(rule: &str) -> Result<BTreeSet<String>, RuleError> {
    let mut hosts = BTreeSet::new();
    let mut rest = rule.trim();
    loop {
        let inside = rest.strip_prefix("Host").map(str::trim_start).and_then(|text| text.strip_prefix('(')).ok_or_else(|| {
            let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '!').collect();
            if word.is_empty() { RuleError::NotAMatcher(rest.to_owned()) } else { RuleError::OtherMatcher(word) }
        })?;
        let (list, after) = inside.split_once(')').ok_or(RuleError::Unclosed)?;
        for item in list.split(',').map(str::trim) {
            let host = ['`', '"', '\'']
                .iter()
                .find_map(|quote| item.strip_prefix(*quote)?.strip_suffix(*quote))
                .ok_or_else(|| RuleError::NotQuoted(item.to_owned()))?
                .trim()
                .to_ascii_lowercase();
            let valid = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
            if host.is_empty() || !host.chars().all(valid) {
                return Err(RuleError::NotAHost(host));
            }
            hosts.insert(host);
        }
        rest = after.trim_start();
        match rest.strip_prefix("||") {
            Some(next) => rest = next.trim_start(),
            None if rest.is_empty() => return Ok(hosts),
            None => return Err(RuleError::Rest(rest.to_owned())),
        }
    }
}
