//! Whether a stack has settled: a fold of observations, [`Watch`], and its evaluation, [`evaluate`].
//!
//! The facts about the engine behind these rules are in docs/reference/swarm.md 1 to 3.

mod allowance;
mod cadence;
mod evaluate;
mod service_state;
mod slots;
mod task_error;
mod view;
mod watch;

pub use allowance::{allowance, health_allowance, roll_budget, roll_budget_of};
pub use cadence::Cadence;
pub use evaluate::{Blocker, Evaluation, WATCHDOG, evaluate};
pub use task_error::registry_fault;
pub use view::{
    Endpoint, Health, HostPort, Index, Mode, Observation, OnFailure, Order, RestartCondition, RestartPolicy, RollPolicy,
    ServiceView, SpecDigest, TaskState, TaskView, UpdateState, UpdateView,
};
pub use watch::{DecisiveTask, Goal, Marks, Watch, observe_into};
