//! Proves that head is what runs, and removes the services that it dropped.

use std::collections::BTreeMap;

use super::{Context, check, unread};
use crate::{
    model::{
        head::Head,
        names::ServiceName,
        object::ObjectKind,
        outcome::{Cause, Failure, Gap, Outcome},
    },
    pure::{
        host::{claim::Claimed, cleanup_plan::Removal, converge::ServiceView},
        recipe::{
            compose::{self, Resolved},
            upgrade,
        },
        run::{event::Note, plan::StepId},
    },
};

pub(super) async fn verify_head(context: &Context<'_>, id: &StepId) -> Outcome {
    match proved(context, id).await {
        Ok(outcome) => outcome,
        Err(failure) => Outcome::Failed(failure),
    }
}

async fn proved(context: &Context<'_>, id: &StepId) -> Result<Outcome, Failure> {
    let head = context.head()?;
    let (_, before) = context.base()?;
    let live = match context.ports.swarm.observe(&head.stack).await {
        Ok(services) => services,
        Err(error) => return Ok(unread(&error)),
    };
    let flaws = upgrade::flaws(&head.commit, &head.stack, &live);
    let labelled = told(flaws, |what| Outcome::Failed(Failure::new(Cause::NotHead, what)));
    check(context, id, "what runs was deployed from head", &labelled);
    if !labelled.passed() {
        return Ok(labelled);
    }
    let calibrated = context.log.state().calibration.filter(|calibration| calibration.differences.is_empty());
    if calibrated.is_none() {
        let what = "what the install showed is not what the files of base say".to_owned();
        return Ok(Outcome::Unverified(Gap::ResolverDisagrees { what }));
    }
    let resolved = match context.resolved(&context.tree).await? {
        Ok(resolved) => resolved,
        Err(what) => return Ok(Outcome::Unverified(Gap::ResolverDisagrees { what })),
    };
    let dropped = upgrade::dropped(&resolved, &live);
    remove(context, head, &dropped).await?;
    let kept: BTreeMap<ServiceName, ServiceView> = live.into_iter().filter(|(name, _)| !dropped.contains(name)).collect();
    let images = same(&resolved, &kept);
    check(context, id, "every service runs what head's files say", &images);
    if !images.passed() {
        return Ok(images);
    }
    Ok(match upgrade::differs(&before.resolved, &context.resolved_sample()?) {
        true => Outcome::Passed,
        false => Outcome::Unverified(Gap::NoChange),
    })
}

fn same(resolved: &Resolved, live: &BTreeMap<ServiceName, ServiceView>) -> Outcome {
    let differences = compose::calibrate(resolved, live, super::verify_compose::kernel(live));
    told(differences.iter().map(ToString::to_string).collect(), |what| Outcome::Failed(Failure::new(Cause::NotHead, what)))
}

fn told(flaws: Vec<String>, otherwise: impl Fn(String) -> Outcome) -> Outcome {
    if flaws.is_empty() { Outcome::Passed } else { otherwise(flaws.join("; ")) }
}

/// Removes the services that head dropped: abra leaves them running, and an operator would have to find them too.
async fn remove(context: &Context<'_>, head: &Head, dropped: &[ServiceName]) -> Result<(), Failure> {
    if dropped.is_empty() {
        return Ok(());
    }
    let claim = context.claim(Claimed::Stack { name: head.stack.clone() })?;
    let inventory = context.ports.swarm.inventory().await?;
    for name in dropped {
        let object = inventory.objects.iter().find(|(id, object)| id.kind == ObjectKind::Service && object.name == name.as_str());
        let Some((object, _)) = object else { continue };
        let removal = Removal { object: object.clone(), name: name.to_string() };
        context.ports.swarm.remove(&claim, &removal).await?;
        context.log.note(Note::Dropped { service: head.stack.short(name).to_owned() });
    }
    Ok(())
}
