//! Compose files as taster reads them, held against Docker's own loader: recorded answers always, and a live client where
//! there is one.
//!
//! `TASTER_COMPOSE_CASES` is the number of generated cases, `TASTER_COMPOSE_SEED` the first seed. `TASTER_BLESS=1` records what
//! Docker answers to the habits and to cases that differ, `TASTER_COMPOSE_RECORD=60` a sample of the generated cases.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use unit_tests::{
    compose_cases::{ComposeCase, case},
    docker_loader::{DockerLoader, Recorded, difference, read},
};

use crate::{compose_habits::habits, flake::print_uncaptured};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn recorded(name: &str) -> Vec<Recorded> {
    let text = std::fs::read_to_string(fixture(name)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write(name: &str, recorded: &[Recorded]) {
    let lines: String = recorded.iter().map(|one| serde_json::to_string(one).unwrap() + "\n").collect();
    std::fs::write(fixture(name), lines).unwrap();
}

const HABITS: &str = "compose-habits.jsonl";
const GENERATED: &str = "compose-generated.jsonl";

/// The compose files of the recorded cases and of the recipes for tests.
fn collected() -> Vec<String> {
    fn add(texts: &mut BTreeMap<PathBuf, String>, folder: &Path) {
        for path in std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                add(texts, &path);
            } else if name.starts_with("compose") && name.ends_with(".yml") {
                // The recipes for tests have words in braces, which are filled in when they are made.
                let text = std::fs::read_to_string(&path).unwrap().replace("{{", "").replace("}}", "");
                texts.insert(path, text);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = BTreeMap::new();
    add(&mut texts, &root.join("compose"));
    add(&mut texts, &root.join("../sandbox/recipes"));
    texts.into_values().collect()
}

fn blessing() -> bool {
    std::env::var_os("TASTER_BLESS").is_some()
}

#[test]
fn every_habit_of_the_loader_is_read_as_docker_reads_it() {
    let docker = DockerLoader::find();
    let answers = recorded(HABITS);
    let mut fresh = Vec::new();
    let mut wrong = String::new();
    for (name, case) in habits() {
        let live = docker.as_ref().map(|docker| docker.answer(&case, tempfile::tempdir().unwrap().path()));
        let old = answers.iter().find(|one| one.name == name).filter(|one| one.case() == case);
        let one = match (live, old) {
            (Some(live), old) if blessing() || old.is_some() => Recorded::new(&name, &case, live),
            (_, Some(old)) => old.clone(),
            _ => {
                let _ = writeln!(wrong, "{name}: there is no recorded answer; record it with TASTER_BLESS=1");
                continue;
            }
        };
        if let Some(difference) = one.difference() {
            let _ = writeln!(wrong, "{name}: {difference}");
        }
        if let Some(old) = old.filter(|old| old.is_taken() != one.is_taken() && !blessing()) {
            let _ = writeln!(wrong, "{name}: Docker's recorded answer is another one than today's ({old:?})");
        }
        fresh.push(one);
    }
    if blessing() && docker.is_some() {
        write(HABITS, &fresh);
    }
    assert!(wrong.is_empty(), "{wrong}");
    let taken = fresh.iter().filter(|one| one.is_taken()).count();
    assert!(taken > 100 && fresh.len() - taken > 60, "both kinds are there: {taken} of {}", fresh.len());
}

#[test]
fn recorded_cases_are_read_as_docker_read_them() {
    let recorded = recorded(GENERATED);

    let wrong: Vec<String> =
        recorded.iter().filter_map(|one| one.difference().map(|difference| format!("{}: {difference}", one.name))).collect();

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(recorded.iter().filter(|one| one.is_taken()).count() >= 30, "there are recordings that Docker took");
}

/// Numbers of cases by their result.
#[derive(Debug, Default)]
struct Tally {
    same: AtomicU64,
    refused: AtomicU64,
    by_design: AtomicU64,
}

#[test]
fn generated_cases_are_read_as_docker_reads_them() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let Some(docker) = DockerLoader::find() else {
        print_uncaptured(
            "compose files were held against recorded answers only: there is no docker client of version 24 or newer",
        );
        return;
    };
    let count = number("TASTER_COMPOSE_CASES").unwrap_or(500);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs());
    let first = number("TASTER_COMPOSE_SEED").unwrap_or_else(now);
    print_uncaptured(&format!(
        "{count} compose cases from TASTER_COMPOSE_SEED={first} on are held against docker {}",
        docker.version
    ));

    let (tally, different) = differences(&docker, first..first + count);

    print_uncaptured(&format!("{tally:?}"));
    let recording: Vec<String> = different.iter().map(|(one, _)| serde_json::to_string(one).unwrap()).collect();
    if blessing() && !different.is_empty() {
        let mut all = recorded(GENERATED);
        all.extend(different.iter().map(|(one, _)| one.clone()));
        write(GENERATED, &all);
    }
    let lines: Vec<String> = different.iter().map(|(one, difference)| format!("{}: {difference}", one.name)).collect();
    assert!(
        different.is_empty(),
        "{}\n\nThey become recordings with TASTER_BLESS=1 TASTER_COMPOSE_SEED={first}, or as lines of fixtures/{GENERATED}:\n{}",
        lines.join("\n"),
        recording.join("\n")
    );
    assert!(tally.same.into_inner() * 20 >= count, "of the cases at least 5 % are taken");
}

/// The cases of these seeds that taster reads otherwise than Docker.
fn differences(docker: &DockerLoader, seeds: std::ops::Range<u64>) -> (Tally, Vec<(Recorded, String)>) {
    let (collected, next, tally) = (collected(), AtomicU64::new(seeds.start), Tally::default());
    let one_by_one = || {
        let mut different = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return different;
            }
            let case = case(seed, &collected);
            let answer = docker.answer(&case, tempfile::tempdir().unwrap().path());
            let found = difference(&case, answer.as_deref());
            let counter = match (&answer, read(&case)) {
                (Some(_), Ok(_)) => &tally.same,
                (Some(_), Err(_)) => &tally.by_design,
                (None, _) => &tally.refused,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            different.extend(found.map(|found| (Recorded::new(&format!("seed {seed}"), &case, answer), found)));
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from) + 1;
    let different = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(one_by_one)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    (tally, different)
}

/// Records a share of the generated cases, so that a machine without a client has them.
#[test]
fn generated_cases_are_recorded_on_request() {
    let Some(count) = std::env::var("TASTER_COMPOSE_RECORD").ok().map(|value| value.parse::<usize>().unwrap()) else { return };
    let docker = DockerLoader::find().unwrap();
    let collected = collected();
    let mut all: Vec<Recorded> = recorded(GENERATED).into_iter().filter(|one| !one.name.starts_with("sample ")).collect();
    let (mut taken, mut refused) = (0, 0);
    for seed in 0.. {
        if taken >= count && refused >= count / 2 {
            break;
        }
        let case: ComposeCase = case(seed, &collected);
        let answer = docker.answer(&case, tempfile::tempdir().unwrap().path());
        let wanted = match answer {
            Some(_) => taken < count,
            None => refused < count / 2,
        };
        taken += usize::from(answer.is_some() && wanted);
        refused += usize::from(answer.is_none() && wanted);
        if wanted {
            all.push(Recorded::new(&format!("sample {seed}"), &case, answer));
        }
    }
    write(GENERATED, &all);
}

#[test]
fn any_bytes_are_read_or_refused() {
    use proptest::prelude::*;
    let soup = "[ \\t\\n:\\-?#&*!|>'\"%@`{}\\[\\],$\\\\<~0ab\u{85}\u{2028}\u{feff}]{0,60}";
    let parts = proptest::collection::vec(prop_oneof![soup.prop_map(String::into_bytes), any::<Vec<u8>>()], 1..3);
    proptest!(ProptestConfig::with_cases(2_000), |(parts in parts, env in any::<Vec<u8>>())| {
        let names = ["compose.yml", "over.yml"];
        let mut files: BTreeMap<String, Vec<u8>> =
            parts.iter().zip(names).map(|(part, name)| (name.to_owned(), part.clone())).collect();
        files.insert("app.env".to_owned(), env);
        let list = names[..parts.len()].join(":");
        let case = ComposeCase { files, env: BTreeMap::from([("COMPOSE_FILE".to_owned(), list)]) };
        let _ = read(&case);
    });
}
