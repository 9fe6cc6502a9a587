//! The longest that steps of each kind may take.

use std::time::Duration;

use super::{Planned, Step};
use crate::{
    model::{
        host::Limits,
        pack::{Budget, Budgets},
        refusal::Refusal,
        request::DEFAULT_DEADLINE,
        time::{format_duration, millis},
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
/// A step after a restore, which waits for a service that starts again.
pub(super) const RESTORED: Duration = Duration::from_secs(360);
/// One function of a pack.
pub(super) const CUSTOM: Duration = Duration::from_secs(120);
/// A screenshot.
pub(super) const SCREENSHOT: Duration = Duration::from_secs(60);
/// The removal of everything.
pub(super) const CLEANUP: Duration = Duration::from_secs(120);

/// What a deploy needs beside the wait for its services: the call of abra.
const DEPLOY: Duration = Duration::from_secs(50);
/// What an answer needs beside the wait for it: the last request, with the pause before it.
const LAST_REQUEST: Duration = Duration::from_secs(12);

/// How long the stack may take to settle: as the pack or the host file says, else as long as its slowest service may take by its
/// own health check, and [`SETTLE`] at least. A budget that is too short for a service would only prove that it is too short.
///
/// # Errors
/// When the pack, the host file or the deadline allows less than the slowest service needs.
pub(super) fn settle(deadline: Duration, budgets: &Budgets, resolved: &Resolved, limits: &Limits) -> Result<Duration, Refusal> {
    let of_pack = budgets.settle.map(Budget::time);
    let of_host = limits.deploy_seconds.map(Duration::from_secs);
    let slowest = resolved.services.iter().max_by_key(|(_, service)| service.allowance());
    let (name, allowance) = slowest.map(|(name, service)| (name.as_str(), service.allowance())).unwrap_or(("", Duration::ZERO));
    let refused = |what: String, remedy: &str| {
        let needs = format!("the health check of service {name} allows {} until it is healthy", format_duration(allowance));
        Refusal::Request { sentence: format!("{needs}, and {what}; {remedy}") }
    };
    if let Some(given) = of_pack.filter(|given| *given < allowance) {
        let what = format!("budgets.settle in the recipe's settings is {}", format_duration(given));
        return Err(refused(what, "raise budgets.settle"));
    }
    if let Some(given) = of_host.filter(|given| *given < allowance) {
        return Err(refused(
            format!("a deploy on this host may take {}", format_duration(given)),
            "raise limits.deploy_seconds in the host file",
        ));
    }
    // A deadline that the command line names is taken as it is: an app is mostly healthy long before its allowance is over.
    if deadline == DEFAULT_DEADLINE && DEFAULT_DEADLINE < allowance {
        return Err(refused(format!("the run's deadline is {}", format_duration(deadline)), "give it a longer --deadline"));
    }
    // The wait itself is what the pack names.
    let of_pack = of_pack.map(|given| given.saturating_add(DEPLOY));
    Ok(match (of_pack, of_host) {
        (Some(given), Some(most)) => given.min(most),
        (given, most) => given.or(most).unwrap_or(SETTLE.max(allowance.saturating_add(SHORT))),
    })
}

/// Gives the steps the times that the pack names for them.
///
/// # Errors
/// When one is longer than the run's deadline.
pub(super) fn give(budgets: &Budgets, deadline: Duration, steps: &mut [Planned]) -> Result<(), Refusal> {
    if let Some((key, given)) = budgets.given().find(|(_, given)| *given > deadline) {
        let (given, deadline) = (format_duration(given), format_duration(deadline));
        let sentence = format!(
            "budgets.{key} in the recipe's settings is {given}, and the run's deadline is {deadline}; give it a longer --deadline"
        );
        return Err(Refusal::Request { sentence });
    }
    for planned in steps {
        let given = match planned.step {
            Step::Http => budgets.answer.map(|given| given.time().saturating_add(LAST_REQUEST)),
            Step::Backup => budgets.backup.map(Budget::time),
            Step::Restore => budgets.restore.map(Budget::time),
            Step::Custom { .. } | Step::Configure | Step::PostDeploy { .. } => budgets.test.map(Budget::time),
            _ => None,
        };
        planned.budget_ms = given.map_or(planned.budget_ms, millis);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        model::pack::Settings,
        pure::run::plan::{Class, OnFail, sequence::planned},
    };

    fn budgets(text: &str) -> Budgets {
        Settings::parse(&format!("[budgets]\n{text}")).unwrap().budgets
    }

    fn steps() -> Vec<Planned> {
        let step = |step: Step, budget| planned("a", step, &[], Class::Always, budget, OnFail::Continue);
        vec![step(Step::Http, HTTP), step(Step::Backup, BACKUP), step(Step::Restore, BACKUP), step(Step::Stable, SHORT)]
    }

    #[test]
    fn steps_have_the_times_that_the_pack_names_and_the_defaults_else() {
        for (text, wanted) in [("", [300, 900, 900, 60]), ("answer = 60\nrestore = 30", [72, 900, 30, 60])] {
            let mut steps = steps();
            give(&budgets(text), DEFAULT_DEADLINE, &mut steps).unwrap();
            let given: Vec<u64> = steps.iter().map(|planned| planned.budget().as_secs()).collect();
            assert_eq!(given, wanted, "{text}");
        }
    }

    #[test]
    fn time_beyond_the_deadline_is_refused() {
        let minute = Duration::from_secs(60);
        let Err(Refusal::Request { sentence }) = give(&budgets("backup = 61"), minute, &mut steps()) else { panic!() };
        assert_eq!(
            sentence,
            "budgets.backup in the recipe's settings is 61 s, and the run's deadline is 60 s; give it a longer --deadline"
        );
    }

    #[test]
    fn settle_is_the_packs_and_at_most_the_hosts() {
        let resolved = Resolved {
            stack: "shop".parse().unwrap(),
            version: String::new(),
            services: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            secrets: BTreeMap::new(),
            configs: BTreeMap::new(),
            skipped: Vec::new(),
        };
        let limits = |seconds| Limits { deploy_seconds: seconds, ..Limits::default() };
        for (text, host, seconds) in [
            ("", None, 1200),
            ("settle = 90", None, 140),
            ("", Some(70), 70),
            ("settle = 90", Some(70), 70),
            ("settle = 9", Some(70), 59),
        ] {
            let given = settle(DEFAULT_DEADLINE, &budgets(text), &resolved, &limits(host)).unwrap();
            assert_eq!(given.as_secs(), seconds, "{text} {host:?}");
        }
    }
}
