//! The loop: ask what is next, perform it, wait for whatever wakes it, record what came of it. Only this sequences steps.

pub mod facts;
pub mod log;
pub mod signals;
pub mod steps;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    time::Duration,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{AbortHandle, Abortable, LocalBoxFuture},
    stream::{BoxStream, FuturesUnordered},
};

use crate::{
    adapters::folder::Folder,
    engine::{
        facts::{Found, Given, attached::Attached},
        log::Log,
        steps::Context,
    },
    model::{
        host::{Host, Limits},
        outcome::{Cause, Failure, Gap, Outcome, Owner, Tier},
        pack::{Pack, TestName},
        refusal::Refusal,
        request::Request,
        time::format_duration,
    },
    ports::Ports,
    pure::{
        recipe::{compose::Tree, upgrade_base::Green},
        run::{
            event::{Cancel, JOURNAL_VERSION, Kind, Note},
            facts::{Before, Facts},
            plan::{self, Class, Plan, Planned, StepId},
            state::{Next, RunState, next as next_steps, tried_again},
        },
    },
};

/// All that can wake the engine.
#[derive(Debug)]
enum Wake {
    /// A step ended.
    StepDone(StepId, Outcome),
    /// A signal came.
    Signal(i32),
    /// The run's deadline passed.
    Deadline,
    /// The run's guardian ended, although nobody had told it to.
    GuardianLost(String),
}

/// What earlier runs of a recipe on a host say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// The last green run whose head had a version.
    pub green: Option<Green>,
    /// The custom tests of the last green run that had any.
    pub tests: BTreeSet<TestName>,
}

/// What a run is made of.
pub struct Run<'a> {
    /// What was asked for.
    pub request: Request,
    /// What earlier runs of the recipe on this host say.
    pub history: Past,
    /// Where it is tasted.
    pub host: Host,
    /// The recipe's pack; empty without one.
    pub pack: Pack,
    /// The outside.
    pub ports: &'a Ports,
    /// The log.
    pub log: &'a Log,
    /// The run's folder.
    pub folder: &'a Folder,
    /// The signals that end the run early, by their numbers.
    pub signals: BoxStream<'static, i32>,
    /// The losses of the run's guardian, each with one sentence on what becomes of it.
    pub losses: BoxStream<'static, String>,
}

/// Takes a run from its request to its end and gives its last state. Whatever happens, what was claimed is swept.
pub async fn run(run: Run<'_>) -> RunState {
    run_by(plan::plan, run).await
}

/// [`run`] with another plan, so that tests can show what becomes of a run whose plan lacks something.
pub async fn run_by(decide: impl Fn(&Request, &Facts, &Limits) -> Result<Plan, Refusal>, run: Run<'_>) -> RunState {
    let Run { request, history, host, pack, ports, log, folder, signals, losses } = run;
    let given = Given { request: &request, host: &host, pack: &pack, history: history.green.as_ref() };
    let ready = async |found: &Found| {
        let facts = facts::gather(given, ports, log, folder, found).await?;
        let plan = decide(&request, &facts, &host.limits)?;
        Ok(Ready { plan, tree: facts.tree, before: facts.before, pack: facts.pack })
    };
    conduct(ready, given, &history.tests, Outside { ports, log, folder, signals, losses }).await
}

/// Runs custom tests on an app that another run keeps. Nothing of that app is claimed, and nothing of it is removed; the caller holds
/// the lock of the run that keeps it.
pub async fn attach(attached: &Attached, run: Run<'_>) -> RunState {
    let Run { request, host, pack, ports, log, folder, signals, losses, .. } = run;
    let given = Given { request: &request, host: &host, pack: &pack, history: None };
    let ready = async |found: &Found| {
        let pack = facts::attached::gather(attached, given, ports, log, folder, found).await?;
        let plan = plan::attached(&request, attached.head.clone(), pack.clone())?;
        Ok(Ready { plan, tree: Tree::default(), before: None, pack })
    };
    // The app's own run has told of what vanished.
    conduct(ready, given, &BTreeSet::new(), Outside { ports, log, folder, signals, losses }).await
}

/// What a plan is performed with.
struct Ready {
    plan: Plan,
    tree: Tree,
    before: Option<Before>,
    pack: Pack,
}

/// What a run acts through, and what can end it early or has to be told.
struct Outside<'a> {
    ports: &'a Ports,
    log: &'a Log,
    folder: &'a Folder,
    signals: BoxStream<'static, i32>,
    losses: BoxStream<'static, String>,
}

/// Takes a run from its first event to its last, with what `ready` makes of the facts. `known` are the custom tests of the last green
/// run that had any.
async fn conduct(
    ready: impl AsyncFnOnce(&Found) -> Result<Ready, Refusal>,
    given: Given<'_>,
    known: &BTreeSet<TestName>,
    outside: Outside<'_>,
) -> RunState {
    let Given { request, host, pack, .. } = given;
    let Outside { ports, log, folder, mut signals, mut losses } = outside;
    log.record(Kind::RunStarted {
        version: JOURNAL_VERSION,
        run: folder.run().clone(),
        taster: env!("CARGO_PKG_VERSION").into(),
        request: request.clone(),
        host: host.clone(),
    });
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
    let without = |plan| Ready { plan, tree: Tree::default(), before: None, pack: pack.clone() };
    let Ready { plan, tree, before, pack } = match gathered {
        Some(Ok(ready)) => ready,
        Some(Err(refusal)) => without(Plan::refused(refusal)),
        None => without(Plan::ended_early()),
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
    say_of_the_pack(&plan, &request.with_custom_tier_by_default(&plan.pack), log);
    say_what_vanished(&plan, request, known, log);
    perform(&plan, &context, &mut signals, &mut losses, deadline.as_mut()).await;
    log.record(Kind::RunFinished);
    log.state()
}

/// The loop proper.
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
        if let Some(message) = log.broken().filter(|_| log.state().cancel.is_none()) {
            // Without a journal nothing more can be claimed, so nothing more may be made.
            cancel(log, Cancel::Journal { message });
            end_tiers(plan, &handles);
        }
        match next_steps(plan, &log.state()) {
            Next::Finished => return,
            Next::Start(ids) => {
                for planned in ids.iter().filter_map(|id| plan.step(id)) {
                    let (handle, step) = begun(context, planned, 1);
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
                match (tried_again(plan, &log.state(), &step, &outcome), plan.step(&step)) {
                    (Some((failure, next)), Some(planned)) => {
                        log.record(Kind::AttemptFailed { step: step.clone(), attempt: next - 1, failure });
                        let (handle, again) = begun(context, planned, next);
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

/// An attempt of a step that has begun, and what ends it early.
fn begun<'a>(
    context: &'a Context<'_>,
    planned: &'a Planned,
    attempt: u32,
) -> (AbortHandle, LocalBoxFuture<'a, (StepId, Outcome)>) {
    let id = planned.id.clone();
    context.log.record(Kind::StepStarted { step: id.clone(), attempt });
    let (handle, registration) = AbortHandle::new_pair();
    let step = Abortable::new(bounded(context, planned), registration);
    (handle, step.map(|done| (id, done.unwrap_or(Outcome::Unverified(Gap::Killed)))).boxed_local())
}

/// What a reader must know of the pack before anything is run.
fn say_of_the_pack(plan: &Plan, request: &Request, log: &Log) {
    for text in &plan.pack.warnings {
        log.record(Kind::Warned { text: text.clone() });
    }
    let superficial = plan.pack.superficial().filter(|_| plan.head.is_some() && request.tiers.contains(&Tier::Custom));
    if let Some(text) = superficial {
        log.note(Note::Remark { text });
    }
}

/// Tests that the last green run had and that are not planned: less is looked at than before, which nobody should have to notice.
fn say_what_vanished(plan: &Plan, request: &Request, known: &BTreeSet<TestName>, log: &Log) {
    if plan.head.is_none() || !request.tiers.contains(&Tier::Custom) {
        return;
    }
    let now: BTreeSet<&TestName> = plan.pack.functions_of(Tier::Custom).collect();
    let tests: Vec<String> = known.iter().filter(|test| !now.contains(test)).map(ToString::to_string).collect();
    if tests.is_empty() {
        return;
    }
    for test in &tests {
        log.record(Kind::Warned {
            text: format!("{test}: was among the custom tests of the last green run and is not any more"),
        });
    }
    log.note(Note::Vanished { tests });
}

fn cancel(log: &Log, why: Cancel) {
    log.record(Kind::CancelRequested { why });
}

/// Ends the running steps that are not always done. Their futures are dropped; the children that they started are in the
/// journal, and the sweep ends them.
fn end_tiers(plan: &Plan, handles: &BTreeMap<StepId, AbortHandle>) {
    for (id, handle) in handles {
        if plan.step(id).is_some_and(|planned| planned.class != Class::Always) {
            handle.abort();
        }
    }
}

/// A step within its budget, and with a panic turned into a failure of ours.
async fn bounded(context: &Context<'_>, planned: &Planned) -> Outcome {
    let step = AssertUnwindSafe(steps::perform(context, planned)).catch_unwind();
    match tokio::time::timeout(planned.budget(), step).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::Failed(panicked(&format!("step {}", planned.id))),
        Err(_) => Outcome::Failed(over_budget(&context.log.state(), &planned.id, planned.budget())),
    }
}

fn panicked(who: &str) -> Failure {
    Failure::new(Cause::Panic, format!("{who} panicked; this is a defect of taster"))
}

fn over_budget(state: &RunState, id: &StepId, budget: Duration) -> Failure {
    let waiting_for = state.steps.get(id).map(|step| step.waiting_for.join("; ")).unwrap_or_default();
    let message = if waiting_for.is_empty() {
        format!("step {id} did not end within {}", format_duration(budget))
    } else {
        format!("step {id} did not end within {}; it waited for {waiting_for}", format_duration(budget))
    };
    // A step that can blame the recipe for its slowness ends by its own patience before; this is the net below it.
    Failure::new(Cause::Budget { waiting_for }, message).owned_by(Owner::Infrastructure)
}

/// The next one of a stream whose end nobody waits for.
async fn next<T>(stream: &mut BoxStream<'static, T>) -> T {
    match stream.next().await {
        Some(next) => next,
        None => std::future::pending().await,
    }
}
