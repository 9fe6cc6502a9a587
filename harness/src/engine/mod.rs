//! The loop of a run: asks for the next steps, performs them, waits for what wakes it, and records the result.
//!
//! Only this loop sequences steps. Which steps are next is a pure function of plan and state, so a run is decided by what its
//! journal holds and by nothing else.

mod attempt;
pub mod facts;
pub mod log;
pub mod signals;
pub mod steps;
mod warnings;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
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
        facts::{Found, Gathering, Given, attached::Attached},
        log::Log,
        steps::shared::context::Context,
        warnings::{warn_of_pack, warn_of_vanished_tests},
    },
    model::{
        host::{Host, Limits},
        outcome::Outcome,
        pack::{Pack, TestName},
        refusal::Refusal,
        request::Request,
        text::with_causes,
    },
    ports::{Ports, RunFolder},
    pure::{
        recipe::{compose::Tree, upgrade_base::Green},
        run::{
            event::{Cancel, JOURNAL_VERSION, Kind, Note},
            facts::{Before, Facts},
            plan::{self, Class, Plan, StepId},
            state::{Next, RunState, next as next_steps, tried_again},
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
pub struct Past {
    /// The last green run whose head had a version.
    pub green: Option<Green>,
    /// The custom tests of the last green run that had any.
    pub tests: BTreeSet<TestName>,
}

/// The input of a run.
pub struct Run<'a> {
    /// The commit that taster was built from; absent when it was built outside of a checkout.
    pub commit: Option<&'static str>,
    /// The request.
    pub request: Request,
    /// Earlier runs of the recipe on this host.
    pub history: Past,
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
    pub losses: BoxStream<'static, String>,
}

/// Takes a run from its request to its end and returns its last state. The claims of the run are cleaned up in every case.
pub async fn run(run: Run<'_>) -> RunState {
    run_by(plan::plan, run).await
}

/// [`run`] with another plan, so that tests can show the effect of a plan that lacks something.
pub async fn run_by(decide: impl Fn(&Request, &Facts, &Limits) -> Result<Plan, Refusal>, run: Run<'_>) -> RunState {
    let Run { commit, request, history, host, pack, ports, log, folder, signals, losses } = run;
    let given = Given { request: &request, host: &host, pack: &pack, history: history.green.as_ref() };
    let ready = async |found: &Found| {
        let facts = facts::gather(Gathering { given, ports, log, folder, found }).await?;
        let plan = decide(&request, &facts, &host.limits)?;
        Ok(Ready { plan, tree: facts.tree, before: facts.before, pack: facts.pack })
    };
    conduct(ready, given, &history.tests, Outside { commit, ports, log, folder, signals, losses }).await
}

/// Runs custom tests on an app that another run keeps. It claims and removes nothing of that app; the caller holds the lock of
/// the run that keeps it.
pub async fn attach(attached: &Attached, run: Run<'_>) -> RunState {
    let Run { commit, request, host, pack, ports, log, folder, signals, losses, .. } = run;
    let given = Given { request: &request, host: &host, pack: &pack, history: None };
    let ready = async |found: &Found| {
        let pack = facts::attached::gather(attached, Gathering { given, ports, log, folder, found }).await?;
        let plan = plan::attached(&request, attached.head.clone(), pack.clone())?;
        Ok(Ready { plan, tree: Tree::default(), before: None, pack })
    };
    // The run of the app has warned of vanished tests.
    conduct(ready, given, &BTreeSet::new(), Outside { commit, ports, log, folder, signals, losses }).await
}

/// A plan and what its steps need.
struct Ready {
    plan: Plan,
    tree: Tree,
    before: Option<Before>,
    pack: Pack,
}

/// What a run acts through, and what can end it early.
struct Outside<'a> {
    commit: Option<&'static str>,
    ports: &'a Ports,
    log: &'a Log,
    folder: &'a dyn RunFolder,
    signals: BoxStream<'static, i32>,
    losses: BoxStream<'static, String>,
}

/// Takes a run from its first event to its last, with the plan that `ready` makes. `known` are the custom tests of the last green
/// run that had any.
async fn conduct(
    ready: impl AsyncFnOnce(&Found) -> Result<Ready, Refusal>,
    given: Given<'_>,
    known: &BTreeSet<TestName>,
    outside: Outside<'_>,
) -> RunState {
    let Given { request, host, pack, .. } = given;
    let Outside { commit, ports, log, folder, mut signals, mut losses } = outside;
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

    let found = Found::default();
    let mut gathering = Box::pin(AssertUnwindSafe(ready(&found)).catch_unwind());
    let gathered = loop {
        tokio::select! {
            gathered = &mut gathering => {
                break Some(gathered.unwrap_or_else(|_| Err(Refusal::Facts(panicked("gathering the facts")))));
            }
            signal = next(&mut signals) => { cancel(log, Cancel::Signal { signal }); break None }
            () = &mut deadline => { cancel(log, Cancel::Deadline); break None }
            text = next(&mut losses) => log.record(Kind::Warned { text }),
        }
    };
    drop(gathering);
    let without_facts = |plan| Ready { plan, tree: Tree::default(), before: None, pack: pack.clone() };
    let Ready { plan, tree, before, pack } = match gathered {
        Some(Ok(ready)) => ready,
        Some(Err(refusal)) => without_facts(Plan::refused(refusal)),
        None => without_facts(Plan::ended_early()),
    };
    let context = Context {
        ports,
        log,
        folder,
        host,
        head: plan.head.clone(),
        tree,
        pack,
        reported: tokio::sync::OnceCell::new(),
        against: plan.against.clone(),
        base: plan.base.clone().zip(before).filter(|_| plan.upgrades()),
        engine: found.engine.into_inner(),
        before: found.before.into_inner(),
        touched: RefCell::default(),
        secrets: RefCell::default(),
        unseen: Cell::default(),
    };
    log.record(Kind::Planned { plan: plan.clone() });
    warn_of_pack(&plan, &request.with_custom_tier_by_default(&plan.pack), log);
    warn_of_vanished_tests(&plan, request, known, log);
    perform(&plan, &context, &mut signals, &mut losses, deadline.as_mut()).await;
    log.record(Kind::RunFinished);
    Arc::unwrap_or_clone(log.state())
}

/// The loop.
async fn perform(
    plan: &Plan,
    context: &Context<'_>,
    signals: &mut BoxStream<'static, i32>,
    losses: &mut BoxStream<'static, String>,
    mut deadline: std::pin::Pin<&mut tokio::time::Sleep>,
) {
    let log = context.log;
    let mut running: FuturesUnordered<LocalBoxFuture<'_, (StepId, Outcome)>> = FuturesUnordered::new();
    let mut handles: BTreeMap<StepId, AbortHandle> = BTreeMap::new();
    loop {
        if let Some(error) = log.broken().filter(|_| log.state().cancel.is_none()) {
            // Without a journal nothing more can be claimed, so nothing more may be made.
            cancel(log, Cancel::Journal { message: with_causes(&error) });
            end_tiers(plan, &handles);
        }
        match next_steps(plan, &log.state()) {
            Next::Finished => return,
            Next::Start(ids) => {
                for planned in ids.iter().filter_map(|id| plan.step(id)) {
                    let (handle, step) = attempt::start(context, planned, 1);
                    handles.insert(planned.id.clone(), handle);
                    running.push(step);
                }
                continue;
            }
            Next::Wait => {}
        }
        let cancelled = log.state().cancel.is_some();
        let wake = tokio::select! {
            Some((id, outcome)) = running.next() => Wake::StepDone(id, outcome),
            signal = next(signals), if !cancelled => Wake::Signal(signal),
            () = &mut deadline, if !cancelled => Wake::Deadline,
            text = next(losses) => Wake::GuardianLost(text),
        };
        match wake {
            Wake::StepDone(step, outcome) => {
                handles.remove(&step);
                let again = tried_again(plan, &log.state(), &step, &outcome);
                match (again, plan.step(&step)) {
                    (Some((failure, number)), Some(planned)) => {
                        log.record(Kind::AttemptFailed { step: step.clone(), attempt: number - 1, failure });
                        let (handle, again) = attempt::start(context, planned, number);
                        handles.insert(step, handle);
                        running.push(again);
                    }
                    (None, _) | (_, None) => log.record(Kind::StepFinished { step, outcome }),
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

/// The next item of a stream; pending for ever once the stream has ended.
async fn next<T>(stream: &mut BoxStream<'static, T>) -> T {
    match stream.next().await {
        Some(next) => next,
        None => std::future::pending().await,
    }
}
