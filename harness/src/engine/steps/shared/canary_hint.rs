//! A hint on failures of services into whose data canaries were seeded: a reader must be able to rule the canaries out.

use super::{context::StepContext, explain::service_of};
use crate::{
    model::outcome::Failure,
    pure::recipe::canary::{self, Canary},
};

/// The failure, with the canaries in the data of the service that failed and the option that runs without them.
pub(in crate::engine::steps) fn with_canary_hint(context: &StepContext<'_>, failure: Failure) -> Failure {
    let (Some(service), Ok(head)) = (service_of(&failure.cause), context.head()) else { return failure };
    let mut known = context.resolved_sample().into_iter().chain(context.base.iter().map(|(_, before)| before.resolved.clone()));
    let state = context.log.state();
    let sound = state.canaries.iter().filter(|state| state.sound());
    let seeded: Vec<Canary> = sound.map(|state| state.canary.clone()).collect();
    let into = known.find_map(|resolved| {
        let into = canary::into_service(&seeded, &resolved, head.stack.short(service));
        (!into.is_empty()).then_some(into)
    });
    match into {
        None => failure,
        Some(into) => {
            let canaries = into.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            let message = format!(
                "{}; taster had seeded {canaries}; run with --no-canaries to see whether it fails without them",
                failure.message
            );
            Failure { message, ..failure }
        }
    }
}
