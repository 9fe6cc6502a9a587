//! The program of a recipe's pack.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;

use crate::model::{pack::TestName, protocol::Answer, tested_app::TestedApp};

/// The program of the recipe's pack: a test program that can list its functions and run one of them.
#[async_trait]
pub trait TestProgram: Send + Sync {
    /// The names of all functions that it has.
    async fn list(&self, budget: Duration) -> Result<BTreeSet<TestName>, ProgramError>;
    /// Runs one function on the app, in a process of its own, which is ended with all that it started when `budget` is
    /// used up.
    async fn run_one(&self, test: &TestName, app: TestedApp<'_>, budget: Duration) -> Result<Ran, ProgramError>;
}

/// The result of running one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How its process ended.
    pub exited: Exited,
    /// Its answer, when it left one that can be read.
    pub answer: Option<Answer>,
    /// The last of what it printed on both outputs, without the run's secrets.
    pub output: String,
    /// The files that it left for the results.
    pub attachments: Vec<AttachedFile>,
}

/// A file that a function left for the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedFile {
    /// Its name.
    pub name: String,
    /// Its content.
    pub bytes: Result<Vec<u8>, AttachmentError>,
}

/// Why a file that a function left cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    /// A function may leave only files in the folder of its calls, under plain names.
    #[error("it is not in the folder of the tests, or its name is not allowed")]
    Misplaced,
    /// It is not a file, or too large.
    #[error("it is not a file of at most {most_mib} MiB")]
    Unfit {
        /// The most that a file may have, in MiB.
        most_mib: u64,
    },
    /// It cannot be read.
    #[error("it cannot be read: {message}")]
    Unreadable {
        /// The system's message.
        message: String,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exited {
    /// By itself, with this code.
    Code(i32),
    /// By a signal of another process.
    Signal(i32),
    /// By taster, when this budget was used up.
    Deadline(Duration),
}

/// Why the program of a pack could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// The machine could not start it or watch it to its end.
    #[error("the program of the pack was not run: {message}")]
    NotRun {
        /// Why not.
        message: String,
    },
    /// It does not list its functions.
    #[error("the program of the pack does not list its tests: {message}")]
    Unlisted {
        /// What it did instead.
        message: String,
    },
}
