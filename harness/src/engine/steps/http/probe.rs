//! The probes of a pack: pages and ports that a healthy app answers besides its health path.

use std::{collections::BTreeSet, time::Duration};

use super::{REQUEST_TIMEOUT, RETRY_PAUSE};
use crate::{
    engine::steps::shared::context::StepContext,
    model::{
        head::Head,
        outcome::{Cause, Failure, Outcome},
        pack::ProbeGoal,
        text::with_causes,
        time::{Mono, format_duration},
    },
    ports::WebError,
    pure::{host::http::redirect::Address, run::plan::StepId},
};

/// The pause between two connections that have to be accepted in a row.
const CONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Waits for each probe within the rest of `budget`. All are tried, and the first failure is the step's.
pub(super) async fn wait_for_probes(
    context: &StepContext<'_>,
    id: &StepId,
    head: &Head,
    began: Mono,
    budget: Duration,
) -> Outcome {
    let mut worst = Outcome::Passed;
    for probe in &context.pack.settings.probes {
        let goal = probe.goal(&head.domain, context.folder.run());
        let outcome = wait_for(context, id, &goal, began, budget).await;
        context.check(id, &goal.sentence(), &outcome);
        if worst == Outcome::Passed {
            worst = outcome;
        }
    }
    worst
}

/// The hosts whose answers count for the probes.
pub(super) fn hosts(context: &StepContext<'_>, head: &Head) -> BTreeSet<String> {
    let goals = context.pack.settings.probes.iter().map(|probe| probe.goal(&head.domain, context.folder.run()));
    let asked = goals.filter_map(|goal| match goal {
        ProbeGoal::Page { url, .. } => Address::parse(&url).map(|address| address.host().to_owned()),
        ProbeGoal::Port { .. } => None,
    });
    let suffix = format!(".{}", context.host.zone);
    asked.filter(|host| host.ends_with(&suffix)).chain([head.domain.to_string()]).collect()
}

async fn wait_for(context: &StepContext<'_>, id: &StepId, goal: &ProbeGoal, began: Mono, budget: Duration) -> Outcome {
    let mut pause = RETRY_PAUSE.0;
    loop {
        let last = match try_goal(context, goal).await {
            Ok(()) => return Outcome::Passed,
            Err(error) => with_causes(&error),
        };
        context.log.observe(id, vec![format!("{}: {last}", goal.sentence())]);
        let waited = context.ports.clock.mono().since(began);
        if waited + pause > budget {
            let message = format!("not within {}: {}; the last attempt: {last}", format_duration(waited), goal.sentence());
            return Outcome::Failed(Failure::new(Cause::NotServing { last }, message));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_PAUSE.1);
    }
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    /// The page gave no answer.
    #[error(transparent)]
    NoAnswer(#[from] WebError),
    /// The page gave another answer.
    #[error("it answers with {0}")]
    Status(u16),
    /// The port did not accept as many connections in a row as it should.
    #[error("after {count} connections")]
    Connection {
        /// How many it accepted.
        count: u32,
        /// The cause.
        source: WebError,
    },
}

/// One attempt.
async fn try_goal(context: &StepContext<'_>, goal: &ProbeGoal) -> Result<(), ProbeError> {
    let web = &context.ports.web;
    match goal {
        ProbeGoal::Page { url, status } => {
            let view = web.get(url, "", REQUEST_TIMEOUT).await?;
            // A page of the ingress is not an answer of the app.
            let own = !view.headers.contains_key(super::INGRESS_HEADER);
            (own && status.contains(&view.status)).then_some(()).ok_or(ProbeError::Status(view.status))
        }
        ProbeGoal::Port { host, port, stable } => {
            for count in 0..*stable {
                if count > 0 {
                    tokio::time::sleep(CONNECT_PAUSE).await;
                }
                let connected = web.connect(host, *port, REQUEST_TIMEOUT).await;
                connected.map_err(|source| ProbeError::Connection { count, source })?;
            }
            Ok(())
        }
    }
}
