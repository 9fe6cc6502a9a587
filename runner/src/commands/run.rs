//! `taster run`, which is also `taster --recipe NAME`.

use std::{
    collections::BTreeSet,
    io::{IsTerminal, Write},
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
    log::{Log, Reporter},
    model::{
        host::Host,
        names::{RecipeName, RunId},
        outcome::Tier,
        request::{DEFAULT_DEADLINE, Request, Source},
        settings::closest,
    },
    ports::{Clock, Ports},
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
    cli::block_on,
    env::Env,
    error::CommandError,
    host::{self, Found},
    janitor, output,
};

/// The tiers that this version can run.
const TIERS: [Tier; 1] = [Tier::Install];

/// Tastes a recipe: deploys it, checks it, removes it, says what was seen
///
/// `taster --recipe NAME` is the same. The exit code is 0 for green, 1 for red, 3 when nothing is proved; the results are in the
/// run's folder, which the last lines name.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The recipe
    #[arg(long, value_name = "NAME", value_parser = recipe)]
    recipe: RecipeName,
    /// The tag, branch or commit to taste; the newest release by default
    #[arg(long, value_name = "REF", conflicts_with = "path", value_parser = reference)]
    r#ref: Option<String>,
    /// A folder with the recipe, tasted with its uncommitted changes
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The tiers to run, separated by commas; all that this version can run by default: install
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = tier)]
    tiers: Vec<Tier>,
    /// Uses no network for the recipe: it must have been fetched before, and its images must be on the host
    #[arg(long)]
    offline: bool,
    /// Ends the run after so many seconds, and removes what it made
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_DEADLINE.as_secs(), value_parser = seconds, allow_negative_numbers = true)]
    deadline: u64,
    /// What is printed on standard output at the end
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    format: Format,
    /// The host file to use
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
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

/// The name of a recipe.
fn recipe(text: &str) -> Result<RecipeName, String> {
    match text.chars().count() {
        0 => Err("it is empty; the name of a recipe is wanted, `hello` for a first try".into()),
        64.. => Err("no recipe has a name of more than 63 characters".into()),
        _ => text.parse::<RecipeName>().map_err(|error| format!("a recipe name is {}", error.rule)),
    }
}

/// How long something may take, at most a day.
pub(super) fn seconds(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds)).ok_or("a number of seconds from 1 to 86400 is wanted")
}

/// A tag, branch or commit, as far as the command line can tell.
fn reference(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("it is empty; a tag, a branch or a commit is wanted"),
        _ if text.starts_with('-') => Err("no tag, branch or commit begins with `-`"),
        _ if text.chars().any(|c| c.is_control() || c == ' ') => Err("no tag, branch or commit has blanks in it"),
        _ => Ok(text.to_owned()),
    }
}

/// A tier that this version can run.
fn tier(text: &str) -> Result<Tier, String> {
    let names = |tiers: &[Tier]| tiers.iter().map(|tier| tier.name()).collect::<Vec<_>>();
    match Tier::ALL.into_iter().find(|tier| tier.name() == text) {
        Some(tier) if TIERS.contains(&tier) => Ok(tier),
        Some(tier) => Err(format!("this version cannot run the tier {tier} yet; it runs {}", names(&TIERS).join(", "))),
        None => {
            let meant = closest(text, &names(&Tier::ALL)).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
            Err(format!("there is no such tier; {meant}there are {}", names(&Tier::ALL).join(", ")))
        }
    }
}

/// What `--path` takes.
const FOLDER: &str = "--path takes the folder of a recipe, which has compose.yml and .env.sample at its top";

impl Run {
    /// Does it.
    pub fn run(self, env: &Env) -> Result<ExitCode, CommandError> {
        let source = self.source()?;
        let Found { host, sandbox } = host::find(env, self.host.as_deref(), self.yes)?;
        if let Some(home) = &sandbox {
            host::serve(home, &self.recipe, &source, self.offline)?;
        }
        let fetched = sandbox.map_or_else(|| env.abra_dir.join("recipes"), |home| home.recipes());
        let offline = self.offline.then(|| self.fetched(&source, fetched)).transpose()?;
        let host_file = self.host.as_ref().or(env.host.as_ref());
        let tiers: BTreeSet<Tier> = if self.tiers.is_empty() { TIERS.into() } else { self.tiers.iter().copied().collect() };
        let request = Request {
            recipe: self.recipe,
            source,
            tiers,
            deadline: Duration::from_secs(self.deadline),
            host_file: host_file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone())),
            offline,
        };
        block_on(taste(env, host, request, self.format))?
    }

    /// The folder of the recipes that were fetched before, when the one that is asked for is among them.
    fn fetched(&self, source: &Source, fetched: PathBuf) -> Result<PathBuf, CommandError> {
        let folder = fetched.join(self.recipe.as_str());
        match source {
            Source::Catalogue { .. } if ![".git", "HEAD"].iter().any(|part| folder.join(part).exists()) => {
                Err(CommandError::usage(format!(
                    "the recipe {} was not fetched before: there is no clone at {}",
                    self.recipe,
                    folder.display()
                ))
                .remedy(format!("fetch it with `abra recipe fetch {}`, or leave --offline out", self.recipe)))
            }
            Source::Catalogue { .. } | Source::Folder { .. } => Ok(fetched),
        }
    }

    /// Where the recipe comes from; a folder that is no recipe is told at once.
    fn source(&self) -> Result<Source, CommandError> {
        let Some(path) = &self.path else { return Ok(Source::Catalogue { at: self.r#ref.clone() }) };
        let shown = path.display();
        if path.as_os_str().is_empty() {
            return Err(CommandError::usage("--path is empty").remedy(FOLDER));
        }
        let unread = |error: std::io::Error| CommandError::usage(format!("cannot read {shown}: {error}")).remedy(FOLDER);
        let path = path.canonicalize().map_err(unread)?;
        let entries = std::fs::read_dir(&path).map_err(unread)?;
        let files: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        match facts::recipe::missing(&files)[..] {
            [] => Ok(Source::Folder { path }),
            ref missing => {
                Err(CommandError::usage(format!("{shown} is no recipe: it has no {}", missing.join(" and no "))).remedy(FOLDER))
            }
        }
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
            reporter(env),
        ],
    );
    let ports = Ports {
        swarm: swarm.clone(),
        capacity: swarm,
        abra: Arc::new(PtyAbra::new(abra(env, &host, &folder), Arc::new(log.clone()), redact.clone())),
        checkout: Arc::new(GitCheckout::new(&folder.abra_dir(), env.path.clone())),
        machine: Arc::new(LocalMachine::of(&env.home)),
        web: Arc::new(HttpsWeb::of(&host)),
        files: Arc::new(Disk),
        children: Arc::new(Processes),
        clock,
    };
    let state = engine::run(Tasting { request, host, ports: &ports, log: &log, folder: &folder, signals }).await;
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
        Format::Human => Ok(terminal::ending(state, place(env, shown, &std::io::stdout()))),
        Format::Json => results::document(state, redact),
        Format::Junit => Document::junit(folder.clone(), redact.clone()).text(state),
    };
    if format != Format::Human {
        let _ = std::io::stderr().write_all(terminal::ending(state, place(env, shown, &std::io::stderr())).as_bytes());
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
