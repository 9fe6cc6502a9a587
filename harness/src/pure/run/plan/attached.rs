//! The plan of a run on an app that another run keeps: its custom tests, and nothing that deploys or removes an app.

use crate::model::{
    outcome::{SkipReason, Tier},
    pack::{Pack, TestName},
    request::Request,
};
use {
    super::{
        Class, OnFail, Plan, Planned, Step,
        tiers::{CUSTOM_BUDGET, HTTP_BUDGET, clean_up, planned},
    },
    crate::model::head::Head,
};

/// The plan for the kept app `head`: an answer of it, and the custom tests of `pack`, of all files or of those that the request names.
pub fn attached(request: &Request, head: Head, pack: Pack) -> Plan {
    let mut skips: std::collections::BTreeMap<Tier, SkipReason> =
        Tier::ALL.into_iter().filter(|tier| *tier != Tier::Custom).map(|tier| (tier, SkipReason::NotAsked)).collect();
    let files = &request.authoring.files;
    let tier = Class::Tier(Tier::Custom);
    let mut steps: Vec<Planned> = Vec::new();
    if let Some(because) = pack.not_applicable(Tier::Custom.name()) {
        skips.insert(Tier::Custom, SkipReason::NotApplicable { because: because.to_owned() });
    } else {
        let tests = pack.tests.iter().filter(|test| files.is_empty() || files.contains(&test.file)).map(|test| &test.name);
        let checks = pack.hooks.checks.iter().filter(|(tier, _)| *tier == Tier::Custom && files.is_empty());
        let functions: Vec<&TestName> = tests.chain(checks.map(|(_, name)| name)).collect();
        if !functions.is_empty() {
            steps.push(planned("http", Step::Http, &[], tier, HTTP_BUDGET, OnFail::EndTiers));
        }
        for test in functions {
            let before = steps.last().map_or_else(String::new, |planned| planned.id.0.clone());
            let step = Step::Custom { test: test.clone() };
            steps.push(planned(test.as_str(), step, &[&before], tier, CUSTOM_BUDGET, OnFail::Continue));
        }
    }
    let last = steps.last().map(|planned| planned.id.0.clone());
    steps.extend(clean_up(&last.iter().map(String::as_str).collect::<Vec<_>>()));
    Plan { head: Some(head), steps, skips, pack: Box::new(pack), ..Plan::default() }
}
