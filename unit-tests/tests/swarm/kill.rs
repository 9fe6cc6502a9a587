//! Runs that are killed outright, with all that is in their group. Their guardians take them to zero.
//!
//! `TASTER_KILLS=40 TASTER_KILL_RECIPE=ghost cargo test -p unit-tests --test swarm kill::a_run` kills more of them, of another recipe.

use std::{
    fs,
    os::unix::process::CommandExt,
    process::Child,
    thread,
    time::{Duration, SystemTime},
};

use libtest_mimic::Trial;
use unit_tests::{
    engine::until,
    ground::Ground,
    stacks::{fresh_run, stack_of},
    told::{Stage, ended, journal, results, signal, started},
};

use super::runs::on_stages;

/// The stories of this file.
pub(crate) fn stories(ground: Option<&Ground>) -> Vec<Trial> {
    on_stages(
        ground,
        &[
            ("kill::a_run_that_is_killed_anywhere_is_taken_to_zero_by_its_guardian", anywhere),
            ("kill::a_guardian_that_is_lost_is_replaced_and_told", guardian_lost),
        ],
    )
}

/// How many runs are killed beside each other.
const BESIDE: u32 = 4;
/// How long a run of `hello` takes, about.
const WHOLE: Duration = Duration::from_secs(20);

fn asked(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn anywhere(stage: &Stage<'_>) {
    let kills: u32 = asked("TASTER_KILLS").map_or(8, |kills| kills.parse().unwrap());
    let recipe = asked("TASTER_KILL_RECIPE").unwrap_or_else(|| "hello".to_owned());
    let whole = if recipe == "hello" { WHOLE } else { WHOLE * 6 };
    let engine = &stage.ground.engine;
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
    for first in (0..kills).step_by(BESIDE as usize) {
        thread::scope(|scope| {
            for number in first..(first + BESIDE).min(kills) {
                let recipe = &recipe;
                scope.spawn(move || killed_at(&Stage::new(stage.ground), recipe, point(number)));
            }
        });
    }
    assert_eq!(portrait(), before, "others are as they were");
    engine.remove_stack(&foreign);
}

fn in_a_group(stage: &Stage<'_>, args: &[&str]) -> Child {
    started(stage.taster(args).process_group(0))
}

fn killed_at(stage: &Stage<'_>, recipe: &str, point: Duration) {
    let mut run = in_a_group(stage, &["--recipe", recipe]);
    thread::sleep(point);
    let group = format!("-{}", run.id());
    // One that came to its end before is as good.
    let _ = std::process::Command::new("kill").args(["-s", "KILL", "--", &group]).status();
    let exit = run.wait().unwrap();
    let Some(folder) = stage.runs().pop() else { return };
    let token = folder.file_name().unwrap().to_string_lossy().rsplit('-').next().unwrap().to_owned();
    let letters: String = recipe.chars().filter(char::is_ascii_alphanumeric).take(10).collect();
    let stack = format!("{letters}-{token}_taster_test");
    until(&format!("nothing is left of the run that was killed after {point:?}"), || {
        stage.ground.engine.left_of(&stack, &[]).is_empty()
    });
    until("its guardian is gone", || stage.guardians().is_empty());
    assert_eq!(stage.ground.engine.left_of(&stack, &[]), "");
    stage.assert_zero();
    if exit.code().is_none() && journal(&folder).contains("run-started") {
        let results = results(&folder);
        assert_eq!(results["verdict"]["outcome"], "inconclusive", "after {point:?}: {results}");
        let finished = journal(&folder).contains("run-finished");
        assert!(finished || results["verdict"].to_string().contains("the run was killed"), "after {point:?}: {results}");
        assert!(folder.join("report.html").exists() && folder.join("junit.xml").exists());
    }
}

/// It is ended twice; the run says so, has another one each time, and comes to its own end.
fn guardian_lost(stage: &Stage<'_>) {
    let run = stage.start(&["--recipe", "hello"]);
    // There is no claim before the guardian is ready.
    stage.reached(r#""event":"claimed""#);
    for times in 1..=2 {
        signal(stage.guardians()[0], "KILL");
        let told = || journal(&stage.only_run()).matches("another one is started").count();
        until("it has another one", || told() == times);
    }
    let told = ended(run);
    told.assert(0, &["the guardian of the run ended", "another one is started", "green (install, upgrade"]);
    until("the last one is gone", || stage.guardians().is_empty());
    assert!(fs::read_dir(stage.only_run()).is_ok());
    stage.assert_zero();
}
