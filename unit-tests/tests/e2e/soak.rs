//! Many runs, two at a time: nothing of them is left, and the memory of no process grows. The test takes minutes and nothing else
//! may use the engine, so it runs on request only:
//!
//! `TASTER_SOAK=30 cargo test -p unit-tests --test e2e soak`

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use libtest_mimic::Trial;
use unit_tests::{
    engine::{Engine, until},
    leak_trend::{Series, Tolerance},
    sandbox_fixture::SandboxFixture,
    test_env::TestEnv,
    test_run::Outcome::Green,
};

use crate::{
    print_notice,
    trials::{e2e_tests, in_env},
};

/// The variable that says how many runs.
const RUNS: &str = "TASTER_SOAK";
/// The recipes that run at the same time, one of them with a published port.
const RECIPES: [&str; 2] = ["hello", "hello-port"];
/// The kinds of objects that are listed before and after.
const KINDS: [(&str, &[&str]); 7] = [
    ("service", &[]),
    ("container", &["--all"]),
    ("network", &[]),
    ("volume", &[]),
    ("secret", &[]),
    ("config", &[]),
    ("image", &["--all"]),
];
/// The processes that must not grow, by the beginning or a part of their command lines.
const PROCESSES: [(&str, &str); 3] = [("dockerd", "dockerd"), ("agent", "sandbox\0agent"), ("ingress", "caddy\0run")];

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    let wanted = std::env::var_os(RUNS).is_some();
    let tests = in_env(fixture, &e2e_tests![many_runs_leave_nothing_and_no_process_grows]);
    tests.into_iter().map(|test| test.with_ignored_flag(!wanted)).collect()
}

/// Measurements by their subject, each with its unit and how much it may grow.
type Measurements = BTreeMap<String, (&'static str, Tolerance, Series)>;

fn many_runs_leave_nothing_and_no_process_grows(env: &TestEnv<'_>) {
    let runs: usize = std::env::var(RUNS).ok().and_then(|runs| runs.parse().ok()).unwrap_or(30);
    let engine = &env.fixture.engine;
    // The first runs of an engine make it load what it keeps.
    run_both(env);
    let before = objects(engine);
    let mut measurements = Measurements::new();

    for _ in 0..runs.div_ceil(RECIPES.len()) {
        for (recipe, disk) in run_both(env) {
            add(&mut measurements, format!("disk of a run of {recipe}"), "kB", Tolerance { percent: 10, flat: 16 }, disk);
        }
        for (name, has) in PROCESSES {
            let pid = process(has).unwrap_or_else(|| panic!("{name} runs"));
            add(&mut measurements, format!("memory of {name}"), "kB", Tolerance { percent: 10, flat: 24 * 1024 }, memory(pid));
            let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64;
            add(&mut measurements, format!("descriptors of {name}"), "", Tolerance { percent: 0, flat: 8 }, open);
        }
    }

    for (what, (unit, _, series)) in &measurements {
        let (first, last) = series.ends().unwrap_or_default();
        print_notice(&format!("{what:<34} {first:>9} {last:>9} {unit}"));
    }
    for (kind, names) in objects(engine) {
        print_notice(&format!("{:<34} {:>9} {:>9}", format!("{kind}s"), before[kind].len(), names.len()));
    }
    let more = || -> Vec<String> {
        let now = objects(engine);
        now.iter().flat_map(|(kind, names)| names.difference(&before[kind]).map(move |name| format!("{kind} {name}"))).collect()
    };
    until("there are no more objects than before", || more().is_empty());
    let grew: Vec<&String> =
        measurements.iter().filter(|(_, (_, tolerance, series))| series.grew(*tolerance)).map(|(what, _)| what).collect();
    assert!(grew.is_empty(), "these grew: {grew:?}");
}

fn add(measurements: &mut Measurements, what: String, unit: &'static str, tolerance: Tolerance, value: u64) {
    measurements.entry(what).or_insert_with(|| (unit, tolerance, Series::default())).2.add(value);
}

/// Performs two runs at the same time. Returns the kB that each left in the state folder.
fn run_both(env: &TestEnv<'_>) -> Vec<(&'static str, u64)> {
    let envs = RECIPES.map(|recipe| (recipe, TestEnv::new(env.fixture)));
    let running = envs.each_ref().map(|(recipe, env)| env.run(recipe).start());
    for run in running {
        run.expect(Green).says("left behind: nothing");
    }
    let left = |(recipe, env): &(&'static str, TestEnv<'_>)| {
        env.until_guardians_end();
        env.assert_nothing_left();
        (*recipe, size_of(&env.path().join("taster")) / 1024)
    };
    envs.iter().map(left).collect()
}

/// The names of all objects of the engine, by kind.
fn objects(engine: &Engine) -> BTreeMap<&'static str, BTreeSet<String>> {
    let listed = |(kind, options): (&'static str, &[&str])| {
        let listed = engine.ask(&[&[kind, "ls", "--quiet"], options].concat());
        (kind, listed.lines().map(str::to_owned).collect())
    };
    KINDS.into_iter().map(listed).collect()
}

/// The process whose command line has this in it.
fn process(has: &str) -> Option<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    pids.find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        let own = line.split('\0').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        if has.contains('\0') { line.contains(has) } else { own == has }
    })
}

/// The memory that a process has, in kB.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The bytes of all files in a folder.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries
        .map(|entry| if entry.path().is_dir() { size_of(&entry.path()) } else { entry.metadata().map_or(0, |file| file.len()) })
        .sum()
}
