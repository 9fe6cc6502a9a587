//! Performs the commands that the app's `.env` names for after a deploy or an upgrade.

use std::time::Duration;

use super::shared::context::StepContext;
use crate::{
    model::outcome::{Cause, Failure, Gap, Outcome, Owner, SkipReason},
    ports::{AbraError, Call},
    pure::{
        recipe::{
            compose::Env,
            post_deploy::{Command, Post, commands, services_of},
        },
        run::plan::StepId,
    },
};

pub(super) async fn perform(context: &StepContext<'_>, id: &StepId, budget: Duration, after: Post) -> Outcome {
    run_commands(context, id, budget, after).await.unwrap_or_else(Outcome::Failed)
}

async fn run_commands(context: &StepContext<'_>, id: &StepId, budget: Duration, after: Post) -> Result<Outcome, Failure> {
    let head = context.head()?;
    let env_file = context.claim_env_file()?;
    let stack = context.claim_stack()?;
    let unreadable = |sentence: String| Failure::new(Cause::Unresolvable, sentence);
    let env = Env::parse(&context.ports.checkout.env(&env_file).await?).map_err(|error| unreadable(format!(".env, {error}")))?;
    let resolved = context.running_resolved().await?.map_err(|error| unreadable(error.to_string()))?;
    let commands = match commands(&env, after, &services_of(&resolved)) {
        Ok(commands) => commands,
        // Policy has refused such commands before the deploy, unless the `.env` was changed since.
        Err(error) => return Ok(Outcome::Unverified(Gap::NotPermitted { sentences: vec![error.to_string()] })),
    };
    if commands.is_empty() {
        return Ok(Outcome::Skipped(SkipReason::Structural { lacks: format!("value of {}", after.variable()) }));
    }
    // All commands share the step's budget.
    let began = context.ports.clock.mono();
    for Command { service, function, args } in commands {
        let name = format!("{service} {function}");
        let left = budget.saturating_sub(context.ports.clock.mono().since(began)).saturating_sub(MARGIN);
        let call = Call::Command { domain: head.domain.clone(), service, function, args };
        let outcome = match context.ports.abra.call(&call, Some(&stack), left).await {
            Ok(_) => Outcome::Passed,
            Err(error) => Outcome::Failed(failed(error, after, &name)),
        };
        context.check(id, &name, &outcome);
        if !outcome.passed() {
            return Ok(outcome);
        }
    }
    Ok(Outcome::Passed)
}

/// The end of the step's budget that commands may not use, so that a command that hangs is reported by its name.
const MARGIN: Duration = Duration::from_secs(2);

/// The failure of a command. A function of the recipe that fails or hangs is the recipe's fault.
fn failed(error: AbraError, after: Post, name: &str) -> Failure {
    let failure = Failure::from(error);
    let message = format!("the command `{name}` of {} failed: {}", after.variable(), failure.message);
    let owner = match failure.cause {
        Cause::AbraFatal { .. } | Cause::AbraHung => Owner::Recipe,
        _ => failure.owner,
    };
    Failure { message, owner, ..failure }
}
