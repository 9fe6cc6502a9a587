//! `taster run`, which is also `taster --recipe NAME`.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use futures_util::StreamExt;
use harness::{
    adapters::{folder::Folder, swarm::DockerSwarm},
    engine::{self, Run as Tasting},
    guard,
    journal::Journal,
    log::{Log, Reporter},
    model::{host::Host, names::RunId, request::Request},
    ports::Clock,
    redact::Redact,
    report::{
        Document,
        results::{self, ResultsFile},
        terminal::{self, Lines, Live, Paint, Place},
    },
    state::RunState,
    verdict,
};

use crate::{
    asked::Asked,
    cli::block_on,
    env::Env,
    error::CommandError,
    history,
    host::{self, Found},
    janitor, output, outside,
};

/// Tastes a recipe: deploys it, checks it, removes it, says what was seen
///
/// `taster --recipe NAME` is the same. The exit code is 0 for green, 1 for red, 3 when nothing is proved; the results are in the
/// run's folder, which the last lines name.
#[derive(Debug, clap::Args)]
pub struct Run {
    #[command(flatten)]
    asked: Asked,
    /// What is printed on standard output at the end
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Makes the sandbox without asking
    #[arg(long)]
    yes: bool,
}

/// What is printed on standard output at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// The verdict, why, and what to do next
    Human,
    /// What results.json says
    Json,
    /// What junit.xml says
    Junit,
}

impl Run {
    /// Does it.
    pub fn run(self, env: &Env) -> Result<ExitCode, CommandError> {
        let source = self.asked.source()?;
        let Found { host, sandbox } = host::find(env, self.asked.host.as_deref(), self.yes)?;
        if let Some(home) = &sandbox {
            host::serve(home, &self.asked.recipe, &source, self.asked.offline)?;
        }
        let request = self.asked.request(env, source, sandbox.as_ref())?;
        block_on(taste(env, host, request, self.format))?
    }
}

async fn taste(env: &Env, host: Host, request: Request, format: Format) -> Result<ExitCode, CommandError> {
    let mut signals = guard::signals().map_err(|error| CommandError::host(format!("cannot listen for signals: {error}")))?;
    let runs = env.runs();
    // A sweep may be left at any moment and gone on with later, so nobody has to wait for it.
    tokio::select! {
        () = janitor::before_a_run(&runs, &host.engine) => {}
        Some(signal) = signals.next() => return Ok(ended_before(signal)),
    }
    // An engine that cannot be used at all is told before there is a run, so that nothing is left of one.
    DockerSwarm::at(&host.engine).map_err(|error| host::no_engine(&error))?;
    let clock = outside::clock();
    let folder = new_folder(&env.runs(), &*clock)?;
    let shown = folder.root().display().to_string();
    let unwritable = |error: String| {
        CommandError::host(format!("cannot write the run's folder {shown}: {error}"))
            .remedy("set XDG_STATE_HOME to a folder with room")
    };
    let redact = Arc::new(Redact::new());
    let journal =
        Journal::create(folder.root(), folder.run().clone(), clock.clone()).map_err(|error| unwritable(error.to_string()))?;
    let log = Log::new(
        journal,
        redact.clone(),
        vec![
            Box::new(ResultsFile::in_folder(folder.clone(), redact.clone())),
            Box::new(Document::junit(folder.clone(), redact.clone())),
            Box::new(Document::page(folder.clone(), redact.clone())),
            Box::new(Document::badge(folder.clone(), redact.clone())),
            reporter(env),
        ],
    );
    let children = Arc::new(log.clone());
    let ports = outside::ports(env, &host, &folder, children, redact.clone(), clock).map_err(|error| host::no_engine(&error))?;
    let history = history::last_green(&runs, &request.recipe);
    let state = engine::run(Tasting { request, history, host, ports: &ports, log: &log, folder: &folder, signals }).await;
    say(env, &state, &folder, &redact, format);
    Ok(ExitCode::from(verdict::exit_code(&state)))
}

/// Who shows the run while it goes on.
fn reporter(env: &Env) -> Box<dyn Reporter> {
    match paint(env, &std::io::stderr()) {
        Paint::Colours => Box::new(Live::on_stderr(Paint::Colours)),
        Paint::Plain => Box::new(Lines::to(std::io::stderr())),
    }
}

/// Whether an output is a terminal that can draw.
fn paint(env: &Env, out: &impl IsTerminal) -> Paint {
    if env.draws && out.is_terminal() { Paint::Colours } else { Paint::Plain }
}

/// Where an ending is read that is printed to `out`.
pub(super) fn place<'a>(env: &Env, folder: &'a str, out: &impl IsTerminal) -> Place<'a> {
    Place { folder, page: Path::new(folder).join("report.html").is_file(), paint: paint(env, out) }
}

/// Says how the run ended. What cannot be said changes nothing about the verdict, and the results are in the folder.
fn say(env: &Env, state: &RunState, folder: &Folder, redact: &Arc<Redact>, format: Format) {
    let shown = &folder.root().display().to_string();
    let document = match format {
        Format::Human => Ok(redact.text(&terminal::ending(state, place(env, shown, &std::io::stdout())))),
        Format::Json => results::document(state, redact),
        Format::Junit => Document::junit(folder.clone(), redact.clone()).text(state),
    };
    if format != Format::Human {
        let ending = redact.text(&terminal::ending(state, place(env, shown, &std::io::stderr())));
        let _ = std::io::stderr().write_all(ending.as_bytes());
    }
    if let Err(error) = document.map_err(CommandError::host).and_then(|document| output::print(&document)) {
        output::tell(&format!("taster: {}; the results are in {shown}", error.sentence));
    }
}

/// The end of a run that a signal ended before it began.
fn ended_before(signal: i32) -> ExitCode {
    output::tell(&format!(
        "taster: ended by signal {signal} before the run began; what dead runs left is swept before the next one"
    ));
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}

fn new_folder(runs: &Path, clock: &dyn Clock) -> Result<Folder, CommandError> {
    let mut random = [0; 5];
    getrandom::fill(&mut random).map_err(|error| CommandError::host(format!("the system gives no random bytes: {error}")))?;
    let run = RunId::new(&clock.wall().stamp(), random).map_err(|error| CommandError::host(error.to_string()))?;
    Ok(Folder::of(runs, &run))
}
