//! `taster run --all`: every recipe, several at a time, each in a separate run.

use std::{
    collections::VecDeque,
    ffi::OsString,
    path::Path,
    process::{self, Stdio},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use harness::{
    disk::plain_file::{self, DOCUMENT_LIMIT, Links},
    model::{exit_code::ExitCode, names::RecipeName, time::format_duration},
    pure::run::level::{self, Level},
    report::{
        Format, ReportFile,
        results::{self, Results},
    },
};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

use crate::{env::Env, error::CommandError, output, runtime::block_on, single_run::listen_for_signals};

/// A run of every recipe.
pub(super) struct RunAll {
    /// The recipes, in the order in which their runs begin.
    pub(super) recipes: Vec<RecipeName>,
    /// How many run at a time.
    pub(super) jobs: usize,
    /// What is printed at the end.
    pub(super) format: Format,
    /// The options of each run besides its recipe.
    pub(super) options: Vec<OsString>,
}

/// A run that ended.
struct EndedRun {
    recipe: RecipeName,
    exit: ExitCode,
    /// Its `results.json`; absent when it ended before there was a run.
    results: Option<Box<Results>>,
    document: Value,
}

/// The options of each run: all but those that are about the set of runs.
pub(super) fn options_of_each(args: &[OsString]) -> Vec<OsString> {
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

impl RunAll {
    /// Runs them, prints the output of each as it comes, and ends with a table and the most severe exit code.
    pub(super) fn run(self, env: &Env) -> Result<process::ExitCode, CommandError> {
        let runs = block_on(self.run_each(env))??;
        output::print(&match self.format {
            Format::Human => table(&runs),
            Format::Json => json_document(&runs)?,
            Format::Junit => junit_document(&runs, &env.runs())?,
        })?;
        Ok(ExitCode::worst(runs.iter().map(|run| run.exit)).unwrap_or(ExitCode::NothingRan).into())
    }

    async fn run_each(&self, env: &Env) -> Result<Vec<EndedRun>, CommandError> {
        let mut signals = listen_for_signals()?;
        let mut waiting: VecDeque<&RecipeName> = self.recipes.iter().collect();
        let width = self.recipes.iter().map(|recipe| recipe.as_str().len()).max().unwrap_or_default();
        let (mut running, mut living, mut ended) = (FuturesUnordered::new(), Vec::new(), Vec::new());
        loop {
            while running.len() < self.jobs {
                let Some(recipe) = waiting.pop_front() else { break };
                let started = self.start(env, recipe);
                let pid = started.as_ref().ok().and_then(|child| Pid::from_raw(i32::try_from(child.id()?).ok()?));
                living.extend(pid.map(|pid| (recipe.clone(), pid)));
                running.push(wait_for(recipe.clone(), started, width));
            }
            tokio::select! {
                next = running.next() => match next {
                    Some(run) => {
                        living.retain(|(recipe, _)| *recipe != run.recipe);
                        ended.push(run);
                    }
                    None => break,
                },
                // The signal goes on to the runs, which remove what they made; no further one begins.
                Some(_) = signals.next() => {
                    waiting.clear();
                    for (_, pid) in &living {
                        // A run that has just ended needs no signal.
                        let _ = kill_process(*pid, Signal::TERM);
                    }
                }
            }
        }
        ended.sort_by_key(|run: &EndedRun| self.recipes.iter().position(|recipe| *recipe == run.recipe));
        Ok(ended)
    }

    fn start(&self, env: &Env, recipe: &RecipeName) -> Result<Child, CommandError> {
        let mut command = Command::new(&env.exe);
        command.arg("run").arg("--recipe").arg(recipe.as_str()).args(["--format", Format::Json.name()]).args(&self.options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|error| CommandError::host(error).context(format!("cannot start the run of {recipe}")))
    }
}

/// Waits for the end of a run. A run that cannot be started or followed counts as ended, and the others go on.
async fn wait_for(recipe: RecipeName, started: Result<Child, CommandError>, width: usize) -> EndedRun {
    let ended = match started {
        Ok(child) => follow(recipe.clone(), child, width).await,
        Err(error) => Err(error),
    };
    ended.unwrap_or_else(|error| {
        output::message(&format!("{:<width$} | Error: {}", recipe.as_str(), error.in_one_line()));
        EndedRun { recipe, exit: error.exit_code(), results: None, document: Value::Null }
    })
}

/// Prints the messages of a run, each line with its recipe before it, until it ends.
async fn follow(recipe: RecipeName, mut child: Child, width: usize) -> Result<EndedRun, CommandError> {
    let failed = |error: std::io::Error| CommandError::host(error).context(format!("cannot follow the run of {recipe}"));
    let mut document = Vec::new();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let read_document = async {
        if let Some(mut out) = out {
            out.read_to_end(&mut document).await?;
        }
        Ok(())
    };
    let print_messages = async {
        let Some(err) = err else { return Ok(()) };
        let mut lines = BufReader::new(err).split(b'\n');
        while let Some(line) = lines.next_segment().await? {
            output::message(&format!("{:<width$} | {}", recipe.as_str(), String::from_utf8_lossy(&line)));
        }
        Ok(())
    };
    let (read, printed): (std::io::Result<()>, std::io::Result<()>) = tokio::join!(read_document, print_messages);
    read.and(printed).map_err(failed)?;
    let status = child.wait().await.map_err(failed)?;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status).map(ExitCode::of_signal);
    let code = status.code().and_then(|code| u8::try_from(code).ok()).map(ExitCode::from_code);
    let exit = code.or(signal).unwrap_or(ExitCode::Defect);
    let document: Value = serde_json::from_slice(&document).unwrap_or_default();
    let results = serde_json::from_value(results::current(document.clone())).ok().map(Box::new);
    Ok(EndedRun { recipe, exit, results, document })
}

/// A line for each run.
fn table(runs: &[EndedRun]) -> String {
    let width = runs.iter().map(|run| run.recipe.as_str().len()).max().unwrap_or_default();
    let line = |run: &EndedRun| {
        let (took, verdict) = match &run.results {
            Some(results) => {
                let level = Level { number: results.level, reason: results.level_reason.clone() };
                (format_duration(Duration::from_millis(results.duration_ms)), level::line(&results.verdict, &level))
            }
            None => ("-".to_owned(), "nothing ran".to_owned()),
        };
        format!("{:<width$}  {took:>8}  exit {}  {verdict}\n", run.recipe.as_str(), run.exit)
    };
    runs.iter().map(line).collect()
}

/// The results of all runs in one document.
fn json_document(runs: &[EndedRun]) -> Result<String, CommandError> {
    let row = |run: &EndedRun| json!({ "recipe": run.recipe.as_str(), "exit_code": run.exit.code(), "results": run.document });
    let all = json!({ "schema": 1, "runs": runs.iter().map(row).collect::<Vec<_>>() });
    let text = serde_json::to_string_pretty(&all).map_err(CommandError::host)?;
    Ok(text + "\n")
}

/// The text of a run's `junit.xml`.
fn junit_of(folder: &Path) -> Option<String> {
    plain_file::read_text(&folder.join(ReportFile::Junit.name()), DOCUMENT_LIMIT, Links::Refused).ok()
}

/// One JUnit document with the suites of each run, from its `junit.xml`. A run without one is an error.
fn junit_document(ended: &[EndedRun], runs: &Path) -> Result<String, CommandError> {
    let mut report = Report::new("taster");
    for run in ended {
        let own = run.results.as_ref().and_then(|results| junit_of(&runs.join(&results.run_id)));
        match own.and_then(|text| Report::deserialize_from_str(&text).ok()) {
            Some(own) => drop(report.add_test_suites(own.test_suites)),
            None => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message(format!("no run came to its end; exit code {}", run.exit));
                let mut suite = TestSuite::new(run.recipe.as_str());
                suite.add_test_case(TestCase::new("run", status));
                report.add_test_suite(suite);
            }
        }
    }
    report.to_string().map_err(CommandError::host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_set_of_runs_do_not_go_to_each_run() {
        for (all, one) in [
            (&["--all"][..], &[][..]),
            (&["--all", "--jobs", "3", "--except", "ghost", "--tiers", "install"], &["--tiers", "install"]),
            (&["--jobs=3", "--offline", "--format=junit", "--all"], &["--offline"]),
            (&["--format", "json", "--all", "--host", "h.toml"], &["--host", "h.toml"]),
        ] {
            let args: Vec<OsString> = all.iter().map(OsString::from).collect();
            assert_eq!(options_of_each(&args), one.iter().map(OsString::from).collect::<Vec<_>>(), "{all:?}");
        }
    }

    #[tokio::test]
    async fn run_that_cannot_be_started_ends_as_inconclusive() {
        let env = Env::read(|_| None, "/nonexistent/taster".into());
        let all = RunAll { recipes: vec!["ghost".parse().unwrap()], jobs: 1, format: Format::Human, options: Vec::new() };
        let run = wait_for("ghost".parse().unwrap(), all.start(&env, &all.recipes[0]), 5).await;
        assert_eq!((run.recipe.as_str(), run.exit, run.results.is_none()), ("ghost", ExitCode::Inconclusive, true));
    }

    #[test]
    fn recipe_of_which_nothing_ran_is_an_error_in_every_document() {
        let runs =
            [EndedRun { recipe: "ghost".parse().unwrap(), exit: ExitCode::Inconclusive, results: None, document: Value::Null }];
        assert_eq!(table(&runs), "ghost         -  exit 3  nothing ran\n");
        assert!(json_document(&runs).unwrap().contains("\"exit_code\": 3"));
        let suites = junit_document(&runs, Path::new("/nowhere")).unwrap();
        assert!(suites.contains("errors=\"1\"") && suites.contains("exit code 3"), "{suites}");
    }
}
