//! What may be asked for on the command line: a recipe, which state of it, how far.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Parser;
use harness::{
    model::{
        names::RecipeName,
        outcome::Tier,
        pack::{Pack, TestName},
        request::{Attach, Authoring, DEFAULT_DEADLINE, DEFAULT_TIERS, Extent, LONGEST_KEEP, Request, Source, Tests, USUAL_RETRIES},
        settings::closest,
    },
    pure::run::facts::recipe::missing,
};
use sandbox::home::Home;

use crate::{env::Env, error::CommandError, history};

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The tag, branch or commit to taste; the newest release by default
    #[arg(long, value_name = "REF", conflicts_with = "path", value_parser = reference)]
    r#ref: Option<String>,
    /// A folder with the recipe, tasted with its uncommitted changes
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The tiers to run, separated by commas; install is always among them, and backup with restore. By default install, upgrade, backup, restore, and custom where
    /// the recipe has custom tests
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = tier)]
    tiers: Vec<Tier>,
    /// The tag, branch or commit to upgrade from; by default the last green run's, else the newest older release
    #[arg(long, value_name = "REF", value_parser = reference)]
    base: Option<String>,
    /// Removes the app with its volumes and secrets after its tests, makes it anew, restores it and looks for its data; the results say
    /// how long that took
    #[arg(long, conflicts_with = "no_canaries")]
    disaster: bool,
    /// Deploys head again, starts its services again, removes and installs it again with its data kept, and resolves every combination of
    /// its compose files; the verdict speaks of that too
    #[arg(long)]
    thorough: bool,
    /// Keeps the app after the run, for `90s`, `30m` or `2h`, an hour if nothing is said and a day at most; the last lines say how to
    /// test it again and how to remove it
    #[arg(long, value_name = "FOR", num_args = 0..=1, default_missing_value = "1h", value_parser = lifetime)]
    keep: Option<Duration>,
    /// Runs the executables in this folder as custom tests too
    #[arg(long, value_name = "DIR")]
    pack: Option<PathBuf>,
    /// Runs the executables below `tests/` of the recipe's own repository, which otherwise only the host file allows
    #[arg(long)]
    trust_tests: bool,
    /// Plants nothing into the app's data, so nothing is proved of upgrades and restores of it
    #[arg(long)]
    no_canaries: bool,
    /// Uses no network for the recipe: it must have been fetched before, and its images must be on the host
    #[arg(long)]
    pub(crate) offline: bool,
    /// Tries a custom test that failed again, so many times; one that passes then is flaky, and the results say so
    #[arg(long, value_name = "N", default_value_t = USUAL_RETRIES, value_parser = clap::value_parser!(u32).range(0..=10))]
    retries: u32,
    /// Counts a custom test that is flaky as failed
    #[arg(long)]
    fail_on_flaky: bool,
    /// Runs only those custom tests that did not pass in the last run of the recipe; the custom tier is then not verified
    #[arg(long)]
    failed: bool,
    /// Ends the run after so many seconds, and removes what it made
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_DEADLINE.as_secs(), value_parser = seconds, allow_negative_numbers = true)]
    deadline: u64,
    /// The host file to use
    #[arg(long, value_name = "FILE")]
    pub(crate) host: Option<PathBuf>,
    /// A choice among the custom tests, after `--` as for a test program: parts of names, --skip PART, --exact; the custom tier is then not
    /// verified
    #[arg(last = true, value_name = "TESTS")]
    choice: Vec<String>,
}

/// A choice among tests, as test programs take it.
#[derive(Debug, clap::Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Choice {
    names: Vec<String>,
    #[arg(long)]
    skip: Vec<String>,
    #[arg(long)]
    exact: bool,
}

/// The name of a recipe.
pub(crate) fn recipe(text: &str) -> Result<RecipeName, String> {
    match text.chars().count() {
        0 => Err("it is empty; the name of a recipe is wanted, `hello` for a first try".into()),
        64.. => Err("no recipe has a name of more than 63 characters".into()),
        _ => text.parse::<RecipeName>().map_err(|error| format!("a recipe name is {}", error.rule)),
    }
}

/// How long something may take, at most a day.
pub(crate) fn seconds(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds)).ok_or("a number of seconds from 1 to 86400 is wanted")
}

/// How long an app is kept.
fn lifetime(text: &str) -> Result<Duration, &'static str> {
    let wrong = "a time such as 90s, 30m or 2h is wanted, a day at most";
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

/// A tag, branch or commit, as far as the command line can tell.
fn reference(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("it is empty; a tag, a branch or a commit is wanted"),
        _ if text.starts_with('-') => Err("no tag, branch or commit begins with `-`"),
        _ if text.chars().any(|c| c.is_control() || c == ' ') => Err("no tag, branch or commit has blanks in it"),
        _ => Ok(text.to_owned()),
    }
}

/// A tier.
fn tier(text: &str) -> Result<Tier, String> {
    let names = Tier::ALL.map(Tier::name);
    Tier::ALL.into_iter().find(|tier| tier.name() == text).ok_or_else(|| {
        let meant = closest(text, &names).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
        format!("there is no such tier; {meant}there are {}", names.join(", "))
    })
}

/// What `--path` takes.
const FOLDER: &str = "--path takes the folder of a recipe, which has compose.yml and .env.sample at its top";

impl RunArgs {
    /// The request. Recipes that were fetched before lie in the sandbox, else in abra's own folder.
    pub(crate) fn request(
        self,
        env: &Env,
        recipe: RecipeName,
        source: Source,
        sandbox: Option<&Home>,
        pack: &Pack,
    ) -> Result<Request, CommandError> {
        let fetched = fetched(env, sandbox);
        let offline = self.offline.then(|| fetched_before(&recipe, &source, fetched)).transpose()?;
        let host_file = host_file(env, self.host.as_deref());
        let default_tiers = self.tiers.is_empty();
        let mut tiers: BTreeSet<Tier> = if default_tiers { DEFAULT_TIERS.into() } else { self.tiers.iter().copied().collect() };
        let authoring = Authoring {
            default_tiers,
            folder: self.folder()?,
            trusted: self.trust_tests,
            keep: self.keep,
            ..Authoring::default()
        };
        // Nothing can be said of an app that was not installed.
        tiers.insert(Tier::Install);
        // Only what was backed up can be restored.
        if tiers.contains(&Tier::Restore) {
            tiers.insert(Tier::Backup);
        }
        if self.base.is_some() && !tiers.contains(&Tier::Upgrade) {
            return Err(CommandError::usage("--base says what to upgrade from, and --tiers leaves the upgrade out")
                .remedy("leave one of them out"));
        }
        if self.disaster && !tiers.contains(&Tier::Restore) {
            return Err(CommandError::usage("--disaster restores what was backed up, and --tiers leaves the restore out")
                .remedy("leave one of them out"));
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
            authoring,
        }
        .with_custom_tier_by_default(pack);
        if request.tests.choose() && !request.tiers.contains(&Tier::Custom) {
            return Err(
                CommandError::usage("custom tests are chosen, and --tiers leaves them out").remedy("leave one of them out")
            );
        }
        Ok(request)
    }

    /// Which custom tests are run. A choice that takes none of the pack's is refused, for it would prove nothing.
    fn tests(&self, env: &Env, recipe: &RecipeName, pack: &Pack) -> Result<Tests, CommandError> {
        let choice = Choice::try_parse_from(&self.choice).map_err(|error| {
            let told = error.to_string();
            let told = told.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            CommandError::usage(format!("what follows `--` is no choice among tests: {told}"))
                .remedy("parts of names, --skip PART and --exact are known there")
        })?;
        let failed = self.failed.then(|| history::not_passed(&env.runs(), recipe)).transpose()?;
        let Choice { names, skip, exact } = choice;
        let tests = Tests { names, skip, exact, failed, retries: self.retries, fail_on_flaky: self.fail_on_flaky };
        let known: Vec<&TestName> = pack.functions_of(Tier::Custom).collect();
        if tests.choose() && known.iter().all(|test| tests.leave_out(test).is_some()) {
            let names: Vec<&str> = known.iter().map(|test| test.as_str()).collect();
            let sentence = format!("the choice takes none of the {} custom tests of {}", names.len(), recipe);
            let error = CommandError::usage(sentence);
            return Err(if names.is_empty() { error } else { error.remedy(format!("there are: {}", names.join("; "))) });
        }
        Ok(tests)
    }

    /// The folder of executables, whole.
    pub(crate) fn folder(&self) -> Result<Option<PathBuf>, CommandError> {
        let Some(folder) = &self.pack else { return Ok(None) };
        let unread = |why: String| {
            CommandError::usage(format!("cannot read {}: {why}", folder.display()))
                .remedy("--pack takes a folder with executables")
        };
        match folder.canonicalize() {
            Ok(whole) if whole.is_dir() => Ok(Some(whole)),
            Ok(_) => Err(unread("it is no folder".to_owned())),
            Err(error) => Err(unread(error.to_string())),
        }
    }

    /// The request for a run on a kept app. What deploys one, or speaks of other tiers, does not go with it.
    pub(crate) fn on_kept(
        self,
        env: &Env,
        recipe: RecipeName,
        attach: Attach,
        files: Vec<String>,
        pack: &Pack,
    ) -> Result<Request, CommandError> {
        let other = [
            (self.r#ref.is_some(), "--ref"),
            (!self.tiers.is_empty(), "--tiers"),
            (self.base.is_some(), "--base"),
            (self.disaster, "--disaster"),
            (self.thorough, "--thorough"),
            (self.keep.is_some(), "--keep"),
            (self.no_canaries, "--no-canaries"),
        ];
        if let Some((_, option)) = other.into_iter().find(|(given, _)| *given) {
            return Err(CommandError::usage(format!(
                "--attach runs custom tests on an app that is there, and {option} speaks of another"
            ))
            .remedy("leave one of them out"));
        }
        let authoring = Authoring {
            folder: self.folder()?,
            trusted: self.trust_tests,
            attach: Some(attach),
            files: files.into_iter().collect(),
            ..Authoring::default()
        };
        let tests = self.tests(env, &recipe, pack)?;
        let host_file = host_file(env, self.host.as_deref());
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
            authoring,
        })
    }

    /// The folder of the recipe, where one was named.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.path.as_ref().and_then(|path| path.canonicalize().ok())
    }

    /// Where the recipe comes from; a folder that is no recipe is told at once.
    pub(crate) fn source(&self) -> Result<Source, CommandError> {
        let Some(path) = &self.path else { return Ok(Source::Catalogue { at: self.r#ref.clone() }) };
        let shown = path.display();
        if path.as_os_str().is_empty() {
            return Err(CommandError::usage("--path is empty").remedy(FOLDER));
        }
        let unread = |error: std::io::Error| CommandError::usage(format!("cannot read {shown}: {error}")).remedy(FOLDER);
        let path = path.canonicalize().map_err(unread)?;
        let entries = std::fs::read_dir(&path).map_err(unread)?;
        let files: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        match missing(&files)[..] {
            [] => Ok(Source::Folder { path }),
            ref missing => {
                Err(CommandError::usage(format!("{shown} is no recipe: it has no {}", missing.join(" and no "))).remedy(FOLDER))
            }
        }
    }
}

/// The host file that is named on the command line or in the environment, whole, so that a run can be repeated from elsewhere.
pub(crate) fn host_file(env: &Env, named: Option<&Path>) -> Option<PathBuf> {
    let named = named.or(env.host.as_deref())?;
    Some(std::path::absolute(named).unwrap_or_else(|_| named.to_owned()))
}

/// The folder of the recipes that were fetched before, when the one that is asked for is among them.
fn fetched_before(recipe: &RecipeName, source: &Source, fetched: PathBuf) -> Result<PathBuf, CommandError> {
    let folder = fetched.join(recipe.as_str());
    let there = || [".git", "HEAD"].iter().any(|part| folder.join(part).exists());
    match source {
        Source::Catalogue { .. } if !there() => {
            let sentence = format!("the recipe {recipe} was not fetched before: there is no clone at {}", folder.display());
            let remedy = format!("fetch it with `abra recipe fetch {recipe}`, or leave --offline out");
            Err(CommandError::usage(sentence).remedy(remedy))
        }
        Source::Catalogue { .. } | Source::Folder { .. } => Ok(fetched),
    }
}

/// The folder of the recipes that were fetched before.
pub(crate) fn fetched(env: &Env, sandbox: Option<&Home>) -> PathBuf {
    sandbox.map_or_else(|| env.abra_dir.join("recipes"), Home::recipes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_has_a_unit_and_an_end() {
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

    #[test]
    fn a_host_file_is_named_whole_by_the_command_line_or_else_by_the_environment() {
        let var = |name: &str| (name == "TASTER_HOST").then(|| "/etc/taster.toml".into());
        let (bare, set) = (Env::read(|_| None, "taster".into()), Env::read(var, "taster".into()));
        let here = std::env::current_dir().unwrap();
        for (env, named, file) in [
            (&bare, None, None),
            (&set, None, Some(PathBuf::from("/etc/taster.toml"))),
            (&set, Some("/h.toml"), Some("/h.toml".into())),
            (&bare, Some("h.toml"), Some(here.join("h.toml"))),
        ] {
            assert_eq!(host_file(env, named.map(Path::new)), file, "{named:?}");
        }
    }
}
