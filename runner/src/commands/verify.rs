//! `taster verify`.

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use harness::{
    engine::Past,
    model::{
        outcome::{Owner, Tier},
        request::{DEFAULT_DEADLINE, Request, Source},
    },
    pure::run::verdict::VerdictOutcome,
    report::results::{ResultsV1, differences, digest_of},
};

use crate::{
    cli::block_on,
    commands::run::{Tasted, taste},
    env::Env,
    error::{CommandError, Exit},
    host::{self, Found},
    output, packs,
    run_args::{host_file, seconds},
};

/// Repeats the run that a results.json tells of, cold, and says whether it comes out the same
///
/// The same recipe at the same commit is upgraded from the same base through the same tiers, in a folder, a clone and an app of its
/// own; then both results are compared check by check: names, count, status, level, images. The exit code is 0 when the results are
/// confirmed, 1 when they are refuted or the file was changed after it was written, 3 when the run cannot be repeated.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The host file to use
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
    /// Ends the run after so many seconds, and removes what it made
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_DEADLINE.as_secs(), value_parser = seconds, allow_negative_numbers = true)]
    deadline: u64,
    /// Makes the sandbox without asking
    #[arg(long)]
    yes: bool,
}

/// What repeating a run came to.
enum Word {
    Confirmed,
    Refuted(Vec<String>),
    NotRepeated(String),
}

impl Verify {
    /// Does it.
    pub fn run(self, env: &Env) -> Result<ExitCode, CommandError> {
        let claimed = match read(&self.file)? {
            Ok(claimed) => claimed,
            Err(word) => return said(&word),
        };
        if let Some(why) = cannot_be_repeated(&claimed) {
            return said(&Word::NotRepeated(why));
        }
        let version = env!("CARGO_PKG_VERSION");
        if claimed.harness.version != version {
            output::tell(&format!("taster: the results are by taster {}, and this is {version}", claimed.harness.version));
        }
        let request = self.request(env, &claimed)?;
        let pack = packs::of(&request.recipe)?;
        let Found { host, sandbox } = host::find(env, self.host.as_deref(), self.yes)?;
        if let Some(home) = &sandbox {
            host::serve(home, &request.recipe, &request.source, false)?;
        }
        let tasted = match block_on(taste(env, host, request, pack, Past::default()))?? {
            Ok(tasted) => tasted,
            Err(ended) => return Ok(ended.into()),
        };
        said(&judged(&claimed, &tasted))
    }

    fn request(&self, env: &Env, claimed: &ResultsV1) -> Result<Request, CommandError> {
        let recipe = claimed.recipe.parse().map_err(|_| CommandError::usage("the file names no recipe"))?;
        Ok(Request {
            recipe,
            source: Source::Catalogue { at: claimed.commit.clone() },
            tiers: claimed.requested.iter().copied().chain([Tier::Install]).collect(),
            base: claimed.base.as_ref().map(|base| base.commit.clone()),
            extent: claimed.extent,
            tests: claimed.selection.clone(),
            deadline: Duration::from_secs(self.deadline),
            host_file: host_file(env, self.host.as_deref()),
            offline: None,
            authoring: harness::model::request::Authoring::default(),
        })
    }
}

/// The results in a file; the word on it when it is not what taster wrote.
fn read(file: &PathBuf) -> Result<Result<ResultsV1, Word>, CommandError> {
    let shown = file.display();
    let unread = |why: String| {
        CommandError::usage(format!("cannot read {shown}: {why}")).remedy("`taster verify` takes the results.json of a run")
    };
    let text = fs::read_to_string(file).map_err(|error| unread(error.to_string()))?;
    let digest = digest_of(&text).map_err(unread)?;
    let claimed: ResultsV1 =
        serde_json::from_str(&text).map_err(|error| unread(format!("its fields are not those of this version: {error}")))?;
    Ok(match digest == claimed.digest {
        true => Ok(claimed),
        false => Err(Word::Refuted(vec!["its digest: the file was changed after it was written".to_owned()])),
    })
}

/// Why a run cannot be repeated by its results alone.
fn cannot_be_repeated(claimed: &ResultsV1) -> Option<String> {
    match () {
        () if claimed.finished.is_none() => Some("it had not ended when the file was written".into()),
        () if claimed.dirty => Some("it tasted changes that were not committed, which only their folder has".into()),
        () if claimed.authoring.attach.is_some() => Some("it tested an app that another run had deployed".into()),
        () if claimed.kept.is_some() => Some("it kept its app, and so did not do what runs do at their end".into()),
        // A file says nothing about whom this machine trusts.
        () if claimed.authoring.folder.is_some() || claimed.authoring.trusted => {
            Some("it ran executables on somebody's word, and a file is no such word".into())
        }
        () if claimed.commit.is_none() => Some("it ended before it was known what is under test".into()),
        () => None,
    }
}

fn judged(claimed: &ResultsV1, tasted: &Tasted) -> Word {
    let seen = ResultsV1::from(&tasted.state);
    let differences = differences(claimed, &seen);
    let ours = |results: &ResultsV1| {
        results.verdict.outcome == VerdictOutcome::Inconclusive
            && !matches!(results.owner, Some(Owner::Recipe | Owner::Test) | None)
    };
    match differences.is_empty() {
        true => Word::Confirmed,
        // A host that fails now says nothing about what was seen on another day.
        false if ours(&seen) && !ours(claimed) || seen.commit.is_none() => {
            let reason = seen.verdict.reasons.into_iter().next();
            Word::NotRepeated(reason.map_or_else(|| "the run proved nothing".to_owned(), |reason| reason.sentence))
        }
        false => Word::Refuted(differences),
    }
}

fn said(word: &Word) -> Result<ExitCode, CommandError> {
    let (text, exit) = match word {
        Word::Confirmed => ("confirmed\n".to_owned(), Exit::Green),
        Word::Refuted(differences) => (format!("refuted at {}\n", differences.join("\n       and ")), Exit::Red),
        Word::NotRepeated(why) => (format!("cannot be repeated because {why}\n"), Exit::Inconclusive),
    };
    output::print(&text)?;
    Ok(exit.into())
}
