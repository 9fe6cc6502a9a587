//! Earlier runs, read from their folders. Nothing is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use harness::{
    disk::plain_file::{self, DOCUMENT_LIMIT, Links},
    engine::History,
    journal,
    model::{
        names::{RecipeName, RunId},
        outcome::Tier,
        pack::TestName,
        time::Wall,
    },
    pure::run::{plan::step_ids, verdict::Verdict},
    report::{ReportFile, results},
};
use serde_json::Value;

use crate::error::{CommandError, ErrorKind};

/// The longest first line of a journal that is read, in bytes: the line has the request and the host, no more.
const FIRST_LINE: u64 = 1 << 20;

/// A run that has a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The run.
    pub run: RunId,
    /// Its folder.
    pub folder: PathBuf,
}

/// The result of a run, from its `results.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// The run.
    pub run: RunId,
    /// The recipe.
    pub recipe: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The level, where the results have one.
    pub level: Option<u64>,
    /// When the run ended; absent while it goes on, and when it was killed.
    pub finished: Option<Wall>,
}

/// The runs in `runs`, newest first. Other entries of the folder are left out.
pub fn newest_first(runs: &Path) -> Result<Vec<Kept>, CommandError> {
    let entries = match fs::read_dir(runs) {
        Ok(entries) => entries,
        // The machine has had no run yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(CommandError::host(error)
                .context(format!("cannot read the folder of runs, {}", runs.display()))
                .hint("Set XDG_STATE_HOME to the folder that has, or is to have, taster's state."));
        }
    };
    let kept = |entry: fs::DirEntry| Some(Kept { run: entry.file_name().to_str()?.parse().ok()?, folder: entry.path() });
    let mut all: Vec<Kept> = entries.flatten().filter_map(kept).collect();
    all.sort_by(|a, b| b.run.cmp(&a.run));
    Ok(all)
}

/// The recipe of a run, by the first line of its journal.
pub fn recipe(kept: &Kept) -> Option<String> {
    let mut line = String::new();
    let file = plain_file::open(&kept.folder.join(journal::FILE), Links::Refused).ok()?;
    BufReader::new(file.take(FIRST_LINE)).read_line(&mut line).ok()?;
    let event: Value = serde_json::from_str(&line).ok()?;
    event.get("request")?.get("recipe")?.as_str().map(str::to_owned)
}

/// The history of a recipe in `runs`: the custom tests of the newest green run that had any. `folder` is the folder of `--pack`;
/// tests of another one do not count, nor do tests that were not committed. Runs that cannot be read prove nothing.
pub fn past(runs: &Path, name: &RecipeName, folder: Option<&Path>) -> History {
    let green = of_recipe(runs, name).filter(|results| results["verdict"]["outcome"] == "green");
    let committed = green.filter(|results| results["dirty"] != true);
    let mut tests = committed.map(|results| custom(&results, folder)).filter(|tests| !tests.is_empty());
    History { tests: tests.next().unwrap_or_default().into_keys().collect() }
}

/// The custom tests that did not pass in the last run of the recipe that had any, with those that did not run at all. For a test
/// that the choice of that run left out, the run before counts. `folder` is the folder of `--pack`.
pub fn not_passed(runs: &Path, name: &RecipeName, folder: Option<&Path>) -> Result<BTreeSet<TestName>, CommandError> {
    let mut earlier = of_recipe(runs, name).map(|results| custom(&results, folder)).filter(|tests| !tests.is_empty());
    let Some(mut tests) = earlier.next() else {
        return Err(
            CommandError::usage(format!("there is no earlier run of {name} with custom tests")).hint("Leave --failed out.")
        );
    };
    while tests.values().any(|ended| *ended == Ended::LeftOut) {
        let Some(before) = earlier.next() else { break };
        for (test, ended) in tests.iter_mut().filter(|(_, ended)| **ended == Ended::LeftOut) {
            *ended = before.get(test).copied().unwrap_or(Ended::Not);
        }
    }
    let not: BTreeSet<TestName> = tests.into_iter().filter(|(_, ended)| *ended != Ended::Done).map(|(test, _)| test).collect();
    match not.is_empty() {
        true => {
            let message = format!("every custom test of the last run of {name} passed");
            Err(CommandError::new(ErrorKind::NothingToRun, message))
        }
        false => Ok(not),
    }
}

/// How a custom test of an earlier run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It passed, or does not apply.
    Done,
    /// It failed, or nothing was verified.
    Not,
    /// The choice of that run left it out.
    LeftOut,
}

/// The results of the runs of a recipe, newest first, as far as they can be read. The first line of a journal names the recipe,
/// so that the long results of other recipes are not read; a run without a journal has its recipe in its results alone.
fn of_recipe(runs: &Path, name: &RecipeName) -> impl Iterator<Item = Value> {
    let kept = newest_first(runs).unwrap_or_default().into_iter();
    let may_be = |kept: &Kept| recipe(kept).is_none_or(|recipe| recipe == name.as_str());
    let read = |kept: Kept| serde_json::from_str(&results_of(&kept).ok()?).ok().map(results::current);
    kept.filter(may_be).filter_map(read).filter(|results| results["recipe"] == name.as_str())
}

/// The text of a run's `results.json`.
fn results_of(kept: &Kept) -> io::Result<String> {
    plain_file::read_text(&kept.folder.join(ReportFile::Results.name()), DOCUMENT_LIMIT, Links::Refused)
}

/// The custom tests in results, each with how it ended, without taster's own steps and without tests of the folder of another
/// `--pack`.
fn custom(results: &Value, folder: Option<&Path>) -> BTreeMap<TestName, Ended> {
    let same_folder = results["authoring"]["folder"].as_str().map(Path::new) == folder;
    let foreign = |test: &Value| test["origin"] == "folder" && !same_folder;
    let known = results["customization"]["tests"].as_array().into_iter().flatten();
    let foreign: BTreeSet<&str> = known.filter(|test| foreign(test)).filter_map(|test| test["name"].as_str()).collect();
    let stages = results["stages"].as_array().into_iter().flatten().filter(|stage| stage["name"] == Tier::Custom.name());
    let steps = stages.filter_map(|stage| stage["steps"].as_array()).flatten();
    let ended = |step: &Value| match step["status"].as_str() {
        Some("skip") if step["outcome"]["detail"]["reason"] == "filtered" => Ended::LeftOut,
        Some("pass" | "skip") => Ended::Done,
        _ => Ended::Not,
    };
    let is_test = |name: &&str| !step_ids::ALL.contains(name) && !foreign.contains(name);
    let tests = steps.filter_map(|step| Some((step["name"].as_str().filter(is_test)?, ended(step))));
    tests.map(|(name, ended)| (TestName::reported(name), ended)).collect()
}

/// The result of a run; absent when it has no results.
pub fn last(kept: &Kept) -> Result<Option<Last>, CommandError> {
    let file = kept.folder.join(ReportFile::Results.name());
    let unreadable = |error: CommandError| error.context(format!("cannot read {}", file.display()));
    let text = match results_of(kept) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(CommandError::host(error))),
    };
    let value: Value = serde_json::from_str(&text).map_err(|error| unreadable(CommandError::host(error)))?;
    let text = |value: Option<&Value>, what: &str| match value.and_then(Value::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => Err(unreadable(CommandError::host(format!("it has no {what}")))),
    };
    let verdict = value.get("verdict").cloned().unwrap_or_default();
    let verdict = serde_json::from_value(verdict).map_err(|_| unreadable(CommandError::host("it has no verdict")))?;
    Ok(Some(Last {
        run: kept.run.clone(),
        recipe: text(value.get("recipe"), "recipe")?,
        verdict,
        level: value.get("level").and_then(Value::as_u64),
        finished: value.get("finished").and_then(Value::as_str).and_then(|text| Wall::try_from(text.to_owned()).ok()),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A run of hello with these results; `journal` is the recipe that its journal names, where it has one.
    fn keep(runs: &Path, run: &str, journal: Option<&str>, outcome: &str, tests: &[&str]) {
        let folder = runs.join(run);
        fs::create_dir_all(&folder).unwrap();
        let steps: Vec<Value> = tests.iter().map(|test| json!({ "name": test, "status": "pass" })).collect();
        let (verdict, stages) = (json!({ "outcome": outcome }), json!([{ "name": "custom", "steps": steps }]));
        let results = json!({ "schema": 2, "recipe": "hello", "verdict": verdict, "stages": stages });
        fs::write(folder.join(ReportFile::Results.name()), results.to_string()).unwrap();
        if let Some(recipe) = journal {
            fs::write(folder.join(journal::FILE), json!({ "request": { "recipe": recipe } }).to_string() + "\n").unwrap();
        }
    }

    #[test]
    fn history_of_a_recipe_is_that_of_its_newest_green_runs() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path();
        let name = "hello".parse().unwrap();
        assert_eq!(past(runs, &name, None), History::default());
        keep(runs, "20261120-101501-aaaaaaaa", Some("hello"), "green", &["old"]);
        keep(runs, "20261120-101502-baaaaaaa", None, "green", &["kept"]);
        keep(runs, "20261120-101503-caaaaaaa", Some("hello"), "green", &[]);
        keep(runs, "20261120-101504-daaaaaaa", Some("hello"), "green", &[]);
        keep(runs, "20261120-101505-eaaaaaaa", Some("hello"), "red", &["broken"]);
        // The journal names the recipe of this run.
        keep(runs, "20261120-101506-faaaaaaa", Some("ghost"), "green", &["another"]);
        let tests = BTreeSet::from([TestName::reported("kept")]);
        assert_eq!(past(runs, &name, None), History { tests });
    }

    #[test]
    fn steps_of_taster_and_tests_of_another_folder_are_no_tests_of_the_recipe() {
        let results = |folder: Option<&str>| {
            let steps = ["http", "posts::one", "tests/own.sh", "smoke.sh", "still-stable"]
                .map(|test| json!({ "name": test, "status": "pass" }));
            let test = |name: &str, origin: &str| json!({ "name": name, "origin": origin });
            json!({
                "authoring": { "folder": folder },
                "customization": {
                    "tests": [test("posts::one", "pack"), test("tests/own.sh", "repository"), test("smoke.sh", "folder")],
                },
                "stages": [{ "name": "custom", "steps": steps }],
            })
        };
        for (folder, now, expected) in [
            (Some("/mine"), Some("/mine"), &["posts::one", "smoke.sh", "tests/own.sh"][..]),
            (Some("/mine"), Some("/other"), &["posts::one", "tests/own.sh"]),
            (Some("/mine"), None, &["posts::one", "tests/own.sh"]),
        ] {
            let found = custom(&results(folder), now.map(Path::new));
            let found: Vec<&str> = found.keys().map(TestName::as_str).collect();
            assert_eq!(found, expected, "{folder:?} {now:?}");
        }
    }
}
