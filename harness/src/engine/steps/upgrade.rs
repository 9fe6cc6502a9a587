//! Deploys head over base, and waits until it has settled.

use std::{collections::BTreeMap, time::Duration};

use super::shared::{
    context::StepContext,
    deployment::{running_app, settle_deployment, watch_update},
    permitted_deploy,
};
use crate::{
    model::{
        head::Head,
        names::ServiceName,
        outcome::{Gap, Outcome, Subject},
    },
    pure::{
        host::converge::{Marks, ServiceView},
        run::{event::Note, plan::StepId},
    },
};

pub(super) async fn upgrade(context: &StepContext<'_>, id: &StepId, budget: Duration) -> Outcome {
    if context.base.is_none() {
        let because = context.lint_base.as_ref().map(|base| base.why().to_owned()).unwrap_or_default();
        return Outcome::Unverified(Gap::NoBase { because });
    }
    let (head, claim, before) = match running_app(context).await {
        Ok((head, claim, services)) => (head, claim, Marks::of(&services)),
        Err(outcome) => return outcome,
    };
    context.log.note(Note::Runs { subject: Subject::Mixed });
    if let Err(outcome) = permitted_deploy::deploy(context, &head, &claim, Subject::Head, None).await {
        note_unchanged_base(context, &head, &before).await;
        return outcome;
    }
    let watch = match watch_update(context, &head, before.clone()).await {
        Ok(watch) => watch,
        Err(outcome) => return outcome,
    };
    let outcome = settle_deployment(context, id, &head, watch, budget).await;
    match &outcome {
        Outcome::Passed => context.log.note(Note::Runs { subject: Subject::Head }),
        Outcome::Failed(_) | Outcome::Unverified(_) | Outcome::Skipped(_) => note_unchanged_base(context, &head, &before).await,
    }
    outcome
}

/// Notes that base still runs, if every service has the spec that it had.
async fn note_unchanged_base(context: &StepContext<'_>, head: &Head, before: &Marks) {
    if context.ports.swarm.observe(&head.stack).await.is_ok_and(|services| has_same_specs(before, &services)) {
        context.log.note(Note::Runs { subject: Subject::Base });
    }
}

fn has_same_specs(before: &Marks, services: &BTreeMap<ServiceName, ServiceView>) -> bool {
    let specs = |marks: &Marks| marks.0.iter().map(|(name, (_, spec))| (name.clone(), spec.clone())).collect::<BTreeMap<_, _>>();
    specs(before) == specs(&Marks::of(services))
}
