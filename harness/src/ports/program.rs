//! The program of a pack, as a run needs it.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;

use crate::model::{head::Head, pack::TestName, protocol::Answer};

/// The program of the recipe's pack: a test program that can list its functions and run one of them.
#[async_trait]
pub trait TestProgram: Send + Sync {
    /// The names of all functions that it has.
    async fn list(&self, budget: Duration) -> Result<BTreeSet<TestName>, ProgramError>;
    /// Runs one function on the app of `head`, in a process of its own, which is ended with all that it started when `budget` is
    /// used up.
    async fn run_one(&self, test: &TestName, head: &Head, budget: Duration) -> Result<Ran, ProgramError>;
}

/// What came of running one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How its process ended.
    pub exited: Exited,
    /// What it left as its answer, when it left one that can be read.
    pub answer: Option<Answer>,
    /// What it printed on both outputs, the last of it, without the run's secrets.
    pub output: String,
    /// The files that it left for the results.
    pub attachments: Vec<Attached>,
}

/// A file that a function left for the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// What it is called.
    pub name: String,
    /// What is in it, or why that cannot be had.
    pub bytes: Result<Vec<u8>, String>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exited {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// By us, when this budget was used up.
    Deadline(Duration),
}

/// Why the program of a pack could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started, or not be seen to its end, for a reason of the machine.
    #[error("the program of the pack was not run: {message}")]
    NotRun {
        /// Why not.
        message: String,
    },
    /// It does not say which functions it has.
    #[error("the program of the pack does not list its tests: {message}")]
    Unlisted {
        /// What it did instead.
        message: String,
    },
}
