//! Engines that fail a run in the middle of what it does: power that is lost, disks that are full. What is said is true, it is never the
//! recipe's fault, and nothing is left once the engine answers again.

use std::process::Child;

use libtest_mimic::Trial;
use serde_json::Value;
use unit_tests::{
    ground::Ground,
    spare::SpareEngine,
    told::{Stage, Told, ended},
};

use super::{
    runs::{on_stages, stage_of},
    worlds::{assert_nothing_on, default_context, on_spare_engines, spare_ground},
};

/// The stories of this file.
pub(crate) fn stories(ground: Option<&Ground>) -> Vec<Trial> {
    let stories = on_stages(
        ground,
        &[
            ("faults::an_engine_that_is_restarted_in_mid_upgrade", in_mid_upgrade),
            ("faults::an_engine_that_is_restarted_in_mid_teardown", in_mid_teardown),
            ("faults::an_engine_whose_disk_fills_up_in_mid_run", disk_fills_up),
        ],
    );
    on_spare_engines(ground, stories)
}

const SWEEPS: &str = r#""event":"step-started","step":"sweep""#;

/// A run of `hello` on the spare engine, up to when its journal says `text`.
fn until_it_says(stage: &Stage<'_>, spare: &SpareEngine, args: &[&str], text: &str) -> Child {
    default_context(stage.path(), &spare.socket());
    let host = stage.host_file(&[("engine", &spare.socket().display().to_string())]).display().to_string();
    let run = stage.start(&[&["--recipe", "hello", "--host", &host], args].concat());
    stage.reached(text);
    run
}

/// That nothing is left, by the run's own word and by docker's.
fn assert_nothing_left(stage: &Stage<'_>, spare: &SpareEngine, told: &Told) -> Value {
    assert!(told.out.contains("left behind: nothing"), "{told}");
    let results = stage.results();
    assert_eq!(results["claimed"], serde_json::json!([]), "{results:#}");
    stage.assert_zero();
    assert_nothing_on(stage, &spare.engine());
    results
}

/// All containers end with the engine. There is no ingress on it, so that the base does not answer; what is looked at is the upgrade.
fn in_mid_upgrade(stage: &Stage<'_>) {
    let (mut spare, ground) = spare_ground(stage);
    let stage = Stage::new(&ground);
    let text = r#""event":"observed","step":"upgrade""#;
    let run = until_it_says(&stage, &spare, &["--tiers", "install,upgrade"], text);
    spare.kill_and_restart();
    let told = ended(run);
    told.assert(3, &["inconclusive (install, upgrade)", "upgrade is not verified: "]);
    let results = assert_nothing_left(&stage, &spare, &told);
    assert_eq!(stage_of(&results, "upgrade")["status"], "unver", "{results:#}");
    assert_eq!(stage_of(&results, "deploy")["status"], "pass", "what was seen before stands: {results:#}");
}

/// What was seen before stands when the engine is gone for a moment in which there is nothing more to do than to remove.
fn in_mid_teardown(stage: &Stage<'_>) {
    let (mut spare, ground) = spare_ground(stage);
    let stage = Stage::new(&ground);
    let run = until_it_says(&stage, &spare, &["--tiers", "install"], SWEEPS);
    let seen = stage.results();
    spare.kill_and_restart();
    let told = ended(run);
    let results = assert_nothing_left(&stage, &spare, &told);
    assert_eq!(results["results"], seen["results"], "{results:#}");
    assert_eq!(stage_of(&results, "sweep")["status"], "pass", "{results:#}");
    assert_ne!(told.exit, Some(4), "{told}");
}

/// The Swarm cannot write what it is asked for. At the deadline there is room again.
fn disk_fills_up(stage: &Stage<'_>) {
    let (spare, ground) = spare_ground(stage);
    let stage = Stage::new(&ground);
    let text = r#""event":"observed","step":"deploy""#;
    let run = until_it_says(&stage, &spare, &["--deadline", "27"], text);
    spare.disk().leave_no_room();
    stage.reached(SWEEPS);
    spare.disk().remount("size=8g");
    let told = ended(run);
    told.assert(3, &["inconclusive (install, upgrade, backup, restore"]);
    assert_nothing_left(&stage, &spare, &told);
}
