//! Rungs and level, row by row.

use harness::{
    model::{
        outcome::{Gap, Outcome, Owner, SkipReason, Status, Subject, Tier},
        pack::{TestKind, TestName},
        refusal::Refusal,
        rung::Rung,
    },
    pure::{
        recipe::canary::Moment,
        run::{
            event::Note,
            level::{Level, RungStatus, Rungs, level, rungs},
            plan::{Class, Plan, Planned, Step, StepId},
        },
    },
    report::verdict_line,
};
use unit_tests::event_log::{EventLog, failure, head, pack, planned, request};

const P: Status = Status::Pass;
const F: Status = Status::Fail;
const S: Status = Status::Skip;
const U: Status = Status::Unver;

fn of([install, upgrade, backup_restore, custom, lint]: [Status; 5]) -> Rungs {
    let at = |rung: Rung, status: Status| RungStatus { status, name: rung.label(), why: status.name().into() };
    Rungs {
        install: at(Rung::Install, install),
        upgrade: at(Rung::Upgrade, upgrade),
        backup_restore: at(Rung::BackupRestore, backup_restore),
        custom: at(Rung::Custom, custom),
        lint: at(Rung::Lint, lint),
    }
}

#[test]
fn level_is_the_highest_rung_that_passed_over_rungs_that_passed_or_were_skipped() {
    for (statuses, number, reason) in [
        ([P, P, P, P, P], 5, "highest"),
        ([P, P, P, P, F], 4, "lint fail"),
        ([P, P, P, P, U], 4, "lint unver"),
        ([P, P, P, F, P], 3, "custom fail"),
        ([P, P, P, U, P], 3, "custom unver"),
        ([P, P, F, P, P], 2, "backup and restore fail"),
        ([P, P, U, P, P], 2, "backup and restore unver"),
        ([P, F, P, P, P], 1, "upgrade fail"),
        ([P, U, P, P, P], 1, "upgrade unver"),
        ([F, P, P, P, P], 0, "install fail"),
        ([U, P, P, P, P], 0, "install unver"),
        ([P, P, S, P, P], 5, "highest"),
        ([P, S, S, P, P], 5, "highest"),
        ([P, S, S, U, U], 1, "custom unver"),
        ([P, S, P, U, U], 3, "custom unver"),
        ([P, P, P, S, U], 3, "lint unver"),
        ([P, P, P, P, S], 4, "the rungs above it were skipped"),
        ([S, S, S, S, S], 0, "the rungs above it were skipped"),
        ([U, U, U, U, U], 0, "install unver"),
    ] {
        assert_eq!(level(&of(statuses)), Level { number, reason: reason.into() }, "{statuses:?}");
    }
}

/// A run through all tiers, each with this outcome of its one step.
fn through(outcomes: [Option<Outcome>; 5]) -> EventLog {
    // The step that proves the tier, where there is one.
    let step = |tier: Tier| Planned {
        attempts: 1,
        id: StepId(format!("{tier}-step")),
        step: match tier {
            Tier::Install => Step::Http,
            Tier::Upgrade => Step::VerifyHead,
            Tier::Backup => Step::Backup,
            Tier::Restore => Step::Restore,
            Tier::Custom => Step::Custom { test: TestName::reported("posts::one") },
        },
        after: Vec::new(),
        class: Class::Tier(tier),
        budget_ms: 1000,
        on_fail: harness::pure::run::plan::OnFail::Continue,
    };
    // The other steps that prove a tier have passed.
    let rest = [
        ("upgrade", Step::Upgrade, Tier::Upgrade),
        ("http-upgrade", Step::Http, Tier::Upgrade),
        ("check-upgrade", Step::Check { moment: Moment::AfterUpgrade }, Tier::Upgrade),
        ("corrupt", Step::Corrupt, Tier::Restore),
        ("check-restore", Step::Check { moment: Moment::AfterRestore }, Tier::Restore),
        ("posts::two", Step::Custom { test: TestName::reported("posts::two") }, Tier::Custom),
    ];
    let names: Vec<&str> = rest.iter().map(|(name, ..)| *name).collect();
    let others = rest.iter().map(|(name, what, tier)| Planned { id: StepId((*name).into()), step: what.clone(), ..step(*tier) });
    let steps = Tier::ALL.into_iter().map(step).chain(others).collect();
    let plan = Plan { head: Some(head()), steps, pack: Box::new(pack()), ..Plan::default() };
    let log = EventLog::begun(&Tier::ALL).under(plan).noted(Note::Runs { subject: Subject::Head }).pass(&names);
    Tier::ALL.into_iter().zip(outcomes).fold(log, |log, (tier, outcome)| match outcome {
        Some(outcome) => log.step(&format!("{tier}-step"), outcome),
        None => log,
    })
}

fn skipping(skips: &[(Tier, SkipReason)]) -> EventLog {
    let mut plan = planned(&request(&Tier::ALL));
    plan.skips = skips.iter().cloned().collect();
    EventLog::begun(&Tier::ALL).under(plan).pass(&["provision", "deploy", "verify-compose", "http", "stable", "still-stable"])
}

#[track_caller]
fn stands(log: &EventLog, expected: [Status; 5]) {
    let rungs = rungs(&log.clone().ends().state());
    assert_eq!(Rung::ALL.map(|rung| rungs.of(rung).status), expected, "{rungs:?}");
}

#[test]
fn each_rung_stands_as_its_tiers_ended() {
    let passed = || Some(Outcome::Passed);
    let failed = || Some(Outcome::Failed(failure(Owner::Infrastructure)));
    let unread = || Some(Outcome::Unverified(Gap::RunEnded));
    let p = passed;
    for (outcomes, expected) in [
        ([p(), p(), p(), p(), p()], [P, P, P, P, U]),
        ([failed(), p(), p(), p(), p()], [F, P, P, P, U]),
        ([p(), failed(), p(), p(), p()], [P, F, P, P, U]),
        ([p(), p(), failed(), p(), p()], [P, P, F, P, U]),
        ([p(), p(), p(), failed(), p()], [P, P, F, P, U]),
        ([p(), p(), unread(), failed(), p()], [P, P, F, P, U]),
        ([p(), p(), failed(), None, p()], [P, P, F, P, U]),
        ([p(), p(), p(), unread(), p()], [P, P, U, P, U]),
        ([p(), p(), p(), None, p()], [P, P, U, P, U]),
        ([p(), p(), p(), p(), failed()], [P, P, P, F, U]),
        ([p(), unread(), p(), p(), None], [P, U, P, U, U]),
        ([None, None, None, None, None], [U, U, U, U, U]),
    ] {
        stands(&through(outcomes), expected);
    }
}

#[test]
fn custom_rung_needs_a_passed_roundtrip_and_a_passed_distinctive_test() {
    use TestKind::{Distinctive, Health, Roundtrip};
    let all = || through([(); 5].map(|()| Some(Outcome::Passed)));
    for (kinds, expected) in [
        ([Roundtrip, Distinctive], "passed"),
        ([Health, Distinctive], "was not verified: no roundtrip test passed"),
        ([Roundtrip, Roundtrip], "was not verified: no distinctive test passed"),
        ([Health, Health], "was not verified: no roundtrip and no distinctive test passed"),
    ] {
        let mut plan = all().state().plan.unwrap();
        plan.pack.tests.iter_mut().zip(kinds).for_each(|(test, kind)| test.kind = kind);
        let rungs = rungs(&all().under(plan).ends().state());
        assert_eq!(rungs.custom.why, expected, "{kinds:?}");
        assert_eq!(level(&rungs).number, if expected == "passed" { 4 } else { 3 }, "{kinds:?}");
    }
}

#[test]
fn only_a_rung_that_does_not_apply_is_climbed_past() {
    let lacks = || SkipReason::Structural { lacks: "a backup label".into() };
    stands(&skipping(&[(Tier::Backup, lacks()), (Tier::Restore, lacks())]), [P, U, S, U, U]);
    stands(&skipping(&[(Tier::Backup, lacks())]), [P, U, U, U, U]);
    stands(&skipping(&[(Tier::Upgrade, lacks()), (Tier::Custom, lacks())]), [P, S, U, S, U]);
    stands(&skipping(&Tier::ALL.map(|tier| (tier, SkipReason::NotAsked))), [U, U, U, U, U]);
}

#[test]
fn run_without_a_plan_verifies_no_rung() {
    for log in [
        EventLog::default(),
        EventLog::begun(&Tier::ALL),
        EventLog::begun(&Tier::ALL).under(Plan::ended_early()),
        EventLog::begun(&Tier::ALL).under(Plan::refused(Refusal::Request { sentence: "no".into() })),
    ] {
        stands(&log, [U, U, U, U, U]);
    }
}

#[test]
fn verdict_and_level_are_one_line() {
    let good =
        EventLog::planned(&[Tier::Install]).pass(&["provision", "deploy", "verify-compose", "http", "stable", "still-stable"]);
    let bad = EventLog::planned(&[Tier::Install]).step("provision", Outcome::Failed(failure(Owner::Recipe)));
    let refused = EventLog::begun(&[Tier::Install]).under(Plan::refused(Refusal::Request { sentence: "no".into() }));
    for (log, line) in [
        (good, "green (install), level 1: upgrade was not asked for"),
        (bad, "red (install failed), level 0: install failed"),
        (
            refused,
            "inconclusive (install not verified: the run was refused), level 0: install was not verified: the run was refused",
        ),
    ] {
        assert_eq!(verdict_line(&log.ends().state()), line);
    }
}

#[test]
fn reason_of_backup_and_restore_names_the_half_that_decides() {
    let reason = |log: &EventLog| level(&rungs(&log.clone().ends().state())).reason;
    let lacks = || SkipReason::Structural { lacks: "an older version".into() };
    let [passed, failed] = [Outcome::Passed, Outcome::Failed(failure(Owner::Recipe))];
    let p = || Some(passed.clone());
    assert_eq!(reason(&through([p(), p(), p(), Some(failed.clone()), p()])), "restore failed");
    assert_eq!(reason(&through([p(), p(), Some(failed), None, p()])), "backup failed");
    let without = |tiers: &[Tier]| -> Vec<_> { tiers.iter().map(|tier| (*tier, SkipReason::NotAsked)).collect() };
    let mut both = without(&[Tier::Backup, Tier::Restore]);
    both.push((Tier::Upgrade, lacks()));
    assert_eq!(reason(&skipping(&both)), "backup and restore were not asked for");
}
