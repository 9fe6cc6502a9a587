//! The arguments of `run` and `plan`, and the request that they mean.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use clap::Parser;
use harness::{
    model::{
        names::RecipeName,
        outcome::Tier,
        pack::{Pack, TestName},
        request::{
            Attach, Authoring, DEFAULT_DEADLINE, DEFAULT_TIERS, Extent, LONGEST_KEEP, Request, Source, Tests, USUAL_RETRIES,
        },
        settings::closest,
    },
    pure::run::facts::recipe::missing,
};
use sandbox::home::Home;

use crate::{env::Env, error::CommandError, history, host};

/// The arguments of `run` and `plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The tag, branch or commit to test; the newest release by default
    #[arg(long, value_name = "REF", conflicts_with = "path", value_parser = reference)]
    r#ref: Option<String>,
    /// A folder with the recipe, tested with its uncommitted changes
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The tiers to run, separated by commas; install is always among them, and backup with restore. By default install, upgrade,
    /// backup, restore, and custom where the recipe has custom tests
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = tier)]
    tiers: Vec<Tier>,
    /// The release or older commit to upgrade from; by default the highest release that the tested commit replaces
    #[arg(long, value_name = "REF", value_parser = reference)]
    base: Option<String>,
    /// Removes the app with its volumes and secrets after its tests, installs it again, restores it and looks for its data; the
    /// results have the time that this took
    #[arg(long, conflicts_with = "no_canaries")]
    disaster: bool,
    /// Deploys head again, starts its services again, removes and installs it again with its data kept, and resolves every
    /// combination of its compose files; the verdict includes these checks
    #[arg(long)]
    thorough: bool,
    /// Keeps the app after the run, for a time such as `90s`, `30m` or `2h`, by default an hour and at most a day; the last lines
    /// show how to test it again and how to remove it
    #[arg(long, value_name = "FOR", num_args = 0..=1, default_missing_value = "1h", value_parser = lifetime)]
    keep: Option<Duration>,
    /// Runs the executables in this folder as custom tests too
    #[arg(long, value_name = "DIR")]
    pack: Option<PathBuf>,
    /// Runs the executables below `tests/` of the recipe's own repository, which otherwise only the host file allows
    #[arg(long)]
    trust_tests: bool,
    /// Seeds no data in the app, so that nothing is proved about upgrades and restores of its data
    #[arg(long)]
    no_canaries: bool,
    /// Uses no network for the recipe: it must have been fetched before, and its images must be on the host
    #[arg(long)]
    pub(crate) offline: bool,
    /// How often a custom test that failed is tried again; a test that passes then is flaky, and the results name it
    #[arg(long, value_name = "N", default_value_t = USUAL_RETRIES, value_parser = clap::value_parser!(u32).range(0..=10))]
    retries: u32,
    /// Counts a flaky custom test as failed
    #[arg(long)]
    fail_on_flaky: bool,
    /// Runs only the custom tests that did not pass in the last run of the recipe; the custom tier is then not verified
    #[arg(long)]
    failed: bool,
    /// The longest that the run may take, in seconds; then it is ended, and what it made is removed
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = DEFAULT_DEADLINE.as_secs(),
        value_parser = seconds,
        allow_negative_numbers = true
    )]
    deadline: u64,
    /// The host file to use
    #[arg(long, value_name = "FILE")]
    pub(crate) host: Option<PathBuf>,
    /// The number of the pull request that the run is for; the results have it as `pr`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pr: Option<u64>,
    /// What started the run, such as `!testme` or a schedule; the results have it as `trigger`
    #[arg(long, value_name = "TEXT")]
    trigger: Option<String>,
    /// A choice of custom tests, after `--` as for a test program: parts of names, --skip PART, --exact; the custom tier is then
    /// not verified
    #[arg(last = true, value_name = "TESTS")]
    choice: Vec<String>,
}

/// A choice of tests, as test programs take it.
#[derive(Debug, clap::Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Choice {
    names: Vec<String>,
    #[arg(long)]
    skip: Vec<String>,
    #[arg(long)]
    exact: bool,
}

/// Why the value of an argument cannot be used, as the end of clap's message.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ArgumentError(String);

impl From<&str> for ArgumentError {
    fn from(message: &str) -> Self {
        Self(message.to_owned())
    }
}

/// Parses the name of a recipe.
pub(crate) fn recipe(text: &str) -> Result<RecipeName, ArgumentError> {
    match text.chars().count() {
        0 => Err("it is empty; it must be the name of a recipe, `hello` for a first try".into()),
        64.. => Err("no recipe has a name of more than 63 characters".into()),
        _ => text.parse::<RecipeName>().map_err(|error| ArgumentError(format!("a recipe name is {}", error.rule))),
    }
}

/// Parses a limit in seconds, at most a day.
pub(crate) fn seconds(text: &str) -> Result<u64, ArgumentError> {
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    seconds.ok_or_else(|| "it must be a number of seconds from 1 to 86400".into())
}

/// Parses the time for which an app is kept.
fn lifetime(text: &str) -> Result<Duration, &'static str> {
    let wrong = "it must be a time such as 90s, 30m or 2h, at most a day";
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong),
    };
    let number: u64 = number.parse().map_err(|_| wrong)?;
    let lifetime = number.checked_mul(seconds).map(Duration::from_secs);
    lifetime.filter(|lifetime| !lifetime.is_zero() && *lifetime <= LONGEST_KEEP).ok_or(wrong)
}

/// Parses a tag, branch or commit; whether it exists is checked later.
fn reference(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("it is empty; it must be a tag, a branch or a commit"),
        _ if text.starts_with('-') => Err("no tag, branch or commit begins with `-`"),
        _ if text.chars().any(|c| c.is_control() || c == ' ') => Err("no tag, branch or commit has blanks in it"),
        _ => Ok(text.to_owned()),
    }
}

/// Parses a tier.
fn tier(text: &str) -> Result<Tier, ArgumentError> {
    let names = Tier::ALL.map(Tier::name);
    Tier::ALL.into_iter().find(|tier| tier.name() == text).ok_or_else(|| {
        let similar = closest(text, &names).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
        ArgumentError(format!("there is no such tier; {similar}there are {}", names.join(", ")))
    })
}

/// What `--path` takes.
const PATH_HINT: &str = "--path takes the folder of a recipe, which has compose.yml and .env.sample at its top.";
/// What to do about two options that contradict each other.
const CONFLICT_HINT: &str = "Leave one of them out.";

impl RunArgs {
    /// The request. Recipes that were fetched before are in the sandbox, else in abra's own folder.
    pub(crate) fn request(
        self,
        env: &Env,
        recipe: RecipeName,
        source: Source,
        sandbox: Option<&Home>,
        pack: &Pack,
    ) -> Result<Request, CommandError> {
        let clones = clones(env, sandbox);
        let offline = self.offline.then(|| fetched_before(&recipe, &source, clones)).transpose()?;
        let host_file = host::named_file(env, self.host.as_deref());
        let default_tiers = self.tiers.is_empty();
        let mut tiers: BTreeSet<Tier> = if default_tiers { DEFAULT_TIERS.into() } else { self.tiers.iter().copied().collect() };
        let authoring = Authoring {
            default_tiers,
            folder: self.folder()?,
            trusted: self.trust_tests,
            keep: self.keep,
            ..Authoring::default()
        };
        // Every tier needs an installed app.
        tiers.insert(Tier::Install);
        // A restore needs a backup.
        if tiers.contains(&Tier::Restore) {
            tiers.insert(Tier::Backup);
        }
        if self.base.is_some() && !tiers.contains(&Tier::Upgrade) {
            return Err(CommandError::usage("--base needs the upgrade, and --tiers leaves it out").hint(CONFLICT_HINT));
        }
        if self.disaster && !tiers.contains(&Tier::Restore) {
            return Err(CommandError::usage("--disaster needs the restore, and --tiers leaves it out").hint(CONFLICT_HINT));
        }
        let request = Request {
            tests: self.tests(env, &recipe, pack)?,
            recipe,
            source,
            tiers,
            base: self.base,
            extent: Extent { disaster: self.disaster, thorough: self.thorough, no_canaries: self.no_canaries },
            deadline: Duration::from_secs(self.deadline),
            host_file,
            offline,
            pr: self.pr.map(|number| number.to_string()),
            trigger: self.trigger,
            authoring,
        }
        .with_custom_tier_by_default(pack);
        if request.tests.choose() && !request.tiers.contains(&Tier::Custom) {
            return Err(CommandError::usage("custom tests are chosen, and --tiers leaves them out").hint(CONFLICT_HINT));
        }
        Ok(request)
    }

    /// The choice of custom tests. A choice that matches none of the pack's tests is an error, because it would prove nothing.
    fn tests(&self, env: &Env, recipe: &RecipeName, pack: &Pack) -> Result<Tests, CommandError> {
        let choice = Choice::try_parse_from(&self.choice).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            CommandError::usage(first)
                .context("the arguments after `--` do not choose tests")
                .hint("They may be parts of names, --skip PART and --exact.")
        })?;
        let folder = self.folder()?;
        let failed = self.failed.then(|| history::not_passed(&env.runs(), recipe, folder.as_deref())).transpose()?;
        let Choice { names, skip, exact } = choice;
        let tests = Tests { names, skip, exact, failed, retries: self.retries, fail_on_flaky: self.fail_on_flaky };
        let known: Vec<&TestName> = pack.functions_of(Tier::Custom).collect();
        if tests.choose() && known.iter().all(|test| tests.leave_out(test).is_some()) {
            let names: Vec<&str> = known.iter().map(|test| test.as_str()).collect();
            let message = format!("the choice matches none of the {} custom tests of {recipe}", names.len());
            let error = CommandError::usage(message);
            return Err(if names.is_empty() { error } else { error.hint(format!("There are: {}.", names.join("; "))) });
        }
        Ok(tests)
    }

    /// The folder of executables, as an absolute path.
    pub(crate) fn folder(&self) -> Result<Option<PathBuf>, CommandError> {
        let Some(folder) = &self.pack else { return Ok(None) };
        let unreadable = |error: CommandError| {
            error.context(format!("cannot read {}", folder.display())).hint("--pack takes a folder with executables.")
        };
        match folder.canonicalize() {
            Ok(absolute) if absolute.to_str().is_none() => Err(unreadable(not_utf8())),
            Ok(absolute) if absolute.is_dir() => Ok(Some(absolute)),
            Ok(_) => Err(unreadable(CommandError::usage("it is not a folder"))),
            Err(error) => Err(unreadable(CommandError::usage(error))),
        }
    }

    /// The request for a run on a kept app.
    pub(crate) fn request_on_kept(
        self,
        env: &Env,
        recipe: RecipeName,
        attach: Attach,
        files: Vec<String>,
        pack: &Pack,
    ) -> Result<Request, CommandError> {
        let authoring = Authoring {
            folder: self.folder()?,
            trusted: self.trust_tests,
            attach: Some(attach),
            files: files.into_iter().collect(),
            ..Authoring::default()
        };
        let tests = self.tests(env, &recipe, pack)?;
        let host_file = host::named_file(env, self.host.as_deref());
        Ok(Request {
            source: self.source()?,
            recipe,
            tiers: [Tier::Custom].into(),
            base: None,
            extent: Extent::default(),
            tests,
            deadline: Duration::from_secs(self.deadline),
            host_file,
            offline: None,
            pr: self.pr.map(|number| number.to_string()),
            trigger: self.trigger,
            authoring,
        })
    }

    /// The folder of the recipe, where the request names one.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.path.as_ref().and_then(|path| path.canonicalize().ok())
    }

    /// Where the recipe comes from. A folder that is not a recipe is an error.
    pub(crate) fn source(&self) -> Result<Source, CommandError> {
        let Some(path) = &self.path else { return Ok(Source::Catalogue { at: self.r#ref.clone() }) };
        let shown = path.display();
        if path.as_os_str().is_empty() {
            return Err(CommandError::usage("--path is empty").hint(PATH_HINT));
        }
        let unreadable =
            |error: std::io::Error| CommandError::usage(error).context(format!("cannot read {shown}")).hint(PATH_HINT);
        let path = path.canonicalize().map_err(unreadable)?;
        if path.to_str().is_none() {
            return Err(not_utf8().context(format!("cannot use {shown}")).hint(PATH_HINT));
        }
        let entries = std::fs::read_dir(&path).map_err(unreadable)?;
        let files: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        match missing(&files)[..] {
            [] => Ok(Source::Folder { path }),
            ref missing => {
                Err(CommandError::usage(format!("{shown} is not a recipe: it has no {}", missing.join(" and no ")))
                    .hint(PATH_HINT))
            }
        }
    }
}

/// The error of a path that no journal can hold.
fn not_utf8() -> CommandError {
    CommandError::usage("its path is not valid UTF-8, and the journal of a run could not name it")
}

/// The folder with the clones of recipes, when it has one of this recipe or the run needs none.
fn fetched_before(recipe: &RecipeName, source: &Source, clones: PathBuf) -> Result<PathBuf, CommandError> {
    let folder = clones.join(recipe.as_str());
    let there = || [".git", "HEAD"].iter().any(|part| folder.join(part).exists());
    match source {
        Source::Catalogue { .. } if !there() => {
            let message = format!("the recipe {recipe} was not fetched before: there is no clone at {}", folder.display());
            Err(CommandError::usage(message).hint(format!("Fetch it with `abra recipe fetch {recipe}`, or leave --offline out.")))
        }
        Source::Catalogue { .. } | Source::Folder { .. } => Ok(clones),
    }
}

/// The folder with the clones of recipes that were fetched before.
pub(crate) fn clones(env: &Env, sandbox: Option<&Home>) -> PathBuf {
    sandbox.map_or_else(|| env.abra_dir.join("recipes"), Home::recipes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetime_needs_a_unit_and_is_a_day_at_most() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("30m", Some(1800)),
            ("24h", Some(86_400)),
            ("25h", None),
            ("0s", None),
            ("1", None),
            ("1d", None),
            ("", None),
            ("é", None),
            ("99999999999999999999h", None),
            ("-1h", None),
        ] {
            assert_eq!(lifetime(text).ok().map(|lifetime| lifetime.as_secs()), seconds, "{text}");
        }
    }
}
