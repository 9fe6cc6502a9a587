//! The loop: ask what is next, perform it, wait for whatever wakes it, record what came of it. Only this sequences steps.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
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
    base::Green,
    compose::Tree,
    event::{Cancel, JOURNAL_VERSION, Kind, Note},
    facts::{self, Facts, Found, Given},
    log::Log,
    model::{
        host::{Host, Limits},
        outcome::{Cause, Failure, Gap, Outcome, Owner, Tier},
        pack::Pack,
        request::Request,
        time::spoken,
    },
    plan::{Class, Plan, Planned, Refusal, StepId, plan},
    ports::Ports,
    state::{Next, RunState, next as next_steps},
    steps::{self, Context},
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

/// What a run is made of.
pub struct Run<'a> {
    /// What was asked for.
    pub request: Request,
    /// The last green run of the recipe on this host.
    pub history: Option<Green>,
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
    run_by(plan, run).await
}

/// [`run`] with another plan, so that tests can show what becomes of a run whose plan lacks something.
pub async fn run_by(plan: impl Fn(&Request, &Facts, &Limits) -> Result<Plan, Refusal>, run: Run<'_>) -> RunState {
    let Run { request, history, host, pack, ports, log, folder, mut signals, mut losses } = run;
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
    let given = Given { request: &request, host: &host, pack: &pack, history: history.as_ref() };
    let mut gathering = Box::pin(AssertUnwindSafe(facts::gather(given, ports, log, folder, &found)).catch_unwind());
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
    let (plan, tree, before) = match gathered {
        Some(Ok(facts)) => (plan(&request, &facts, &host.limits).unwrap_or_else(Plan::refused), facts.tree, facts.before),
        Some(Err(refusal)) => (Plan::refused(refusal), Tree::default(), None),
        None => (Plan::ended_early(), Tree::default(), None),
    };
    let context = Context {
        ports,
        log,
        folder,
        host: &host,
        head: plan.head.clone(),
        tree,
        pack,
        reported: tokio::sync::OnceCell::new(),
        against: plan.against.clone(),
        base: plan.base.clone().zip(before).filter(|_| plan.upgrades()),
        engine: found.engine.into_inner(),
        before: found.world.into_inner(),
        touched: RefCell::default(),
        secrets: RefCell::default(),
        unseen: Cell::default(),
    };
    log.record(Kind::Planned { plan: plan.clone() });
    say_of_the_pack(&plan, &request, log);
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
                    log.record(Kind::StepStarted { step: planned.id.clone(), attempt: 1 });
                    let (handle, registration) = AbortHandle::new_pair();
                    handles.insert(planned.id.clone(), handle);
                    let step = Abortable::new(bounded(context, planned), registration);
                    let id = planned.id.clone();
                    running.push(step.map(|done| (id, done.unwrap_or(Outcome::Unverified(Gap::Killed)))).boxed_local());
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
                log.record(Kind::StepFinished { step, outcome });
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
        format!("step {id} did not end within {}", spoken(budget))
    } else {
        format!("step {id} did not end within {}; it waited for {waiting_for}", spoken(budget))
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
