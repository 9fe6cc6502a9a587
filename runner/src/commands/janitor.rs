//! `taster janitor`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use harness::{engine::steps::cleanup::Pace, model::names::RunId};

use crate::{
    cli::block_on,
    crash_recovery::Reaching,
    env::Env,
    error::{CommandError, Exit},
    janitor::{Orders, Report, RunFate, pass},
};

/// Sweeps what dead runs left behind
///
/// Goes through the folders of all runs. A run whose process lives is left alone; of a dead one everything is removed that its
/// journal claims. An app that is kept is left alone until its time is over, unless its run is named. Of a run on another machine,
/// which only its marker on the Swarm tells of, everything is removed once the marker has expired. It may be stopped at any moment and
/// started again. The exit code is 4 when something is left that could not be
/// removed.
#[derive(Debug, clap::Args)]
pub struct Janitor {
    /// The only run to sweep, by its id; then an app that it keeps is removed before its time
    #[arg(value_name = "RUN")]
    run: Option<RunId>,
    /// The folder with one folder per run, instead of `runs` in taster's state folder
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// The engine's socket, instead of the one that each run used
    #[arg(long, value_name = "SOCKET")]
    engine: Option<PathBuf>,
    /// Says what would be removed, and removes nothing
    #[arg(long)]
    dry_run: bool,
}

impl Janitor {
    /// Does it.
    pub fn run(self, env: &Env) -> Result<ExitCode, CommandError> {
        if let Some(named) = self.runs.as_ref().filter(|named| !named.is_dir()) {
            return Err(CommandError::usage(format!("there is no folder {}", named.display()))
                .remedy("--runs takes the folder with one folder per run; without it taster's own is used"));
        }
        let runs = self.runs.unwrap_or_else(|| env.runs());
        if let Some(unknown) = self.run.as_ref().filter(|run| !runs.join(run.as_str()).is_dir()) {
            return Err(CommandError::usage(format!("there is no run {unknown} in {}", runs.display()))
                .remedy("`taster list` names the last ones"));
        }
        let (engine, dry_run, pace, only) = (self.engine, self.dry_run, Pace::default(), self.run);
        let orders = Orders { runs: runs.clone(), engine, dry_run, only, pace, stays: true, reach: Reaching::real() };
        let reports = block_on(pass(&orders, print))?
            .map_err(|error| CommandError::host(format!("cannot read {}: {error}", runs.display())))?;
        let marked = |report: &&Report| matches!(report.fate, RunFate::Elsewhere(_) | RunFate::Unbelieved(_));
        let looked = reports.len() - reports.iter().filter(marked).count();
        let settled = reports.iter().filter(|report| matches!(report.fate, RunFate::Settled)).count();
        let mut out = io::stdout().lock();
        // A reader that went away is no reason to fail: the sweep is done.
        let _ = writeln!(out, "{looked} runs looked at, {settled} of them with nothing left from before");
        let exit = if reports.iter().any(Report::residue) { Exit::Leaked } else { Exit::Green };
        Ok(exit.into())
    }
}

fn print(report: &Report) {
    if matches!(report.fate, RunFate::Settled) {
        return;
    }
    let mut out = io::stdout().lock();
    for line in report.lines() {
        let _ = writeln!(out, "{line}");
    }
}
