//! What the recipe's pack declares to hold of a well app besides its health path.

use std::time::Duration;

use super::{PAUSE, REQUEST_PATIENCE};
use crate::{
    engine::steps::{Context, check},
    model::{
        head::Head,
        outcome::{Cause, Failure, Outcome},
        pack::Goal,
        time::{Mono, format_duration},
    },
    pure::run::plan::StepId,
};

/// The pause between two connections that have to be accepted in a row.
const APART: Duration = Duration::from_secs(1);

/// Waits for each probe within what is left of `budget`. One that fails does not keep the others from being looked at, and the first
/// failure is the step's.
pub(super) async fn probes(context: &Context<'_>, id: &StepId, head: &Head, began: Mono, budget: Duration) -> Outcome {
    let mut worst = Outcome::Passed;
    for probe in &context.pack.settings.probes {
        let goal = probe.goal(&head.domain, context.folder.run());
        let outcome = probed(context, id, &goal, began, budget).await;
        check(context, id, &goal.sentence(), &outcome);
        if worst == Outcome::Passed {
            worst = outcome;
        }
    }
    worst
}

async fn probed(context: &Context<'_>, id: &StepId, goal: &Goal, began: Mono, budget: Duration) -> Outcome {
    let mut pause = PAUSE.0;
    loop {
        let last = match look(context, goal).await {
            Ok(()) => return Outcome::Passed,
            Err(last) => last,
        };
        context.log.observe(id, vec![format!("{}: {last}", goal.sentence())]);
        let waited = context.ports.clock.mono().since(began);
        if waited + pause > budget {
            let message = format!("not within {}: {}; the last look said: {last}", format_duration(waited), goal.sentence());
            return Outcome::Failed(Failure::new(Cause::NotServing { last }, message));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// One look; the error says in a few words what it showed.
async fn look(context: &Context<'_>, goal: &Goal) -> Result<(), String> {
    let web = &context.ports.web;
    match goal {
        Goal::Page { url, status } => {
            let view = web.get(url, REQUEST_PATIENCE).await.map_err(|error| error.to_string())?;
            // What the ingress says of itself is not the app's word.
            let own = !view.headers.contains_key(super::INGRESS_HEADER);
            (own && status.contains(&view.status)).then_some(()).ok_or_else(|| format!("it answers with {}", view.status))
        }
        Goal::Port { host, port, stable } => {
            for count in 0..*stable {
                if count > 0 {
                    tokio::time::sleep(APART).await;
                }
                let connected = web.connect(host, *port, REQUEST_PATIENCE).await;
                connected.map_err(|error| format!("after {count} connections: {error}"))?;
            }
            Ok(())
        }
    }
}
