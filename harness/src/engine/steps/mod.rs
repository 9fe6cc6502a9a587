//! The steps of a run, each performed through ports. A step never calls another; only the engine sequences them.

mod again;
mod backup;
mod canaries;
mod clean;
pub mod cleanup;
mod compare_host;
mod configure;
pub mod custom;
mod deploy;
pub mod executable;
mod http;
mod keep;
mod lint;
mod migrate;
mod post_deploy;
mod provision;
mod remove;
mod screenshot;
pub mod shared;
mod stable;
mod undeploy;
mod verify_compose;
mod verify_head;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use tokio::sync::OnceCell;

use crate::{
    adapters::folder::Folder,
    engine::{facts::Earlier, log::Log},
    model::{
        engine::SwarmError,
        head::Head,
        host::Host,
        names::EngineId,
        object::ObjectId,
        outcome::{Cause, Failure, Gap, Outcome, Owner, Tier},
        pack::{Pack, TestName},
    },
    ports::{AbraError, CheckoutError, Ports},
    pure::{
        host::claim::{Claim, Claimed},
        recipe::{compose::Tree, upgrade_base::Base},
        run::{
            event::{Kind, tail},
            facts::Before,
            plan::{Class, Planned, Step, StepId},
        },
    },
};

/// All that steps share: the outside, the log, the run's folder, and what was found before the run.
pub struct Context<'a> {
    /// The outside.
    pub ports: &'a Ports,
    /// The log.
    pub log: &'a Log,
    /// The run's folder.
    pub folder: &'a Folder,
    /// The host.
    pub host: &'a Host,
    /// What is under test; absent when the run was refused.
    pub head: Option<Head>,
    /// Its files; none when the run was refused.
    pub tree: Tree,
    /// What it is upgraded from, with its files; absent without an upgrade.
    pub base: Option<(Base, Before)>,
    /// The recipe's pack; empty without one.
    pub pack: Pack,
    /// The functions that the pack's program has, once it was asked.
    pub reported: OnceCell<BTreeSet<TestName>>,
    /// What lint compares head with; absent when the run was refused.
    pub against: Option<Base>,
    /// The Swarm; absent when it did not answer before the run.
    pub engine: Option<EngineId>,
    /// What there was before the run; absent when the Swarm could not be read.
    pub before: Option<Earlier>,
    /// The objects that our own removals named.
    pub touched: RefCell<BTreeSet<ObjectId>>,
    /// The values of the secrets that abra made, by their names. Whoever runs the app has saved them, for abra shows them once.
    pub secrets: RefCell<BTreeMap<String, String>>,
    /// Whether abra said that it deployed the app and the engine has shown nothing of it so far.
    pub unseen: Cell<bool>,
}

impl Context<'_> {
    fn head(&self) -> Result<&Head, Failure> {
        self.head.as_ref().ok_or_else(|| defect("a step of an app runs although no app is planned"))
    }

    /// The compose file that base is repaired with, as long as nothing was deployed: head never is.
    fn repair(&self) -> Option<&String> {
        let before = self.base.as_ref().filter(|_| self.log.state().deploys == 0);
        before.and_then(|(_, before)| before.repair.as_ref())
    }

    /// Whether anything is added to the app between `app new` and its first deploy.
    fn wires(&self) -> bool {
        self.pack.wires() || self.repair().is_some()
    }

    fn base(&self) -> Result<&(Base, Before), Failure> {
        self.base.as_ref().ok_or_else(|| defect("a step of an upgrade runs although there is no base"))
    }

    fn claim(&self, what: Claimed) -> Result<Claim, Failure> {
        let engine = self.engine.as_ref().ok_or_else(|| defect("something is claimed although no Swarm is known"))?;
        self.log
            .claim(what, engine)
            .map_err(|error| Failure::new(Cause::Engine, format!("the journal cannot take the claim: {error}")))
    }
}

/// A text that is kept in the run's folder for whoever reads the results.
struct Evidence<'a> {
    /// The step that it belongs to.
    step: &'a StepId,
    /// The name of the file, within the folder of evidence.
    name: &'a str,
    /// What it shows.
    what: String,
}

impl Evidence<'_> {
    /// Keeps `text` with its secrets hidden, and says where. One that cannot be kept makes nothing less true, so that is a warning.
    fn keep(self, context: &Context<'_>, text: &str) -> Option<PathBuf> {
        let Evidence { step, name, what } = self;
        // The end is cut off behind the filter: what a cut leaves of a secret could not be told for one.
        let text = context.log.redact(text);
        match context.folder.keep(name, &text) {
            Ok(file) => {
                context.log.record(Kind::EvidenceKept { step: step.clone(), file: file.clone(), what, tail: tail(&text) });
                Some(file)
            }
            Err(error) => {
                context.log.record(Kind::Warned { text: format!("{name} of {step} is not kept: {error}") });
                None
            }
        }
    }

    /// The failure with `text` as what shows it, where that can be kept.
    fn of(self, failure: Failure, context: &Context<'_>, text: &str) -> Failure {
        match self.keep(context, text) {
            Some(file) => Failure { evidence: file.display().to_string(), ..failure },
            None => failure,
        }
    }
}

fn defect(sentence: &str) -> Failure {
    Failure::new(Cause::Panic, sentence)
}

/// Performs a step to its end. The engine bounds it by the step's budget.
pub async fn perform(context: &Context<'_>, planned: &Planned) -> Outcome {
    let id = &planned.id;
    if let Some(gap) = not_on_head(context, &planned.step) {
        return Outcome::Unverified(gap);
    }
    let outcome = match &planned.step {
        Step::Provision => ended(provision::provision(context).await),
        Step::Deploy { subject } => deploy::deploy(context, id, planned.budget(), *subject).await,
        Step::Migrate => ended(migrate::migrate(context).await),
        Step::Upgrade => deploy::upgrade(context, id, planned.budget()).await,
        Step::VerifyHead => verify_head::verify_head(context, id).await,
        Step::VerifyCompose => verify_compose::verify_compose(context, id).await,
        Step::Http => http::http(context, id, planned.budget()).await,
        Step::Stable => stable::stable(context, id).await,
        Step::Seed => canaries::seed(context, planned).await,
        Step::Check { moment } => canaries::look(context, planned, *moment).await,
        Step::Corrupt => canaries::corrupt(context, planned).await,
        Step::Backup => backup::backup(context, id, planned.budget()).await,
        Step::Restore => backup::restore(context, id, planned.budget()).await,
        Step::ForgetSnapshot | Step::Undeploy | Step::Cleanup | Step::CompareHost if let Some(kept) = keep::kept(context) => kept,
        Step::ForgetSnapshot => backup::forget(context).await,
        Step::Configure => ended(configure::configure(context, planned).await),
        Step::Custom { test } => custom::custom(context, planned, test).await,
        Step::Screenshot => screenshot::screenshot(context, planned.budget()).await,
        Step::Lint { subject } => lint::lint(context, id, planned.budget(), *subject).await,
        Step::PostDeploy { after } => post_deploy::perform(context, id, planned.budget(), *after).await,
        Step::Combinations => again::combine(context, id),
        Step::Redeploy => again::redeploy(context, id, planned.budget()).await,
        Step::Restart => again::restart(context, id, planned.budget()).await,
        Step::Remove { data } => remove::remove(context, planned.budget(), *data).await,
        Step::Renew => ended(provision::renew(context).await),
        Step::Keep { for_ms } => keep::keep(context, Duration::from_millis(*for_ms)),
        Step::Undeploy => undeploy::undeploy(context).await,
        Step::Cleanup => clean::clean(context, planned.budget()).await,
        Step::CompareHost => compare_host::compare_host(context).await,
    };
    let outcome = match outcome {
        Outcome::Failed(failure) => Outcome::Failed(canaries::recalled(context, failure)),
        other => other,
    };
    match (planned.class, outcome, &context.base) {
        (Class::Tier(Tier::Install), Outcome::Failed(failure), Some((base, _))) => Outcome::Failed(of_base(base, failure)),
        (_, outcome, _) => outcome,
    }
}

/// Why something that is asked of head alone is not done: something else runs.
fn not_on_head(context: &Context<'_>, step: &Step) -> Option<Gap> {
    let of_head_alone = matches!(step, Step::Redeploy | Step::Restart | Step::Remove { .. });
    of_head_alone.then(|| context.log.state().not_on_head()).flatten()
}

/// The failure of an install of base: one that does not install says nothing about head, good or bad.
fn of_base(base: &Base, failure: Failure) -> Failure {
    match failure.owner {
        Owner::Recipe => {
            let message = format!("the base {base} does not install: {}; name another one with --base", failure.message);
            Failure { message, ..failure }.owned_by(Owner::Dependency)
        }
        Owner::Dependency | Owner::Infrastructure | Owner::Test | Owner::Harness => failure,
    }
}

fn ended(result: Result<(), Failure>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(failure) => Outcome::Failed(failure),
    }
}

fn check(context: &Context<'_>, step: &StepId, check: &str, outcome: &Outcome) {
    let (step, check, outcome) = (step.clone(), check.to_owned(), outcome.clone());
    context.log.record(Kind::CheckFinished { step, check, outcome });
}

/// The longest that abra may take for a command that changes files or submits a stack.
const ABRA_PATIENCE: Duration = Duration::from_secs(50);

impl From<AbraError> for Failure {
    fn from(error: AbraError) -> Self {
        let message = error.to_string();
        let cause = match error {
            AbraError::Absent { .. } => Cause::Preflight { check: "abra".into() },
            AbraError::Fatal { exit, exchange, .. } => {
                return Failure::new(Cause::AbraFatal { exit }, message).quoting(&exchange.text);
            }
            AbraError::Hung { .. } | AbraError::NotRun { .. } => Cause::AbraHung,
            AbraError::RunArgs { prompt } => Cause::AbraAsked { prompt },
            AbraError::Signalled { signal, .. } => Cause::AbraKilled { signal },
            AbraError::Unreadable { .. } => Cause::AbraUnreadable,
        };
        Failure::new(cause, message)
    }
}

impl From<SwarmError> for Failure {
    fn from(error: SwarmError) -> Self {
        Failure::new(Cause::Engine, error.to_string())
    }
}

impl From<CheckoutError> for Failure {
    fn from(error: CheckoutError) -> Self {
        Failure::new(Cause::Preflight { check: "recipe checkout".into() }, error.to_string())
    }
}

fn unread(error: &SwarmError) -> Outcome {
    Outcome::Unverified(Gap::Unread { what: error.to_string() })
}
