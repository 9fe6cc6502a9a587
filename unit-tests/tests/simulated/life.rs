//! Upgrade, backup and restore in whole simulated runs: that data is there is looked for, not believed, and a plan that leaves out what
//! proves a tier does not make it green.

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
            verdict::VerdictOutcome,
        },
    },
};
use unit_tests::{
    sim_app::{RELEASES, Upgrades},
    sim_data::{Restores, SimData},
    sim_host::{Manners, SimHost},
};

use super::run::{RunOutcome, check, tasted, tasted_by};

const WITH_BOT: &str = "zone = \"taster.test\"\nbackup = \"bot\"";
const TIERS: &[Tier] = &[Tier::Install, Tier::Backup, Tier::Restore];

const ALL: &[Tier] = &[Tier::Install, Tier::Upgrade, Tier::Backup, Tier::Restore];

/// The files of a release of an app with a volume and these labels.
pub(crate) fn tree(release: &str, labels: &[&str]) -> Tree {
    let version = format!("coop-cloud.${{STACK_NAME}}.version={release}");
    let labels = ["a=b", &version].into_iter().chain(labels.iter().copied());
    let labels: String = labels.map(|label| format!("        - \"{label}\"\n")).collect();
    let compose = format!(
        "version: \"3.8\"\nservices:\n  app:\n    image: bb:1\n    volumes:\n      - posts:/data\n    deploy:\n      labels:\n{labels}volumes:\n  posts:\n"
    );
    [("compose.yml", compose.as_str()), (".env.sample", "TYPE=hello\nDOMAIN=hello.example.com\n")]
        .map(|(path, text)| (path.to_owned(), Entry::Text(text.to_owned())))
        .into_iter()
        .collect()
}

/// A host with such an app.
fn host(labels: &[&str]) -> SimHost {
    let mut host = SimHost::healthy(Manners::default());
    host.tree = tree(RELEASES[1], labels);
    host
}

/// A host with an app that has an older release, too.
fn upgrading(upgrades: Upgrades) -> SimHost {
    let mut host = host(&["backupbot.backup=true", "head=1"]);
    host.app.before = Some(tree(RELEASES[0], &["backupbot.backup=true"]));
    host.app.upgrades = upgrades;
    host
}

/// How a tier ended.
fn ended(told: &RunOutcome, tier: Tier) -> Status {
    told.results.results[tier.name()]
}

/// How the tiers ended.
fn tiers(told: &RunOutcome) -> Vec<Status> {
    ALL.iter().map(|tier| ended(told, *tier)).collect()
}

fn restored(told: &RunOutcome) -> Option<Status> {
    told.results.canaries.first()?.seen.get(&Moment::AfterRestore).map(|seen| seen.status)
}

#[test]
fn what_was_spoiled_comes_back_and_the_snapshot_is_forgotten() {
    let host = host(&["backupbot.backup=true"]);
    let told = tasted(host.clone(), WITH_BOT, TIERS, None);
    let canary = &told.results.canaries[0];
    let moments: Vec<(&str, Status)> = canary.seen.iter().map(|(moment, seen)| (moment.name(), seen.status)).collect();
    assert_eq!(moments, [("seeded", Status::Pass), ("corrupted", Status::Pass), ("after-restore", Status::Pass)]);
    assert!(host.data.ids().is_empty(), "{:?}", host.data.ids());
    assert_eq!((told.results.rungs.backup_restore, told.results.level), (Status::Pass, 1));
    check(told, VerdictOutcome::Green, 0, "");
}

#[test]
fn a_restore_that_brings_nothing_back_is_red() {
    let mut host = host(&["backupbot.backup=true"]);
    host.data = Arc::new(SimData::that(Restores::Nothing));
    let told = tasted(host, WITH_BOT, TIERS, None);
    assert_eq!(restored(&told), Some(Status::Fail));
    check(told, VerdictOutcome::Red, 1, "a file in volume posts is still corrupted: the restore did not bring it back");
}

#[test]
fn what_no_canary_can_show_is_not_verified() {
    for (label, why) in [
        ("backupbot.backup.volumes.posts.path=dump", "snapshot 00000001 has no dump of volume posts"),
        ("backupbot.backup.volumes.posts=false", "no canary is wholly in the backup, so nothing shows that data came back"),
    ] {
        let told = tasted(host(&["backupbot.backup=true", label]), WITH_BOT, TIERS, None);
        assert_ne!(restored(&told), Some(Status::Pass), "{label}");
        assert_ne!(told.colour, VerdictOutcome::Green, "{label}");
        assert!(told.why.contains(why), "{label}: {}", told.why);
    }
}

#[test]
fn a_host_without_a_backup_service_proves_nothing_about_backups() {
    let told = tasted(host(&["backupbot.backup=true"]), "zone = \"taster.test\"", TIERS, None);
    assert_eq!(restored(&told), None, "nothing is spoiled that cannot be restored");
    check(told, VerdictOutcome::Inconclusive, 3, "the host file names no backup service");
}

#[test]
fn an_app_without_labels_has_no_backup_to_try() {
    for labels in [&[][..], &["backupbot.backup=false"], &["backupbot.backup.path=/data"]] {
        let told = tasted(host(labels), WITH_BOT, TIERS, None);
        assert_eq!(told.results.rungs.backup_restore, Status::Skip, "{labels:?}");
        assert_eq!(told.results.skips.intentional["backup_restore"], "was skipped, for there is no label backupbot.backup");
        check(told, VerdictOutcome::Green, 0, "");
    }
}

#[test]
fn what_a_restore_must_bring_back_is_this_runs_own() {
    for (restores, colour, exit, why) in [
        (Restores::Nothing, VerdictOutcome::Red, 1, "is still corrupted: the restore did not bring it back"),
        (Restores::Empty, VerdictOutcome::Red, 1, "a file in volume posts is gone"),
        (Restores::AnotherRuns, VerdictOutcome::Red, 1, "has other contents than were seeded"),
        (Restores::AfterAnother, VerdictOutcome::Inconclusive, 3, "something else than the run changed the newest snapshot of the app"),
    ] {
        let mut host = host(&["backupbot.backup=true"]);
        host.data = Arc::new(SimData::that(restores));
        let told = tasted(host.clone(), WITH_BOT, TIERS, None);
        assert_eq!((ended(&told, Tier::Install), ended(&told, Tier::Backup)), (Status::Pass, Status::Pass), "{restores:?}");
        assert_ne!(ended(&told, Tier::Restore), Status::Pass, "{restores:?}");
        assert_eq!(told.results.owner, (colour == VerdictOutcome::Red).then_some(Owner::Recipe), "{restores:?}");
        assert!(host.data.ids().is_empty(), "{restores:?}: {:?}", host.data.ids());
        check(told, colour, exit, why);
    }
}

/// The same host with a pack that names a database.
fn with_database(host: SimHost, kind: DatabaseKind) -> SimHost {
    let database = Database { service: "app".into(), kind, name: None, user: None, password_file: None, path: None };
    let mut pack = Pack::default();
    pack.settings.databases = vec![database];
    host.with_pack(pack, Vec::new())
}

#[test]
fn a_row_is_planted_spoiled_and_restored_like_a_file() {
    for (restores, status, colour, exit, why) in [
        (Restores::Well, Status::Pass, VerdictOutcome::Green, 0, ""),
        (Restores::Nothing, Status::Fail, VerdictOutcome::Red, 1, "a row in the PostgreSQL database of app is still corrupted"),
        (
            Restores::Empty,
            Status::Fail,
            VerdictOutcome::Red,
            1,
            "the client ended with exit code 1: no such table: taster_canary",
        ),
        (Restores::AnotherRuns, Status::Fail, VerdictOutcome::Red, 1, "has other contents than were seeded"),
    ] {
        let mut host = with_database(host(&["backupbot.backup=true"]), DatabaseKind::Postgres);
        host.data = Arc::new(SimData::that(restores));
        let told = tasted(host, WITH_BOT, TIERS, None);
        assert_eq!(told.results.canaries.len(), 1, "no file disturbs the database: {:?}", told.results.canaries);
        assert_eq!(restored(&told), Some(status), "{restores:?}");
        check(told, colour, exit, why);
    }
}

#[test]
fn an_upgrade_goes_on_to_backup_and_restore_of_head() {
    let told = tasted(upgrading(Upgrades::Well), WITH_BOT, ALL, None);
    assert_eq!(tiers(&told), [Status::Pass; 4], "{}", told.why);
    let seen = &told.results.canaries[0].seen;
    assert!(seen.values().all(|seen| seen.status == Status::Pass) && seen.len() == 4, "{seen:?}");
    check(told, VerdictOutcome::Green, 0, "");
}

#[test]
fn an_upgrade_that_fails_is_the_failure_of_its_own_tier() {
    use Status::{Fail, Pass, Unver};
    for (upgrades, ends, colour, exit, why) in [
        (Upgrades::RolledBack, [Pass, Fail, Unver, Unver], VerdictOutcome::Red, 1, "Swarm rolled the update back"),
        (Upgrades::LosingData, [Pass, Fail, Pass, Pass], VerdictOutcome::Red, 1, "a file in volume posts is gone"),
        (
            Upgrades::ToAnotherCommit,
            [Pass, Fail, Pass, Pass],
            VerdictOutcome::Inconclusive,
            3,
            "from commit ba5eba5e and not from head",
        ),
    ] {
        let told = tasted(upgrading(upgrades), WITH_BOT, ALL, None);
        assert_eq!(tiers(&told), ends, "{upgrades:?}: {}", told.why);
        let sentences: Vec<&str> = told.results.verdict.reasons.iter().map(|reason| reason.sentence.as_str()).collect();
        let on_base = "backup is not verified: it was done on base, for head does not run";
        assert_eq!(sentences.contains(&on_base), upgrades == Upgrades::RolledBack, "{sentences:?}");
        check(told, colour, exit, why);
    }
}

#[test]
fn an_upgrade_that_changes_nothing_is_not_verified() {
    let mut host = upgrading(Upgrades::Well);
    host.tree = tree(RELEASES[1], &["backupbot.backup=true"]);
    let told = tasted(host, WITH_BOT, ALL, None);
    assert_eq!(tiers(&told), [Status::Pass, Status::Unver, Status::Pass, Status::Pass], "{}", told.why);
    check(told, VerdictOutcome::Inconclusive, 3, "nothing was upgraded");
}

/// Takes a step out of a plan; what came after it comes after what it came after.
fn without(plan: &mut Plan, step: &Step) {
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
fn a_plan_without_what_proves_a_tier_is_not_green() {
    let all = || tasted(upgrading(Upgrades::Well), WITH_BOT, ALL, None);
    assert_eq!(all().colour, VerdictOutcome::Green, "with all of them it is");
    for (dropped, tier) in [
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
        let amend = |plan: &mut Plan| dropped.iter().for_each(|step| without(plan, step));
        let told = tasted_by(upgrading(Upgrades::Well), WITH_BOT, unit_tests::event_log::request(ALL), None, amend);
        assert_ne!(told.colour, VerdictOutcome::Green, "without {dropped:?}");
        assert_ne!(ended(&told, tier), Status::Pass, "without {dropped:?}: {}", told.why);
        assert!(told.left.is_empty(), "without {dropped:?}: {:?}", told.left);
    }
}

#[test]
fn a_repair_is_for_the_release_that_it_names_and_stale_with_any_other() {
    let compose = "version: \"3.8\"\nservices:\n  app:\n    environment: [\"A=1\"]\n";
    for (version, used) in [(RELEASES[0], true), ("0.9.0+1.0.0", false)] {
        let mut host = upgrading(Upgrades::Well);
        host.pack.settings.repair = Some(Repair { version: version.into(), compose: compose.into() });
        let told = tasted(host.clone(), WITH_BOT, ALL, None);
        let wired = host.wired().join(" ");
        assert_eq!(wired.contains("file compose.repair.yml"), used, "{wired}");
        assert_eq!(wired.contains("COMPOSE_FILE=compose.yml:compose.repair.yml"), used, "{wired}");
        assert_eq!(
            told.results.warnings.iter().any(|warning| warning.contains("may be stale")),
            !used,
            "{:?}",
            told.results.warnings
        );
        check(told, VerdictOutcome::Green, 0, "");
    }
}
