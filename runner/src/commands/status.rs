//! `taster status`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use harness::{
    adapters::{clock::SystemClock, swarm::DockerSwarm},
    engine::steps::shared::settle::{Seen, settle},
    model::{
        engine::SwarmError,
        exit_code::ExitCode,
        names::StackName,
        outcome::{Cause, Outcome},
        time::{Mono, format_duration},
    },
    ports::{Clock, Swarm},
    pure::host::converge::{Blocker, Evaluation, Goal, Marks, Observation, Watch},
    report::{summary::summary, terminal::printable},
};
use serde_json::json;

use crate::{error::CommandError, run_args::seconds, runtime::block_on};

/// The label by which `docker stack` and abra tie services to their stack.
const NAMESPACE: &str = "com.docker.stack.namespace";

/// Shows live what a stack waits for, and why, until it has settled or failed
///
/// The stack may be any one on the Swarm; it is only read. The exit code is 0 when it settled, 1 when it failed, 3 when neither
/// was decided in time.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// The name of the stack, as `docker stack ls` prints it
    stack: String,
    /// Writes each observation and wake-up into this file, one JSON document a line
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The engine's socket
    #[arg(long, value_name = "SOCKET", default_value = "/var/run/docker.sock")]
    engine: PathBuf,
    /// Evaluates an update: a rollback, a pause and a change by another client count as such
    #[arg(long)]
    upgrade: bool,
    /// Gives up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = seconds)]
    budget: u64,
}

impl Status {
    /// Runs the command.
    pub fn run(self) -> Result<process::ExitCode, CommandError> {
        let stack: StackName = self.stack.parse().map_err(CommandError::usage)?;
        block_on(self.watch(stack))?
    }

    async fn watch(self, stack: StackName) -> Result<process::ExitCode, CommandError> {
        let swarm = DockerSwarm::at(&self.engine).map_err(engine_error)?;
        let clock = SystemClock::start();
        let first = swarm.observe(&stack).await.map_err(engine_error)?;
        if first.is_empty() {
            return Err(unknown_stack(&swarm, &stack).await);
        }
        let goal = if self.upgrade { Goal::Upgrade(Marks::of(&first)) } else { Goal::Settle };
        let mut recorder = self.record.as_deref().map(Recorder::create).transpose()?;
        if let Some(recorder) = &mut recorder {
            recorder.line(&json!({ "goal": goal }));
        }
        let mut shown = String::new();
        let on_seen = |seen: Seen<'_>| {
            if let Some(recorder) = &mut recorder {
                recorder.record(&seen);
            }
            if let Some((at, line)) = line(&stack, &seen).filter(|(_, line)| *line != shown) {
                print_line(at, &line);
                shown = line;
            }
        };
        let evaluation =
            settle(&swarm, &swarm, &clock, &stack, Watch::new(goal), Duration::from_secs(self.budget), on_seen).await;
        if let Some(recorder) = recorder {
            recorder.finish()?;
        }
        let (text, exit) = format_end(&evaluation);
        print_line(clock.mono(), &text);
        Ok(exit.into())
    }
}

/// The line for an observation; absent where it has no news for people.
fn line(stack: &StackName, seen: &Seen<'_>) -> Option<(Mono, String)> {
    match seen {
        Seen::Observed(observation, Evaluation::Waiting { on, .. }) => {
            Some((observation.at, format_waiting(stack, observation, on)))
        }
        Seen::Observed(..) | Seen::WokenUp(..) => None,
        Seen::NoAnswer(at, error) => Some((*at, error.to_string())),
    }
}

fn format_waiting(stack: &StackName, observation: &Observation, on: &[Blocker]) -> String {
    let line = |blocker: &Blocker| match &blocker.service {
        // One line for the whole stack replaces these, once all services are up.
        _ if blocker.why.starts_with(Blocker::UP) => None,
        Some(service) => Some(format!("{}: {}", stack.short(service), blocker.why)),
        None => Some(blocker.why.clone()),
    };
    let lines: Vec<String> = on.iter().filter_map(line).collect();
    if lines.is_empty() {
        return format!("all {} services are up; watching whether they stay up", observation.services.len());
    }
    lines.join("; ")
}

/// The result of an evaluation as text and exit code.
fn format_end(evaluation: &Evaluation) -> (String, ExitCode) {
    match evaluation {
        Evaluation::Settled { since } => {
            (format!("settled, stable since {:.1} s", since.since(Mono(0)).as_secs_f32()), ExitCode::Green)
        }
        // The budget of this command says nothing about the stack.
        Evaluation::Failed(failures) if failures.iter().all(|failure| matches!(failure.cause, Cause::Budget { .. })) => {
            let lines: Vec<String> = failures.iter().map(|failure| format!("not decided: {}", failure.message)).collect();
            (lines.join("\n"), ExitCode::Inconclusive)
        }
        Evaluation::Failed(failures) => {
            let lines: Vec<String> =
                failures.iter().map(|failure| format!("failed ({}): {}", failure.owner, failure.with_excerpt())).collect();
            (lines.join("\n"), ExitCode::Red)
        }
        Evaluation::Unverified(gap) => {
            (format!("not decided: {}", summary(&Outcome::Unverified(gap.clone()))), ExitCode::Inconclusive)
        }
        Evaluation::Waiting { .. } => ("not decided".into(), ExitCode::Inconclusive),
    }
}

/// Prints a line with its time. An error is ignored, because a recording goes on without a reader.
fn print_line(at: Mono, text: &str) {
    let _ = writeln!(io::stdout(), "{:>7}  {}", format_duration(at.since(Mono(0))), printable(text));
}

fn engine_error(error: SwarmError) -> CommandError {
    CommandError::host(error).hint("Name another engine with --engine SOCKET, or join its group `docker`.")
}

async fn unknown_stack(swarm: &DockerSwarm, stack: &StackName) -> CommandError {
    let error = CommandError::host(format!("there is no stack {stack} on this Swarm"));
    match names(swarm).await {
        Ok(names) if names.is_empty() => error.hint("The Swarm has no stack at all."),
        Ok(names) => error.hint(format!("There are: {}.", names.join(", "))),
        Err(failed) => error.hint(format!("The stacks cannot be listed: {failed}.")),
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
            File::create(path).map_err(|error| CommandError::usage(error).context(format!("cannot write {}", path.display())))?;
        Ok(Self { path: path.to_owned(), out: BufWriter::new(file), failed: None })
    }

    fn line(&mut self, value: &serde_json::Value) {
        if let Err(error) = writeln!(self.out, "{value}") {
            self.failed.get_or_insert(error);
        }
    }

    fn record(&mut self, seen: &Seen<'_>) {
        match seen {
            Seen::WokenUp(at, wake_up) => self.line(&json!({ "wakeup": { "at": at, "what": wake_up.what } })),
            Seen::Observed(observation, _) => self.line(&json!({ "observation": observation })),
            Seen::NoAnswer(..) => {}
        }
    }

    fn finish(mut self) -> Result<(), CommandError> {
        let flushed = self.out.flush();
        match self.failed.map_or(flushed, Err) {
            Ok(()) => Ok(()),
            Err(error) => Err(CommandError::host(error).context(format!("cannot write {}", self.path.display()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use harness::model::outcome::{Failure, Gap};

    use super::*;

    #[test]
    fn evaluation_has_a_line_and_an_exit_code() {
        let (interfered, waiting) =
            (Evaluation::Unverified(Gap::Interfered { what: "service app was removed, and not by the run".into() }), Vec::new());
        let budget = Failure::new(Cause::Budget { waiting_for: "app".into() }, "not settled within 6 s");
        for (evaluation, text, exit) in [
            (Evaluation::Failed(vec![budget]), "not decided: not settled within 6 s", ExitCode::Inconclusive),
            (Evaluation::Settled { since: Mono(1500) }, "settled, stable since 1.5 s", ExitCode::Green),
            (Evaluation::Waiting { on: waiting, next_observation: Mono(0) }, "not decided", ExitCode::Inconclusive),
            (interfered, "not decided: service app was removed, and not by the run", ExitCode::Inconclusive),
        ] {
            assert_eq!(format_end(&evaluation), (text.to_owned(), exit));
        }
    }
}
