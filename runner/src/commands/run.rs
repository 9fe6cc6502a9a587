//! `taster run`, which is also `taster --recipe NAME`.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt;
use harness::{
    adapters::{
        abra::{PtyAbra, Setup},
        checkout::GitCheckout,
        children::Processes,
        clock::SystemClock,
        files::Disk,
        folder::Folder,
        machine::LocalMachine,
        swarm::DockerSwarm,
        web::HttpsWeb,
    },
    engine::{self, Run as Tasting},
    facts, guard,
    journal::Journal,
    log::Log,
    model::{
        host::Host,
        names::{RecipeName, RunId},
        outcome::Tier,
        request::{Request, Source},
    },
    ports::{Clock, Ports},
    redact::Redact,
    report::{
        Document,
        results::ResultsFile,
        terminal::{self, Lines},
    },
    verdict,
};

use crate::{
    cli::block_on,
    env::Env,
    error::CommandError,
    host::{self, Found},
    janitor,
};

/// Tastes a recipe: deploys it, checks it, removes it, says what was seen
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The recipe
    #[arg(long, value_name = "NAME")]
    recipe: RecipeName,
    /// The tag, branch or commit to taste; the newest release by default
    #[arg(long, value_name = "REF", conflicts_with = "path")]
    r#ref: Option<String>,
    /// A folder with the recipe, tasted with its uncommitted changes
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The host file to use
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
    /// Ends the run after so many seconds, and removes what it made
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    deadline: u64,
    /// Makes the sandbox without asking
    #[arg(long)]
    yes: bool,
}

impl Run {
    /// Does it.
    pub fn run(self, env: &Env) -> Result<ExitCode, CommandError> {
        let source = self.source()?;
        let Found { host, sandbox } = host::find(env, self.host.as_deref(), self.yes)?;
        if let Some(home) = &sandbox {
            host::serve(home, &self.recipe, &source)?;
        }
        let request = Request {
            recipe: self.recipe,
            source,
            tiers: [Tier::Install].into(),
            offline: false,
            deadline: Duration::from_secs(self.deadline),
        };
        block_on(taste(env, host, request))?
    }

    /// Where the recipe comes from; a folder that is no recipe is told at once.
    fn source(&self) -> Result<Source, CommandError> {
        let Some(path) = &self.path else { return Ok(Source::Catalogue { at: self.r#ref.clone() }) };
        let shown = path.display();
        let path = path.canonicalize().map_err(|error| CommandError::usage(format!("cannot read {shown}: {error}")))?;
        let entries = std::fs::read_dir(&path).map_err(|error| CommandError::usage(format!("cannot read {shown}: {error}")))?;
        let files: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        match facts::recipe::missing(&files)[..] {
            [] => Ok(Source::Folder { path }),
            ref missing => Err(CommandError::usage(format!("{shown} is no recipe: it has no {}", missing.join(" and no ")))
                .remedy("--path takes the folder of a recipe, which has these files at its top")),
        }
    }
}

async fn taste(env: &Env, host: Host, request: Request) -> Result<ExitCode, CommandError> {
    let mut signals = guard::signals().map_err(|error| CommandError::host(format!("cannot listen for signals: {error}")))?;
    let runs = env.runs();
    // A sweep may be left at any moment and gone on with later, so nobody has to wait for it.
    tokio::select! {
        () = janitor::before_a_run(&runs, &host.engine) => {}
        Some(signal) = signals.next() => return Ok(ended_before(signal)),
    }
    // An engine that cannot be used at all is told before there is a run, so that nothing is left of one.
    let swarm = Arc::new(DockerSwarm::at(&host.engine).map_err(|error| host::no_engine(&error))?);
    let clock = Arc::new(SystemClock::start());
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
            Box::new(Lines::to(std::io::stderr())),
        ],
    );
    let ports = Ports {
        swarm: swarm.clone(),
        capacity: swarm,
        abra: Arc::new(PtyAbra::new(abra(env, &host, &folder), Arc::new(log.clone()), redact)),
        checkout: Arc::new(GitCheckout::new(&folder.abra_dir(), env.path.clone())),
        machine: Arc::new(LocalMachine::of(&env.home)),
        web: Arc::new(HttpsWeb::of(&host)),
        files: Arc::new(Disk),
        children: Arc::new(Processes),
        clock,
    };
    let state = engine::run(Tasting { request, host, ports: &ports, log: &log, folder: &folder, signals }).await;
    let mut out = std::io::stdout().lock();
    // A reader that went away changes nothing about the verdict; the results are in the folder.
    let _ = out.write_all(terminal::ending(&state, &shown).as_bytes());
    Ok(ExitCode::from(verdict::exit_code(&state)))
}

/// The end of a run that a signal ended before it began.
#[expect(clippy::print_stderr, reason = "the run has no reporter yet")]
fn ended_before(signal: i32) -> ExitCode {
    eprintln!("taster: ended by signal {signal} before the run began; what dead runs left is swept before the next one");
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}

/// What abra gets to see of this machine.
fn abra(env: &Env, host: &Host, folder: &Folder) -> Setup {
    Setup {
        abra: host.abra.clone(),
        shim: vec![env.exe.clone().into(), "__child".into()],
        abra_dir: folder.abra_dir(),
        server: host.server.clone(),
        // Within its own folder, so that it goes with it; abra looks for its settings from there upwards.
        cwd: folder.abra_dir().join("cwd"),
        transcripts: folder.transcripts(),
        home: env.home.clone(),
        path: env.path.clone(),
        quiet: Setup::QUIET,
    }
}

fn new_folder(runs: &Path, clock: &dyn Clock) -> Result<Folder, CommandError> {
    let mut random = [0; 5];
    getrandom::fill(&mut random).map_err(|error| CommandError::host(format!("the system gives no random bytes: {error}")))?;
    let run = RunId::new(&clock.wall().stamp(), random).map_err(|error| CommandError::host(error.to_string()))?;
    Ok(Folder::of(runs, &run))
}
