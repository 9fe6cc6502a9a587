//! What the screenshot of a run shows: the app may run base, or a mixture, when it is taken.

use super::state::RunState;
use crate::model::outcome::{Cause, Outcome, Subject};

/// What the screenshot shows, a whole sentence without its end; absent without a screenshot, or when it is not known.
pub fn caption(state: &RunState) -> Option<String> {
    let plan = state.plan.as_ref()?;
    let head = || {
        let version = plan.head.as_ref().and_then(|head| head.version.clone());
        version.map_or_else(|| "head".to_owned(), |version| format!("head, {version}"))
    };
    let base = || plan.base.as_ref().map_or_else(|| "base".to_owned(), |base| format!("base, {base}"));
    let failure = plan.steps.iter().filter(|planned| planned.step.upgrades()).find_map(|planned| {
        match state.steps.get(&planned.id)?.outcome()? {
            Outcome::Failed(failure) => Some(&failure.cause),
            Outcome::Passed | Outcome::Skipped(_) | Outcome::Unverified(_) => None,
        }
    });
    Some(match (state.screenshot_of?, failure) {
        (Subject::Head, _) => format!("it shows {}", head()),
        (Subject::Base, Some(Cause::RolledBack { .. })) => format!("it shows {}, to which Swarm rolled {} back", base(), head()),
        (Subject::Base, Some(_)) => format!("it shows {}, because the upgrade to {} failed", base(), head()),
        (Subject::Base, None) => format!("it shows {}", base()),
        (Subject::Mixed, _) => format!("it shows a mixture of {} and {}, for the upgrade did not end", base(), head()),
    })
}
