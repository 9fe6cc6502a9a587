//! `taster show`.

use std::{path::Path, process, thread, time::Duration};

use harness::{
    disk::plain_file::{self, DOCUMENT_LIMIT, Links},
    journal::{self, JournalReading, LockError, RunLock},
    model::{exit_code::ExitCode, names::RunId, settings::closest, text::with_causes},
    ports::Reporter,
    pure::run::{
        event::Event,
        state::{CleanedAfter, RunState, fold},
        verdict::exit_code_so_far,
    },
    report::{
        ReportFile,
        results::Results,
        terminal::{self, Lines},
    },
};

use crate::{
    ending::ending_context,
    env::Env,
    error::CommandError,
    history::{self, Kept},
    output,
};

/// How often the journal of a run that goes on is read again.
const PAUSE: Duration = Duration::from_millis(200);
/// The most runs that a message lists.
const MAX_LISTED: usize = 5;

/// Shows a run from its journal, with the lines that its terminal showed
///
/// The exit code is 0 when the run can be shown. With --follow it is that of the run, once the run has ended.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The run: its id, a unique beginning of it, its last eight characters, or a recipe, which means its newest run; without one
    /// the newest run
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Continues until the run has ended
    #[arg(long)]
    follow: bool,
    /// Prints `results.json`, and no lines
    #[arg(long)]
    json: bool,
}

/// The state of a run whose journal has no end.
enum Liveness {
    /// Its process holds its lock.
    Alive,
    /// Its lock is free.
    Dead,
    /// Its lock cannot be read.
    Unknown(LockError),
}

impl Show {
    /// Runs the command.
    pub fn run(self, env: &Env) -> Result<process::ExitCode, CommandError> {
        let all = history::newest_first(&env.runs())?;
        let kept = find(self.run.as_deref(), &all)?;
        let mut reading = read(&kept)?;
        let mut printed = Printed::default();
        printed.print_new(&reading.events, self.json)?;
        let liveness = loop {
            if reading.finished {
                break None;
            }
            let liveness = liveness(&kept);
            // The run may have written more between the last reading and its end.
            reading = read(&kept)?;
            printed.print_new(&reading.events, self.json)?;
            match liveness {
                _ if reading.finished => break None,
                Liveness::Alive if self.follow => thread::sleep(PAUSE),
                liveness => break Some(liveness),
            }
        };
        if let [first, more @ ..] = reading.unread.as_slice() {
            let more = if more.is_empty() { String::new() } else { format!("; and {} more lines cannot be read", more.len()) };
            output::message(&format!("warning: {}, {first}{more}", kept.folder.join(journal::FILE).display()));
        }
        if let Some(liveness) = liveness {
            output::message(&liveness.message(&kept.run, printed.state.cleaned_after.as_ref()));
        }
        let folder = kept.folder.display().to_string();
        output::print(&match self.json {
            true => results(&kept.folder, &printed.state)?,
            false => terminal::ending(&printed.state, ending_context(env, &folder, &std::io::stdout())),
        })?;
        Ok(if self.follow { exit_code(&reading, &printed.state) } else { ExitCode::Green }.into())
    }
}

/// The exit code of a run by its journal. What cannot be read of it may have been a claim, or a failure.
fn exit_code(reading: &JournalReading, state: &RunState) -> ExitCode {
    let unread = reading.unread.len() > usize::from(reading.cut_off);
    let by_journal = [reading.may_claim_more().then_some(ExitCode::Leaked), unread.then_some(ExitCode::Inconclusive)];
    let of_state = exit_code_so_far(state);
    ExitCode::worst(by_journal.into_iter().flatten().chain([of_state])).unwrap_or(of_state)
}

/// The run's `results.json`; without one the results of the journal, which are not searched for secrets.
fn results(folder: &Path, state: &RunState) -> Result<String, CommandError> {
    if let Ok(text) = plain_file::read_text(&folder.join(ReportFile::Results.name()), DOCUMENT_LIMIT, Links::Refused) {
        return Ok(text);
    }
    let text = serde_json::to_string_pretty(&Results::from(state)).map_err(CommandError::host)?;
    Ok(text + "\n")
}

impl Liveness {
    /// What a reader should know of a run that has not come to its own end.
    fn message(&self, run: &RunId, cleaned: Option<&CleanedAfter>) -> String {
        match self {
            Liveness::Alive => format!("run {run} goes on, and this is its state so far; --follow waits for its end"),
            Liveness::Dead => match cleaned {
                Some(cleaned) if cleaned.left.is_empty() => {
                    format!("run {run} was killed before its end, and the {} cleaned up after it", cleaned.by.name())
                }
                Some(_) | None => format!("run {run} was killed before its end; `taster janitor` removes what it may have left"),
            },
            Liveness::Unknown(why) => {
                format!("run {run} has not come to its end, and whether it goes on is unknown: {}", with_causes(why))
            }
        }
    }
}

/// The events that are printed already, and the state after them.
#[derive(Default)]
struct Printed {
    state: RunState,
    seq: u64,
}

impl Printed {
    /// Prints the events that are not printed yet; nothing with `quiet`.
    fn print_new(&mut self, events: &[Event], quiet: bool) -> Result<(), CommandError> {
        let mut text = Vec::new();
        let mut lines = Lines::to(&mut text);
        for event in events.iter().filter(|event| event.seq > self.seq) {
            self.state = fold(std::mem::take(&mut self.state), event);
            lines.on(event, &self.state).map_err(CommandError::host)?;
        }
        self.seq = events.iter().map(|event| event.seq).max().unwrap_or(0).max(self.seq);
        if quiet { Ok(()) } else { output::print(&String::from_utf8_lossy(&text)) }
    }
}

fn read(kept: &Kept) -> Result<JournalReading, CommandError> {
    let file = kept.folder.join(journal::FILE);
    let shown = file.display();
    if file.symlink_metadata().is_err() {
        return Err(CommandError::usage(format!("run {} has no journal: there is no {shown}", kept.run))
            .hint("Nothing can be shown of it. Its folder can be removed."));
    }
    let reading = journal::read(&kept.folder)
        .map_err(|error| CommandError::usage(error).context(format!("cannot read {shown}")).hint("Read it as the run's user."))?;
    if reading.events.is_empty() {
        let why = reading.unread.first().map_or("it is empty", String::as_str);
        return Err(CommandError::usage(why)
            .context(format!("cannot read the journal {shown}"))
            .hint("Nothing can be shown of the run. `taster janitor` prints what it may have left."));
    }
    Ok(reading)
}

fn liveness(kept: &Kept) -> Liveness {
    // Without a lock's file there is no holder, and an attempt would create the file.
    if kept.folder.join("lock").symlink_metadata().is_err() {
        return Liveness::Dead;
    }
    match RunLock::attempt(&kept.folder) {
        Ok(_) => Liveness::Dead,
        Err(LockError::Held { .. } | LockError::Replaced { .. }) => Liveness::Alive,
        Err(error @ (LockError::NoFile { .. } | LockError::System { .. })) => Liveness::Unknown(error),
    }
}

/// The run that a name means: an id, the beginning or the last characters of one, or a recipe.
fn find(named: Option<&str>, all: &[Kept]) -> Result<Kept, CommandError> {
    let Some(newest) = all.first() else {
        return Err(CommandError::usage("there is no run to show").hint("Start one with `taster --recipe NAME`."));
    };
    let Some(name) = named else { return Ok(newest.clone()) };
    let is = |run: &RunId| run.as_str() == name || run.token() == name;
    if let Some(kept) = all.iter().find(|kept| is(&kept.run)) {
        return Ok(kept.clone());
    }
    if let Some(kept) = all.iter().find(|kept| history::recipe(kept).as_deref() == Some(name)) {
        return Ok(kept.clone());
    }
    let begins = |run: &RunId| run.as_str().starts_with(name) || run.token().starts_with(name);
    let matching: Vec<&Kept> = all.iter().filter(|kept| !name.is_empty() && begins(&kept.run)).collect();
    match matching.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(unknown(name, all)),
        several => {
            let listed: Vec<&str> = several.iter().take(MAX_LISTED).map(|kept| kept.run.as_str()).collect();
            let more = several.len().saturating_sub(MAX_LISTED);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            Err(CommandError::usage(format!("{name:?} is the beginning of several runs: {}{more}", listed.join(", ")))
                .hint("Name one of them in full, or by its last eight characters."))
        }
    }
}

fn unknown(name: &str, all: &[Kept]) -> CommandError {
    let mut known: Vec<String> = all.iter().filter_map(history::recipe).collect();
    known.extend(all.iter().flat_map(|kept| [kept.run.to_string(), kept.run.token().to_owned()]));
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let similar = closest(name, &known).map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
    let newest: Vec<&str> = all.iter().take(MAX_LISTED).map(|kept| kept.run.as_str()).collect();
    CommandError::usage(format!("there is no run {name:?}, and no run of a recipe of that name{similar}"))
        .hint(format!("The newest runs are {}.", newest.join(", ")))
}
