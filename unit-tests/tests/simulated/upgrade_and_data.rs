//! Upgrade, backup and restore in whole simulated runs: data counts as restored only when it is read back, and a plan without the
//! steps that prove a tier does not make that tier green.

use std::sync::Arc;

use harness::{
    model::{
        outcome::{Owner, Status, Tier},
        pack::{Database, DatabaseKind, Pack, Repair},
    },
    pure::{
        recipe::{
            canary::Moment,
            compose::{Entry, Tree},
        },
        run::{
            plan::{Plan, Planned, Step},
            verdict::VerdictOutcome::{Green, Inconclusive, Red},
        },
    },
};
use unit_tests::{
    sim_app::{RELEASES, UpgradeBehaviour},
    sim_data::{RestoreBehaviour, SimData},
    sim_host::SimHost,
};

use super::sim_run::{FinishedRun, RunBuilder, run_on};

const BACKUP_TIERS: &[Tier] = &[Tier::Install, Tier::Backup, Tier::Restore];
const ALL_TIERS: &[Tier] = &[Tier::Install, Tier::Upgrade, Tier::Backup, Tier::Restore];
const BACKED_UP: &str = "backupbot.backup=true";

/// The files of a release of an app with a volume and these labels.
pub(crate) fn tree(release: &str, labels: &[&str]) -> Tree {
    let version = format!("coop-cloud.${{STACK_NAME}}.version={release}");
    let labels = ["a=b", &version].into_iter().chain(labels.iter().copied());
    let labels: String = labels.map(|label| format!("        - \"{label}\"\n")).collect();
    let compose = format!(
        "version: \"3.8\"\nservices:\n  app:\n    image: bb:1\n    volumes:\n      - posts:/data\n    deploy:\n      labels:\n{labels}volumes:\n  posts:\n"
    );
    let note = format!("release/{release}");
    let sample = "TYPE=hello\nDOMAIN=hello.example.com\n";
    [("compose.yml", compose.as_str()), (".env.sample", sample), (note.as_str(), "Nothing has to be done.\n")]
        .map(|(path, text)| (path.to_owned(), Entry::Text(text.to_owned())))
        .into_iter()
        .collect()
}

/// A host with an app that has these labels.
fn host_with_labels(labels: &[&str]) -> SimHost {
    let mut host = SimHost::healthy();
    host.tree = tree(RELEASES[1], labels);
    host
}

/// A host with an app whose data is in the backup, and whose backup service restores like this.
fn host_restoring(behaviour: RestoreBehaviour) -> SimHost {
    let mut host = host_with_labels(&[BACKED_UP]);
    host.data = Arc::new(SimData::restoring(behaviour));
    host
}

/// A host with an app that has an older release too.
fn host_upgrading(behaviour: UpgradeBehaviour) -> SimHost {
    let mut host = host_with_labels(&[BACKED_UP, "head=1"]);
    host.app.before = Some(tree(RELEASES[0], &[BACKED_UP]));
    host.app.upgrade = behaviour;
    host
}

fn backup_run(host: SimHost) -> RunBuilder<'static> {
    run_on(host).with_backup_service().tiers(BACKUP_TIERS)
}

fn upgrade_run<'a>(host: SimHost) -> RunBuilder<'a> {
    run_on(host).with_backup_service().tiers(ALL_TIERS)
}

/// The statuses of install, upgrade, backup and restore.
fn tier_statuses(run: &FinishedRun) -> Vec<Status> {
    ALL_TIERS.iter().map(|tier| run.tier_status(*tier)).collect()
}

/// The status of the first canary after the restore.
fn restored_canary(run: &FinishedRun) -> Option<Status> {
    run.results.canaries.first()?.seen.get(&Moment::AfterRestore).map(|seen| seen.status)
}

#[test]
fn corrupted_data_comes_back_and_the_snapshot_is_forgotten() {
    let host = host_with_labels(&[BACKED_UP]);

    let run = backup_run(host.clone()).finish();

    let run = run.expect(Green).nothing_leaked();
    let canary = &run.results.canaries[0];
    let moments: Vec<(&str, Status)> = canary.seen.iter().map(|(moment, seen)| (moment.name(), seen.status)).collect();
    assert_eq!(moments, [("seeded", Status::Pass), ("corrupted", Status::Pass), ("after-restore", Status::Pass)]);
    assert!(host.data.ids().is_empty(), "{:?}", host.data.ids());
    assert_eq!((run.results.rungs.backup_restore, run.results.level), (Status::Pass, 1));
}

#[test]
fn restore_that_brings_nothing_back_is_red() {
    let run = backup_run(host_restoring(RestoreBehaviour::RestoresNothing)).finish();

    assert_eq!(restored_canary(&run), Some(Status::Fail));
    run.expect(Red).reason("a file in volume posts is still corrupted: the restore did not bring it back").nothing_leaked();
}

#[test]
fn backup_that_can_hold_no_canary_is_not_green() {
    for (label, why) in [
        ("backupbot.backup.volumes.posts.path=dump", "snapshot 00000001 has no dump of volume posts"),
        ("backupbot.backup.volumes.posts=false", "no canary is wholly in the backup, so nothing shows that data came back"),
    ] {
        let run = backup_run(host_with_labels(&[BACKED_UP, label])).case(label).finish();

        assert_ne!(restored_canary(&run), Some(Status::Pass), "{label}");
        assert_ne!(run.outcome, Green, "{label}");
        run.reason(why);
    }
}

#[test]
fn host_without_backup_service_is_inconclusive_and_corrupts_nothing() {
    let run = run_on(host_with_labels(&[BACKED_UP])).tiers(BACKUP_TIERS).finish();

    assert_eq!(restored_canary(&run), None, "data is not corrupted where it cannot be restored");
    run.expect(Inconclusive).reason("the host file names no backup service").nothing_leaked();
}

#[test]
fn app_without_backup_label_skips_the_backup_rung() {
    for labels in [&[][..], &["backupbot.backup=false"], &["backupbot.backup.path=/data"]] {
        let run = backup_run(host_with_labels(labels)).case(labels).finish();

        let run = run.expect(Green).nothing_leaked();
        assert_eq!(run.results.rungs.backup_restore, Status::Skip, "{labels:?}");
        assert_eq!(run.results.skips.intentional["backup_restore"], "were skipped, because there is no label backupbot.backup");
    }
}

#[test]
fn restore_of_other_data_than_this_runs_is_red() {
    for (behaviour, why) in [
        (RestoreBehaviour::RestoresNothing, "is still corrupted: the restore did not bring it back"),
        (RestoreBehaviour::EmptiesVolumes, "a file in volume posts is gone"),
        (RestoreBehaviour::RestoresOtherRun, "has other contents than were seeded"),
        (RestoreBehaviour::RemovesOrdinaryFiles, "a file in volume posts is gone"),
        (
            RestoreBehaviour::LosesOwners,
            "a file in volume posts came back with owner 0:0 and mode 0644 instead of owner 33:33 and mode 0644",
        ),
    ] {
        let host = host_restoring(behaviour);

        let run = backup_run(host.clone()).case(behaviour).finish();

        assert_ne!(run.tier_status(Tier::Restore), Status::Pass, "{behaviour:?}");
        assert!(host.data.ids().is_empty(), "{behaviour:?}: {:?}", host.data.ids());
        run.expect(Red)
            .reason(why)
            .owner(Owner::Recipe)
            .tier(Tier::Install, Status::Pass)
            .tier(Tier::Backup, Status::Pass)
            .nothing_leaked();
    }
}

#[test]
fn foreign_snapshot_between_backup_and_restore_is_inconclusive() {
    let host = host_restoring(RestoreBehaviour::SeesForeignSnapshot);

    let run = backup_run(host.clone()).finish();

    assert_ne!(run.tier_status(Tier::Restore), Status::Pass);
    assert!(host.data.ids().is_empty(), "{:?}", host.data.ids());
    run.expect(Inconclusive)
        .reason("the newest snapshot of the app is")
        .no_owner()
        .tier(Tier::Install, Status::Pass)
        .tier(Tier::Backup, Status::Pass)
        .nothing_leaked();
}

/// The same host with a pack that names a PostgreSQL database.
fn with_postgres(host: SimHost) -> SimHost {
    let kind = DatabaseKind::Postgres;
    let database = Database { service: "app".into(), kind, name: None, user: None, password_file: None, path: None };
    let mut pack = Pack::default();
    pack.settings.databases = vec![database];
    host.with_pack(pack, &[])
}

#[test]
fn database_row_comes_back_without_a_file_canary_beside_it() {
    let run = backup_run(with_postgres(host_restoring(RestoreBehaviour::Works))).finish();

    assert_eq!(run.results.canaries.len(), 1, "{:?}", run.results.canaries);
    assert_eq!(restored_canary(&run), Some(Status::Pass));
    assert!(run.results.warnings.iter().any(|warning| warning.contains("is copied while it runs")), "{:?}", run.results.warnings);
    run.expect(Green).nothing_leaked();
}

#[test]
fn database_row_that_does_not_come_back_is_red() {
    for (behaviour, why) in [
        (RestoreBehaviour::RestoresNothing, "a row in the PostgreSQL database of app is still corrupted"),
        (RestoreBehaviour::EmptiesVolumes, "the client ended with exit code 1: no such table: taster_canary"),
        (RestoreBehaviour::RestoresOtherRun, "has other contents than were seeded"),
    ] {
        let run = backup_run(with_postgres(host_restoring(behaviour))).case(behaviour).finish();

        assert_eq!(run.results.canaries.len(), 1, "{:?}", run.results.canaries);
        assert_eq!(restored_canary(&run), Some(Status::Fail), "{behaviour:?}");
        run.expect(Red).reason(why).nothing_leaked();
    }
}

#[test]
fn upgraded_app_goes_through_backup_and_restore() {
    let run = upgrade_run(host_upgrading(UpgradeBehaviour::Works)).expect(Green).nothing_leaked();

    assert_eq!(tier_statuses(&run), [Status::Pass; 4], "{}", run.reason);
    let seen = &run.results.canaries[0].seen;
    assert!(seen.values().all(|seen| seen.status == Status::Pass) && seen.len() == 4, "{seen:?}");
}

/// Whether the verdict says that base was backed up instead of head.
fn backup_was_of_base(run: &FinishedRun) -> bool {
    let on_base = "backup is not verified: it was done on base, because head does not run";
    run.results.verdict.reasons.iter().any(|reason| reason.sentence == on_base)
}

#[test]
fn upgrade_that_swarm_rolls_back_is_red_and_leaves_backup_and_restore_unverified() {
    let run = upgrade_run(host_upgrading(UpgradeBehaviour::IsRolledBack)).expect(Red).nothing_leaked();

    assert_eq!(tier_statuses(&run), [Status::Pass, Status::Fail, Status::Unver, Status::Unver]);
    assert!(backup_was_of_base(&run), "{:?}", run.results.verdict.reasons);
    run.reason("Swarm rolled the update back");
}

#[test]
fn upgrade_that_loses_data_is_red_and_backup_and_restore_pass() {
    let run = upgrade_run(host_upgrading(UpgradeBehaviour::LosesData)).expect(Red).nothing_leaked();

    assert_eq!(tier_statuses(&run), [Status::Pass, Status::Fail, Status::Pass, Status::Pass]);
    assert!(!backup_was_of_base(&run), "{:?}", run.results.verdict.reasons);
    run.reason("a file in volume posts is gone");
}

#[test]
fn upgrade_to_another_commit_is_inconclusive_and_fails_its_tier_alone() {
    let run = upgrade_run(host_upgrading(UpgradeBehaviour::RunsAnotherCommit)).expect(Inconclusive).nothing_leaked();

    assert_eq!(tier_statuses(&run), [Status::Pass, Status::Fail, Status::Pass, Status::Pass]);
    assert!(!backup_was_of_base(&run), "{:?}", run.results.verdict.reasons);
    run.reason("from commit ba5eba5e and not from head");
}

#[test]
fn upgrade_that_changes_nothing_is_not_verified() {
    let mut host = host_upgrading(UpgradeBehaviour::Works);
    host.tree = tree(RELEASES[1], &[BACKED_UP]);

    let run = upgrade_run(host).expect(Inconclusive).nothing_leaked();

    assert_eq!(tier_statuses(&run), [Status::Pass, Status::Unver, Status::Pass, Status::Pass], "{}", run.reason);
    run.reason("nothing was upgraded");
}

/// Removes a step from a plan; the steps that waited for it wait for what it waited for.
fn remove_step(plan: &mut Plan, step: &Step) {
    let Some(at) = plan.steps.iter().position(|planned| planned.step == *step) else { return };
    let Planned { id, after, .. } = plan.steps.remove(at);
    for planned in &mut plan.steps {
        if planned.after.contains(&id) {
            planned.after.retain(|before| *before != id);
            planned.after.extend(after.clone());
        }
    }
}

#[test]
fn plan_without_a_proof_of_a_tier_is_not_green() {
    upgrade_run(host_upgrading(UpgradeBehaviour::Works)).expect(Green);
    for (removed, tier) in [
        (vec![Step::Upgrade], Tier::Upgrade),
        (vec![Step::VerifyHead], Tier::Upgrade),
        (vec![Step::Upgrade, Step::VerifyHead], Tier::Upgrade),
        (vec![Step::Check { moment: Moment::AfterUpgrade }], Tier::Upgrade),
        (vec![Step::Backup], Tier::Backup),
        (vec![Step::Corrupt], Tier::Restore),
        (vec![Step::Restore], Tier::Restore),
        (vec![Step::Corrupt, Step::Restore], Tier::Restore),
        (vec![Step::Check { moment: Moment::AfterRestore }], Tier::Restore),
        (vec![Step::Seed], Tier::Upgrade),
    ] {
        let remove = |plan: &mut Plan| removed.iter().for_each(|step| remove_step(plan, step));

        let run = upgrade_run(host_upgrading(UpgradeBehaviour::Works)).change_plan(remove).case(&removed).finish();

        assert_ne!(run.outcome, Green, "without {removed:?}");
        assert_ne!(run.tier_status(tier), Status::Pass, "without {removed:?}: {}", run.reason);
        run.nothing_leaked();
    }
}

fn run_with_repair_of(version: &str) -> (FinishedRun, String) {
    let compose = "version: \"3.8\"\nservices:\n  app:\n    environment: [\"A=1\"]\n";
    let mut host = host_upgrading(UpgradeBehaviour::Works);
    host.pack.settings.repair = Some(Repair { version: version.into(), compose: compose.into() });
    let run = upgrade_run(host.clone()).expect(Green).nothing_leaked();
    (run, host.app_actions().join(" "))
}

fn warns_of_stale_repair(run: &FinishedRun) -> bool {
    run.results.warnings.iter().any(|warning| warning.contains("may be stale"))
}

#[test]
fn repair_of_the_base_release_is_deployed_with_it() {
    let (run, actions) = run_with_repair_of(RELEASES[0]);

    assert!(actions.contains("file compose.repair.yml"), "{actions}");
    assert!(actions.contains("COMPOSE_FILE=compose.yml:compose.repair.yml"), "{actions}");
    assert!(!warns_of_stale_repair(&run), "{:?}", run.results.warnings);
}

#[test]
fn repair_of_another_release_is_not_deployed_and_called_stale() {
    let (run, actions) = run_with_repair_of("0.9.0+1.0.0");

    assert!(!actions.contains("file compose.repair.yml"), "{actions}");
    assert!(!actions.contains("COMPOSE_FILE=compose.yml:compose.repair.yml"), "{actions}");
    assert!(warns_of_stale_repair(&run), "{:?}", run.results.warnings);
}
