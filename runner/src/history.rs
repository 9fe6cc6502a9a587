//! The runs of the past, as their folders tell them. Only read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use harness::{
    base::Green,
    engine::Past,
    journal,
    model::{
        names::{RecipeName, RunId},
        pack::TestName,
        time::Wall,
    },
};
use serde_json::Value;

use crate::error::{CommandError, Exit};

/// The longest first line of a journal that is read: it holds the request and the host, no more.
const FIRST_LINE: u64 = 1 << 20;

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
    /// The version of its head, when the run was green.
    pub green_version: Option<String>,
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

/// The head of the newest green run of `recipe` that had a version, among `runs` from the newest on. Runs that cannot be read do not
/// count: they prove nothing.
pub fn last_green(runs: &Path, name: &RecipeName) -> Option<Green> {
    let kept = newest_first(runs).ok()?;
    let of_recipe = kept.iter().filter(|kept| recipe(kept).as_deref() == Some(name.as_str()));
    let version = of_recipe.filter_map(|kept| last(kept).ok()??.green_version).next()?;
    Some(Green { version })
}

/// What the runs in `runs` say of a recipe.
pub fn past(runs: &Path, name: &RecipeName) -> Past {
    Past { green: last_green(runs, name), tests: last_green_tests(runs, name) }
}

/// The custom tests of the newest green run of `recipe` that had any.
fn last_green_tests(runs: &Path, name: &RecipeName) -> BTreeSet<TestName> {
    let green = |results: &Value| results["verdict"]["outcome"] == "green";
    let of = |results: Value| custom(&results).into_keys().collect::<BTreeSet<_>>();
    let mut sets = of_recipe(runs, name).filter(green).map(of);
    sets.find(|tests| !tests.is_empty()).unwrap_or_default()
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
            exit: Exit::Nothing,
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

/// The results of the runs of a recipe, newest first, as far as they can be read.
fn of_recipe(runs: &Path, name: &RecipeName) -> impl Iterator<Item = Value> {
    let kept = newest_first(runs).unwrap_or_default().into_iter();
    let read = |kept: Kept| serde_json::from_str::<Value>(&fs::read_to_string(kept.folder.join("results.json")).ok()?).ok();
    kept.filter_map(read).filter(move |results| results["recipe"] == name.as_str())
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
    let file = kept.folder.join("results.json");
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
    let outcome = word(verdict.and_then(|verdict| verdict.get("outcome")), "verdict")?;
    let tiers: Vec<String> = tiers.filter_map(Value::as_str).map(str::to_owned).collect();
    // Tests on a kept app alone do not make its head one to upgrade from.
    let installed = tiers.iter().any(|tier| tier == "install");
    let version = value.get("version").and_then(Value::as_str).filter(|_| outcome == "green" && installed);
    Ok(Some(Last {
        run: kept.run.clone(),
        recipe: word(value.get("recipe"), "recipe")?,
        green_version: version.map(str::to_owned),
        verdict: outcome,
        tiers,
        level: value.get("level").and_then(Value::as_u64),
        finished: value.get("finished").and_then(Value::as_str).and_then(|text| Wall::try_from(text.to_owned()).ok()),
    }))
}
