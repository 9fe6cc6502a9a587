//! The loop of a run: asks for the next steps, performs them, waits for what wakes it, and records the result.
//!
//! Only this loop sequences steps. Which steps are next is a pure function of plan and state, so the journal alone decides a run.

mod attempt;
pub mod facts;
pub mod log;
mod settled_watch;
pub mod signals;
pub mod steps;
mod warnings;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    future::pending,
    panic::AssertUnwindSafe,
    sync::Arc,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{AbortHandle, LocalBoxFuture},
    stream::{BoxStream, FuturesUnordered},
};

use crate::{
    engine::{
        attempt::panicked,
        facts::{FactSources, HostBaseline, RunInput, attached::KeptAppFacts},
        log::Log,
        steps::shared::context::StepContext,
        warnings::{warn_of_pack, warn_of_vanished_tests},
    },
    model::{
        host::{Host, Limits},
        outcome::{Gap, Outcome},
        pack::{Pack, TestName},
        refusal::Refusal,
        request::Request,
        tested_app::Images,
        text::with_causes,
    },
    ports::{Ports, RunFolder},
    pure::{
        recipe::compose::Tree,
        run::{
            event::{Cancel, JOURNAL_VERSION, Kind, Note},
            facts::{BaseFiles, Facts},
            plan::{self, Class, Plan, StepId},
            state::{NextSteps, RunState, next as next_steps, retry_of, worst_attempt},
        },
    },
};

/// All that can wake the loop.
#[derive(Debug)]
enum Wake {
    /// A step ended.
    StepDone(StepId, Outcome),
    /// A signal came.
    Signal(i32),
    /// The run's deadline passed.
    Deadline,
    /// The run's guardian ended unexpectedly.
    GuardianLost(String),
}

/// Earlier runs of a recipe on a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The custom tests of the last green run that had any.
    pub tests: BTreeSet<TestName>,
}

/// A run to make: its request, and all that it acts through.
pub struct Run<'a> {
    /// The commit that taster was built from; absent when it was built outside of a checkout.
    pub commit: Option<&'static str>,
    /// The request.
    pub request: Request,
    /// Earlier runs of the recipe on this host.
    pub history: History,
    /// The host.
    pub host: Host,
    /// The recipe's pack; empty without one.
    pub pack: Pack,
    /// The outside.
    pub ports: &'a Ports,
    /// The log.
    pub log: &'a Log,
    /// The run's folder.
    pub folder: &'a dyn RunFolder,
    /// The signals that end the run early, by their numbers.
    pub signals: BoxStream<'static, i32>,
    /// The losses of the run's guardian, a sentence each.
    pub guardian_losses: BoxStream<'static, String>,
}

/// Takes a run from its request to its end and returns its last state. The claims of the run are cleaned up in every case.
pub async fn run(run: Run<'_>) -> RunState {
    run_with_planner(plan::plan, run).await
}

/// [`run`] with another plan, so that tests can show the effect of a plan that lacks something.
pub async fn run_with_planner(planner: impl Fn(&Request, &Facts, &Limits) -> Result<Plan, Refusal>, run: Run<'_>) -> RunState {
    let Run { commit, request, history, host, pack, ports, log, folder, signals, guardian_losses } = run;
    let input = RunInput { request: &request, host: &host, pack: &pack };
    let make_plan = async |baseline: &HostBaseline| {
        let facts = facts::gather(FactSources { input, ports, log, folder, baseline }).await?;
        let plan = planner(&request, &facts, &host.limits)?;
        let images = facts.images();
        Ok(PlannedRun { plan, tree: facts.tree, base_files: facts.base_files, images, pack: facts.pack })
    };
    run_to_end(make_plan, input, &history.tests, RunIo { commit, ports, log, folder, signals, guardian_losses }).await
}

/// Runs custom tests on an app that another run keeps. It claims and removes nothing of that app; the caller holds the lock of
/// the run that keeps it.
pub async fn attach(attached: &KeptAppFacts, run: Run<'_>) -> RunState {
    let Run { commit, request, host, pack, ports, log, folder, signals, guardian_losses, .. } = run;
    let input = RunInput { request: &request, host: &host, pack: &pack };
    let make_plan = async |baseline: &HostBaseline| {
        let pack = facts::attached::gather(attached, FactSources { input, ports, log, folder, baseline }).await?;
        let plan = plan::attached(&request, attached.head.clone(), pack.clone())?;
        Ok(PlannedRun { plan, tree: Tree::default(), base_files: None, images: attached.images.clone(), pack })
    };
    // The run of the app has warned of vanished tests.
    run_to_end(make_plan, input, &BTreeSet::new(), RunIo { commit, ports, log, folder, signals, guardian_losses }).await
}

/// A plan and what its steps need.
struct PlannedRun {
    plan: Plan,
    tree: Tree,
    base_files: Option<BaseFiles>,
    images: Images,
    pack: Pack,
}

/// What a run acts through, and what can end it early.
struct RunIo<'a> {
    commit: Option<&'static str>,
    ports: &'a Ports,
    log: &'a Log,
    folder: &'a dyn RunFolder,
    signals: BoxStream<'static, i32>,
    guardian_losses: BoxStream<'static, String>,
}

/// Takes a run from its first event to its last, with the plan that `make_plan` returns. `last_green_tests` are the custom tests
/// of the last green run that had any.
async fn run_to_end(
    make_plan: impl AsyncFnOnce(&HostBaseline) -> Result<PlannedRun, Refusal>,
    input: RunInput<'_>,
    last_green_tests: &BTreeSet<TestName>,
    io: RunIo<'_>,
) -> RunState {
    let RunInput { request, host, pack, .. } = input;
    let RunIo { commit, ports, log, folder, mut signals, mut guardian_losses } = io;
    log.record(Kind::RunStarted {
        version: JOURNAL_VERSION,
        run: folder.run().clone(),
        taster: env!("CARGO_PKG_VERSION").into(),
        commit: commit.map(str::to_owned),
        request: request.clone(),
        host: host.clone(),
    });
    if let Some(load) = ports.machine.load() {
        log.note(Note::Load { load });
    }
    let deadline = tokio::time::sleep(request.deadline);
    tokio::pin!(deadline);

    let baseline = HostBaseline::default();
    let mut gathered_facts = Box::pin(AssertUnwindSafe(make_plan(&baseline)).catch_unwind());
    let gathered = loop {
        tokio::select! {
            gathered = &mut gathered_facts => {
                break Some(gathered.unwrap_or_else(|_| Err(Refusal::Facts(panicked("gathering the facts")))));
            }
            signal = next(&mut signals) => { cancel(log, Cancel::Signal { signal }); break None }
            () = &mut deadline => { cancel(log, Cancel::Deadline); break None }
            text = next(&mut guardian_losses) => log.record(Kind::Warned { text }),
        }
    };
    drop(gathered_facts);
    let without_facts = |plan| {
        let (tree, images) = (Tree::default(), Images::default());
        PlannedRun { plan, tree, base_files: None, images, pack: pack.clone() }
    };
    let PlannedRun { plan, tree, base_files, images, pack } = match gathered {
        Some(Ok(planned)) => planned,
        Some(Err(refusal)) => without_facts(Plan::refused(refusal)),
        None => without_facts(Plan::ended_early()),
    };
    let context = StepContext {
        ports,
        log,
        folder,
        host,
        head: plan.head.clone(),
        tree,
        images,
        pack,
        listed_tests: tokio::sync::OnceCell::new(),
        lint_base: plan.against.clone(),
        base: plan.base.clone().zip(base_files).filter(|_| plan.upgrades()),
        swarm: baseline.swarm.into_inner(),
        host_before: baseline.before.into_inner(),
        removed_objects: RefCell::default(),
        inserted_secrets: RefCell::default(),
        secrets: RefCell::default(),
        added_files: RefCell::default(),
        last_deploy: RefCell::default(),
        canary_access: RefCell::default(),
        unanswered: RefCell::default(),
        killed: RefCell::default(),
        deploy_not_visible: Cell::default(),
    };
    log.record(Kind::Planned { plan: plan.clone() });
    warn_of_pack(&plan, &request.with_custom_tier_by_default(&plan.pack), log);
    warn_of_vanished_tests(&plan, request, last_green_tests, log);
    perform(&plan, &context, &mut signals, &mut guardian_losses, deadline.as_mut()).await;
    log.record(Kind::RunFinished);
    Arc::unwrap_or_clone(log.state())
}

/// The loop.
async fn perform(
    plan: &Plan,
    context: &StepContext<'_>,
    signals: &mut BoxStream<'static, i32>,
    guardian_losses: &mut BoxStream<'static, String>,
    mut deadline: std::pin::Pin<&mut tokio::time::Sleep>,
) {
    let log = context.log;
    let mut running: FuturesUnordered<LocalBoxFuture<'_, (StepId, Outcome)>> = FuturesUnordered::new();
    let mut handles: BTreeMap<StepId, AbortHandle> = BTreeMap::new();
    let mut watch: Option<LocalBoxFuture<'_, Infallible>> = None;
    loop {
        if let Some(error) = log.broken().filter(|_| log.state().cancel.is_none()) {
            // Without a journal nothing more can be claimed, so nothing more may be made.
            cancel(log, Cancel::Journal { message: with_causes(&error) });
            end_tiers(plan, &handles);
        }
        match next_steps(plan, &log.state()) {
            NextSteps::Finished => return,
            NextSteps::Start(ids) => {
                for planned in ids.iter().filter_map(|id| plan.step(id)) {
                    let (handle, step) = attempt::start(context, planned, 1);
                    handles.insert(planned.id.clone(), handle);
                    running.push(step);
                }
                continue;
            }
            NextSteps::Wait => {}
        }
        let cancelled = log.state().cancel.is_some();
        if watch.is_none() && !log.state().settled_specs.is_empty() {
            watch = Some(settled_watch::watch(context).boxed_local());
        }
        let watching = async {
            match &mut watch {
                Some(watch) => watch.await,
                None => pending().await,
            }
        };
        let wake = tokio::select! {
            never = watching => match never {},
            Some((id, outcome)) = running.next() => Wake::StepDone(id, outcome),
            signal = next(signals), if !cancelled => Wake::Signal(signal),
            () = &mut deadline, if !cancelled => Wake::Deadline,
            text = next(guardian_losses) => Wake::GuardianLost(text),
        };
        match wake {
            Wake::StepDone(step, outcome) => {
                handles.remove(&step);
                let again = retry_of(plan, &log.state(), &step, &outcome);
                match (again, plan.step(&step)) {
                    (Some((failure, number)), Some(planned)) => {
                        log.record(Kind::AttemptFailed { step: step.clone(), attempt: number - 1, failure });
                        let (handle, again) = attempt::start(context, planned, number);
                        handles.insert(step, handle);
                        running.push(again);
                    }
                    (None, _) | (_, None) => {
                        let refused = match &outcome {
                            Outcome::Unverified(Gap::NotPermitted { sentences }) => Some(sentences.clone()),
                            Outcome::Passed | Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Unverified(_) => None,
                        };
                        let outcome = worst_attempt(&log.state(), &step, outcome);
                        log.record(Kind::StepFinished { step, outcome });
                        if let Some(sentences) = refused {
                            // What policy refuses may not go on running.
                            cancel(log, Cancel::Policy { sentences });
                            end_tiers(plan, &handles);
                        }
                    }
                }
            }
            Wake::Signal(signal) => {
                cancel(log, Cancel::Signal { signal });
                end_tiers(plan, &handles);
            }
            Wake::Deadline => {
                cancel(log, Cancel::Deadline);
                end_tiers(plan, &handles);
            }
            Wake::GuardianLost(text) => log.record(Kind::Warned { text }),
        }
    }
}

fn cancel(log: &Log, why: Cancel) {
    log.record(Kind::CancelRequested { why });
}

/// Ends the running steps of tiers. Their futures are dropped; the children that they started are in the journal, and the step
/// `cleanup` ends them.
fn end_tiers(plan: &Plan, handles: &BTreeMap<StepId, AbortHandle>) {
    for (id, handle) in handles {
        if plan.step(id).is_some_and(|planned| planned.class != Class::Always) {
            handle.abort();
        }
    }
}

/// The next item of a stream; pending forever once the stream has ended.
async fn next<T>(stream: &mut BoxStream<'static, T>) -> T {
    match stream.next().await {
        Some(next) => next,
        None => pending().await,
    }
}
