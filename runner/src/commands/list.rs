//! `taster list`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process,
};

use harness::{
    adapters::clock::SystemClock,
    author::Parity,
    model::{
        exit_code::ExitCode,
        names::{RecipeName, RunId},
        pack::{Pack, TestKind},
        time::Wall,
        version::RecipeVersion,
    },
    ports::Clock,
    report::terminal::printable,
};
use serde_json::{Value, json};

use crate::{
    env::Env,
    error::CommandError,
    history::{self, Last},
    host, output, packs,
    pure::table::table,
};

/// The most warnings about unreadable results that are printed one by one.
const MAX_WARNINGS: usize = 5;

/// Lists the recipes that can be tested, each with its last run
///
/// On the sandbox these are its own recipes; with a host file those that abra has fetched into `$ABRA_DIR/recipes` (by default
/// `~/.abra/recipes`). Nothing is fetched, and the engine is not used.
///
/// With --json: {"schema": 1, "sandbox": …, "recipes": [{"recipe", "version", "pack", "last"}], "tests": [{"recipe", "file",
/// "test", "kind", "origin"}]}, where `version` is the newest release or null, `pack` is null or {"tests": {"health",
/// "roundtrip", "distinctive"}, "canaries", "superficial", "parity"}, `parity` is null without a PARITY.md or {"named",
/// "deferred", "wrong"}, and `last` is null or {"run_id", "verdict", "tiers", "ended", "level", "finished", "age_ms"}, where
/// `tiers` are the tiers without the skipped ones and `ended` says how each tier ended.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Prints JSON
    #[arg(long)]
    json: bool,
    /// The host file to use
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
}

/// A recipe that can be tested.
struct Row {
    recipe: String,
    version: Option<String>,
    pack: Option<Pack>,
    parity: Option<Parity>,
    last: Option<Last>,
}

impl List {
    /// Runs the command.
    pub fn run(self, env: &Env) -> Result<process::ExitCode, CommandError> {
        let host = host::file(env, self.host.as_deref()).map(|file| host::load(&file)).transpose()?;
        let sandbox = host.as_ref().is_none_or(|host| host::sandbox_of(host).is_some());
        let recipes = if sandbox { of_sandbox() } else { fetched(&env.abra_dir.join("recipes"))? };
        let mut last = last_runs(&env.runs())?;
        let row = |(recipe, version): (String, Option<String>)| -> Result<Row, CommandError> {
            let pack = packs::linked(&recipe)?;
            let parity = pack.as_ref().and_then(|pack| packs::parity(&recipe, pack));
            Ok(Row { last: last.remove(&recipe), recipe, version, pack, parity })
        };
        let rows: Vec<Row> = recipes.into_iter().map(row).collect::<Result<_, _>>()?;
        for row in &rows {
            let wrong = row.parity.iter().flat_map(|parity| &parity.wrong);
            wrong.for_each(|wrong| output::message(&format!("warning: recipes/{}/PARITY.md: {wrong}", row.recipe)));
        }
        let now = SystemClock::start().wall();
        let text = if self.json { document(sandbox, &rows, now) } else { table(&cells(&rows, now), output::width()) };
        output::print(&text)?;
        Ok(ExitCode::Green.into())
    }
}

fn of_sandbox() -> Vec<(String, Option<String>)> {
    let version = |recipe: &str| newest(sandbox::recipes::tags(recipe).into_iter());
    sandbox::recipes::enrolled().into_iter().map(|recipe| (recipe.clone(), version(&recipe))).collect()
}

/// The recipes that abra has fetched, by their folders.
fn fetched(recipes: &Path) -> Result<Vec<(String, Option<String>)>, CommandError> {
    let entries = match fs::read_dir(recipes) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            output::message(&format!("abra has fetched no recipe into {}", recipes.display()));
            return Ok(Vec::new());
        }
        Err(error) => return Err(CommandError::host(error).context(format!("cannot read {}", recipes.display()))),
    };
    let folders = entries.flatten().filter(|entry| entry.path().join("compose.yml").is_file());
    let mut all: Vec<(String, Option<String>)> = folders
        .filter_map(|entry| {
            let name: RecipeName = entry.file_name().to_str()?.parse().ok()?;
            Some((name.to_string(), newest(tags(&entry.path().join(".git")).into_iter())))
        })
        .collect();
    all.sort();
    Ok(all)
}

/// The names of a repository's tags, read from git's files: a git process for each recipe would take too long.
fn tags(git: &Path) -> Vec<String> {
    let packed = fs::read_to_string(git.join("packed-refs")).unwrap_or_default();
    let mut tags: Vec<String> = packed.lines().filter_map(|line| Some(line.split_once(" refs/tags/")?.1.to_owned())).collect();
    let loose = fs::read_dir(git.join("refs/tags")).into_iter().flatten().flatten();
    tags.extend(loose.filter_map(|entry| entry.file_name().into_string().ok()));
    tags
}

fn newest(tags: impl Iterator<Item = String>) -> Option<String> {
    let versions = tags.filter_map(|tag| tag.parse::<RecipeVersion>().ok());
    versions.max_by(RecipeVersion::pick_order).map(|version| version.as_str().to_owned())
}

/// The last run of each recipe. Results that cannot be read are left out, with a warning.
fn last_runs(runs: &Path) -> Result<BTreeMap<String, Last>, CommandError> {
    let kept = history::newest_first(runs)?;
    let (mut last, mut unreadable) = (BTreeMap::new(), Vec::new());
    for kept in &kept {
        match history::last(kept) {
            Ok(Some(run)) => drop(last.entry(run.recipe.clone()).or_insert(run)),
            Ok(None) => {}
            Err(error) => unreadable.push(error),
        }
    }
    let warn = |error: &CommandError| output::message(&format!("warning: {}", error.in_one_line()));
    unreadable.iter().take(MAX_WARNINGS).for_each(warn);
    if unreadable.len() > MAX_WARNINGS {
        output::message(&format!("warning: {} more cannot be read", unreadable.len() - MAX_WARNINGS));
    }
    Ok(last)
}

fn document(sandbox: bool, all: &[Row], now: Wall) -> String {
    let last = |last: &Last| {
        json!({
            "run_id": last.run.as_str(),
            "verdict": last.verdict.outcome,
            "tiers": last.verdict.tiers,
            "ended": last.verdict.ended,
            "level": last.level,
            "finished": last.finished.map(|at| at.to_string()),
            "age_ms": last.finished.map(|at| (now.millis() - at.millis()).max(0)),
        })
    };
    let row = |row: &Row| {
        let pack = row.pack.as_ref().map(|pack| pack_document(pack, row.parity.as_ref()));
        json!({ "recipe": row.recipe, "version": row.version, "pack": pack, "last": row.last.as_ref().map(last) })
    };
    let rows: Vec<Value> = all.iter().map(row).collect();
    let tests: Vec<Value> = all.iter().flat_map(inventory).collect();
    format!("{:#}\n", json!({ "schema": 1, "sandbox": sandbox, "recipes": rows, "tests": tests }))
}

/// The custom tests of a recipe in JSON.
fn inventory(row: &Row) -> impl Iterator<Item = Value> {
    row.pack.iter().flat_map(|pack| &pack.tests).map(|test| {
        let (kind, test, file) = (test.kind.name(), test.name.as_str(), format!("recipes/{}/{}", row.recipe, test.file));
        json!({ "recipe": row.recipe, "file": file, "test": test, "kind": kind, "origin": "pack" })
    })
}

/// A pack in JSON.
fn pack_document(pack: &Pack, parity: Option<&Parity>) -> Value {
    let parity = parity.map(|parity| json!({ "named": parity.named, "deferred": parity.deferred, "wrong": parity.wrong }));
    let of = |kind: TestKind| pack.tests.iter().filter(|test| test.kind == kind).count();
    let tests: serde_json::Map<String, Value> =
        TestKind::ALL.iter().map(|kind| (kind.name().to_owned(), of(*kind).into())).collect();
    let (canaries, superficial) = (pack.hooks.canaries.len(), pack.superficial().is_some());
    json!({ "tests": tests, "canaries": canaries, "superficial": superficial, "parity": parity })
}

/// A pack in a cell of the table.
fn format_pack(pack: &Pack, parity: Option<&Parity>) -> String {
    let tests = match (pack.tests.len(), pack.superficial()) {
        (0, _) => return "no tests".to_owned(),
        (1, _) => "1 test, superficial".to_owned(),
        (tests, Some(_)) => format!("{tests} tests, superficial"),
        (tests, None) => format!("{tests} tests"),
    };
    match parity {
        None => format!("{tests}, no PARITY.md"),
        Some(parity) if !parity.wrong.is_empty() => format!("{tests}, PARITY.md is wrong"),
        Some(_) => tests,
    }
}

/// The table's head, and a row for each recipe.
fn cells(rows: &[Row], now: Wall) -> Vec<[String; 6]> {
    let mut cells = vec![["RECIPE", "VERSION", "PACK", "LAST RUN", "LEVEL", "WHEN"].map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        let none = || "-".to_owned();
        let last = row.last.as_ref();
        let verdict = last.map_or_else(none, |last| match last.finished {
            Some(_) => last.verdict.to_string(),
            None => "not finished".to_owned(),
        });
        let level = last.and_then(|last| last.level).map_or_else(none, |level| level.to_string());
        let when = last.map_or_else(none, |last| match last.finished {
            Some(at) => format!("{} UTC, {} ago", format_minute(at), format_age(now.millis() - at.millis())),
            None => format!("began {} UTC", format_begin(&last.run)),
        });
        [
            row.recipe.clone(),
            row.version.clone().unwrap_or_else(none),
            row.pack.as_ref().map_or_else(none, |pack| format_pack(pack, row.parity.as_ref())),
            verdict,
            level,
            when,
        ]
        .map(|cell| printable(&cell).replace('\n', " "))
    }));
    cells
}

/// A time to the minute: `2026-11-21 12:18`.
fn format_minute(at: Wall) -> String {
    at.to_string().chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

/// The time in a run's id to the minute: `2026-11-21 12:18`.
fn format_begin(run: &RunId) -> String {
    let stamp = run.as_str();
    let (day, time) = (stamp.get(..8).unwrap_or_default(), stamp.get(9..13).unwrap_or_default());
    let part = |text: &'_ str, from: usize, to: usize| text.get(from..to).unwrap_or_default().to_owned();
    format!("{}-{}-{} {}:{}", part(day, 0, 4), part(day, 4, 6), part(day, 6, 8), part(time, 0, 2), part(time, 2, 4))
}

/// A duration in its largest unit.
fn format_age(millis: i64) -> String {
    let secs = millis.max(0) / 1000;
    match secs {
        0..60 => format!("{secs} s"),
        60..3600 => format!("{} min", secs / 60),
        3600..86_400 => format!("{} h", secs / 3600),
        _ => format!("{} d", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_printed_in_its_largest_unit() {
        for (millis, text) in
            [(-5, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (7_300_000, "2 h"), (86_400_000, "1 d"), (9_000_000_000, "104 d")]
        {
            assert_eq!(format_age(millis), text);
        }
    }

    #[test]
    fn newest_release_is_by_the_order_of_versions_and_not_of_letters() {
        let tags = ["1.9.0+2.0", "1.10.0+2.0", "latest", "2.0.0-rc1+3.0"];
        assert_eq!(newest(tags.into_iter().map(str::to_owned)).as_deref(), Some("2.0.0-rc1+3.0"));
        assert_eq!(newest(["latest".to_owned()].into_iter()), None);
    }
}
