//! Outcomes of steps and checks, with the cause and the owner of a failure. The enums are closed, so that a new variant breaks
//! every match that has to consider it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{names::ServiceName, task_fault::TaskFault, text::plain};

/// A part of the app's life that a run tests. Lint runs beside the tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The app is deployed, settles and answers over HTTP.
    Install,
    /// The running app is upgraded from base to head.
    Upgrade,
    /// The backup service makes a snapshot.
    Backup,
    /// The snapshot is restored over corrupted data.
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

/// Which commit of the recipe runs. Only outcomes on head count for a rung.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// The commit that head is upgraded from.
    Base,
    /// The commit under test.
    #[default]
    Head,
    /// Services of both, or unknown.
    Mixed,
}

impl Subject {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Base => "base",
            Subject::Head => "head",
            Subject::Mixed => "mixed",
        }
    }
}

/// How a step or a check ended. A step that did not run never counts as passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", content = "detail", rename_all = "lowercase")]
pub enum Outcome {
    /// It ran, and its assertion holds.
    Passed,
    /// It ran and failed.
    Failed(Failure),
    /// It was planned not to run, for a known reason.
    Skipped(SkipReason),
    /// It did not run, or its result cannot be read. It proves nothing either way.
    Unverified(Gap),
}

impl Outcome {
    /// Whether it ran and passed.
    pub fn passed(&self) -> bool {
        matches!(self, Outcome::Passed)
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Outcome::Failed(failure)
    }
}

/// The maximum number of lines of an excerpt.
pub const EXCERPT_LINES: usize = 8;
/// The maximum number of characters of an excerpt's line.
pub const EXCERPT_WIDTH: usize = 400;

/// An outcome as one word, as results have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It ran and passed.
    Pass,
    /// It ran and failed.
    Fail,
    /// It was planned not to run.
    Skip,
    /// It was not verified.
    Unver,
}

impl Status {
    /// The name in results.
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

/// A failure with what a reader needs to act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The cause.
    pub cause: Cause,
    /// Who has to act.
    pub owner: Owner,
    /// One sentence for people.
    pub message: String,
    /// The last lines that the failing program wrote, such as the end of a log; empty when it wrote nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excerpt: Vec<String>,
    /// The evidence file, relative to the run's folder; empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evidence: String,
}

impl Failure {
    /// A failure with the default owner of its cause.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        let owner = cause.owner();
        Self { cause, owner, message: message.into(), excerpt: Vec::new(), evidence: String::new() }
    }

    /// The same failure with the last lines of `text`: at most [`EXCERPT_LINES`] lines of at most
    /// [`EXCERPT_WIDTH`] characters. Empty lines and terminal control sequences are left out.
    pub fn with_output(self, text: &str) -> Self {
        let cut = |line: &str| match line.char_indices().nth(EXCERPT_WIDTH) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line.to_owned(),
        };
        let text = plain(text);
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let excerpt = lines[lines.len().saturating_sub(EXCERPT_LINES)..].iter().map(|line| cut(line)).collect();
        Self { excerpt, ..self }
    }

    /// The message with the excerpt below it, indented.
    pub fn with_excerpt(&self) -> String {
        match self.excerpt.is_empty() {
            true => self.message.clone(),
            false => format!("{}; its last lines:\n  {}", self.message, self.excerpt.join("\n  ")),
        }
    }

    /// The same failure with the fault behind it, which decides about the owner.
    pub fn because(self, because: TaskFault) -> Self {
        let cause = match self.cause {
            Cause::RolledBack { service, .. } => Cause::RolledBack { service, because },
            Cause::Paused { service, .. } => Cause::Paused { service, because },
            Cause::Rejected { service, .. } => Cause::Rejected { service, because },
            Cause::ImageMissing { service, image, .. } => Cause::ImageMissing { service, image, because },
            other => other,
        };
        Self { cause, owner: because.owner(), ..self }
    }

    /// The same failure with another owner.
    pub fn owned_by(self, owner: Owner) -> Self {
        Self { owner, ..self }
    }
}

/// Who has to act on a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The recipe under test.
    Recipe,
    /// Another recipe that this one needs.
    Dependency,
    /// The host, its engine, its network, its registry.
    Infrastructure,
    /// The pack's test: it panicked or exceeded its own budget.
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

/// The cause of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// A task of the service ended after the app had settled, and no step of the run explains that.
    Restarted {
        /// The service whose task ended.
        service: ServiceName,
        /// The exit code, as far as the engine has it.
        exit: Option<i32>,
    },
    /// The service's tasks ended again and again, three times alike or six times in any way, while no other service made
    /// progress.
    CrashLoop {
        /// The service that crashes.
        service: ServiceName,
        /// The exit code of its last failure, when the container ran at all.
        exit: Option<i32>,
        /// How often it ended: as often alike, or else in any way, since the last progress of another service.
        times: u32,
    },
    /// The restart policy allows no further attempt. Swarm sends no event about the service from here on.
    AttemptsSpent {
        /// The service that Swarm does not start again.
        service: ServiceName,
        /// The exit code of its last failure.
        exit: Option<i32>,
    },
    /// The task ended with exit 0 under `on-failure`, so Swarm never starts it again.
    ExitedForGood {
        /// The service that ended.
        service: ServiceName,
    },
    /// The health check never passed within the service's allowance.
    Unhealthy {
        /// The service that is not healthy.
        service: ServiceName,
    },
    /// Swarm rolled the service back. The owner is that of the fault of the task for which it did so.
    RolledBack {
        /// The service that was rolled back.
        service: ServiceName,
        /// Why the new task failed.
        #[serde(default)]
        because: TaskFault,
    },
    /// Swarm paused the update or the rollback of the service. The owner is that of the fault of the task for which it did so.
    Paused {
        /// The service whose update is paused.
        service: ServiceName,
        /// Why the new task failed.
        #[serde(default)]
        because: TaskFault,
    },
    /// The engine rejected the service's tasks before their containers ran.
    Rejected {
        /// The service that cannot start.
        service: ServiceName,
        /// Why.
        because: TaskFault,
    },
    /// The service runs neither the old nor the new spec, or the old one without a rollback.
    Reverted {
        /// The service with the unexpected spec.
        service: ServiceName,
    },
    /// No node satisfies the service's placement.
    NoEligibleNode {
        /// The service that cannot be placed.
        service: ServiceName,
    },
    /// A resource that the service needs is held by another object.
    HeldResource {
        /// The service that waits.
        service: ServiceName,
        /// The resource, such as `host port 8080`.
        what: String,
        /// The holder.
        holder: Holder,
    },
    /// The image cannot be pulled.
    ImageMissing {
        /// The service that names the image.
        service: ServiceName,
        /// The image as the service names it.
        image: String,
        /// Why, as far as the engine and the registry say.
        #[serde(default)]
        because: TaskFault,
    },
    /// A config or secret was changed without a new version, which Docker refuses.
    ImmutableConfig {
        /// The config's or secret's name.
        name: String,
    },
    /// The ingress never passed on an answer of the app itself.
    NotServing {
        /// The last answer or error instead.
        last: String,
    },
    /// abra ended with a `FATA` line or a non-zero exit code.
    AbraFatal {
        /// abra's exit code.
        exit: i32,
    },
    /// abra did not end within its budget.
    AbraHung,
    /// abra prompted although it runs without input.
    AbraAsked {
        /// The prompt as printed.
        prompt: String,
    },
    /// A signal that taster did not send ended abra.
    AbraKilled {
        /// The signal's number.
        signal: i32,
    },
    /// abra's output cannot be parsed.
    AbraUnreadable,
    /// The step exceeded its budget.
    Budget {
        /// What the step waited for.
        waiting_for: String,
    },
    /// The recipe's compose files cannot be resolved.
    Unresolvable,
    /// A preflight check failed, or a preparation on this machine that is checked in the same way.
    Preflight {
        /// The name of the check.
        check: String,
    },
    /// The running services are not those of head.
    NotHead,
    /// A canary is missing or changed.
    DataLost,
    /// A backup that succeeded lacks the data that its labels name.
    BackupEmpty,
    /// An assertion about the app failed.
    Assertion,
    /// A test of the pack panicked.
    TestPanicked,
    /// A test of the pack exceeded its budget.
    TestTimedOut {
        /// The budget in milliseconds.
        after_ms: u64,
    },
    /// The pack's test program ended before it reported the test's result.
    TestCrashed {
        /// Its exit code, unless a signal ended it.
        exit: Option<i32>,
        /// The signal that ended it, if any.
        signal: Option<i32>,
    },
    /// A test of the pack passed only on a retry, and the request says that this counts as failed.
    Flaky {
        /// The attempt that passed.
        attempt: u32,
    },
    /// The pack's test program does not know the planned test.
    TestMissing,
    /// The pack's test program does not start, or its output cannot be parsed.
    TestProgram,
    /// Head breaks lint rules that base does not break.
    Lint {
        /// The rules' ids; empty when the folder is not a recipe at all.
        rules: Vec<String>,
    },
    /// The engine did not answer, or answered with an error.
    Engine,
    /// A defect of taster.
    #[serde(alias = "panic")]
    Defect,
}

impl Cause {
    /// The default owner.
    pub fn owner(&self) -> Owner {
        match self {
            Cause::Restarted { .. }
            | Cause::CrashLoop { .. }
            | Cause::AttemptsSpent { .. }
            | Cause::ExitedForGood { .. }
            | Cause::Unhealthy { .. }
            | Cause::NoEligibleNode { .. }
            | Cause::ImmutableConfig { .. }
            | Cause::Unresolvable
            | Cause::NotServing { .. }
            | Cause::DataLost
            | Cause::BackupEmpty
            | Cause::Lint { .. }
            | Cause::Assertion => Owner::Recipe,
            Cause::RolledBack { because, .. }
            | Cause::Paused { because, .. }
            | Cause::Rejected { because, .. }
            | Cause::ImageMissing { because, .. } => because.owner(),
            Cause::HeldResource { holder, .. } => match holder {
                Holder::Itself => Owner::Recipe,
                Holder::AnotherRun | Holder::Stranger { .. } => Owner::Infrastructure,
            },
            Cause::Reverted { .. }
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
            Cause::Defect => Owner::Harness,
        }
    }
}

impl TaskFault {
    /// Who has to act on it. What is not known to be the recipe's is not.
    pub fn owner(self) -> Owner {
        match self {
            TaskFault::ImageUnknown
            | TaskFault::ImagePlatform
            | TaskFault::BadMount
            | TaskFault::BadCommand
            | TaskFault::BadOption
            | TaskFault::Exited
            | TaskFault::OutOfMemory
            | TaskFault::Unhealthy => Owner::Recipe,
            TaskFault::RegistryLimit
            | TaskFault::RegistryLogin
            | TaskFault::RegistryUnreachable
            | TaskFault::ImageAbsent
            | TaskFault::EngineRefused
            | TaskFault::HostMemory
            | TaskFault::Unknown => Owner::Infrastructure,
        }
    }
}

/// The holder of a resource that a service waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "holder", rename_all = "kebab-case")]
pub enum Holder {
    /// The service's own old task.
    Itself,
    /// An app of another run of taster.
    AnotherRun,
    /// An object that belongs to no run of taster.
    Stranger {
        /// Its name; empty when unknown.
        name: String,
    },
}

/// Why a tier or a step is planned not to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum SkipReason {
    /// The request did not ask for it.
    NotAsked,
    /// The recipe lacks what the tier needs, for example backup labels.
    Structural {
        /// What it lacks.
        lacks: String,
    },
    /// The request's test filters leave this test out.
    Filtered {
        /// The filters.
        by: String,
    },
    /// The pack says that it does not apply to the recipe.
    NotApplicable {
        /// The pack's reason.
        because: String,
    },
}

impl SkipReason {
    /// The reason in words.
    pub fn sentence(&self) -> String {
        match self {
            SkipReason::NotAsked => "was not asked for".into(),
            SkipReason::Filtered { by } => format!("was left out by the choice of tests ({by})"),
            SkipReason::Structural { lacks } => Self::there_is_no(lacks),
            SkipReason::NotApplicable { because } => format!("does not apply: {because}"),
        }
    }

    /// The sentence for something that is lacking: `there is no older version` for `an older version`.
    pub fn there_is_no(lacks: &str) -> String {
        let bare = ["a ", "an "].iter().find_map(|article| lacks.strip_prefix(article)).unwrap_or(lacks);
        format!("there is no {bare}")
    }
}

/// Why an outcome is unverified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "gap", rename_all = "kebab-case")]
pub enum Gap {
    /// A precondition does not hold.
    NotRun {
        /// The precondition.
        because: String,
    },
    /// Another client changed the app during the run.
    Interfered {
        /// The change, a whole clause: `service shop_app was removed, and not by the run`.
        what: String,
    },
    /// The resolved compose files and the running services differ, so nothing can rest on the files.
    ResolverDisagrees {
        /// The differences.
        what: String,
    },
    /// The recipe's compose files cannot be resolved at all, so nothing can rest on them.
    Unresolved {
        /// The error.
        what: String,
    },
    /// The host's policy does not allow what the step would deploy, or what runs. It ends the run.
    NotPermitted {
        /// What is not allowed, a sentence each.
        sentences: Vec<String>,
    },
    /// Nothing is known that head is upgraded from.
    NoBase {
        /// Why.
        because: String,
    },
    /// The upgrade changes nothing.
    NoChange,
    /// A required tool is missing.
    ToolAbsent {
        /// The tool, with the remedy.
        what: String,
    },
    /// The step ran on another commit than head.
    NotHead {
        /// The commit that ran.
        subject: Subject,
    },
    /// Lint found errors, and without a result for base taster cannot tell whether head introduced them. Reports show them; the
    /// verdict ignores them.
    Incomparable {
        /// The errors, and why they cannot be compared.
        what: String,
    },
    /// The result cannot be read.
    Unread {
        /// What cannot be read, and why.
        what: String,
    },
    /// The answers of the app may come from something else.
    Unattributed {
        /// What may answer in its place, or what shows that it does.
        what: String,
    },
    /// The sandbox's ingress does not do what the recipe's labels ask of Traefik.
    Sandbox {
        /// What it leaves out.
        what: String,
    },
    /// The run ended before or during the step.
    #[serde(alias = "killed")]
    RunEnded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_feature_is_named_without_its_article() {
        for (lacks, expected) in [
            ("a volume of its own", "there is no volume of its own"),
            ("an older version", "there is no older version"),
            ("value of POST_DEPLOY_CMDS", "there is no value of POST_DEPLOY_CMDS"),
        ] {
            assert_eq!(SkipReason::there_is_no(lacks), expected);
        }
    }

    #[test]
    fn names_of_version_1_are_read() {
        let cause: Cause = serde_json::from_str(r#"{"cause":"panic"}"#).unwrap();
        let gap: Gap = serde_json::from_str(r#"{"gap":"killed"}"#).unwrap();
        assert_eq!((cause, gap), (Cause::Defect, Gap::RunEnded));
        assert_eq!(serde_json::to_string(&Cause::Defect).unwrap(), r#"{"cause":"defect"}"#);
        assert_eq!(serde_json::to_string(&Gap::RunEnded).unwrap(), r#"{"gap":"run-ended"}"#);
    }
}
