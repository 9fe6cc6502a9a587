//! `taster run --repeat N`: the same run several times, one after the other, and a table of the verdicts.

use std::{process, time::Duration};

use harness::{
    engine::History,
    model::{exit_code::ExitCode, host::Host, pack::Pack, request::Request, time::format_duration},
    ports::RunFolder,
    report::verdict_line,
};

use crate::{
    env::Env,
    error::CommandError,
    output,
    runtime::block_on,
    single_run::{self, RunEnd},
};

/// One of several runs, as a row of the table.
struct Row {
    run: String,
    took: Duration,
    exit: ExitCode,
    verdict: String,
}

/// Runs `times` times. All runs start from the same history.
pub(super) fn run(
    env: &Env,
    host: &Host,
    request: &Request,
    pack: &Pack,
    history: History,
    times: u32,
) -> Result<process::ExitCode, CommandError> {
    let once = || {
        let run = single_run::run(env, host.clone(), request.clone(), pack.clone(), history.clone());
        Ok(match block_on(run).flatten()? {
            RunEnd::NotBegun(exit) => Err(exit),
            RunEnd::Finished(run) => Ok(Row {
                run: run.folder.run().to_string(),
                took: Duration::from_millis(run.state.last.map_or(0, |(_, mono)| mono.0)),
                exit: run.exit_code(),
                verdict: verdict_line(&run.state),
            }),
        })
    };
    let (rows, early) = series(times, once);
    let line = |row: &Row| format!("{}  {:>8}  exit {}  {}\n", row.run, format_duration(row.took), row.exit, row.verdict);
    output::print(&rows.iter().map(line).collect::<String>())?;
    let worst = ExitCode::worst(rows.iter().map(|row| row.exit)).unwrap_or(ExitCode::NothingRan);
    Ok(early?.unwrap_or(worst).into())
}

/// Calls `once` up to `times` times, until a signal or an error ends the series. Gives the rows of the runs that came to their
/// end, with the exit code of a run that a signal ended before it began, or the error.
fn series(
    times: u32,
    mut once: impl FnMut() -> Result<Result<Row, ExitCode>, CommandError>,
) -> (Vec<Row>, Result<Option<ExitCode>, CommandError>) {
    let mut rows = Vec::new();
    for _ in 0..times {
        match once() {
            Ok(Ok(row)) => rows.push(row),
            Ok(Err(exit)) => return (rows, Ok(Some(exit))),
            Err(error) => return (rows, Err(error)),
        }
        // A signal that ends one run is meant for the series.
        if rows.last().is_some_and(|row| row.exit.is_signal()) {
            break;
        }
    }
    (rows, Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_keeps_the_rows_of_finished_runs_whatever_ends_it() {
        let ended = |code| {
            let exit = ExitCode::from_code(code);
            Ok(Ok(Row { run: String::new(), took: Duration::ZERO, verdict: String::new(), exit }))
        };
        let gone = || Err(CommandError::host("the engine is gone"));
        for (runs, codes, early) in [
            (vec![ended(0), ended(1), ended(0)], &[0, 1, 0][..], Some(true)),
            (vec![ended(0), ended(130), ended(0)], &[0, 130], Some(true)),
            (vec![ended(0), Ok(Err(ExitCode::from_code(143)))], &[0], Some(false)),
            (vec![ended(3), gone()], &[3], None),
        ] {
            let mut runs = runs.into_iter();
            let (rows, ends) = series(3, || runs.next().unwrap());
            assert_eq!(rows.iter().map(|row| row.exit.code()).collect::<Vec<_>>(), codes);
            assert_eq!(ends.ok().map(|exit| exit.is_none()), early);
        }
    }
}
