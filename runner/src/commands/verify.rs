//! `taster verify`.

use std::{
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use harness::{
    disk::plain_file::{self, DOCUMENT_LIMIT, Links},
    engine::History,
    model::{
        exit_code::ExitCode,
        outcome::{Owner, Tier},
        request::{DEFAULT_DEADLINE, Request, Source},
    },
    pure::run::verdict::VerdictOutcome,
    report::results::{self, Results, differences, digest_of},
};

use crate::{
    env::Env,
    error::CommandError,
    host::{self, RunHost},
    output, packs,
    run_args::seconds,
    runtime::block_on,
    single_run::{self, FinishedRun, RunEnd},
};

/// Repeats the run of a results.json from scratch, and compares the results
///
/// The same recipe at the same commit is upgraded from the same base through the same tiers, with a new folder, clone and app;
/// then both results are compared check by check: names, count, status, level, images. The exit code is 0 when the results are
/// confirmed, 1 when they are refuted or the file was changed after it was written, 3 when the run cannot be repeated.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The host file to use
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
    /// The longest that the run may take, in seconds; then it is ended, and what it made is removed
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = DEFAULT_DEADLINE.as_secs(),
        value_parser = seconds,
        allow_negative_numbers = true
    )]
    deadline: u64,
    /// Makes the sandbox without asking
    #[arg(long)]
    yes: bool,
}

/// The result of the comparison.
enum Comparison {
    Confirmed,
    Refuted(Vec<String>),
    NotRepeated(String),
}

impl Verify {
    /// Runs the command.
    pub fn run(self, env: &Env) -> Result<process::ExitCode, CommandError> {
        let claimed = match read(&self.file)? {
            Ok(claimed) => claimed,
            Err(refuted) => return print(&refuted),
        };
        if let Some(why) = cannot_be_repeated(&claimed) {
            return print(&Comparison::NotRepeated(why));
        }
        let version = env!("CARGO_PKG_VERSION");
        if claimed.harness.version != version {
            output::message(&format!("warning: the results are by taster {}, and this is {version}", claimed.harness.version));
        }
        let request = self.request(env, &claimed)?;
        let pack = packs::of(&request.recipe)?;
        let RunHost { host, sandbox } = host::find(env, self.host.as_deref(), self.yes)?;
        if let Some(home) = &sandbox {
            host::sandbox::provide(home, &request.recipe, &request.source, false)?;
        }
        let repeated = match block_on(single_run::run(env, host, request, pack, History::default()))?? {
            RunEnd::Finished(run) => run,
            RunEnd::NotBegun(exit) => return Ok(exit.into()),
        };
        print(&compare(&claimed, &repeated))
    }

    fn request(&self, env: &Env, claimed: &Results) -> Result<Request, CommandError> {
        let recipe = claimed.recipe.parse().map_err(|_| CommandError::usage("the file names no recipe"))?;
        Ok(Request {
            recipe,
            source: Source::Catalogue { at: claimed.commit.clone() },
            tiers: claimed.requested.iter().copied().chain([Tier::Install]).collect(),
            base: claimed.base.as_ref().map(|base| base.commit.clone()),
            extent: claimed.extent,
            tests: claimed.selection.clone(),
            deadline: Duration::from_secs(self.deadline),
            host_file: host::named_file(env, self.host.as_deref()),
            offline: None,
            pr: None,
            trigger: None,
            authoring: harness::model::request::Authoring::default(),
        })
    }
}

/// The results in a file; refuted when it is not what taster wrote.
fn read(file: &Path) -> Result<Result<Results, Comparison>, CommandError> {
    let shown = file.display();
    let unreadable = |error: CommandError| {
        error.context(format!("cannot read {shown}")).hint("`taster verify` takes the results.json of a run.")
    };
    let text =
        plain_file::read_text(file, DOCUMENT_LIMIT, Links::Followed).map_err(|error| unreadable(CommandError::usage(error)))?;
    let digest = digest_of(&text).map_err(|error| unreadable(CommandError::usage(error)))?;
    let claimed = results::parse(&text)
        .map_err(|error| unreadable(CommandError::usage(error).context("its fields are not those of this version")))?;
    Ok(match digest == claimed.digest {
        true => Ok(claimed),
        false => Err(Comparison::Refuted(vec!["its digest: the file was changed after it was written".to_owned()])),
    })
}

/// Why a run cannot be repeated by its results alone.
fn cannot_be_repeated(claimed: &Results) -> Option<String> {
    match () {
        () if claimed.finished.is_none() => Some("it had not ended when the file was written".into()),
        () if claimed.dirty => Some("it tested uncommitted changes, which only their folder has".into()),
        () if claimed.authoring.attach.is_some() => Some("it tested an app that another run had deployed".into()),
        () if claimed.kept.is_some() => Some("it kept its app, so that its last steps are missing".into()),
        // A file cannot grant what the host file or the command line must.
        () if claimed.authoring.folder.is_some() || claimed.authoring.trusted => {
            Some("it ran executables that its command line allowed, and a file cannot allow them".into())
        }
        () if claimed.commit.is_none() => Some("it ended before the commit under test was known".into()),
        () => None,
    }
}

fn compare(claimed: &Results, repeated: &FinishedRun) -> Comparison {
    let seen = Results::from(&repeated.state);
    let differences = differences(claimed, &seen);
    let of_environment = |results: &Results| {
        results.verdict.outcome == VerdictOutcome::Inconclusive
            && !matches!(results.owner, Some(Owner::Recipe | Owner::Test) | None)
    };
    match differences.is_empty() {
        true => Comparison::Confirmed,
        // A failure of the host now says nothing about the earlier run.
        false if of_environment(&seen) && !of_environment(claimed) || seen.commit.is_none() => {
            let reason = seen.verdict.reasons.into_iter().next();
            Comparison::NotRepeated(reason.map_or_else(|| "the run proved nothing".to_owned(), |reason| reason.sentence))
        }
        false => Comparison::Refuted(differences),
    }
}

fn print(comparison: &Comparison) -> Result<process::ExitCode, CommandError> {
    let (text, exit) = match comparison {
        Comparison::Confirmed => ("confirmed\n".to_owned(), ExitCode::Green),
        Comparison::Refuted(differences) => (format!("refuted at {}\n", differences.join("\n       and ")), ExitCode::Red),
        Comparison::NotRepeated(why) => (format!("cannot be repeated because {why}\n"), ExitCode::Inconclusive),
    };
    output::print(&text)?;
    Ok(exit.into())
}
