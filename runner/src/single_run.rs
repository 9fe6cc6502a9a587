//! One run from its request to its end, on the adapters of this machine.
//!
//! The order matters: the guardian is there before the first claim, so that there is no moment in which a killed run would leave
//! something that nothing cleans up.

use std::{io::IsTerminal, path::Path, sync::Arc};

use futures_util::{StreamExt, stream::BoxStream};
use harness::{
    adapters::{executables::ExecutableFolders, folder::Folder, pack_program::ProgramSetup, swarm::DockerSwarm},
    disk::plain_file::{self, Links, SETTINGS_LIMIT},
    engine::{self, History, Run, log::Log, signals},
    journal::{self, Journal},
    model::{exit_code::ExitCode, host::Host, names::RunId, pack::Pack, request::Request},
    ports::{Clock, Ports, Reporter, RunFolder},
    pure::run::{state::RunState, verdict},
    redact::Redact,
    report::{
        self,
        terminal::{Lines, Live, Paint},
    },
};

use crate::{
    env::Env,
    error::CommandError,
    host,
    kept_app::HeldApp,
    logging, output,
    recovery::{
        guardian::{self, GuardianPipe},
        janitor,
    },
    state_folder, wiring,
};

/// The commit that taster was built from; absent when it was built outside of a checkout.
const COMMIT: Option<&str> = option_env!("TASTER_COMMIT");

/// How a run ended.
pub(crate) enum RunEnd {
    /// It came to its end.
    Finished(Box<FinishedRun>),
    /// A signal ended it before it began; the exit code says which.
    NotBegun(ExitCode),
}

/// A run that came to its end.
pub(crate) struct FinishedRun {
    /// The run's last state.
    pub(crate) state: RunState,
    /// Its folder.
    pub(crate) folder: Folder,
    /// The filter of its secrets.
    pub(crate) redact: Arc<Redact>,
}

impl FinishedRun {
    /// The run's exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        verdict::exit_code(&self.state)
    }
}

/// Runs a recipe from its request to its end.
pub(crate) async fn run(env: &Env, host: Host, request: Request, pack: Pack, history: History) -> Result<RunEnd, CommandError> {
    let (mut signals, runs) = (listen_for_signals()?, env.runs());
    // A janitor may be interrupted at any moment and continued later, so a signal need not wait for it.
    tokio::select! {
        () = janitor::before_run(&runs, &host.engine) => {}
        Some(signal) = signals.next() => {
            let rest = "the next run cleans up after dead runs";
            output::message(&format!("signal {signal} ended taster before the run began; {rest}"));
            return Ok(RunEnd::NotBegun(ExitCode::of_signal(signal)));
        }
    }
    let Prepared { folder, redact, log, ports, guardian, guardian_losses } = prepare(env, &host, &request, &pack, None).await?;
    let run =
        Run { commit: COMMIT, request, history, host, pack, ports: &ports, log: &log, folder: &folder, signals, guardian_losses };
    let state = engine::run(run).await;
    remove_remains(&folder);
    guardian.finish(state.cancel.is_some());
    Ok(RunEnd::Finished(Box::new(FinishedRun { state, folder, redact })))
}

/// Runs custom tests on a kept app, which is held until the end of the run.
pub(crate) async fn run_on_kept(
    env: &Env,
    host: Host,
    request: Request,
    pack: Pack,
    held: &HeldApp,
) -> Result<RunEnd, CommandError> {
    let signals = listen_for_signals()?;
    let Prepared { folder, redact, log, ports, guardian, guardian_losses } =
        prepare(env, &host, &request, &pack, Some(held)).await?;
    let history = History::default();
    let run =
        Run { commit: COMMIT, request, history, host, pack, ports: &ports, log: &log, folder: &folder, signals, guardian_losses };
    let state = engine::attach(&held.attached, run).await;
    remove_remains(&folder);
    guardian.finish(state.cancel.is_some());
    Ok(RunEnd::Finished(Box::new(FinishedRun { state, folder, redact })))
}

/// Removes what steps made again in a folder that was removed while the run went on. Without a journal nothing can be done with
/// it.
fn remove_remains(folder: &Folder) {
    if folder.root().join(journal::FILE).symlink_metadata().is_err() {
        // No link is followed. What cannot be removed is of no harm.
        let _ = std::fs::remove_dir_all(folder.root());
    }
}

/// The signals that end a run early.
pub(crate) fn listen_for_signals() -> Result<BoxStream<'static, i32>, CommandError> {
    signals::signals().map_err(|error| CommandError::host(error).context("cannot listen for signals"))
}

/// Folder, log, ports and guardian of a run.
struct Prepared {
    folder: Folder,
    redact: Arc<Redact>,
    log: Log,
    ports: Ports,
    guardian: GuardianPipe,
    guardian_losses: BoxStream<'static, String>,
}

/// Creates the folder of a new run with its journal, starts its guardian, and connects its ports.
async fn prepare(
    env: &Env,
    host: &Host,
    request: &Request,
    pack: &Pack,
    held: Option<&HeldApp>,
) -> Result<Prepared, CommandError> {
    // An engine that cannot be used at all is an error before there is a run, so that no folder is left.
    DockerSwarm::at(&host.engine).map_err(host::no_engine)?;
    state_folder::make(env)?;
    let clock = wiring::clock();
    let folder = new_folder(&env.runs(), &*clock)?;
    let redact = Arc::new(Redact::new());
    logging::hide_secrets_of(&redact);
    redact.learn_settings(&pack.settings);
    let env_file = held.map(|held| held.folder.env_file(&host.server, &held.attach.domain));
    if let Some(text) = env_file.and_then(|file| plain_file::read_text(&file, SETTINGS_LIMIT, Links::Refused).ok()) {
        redact.learn_env(&text);
    }
    let journal = Journal::create(folder.root(), folder.run().clone(), clock.clone()).map_err(|error| {
        CommandError::host(error)
            .context(format!("cannot write the run's folder {}", folder.root().display()))
            .hint("Set XDG_STATE_HOME to a folder with room.")
    })?;
    let run_folder: Arc<dyn RunFolder> = Arc::new(folder.clone());
    let log = Log::new(
        journal,
        redact.clone(),
        report::reporters(&run_folder, &redact).into_iter().chain([progress_reporter(env)]).collect(),
    );
    let (guardian, guardian_losses) = guardian::start_beside(&env.exe, folder.root(), env.log.as_deref()).await;
    let children = Arc::new(log.clone());
    let ports = wiring::ports(env, host, Some(&request.recipe), &folder, children.clone(), redact.clone(), clock)
        .map_err(host::no_engine)?;
    let program = ProgramSetup {
        memory: held.map(|held| held.memory.clone()),
        ..wiring::pack_program_setup(env, host, Some(&request.recipe), &folder)
    };
    let places =
        ExecutableFolders { repository: held.map(|held| held.repository.clone()), folder: request.authoring.folder.clone() };
    let ports = wiring::with_tests(ports, program, places, children, redact.clone());
    Ok(Prepared { folder, redact, log, ports, guardian, guardian_losses })
}

/// The reporter that shows the progress of a run on standard error.
fn progress_reporter(env: &Env) -> Box<dyn Reporter> {
    if env.draws && std::io::stderr().is_terminal() {
        return Box::new(Live::on_stderr(Paint::Colours));
    }
    Box::new(Lines::to(std::io::stderr()))
}

fn new_folder(runs: &Path, clock: &dyn Clock) -> Result<Folder, CommandError> {
    let mut random = [0; 5];
    getrandom::fill(&mut random)
        .map_err(|error| CommandError::host(error.to_string()).context("the system gives no random bytes"))?;
    let run = RunId::new(&clock.wall().stamp(), random).map_err(CommandError::host)?;
    Ok(Folder::of(runs, &run))
}
