//! abra, as a run drives it: the calls of a run, and how they end.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    model::names::{Domain, RecipeName},
    pure::host::claim::Claim,
};

/// abra. A run has it act and believes little of what it prints.
#[async_trait]
pub trait Abra: Send + Sync {
    /// Runs one command of abra to its end. A call that changes the Swarm or the disk takes the claim that covers it.
    async fn call(&self, call: &Call, claim: Option<&Claim>, budget: Duration) -> Result<Exchange, AbraError>;
    /// The size of all files that the archive of the last download has at `path` of a snapshot, in bytes once unpacked; `None`
    /// when it has none there. Removes the archive.
    async fn downloaded(&self, path: &str) -> Result<Option<u64>, AbraError>;
}

/// The commands of abra that a run uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum Call {
    /// `abra --version`.
    Version,
    /// `abra recipe fetch`: clones the recipe.
    Fetch {
        /// The recipe.
        recipe: RecipeName,
    },
    /// `abra app new`: writes the app's `.env`. It may move the recipe's checkout.
    New {
        /// The recipe.
        recipe: RecipeName,
        /// The app's domain.
        domain: Domain,
        /// abra's name for the server.
        server: String,
    },
    /// `abra app secret generate`.
    SecretGenerate {
        /// The app.
        domain: Domain,
        /// One secret by its name and version, or all.
        one: Option<(String, String)>,
    },
    /// `abra app secret insert --file`: stores a secret whose value is in a file.
    SecretInsert {
        /// The app.
        domain: Domain,
        /// The secret's name in the compose files.
        name: String,
        /// Its version.
        version: String,
        /// The file with its value.
        file: PathBuf,
    },
    /// `abra app deploy --no-converge-checks`: deploys and returns.
    Deploy {
        /// The app.
        domain: Domain,
        /// The release that abra checks out and lints first; without one it deploys what is checked out (`--chaos`).
        version: Option<String>,
    },
    /// `abra app command`: calls a function of the recipe's `abra.sh` in a service.
    Command {
        /// The app.
        domain: Domain,
        /// The service, by its name in the compose files.
        service: String,
        /// The function.
        function: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// `abra app backup create`.
    BackupCreate {
        /// The app.
        domain: Domain,
    },
    /// `abra app backup snapshots`.
    BackupSnapshots {
        /// The app.
        domain: Domain,
    },
    /// `abra app backup list`: the files of a snapshot.
    BackupList {
        /// The app.
        domain: Domain,
        /// The snapshot.
        snapshot: String,
    },
    /// `abra app backup download`: leaves an archive in abra's working folder.
    BackupDownload {
        /// The app.
        domain: Domain,
        /// The snapshot.
        snapshot: String,
        /// The one path that is wanted, as the snapshot has it.
        path: String,
    },
    /// `abra app restore`: restores the newest snapshot. No option names another.
    Restore {
        /// The app.
        domain: Domain,
        /// Whether to ask for the hooks of the labels, which some versions run only then.
        hooks: bool,
    },
    /// `abra recipe lint` on what is checked out in a separate `ABRA_DIR`.
    Lint {
        /// The recipe.
        recipe: RecipeName,
        /// That `ABRA_DIR`.
        abra_dir: PathBuf,
        /// Whether nothing may be asked of the network.
        offline: bool,
    },
    /// `abra app undeploy`: returns before Swarm has finished.
    Undeploy {
        /// The app.
        domain: Domain,
    },
}

/// The output of a call that ended by itself with exit code 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The output as a terminal shows it at the end: no control sequences, repainted lines once.
    pub text: String,
    /// The output, byte for byte.
    pub raw: Vec<u8>,
    /// How long it took.
    pub took: Duration,
}

/// How a call of abra can fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AbraError {
    /// There is no such program, or it may not be run.
    #[error("cannot start abra at {path}: {message}")]
    Absent {
        /// Where it was looked for.
        path: String,
        /// Why it cannot be started.
        message: String,
    },
    /// It ended with an exit code other than 0.
    #[error("abra ended with exit code {exit}: {reason}")]
    Fatal {
        /// The exit code.
        exit: i32,
        /// Its `FATA` line, or its last line.
        reason: String,
        /// All that it printed.
        exchange: Exchange,
    },
    /// It did not end within its budget, so taster ended it.
    #[error("abra did not end within {after:?}; its last line: {last}")]
    Hung {
        /// The budget.
        after: Duration,
        /// Its last line.
        last: String,
    },
    /// It asked a question, and a run has no answer.
    #[error("abra asks a question that a run cannot answer: {prompt}")]
    Prompted {
        /// The question.
        prompt: String,
    },
    /// It was ended by a signal of another process.
    #[error("abra was ended by signal {signal}; its last line: {last}")]
    Signalled {
        /// The signal's number.
        signal: i32,
        /// Its last line.
        last: String,
    },
    /// taster or the machine could not run it to its end.
    #[error("abra was not run for {call}: {message}")]
    NotRun {
        /// The call.
        call: String,
        /// Why not.
        message: String,
    },
    /// Its output cannot be parsed.
    #[error("cannot read what abra printed for {call}: {message}")]
    Unreadable {
        /// The call.
        call: String,
        /// What is wrong with it.
        message: String,
    },
}
