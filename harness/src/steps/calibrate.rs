//! Holds what the recipe's files were taken to say against what runs, so that nothing rests on a resolver that is wrong.

use super::{Context, check, unread};
use crate::{
    claim::Claimed,
    compose::{self, Env, Kernel},
    converge::Endpoint,
    event::Note,
    facts::recipe,
    model::outcome::{Failure, Gap, Outcome},
    plan::StepId,
};

pub(super) async fn calibrate(context: &Context<'_>, id: &StepId) -> Outcome {
    let head = match context.head() {
        Ok(head) => head,
        Err(failure) => return Outcome::Failed(failure),
    };
    let env = match deployed_env(context).await {
        Ok(text) => text,
        Err(failure) => return Outcome::Failed(failure),
    };
    let services = match context.ports.swarm.look(&head.stack).await {
        Ok(services) => services,
        Err(error) => return unread(&error),
    };
    let parsed = Env::parse(&env).map_err(|error| format!(".env, {error}"));
    let resolved = parsed.and_then(|env| {
        compose::resolve(&context.tree, &recipe::with_own(env, &head.domain), &head.stack).map_err(|error| error.to_string())
    });
    let dnsrr = !services.is_empty() && services.values().all(|service| service.endpoint == Endpoint::Dnsrr);
    let kernel = if dnsrr { Kernel::NoIpvs } else { Kernel::Ipvs };
    let (differences, skipped) = match resolved {
        Ok(resolved) => (
            compose::calibrate(&resolved, &services, kernel).iter().map(ToString::to_string).collect(),
            resolved.skipped.into_iter().map(|skipped| skipped.path).collect(),
        ),
        Err(sentence) => (vec![sentence], Vec::new()),
    };
    let outcome = match differences.is_empty() {
        true => Outcome::Passed,
        false => Outcome::Unverified(Gap::ResolverDisagrees { what: differences.join("; ") }),
    };
    context.log.note(Note::Calibrated { differences, skipped });
    check(context, id, "what runs is what the recipe's files say", &outcome);
    outcome
}

/// The `.env` that the app was deployed with.
async fn deployed_env(context: &Context<'_>) -> Result<String, Failure> {
    let head = context.head()?;
    let claim = context.claim(Claimed::EnvFile { path: context.folder.env_file(&context.host.server, &head.domain) })?;
    Ok(context.ports.checkout.env(&claim).await?)
}
