//! What happens to a settled app of a simulated host although no step of the run asks for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use harness::{
    model::{names::ServiceName, pack::TestName, tested_app::TestedApp},
    ports::{ProgramError, Ran, TestProgram, WakeUp},
    pure::host::converge::{ServiceView, SpecDigest, TaskState, TaskView},
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// How long a function of a pack takes on a host with disturbances, before its moment and after it.
const TEST_TAKES: Duration = Duration::from_secs(3);

/// A moment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// abra makes a snapshot.
    Backup,
    /// abra restores a snapshot.
    Restore,
    /// The function of the pack with this name begins.
    Test(&'static str),
}

/// What happens to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// Its task exits, and Swarm starts another one.
    Exits(i32),
    /// Its task fails its health check, and Swarm starts another one.
    IsUnhealthy,
    /// Swarm stops its task, and starts another one.
    IsMoved,
    /// Another client kills its container, and Swarm starts another one.
    IsKilled,
    /// Another client changes its service.
    IsUpdated,
    /// Another client removes its service.
    IsRemoved,
}

/// The disturbances of a host. Clones share what has happened.
#[derive(Debug, Clone, Default)]
pub struct Disturbances {
    planned: Vec<(At, Disturbance)>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    happened: Vec<Disturbance>,
    listeners: Vec<UnboundedSender<WakeUp>>,
    /// The task that runs now.
    task: String,
}

impl Disturbances {
    /// These, each at its moment.
    pub fn of(planned: &[(At, Disturbance)]) -> Self {
        Self { planned: planned.to_vec(), inner: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run has come to that moment.
    pub fn reach(&self, at: At) {
        for (_, disturbance) in self.planned.iter().filter(|(when, _)| *when == at) {
            let mut inner = self.lock();
            let what = match disturbance {
                Disturbance::IsKilled => format!("container kill hello_app.1.{}", inner.task),
                _ => "container die hello_app.1".to_owned(),
            };
            inner.happened.push(*disturbance);
            inner.listeners.retain(|listener| listener.send(WakeUp { what: what.clone() }).is_ok());
        }
    }

    /// The service as the engine shows it after all that has happened; absent once it was removed.
    ///
    /// # Panics
    /// If the service has no task.
    pub fn shown(&self, mut service: ServiceView) -> Option<ServiceView> {
        let mut inner = self.lock();
        for disturbance in &inner.happened {
            let (state, exit, error) = match *disturbance {
                Disturbance::Exits(exit) => (TaskState::Failed, exit, format!("task: non-zero exit ({exit})")),
                Disturbance::IsUnhealthy => {
                    (TaskState::Failed, 137, "task: non-zero exit (137): dockerexec: unhealthy container".to_owned())
                }
                Disturbance::IsMoved => (TaskState::Shutdown, 0, String::new()),
                Disturbance::IsKilled => (TaskState::Failed, 137, "task: non-zero exit (137)".to_owned()),
                Disturbance::IsUpdated => {
                    service.spec = SpecDigest("of another client".into());
                    continue;
                }
                Disturbance::IsRemoved => return None,
            };
            let ended = service.tasks.remove(0);
            let id = format!("{}x", ended.id).parse().expect("a task");
            service.tasks.insert(0, TaskView { id, ..ended.clone() });
            service.tasks.push(TaskView { state, desired: TaskState::Shutdown, exit: Some(exit), error, ..ended });
        }
        inner.task = service.tasks.first().map(|task| task.id.to_string()).unwrap_or_default();
        Some(service)
    }

    /// An event for each disturbance from now on.
    pub fn wake_ups(&self) -> BoxStream<'static, WakeUp> {
        let (sender, mut receiver) = unbounded_channel();
        self.lock().listeners.push(sender);
        stream::poll_fn(move |context| receiver.poll_recv(context)).chain(stream::pending()).boxed()
    }

    /// The test program of a pack that reaches the moments of its functions.
    pub fn around(&self, program: Arc<dyn TestProgram>) -> Arc<dyn TestProgram> {
        if self.planned.is_empty() { program } else { Arc::new(DisturbedProgram { program, disturbances: self.clone() }) }
    }

    /// The service with its name, unless it was removed.
    pub fn of_stack(&self, name: ServiceName, service: ServiceView) -> Option<(ServiceName, ServiceView)> {
        Some((name, self.shown(service)?))
    }
}

struct DisturbedProgram {
    program: Arc<dyn TestProgram>,
    disturbances: Disturbances,
}

#[async_trait]
impl TestProgram for DisturbedProgram {
    async fn list(&self, budget: Duration) -> Result<std::collections::BTreeSet<TestName>, ProgramError> {
        self.program.list(budget).await
    }

    async fn run_one(&self, test: &TestName, app: TestedApp<'_>, budget: Duration) -> Result<Ran, ProgramError> {
        let moments = self.disturbances.planned.iter().map(|(at, _)| *at);
        let mine: Vec<At> = moments.filter(|at| matches!(at, At::Test(name) if *name == test.as_str())).collect();
        // What ended right after a restore would be the restore's.
        tokio::time::sleep(TEST_TAKES).await;
        mine.first().into_iter().for_each(|at| self.disturbances.reach(*at));
        tokio::time::sleep(TEST_TAKES).await;
        self.program.run_one(test, app, budget).await
    }
}
