//! The runs of the past, as their folders tell them. Only read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use harness::{
    engine::Past,
    journal,
    model::{
        names::{RecipeName, RunId},
        pack::TestName,
        time::Wall,
    },
    pure::recipe::upgrade_base::Green,
};
use serde_json::Value;

use crate::error::{CommandError, Exit};

/// The longest first line of a journal that is read: it holds the request and the host, no more.
const FIRST_LINE: u64 = 1 << 20;
/// What a run's folder has its results in.
const RESULTS: &str = "results.json";

/// The folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The run.
    pub run: RunId,
    /// Its folder.
    pub folder: PathBuf,
}

/// What became of a run, by its `results.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// The run.
    pub run: RunId,
    /// The recipe.
    pub recipe: String,
    /// The verdict's colour.
    pub verdict: String,
    /// The tiers that it speaks of.
    pub tiers: Vec<String>,
    /// The level, where the results have one.
    pub level: Option<u64>,
    /// When the run ended; absent when it still goes on or was killed.
    pub finished: Option<Wall>,
}

/// The runs in `runs`, newest first. What is no run's folder is left out.
pub fn newest_first(runs: &Path) -> Result<Vec<Kept>, CommandError> {
    let entries = match fs::read_dir(runs) {
        Ok(entries) => entries,
        // A machine on which nothing ever ran.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(CommandError::host(format!("cannot read the folder of runs, {}: {error}", runs.display()))
                .remedy("set XDG_STATE_HOME to the folder that has, or is to have, taster's state"));
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
    let file = File::open(kept.folder.join(journal::FILE)).ok()?;
    BufReader::new(file.take(FIRST_LINE)).read_line(&mut line).ok()?;
    let event: Value = serde_json::from_str(&line).ok()?;
    event.get("request")?.get("recipe")?.as_str().map(str::to_owned)
}

/// What the runs in `runs` say of a recipe: the version of its newest green run that had one, and the custom tests of the newest green
/// run that had any. Runs that cannot be read do not count: they prove nothing.
pub fn past(runs: &Path, name: &RecipeName) -> Past {
    let mut past = Past::default();
    for results in of_recipe(runs, name).filter(|results| results["verdict"]["outcome"] == "green") {
        past.green = past.green.or_else(|| installed_version(&results).map(|version| Green { version }));
        if past.tests.is_empty() {
            past.tests = custom(&results).into_keys().collect();
        }
        if past.green.is_some() && !past.tests.is_empty() {
            break;
        }
    }
    past
}

/// The version that a run installed. Tests on a kept app alone do not make its head one to upgrade from.
fn installed_version(results: &Value) -> Option<String> {
    let tiers = results["verdict"]["tiers"].as_array()?;
    tiers.iter().any(|tier| tier == "install").then(|| results["version"].as_str().map(str::to_owned))?
}

/// The custom tests that did not pass in the last run of `recipe` that had any, those included that did not come to run. One that a
/// choice left out of that run is judged by the run before.
pub fn not_passed(runs: &Path, name: &RecipeName) -> Result<BTreeSet<TestName>, CommandError> {
    let mut earlier = of_recipe(runs, name).map(|results| custom(&results)).filter(|tests| !tests.is_empty());
    let Some(mut tests) = earlier.next() else {
        return Err(CommandError::usage(format!("no run of {name} with custom tests is kept")).remedy("leave --failed out"));
    };
    while tests.values().any(|ended| *ended == Ended::LeftOut) {
        let Some(before) = earlier.next() else { break };
        for (test, ended) in tests.iter_mut().filter(|(_, ended)| **ended == Ended::LeftOut) {
            *ended = before.get(test).copied().unwrap_or(Ended::Not);
        }
    }
    let not: BTreeSet<TestName> = tests.into_iter().filter(|(_, ended)| *ended != Ended::Done).map(|(test, _)| test).collect();
    match not.is_empty() {
        true => Err(CommandError {
            exit: Exit::NothingRan,
            ..CommandError::usage(format!("every custom test of the last run of {name} passed"))
        }),
        false => Ok(not),
    }
}

/// How a custom test of a run of the past ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It passed, or does not apply.
    Done,
    /// It failed, or nothing was verified.
    Not,
    /// The choice of that run left it out.
    LeftOut,
}

/// The results of the runs of a recipe, newest first, as far as they can be read. The first line of its journal says whose a run is, so
/// that the results of other recipes, which are long, are not read; a run without one is known by its results alone.
fn of_recipe(runs: &Path, name: &RecipeName) -> impl Iterator<Item = Value> {
    let kept = newest_first(runs).unwrap_or_default().into_iter();
    let may_be = |kept: &Kept| recipe(kept).is_none_or(|recipe| recipe == name.as_str());
    let read = |kept: Kept| serde_json::from_str::<Value>(&fs::read_to_string(kept.folder.join(RESULTS)).ok()?).ok();
    kept.filter(may_be).filter_map(read).filter(|results| results["recipe"] == name.as_str())
}

/// The custom tests in results, each with how it ended.
fn custom(results: &Value) -> BTreeMap<TestName, Ended> {
    let stages = results["stages"].as_array().into_iter().flatten().filter(|stage| stage["tier"] == "custom");
    let ended = |stage: &Value| match stage["status"].as_str() {
        Some("skip") if stage["outcome"]["detail"]["reason"] == "filtered" => Ended::LeftOut,
        Some("pass" | "skip") => Ended::Done,
        _ => Ended::Not,
    };
    stages.filter_map(|stage| Some((TestName::reported(stage["name"].as_str()?), ended(stage)))).collect()
}

/// What became of a run; nothing when it has no results, and a sentence when they cannot be read.
pub fn last(kept: &Kept) -> Result<Option<Last>, String> {
    let file = kept.folder.join(RESULTS);
    let unread = |why: String| format!("{} cannot be read: {why}", file.display());
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unread(error.to_string())),
    };
    let value: Value = serde_json::from_str(&text).map_err(|error| unread(error.to_string()))?;
    let word = |value: Option<&Value>, what: &str| match value.and_then(Value::as_str) {
        Some(word) => Ok(word.to_owned()),
        None => Err(unread(format!("it names no {what}"))),
    };
    let verdict = value.get("verdict");
    let tiers = verdict.and_then(|verdict| verdict.get("tiers")).and_then(Value::as_array).into_iter().flatten();
    Ok(Some(Last {
        run: kept.run.clone(),
        recipe: word(value.get("recipe"), "recipe")?,
        verdict: word(verdict.and_then(|verdict| verdict.get("outcome")), "verdict")?,
        tiers: tiers.filter_map(Value::as_str).map(str::to_owned).collect(),
        level: value.get("level").and_then(Value::as_u64),
        finished: value.get("finished").and_then(Value::as_str).and_then(|text| Wall::try_from(text.to_owned()).ok()),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A run of hello with these results; `journal` is the recipe that its journal names, where it has one.
    fn keep(runs: &Path, run: &str, journal: Option<&str>, outcome: &str, tiers: &[&str], version: &str, tests: &[&str]) {
        let folder = runs.join(run);
        fs::create_dir_all(&folder).unwrap();
        let stages: Vec<Value> = tests.iter().map(|test| json!({ "name": test, "tier": "custom", "status": "pass" })).collect();
        let verdict = json!({ "outcome": outcome, "tiers": tiers });
        let results = json!({ "recipe": "hello", "version": version, "verdict": verdict, "stages": stages });
        fs::write(folder.join(RESULTS), results.to_string()).unwrap();
        if let Some(recipe) = journal {
            fs::write(folder.join(journal::FILE), json!({ "request": { "recipe": recipe } }).to_string() + "\n").unwrap();
        }
    }

    #[test]
    fn the_past_of_a_recipe_is_that_of_its_newest_green_runs() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path();
        let name = "hello".parse().unwrap();
        assert_eq!(past(runs, &name), Past::default());
        keep(runs, "20261120-101501-aaaaaaaa", Some("hello"), "green", &["install"], "1.0.0+1", &["old"]);
        keep(runs, "20261120-101502-baaaaaaa", None, "green", &["install", "custom"], "2.0.0+1", &["kept"]);
        keep(runs, "20261120-101503-caaaaaaa", Some("hello"), "green", &["install"], "3.0.0+1", &[]);
        keep(runs, "20261120-101504-daaaaaaa", Some("hello"), "green", &["custom"], "4.0.0+1", &[]);
        keep(runs, "20261120-101505-eaaaaaaa", Some("hello"), "red", &["install"], "5.0.0+1", &["broken"]);
        // Whose a run is, its journal says.
        keep(runs, "20261120-101506-faaaaaaa", Some("ghost"), "green", &["install"], "6.0.0+1", &["another"]);
        let tests = BTreeSet::from([TestName::reported("kept")]);
        assert_eq!(past(runs, &name), Past { green: Some(Green { version: "3.0.0+1".into() }), tests });
    }
}
