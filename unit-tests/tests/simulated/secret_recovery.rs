//! Reports that are made anew of a killed run: what is a secret stays hidden, also where it was recorded before it was learnt.

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
    sim_data::{Restores, SimData},
    sim_inventory::SimInventory,
};

use crate::crash::paused;

const RUN: &str = "20261121-101502-k3v7q2m7";
/// Where a secret can be known from again, and the secret.
const SECRETS: [(&str, &str); 5] = [
    ("abra/servers/default/hello.env", "env-p4ss"),
    ("abra/recipes/hello/.env.sample", "sample-p4ss"),
    ("abra/pack/secret-x", "pack-s3cret"),
    ("abra/.tmpAbc", "inserted-s3cret"),
    ("results.json", "generated-s3cret"),
];

/// A run that tells all the secrets in one sentence before it learns any of them, and is killed when its results hide the last one.
fn dead(folder: &Folder, clock: SimClock) {
    let journal = Journal::create(folder.root(), RUN.parse().unwrap(), Arc::new(clock)).unwrap();
    journal.append(unit_tests::stacks::started(&RUN.parse().unwrap(), Path::new("/nowhere.sock"))).unwrap();
    let env = folder.root().join(SECRETS[0].0);
    for what in [Claimed::Dir { path: folder.abra_dir() }, Claimed::EnvFile { path: env }] {
        journal.claim(what, &"swarm1".parse().unwrap()).unwrap();
    }
    let said = SECRETS.map(|(_, secret)| secret).join(", ");
    journal.append(Kind::Warned { text: format!("the page says {said} to all") }).unwrap();
    journal.append(Kind::StepStarted { step: StepId("deploy".into()), attempt: 1 }).unwrap();
    for (file, secret) in &SECRETS[..4] {
        let text = if file.contains("env") { format!("TYPE=hello\nSMTP_PASSWORD={secret}\n") } else { (*secret).to_owned() };
        fs::create_dir_all(folder.root().join(file).parent().unwrap()).unwrap();
        fs::write(folder.root().join(file), text).unwrap();
    }
    let redact = Redact::new();
    redact.learn(SECRETS[4].1);
    let state = journal::read(folder.root()).unwrap().events.iter().fold(RunState::default(), fold);
    fs::write(folder.root().join("results.json"), document(&state, &redact).unwrap()).unwrap();
}

/// The files of the run, its journal aside, in which one of the secrets stands.
fn telling(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    let reports = files.filter(|path| !path.ends_with(journal::FILE));
    let shown = reports.flat_map(|path| {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        SECRETS
            .iter()
            .filter(move |(_, secret)| text.contains(secret))
            .map(move |(_, secret)| format!("{secret} in {}", path.display()))
    });
    shown.collect()
}

#[test]
fn what_tells_of_a_killed_run_hides_its_secrets_each_time() {
    paused(async {
        let (place, clock) = (tempfile::tempdir().unwrap(), SimClock::start());
        let folder = Folder::of(place.path(), &RUN.parse().unwrap());
        dead(&folder, clock);
        assert_eq!(telling(folder.root()).len(), 4, "the run itself has learnt but one of them");
        let world = Inventory {
            engine: "swarm1".parse().unwrap(),
            objects: BTreeMap::new(),
            files: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        };
        let access = HostAccess {
            swarm: Arc::new(SimInventory::new(world)),
            data: Arc::new(SimData::that(Restores::Well)),
            files: Arc::new(Disk),
            children: Arc::new(Processes),
            clock: Arc::new(clock),
        };
        // The first one leaves the claims to the second, and for the second all the files are gone.
        for released in [false, true] {
            let reading = journal::read(folder.root()).unwrap();
            let policy = CleanupPolicy { by: CleanedBy::Janitor, pace: Pace::default(), wait_for_engine: false };
            clean_up(&access, RunLock::attempt(folder.root()).unwrap(), &reading, policy).await.unwrap();
            assert!(!folder.abra_dir().exists());
            assert_eq!(telling(folder.root()), Vec::<String>::new());
            let results: Results =
                serde_json::from_str(&fs::read_to_string(folder.root().join("results.json")).unwrap()).unwrap();
            assert!(results.warnings.iter().any(|text| text == "the page says •••, •••, •••, •••, ••• to all"), "{results:?}");
            assert!(fs::read_to_string(folder.root().join("report.html")).unwrap().contains("the page says •••"));
            assert!(!results.flags.no_secret_leak, "nobody knows all that the run had learnt");
            assert_eq!(results.claimed.is_empty(), released, "{:?}", results.claimed);
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    });
}
