//! `taster show`.

use std::{path::Path, process::ExitCode, thread, time::Duration};

use harness::{
    engine::log::Reporter,
    journal::{self, LockError, Reading, RunLock},
    model::{names::RunId, settings::closest},
    pure::run::{
        event::Event,
        state::{RunState, fold},
        verdict::exit_code_so_far,
    },
    report::{
        results::ResultsV1,
        terminal::{self, Lines},
    },
};

use super::run::place;
use crate::{
    env::Env,
    error::{CommandError, Exit},
    history::{self, Kept},
    output,
};

/// How often the journal of a run that goes on is read again.
const PAUSE: Duration = Duration::from_millis(200);
/// The most runs that a sentence lists.
const LISTED: usize = 5;

/// Shows a run from its journal, as its terminal showed it
///
/// The exit code is 0 when the run can be shown. With --follow it is the run's own, once that has ended.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The run: its id, a unique beginning of it, its last eight characters, or a recipe, which means its newest run; without one
    /// the newest run
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Goes on until the run has ended
    #[arg(long)]
    follow: bool,
    /// Prints what `results.json` says, and no lines
    #[arg(long)]
    json: bool,
}

/// How a run stands that has not come to its own end.
enum Standing {
    /// Its process holds its lock.
    Alive,
    /// Nobody holds it.
    Dead,
    /// The lock cannot be looked at.
    Unknown(String),
}

impl Show {
    /// Does it.
    pub fn run(self, env: &Env) -> Result<ExitCode, CommandError> {
        let all = history::newest_first(&env.runs())?;
        let kept = find(self.run.as_deref(), &all)?;
        let mut reading = read(&kept)?;
        let mut told = Told::default();
        told.take(&reading.events, self.json)?;
        let standing = loop {
            if reading.finished {
                break None;
            }
            let standing = standing(&kept);
            // What was written between the last look and the end of the process is read, too.
            reading = read(&kept)?;
            told.take(&reading.events, self.json)?;
            match standing {
                _ if reading.finished => break None,
                Standing::Alive if self.follow => thread::sleep(PAUSE),
                standing => break Some(standing),
            }
        };
        if let [first, more @ ..] = reading.unread.as_slice() {
            let more = if more.is_empty() { String::new() } else { format!("; and {} more lines cannot be read", more.len()) };
            output::tell(&format!("warning: {}, {first}{more}", kept.folder.join(journal::FILE).display()));
        }
        if let Some(standing) = standing {
            output::tell(&standing.sentence(&kept));
        }
        let folder = kept.folder.display().to_string();
        output::print(&match self.json {
            true => results(&kept.folder, &told.state)?,
            false => terminal::ending(&told.state, place(env, &folder, &std::io::stdout())),
        })?;
        Ok(if self.follow { exit_code_so_far(&told.state) } else { Exit::Green }.into())
    }
}

/// What the run's own `results.json` says; without one, what the journal says, which nobody has searched for secrets.
fn results(folder: &Path, state: &RunState) -> Result<String, CommandError> {
    if let Ok(text) = std::fs::read_to_string(folder.join("results.json")) {
        return Ok(text);
    }
    let text = serde_json::to_string_pretty(&ResultsV1::from(state)).map_err(|error| CommandError::host(error.to_string()))?;
    Ok(text + "\n")
}

impl Standing {
    fn sentence(&self, kept: &Kept) -> String {
        let run = &kept.run;
        match self {
            Standing::Alive => format!("run {run} goes on; --follow waits for its end, and what is said here is only so far"),
            Standing::Dead => {
                format!("run {run} was killed before its end; `taster janitor` sweeps what it may have left")
            }
            Standing::Unknown(why) => format!("run {run} has not come to its end; whether it goes on cannot be told: {why}"),
        }
    }
}

/// What was told so far, and the state after it.
#[derive(Default)]
struct Told {
    state: RunState,
    seq: u64,
}

impl Told {
    /// Tells the events that have not been told.
    fn take(&mut self, events: &[Event], quiet: bool) -> Result<(), CommandError> {
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

fn read(kept: &Kept) -> Result<Reading, CommandError> {
    let file = kept.folder.join(journal::FILE);
    let shown = file.display();
    if !file.exists() {
        return Err(CommandError::usage(format!("run {} has no journal: there is no {shown}", kept.run))
            .remedy("nothing can be shown of it; its folder can be removed"));
    }
    let reading = journal::read(&kept.folder)
        .map_err(|error| CommandError::usage(format!("cannot read {shown}: {error}")).remedy("look at it as the run's user"))?;
    if reading.events.is_empty() {
        let why = reading.unread.first().map_or("it is empty", String::as_str);
        return Err(CommandError::usage(format!("the journal {shown} cannot be read: {why}"))
            .remedy("nothing can be shown of the run; `taster janitor` says what it may have left"));
    }
    Ok(reading)
}

fn standing(kept: &Kept) -> Standing {
    // A lock that is not there is held by nobody, and is not made by looking.
    if !kept.folder.join("lock").exists() {
        return Standing::Dead;
    }
    match RunLock::attempt(&kept.folder) {
        Ok(_) => Standing::Dead,
        Err(LockError::Held { .. } | LockError::Replaced { .. }) => Standing::Alive,
        Err(error @ (LockError::NoFile { .. } | LockError::System { .. })) => Standing::Unknown(error.to_string()),
    }
}

/// The run that is meant.
fn find(named: Option<&str>, all: &[Kept]) -> Result<Kept, CommandError> {
    let Some(newest) = all.first() else {
        return Err(CommandError::usage("there is no run to show").remedy("`taster --recipe NAME` makes one"));
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
    let meant: Vec<&Kept> = all.iter().filter(|kept| !name.is_empty() && begins(&kept.run)).collect();
    match meant.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(unknown(name, all)),
        several => {
            let listed: Vec<&str> = several.iter().take(LISTED).map(|kept| kept.run.as_str()).collect();
            let more = several.len().saturating_sub(LISTED);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            Err(CommandError::usage(format!("{name:?} is the beginning of several runs: {}{more}", listed.join(", ")))
                .remedy("name one of them in full, or by its last eight characters"))
        }
    }
}

fn unknown(name: &str, all: &[Kept]) -> CommandError {
    let mut known: Vec<String> = all.iter().filter_map(history::recipe).collect();
    known.extend(all.iter().flat_map(|kept| [kept.run.to_string(), kept.run.token().to_owned()]));
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let meant = closest(name, &known).map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
    let newest: Vec<&str> = all.iter().take(LISTED).map(|kept| kept.run.as_str()).collect();
    CommandError::usage(format!("there is no run {name:?}, and no run of a recipe of that name{meant}"))
        .remedy(format!("the newest runs are {}", newest.join(", ")))
}
