//! The plan of a run on a kept app: its custom tests, and nothing that deploys or removes an app.

use std::collections::BTreeMap;

use super::{
    Class, OnFail, Plan, Planned, Step, budgets,
    sequence::{Sequence, clean_up, planned},
    step_ids,
};
use crate::model::{
    head::Head,
    outcome::{SkipReason, Tier},
    pack::{Pack, TestName},
    refusal::Refusal,
    request::Request,
};

/// The plan for the kept app `head`: an HTTP answer of it, and the custom tests of `pack`, of all files or of those that the
/// request names.
///
/// # Errors
/// Only by a defect of taster.
pub fn attached(request: &Request, head: Head, pack: Pack) -> Result<Plan, Refusal> {
    let mut skips: BTreeMap<Tier, SkipReason> =
        Tier::ALL.into_iter().filter(|tier| *tier != Tier::Custom).map(|tier| (tier, SkipReason::NotAsked)).collect();
    let tier = Class::Tier(Tier::Custom);
    let mut steps = Sequence::default();
    if let Some(because) = pack.not_applicable(Tier::Custom.name()) {
        skips.insert(Tier::Custom, SkipReason::NotApplicable { because: because.to_owned() });
    } else {
        let mut before = step_ids::HTTP;
        for test in functions(request, &pack) {
            if steps.last().is_none() {
                steps.push(planned(step_ids::HTTP, Step::Http, &[], tier, budgets::HTTP, OnFail::EndTiers));
            }
            let step = Step::Custom { test: test.clone() };
            let step = planned(test.as_str(), step, &[before], tier, budgets::CUSTOM, OnFail::Continue);
            steps.push(Planned { attempts: request.tests.retries.saturating_add(1), ..step });
            before = test.as_str();
        }
    }
    let last = steps.last().map(|id| id.0.clone());
    steps.extend(clean_up(&last.iter().map(String::as_str).collect::<Vec<_>>()));
    let mut steps = steps.finish()?;
    budgets::give(&pack.settings.budgets, request.deadline, &mut steps)?;
    Ok(Plan { head: Some(head), steps, skips, pack: Box::new(pack), ..Plan::default() })
}

/// The custom tests, and the checks of tier custom where all files are run.
fn functions<'a>(request: &'a Request, pack: &'a Pack) -> Vec<&'a TestName> {
    let files = &request.authoring.files;
    let tests = pack.tests.iter().filter(|test| files.is_empty() || files.contains(&test.file)).map(|test| &test.name);
    let checks = pack.hooks.checks.iter().filter(|(tier, _)| *tier == Tier::Custom && files.is_empty());
    tests.chain(checks.map(|(_, name)| name)).collect()
}
