//! Results as a function of a run's state.

use std::collections::BTreeMap;

use super::{
    Attempt, CanaryResult, Change, Evidence, Flags, HarnessBuild, Image, LintResult, Results, RungStatuses, SCHEMA, SecretSearch,
    Sighting, Skips, Stage, Status, StepResult, Task, Test, TestedBase, TestedHead, TestedHost,
};
use crate::{
    model::{
        head::Head,
        outcome::{Cause, Failure, Outcome, Owner, Subject, Tier},
        rung::Rung,
        time::millis,
    },
    pure::{
        recipe::{
            canary::{Canary, CanaryState},
            lint::{Fault, Linted},
        },
        run::{
            level::{Rungs, level, rungs},
            outcomes::{lint_outcome, outcome_of_tier},
            plan::{Class, Plan, Planned, Step},
            screenshot_caption,
            state::{Begun, FailedAttempt, KeptFile, RunState, StepState, TaskChange, TaskHistory},
            verdict::{exit_code_so_far, verdict_so_far},
        },
    },
    report::{customization, repeat::repeat, summary::summary},
};

impl From<&RunState> for Results {
    fn from(state: &RunState) -> Self {
        let begun = state.begun.as_ref();
        let plan = state.plan.as_ref();
        let head = plan.and_then(|plan| plan.head.as_ref());
        let verdict = verdict_so_far(state);
        let rungs = rungs(state);
        let level = level(&rungs);
        let mut results = Results {
            schema: SCHEMA,
            run_id: begun.map(|begun| begun.run.to_string()).unwrap_or_default(),
            recipe: begun.map(|begun| begun.request.recipe.to_string()).unwrap_or_default(),
            version: head.and_then(|head| head.version.clone()),
            pr: begun.and_then(|begun| begun.request.pr.clone()),
            commit: head.map(|head| head.commit.to_string()),
            dirty: head.is_some_and(|head| head.dirty),
            head: head.map(tested_head),
            base: plan.and_then(tested_base),
            base_reason: base_reason(plan, &rungs),
            tags_left_out: plan.map(|plan| plan.left_out.clone()).unwrap_or_default(),
            files: state.files.clone(),
            trigger: begun.and_then(|begun| begun.request.trigger.clone()),
            host: begun.map(tested_host),
            domain: state.domain.as_ref().map(ToString::to_string),
            started: begun.map(|begun| begun.at),
            finished: state.finished,
            duration_ms: state.last.map_or(0, |(_, mono)| mono.0),
            requested: verdict.ended.iter().map(|ended| ended.tier).collect(),
            extent: begun.map(|begun| begun.request.extent).unwrap_or_default(),
            selection: begun.map(|begun| begun.request.tests.clone()).unwrap_or_default(),
            authoring: begun.map(|begun| begun.request.authoring.clone()).unwrap_or_default(),
            owner: verdict.reasons.iter().find_map(|reason| reason.owner),
            verdict,
            exit_code: exit_code_so_far(state).code(),
            results: tiers(state),
            rungs: rung_statuses(&rungs),
            level: level.number,
            level_reason: level.reason,
            lint: lint(state, &rungs),
            skips: skips(&rungs),
            flags: Flags { clean_teardown: state.left_nothing(), no_secret_leak: false },
            secret_search: SecretSearch::default(),
            stages: stages(state, &rungs),
            steps: other_steps(state),
            tasks: state.tasks.iter().map(task).collect(),
            cleanup: state.cleanup_result.clone(),
            kept: state.kept.clone(),
            claimed: state.claims.iter().cloned().collect(),
            deploys: state.deploys,
            runs: state.runs,
            images: images(&state.images),
            images_before: images(&state.images_before),
            dropped: state.dropped.clone(),
            operator_must: state.operator_must.clone(),
            canaries: state.canaries.iter().map(|found| canary(found, plan)).collect(),
            disaster_ms: state.disaster().map(millis),
            snapshot: state.snapshot.clone(),
            customization: plan.map(|plan| &plan.pack).filter(|pack| !pack.is_empty()).map(|pack| customization::document(pack)),
            screenshot: state.screenshot.clone(),
            screenshot_caption: screenshot_caption::caption(state),
            harness: harness_build(begun),
            tools: state.tools.clone(),
            load: state.load,
            preflight: state.preflight.clone(),
            needs: plan.filter(|plan| plan.head.is_some()).map(|plan| plan.needs.clone()),
            resolver: state.compose_verification.clone(),
            remarks: state.remarks.clone(),
            warnings: state.warnings.clone(),
            evidence: state.evidence.iter().map(evidence).collect(),
            repeat: repeat(state),
            vanished: state.vanished.clone(),
            digest: String::new(),
        };
        results.digest = results.computed_digest();
        results
    }
}

fn tested_head(head: &Head) -> TestedHead {
    TestedHead { version: head.version.clone(), commit: head.commit.to_string(), dirty: head.dirty }
}

/// What the app was upgraded from; `None` without an upgrade.
fn tested_base(plan: &Plan) -> Option<TestedBase> {
    let base = plan.base.as_ref()?;
    let commit = base.commit()?.to_string();
    Some(TestedBase { version: base.version().map(str::to_owned), name: base.to_string(), commit })
}

fn base_reason(plan: Option<&Plan>, rungs: &Rungs) -> String {
    match plan.and_then(|plan| plan.base.as_ref()) {
        Some(base) => base.why().to_owned(),
        None => format!("upgrade {}", rungs.upgrade.why),
    }
}

fn tested_host(begun: &Begun) -> TestedHost {
    TestedHost { zone: begun.host.zone.to_string(), server: begun.host.server.clone() }
}

fn harness_build(begun: Option<&Begun>) -> HarnessBuild {
    HarnessBuild {
        version: begun.map(|begun| begun.taster.clone()).unwrap_or_default(),
        commit: begun.and_then(|begun| begun.commit.clone()),
    }
}

fn rung_statuses(rungs: &Rungs) -> RungStatuses {
    RungStatuses {
        install: rungs.install.status,
        upgrade: rungs.upgrade.status,
        backup_restore: rungs.backup_restore.status,
        functional: rungs.custom.status,
        custom: rungs.custom.status,
        lint: rungs.lint.status,
    }
}

fn evidence(kept: &KeptFile) -> Evidence {
    Evidence { step: kept.step.to_string(), file: kept.file.display().to_string(), what: kept.what.clone() }
}

fn lint(state: &RunState, rungs: &Rungs) -> Option<LintResult> {
    let plan = state.plan.as_ref()?;
    let outcome = lint_outcome(plan, state)?;
    let linted = state.lint.get(&Subject::Head);
    let number = |fault: Fault| fault.rule().map(str::to_owned);
    Some(LintResult {
        status: rungs.lint.status,
        detail: match &outcome {
            Outcome::Passed => format!("lint {}", rungs.lint.why),
            Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Unverified(_) => summary(&outcome),
        },
        rules_failed: linted.iter().flat_map(|linted| linted.errors()).filter_map(number).collect(),
        introduced: match outcome {
            Outcome::Failed(Failure { cause: Cause::Lint { rules }, .. }) => rules,
            Outcome::Passed | Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Unverified(_) => Vec::new(),
        },
        advice: linted.map(Linted::advice).unwrap_or_default(),
        against: plan.against.as_ref().filter(|base| base.commit().is_some()).map(ToString::to_string),
        rules: match linted {
            Some(Linted::Rules { rules }) => rules.clone(),
            Some(Linted::Invalid { .. }) | None => Vec::new(),
        },
    })
}

fn tiers(state: &RunState) -> BTreeMap<String, Status> {
    Tier::ALL.into_iter().map(|tier| (tier.name().to_owned(), Status::from(&outcome_of_tier(state, tier)))).collect()
}

fn skips(rungs: &Rungs) -> Skips {
    let at = |status| Rung::ALL.into_iter().filter(move |rung| rungs.of(*rung).status == status);
    Skips {
        intentional: at(Status::Skip).map(|rung| (rung.name().to_owned(), rungs.of(rung).why.clone())).collect(),
        unintentional: at(Status::Unver).map(|rung| rung.name().to_owned()).collect(),
    }
}

fn canary(found: &CanaryState, plan: Option<&Plan>) -> CanaryResult {
    let volume = match &found.canary {
        Canary::File { volume, .. } => Some(volume.clone()),
        Canary::Row { .. } | Canary::Pack { .. } => None,
    };
    let backed_up = volume.as_ref().and_then(|volume| plan?.coverage.get(volume).cloned());
    let seen = found
        .seen
        .iter()
        .map(|(moment, outcome)| (*moment, Sighting { status: Status::from(outcome), summary: summary(outcome) }));
    CanaryResult { name: found.canary.to_string(), volume, backed_up, seen: seen.collect() }
}

fn images(references: &BTreeMap<String, String>) -> BTreeMap<String, Image> {
    references.iter().map(|(service, reference)| (service.clone(), image(reference))).collect()
}

fn image(reference: &str) -> Image {
    match reference.split_once('@') {
        Some((image, digest)) => Image { image: image.to_owned(), digest: Some(digest.to_owned()) },
        None => Image { image: reference.to_owned(), digest: None },
    }
}

fn task(history: &TaskHistory) -> Task {
    let change =
        |change: &TaskChange| Change { at_ms: change.at.0, state: change.state, exit: change.exit, error: change.error.clone() };
    Task {
        service: history.service.clone(),
        task: history.task.to_string(),
        slot: history.slot,
        step: history.step.to_string(),
        changes: history.changes.iter().map(change).collect(),
    }
}

fn attempt(failed: &FailedAttempt) -> Attempt {
    let failure = failed.failure.clone();
    Attempt { duration_ms: millis(failed.took), summary: failure.message.clone(), failure }
}

/// The tiers in the order of a run, then lint.
fn stages(state: &RunState, rungs: &Rungs) -> Vec<Stage> {
    let tiers = Tier::ALL.into_iter().map(|tier| {
        let outcome = outcome_of_tier(state, tier);
        let steps = steps(state, |planned| planned.class == Class::Tier(tier));
        stage(tier.name(), Status::from(&outcome), summary(&outcome), owner(Some(&outcome)), steps)
    });
    let lint = {
        let steps = steps(state, |planned| matches!(planned.step, Step::Lint { .. }));
        let outcome = state.plan.as_ref().and_then(|plan| lint_outcome(plan, state));
        let summary = if rungs.lint.status == Status::Pass { String::new() } else { rungs.lint.why.clone() };
        stage(Rung::Lint.name(), rungs.lint.status, summary, owner(outcome.as_ref()), steps)
    };
    tiers.chain([lint]).collect()
}

fn stage(name: &str, status: Status, summary: String, owner: Option<Owner>, steps: Vec<StepResult>) -> Stage {
    let started_ms = steps.iter().filter_map(|step| step.started_ms).min();
    let end = steps.iter().filter_map(|step| Some(step.started_ms? + step.duration_ms)).max();
    let duration_ms = end.zip(started_ms).map_or(0, |(end, start)| end - start);
    Stage { name: name.to_owned(), status, summary, owner, started_ms, duration_ms, steps }
}

/// The steps that belong to no stage.
fn other_steps(state: &RunState) -> Vec<StepResult> {
    steps(state, |planned| !matches!(planned.class, Class::Tier(_)) && !matches!(planned.step, Step::Lint { .. }))
}

/// The planned steps that `belongs` selects.
fn steps(state: &RunState, belongs: impl Fn(&Planned) -> bool) -> Vec<StepResult> {
    let planned = state.plan.iter().flat_map(|plan| &plan.steps);
    planned.filter(|planned| belongs(planned)).map(|planned| step(state, planned)).collect()
}

fn step(state: &RunState, planned: &Planned) -> StepResult {
    let step = state.steps.get(&planned.id);
    let outcome = step.and_then(StepState::outcome);
    let checks = state.checks.iter().filter(|check| check.step == planned.id);
    let tests = checks.map(|check| Test {
        name: check.check.clone(),
        status: Status::from(&check.outcome),
        summary: summary(&check.outcome),
    });
    StepResult {
        name: planned.id.to_string(),
        status: outcome.map_or(Status::Unver, Status::from),
        summary: match (outcome, step) {
            (Some(outcome), _) => summary(outcome),
            (None, Some(_)) => "has not ended".to_owned(),
            (None, None) => "did not run".to_owned(),
        },
        outcome: outcome.cloned(),
        owner: owner(outcome),
        started_ms: step.filter(|step| step.attempt > 0).map(|step| step.began.0),
        duration_ms: step.and_then(StepState::took).map_or(0, millis),
        flaky: step.is_some_and(|step| step.flaky().is_some()),
        attempts: step.map(|step| step.failed.iter().map(attempt).collect()).unwrap_or_default(),
        waiting_for: step.map(|step| step.waiting_for.clone()).unwrap_or_default(),
        tests: tests.collect(),
    }
}

fn owner(outcome: Option<&Outcome>) -> Option<Owner> {
    match outcome {
        Some(Outcome::Failed(failure)) => Some(failure.owner),
        Some(Outcome::Passed | Outcome::Skipped(_) | Outcome::Unverified(_)) | None => None,
    }
}
