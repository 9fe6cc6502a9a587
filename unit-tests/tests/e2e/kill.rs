//! Runs that are killed outright, with all that is in their group. Their guardians take them to zero.
//!
//! `TASTER_KILLS=40 TASTER_KILL_RECIPE=ghost cargo test -p unit-tests --test e2e kill::a_run` kills more of them, of another recipe, and
//! prints how long each took to zero. Without it some runs of an app are killed that ignores its end, has a minute for it, and has an
//! anonymous volume.

use std::{
    fs,
    os::unix::process::CommandExt,
    process::{Child, Command},
    sync::Mutex,
    thread,
    time::{Duration, Instant, SystemTime},
};

use harness::model::names::{Domain, StackName};
use libtest_mimic::Trial;
use unit_tests::{
    engine::until,
    sandbox_fixture::SandboxFixture,
    stacks::{fresh_run, stack_of},
    test_env::{CommandOutput, TestEnv, ended, journal, results, run_id, signal, started},
};

use super::runs::on_stages;

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    on_stages(
        fixture,
        &[
            ("kill::a_run_that_is_killed_anywhere_is_taken_to_zero_by_its_guardian", anywhere),
            ("kill::a_guardian_that_is_lost_is_replaced_and_told", guardian_lost),
        ],
    )
}

/// How many runs are killed beside each other, and how many at all when nobody says it.
const BESIDE: u32 = 4;
/// What is killed when nobody says it.
const RECIPE: &str = "hello-grace";
/// The longest that it may take from a death to zero. Only who asks for the figures has a machine to himself that is held to it.
const TO_ZERO: Duration = Duration::from_secs(10);
/// How long a run of [`RECIPE`] takes, about. Who asks for the figures has it measured.
const WHOLE: Duration = Duration::from_secs(28);

fn asked(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn anywhere(env: &TestEnv<'_>) {
    let figures = asked("TASTER_KILLS");
    let kills: u32 = figures.as_ref().map_or(2 * BESIDE, |kills| kills.parse().unwrap());
    let recipe = asked("TASTER_KILL_RECIPE").unwrap_or_else(|| RECIPE.to_owned());
    let path = (recipe == RECIPE).then(|| with_an_anonymous_volume(env));
    let whole = figures.as_ref().map_or(WHOLE, |_| untouched(env, &recipe, path.as_deref()));
    let engine = &env.fixture.engine;
    let foreign = format!("{}_other", stack_of(&fresh_run()));
    engine.deploy("sweep-foreign.yml", &foreign);
    engine.running(&foreign, 1);
    let portrait = || {
        let named = |rest: &str| format!("{foreign}_{rest}");
        let (service, data, settings, password) = (named("app"), named("data"), named("settings_v1"), named("password_v1"));
        engine.portrait(&[("service", &service), ("volume", &data), ("config", &settings), ("secret", &password)])
    };
    let before = portrait();
    let drawn = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_millis();
    // The points are spread over the whole run, each moved by a part of the distance that no one chose.
    let point = |number: u32| (whole * number + whole * drawn / 1000) / kills;
    let nameless = env.fixture.engine.nameless();
    let took: Mutex<Vec<(Duration, Duration)>> = Mutex::default();
    for first in (0..kills).step_by(BESIDE as usize) {
        thread::scope(|scope| {
            for number in first..(first + BESIDE).min(kills) {
                let (recipe, path, took) = (&recipe, path.as_deref(), &took);
                scope.spawn(move || {
                    let zero = killed_at(&TestEnv::new(env.fixture), recipe, path, point(number));
                    took.lock().unwrap().extend(zero.map(|zero| (point(number), zero)));
                });
            }
        });
    }
    let took = took.into_inner().unwrap();
    for (point, zero) in &took {
        super::tell(&format!("{recipe} killed after {:>5.2} s: zero after {:.2} s", point.as_secs_f64(), zero.as_secs_f64()));
    }
    let late: Vec<_> = took.iter().filter(|(_, zero)| *zero > TO_ZERO).collect();
    assert!(figures.is_none() || late.is_empty(), "later than {TO_ZERO:?}: {late:?}");
    until("no anonymous volume is left", || env.fixture.engine.nameless().is_subset(&nameless));
    assert_eq!(portrait(), before, "others are as they were");
    engine.take_to_zero(&foreign);
}

/// A folder with the recipe, whose app also has a volume without a name.
fn with_an_anonymous_volume(env: &TestEnv<'_>) -> String {
    let copy = env.copy_of(RECIPE);
    let file = copy.join("compose.yml");
    let (text, named) = (fs::read_to_string(&file).unwrap(), "      - posts:/data\n");
    assert!(text.contains(named), "{text}");
    fs::write(&file, text.replacen(named, &format!("{named}      - /scratch\n"), 1)).unwrap();
    copy.display().to_string()
}

/// A run in a group of its own.
fn in_a_group(env: &TestEnv<'_>, recipe: &str, path: Option<&str>) -> Child {
    let path = path.map(|path| ["--path", path]).into_iter().flatten();
    let args: Vec<&str> = ["--recipe", recipe].into_iter().chain(path).collect();
    started(env.taster(&args).process_group(0))
}

/// How long runs take that nobody kills, as many beside each other as will be killed.
fn untouched(env: &TestEnv<'_>, recipe: &str, path: Option<&str>) -> Duration {
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..BESIDE {
            scope.spawn(|| {
                let env = TestEnv::new(env.fixture);
                CommandOutput::after(in_a_group(&env, recipe, path)).assert(0, &["green ("]);
                env.assert_zero();
            });
        }
    });
    let whole = started.elapsed();
    super::tell(&format!("{recipe}, {BESIDE} beside each other: {:.1} s", whole.as_secs_f64()));
    whole
}

/// Kills a run at this point of its life, and says how long it took until nothing was left of it.
fn killed_at(env: &TestEnv<'_>, recipe: &str, path: Option<&str>, point: Duration) -> Option<Duration> {
    let mut run = in_a_group(env, recipe, path);
    thread::sleep(point);
    let group = format!("-{}", run.id());
    let killed = Instant::now();
    // One that came to its end before is as good.
    let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
    let exit = run.wait().unwrap();
    let folder = env.runs().pop()?;
    let domain = Domain::of(&recipe.parse().unwrap(), &run_id(&folder), &"taster.test".parse().unwrap()).unwrap();
    let stack = StackName::of(&domain).to_string();
    until(&format!("nothing is left of the run that was killed after {point:?}"), || {
        env.fixture.engine.left_of(&stack, &[]).is_empty()
    });
    let zero = killed.elapsed();
    until("its guardian is gone", || env.guardians().is_empty());
    assert_eq!(env.fixture.engine.left_of(&stack, &[]), "");
    assert_eq!(env.fixture.engine.folders_of(&stack), Vec::<String>::new());
    env.assert_zero();
    if exit.code().is_none() && journal(&folder).contains("run-started") {
        let results = results(&folder);
        // One that had come to its own end, and was only not gone yet, has told its own truth.
        if journal(&folder).contains(r#""event":"run-finished""#) {
            assert_eq!(results["claimed"], serde_json::json!([]), "after {point:?}: {results}");
        } else {
            assert_eq!(results["verdict"]["outcome"], "inconclusive", "after {point:?}: {results}");
            assert!(results["verdict"].to_string().contains("the run was killed"), "after {point:?}: {results}");
        }
        assert!(folder.join("report.html").exists() && folder.join("junit.xml").exists());
    }
    exit.code().is_none().then_some(zero)
}

/// It is ended twice; the run says so, has another one each time, and comes to its own end.
fn guardian_lost(env: &TestEnv<'_>) {
    let run = env.start(&["--recipe", "hello"]);
    // There is no claim before the guardian is ready.
    env.reached(r#""event":"claimed""#);
    for times in 1..=2 {
        signal(env.guardians()[0], "KILL");
        let told = || journal(&env.only_run()).matches("another one is started").count();
        until("it has another one", || told() == times);
    }
    let told = ended(run);
    told.assert(0, &["the guardian of the run ended", "another one is started", "green (install, upgrade"]);
    until("the last one is gone", || env.guardians().is_empty());
    env.assert_zero();
}
