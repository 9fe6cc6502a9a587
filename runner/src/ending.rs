//! The end of a run as a command prints it: one document on standard output, in the format that was chosen.

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use harness::{
    ports::RunFolder,
    report::{
        Format, ReportFile,
        terminal::{EndingContext, Paint},
    },
};

use crate::{env::Env, error::CommandError, output, single_run::FinishedRun};

/// The parser of `--format`.
pub(crate) fn format_parser() -> impl TypedValueParser<Value = Format> {
    let values = Format::ALL.map(|format| PossibleValue::new(format.name()).help(format.help()));
    PossibleValuesParser::new(values).try_map(|name| Format::named(&name).ok_or("no such format"))
}

/// Prints the end of a run. A failure to print changes neither verdict nor exit code: the results are in the run's folder.
pub(crate) fn print(env: &Env, run: &FinishedRun, format: Format) {
    let FinishedRun { state, folder, redact } = run;
    let path = &folder.root().display().to_string();
    let document = format.render(state, folder, redact, paint(env, &io::stdout()));
    if format != Format::Human {
        // The human form goes to standard error, so that standard output has the document alone.
        if let Ok(ending) = Format::Human.render(state, folder, redact, paint(env, &io::stderr())) {
            let _ = io::stderr().write_all(ending.as_bytes());
        }
    }
    if let Err(error) = document.map_err(CommandError::host).and_then(|document| output::print(&document)) {
        let results =
            if ReportFile::Results.is_in(folder.root()) { format!("; the results are in {path}") } else { String::new() };
        output::message(&format!("warning: {}{results}", error.in_one_line()));
    }
}

/// Whether an output has colours.
fn paint(env: &Env, out: &impl IsTerminal) -> Paint {
    if env.draws && out.is_terminal() { Paint::Colours } else { Paint::Plain }
}

/// Where an ending is read that is printed to `out`; `folder` is the run's folder.
pub(crate) fn ending_context<'a>(env: &Env, folder: &'a str, out: &impl IsTerminal) -> EndingContext<'a> {
    let has = |file: ReportFile| file.is_in(Path::new(folder));
    EndingContext { folder, results: has(ReportFile::Results), page: has(ReportFile::Page), paint: paint(env, out) }
}
