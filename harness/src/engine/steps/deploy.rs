//! Deploys base or head where nothing is deployed, and waits until it has settled.

use std::{collections::BTreeMap, time::Duration};

use super::shared::{
    context::StepContext,
    deployment::{claimed_app, settle_update},
    live_power, permitted_deploy,
};
use crate::{
    model::outcome::{Outcome, Subject},
    pure::{
        recipe::lint::{self, Linted},
        run::{event::Note, facts::BaseFiles, plan::StepId},
    },
};

pub(super) async fn deploy(context: &StepContext<'_>, id: &StepId, budget: Duration, subject: Subject) -> Outcome {
    let (head, claim) = match claimed_app(context) {
        Ok(claimed) => claimed,
        Err(failure) => return Outcome::Failed(failure),
    };
    let version = match (subject, &context.base) {
        (Subject::Base, Some((base, files))) => {
            match unpinned(context.is_configured(), files, context.log.state().lint.get(&Subject::Base)) {
                None => base.version().map(str::to_owned),
                Some(why) => {
                    let text = format!("base {base} was deployed as it is checked out: {why}");
                    context.log.note(Note::Remark { text });
                    None
                }
            }
        }
        (Subject::Base | Subject::Head | Subject::Mixed, _) => None,
    };
    context.log.note(Note::Deployed);
    let outcome = match permitted_deploy::deploy(context, &head, &claim, subject, version).await {
        Ok(()) => settle_update(context, id, &head, &BTreeMap::new(), budget).await,
        Err(outcome) => outcome,
    };
    // The step `verify-compose` follows the first deploy alone.
    let again = context.log.state().deploys > 1;
    let outcome = if again && outcome.passed() { live_power::unless_different(context, &head).await } else { outcome };
    context.log.note(Note::Runs { subject });
    outcome
}

/// Why base cannot be deployed by its version, if it cannot: abra lints a release before it deploys it, and refuses one that
/// breaks a rule of severity error.
fn unpinned(configured: bool, files: &BaseFiles, linted: Option<&Linted>) -> Option<String> {
    if configured {
        return Some("the pack adds to its files, and abra pins only a clean checkout".into());
    }
    match (files.pinned, linted.map(Linted::errors)) {
        (false, _) => Some("abra pins only releases whose tags are all annotated".into()),
        (true, None) => Some("it could not be linted, and abra pins only what it can lint".into()),
        (true, Some(errors)) if errors.is_empty() => None,
        (true, Some(errors)) => Some(format!("abra pins nothing with lint errors: {}", lint::list_faults(&errors))),
    }
}
