//! Verifies that head is what runs, and removes the services that it dropped.

use std::collections::BTreeMap;

use super::shared::{compose::kernel, context::StepContext, failure::unread, live_power};
use crate::{
    model::{
        head::Head,
        names::ServiceName,
        object::ObjectKind,
        outcome::{Cause, Failure, Gap, Outcome},
    },
    pure::{
        host::{cleanup_plan::Removal, converge::ServiceView},
        recipe::{
            compose::{self, Resolved},
            upgrade,
        },
        run::{event::Note, plan::StepId},
    },
};

pub(super) async fn verify_head(context: &StepContext<'_>, id: &StepId) -> Outcome {
    verify(context, id).await.unwrap_or_else(Outcome::Failed)
}

async fn verify(context: &StepContext<'_>, id: &StepId) -> Result<Outcome, Failure> {
    let head = context.head()?;
    let (_, before) = context.base()?;
    let live = match context.ports.swarm.observe(&head.stack).await {
        Ok(services) => services,
        Err(error) => return Ok(unread(&error)),
    };
    let labelled = passed_without(upgrade::flaws(&head.commit, &head.stack, &live));
    context.check(id, "what runs was deployed from head", &labelled);
    if !labelled.passed() {
        return Ok(labelled);
    }
    let agreed = context.log.state().compose_verification.as_ref().is_some_and(|verified| verified.differences.is_empty());
    if !agreed {
        let what = "they differed already after the install of base".to_owned();
        return Ok(Outcome::Unverified(Gap::ResolverDisagrees { what }));
    }
    let resolved = match context.resolved(&context.tree).await? {
        Ok(resolved) => resolved,
        Err(error) => return Ok(Outcome::Unverified(Gap::Unresolved { what: error.to_string() })),
    };
    let dropped = upgrade::dropped(&resolved, &live);
    remove_dropped(context, head, &dropped).await?;
    let kept: BTreeMap<ServiceName, ServiceView> = live.into_iter().filter(|(name, _)| !dropped.contains(name)).collect();
    let images = compare(context, &resolved, &kept);
    context.check(id, "every service runs what head's files say", &images);
    if !images.passed() {
        return Ok(images);
    }
    let power = live_power::unless_different(context, head).await;
    context.check(id, "every service has the power that head's files give it", &power);
    if !power.passed() {
        return Ok(power);
    }
    Ok(match upgrade::differs(&before.resolved, &context.resolved_sample()?) {
        true => Outcome::Passed,
        false => Outcome::Unverified(Gap::NoChange),
    })
}

fn compare(context: &StepContext<'_>, resolved: &Resolved, live: &BTreeMap<ServiceName, ServiceView>) -> Outcome {
    let differences = compose::compare_with_services(resolved, live, kernel(context, live));
    passed_without(differences.iter().map(ToString::to_string).collect())
}

/// Passed without flaws; otherwise head is not what runs.
fn passed_without(flaws: Vec<String>) -> Outcome {
    match flaws.is_empty() {
        true => Outcome::Passed,
        false => Outcome::Failed(Failure::new(Cause::NotHead, flaws.join("; "))),
    }
}

/// Removes the services that head dropped: abra leaves them running, and an operator would have to find them too.
async fn remove_dropped(context: &StepContext<'_>, head: &Head, dropped: &[ServiceName]) -> Result<(), Failure> {
    if dropped.is_empty() {
        return Ok(());
    }
    let claim = context.claim_stack()?;
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
