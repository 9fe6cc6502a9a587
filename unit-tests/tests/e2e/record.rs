//! Records how real stacks settle and fail on the engine at hand, for `unit-tests/recordings`: one folder for each line of
//! engines.

use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use unit_tests::{
    command_output::{CommandOutput, started},
    engine::Engine,
};

use crate::trials;

/// The variable with the folder that recordings are written to.
const FOLDER: &str = "TASTER_RECORD";

/// A stack that is recorded from its deploy to its evaluation.
struct Scenario {
    /// The name of the recording.
    name: &'static str,
    /// The compose files, deployed one after the other. The recording begins after the last one.
    files: &'static [&'static str],
    /// How many containers run before the next file is deployed.
    running: usize,
}

const fn new(name: &'static str, files: &'static [&'static str]) -> Scenario {
    Scenario { name, files, running: 0 }
}

const fn update(name: &'static str, files: &'static [&'static str], running: usize) -> Scenario {
    Scenario { name, files, running }
}

static SCENARIOS: [Scenario; 29] = [
    new("attempts-spent", &["attempts-spent.yml"]),
    new("bad-mount", &["bad-mount.yml"]),
    new("crash-loop", &["crash-loop.yml"]),
    new("crash-loop-beside", &["crash-loop-beside.yml"]),
    new("crash-loop-default", &["crash-loop-default.yml"]),
    new("exited-for-good", &["exited-for-good.yml"]),
    new("global", &["global.yml"]),
    new("healthy", &["healthy.yml"]),
    new("image-missing", &["image-missing.yml"]),
    new("job", &["job.yml"]),
    new("never-healthy", &["never-healthy.yml"]),
    new("no-node", &["no-node.yml"]),
    new("no-node-replicated", &["no-node-replicated.yml"]),
    new("one-shot", &["one-shot.yml"]),
    new("one-shot-beside", &["one-shot-beside.yml"]),
    new("one-shot-fails", &["one-shot-fails.yml"]),
    new("several", &["several.yml"]),
    new("slow-start", &["slow-start.yml"]),
    new("unhealthy", &["unhealthy.yml"]),
    new("waits-for-database", &["waits-for-database.yml"]),
    new("waits-for-probed-database", &["waits-for-probed-database.yml"]),
    new("zero", &["zero.yml"]),
    update("continued", &["continued-1.yml", "continued-2.yml"], 1),
    update("five", &["five-1.yml", "five-2.yml"], 5),
    update("host-port", &["host-port-1.yml", "host-port-2.yml"], 1),
    update("paused", &["paused-1.yml", "paused-2.yml"], 3),
    update("redeployed", &["five-1.yml", "five-2.yml", "five-2.yml"], 5),
    update("rolled-back", &["rolled-back-1.yml", "rolled-back-2.yml"], 1),
    update("start-first", &["start-first-1.yml", "start-first-2.yml"], 1),
];

/// A trial for each recording, when the variable names a folder.
pub(crate) fn tests(engine: &Engine) -> Vec<Trial> {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return Vec::new() };
    let trial = |scenario: &'static Scenario| {
        let (engine, folder) = (engine.clone(), folder.clone());
        trials::trial(&format!("e2e::record::{}", scenario.name), move || {
            record(&engine, scenario, &folder);
            Ok(())
        })
    };
    SCENARIOS.iter().map(trial).collect()
}

fn record(engine: &Engine, scenario: &Scenario, folder: &Path) {
    let file = folder.join(format!("{}.jsonl", scenario.name)).display().to_string();
    let socket = engine.socket().display().to_string();
    engine.on_a_stack(|stack| {
        for (number, compose) in scenario.files.iter().enumerate() {
            if number == 1 {
                engine.running(stack, scenario.running);
            }
            engine.deploy(compose, stack);
        }
        let mut taster = engine.taster(&["status", stack, "--budget", "120", "--engine", &socket, "--record", &file]);
        if scenario.files.len() > 1 {
            taster.arg("--upgrade");
        }
        let _ = CommandOutput::after(started(&mut taster));
    });
}
