//! The longest that steps of each kind may take.

use std::time::Duration;

use crate::{
    model::{
        host::Limits,
        refusal::Refusal,
        request::{DEFAULT_DEADLINE, Request},
        time::format_duration,
    },
    pure::recipe::compose::Resolved,
};

/// A step that does not wait for the app.
pub(super) const SHORT: Duration = Duration::from_secs(60);
/// Lint of one commit.
pub(super) const LINT: Duration = Duration::from_secs(60);
/// A stack that settles. Convergence fails it earlier by the services' own numbers.
const SETTLE: Duration = Duration::from_secs(1200);
/// The first answer of an app that has settled, unless its timeout label says otherwise.
pub(super) const HTTP: Duration = Duration::from_secs(300);
/// A snapshot or its restore, and the services until they run again.
pub(super) const BACKUP: Duration = Duration::from_secs(900);
/// One function of a pack.
pub(super) const CUSTOM: Duration = Duration::from_secs(120);
/// A screenshot.
pub(super) const SCREENSHOT: Duration = Duration::from_secs(60);
/// The removal of everything.
pub(super) const CLEANUP: Duration = Duration::from_secs(120);

/// How long the stack may take to settle: as the host file says, else as long as its slowest service may take by its own health
/// check, and [`SETTLE`] at least. A budget that is too short for a service would only prove that it is too short.
///
/// # Errors
/// When the host file or the deadline allows less than the slowest service needs.
pub(super) fn settle(request: &Request, resolved: &Resolved, limits: &Limits) -> Result<Duration, Refusal> {
    let slowest = resolved.services.iter().max_by_key(|(_, service)| service.allowance());
    let Some((name, allowance)) = slowest.map(|(name, service)| (name, service.allowance())) else { return Ok(SETTLE) };
    let given = limits.deploy_seconds.map(Duration::from_secs);
    let refused = |what: String, remedy: &str| {
        let needs = format!("the health check of service {name} allows {} until it is healthy", format_duration(allowance));
        Refusal::Request { sentence: format!("{needs}, and {what}; {remedy}") }
    };
    if let Some(given) = given.filter(|given| *given < allowance) {
        return Err(refused(
            format!("a deploy on this host may take {}", format_duration(given)),
            "raise limits.deploy_seconds in the host file",
        ));
    }
    // A deadline that the command line names is taken as it is: an app is mostly healthy long before its allowance is over.
    if request.deadline == DEFAULT_DEADLINE && DEFAULT_DEADLINE < allowance {
        return Err(refused(
            format!("the run's deadline is {}", format_duration(request.deadline)),
            "give it a longer --deadline",
        ));
    }
    Ok(given.unwrap_or(SETTLE.max(allowance.saturating_add(SHORT))))
}
