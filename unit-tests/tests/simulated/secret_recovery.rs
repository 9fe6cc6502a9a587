//! Reports that the cleanup writes for a killed run: its secrets stay hidden, also those that were recorded before they were
//! learnt.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use harness::{
    adapters::{children::Processes, files::Disk, folder::Folder},
    engine::steps::shared::cleanup::Pace,
    journal::{self, Journal, RunLock},
    ports::RunFolder,
    pure::{
        host::{claim::Claimed, inventory::Inventory},
        run::{
            event::{CleanedBy, Kind},
            plan::StepId,
            state::{RunState, fold},
        },
    },
    redact::Redact,
    report::results::{Results, document},
};
use runner::recovery::crash_recovery::{CleanupPolicy, HostAccess, clean_up};
use unit_tests::{
    crash_injection::SimClock,
    sim_data::{RestoreBehaviour, SimData},
    sim_inventory::SimInventory,
};

use crate::crash::paused;

const RUN: &str = "20261121-101502-k3v7q2m7";
/// The files from which the cleanup recovers a secret, and the secret.
const SECRETS: [(&str, &str); 5] = [
    ("abra/servers/default/hello.env", "env-p4ss"),
    ("abra/servers/other/hello.env", "other-p4ss"),
    ("abra/pack/secret-x", "pack-s3cret"),
    ("abra/.tmpAbc", "hand-typed-4nswer"),
    ("results.json", "generated-s3cret"),
];

/// Writes the folder of a run that prints all secrets before it learns any of them, and is killed when its results hide the last
/// one.
fn write_killed_run(folder: &Folder, clock: SimClock) {
    let journal = Journal::create(folder.root(), RUN.parse().unwrap(), Arc::new(clock)).unwrap();
    journal.append(unit_tests::stacks::started(&RUN.parse().unwrap(), Path::new("/nowhere.sock"))).unwrap();
    let env = folder.root().join(SECRETS[0].0);
    let other = folder.root().join(SECRETS[1].0);
    for what in [Claimed::Dir { path: folder.abra_dir() }, Claimed::EnvFile { path: env }, Claimed::EnvFile { path: other }] {
        journal.claim(what, &"swarm1".parse().unwrap()).unwrap();
    }
    let secrets = SECRETS.map(|(_, secret)| secret).join(", ");
    journal.append(Kind::Warned { text: format!("the page says {secrets} to all") }).unwrap();
    journal.append(Kind::StepStarted { step: StepId("deploy".into()), attempt: 1 }).unwrap();
    for (file, secret) in &SECRETS[..4] {
        let text = if file.contains("env") { format!("TYPE=hello\nSMTP_PASSWORD={secret}\n") } else { (*secret).to_owned() };
        fs::create_dir_all(folder.root().join(file).parent().unwrap()).unwrap();
        fs::write(folder.root().join(file), text).unwrap();
    }
    let redact = Redact::new();
    redact.learn(SECRETS[4].1);
    let state = journal::read(folder.root()).unwrap().events.iter().fold(RunState::default(), fold);
    fs::write(folder.root().join("results.json"), document(&state, &redact, []).unwrap()).unwrap();
}

/// The secrets in the files of the run other than its journal.
fn visible_secrets(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    let reports = files.filter(|path| !path.ends_with(journal::FILE));
    let visible = reports.flat_map(|path| {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        SECRETS
            .iter()
            .filter(move |(_, secret)| text.contains(secret))
            .map(move |(_, secret)| format!("{secret} in {}", path.display()))
    });
    visible.collect()
}

#[test]
fn reports_of_killed_run_hide_secrets_after_each_cleanup() {
    paused(async {
        let (place, clock) = (tempfile::tempdir().unwrap(), SimClock::start());
        let folder = Folder::of(place.path(), &RUN.parse().unwrap());
        write_killed_run(&folder, clock);
        assert_eq!(visible_secrets(folder.root()).len(), 4, "the run itself has learnt one of them");
        let inventory = Inventory {
            engine: "swarm1".parse().unwrap(),
            objects: BTreeMap::new(),
            files: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        };
        let access = HostAccess {
            swarm: Arc::new(SimInventory::new(inventory)),
            data: Arc::new(SimData::restoring(RestoreBehaviour::Works)),
            files: Arc::new(Disk),
            children: Arc::new(Processes),
            clock: Arc::new(clock),
        };
        // The first cleanup leaves the claims to the second, which no longer has the files with the secrets.
        for released in [false, true] {
            let reading = journal::read(folder.root()).unwrap();
            let policy = CleanupPolicy { by: CleanedBy::Janitor, pace: Pace::default(), wait_for_engine: false };

            // A child that another test starts holds a copy of the lock until it executes its program.
            let lock = RunLock::within(folder.root(), Duration::from_secs(10)).unwrap();
            clean_up(&access, lock, &reading, policy).await.unwrap();

            assert!(!folder.abra_dir().exists());
            assert_eq!(visible_secrets(folder.root()), Vec::<String>::new());
            let results: Results =
                serde_json::from_str(&fs::read_to_string(folder.root().join("results.json")).unwrap()).unwrap();
            assert!(results.warnings.iter().any(|text| text == "the page says •••, •••, •••, •••, ••• to all"), "{results:?}");
            assert!(fs::read_to_string(folder.root().join("report.html")).unwrap().contains("the page says •••"));
            assert!(!results.flags.no_secret_leak, "the run may have learnt other secrets too");
            assert_eq!(results.claimed.is_empty(), released, "{:?}", results.claimed);
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    });
}
