//! The plan of a run: which steps, in which order, with which budgets. Pure.

use std::{collections::BTreeMap, fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    backup::{Backed, Coverage},
    base::Base,
    canary::Moment,
    compose::Resolved,
    facts::Facts,
    model::{
        host::Limits,
        names::{Commit, Domain, RecipeName, StackName},
        outcome::{Failure, SkipReason, Subject, Tier},
        pack::{Pack, TestName},
        request::{DEFAULT_DEADLINE, Request},
        time::spoken,
    },
    preflight::Needs,
    rungs::Rung,
};

/// The name of a step in its plan: `deploy`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StepId(pub String);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a run does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// What is under test; absent when the facts refuse the run.
    pub head: Option<Head>,
    /// What the app is upgraded from; absent when the facts refuse the run.
    #[serde(default)]
    pub base: Option<Base>,
    /// What lint compares head with: base, also where no upgrade was asked for.
    #[serde(default)]
    pub against: Option<Base>,
    /// Why the run is refused, when it is. Then the plan only removes what gathering the facts left.
    pub refusal: Option<Refusal>,
    /// The steps, each after those that it names.
    pub steps: Vec<Planned>,
    /// The tiers that are not run, and why.
    pub skips: BTreeMap<Tier, SkipReason>,
    /// How much of each volume of head is in its backup; empty when it cannot be backed up.
    #[serde(default)]
    pub coverage: BTreeMap<String, Coverage>,
    /// What it needs of its host.
    #[serde(default)]
    pub needs: Needs,
    /// The recipe's pack; empty without one.
    #[serde(default)]
    pub pack: Box<Pack>,
}

/// Why a run is refused before it does anything to the Swarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "refused", rename_all = "kebab-case")]
pub enum Refusal {
    /// What was asked for cannot be done.
    Request {
        /// One sentence with the remedy.
        sentence: String,
    },
    /// The host's policy does not allow what the recipe asks for, or its names do not fit.
    Policy {
        /// One sentence each, with the remedy.
        sentences: Vec<String>,
    },
    /// The host, or the recipe as it stands, does not allow it.
    Facts(Failure),
}

/// What is under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// The recipe.
    pub recipe: RecipeName,
    /// The version that the tag on the commit names, when there is one.
    pub version: Option<String>,
    /// The commit.
    pub commit: Commit,
    /// Whether it holds changes that were not committed by the user.
    pub dirty: bool,
    /// The app's domain.
    pub domain: Domain,
    /// The app's stack.
    pub stack: StackName,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Planned {
    /// Its name.
    pub id: StepId,
    /// What it does.
    pub step: Step,
    /// The steps that must have ended before it starts.
    pub after: Vec<StepId>,
    /// What it belongs to.
    pub class: Class,
    /// The longest that it may take, in milliseconds.
    pub budget_ms: u64,
    /// What its failure means for the others.
    pub on_fail: OnFail,
}

impl Planned {
    /// The longest that it may take.
    pub fn budget(&self) -> Duration {
        Duration::from_millis(self.budget_ms)
    }
}

/// What a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A tier.
    Tier(Tier),
    /// No tier, but it runs beside them.
    Beside,
    /// It is done whatever happened.
    Always,
}

/// What a step's failure means for the steps after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFail {
    /// Nothing.
    Continue,
    /// The rest of its tier is not run.
    SkipTier,
    /// No further tier is run.
    EndTiers,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Makes the app known to abra: `.env` and secrets.
    Provision,
    /// Wires the app as its pack says, before its first deploy.
    Wire,
    /// Deploys base or head where nothing is deployed, and waits until it has settled.
    Deploy {
        /// Which of them.
        #[serde(default)]
        subject: Subject,
    },
    /// Brings the `.env` and the secrets of the running app up to head, as an operator would.
    Migrate,
    /// Deploys head over base and waits until it has settled.
    Upgrade,
    /// Proves that head is what runs, and removes the services that it dropped.
    Prove,
    /// Holds what the recipe's files were taken to say against what runs.
    Calibrate,
    /// Waits for an answer of the app itself through the ingress.
    Answer,
    /// Looks once more whether everything that settled still stands.
    Steady,
    /// Plants canaries.
    Plant,
    /// Looks for the canaries.
    Check {
        /// When in the app's life.
        moment: Moment,
    },
    /// Spoils the canaries, so that only a restore brings them back.
    Spoil,
    /// Has the backup service make a snapshot.
    Backup,
    /// Restores the snapshot.
    Restore,
    /// Has the backup service forget the snapshot.
    Forget,
    /// Runs a function of the recipe's pack.
    Custom {
        /// Its name.
        test: TestName,
    },
    /// Lints base or head on a pristine clone, beside everything else.
    Lint {
        /// Which of them.
        subject: Subject,
    },
    /// Asks abra to undeploy the app.
    Undeploy,
    /// Removes all that the run claimed, until two looks in a row show nothing.
    Sweep,
    /// Compares the world with what it was before the run.
    Compare,
}

impl Step {
    /// Whether it replaces what runs by head.
    pub fn upgrades(&self) -> bool {
        matches!(self, Step::Upgrade)
    }
}

/// How long abra may take for one command that only reads or writes files.
const ABRA_BUDGET: Duration = Duration::from_secs(60);
/// How long lint of one commit may take.
const LINT_BUDGET: Duration = Duration::from_secs(60);
/// How long a stack may take to settle before the step gives up. The judge fails it earlier by the services' own numbers.
const SETTLE_BUDGET: Duration = Duration::from_secs(1200);
/// How long an app may take to answer once it has settled, unless its timeout label says otherwise.
const ANSWER_BUDGET: Duration = Duration::from_secs(300);
/// How long the backup service may take for a snapshot or its restore, and the services until they stand again.
const BACKUP_BUDGET: Duration = Duration::from_secs(900);
/// How long one function of a pack may take.
const CUSTOM_BUDGET: Duration = Duration::from_secs(120);
/// How long removing everything may take.
const SWEEP_BUDGET: Duration = Duration::from_secs(120);

/// The plan for a head: the tiers that were asked for on one deployment, then removing everything again. Refused where the recipe's own health checks need longer
/// than they are given.
pub fn plan(request: &Request, facts: &Facts, limits: &Limits) -> Result<Plan, Refusal> {
    let mut skips: BTreeMap<Tier, SkipReason> =
        Tier::ALL.into_iter().filter(|tier| !request.tiers.contains(tier)).map(|tier| (tier, SkipReason::NotAsked)).collect();
    for (rung, tiers) in [(Rung::Upgrade, &[Tier::Upgrade][..]), (Rung::BackupRestore, &[Tier::Backup, Tier::Restore])] {
        let because = facts.pack.not_applicable(rung.name()).map(str::to_owned);
        for (tier, because) in tiers.iter().zip(because.into_iter().cycle()) {
            skips.entry(*tier).or_insert(SkipReason::NotApplicable { because });
        }
    }
    if let Base::None { .. } = facts.base {
        skips.entry(Tier::Upgrade).or_insert_with(|| SkipReason::Structural { lacks: "an older version".into() });
    }
    let upgrades = !skips.contains_key(&Tier::Upgrade);
    let backed = Backed::of(&facts.resolved);
    if !backed.enabled() {
        for tier in [Tier::Backup, Tier::Restore] {
            skips.entry(tier).or_insert_with(|| SkipReason::Structural { lacks: "a label backupbot.backup".into() });
        }
    }
    let runs = |tier| !skips.contains_key(&tier);
    let mut steps = install_tier(request, facts, limits, upgrades)?;
    if upgrades || runs(Tier::Restore) {
        steps.push(planned("plant", Step::Plant, &["steady", "calibrate"], Class::Beside, ABRA_BUDGET, OnFail::Continue));
    }
    if upgrades {
        steps.extend(upgrade_tier(request, facts, limits)?);
    }
    if runs(Tier::Backup) {
        let before = last(&steps);
        steps.push(planned("backup", Step::Backup, &[&before], Class::Tier(Tier::Backup), BACKUP_BUDGET, OnFail::Continue));
    }
    if runs(Tier::Restore) {
        let before = last(&steps);
        steps.extend(restore_tier(&before));
    }
    let before = last(&steps);
    let always = Class::Always;
    if runs(Tier::Backup) {
        steps.push(planned("forget", Step::Forget, &[&before], always, ABRA_BUDGET, OnFail::Continue));
    }
    steps.extend(lint(facts));
    steps.push(planned("undeploy", Step::Undeploy, &["calibrate", LINT, &before], always, ABRA_BUDGET, OnFail::Continue));
    steps.extend(clean_up(if runs(Tier::Backup) { &["undeploy", "forget"] } else { &["undeploy"] }));
    let (head, base, against) = (Some(facts.head.clone()), Some(facts.base.clone()), Some(facts.against.clone()));
    with_pack(request, &facts.pack, &mut steps, &mut skips);
    let covered = facts.resolved.volumes.keys().filter(|_| backed.enabled());
    let coverage = covered.map(|volume| (volume.clone(), backed.coverage(volume))).collect();
    Ok(Plan {
        head,
        base,
        against,
        refusal: None,
        steps,
        skips,
        coverage,
        needs: facts.needs.clone(),
        pack: Box::new(facts.pack.clone()),
    })
}

/// The name of the step that lints head, and of the one that lints what head is compared with.
const LINT: &str = "lint";
const LINT_BASE: &str = "lint-base";

/// Lint of head, after that of what it is compared with, which says what head introduced.
fn lint(facts: &Facts) -> Vec<Planned> {
    let step =
        |id, subject, after: &[&str]| planned(id, Step::Lint { subject }, after, Class::Beside, LINT_BUDGET, OnFail::Continue);
    match facts.against.commit() {
        Some(_) => vec![step(LINT_BASE, Subject::Base, &[]), step(LINT, Subject::Head, &[LINT_BASE])],
        None => vec![step(LINT, Subject::Head, &[])],
    }
}

/// The install of base where there is an upgrade to come, else of head.
fn install_tier(request: &Request, facts: &Facts, limits: &Limits, upgrades: bool) -> Result<Vec<Planned>, Refusal> {
    let install = Class::Tier(Tier::Install);
    let (subject, resolved) = match &facts.before {
        Some(before) if upgrades => (Subject::Base, &before.resolved),
        Some(_) | None => (Subject::Head, &facts.resolved),
    };
    let settle = settle_budget(request, resolved, limits)?;
    // abra refuses to deploy a release by its version that breaks a rule of severity error; then it is deployed as it is checked out.
    let before_deploy: &[&str] = match subject {
        Subject::Base => &["provision", LINT_BASE],
        Subject::Head | Subject::Mixed => &["provision"],
    };
    Ok(vec![
        planned("provision", Step::Provision, &[], install, ABRA_BUDGET, OnFail::EndTiers),
        planned("deploy", Step::Deploy { subject }, before_deploy, install, settle, OnFail::EndTiers),
        planned("calibrate", Step::Calibrate, &["deploy"], Class::Beside, ABRA_BUDGET, OnFail::Continue),
        planned("answer", Step::Answer, &["deploy"], install, ANSWER_BUDGET, OnFail::Continue),
        planned("steady", Step::Steady, &["answer"], install, ABRA_BUDGET, OnFail::Continue),
    ])
}

/// The upgrade in place. A tier that failed bars the rest of itself only: what comes later is done on what runs then, and says so.
fn upgrade_tier(request: &Request, facts: &Facts, limits: &Limits) -> Result<Vec<Planned>, Refusal> {
    let tier = Class::Tier(Tier::Upgrade);
    let settle = settle_budget(request, &facts.resolved, limits)?;
    let answer = "answer-upgrade";
    Ok(vec![
        planned("migrate", Step::Migrate, &["plant"], tier, ABRA_BUDGET, OnFail::SkipTier),
        planned("upgrade", Step::Upgrade, &["migrate"], tier, settle, OnFail::SkipTier),
        planned("prove", Step::Prove, &["upgrade"], tier, ABRA_BUDGET, OnFail::Continue),
        planned(answer, Step::Answer, &["prove"], tier, ANSWER_BUDGET, OnFail::Continue),
        planned("check-upgrade", Step::Check { moment: Moment::AfterUpgrade }, &[answer], tier, ABRA_BUDGET, OnFail::Continue),
        planned("steady-upgrade", Step::Steady, &["check-upgrade"], tier, ABRA_BUDGET, OnFail::Continue),
    ])
}

/// Data is spoiled, restored, and looked for. Where there is no snapshot, nothing is spoiled.
fn restore_tier(before: &str) -> Vec<Planned> {
    let tier = Class::Tier(Tier::Restore);
    let moment = Moment::AfterRestore;
    vec![
        planned("spoil", Step::Spoil, &[before], tier, ABRA_BUDGET, OnFail::SkipTier),
        planned("restore", Step::Restore, &["spoil"], tier, BACKUP_BUDGET, OnFail::SkipTier),
        planned("answer-restore", Step::Answer, &["restore"], tier, ANSWER_BUDGET, OnFail::Continue),
        planned("check-restore", Step::Check { moment }, &["answer-restore"], tier, ABRA_BUDGET, OnFail::Continue),
        planned("steady-restore", Step::Steady, &["check-restore"], tier, ABRA_BUDGET, OnFail::Continue),
    ]
}

fn last(steps: &[Planned]) -> String {
    steps.last().map_or_else(String::new, |planned| planned.id.0.clone())
}

/// Adds the steps of the pack: wiring before the deploy, its word on readiness and its checks after the install, custom tests one
/// after the other at the end.
fn with_pack(request: &Request, pack: &Pack, steps: &mut Vec<Planned>, skips: &mut BTreeMap<Tier, SkipReason>) {
    if pack.wires() {
        let wire = planned("wire", Step::Wire, &["provision"], Class::Tier(Tier::Install), CUSTOM_BUDGET, OnFail::EndTiers);
        put_between(steps, wire, "deploy");
    }
    let function = |test: &TestName, tier, before: &str, steps: &mut Vec<Planned>| {
        let step = Step::Custom { test: test.clone() };
        let step = planned(test.as_str(), step, &[], Class::Tier(tier), CUSTOM_BUDGET, OnFail::Continue);
        put_between(steps, step, before);
    };
    if pack.hooks.ready {
        function(&TestName::reported(TestName::READY), Tier::Install, "steady", steps);
    }
    for (_, check) in pack.hooks.checks.iter().filter(|(tier, _)| *tier == Tier::Install) {
        function(check, Tier::Install, "steady", steps);
    }
    if !request.tiers.contains(&Tier::Custom) {
        return;
    }
    if let Some(because) = pack.not_applicable(Tier::Custom.name()) {
        skips.insert(Tier::Custom, SkipReason::NotApplicable { because: because.to_owned() });
        return;
    }
    for test in &pack.tests {
        function(&test.name, Tier::Custom, "undeploy", steps);
    }
    for (_, check) in pack.hooks.checks.iter().filter(|(tier, _)| *tier == Tier::Custom) {
        function(check, Tier::Custom, "undeploy", steps);
    }
}

/// Puts a step before the one called `before`, which then comes after it; it comes after all that the other came after, but not after
/// what runs beside the tiers.
fn put_between(steps: &mut Vec<Planned>, mut step: Planned, before: &str) {
    let Some(at) = steps.iter().position(|planned| planned.id.0 == before) else { return };
    let beside = |id: &StepId| steps.iter().any(|planned| planned.id == *id && planned.class == Class::Beside);
    let (mut after, moved): (Vec<StepId>, Vec<StepId>) = steps[at].after.iter().cloned().partition(beside);
    step.after = moved;
    after.push(step.id.clone());
    steps[at].after = after;
    steps.insert(at, step);
}

/// How long the stack may take to settle: what the host file says, else as long as its slowest service may take by its own
/// health check, and [`SETTLE_BUDGET`] at least. A budget that is too short for a service would only prove that it is.
fn settle_budget(request: &Request, resolved: &Resolved, limits: &Limits) -> Result<Duration, Refusal> {
    let slowest = resolved.services.iter().max_by_key(|(_, service)| service.allowance());
    let Some((name, allowance)) = slowest.map(|(name, service)| (name, service.allowance())) else { return Ok(SETTLE_BUDGET) };
    let given = limits.deploy_seconds.map(Duration::from_secs);
    let refused = |what: String, remedy: &str| {
        let needs = format!("the health check of service {name} allows {} until it is healthy", spoken(allowance));
        Refusal::Request { sentence: format!("{needs}, and {what}; {remedy}") }
    };
    if let Some(given) = given.filter(|given| *given < allowance) {
        return Err(refused(
            format!("a deploy on this host may take {}", spoken(given)),
            "raise limits.deploy_seconds in the host file",
        ));
    }
    // A deadline that somebody chose is their own word, and an app is mostly healthy long before its allowance is over.
    if request.deadline == DEFAULT_DEADLINE && DEFAULT_DEADLINE < allowance {
        return Err(refused(format!("the run's deadline is {}", spoken(request.deadline)), "give it a longer --deadline"));
    }
    Ok(given.unwrap_or(SETTLE_BUDGET.max(allowance + ABRA_BUDGET)))
}

impl Plan {
    /// The plan of a run that is refused: it only removes what is already the run's.
    pub fn refused(refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), steps: clean_up(&[]), ..Self::default() }
    }

    /// The plan of a run that was ended before there was a plan.
    pub fn ended_early() -> Self {
        Self { steps: clean_up(&[]), ..Self::default() }
    }

    /// Whether base is installed first and replaced by head.
    pub fn upgrades(&self) -> bool {
        self.steps.iter().any(|planned| planned.step.upgrades())
    }

    /// The step with this name.
    pub fn step(&self, id: &StepId) -> Option<&Planned> {
        self.steps.iter().find(|planned| planned.id == *id)
    }
}

fn clean_up(after: &[&str]) -> Vec<Planned> {
    vec![
        planned("sweep", Step::Sweep, after, Class::Always, SWEEP_BUDGET, OnFail::Continue),
        planned("compare", Step::Compare, &["sweep"], Class::Always, ABRA_BUDGET, OnFail::Continue),
    ]
}

fn planned(id: &str, step: Step, after: &[&str], class: Class, budget: Duration, on_fail: OnFail) -> Planned {
    let budget_ms = u64::try_from(budget.as_millis()).unwrap_or(u64::MAX);
    let after = after.iter().map(|id| StepId((*id).to_owned())).collect();
    Planned { id: StepId(id.to_owned()), step, after, class, budget_ms, on_fail }
}
