//! `taster run`, which is also `taster --recipe NAME`.

use std::{
    ffi::OsString,
    fs,
    io::{IsTerminal, Write},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream::BoxStream};
use harness::{
    adapters::{executables::Places, folder::Folder, program, swarm::DockerSwarm},
    engine::{
        self, Past, Run as Tasting,
        log::{Log, Reporter},
        signals,
    },
    journal::Journal,
    model::{
        host::Host,
        names::{Domain, RecipeName, RunId},
        pack::Pack,
        request::Request,
        time::format_duration,
    },
    ports::{Clock, Ports},
    pure::run::{state::RunState, verdict},
    redact::Redact,
    report::{
        Document,
        results::{self, ResultsFile},
        terminal::{self, Lines, Live, Paint, Place},
        verdict_line,
    },
};

use super::all::{self, All};
use crate::{
    attach::{self, Held},
    cli::block_on,
    env::Env,
    error::{CommandError, Exit},
    guardian, history,
    host::{self, Found},
    janitor, output, packs,
    run_args::{self, RunArgs},
    wiring,
};

/// Tastes a recipe: deploys it, checks it, removes it, says what was seen
///
/// `taster --recipe NAME` is the same. The exit code is 0 for green, 1 for red, 3 when nothing is proved; the results are in the
/// run's folder, which the last lines name.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The recipe
    #[arg(long, value_name = "NAME", value_parser = run_args::recipe, required_unless_present = "all")]
    recipe: Option<RecipeName>,
    /// Tastes every recipe instead: on the sandbox those that it offers, on another host those that have a pack. Each has a run of its own,
    /// and what they are to do is said once for all; it ends with a table, and with the code of the worst
    #[arg(long, conflicts_with_all = ["recipe", "ref", "path", "base", "pack", "keep", "failed", "choice", "repeat", "attach"])]
    all: bool,
    /// Leaves a recipe out
    #[arg(long, value_name = "NAME", value_parser = run_args::recipe, conflicts_with = "recipe")]
    except: Vec<RecipeName>,
    /// How many of them run at a time; one that has no room beside the others waits and says for what
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u32).range(1..=16), conflicts_with = "recipe")]
    jobs: u32,
    #[command(flatten)]
    asked: RunArgs,
    /// What is printed on standard output at the end
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Runs so many times, one after the other, and ends with a table of the verdicts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100), conflicts_with = "format")]
    repeat: u32,
    /// Runs the custom tests, and nothing else, on an app that an earlier run keeps
    #[arg(long, value_name = "DOMAIN", conflicts_with = "repeat")]
    attach: Option<Domain>,
    /// Runs only the tests of this file
    #[arg(long, value_name = "FILE", hide = true, requires = "attach")]
    file: Vec<String>,
    /// Makes the sandbox without asking
    #[arg(long)]
    yes: bool,
}

/// What is printed on standard output at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// The verdict, why, and what to do next
    Human,
    /// What results.json says
    Json,
    /// What junit.xml says
    Junit,
}

impl Run {
    /// Does it.
    pub fn run(self, env: &Env, args: &[OsString]) -> Result<ExitCode, CommandError> {
        let Some(recipe) = self.recipe.clone() else { return self.of_all(env, args) };
        if let Some(domain) = self.attach.clone() {
            return self.on_kept(env, recipe, &domain);
        }
        let source = self.asked.source()?;
        let Found { host, sandbox } = host::find(env, self.asked.host.as_deref(), self.yes)?;
        if let Some(home) = &sandbox {
            host::serve(home, &recipe, &source, self.asked.offline)?;
        }
        let pack = packs::of(&recipe)?;
        let request = self.asked.request(env, recipe, source, sandbox.as_ref(), &pack)?;
        let history = || history::past(&env.runs(), &request.recipe);
        if self.repeat > 1 {
            return repeated(env, &host, &request, &pack, history(), self.repeat);
        }
        Ok(said(env, block_on(taste(env, host, request.clone(), pack, history()))??, self.format))
    }
}

impl Run {
    /// Tastes all recipes. What they need of the sandbox is made first, so that no two of them make it.
    fn of_all(self, env: &Env, args: &[OsString]) -> Result<ExitCode, CommandError> {
        let source = self.asked.source()?;
        let Found { sandbox, .. } = host::find(env, self.asked.host.as_deref(), self.yes)?;
        let names = match &sandbox {
            Some(_) => sandbox::recipes::enrolled(),
            None => with_a_pack(),
        };
        if let Some(unknown) = self.except.iter().find(|except| !names.iter().any(|name| name == except.as_str())) {
            return Err(CommandError::usage(format!("--except names {unknown}, which is not among all of them"))
                .remedy(format!("there are {}", names.join(", "))));
        }
        let recipes = names.iter().filter_map(|name| name.parse().ok());
        let recipes: Vec<RecipeName> = recipes.filter(|recipe| !self.except.contains(recipe)).collect();
        for recipe in &recipes {
            packs::of(recipe)?;
            if let Some(home) = &sandbox {
                host::serve(home, recipe, &source, self.asked.offline)?;
            }
        }
        let jobs = usize::try_from(self.jobs).unwrap_or(1);
        All { recipes, jobs, format: self.format, options: all::of_one(args) }.run(env)
    }

    /// Runs the custom tests on an app that is there.
    fn on_kept(self, env: &Env, recipe: RecipeName, domain: &Domain) -> Result<ExitCode, CommandError> {
        let Found { host, .. } = host::find(env, self.asked.host.as_deref(), self.yes)?;
        let held = attach::hold(&env.runs(), &recipe, domain, self.asked.path().as_deref())?;
        let pack = packs::of(&recipe)?;
        let request = self.asked.on_kept(env, recipe, held.attach.clone(), self.file, &pack)?;
        Ok(said(env, block_on(taste_on(env, host, request, pack, &held))??, self.format))
    }
}

/// The recipes that have a pack, without those that only a sandbox has.
fn with_a_pack() -> Vec<String> {
    let names = recipes::packs().iter().map(|pack| pack.name);
    names.filter(|name| !sandbox::recipes::is_own(name)).map(str::to_owned).collect()
}

/// Says how a run ended, and gives its exit code; the inner error is that of what ended before it began.
fn said(env: &Env, ended: Result<Tasted, Exit>, format: Format) -> ExitCode {
    match ended {
        Ok(tasted) => {
            say(env, &tasted, format);
            tasted.exit().into()
        }
        Err(exit) => exit.into(),
    }
}

/// The same run several times, one after the other, and a table of what came of each. All of them start from the same history.
fn repeated(env: &Env, host: &Host, request: &Request, pack: &Pack, history: Past, times: u32) -> Result<ExitCode, CommandError> {
    let once = || {
        let tasted = block_on(taste(env, host.clone(), request.clone(), pack.clone(), history.clone())).flatten()?;
        Ok(tasted.map(|tasted| {
            let took = Duration::from_millis(tasted.state.last.map_or(0, |(_, mono)| mono.0));
            Ended { run: tasted.folder.run().to_string(), took, line: verdict_line(&tasted.state), exit: tasted.exit() }
        }))
    };
    let (told, early) = series(times, once);
    let line =
        |ended: &Ended| format!("{}  {:>8}  exit {}  {}\n", ended.run, format_duration(ended.took), ended.exit, ended.line);
    output::print(&told.iter().map(line).collect::<String>())?;
    let worst = Exit::worst(told.iter().map(|ended| ended.exit)).unwrap_or(Exit::NothingRan);
    Ok(early?.unwrap_or(worst).into())
}

/// How one of several runs ended.
struct Ended {
    run: String,
    took: Duration,
    line: String,
    exit: Exit,
}

/// Runs `times` times, or until somebody or something ends it. What came of those that ended is told whatever ended the others: the exit code
/// of what a signal ended before it began, or an error.
fn series(
    times: u32,
    mut once: impl FnMut() -> Result<Result<Ended, Exit>, CommandError>,
) -> (Vec<Ended>, Result<Option<Exit>, CommandError>) {
    let mut told = Vec::new();
    for _ in 0..times {
        match once() {
            Ok(Ok(ended)) => told.push(ended),
            Ok(Err(exit)) => return (told, Ok(Some(exit))),
            Err(error) => return (told, Err(error)),
        }
        // Whoever ends one of them wants no further one.
        if told.last().is_some_and(|ended| ended.exit.is_signal()) {
            break;
        }
    }
    (told, Ok(None))
}

/// A run that came to its end.
pub(super) struct Tasted {
    /// All that is known of it.
    pub(super) state: RunState,
    folder: Folder,
    redact: Arc<Redact>,
}

impl Tasted {
    fn exit(&self) -> Exit {
        verdict::exit_code(&self.state)
    }
}

/// One run from its request to its end. The inner error is the exit code of what a signal ended before the run began.
pub(super) async fn taste(
    env: &Env,
    host: Host,
    request: Request,
    pack: Pack,
    history: Past,
) -> Result<Result<Tasted, Exit>, CommandError> {
    let mut signals = signals::signals().map_err(|error| CommandError::host(format!("cannot listen for signals: {error}")))?;
    let runs = env.runs();
    // A sweep may be left at any moment and gone on with later, so nobody has to wait for it.
    tokio::select! {
        () = janitor::before_a_run(&runs, &host.engine) => {}
        Some(signal) = signals.next() => return Ok(Err(ended_before(signal))),
    }
    let Stage { folder, redact, log, ports, guardian, losses } = stage(env, &host, &request, &pack, None).await?;
    let run = Tasting { request, history, host, pack, ports: &ports, log: &log, folder: &folder, signals, losses };
    let state = engine::run(run).await;
    guardian.part(state.cancel.is_some());
    Ok(Ok(Tasted { state, folder, redact }))
}

/// One run of custom tests on a kept app, which stays held until it is over.
async fn taste_on(
    env: &Env,
    host: Host,
    request: Request,
    pack: Pack,
    held: &Held,
) -> Result<Result<Tasted, Exit>, CommandError> {
    let signals = signals::signals().map_err(|error| CommandError::host(format!("cannot listen for signals: {error}")))?;
    let Stage { folder, redact, log, ports, guardian, losses } = stage(env, &host, &request, &pack, Some(held)).await?;
    let history = Past::default();
    let run = Tasting { request, history, host, pack, ports: &ports, log: &log, folder: &folder, signals, losses };
    let state = engine::attach(&held.attached, run).await;
    guardian.part(state.cancel.is_some());
    Ok(Ok(Tasted { state, folder, redact }))
}

/// What a run is made on.
struct Stage {
    folder: Folder,
    redact: Arc<Redact>,
    log: Log,
    ports: Ports,
    guardian: guardian::Line,
    losses: BoxStream<'static, String>,
}

/// The folder of a new run with its journal, and its outside.
async fn stage(env: &Env, host: &Host, request: &Request, pack: &Pack, held: Option<&Held>) -> Result<Stage, CommandError> {
    // An engine that cannot be used at all is told before there is a run, so that nothing is left of one.
    DockerSwarm::at(&host.engine).map_err(|error| host::no_engine(&error))?;
    let clock = wiring::clock();
    let folder = new_folder(&env.runs(), &*clock)?;
    let shown = folder.root().display().to_string();
    let unwritable = |error: String| {
        CommandError::host(format!("cannot write the run's folder {shown}: {error}"))
            .remedy("set XDG_STATE_HOME to a folder with room")
    };
    let redact = Arc::new(Redact::new());
    redact.learn_settings(&pack.settings);
    let env_file = held.map(|held| held.folder.env_file(&host.server, &held.attach.domain));
    if let Some(text) = env_file.and_then(|file| fs::read_to_string(file).ok()) {
        redact.learn_env(&text);
    }
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
    // Before the first claim, so that there is nothing yet that nobody would sweep.
    let (guardian, losses) = guardian::beside(&env.exe, folder.root()).await;
    let children = Arc::new(log.clone());
    let ports = wiring::ports(env, host, Some(&request.recipe), &folder, children.clone(), redact.clone(), clock)
        .map_err(|error| host::no_engine(&error))?;
    let program = program::Setup {
        memory: held.map(|held| held.memory.clone()),
        ..wiring::pack(env, host, Some(&request.recipe), &folder)
    };
    let places = Places { repository: held.map(|held| held.repository.clone()), folder: request.authoring.folder.clone() };
    let ports = wiring::with_tests(ports, program, places, children, redact.clone());
    Ok(Stage { folder, redact, log, ports, guardian, losses })
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
fn say(env: &Env, tasted: &Tasted, format: Format) {
    let Tasted { state, folder, redact } = tasted;
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
fn ended_before(signal: i32) -> Exit {
    output::tell(&format!(
        "taster: ended by signal {signal} before the run began; what dead runs left is swept before the next one"
    ));
    Exit::of_signal(signal)
}

fn new_folder(runs: &Path, clock: &dyn Clock) -> Result<Folder, CommandError> {
    let mut random = [0; 5];
    getrandom::fill(&mut random).map_err(|error| CommandError::host(format!("the system gives no random bytes: {error}")))?;
    let run = RunId::new(&clock.wall().stamp(), random).map_err(|error| CommandError::host(error.to_string()))?;
    Ok(Folder::of(runs, &run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_runs_is_told_whatever_ends_the_others() {
        let ended = |exit| {
            let exit = Exit::from_code(exit);
            Ok(Ok(Ended { run: String::new(), took: Duration::ZERO, line: String::new(), exit }))
        };
        let gone = || Err(CommandError::host("the engine is gone"));
        for (runs, told, early) in [
            (vec![ended(0), ended(1), ended(0)], &[0, 1, 0][..], Some(true)),
            (vec![ended(0), ended(130), ended(0)], &[0, 130], Some(true)),
            (vec![ended(0), Ok(Err(Exit::from_code(143)))], &[0], Some(false)),
            (vec![ended(3), gone()], &[3], None),
        ] {
            let mut runs = runs.into_iter();
            let (seen, ends) = series(3, || runs.next().unwrap());
            assert_eq!(seen.iter().map(|ended| ended.exit.code()).collect::<Vec<_>>(), told);
            assert_eq!(ends.ok().map(|exit| exit.is_none()), early);
        }
    }

    #[test]
    fn all_recipes_of_a_server_are_those_that_can_be_had_there() {
        let names = with_a_pack();
        assert!(names.contains(&"ghost".to_owned()), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("hello")), "{names:?}");
    }
}
