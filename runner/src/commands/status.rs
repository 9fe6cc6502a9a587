//! `taster look`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use harness::{
    adapters::{clock::SystemClock, swarm::DockerSwarm},
    engine::steps::shared::settle::{Seen, settle},
    model::{
        engine::SwarmError,
        names::StackName,
        outcome::Outcome,
        time::{Mono, format_duration},
    },
    ports::{Clock, Swarm},
    pure::host::converge::{Blocker, Evaluation, Goal, Marks, Observation as Seeing, Watch},
    report::terminal::{printable, summary},
};
use serde_json::json;

use crate::{
    cli::block_on,
    error::{CommandError, Exit},
    run_args::seconds,
};

/// The label by which `docker stack` and abra tie services to their stack.
const NAMESPACE: &str = "com.docker.stack.namespace";

/// Says live what a stack waits for, and why, until it has settled or will not
///
/// The stack may be anybody's; it is only looked at. The exit code is 0 when it settled, 1 when it failed, 3 when that cannot be told.
#[derive(Debug, clap::Args)]
pub struct Observation {
    /// The name of the stack, as `docker stack ls` prints it
    stack: String,
    /// Writes every look and nudge into this file, one JSON document a line
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The engine's socket
    #[arg(long, value_name = "SOCKET", default_value = "/var/run/docker.sock")]
    engine: PathBuf,
    /// Judges an update: a rollback, a pause and a change by somebody else count as such
    #[arg(long)]
    upgrade: bool,
    /// Gives up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = seconds)]
    budget: u64,
}

impl Observation {
    /// Does it.
    pub fn run(self) -> Result<ExitCode, CommandError> {
        let stack: StackName = self.stack.parse().map_err(|error| CommandError::usage(format!("{error}")))?;
        block_on(self.look(stack))?
    }

    async fn look(self, stack: StackName) -> Result<ExitCode, CommandError> {
        let swarm = DockerSwarm::at(&self.engine).map_err(|error| engine(&error))?;
        let clock = SystemClock::start();
        let first = swarm.observe(&stack).await.map_err(|error| engine(&error))?;
        if first.is_empty() {
            return Err(unknown(&swarm, &stack).await);
        }
        let goal = if self.upgrade { Goal::Upgrade(Marks::of(&first)) } else { Goal::Settle };
        let mut record = self.record.as_deref().map(Recorder::create).transpose()?;
        if let Some(record) = &mut record {
            record.line(&json!({ "goal": goal }));
        }
        let mut shown = String::new();
        let seen = |seen: Seen<'_>| {
            if let Some(record) = &mut record {
                record.seen(&seen);
            }
            if let Some((at, line)) = line(&stack, &seen).filter(|(_, line)| *line != shown) {
                print_line(at, &line);
                shown = line;
            }
        };
        let evaluation = settle(&swarm, &clock, &stack, Watch::new(goal), Duration::from_secs(self.budget), seen).await;
        if let Some(record) = record {
            record.finish()?;
        }
        let (text, exit) = end(&evaluation);
        print_line(clock.mono(), &text);
        Ok(exit.into())
    }
}

/// What a look says, for people; `None` for what they need not know.
fn line(stack: &StackName, seen: &Seen<'_>) -> Option<(Mono, String)> {
    match seen {
        Seen::Looked(look, Evaluation::Waiting { on, .. }) => Some((look.at, waiting(stack, look, on))),
        Seen::Looked(..) | Seen::Nudged(..) => None,
        Seen::Unread(at, error) => Some((*at, error.to_string())),
    }
}

fn waiting(stack: &StackName, look: &Seeing, on: &[Blocker]) -> String {
    let said = |blocker: &Blocker| match &blocker.service {
        // One line for the whole stack says it, once all of it is up.
        _ if blocker.why.starts_with(Blocker::UP) => None,
        Some(service) => Some(format!("{}: {}", stack.short(service), blocker.why)),
        None => Some(blocker.why.clone()),
    };
    let lines: Vec<String> = on.iter().filter_map(said).collect();
    if lines.is_empty() {
        return format!("all {} services are up; watching whether they stay so", look.services.len());
    }
    lines.join("; ")
}

/// What a evaluation comes to, in words and as an exit code.
fn end(evaluation: &Evaluation) -> (String, Exit) {
    match evaluation {
        Evaluation::Settled { since } => {
            (format!("settled, stable since {:.1} s", since.since(Mono(0)).as_secs_f32()), Exit::Green)
        }
        Evaluation::Failed(failures) => {
            let told: Vec<String> =
                failures.iter().map(|failure| format!("failed ({}): {}", failure.owner, failure.told())).collect();
            (told.join("\n"), Exit::Red)
        }
        Evaluation::Unverified(gap) => {
            (format!("not decided: {}", summary(&Outcome::Unverified(gap.clone()))), Exit::Inconclusive)
        }
        Evaluation::Waiting { .. } => ("not decided".into(), Exit::Inconclusive),
    }
}

/// A reader that went away changes nothing about what the stack does, and a recording goes on.
fn print_line(at: Mono, text: &str) {
    let _ = writeln!(io::stdout(), "{:>7}  {}", format_duration(at.since(Mono(0))), printable(text));
}

fn engine(error: &SwarmError) -> CommandError {
    CommandError::host(error.to_string()).remedy("name another engine with --engine SOCKET, or join its group `docker`")
}

async fn unknown(swarm: &DockerSwarm, stack: &StackName) -> CommandError {
    let sentence = format!("there is no stack {stack} on this Swarm");
    match names(swarm).await {
        Ok(names) if names.is_empty() => CommandError::host(sentence).remedy("there is no stack at all"),
        Ok(names) => CommandError::host(sentence).remedy(format!("there are: {}", names.join(", "))),
        Err(error) => CommandError::host(sentence).remedy(format!("which ones there are cannot be told: {error}")),
    }
}

/// The names of the stacks that exist.
async fn names(swarm: &DockerSwarm) -> Result<Vec<String>, SwarmError> {
    let services = swarm.services().await?;
    let mut names: Vec<String> =
        services.into_values().filter_map(|labels: BTreeMap<_, _>| labels.get(NAMESPACE).cloned()).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The file of a recording: one JSON document a line, the goal first.
struct Recorder {
    path: PathBuf,
    out: BufWriter<File>,
    failed: Option<std::io::Error>,
}

impl Recorder {
    fn create(path: &Path) -> Result<Self, CommandError> {
        let file =
            File::create(path).map_err(|error| CommandError::usage(format!("cannot write {}: {error}", path.display())))?;
        Ok(Self { path: path.to_owned(), out: BufWriter::new(file), failed: None })
    }

    fn line(&mut self, value: &serde_json::Value) {
        if let Err(error) = writeln!(self.out, "{value}") {
            self.failed.get_or_insert(error);
        }
    }

    fn seen(&mut self, seen: &Seen<'_>) {
        match seen {
            Seen::Nudged(at, nudge) => self.line(&json!({ "nudge": { "at": at, "what": nudge.what } })),
            Seen::Looked(look, _) => self.line(&json!({ "look": look })),
            Seen::Unread(..) => {}
        }
    }

    fn finish(mut self) -> Result<(), CommandError> {
        let flushed = self.out.flush();
        match self.failed.map_or(flushed, Err) {
            Ok(()) => Ok(()),
            Err(error) => Err(CommandError::host(format!("cannot write {}: {error}", self.path.display()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use harness::model::outcome::Gap;

    use super::*;

    #[test]
    fn what_a_judgement_comes_to_is_told_in_words() {
        let (interfered, waiting) = (Evaluation::Unverified(Gap::Interfered { what: "service app".into() }), Vec::new());
        for (evaluation, told, exit) in [
            (Evaluation::Settled { since: Mono(1500) }, "settled, stable since 1.5 s", Exit::Green),
            (Evaluation::Waiting { on: waiting, look_again: Mono(0) }, "not decided", Exit::Inconclusive),
            (interfered, "not decided: something else than the run changed service app", Exit::Inconclusive),
        ] {
            assert_eq!(end(&evaluation), (told.to_owned(), exit));
        }
    }
}
