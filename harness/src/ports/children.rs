//! The child processes of a run: the register of them, and their end.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::names::RunId;

/// Child processes that a run started and that may have outlived it.
#[async_trait]
pub trait Children: Send + Sync {
    /// Ends a child with all that it started, at once, and returns when none of them lives any more or `timeout` has passed.
    /// Processes that are not the child's are never touched, also when they have its process id by now.
    async fn end(&self, child: &Child, timeout: Duration) -> Result<(), ChildError>;
}

/// A child process as the journal names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// The run that started it.
    pub run: RunId,
    /// Its process id, which is its group's and session's too.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// What it does.
    pub doing: String,
}

/// Why a child could not be ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChildError {
    /// It, or a process that it started, lives on.
    #[error("process {pid} still runs ({doing})")]
    LivesOn {
        /// A process that lives on.
        pid: i32,
        /// What the child does.
        doing: String,
    },
    /// A process has its id and its start, and not the environment that the run gives to its children.
    #[error("process {pid} is left alone: it has the id and the start of a child of the run ({doing}), and not its environment")]
    Unproved {
        /// The process.
        pid: i32,
        /// What the child does.
        doing: String,
    },
    /// The table of processes cannot be read.
    #[error("cannot read the table of processes: {message}")]
    Unreadable {
        /// The system's message.
        message: String,
    },
}

/// The durable register of a run's child processes, so that another process can end them when the run cannot.
#[async_trait]
pub trait ChildRegister: Send + Sync {
    /// Registers a child before it acts: it waits until this returns. After an error the child is ended.
    async fn started(&self, pid: i32, start_ticks: u64, doing: &str) -> Result<(), RegisterError>;
    /// Registers the end of a child and of all that it had started.
    async fn ended(&self, pid: i32);
}

/// A child cannot be registered.
#[derive(Debug, thiserror::Error)]
#[error("process {pid} cannot be registered")]
pub struct RegisterError {
    /// The child's process id.
    pub pid: i32,
    /// The cause.
    pub source: Box<dyn Error + Send + Sync>,
}
