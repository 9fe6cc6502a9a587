//! The steps that a recipe's pack adds to a plan: its configuration of the app, its readiness, its checks and its custom tests.

use std::collections::BTreeMap;

use super::{
    Class, OnFail, Planned, Step, budgets,
    sequence::{Sequence, UnknownStep, planned},
    step_ids,
};
use crate::model::{
    outcome::{SkipReason, Tier},
    pack::{Pack, TestName},
    request::Request,
};

/// Adds the configuration of the app before its deploy when `configures`.
pub(super) fn add_configuration(configures: bool, steps: &mut Sequence) -> Result<(), UnknownStep> {
    if !configures {
        return Ok(());
    }
    let class = Class::Tier(Tier::Install);
    let after = &[step_ids::PROVISION];
    let configure = planned(step_ids::CONFIGURE, Step::Configure, after, class, budgets::CUSTOM, OnFail::EndTiers);
    steps.insert_before(step_ids::DEPLOY, configure)
}

/// Adds readiness and the checks of the install after it, and the custom tests one after the other at the end.
pub(super) fn add_functions(
    request: &Request,
    pack: &Pack,
    steps: &mut Sequence,
    skips: &mut BTreeMap<Tier, SkipReason>,
) -> Result<(), UnknownStep> {
    if pack.hooks.ready {
        let ready = TestName::reported(TestName::READY);
        // Readiness is asked for until it holds anyway, so it is tried once.
        steps.insert_before(step_ids::STABLE, function(&ready, Tier::Install, 0))?;
    }
    let retries = request.tests.retries;
    let checks = |wanted: Tier| pack.hooks.checks.iter().filter(move |(tier, _)| *tier == wanted).map(|(_, check)| check);
    for check in checks(Tier::Install) {
        steps.insert_before(step_ids::STABLE, function(check, Tier::Install, retries))?;
    }
    if !request.tiers.contains(&Tier::Custom) {
        return Ok(());
    }
    if let Some(because) = pack.not_applicable(Tier::Custom.name()) {
        skips.insert(Tier::Custom, SkipReason::NotApplicable { because: because.to_owned() });
        return Ok(());
    }
    for test in pack.tests.iter().map(|test| &test.name).chain(checks(Tier::Custom)) {
        steps.insert_before(step_ids::UNDEPLOY, function(test, Tier::Custom, retries))?;
    }
    Ok(())
}

fn function(test: &TestName, tier: Tier, retries: u32) -> Planned {
    let step = Step::Custom { test: test.clone() };
    let step = planned(test.as_str(), step, &[], Class::Tier(tier), budgets::CUSTOM, OnFail::Continue);
    Planned { attempts: retries.saturating_add(1), ..step }
}
