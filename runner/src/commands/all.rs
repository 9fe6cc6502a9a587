//! `taster run --all`: every recipe, several at a time, each in a run of its own.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs,
    path::Path,
    process::{ExitCode, Stdio},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use harness::{
    engine::signals,
    model::{names::RecipeName, time::format_duration},
    pure::run::level::{self, Level},
    report::results::ResultsV1,
};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

use super::run::Format;
use crate::{cli::block_on, env::Env, error::{CommandError, Exit}, output};

/// What is asked for of all recipes.
pub(super) struct All {
    /// The recipes, in the order in which they are begun.
    pub(super) recipes: Vec<RecipeName>,
    /// How many run at a time.
    pub(super) jobs: usize,
    /// What is printed at the end.
    pub(super) format: Format,
    /// What each run is told besides its recipe.
    pub(super) options: Vec<OsString>,
}

/// A run that came to its end.
struct Told {
    recipe: RecipeName,
    exit: Exit,
    /// What its `results.json` says; nothing when it ended before there was a run.
    results: Option<Box<ResultsV1>>,
    document: Value,
}

/// The options of one run among those of all: without what speaks of all of them.
pub(super) fn of_one(args: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--all") => {}
            Some("--jobs" | "--format" | "--except") => drop(args.next()),
            Some(arg) if ["--jobs=", "--format=", "--except="].iter().any(|own| arg.starts_with(own)) => {}
            _ => kept.push(arg.clone()),
        }
    }
    kept
}

impl All {
    /// Runs them, tells what each does as it does it, and ends with a table and the code of the worst.
    pub(super) fn run(self, env: &Env) -> Result<ExitCode, CommandError> {
        let told = block_on(self.taste(env))??;
        output::print(&match self.format {
            Format::Human => table(&told),
            Format::Json => documents(&told)?,
            Format::Junit => suites(&told, &env.runs())?,
        })?;
        Ok(Exit::worst(told.iter().map(|told| told.exit)).unwrap_or(Exit::NothingRan).into())
    }

    async fn taste(&self, env: &Env) -> Result<Vec<Told>, CommandError> {
        let mut signals =
            signals::signals().map_err(|error| CommandError::host(format!("cannot listen for signals: {error}")))?;
        let mut waiting: VecDeque<&RecipeName> = self.recipes.iter().collect();
        let width = self.recipes.iter().map(|recipe| recipe.as_str().len()).max().unwrap_or_default();
        let (mut running, mut living, mut told) = (FuturesUnordered::new(), Vec::new(), Vec::new());
        loop {
            while running.len() < self.jobs {
                let Some(recipe) = waiting.pop_front() else { break };
                let started = self.start(env, recipe);
                let pid = started.as_ref().ok().and_then(|child| Pid::from_raw(i32::try_from(child.id()?).ok()?));
                living.extend(pid.map(|pid| (recipe.clone(), pid)));
                running.push(told_of(recipe.clone(), started, width));
            }
            tokio::select! {
                done = running.next() => match done {
                    Some(done) => {
                        living.retain(|(recipe, _)| *recipe != done.recipe);
                        told.push(done);
                    }
                    None => break,
                },
                // Those that run are told, and remove what they made; no further one begins.
                Some(_) = signals.next() => {
                    waiting.clear();
                    for (_, pid) in &living {
                        // One that has just ended needs no word.
                        let _ = kill_process(*pid, Signal::TERM);
                    }
                }
            }
        }
        told.sort_by_key(|told: &Told| self.recipes.iter().position(|recipe| *recipe == told.recipe));
        Ok(told)
    }

    fn start(&self, env: &Env, recipe: &RecipeName) -> Result<Child, CommandError> {
        let mut command = Command::new(&env.exe);
        command.arg("run").arg("--recipe").arg(recipe.as_str()).args(["--format", "json"]).args(&self.options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|error| CommandError::host(format!("cannot start the run of {recipe}: {error}")))
    }
}

/// What came of a run. One that cannot be started or followed is told as such, and the others go on.
async fn told_of(recipe: RecipeName, started: Result<Child, CommandError>, width: usize) -> Told {
    let ended = match started {
        Ok(child) => follow(recipe.clone(), child, width).await,
        Err(error) => Err(error),
    };
    ended.unwrap_or_else(|error| {
        output::tell(&format!("{:<width$} | taster: {}", recipe.as_str(), error.sentence));
        Told { recipe, exit: error.exit, results: None, document: Value::Null }
    })
}

/// Tells what a run tells, each line with its recipe before it, until it ends.
async fn follow(recipe: RecipeName, mut child: Child, width: usize) -> Result<Told, CommandError> {
    let unread = |error: std::io::Error| CommandError::host(format!("cannot follow the run of {recipe}: {error}"));
    let mut document = Vec::new();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let read = async {
        if let Some(mut out) = out {
            out.read_to_end(&mut document).await?;
        }
        Ok(())
    };
    let tell = async {
        let Some(err) = err else { return Ok(()) };
        let mut lines = BufReader::new(err).split(b'\n');
        while let Some(line) = lines.next_segment().await? {
            output::tell(&format!("{:<width$} | {}", recipe.as_str(), String::from_utf8_lossy(&line)));
        }
        Ok(())
    };
    let (read, told): (std::io::Result<()>, std::io::Result<()>) = tokio::join!(read, tell);
    read.and(told).map_err(unread)?;
    let status = child.wait().await.map_err(unread)?;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status).map(Exit::of_signal);
    let code = status.code().and_then(|code| u8::try_from(code).ok()).map(Exit::from_code);
    let exit = code.or(signal).unwrap_or(Exit::Defect);
    let document: Value = serde_json::from_slice(&document).unwrap_or_default();
    let results = serde_json::from_value(document.clone()).ok().map(Box::new);
    Ok(Told { recipe, exit, results, document })
}

/// A line for each run.
fn table(told: &[Told]) -> String {
    let width = told.iter().map(|told| told.recipe.as_str().len()).max().unwrap_or_default();
    let line = |told: &Told| {
        let (took, said) = match &told.results {
            Some(results) => {
                let level = Level { number: results.level, reason: results.level_reason.clone() };
                (format_duration(Duration::from_millis(results.duration_ms)), level::line(&results.verdict, &level))
            }
            None => ("-".to_owned(), "nothing ran".to_owned()),
        };
        format!("{:<width$}  {took:>8}  exit {}  {said}\n", told.recipe.as_str(), told.exit)
    };
    told.iter().map(line).collect()
}

/// The results of all runs in one document.
fn documents(told: &[Told]) -> Result<String, CommandError> {
    let row = |told: &Told| json!({ "recipe": told.recipe.as_str(), "exit_code": told.exit.code(), "results": told.document });
    let all = json!({ "schema": 1, "runs": told.iter().map(row).collect::<Vec<_>>() });
    let text = serde_json::to_string_pretty(&all).map_err(|error| CommandError::host(error.to_string()))?;
    Ok(text + "\n")
}

/// One JUnit document with the suite of each run, as its own `junit.xml` has it. A run that has none is an error.
fn suites(told: &[Told], runs: &Path) -> Result<String, CommandError> {
    let mut report = Report::new("taster");
    for told in told {
        let own = told.results.as_ref().and_then(|results| fs::read_to_string(runs.join(&results.run_id).join("junit.xml")).ok());
        match own.and_then(|text| Report::deserialize_from_str(&text).ok()) {
            Some(own) => drop(report.add_test_suites(own.test_suites)),
            None => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message(format!("no run came to its end; exit code {}", told.exit));
                let mut suite = TestSuite::new(told.recipe.as_str());
                suite.add_test_case(TestCase::new("run", status));
                report.add_test_suite(suite);
            }
        }
    }
    report.to_string().map_err(|error| CommandError::host(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_is_not_told_what_speaks_of_all() {
        for (all, one) in [
            (&["--all"][..], &[][..]),
            (&["--all", "--jobs", "3", "--except", "ghost", "--tiers", "install"], &["--tiers", "install"]),
            (&["--jobs=3", "--offline", "--format=junit", "--all"], &["--offline"]),
            (&["--format", "json", "--all", "--host", "h.toml"], &["--host", "h.toml"]),
        ] {
            let args: Vec<OsString> = all.iter().map(OsString::from).collect();
            assert_eq!(of_one(&args), one.iter().map(OsString::from).collect::<Vec<_>>(), "{all:?}");
        }
    }

    #[tokio::test]
    async fn a_run_that_cannot_be_started_takes_no_other_with_it() {
        let env = Env::read(|_| None, "/nonexistent/taster".into());
        let all = All { recipes: vec!["ghost".parse().unwrap()], jobs: 1, format: Format::Human, options: Vec::new() };
        let told = told_of("ghost".parse().unwrap(), all.start(&env, &all.recipes[0]), 5).await;
        assert_eq!((told.recipe.as_str(), told.exit, told.results.is_none()), ("ghost", Exit::Inconclusive, true));
    }

    #[test]
    fn a_recipe_of_which_nothing_ran_is_an_error_in_every_document() {
        let told = [Told { recipe: "ghost".parse().unwrap(), exit: Exit::Inconclusive, results: None, document: Value::Null }];
        assert_eq!(table(&told), "ghost         -  exit 3  nothing ran\n");
        assert!(documents(&told).unwrap().contains("\"exit_code\": 3"));
        let suites = suites(&told, Path::new("/nowhere")).unwrap();
        assert!(suites.contains("errors=\"1\"") && suites.contains("exit code 3"), "{suites}");
    }
}
