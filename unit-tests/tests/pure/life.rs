//! Backup and restore in whole simulated runs: what a restore brings back is looked for, not believed.

use std::sync::Arc;

use harness::{
    canary::Moment,
    compose::{Entry, Tree},
    model::outcome::{Status, Tier},
    verdict::Colour,
};
use unit_tests::{
    recording::Recording,
    sim_data::SimData,
    sim_host::{Manners, SimHost},
};

use super::run::{Told, check, tasted};

const WITH_BOT: &str = "zone = \"taster.test\"\nbackup = \"bot\"";
const TIERS: &[Tier] = &[Tier::Install, Tier::Backup, Tier::Restore];

/// A host with an app that has a volume and these labels.
fn host(labels: &[&str]) -> SimHost {
    let mut host = SimHost::new(Manners::default(), Recording::load("healthy").looks.last().unwrap());
    let labels: String = labels.iter().map(|label| format!("        - \"{label}\"\n")).collect();
    let compose = format!(
        "version: \"3.8\"\nservices:\n  app:\n    image: bb:1\n    volumes:\n      - posts:/data\n    deploy:\n      labels:\n        - \"a=b\"\n{labels}volumes:\n  posts:\n"
    );
    host.tree = [("compose.yml", compose.as_str()), (".env.sample", "TYPE=hello\nDOMAIN=hello.example.com\n")]
        .map(|(path, text)| (path.to_owned(), Entry::Text(text.to_owned())))
        .into_iter()
        .collect::<Tree>();
    host
}

fn restored(told: &Told) -> Option<Status> {
    told.results.canaries.first()?.seen.get(&Moment::AfterRestore).map(|seen| seen.status)
}

#[test]
fn what_was_spoiled_comes_back_and_the_snapshot_is_forgotten() {
    let host = host(&["backupbot.backup=true"]);
    let told = tasted(host.clone(), WITH_BOT, TIERS, None);
    let canary = &told.results.canaries[0];
    let moments: Vec<(&str, Status)> = canary.seen.iter().map(|(moment, seen)| (moment.name(), seen.status)).collect();
    assert_eq!(moments, [("planted", Status::Pass), ("spoiled", Status::Pass), ("after-restore", Status::Pass)]);
    assert!(host.data.ids().is_empty(), "{:?}", host.data.ids());
    assert_eq!((told.results.rungs.backup_restore, told.results.level), (Status::Pass, 1));
    check(told, Colour::Green, 0, "");
}

#[test]
fn a_restore_that_brings_nothing_back_is_red() {
    let mut host = host(&["backupbot.backup=true"]);
    host.data = Arc::new(SimData::that_restores_nothing());
    let told = tasted(host, WITH_BOT, TIERS, None);
    assert_eq!(restored(&told), Some(Status::Fail));
    check(told, Colour::Red, 1, "a file in volume posts is still as it was spoiled: the restore did not bring it back");
}

#[test]
fn what_no_canary_can_show_is_not_verified() {
    for (label, why) in [
        ("backupbot.backup.volumes.posts.path=dump", "snapshot 00000001 has no dump of volume posts"),
        ("backupbot.backup.volumes.posts=false", "no canary is wholly in the backup, so nothing shows that data came back"),
    ] {
        let told = tasted(host(&["backupbot.backup=true", label]), WITH_BOT, TIERS, None);
        assert_ne!(restored(&told), Some(Status::Pass), "{label}");
        assert_ne!(told.colour, Colour::Green, "{label}");
        assert!(told.why.contains(why), "{label}: {}", told.why);
    }
}

#[test]
fn a_host_without_a_backup_service_proves_nothing_about_backups() {
    let told = tasted(host(&["backupbot.backup=true"]), "zone = \"taster.test\"", TIERS, None);
    assert_eq!(restored(&told), None, "nothing is spoiled that cannot be restored");
    check(told, Colour::Inconclusive, 3, "the host file names no backup service");
}

#[test]
fn an_app_without_labels_has_no_backup_to_try() {
    for labels in [&[][..], &["backupbot.backup=false"], &["backupbot.backup.path=/data"]] {
        let told = tasted(host(labels), WITH_BOT, TIERS, None);
        assert_eq!(told.results.rungs.backup_restore, Status::Skip, "{labels:?}");
        assert_eq!(told.results.skips.intentional["backup_restore"], "was skipped, for there is no label backupbot.backup");
        check(told, Colour::Green, 0, "");
    }
}
