//! `taster janitor`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process,
};

use harness::{
    model::{exit_code::ExitCode, names::RunId},
    pure::host::cleanup_plan::progress::Pace,
};

use crate::{
    env::Env,
    error::CommandError,
    recovery::{
        crash_recovery::HostConnector,
        janitor::{JanitorOptions, Report, RunOutcome, pass},
    },
    runtime::block_on,
    state_folder,
};

/// Cleans up after dead runs
///
/// Goes through the folders of all runs. A run whose process lives is left alone; of a dead run everything is removed that its
/// journal claims. An app that is kept is left alone until its time is over, unless the command names its run. A run on another
/// machine is known by its marker on the Swarm, and everything of it is removed once the marker has expired. The janitor may be
/// stopped at any moment and started again. The exit code is 4 when something is left that could not be removed.
#[derive(Debug, clap::Args)]
pub struct Janitor {
    /// The only run to clean up after, by its id; then an app that it keeps is removed before its time
    #[arg(value_name = "RUN")]
    run: Option<RunId>,
    /// The folder with one folder per run, instead of `runs` in taster's state folder
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// The engine's socket, instead of the one that each run used
    #[arg(long, value_name = "SOCKET")]
    engine: Option<PathBuf>,
    /// Prints what would be removed, and removes nothing
    #[arg(long)]
    dry_run: bool,
}

impl Janitor {
    /// Runs the command.
    pub fn run(self, env: &Env) -> Result<process::ExitCode, CommandError> {
        if let Some(named) = self.runs.as_ref().filter(|named| !named.is_dir()) {
            return Err(CommandError::usage(format!("there is no folder {}", named.display()))
                .hint("--runs takes the folder with one folder per run. Without it taster's own is used."));
        }
        self.runs.as_deref().map_or(Ok(()), state_folder::check_named)?;
        let runs = self.runs.unwrap_or_else(|| env.runs());
        if let Some(unknown) = self.run.as_ref().filter(|run| !runs.join(run.as_str()).is_dir()) {
            return Err(CommandError::usage(format!("there is no run {unknown} in {}", runs.display()))
                .hint("`taster list` names the last run of each recipe."));
        }
        let options = JanitorOptions {
            runs: runs.clone(),
            engine: self.engine,
            dry_run: self.dry_run,
            only: self.run,
            pace: Pace::default(),
            wait_for_engine: true,
            connector: HostConnector::real(),
        };
        let reports = block_on(pass(&options, print))?
            .map_err(|error| CommandError::host(error).context(format!("cannot read {}", runs.display())))?;
        let of_marker = |report: &&Report| matches!(report.outcome, RunOutcome::Elsewhere(_) | RunOutcome::Untrusted(_));
        let checked = reports.len() - reports.iter().filter(of_marker).count();
        let settled = reports.iter().filter(|report| matches!(report.outcome, RunOutcome::Settled)).count();
        // A reader that closed its end early is not an error: the cleanup is done.
        let _ = writeln!(io::stdout(), "runs checked: {checked}; with nothing left to clean up: {settled}");
        let leaked = reports.iter().any(Report::leaked);
        Ok(if leaked { ExitCode::Leaked } else { ExitCode::Green }.into())
    }
}

fn print(report: &Report) {
    if matches!(report.outcome, RunOutcome::Settled) {
        return;
    }
    let mut out = io::stdout().lock();
    for line in report.lines() {
        let _ = writeln!(out, "{line}");
    }
}
