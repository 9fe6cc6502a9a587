//! Runs a function of the recipe's pack.

use std::{collections::BTreeSet, time::Duration};

use super::context::StepContext;
use crate::{
    model::{
        outcome::{Cause, Failure},
        pack::TestName,
    },
    ports::Ran,
};

/// How much earlier than the step the process of a test has to end, so that the step ends with the outcome of the test.
const REPORT_TIME: Duration = Duration::from_secs(5);
/// How long the program may take to list its functions.
const LIST_TIMEOUT: Duration = Duration::from_secs(20);

/// The budget of the process of a test, within the budget of its step.
pub(in crate::engine::steps) fn process_budget(step: Duration) -> Duration {
    step.saturating_sub(REPORT_TIME).max(step / 2)
}

/// Runs a function of the pack, if its program has it, within the `budget` of a step.
pub(in crate::engine::steps) async fn run_function(
    context: &StepContext<'_>,
    test: &TestName,
    budget: Duration,
) -> Result<Ran, Failure> {
    let app = context.tested_app()?;
    let program = &context.ports.program;
    let reported = context.listed_tests.get_or_try_init(|| async { program.list(LIST_TIMEOUT).await }).await?;
    if !reported.contains(test) {
        return Err(missing(test, reported));
    }
    Ok(program.run_one(test, app, process_budget(budget)).await?)
}

fn missing(test: &TestName, reported: &BTreeSet<TestName>) -> Failure {
    let message = format!("{test}: was planned, but the program of the pack does not have it among its {}", reported.len());
    Failure::new(Cause::TestMissing, message)
}
