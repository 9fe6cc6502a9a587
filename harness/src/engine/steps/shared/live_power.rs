//! What runs, compared in power with the host's policy and with what was deployed.
//!
//! Every deploy is followed by this: more power than policy allows ends the run at once, any other difference leaves unverified
//! what rests on the files.

use super::{context::StepContext, failure::unread, last_deploy::LastDeploy};
use crate::{
    model::{
        head::Head,
        outcome::{Gap, Outcome},
    },
    pure::{
        host::preflight::{Finding, Topic},
        recipe::{
            compose::Difference,
            policy,
            power::{self, Deployed},
        },
    },
};

/// The differences in power between what runs and what was deployed last; empty when nothing was. Otherwise the outcome of the
/// step: what runs has more power than the host's policy allows, or cannot be read.
pub(in crate::engine::steps) async fn examine(context: &StepContext<'_>, head: &Head) -> Result<Vec<Difference>, Outcome> {
    let live = context.ports.swarm.specs(&head.stack).await.map_err(|error| unread(&error))?;
    let allowed = context.host.allow.get(&head.recipe).cloned().unwrap_or_default();
    let breaches = policy::live_breaches(&live, &head.stack, &head.domain, &allowed);
    let mut sentences: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    sentences.extend(policy::live_objections(&live, &head.stack, &context.host.limits.most));
    if !sentences.is_empty() {
        return Err(Outcome::Unverified(Gap::NotPermitted { sentences }));
    }
    let last = context.last_deploy.borrow();
    let Some(LastDeploy { resolved, env, limits }) = last.as_ref() else { return Ok(Vec::new()) };
    let folder = context.folder.abra_dir().join("recipes").join(head.recipe.as_str()).display().to_string();
    Ok(power::differences(&Deployed { resolved, env, limits: &limits.facets, folder: &folder }, &live, context.lacks_ipvs()))
}

/// The outcome of a step that passed: unverified where what runs differs in power from what was deployed.
pub(in crate::engine::steps) async fn unless_different(context: &StepContext<'_>, head: &Head) -> Outcome {
    match examine(context, head).await {
        Err(outcome) => outcome,
        Ok(differences) if differences.is_empty() => Outcome::Passed,
        Ok(differences) => Outcome::Unverified(Gap::ResolverDisagrees { what: joined(&differences) }),
    }
}

/// The differences as one text.
pub(in crate::engine::steps) fn joined(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl StepContext<'_> {
    /// Whether the preflight found that the kernel has no IPVS, so that the sandbox's abra may deploy without it.
    pub(in crate::engine::steps) fn lacks_ipvs(&self) -> bool {
        let state = self.log.state();
        state.preflight.iter().any(|check| check.topic == Topic::Ipvs && check.finding == Finding::Notice)
    }
}
