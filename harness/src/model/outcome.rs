//! How a step or a check ends, and whose business that is. All of it is closed: a new way to fail has to be thought of everywhere.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{names::ServiceName, text::plain};

/// A part of the app's life that a run takes it through. Lint stands beside the tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The app is deployed, settles and answers.
    Install,
    /// The running app is taken from base to head.
    Upgrade,
    /// The backup service makes a snapshot.
    Backup,
    /// The snapshot is restored over spoiled data.
    Restore,
    /// The custom tests of the pack pass.
    Custom,
}

impl Tier {
    /// All tiers in the order of a run.
    pub const ALL: [Tier; 5] = [Tier::Install, Tier::Upgrade, Tier::Backup, Tier::Restore, Tier::Custom];

    /// The tier's name in results and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Install => "install",
            Tier::Upgrade => "upgrade",
            Tier::Backup => "backup",
            Tier::Restore => "restore",
            Tier::Custom => "custom",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What of a recipe runs. Only what was done on head says something about head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// What head is upgraded from.
    Base,
    /// What is under test.
    #[default]
    Head,
    /// Some of both, or it is not known.
    Mixed,
}

impl Subject {
    /// The word in results.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Base => "base",
            Subject::Head => "head",
            Subject::Mixed => "mixed",
        }
    }
}

/// How a step or a check ended. What did not run never counts as passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", content = "detail", rename_all = "lowercase")]
pub enum Outcome {
    /// It ran and what it asserts holds.
    Passed,
    /// It ran and failed.
    Failed(Failure),
    /// It was not to run, for a reason that was known beforehand.
    Skipped(SkipReason),
    /// It should have run, or its result could not be read: nothing is proved either way.
    Unverified(Gap),
}

impl Outcome {
    /// Whether it ran and holds.
    pub fn passed(&self) -> bool {
        matches!(self, Outcome::Passed)
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Outcome::Failed(failure)
    }
}

/// How many lines an excerpt has at most.
pub const EXCERPT_LINES: usize = 8;
/// How many characters a line of an excerpt has at most.
pub const EXCERPT_WIDTH: usize = 400;

/// The short word for an outcome, as results have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It ran and passed.
    Pass,
    /// It ran and failed.
    Fail,
    /// It was not to run.
    Skip,
    /// It should have run and was not verified.
    Unver,
}

impl Status {
    /// The word in results.
    pub fn name(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Fail => "fail",
            Status::Skip => "skip",
            Status::Unver => "unver",
        }
    }
}

impl From<&Outcome> for Status {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Passed => Status::Pass,
            Outcome::Failed(_) => Status::Fail,
            Outcome::Skipped(_) => Status::Skip,
            Outcome::Unverified(_) => Status::Unver,
        }
    }
}

/// A failure with everything that a reader needs to act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What happened, as far as rules can tell.
    pub cause: Cause,
    /// Whose fault it is.
    pub owner: Owner,
    /// One sentence for people.
    pub message: String,
    /// What the failing thing itself said last, a line each, such as the end of a log; empty when it said nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excerpt: Vec<String>,
    /// The file under the run's folder that shows it, relative to that folder; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evidence: String,
}

impl Failure {
    /// A failure with the owner that its cause has by itself.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        let owner = cause.owner();
        Self { cause, owner, message: message.into(), excerpt: Vec::new(), evidence: String::new() }
    }

    /// The same failure with the last lines of what the failing thing said, at most [`EXCERPT_LINES`] of at most
    /// [`EXCERPT_WIDTH`] characters. Empty lines tell nothing and are left out,
    /// and so is what would steer a terminal.
    pub fn quoting(self, text: &str) -> Self {
        let cut = |line: &str| match line.char_indices().nth(EXCERPT_WIDTH) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line.to_owned(),
        };
        let text = plain(text);
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let excerpt = lines[lines.len().saturating_sub(EXCERPT_LINES)..].iter().map(|line| cut(line)).collect();
        Self { excerpt, ..self }
    }

    /// The sentence, and below it what is quoted, indented.
    pub fn told(&self) -> String {
        match self.excerpt.is_empty() {
            true => self.message.clone(),
            false => format!("{}; its last lines:\n  {}", self.message, self.excerpt.join("\n  ")),
        }
    }

    /// The same failure, owned by somebody else than its cause says.
    pub fn owned_by(self, owner: Owner) -> Self {
        Self { owner, ..self }
    }
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The recipe under test.
    Recipe,
    /// Another recipe that this one needs.
    Dependency,
    /// The host, its engine, its network, its registry.
    Infrastructure,
    /// The pack's test: it panicked or ran out of its own time.
    Test,
    /// taster itself.
    Harness,
}

impl Owner {
    /// The owner's name in results.
    pub fn name(self) -> &'static str {
        match self {
            Owner::Recipe => "recipe",
            Owner::Dependency => "dependency",
            Owner::Infrastructure => "infrastructure",
            Owner::Test => "test",
            Owner::Harness => "harness",
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What went wrong, as a closed set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// The service's task failed again and again in the same way while nothing else made progress.
    CrashLoop {
        /// The service that crashes.
        service: ServiceName,
        /// The exit code of its last failure, when the container ran at all.
        exit: Option<i32>,
        /// How often it failed since the last progress of anything else.
        times: u32,
    },
    /// The restart policy allows no further attempt; Swarm is silent from here on.
    AttemptsSpent {
        /// The service that will not be started again.
        service: ServiceName,
        /// The exit code of its last failure.
        exit: Option<i32>,
    },
    /// The task ended with exit 0 under `on-failure`, so nothing will ever start it again.
    ExitedForGood {
        /// The service that ended.
        service: ServiceName,
    },
    /// The health check never passed within the service's allowance.
    Unhealthy {
        /// The service that is not healthy.
        service: ServiceName,
    },
    /// Swarm rolled the service back.
    RolledBack {
        /// The service that was rolled back.
        service: ServiceName,
    },
    /// Swarm paused the update or the rollback of the service.
    Paused {
        /// The service whose update stands still.
        service: ServiceName,
    },
    /// The service runs neither the old nor the new spec, or the old one though nobody rolled it back.
    Reverted {
        /// The service with the unexpected spec.
        service: ServiceName,
    },
    /// No node satisfies the service's placement.
    NoEligibleNode {
        /// The service that cannot be placed.
        service: ServiceName,
    },
    /// Something that the service needs is held by somebody.
    HeldResource {
        /// The service that waits.
        service: ServiceName,
        /// What it waits for, such as `host port 8080`.
        what: String,
        /// Who holds it.
        holder: Holder,
    },
    /// The image cannot be had.
    ImageMissing {
        /// The service that names the image.
        service: ServiceName,
        /// The image as the service names it.
        image: String,
    },
    /// A config or secret was changed without a new version, which Docker refuses.
    ImmutableConfig {
        /// The config's or secret's name.
        name: String,
    },
    /// No answer of the app itself came through the ingress.
    NotServing {
        /// The last thing that was seen instead.
        last: String,
    },
    /// abra ended with a `FATA` line or a non-zero exit code.
    AbraFatal {
        /// abra's exit code.
        exit: i32,
    },
    /// abra did not end within its budget.
    AbraHung,
    /// abra asked a question although it was told not to.
    AbraAsked {
        /// The question as far as it was printed.
        prompt: String,
    },
    /// abra was ended by a signal that we did not send.
    AbraKilled {
        /// The signal's number.
        signal: i32,
    },
    /// abra printed something that cannot be read as what it should be.
    AbraUnreadable,
    /// The budget of the step was used up while it waited for what is named.
    Budget {
        /// What was being waited for.
        waiting_for: String,
    },
    /// The recipe's files cannot be read as one app.
    Unresolvable,
    /// A fact that was gathered before the run forbids it.
    Preflight {
        /// The name of the check.
        check: String,
    },
    /// What runs is not what was to be deployed.
    NotHead,
    /// Data that was planted is gone, or is not what it was.
    DataLost,
    /// A backup that was made without a complaint does not hold what it should.
    BackupEmpty,
    /// An assertion about the app does not hold.
    Assertion,
    /// A test of the pack panicked.
    TestPanicked,
    /// A test of the pack did not end within its budget.
    TestTimedOut {
        /// The budget in milliseconds.
        after_ms: u64,
    },
    /// The program of the pack ended before it had said how the test ended.
    TestCrashed {
        /// Its exit code, when it ended by itself.
        exit: Option<i32>,
        /// The signal that ended it, when one did.
        signal: Option<i32>,
    },
    /// A test of the pack passed only when it was tried again, and whoever started the run wants that to count as failed.
    Flaky {
        /// The attempt that passed.
        attempt: u32,
    },
    /// The test was planned, and the program of the pack does not know it.
    TestMissing,
    /// The program of the pack cannot be used: it does not start, or what it says cannot be read.
    TestProgram,
    /// Head breaks rules of lint that what it is compared with does not break.
    Lint {
        /// The numbers of the rules; none when it is no recipe that rules could be held against.
        rules: Vec<String>,
    },
    /// The engine did not answer, or answered with an error.
    Engine,
    /// A defect of taster.
    Panic,
}

impl Cause {
    /// The owner that this cause has when nothing else is known.
    pub fn owner(&self) -> Owner {
        match self {
            Cause::CrashLoop { .. }
            | Cause::AttemptsSpent { .. }
            | Cause::ExitedForGood { .. }
            | Cause::Unhealthy { .. }
            | Cause::RolledBack { .. }
            | Cause::Paused { .. }
            | Cause::NoEligibleNode { .. }
            | Cause::ImmutableConfig { .. }
            | Cause::Unresolvable
            | Cause::NotServing { .. }
            | Cause::DataLost
            | Cause::BackupEmpty
            | Cause::Lint { .. }
            | Cause::Assertion => Owner::Recipe,
            Cause::HeldResource { holder, .. } => match holder {
                Holder::Itself => Owner::Recipe,
                Holder::AnotherRun | Holder::Stranger { .. } => Owner::Infrastructure,
            },
            Cause::Reverted { .. }
            | Cause::ImageMissing { .. }
            | Cause::AbraFatal { .. }
            | Cause::AbraHung
            | Cause::AbraAsked { .. }
            | Cause::AbraKilled { .. }
            | Cause::AbraUnreadable
            | Cause::Preflight { .. }
            | Cause::NotHead
            | Cause::Engine => Owner::Infrastructure,
            // A deploy that neither settles nor fails within its own allowances does so because of the recipe's own numbers.
            Cause::Budget { .. } => Owner::Recipe,
            Cause::TestPanicked
            | Cause::TestTimedOut { .. }
            | Cause::TestCrashed { .. }
            | Cause::Flaky { .. }
            | Cause::TestMissing
            | Cause::TestProgram => Owner::Test,
            Cause::Panic => Owner::Harness,
        }
    }
}

/// Who holds a resource that a service waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "holder", rename_all = "kebab-case")]
pub enum Holder {
    /// The service's own old task.
    Itself,
    /// An app of another run of ours.
    AnotherRun,
    /// Something that is not ours.
    Stranger {
        /// What it is called, when that is known.
        name: String,
    },
}

/// Why something was not to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum SkipReason {
    /// The request did not ask for it.
    NotAsked,
    /// The recipe has no such thing, for example no backup labels.
    Structural {
        /// What it lacks.
        lacks: String,
    },
    /// Whoever started the run chose among the tests, and left this one out.
    Filtered {
        /// By which words.
        by: String,
    },
    /// The pack says that it does not apply to the recipe.
    NotApplicable {
        /// Why, in the words of the pack.
        because: String,
    },
}

impl SkipReason {
    /// That something is not there, in words: `there is no older version` of `an older version`.
    pub fn there_is_no(lacks: &str) -> String {
        let bare = ["a ", "an "].iter().find_map(|article| lacks.strip_prefix(article)).unwrap_or(lacks);
        format!("there is no {bare}")
    }
}

/// Why nothing is proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "gap", rename_all = "kebab-case")]
pub enum Gap {
    /// A step before it did not get far enough.
    NotRun {
        /// The step or fact that stood in the way.
        because: String,
    },
    /// Somebody else changed the app while it was looked at.
    Interfered {
        /// What was changed.
        what: String,
    },
    /// What the recipe's files were taken to say is not what runs, so nothing can rest on it.
    ResolverDisagrees {
        /// What differs.
        what: String,
    },
    /// An upgrade to files that ask for nothing else than what they replace.
    NoChange,
    /// Something that it takes is not there.
    ToolAbsent {
        /// What is not there, with the remedy.
        what: String,
    },
    /// It was done, but not on head.
    NotHead {
        /// What it was done on.
        subject: Subject,
    },
    /// Something is wrong, and whether head brought it cannot be told, for what it is compared with is not known. It is shown, and
    /// counts for no verdict.
    Incomparable {
        /// What is wrong, and why that cannot be told.
        what: String,
    },
    /// The result could not be read.
    Unread {
        /// What could not be read, and why.
        what: String,
    },
    /// The run was ended before or while it ran.
    Killed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_told_without_its_article() {
        for (lacks, told) in [
            ("a volume of its own", "there is no volume of its own"),
            ("an older version", "there is no older version"),
            ("value of POST_DEPLOY_CMDS", "there is no value of POST_DEPLOY_CMDS"),
        ] {
            assert_eq!(SkipReason::there_is_no(lacks), told);
        }
    }
}
