//! Runs whose whole process group gets SIGKILL. Their guardians clean up after them.
//!
//! `TASTER_KILLS=40 TASTER_KILL_RECIPE=ghost cargo test -p unit-tests --test e2e kill::run` kills forty runs of another recipe
//! and prints how long each took until nothing was left. By default it kills a few runs of an app
//! that ignores SIGTERM, has a stop grace period of one minute, and has an anonymous volume.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::Mutex,
    thread,
    time::{Duration, Instant, SystemTime},
};

use harness::model::names::{Domain, StackName};
use libtest_mimic::Trial;
use unit_tests::{
    command_output::{CommandOutput, signal, started},
    engine::until,
    sandbox_fixture::SandboxFixture,
    stacks::{fresh_run, stack_of},
    test_env::{TestEnv, journal, results, run_id},
    test_run::Outcome::Green,
};

use crate::{
    print_notice,
    trials::{e2e_tests, in_env},
};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(fixture, &e2e_tests![run_killed_at_any_moment_is_cleaned_up_by_its_guardian, lost_guardian_is_replaced_with_a_warning])
}

/// How many runs are killed at the same time, and half of how many in all by default.
const AT_ONCE: u32 = 4;
/// The recipe that is killed by default.
const RECIPE: &str = "hello-grace";
/// The time limit from a kill until nothing is left. It is asserted only with `TASTER_KILLS`, when nothing else uses the machine.
const CLEANUP_LIMIT: Duration = Duration::from_secs(10);
/// About how long a run of [`RECIPE`] takes. A measurement finds it out first.
const RUN_LASTS: Duration = Duration::from_secs(28);

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn run_killed_at_any_moment_is_cleaned_up_by_its_guardian(env: &TestEnv<'_>) {
    let measured = variable("TASTER_KILLS");
    let kills: u32 = measured.as_ref().map_or(2 * AT_ONCE, |kills| kills.parse().unwrap());
    let recipe = variable("TASTER_KILL_RECIPE").unwrap_or_else(|| RECIPE.to_owned());
    let folder = (recipe == RECIPE).then(|| with_an_anonymous_volume(env));
    let lasts = measured.as_ref().map_or(RUN_LASTS, |_| duration_of_runs(env, &recipe, folder.as_deref()));
    let engine = &env.fixture.engine;
    let foreign = format!("{}_other", stack_of(&fresh_run()));
    engine.deploy("cleanup-foreign.yml", &foreign);
    engine.running(&foreign, 1);
    let portrait = || {
        let named = |rest: &str| format!("{foreign}_{rest}");
        let (service, data, settings, password) = (named("app"), named("data"), named("settings_v1"), named("password_v1"));
        engine.portrait(&[("service", &service), ("volume", &data), ("config", &settings), ("secret", &password)])
    };
    let (before, nameless) = (portrait(), engine.nameless());
    // The moments are spread evenly over the run, shifted by one random fraction of their distance.
    let offset = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_millis();
    let moment = |number: u32| (lasts * number + lasts * offset / 1000) / kills;
    let took: Mutex<Vec<(Duration, Duration)>> = Mutex::default();

    for first in (0..kills).step_by(AT_ONCE as usize) {
        thread::scope(|scope| {
            for number in first..(first + AT_ONCE).min(kills) {
                let (recipe, folder, took) = (&recipe, folder.as_deref(), &took);
                scope.spawn(move || {
                    let cleanup = kill_at(&TestEnv::new(env.fixture), recipe, folder, moment(number));
                    took.lock().unwrap().extend(cleanup.map(|cleanup| (moment(number), cleanup)));
                });
            }
        });
    }

    let took = took.into_inner().unwrap();
    for (moment, cleanup) in &took {
        let (moment, cleanup) = (moment.as_secs_f64(), cleanup.as_secs_f64());
        print_notice(&format!("{recipe} killed after {moment:>5.2} s: nothing left after {cleanup:.2} s"));
    }
    let late: Vec<_> = took.iter().filter(|(_, cleanup)| *cleanup > CLEANUP_LIMIT).collect();
    assert!(measured.is_none() || late.is_empty(), "later than {CLEANUP_LIMIT:?}: {late:?}");
    until("no anonymous volume is left", || engine.nameless().is_subset(&nameless));
    assert_eq!(portrait(), before, "the foreign stack is unchanged");
    engine.remove_stack(&foreign);
}

/// A folder with the recipe, whose app also has a volume without a name.
fn with_an_anonymous_volume(env: &TestEnv<'_>) -> PathBuf {
    let copy = env.copy_of(RECIPE);
    let file = copy.join("compose.yml");
    let (text, named) = (fs::read_to_string(&file).unwrap(), "      - posts:/data\n");
    assert!(text.contains(named), "{text}");
    fs::write(&file, text.replacen(named, &format!("{named}      - /scratch\n"), 1)).unwrap();
    copy
}

/// A run in a separate process group.
fn start_in_a_group(env: &TestEnv<'_>, recipe: &str, folder: Option<&Path>) -> Child {
    let mut taster = env.command(&["--recipe", recipe]);
    if let Some(folder) = folder {
        taster.arg("--path").arg(folder);
    }
    started(taster.process_group(0))
}

/// How long undisturbed runs take, as many at the same time as are killed at the same time.
fn duration_of_runs(env: &TestEnv<'_>, recipe: &str, folder: Option<&Path>) -> Duration {
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let env = TestEnv::new(env.fixture);
                CommandOutput::after(start_in_a_group(&env, recipe, folder)).exit(0).says("green (");
                env.assert_nothing_left();
            });
        }
    });
    let lasts = started.elapsed();
    print_notice(&format!("{recipe}, {AT_ONCE} at the same time: {:.1} s", lasts.as_secs_f64()));
    lasts
}

/// Kills a run at this moment of its life. Returns how long it took until nothing was left, or nothing for a run that had ended
/// before.
fn kill_at(env: &TestEnv<'_>, recipe: &str, folder: Option<&Path>, moment: Duration) -> Option<Duration> {
    let engine = &env.fixture.engine;
    let mut taster = start_in_a_group(env, recipe, folder);
    thread::sleep(moment);

    let killed = Instant::now();
    // The run may have ended before.
    let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{}", taster.id())]).status();
    let exit = taster.wait().unwrap();

    let run = env.runs().pop()?;
    let domain = Domain::of(&recipe.parse().unwrap(), &run_id(&run), &"taster.test".parse().unwrap()).unwrap();
    let stack = StackName::of(&domain).to_string();
    until(&format!("nothing is left of the run that was killed after {moment:?}"), || engine.left_of(&stack, &[]).is_empty());
    let cleanup = killed.elapsed();
    env.until_guardians_end();
    assert_eq!(engine.left_of(&stack, &[]), "");
    assert_eq!(engine.folders_of(&stack), Vec::<String>::new());
    env.assert_nothing_left();
    if exit.code().is_none() && journal(&run).contains("run-started") {
        assert_results_of_a_killed_run(&run, moment);
    }
    exit.code().is_none().then_some(cleanup)
}

fn assert_results_of_a_killed_run(run: &Path, moment: Duration) {
    let results = results(run);
    // A run that was killed after its end has written its own results.
    if journal(run).contains(r#""event":"run-finished""#) {
        assert_eq!(results["claimed"], serde_json::json!([]), "after {moment:?}: {results}");
    } else {
        assert_eq!(results["verdict"]["outcome"], "inconclusive", "after {moment:?}: {results}");
        assert!(results["verdict"].to_string().contains("the run was killed"), "after {moment:?}: {results}");
    }
    assert!(run.join("report.html").exists() && run.join("junit.xml").exists());
}

/// The guardian is killed twice; the run starts another one each time and comes to its end.
fn lost_guardian_is_replaced_with_a_warning(env: &TestEnv<'_>) {
    let mut run = env.run("hello").start();
    // No claim precedes the guardian.
    run.reached(r#""event":"claimed""#);

    for times in 1..=2 {
        signal(env.guardians()[0], "KILL");
        until("there is another guardian", || journal(&run.folder()).matches("another one is started").count() == times);
    }

    let run = run.expect(Green);
    run.says("the guardian of the run ended")
        .says("another one is started")
        .says("green (install, upgrade")
        .says("left behind: nothing");
    env.until_guardians_end();
    env.assert_nothing_left();
}
