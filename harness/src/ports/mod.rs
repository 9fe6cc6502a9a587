//! What a run needs of the outside, as traits and the values that cross them. No type of another crate that reaches outside
//! appears here, so the engine and the decisions are tested against simulated hosts.

mod abra;
pub mod abra_output;
mod browser;
mod checkout;
mod children;
mod clock;
mod data;
mod executables;
mod files;
mod machine;
mod neighbours;
mod origin;
mod pack_program;
mod reporter;
mod run_folder;
mod swarm;
mod web;

use std::sync::Arc;

pub use abra::{Abra, AbraError, Call, Exchange};
pub use browser::{Browser, BrowserError, Screenshot};
pub use checkout::{Checked, Checkout, CheckoutError};
pub use children::{Child, ChildError, ChildRegister, Children, RegisterError};
pub use clock::Clock;
pub use data::{Access, Data, ExecOutput, VolumeFile, VolumeHolder};
pub use executables::{Executables, NoExecutables};
pub use files::{FileError, Files};
pub use machine::{Machine, MachineError};
pub use neighbours::{AdmissionLock, AdmissionLockError, Neighbours};
pub use origin::{AnswerOrigin, OriginError, TaskRequest};
pub use pack_program::{AttachedFile, AttachmentError, Exited, ProgramError, Ran, TestProgram};
pub use reporter::{ReportError, Reporter};
pub use run_folder::{FolderError, RunFolder, SecretFile};
pub use swarm::{Capacity, ContainerEnd, Swarm, WakeUp};
pub use web::{Web, WebError};

pub use crate::model::http::HttpView;

/// The outside of a run.
#[derive(Clone)]
pub struct Ports {
    /// The Swarm.
    pub swarm: Arc<dyn Swarm>,
    /// Its room for one more app.
    pub capacity: Arc<dyn Capacity>,
    /// The data of the app.
    pub data: Arc<dyn Data>,
    /// abra.
    pub abra: Arc<dyn Abra>,
    /// The recipe's checkout.
    pub checkout: Arc<dyn Checkout>,
    /// The machine that taster runs on.
    pub machine: Arc<dyn Machine>,
    /// The other runs of this machine.
    pub neighbours: Arc<dyn Neighbours>,
    /// HTTP.
    pub web: Arc<dyn Web>,
    /// Where an answer comes from.
    pub origin: Arc<dyn AnswerOrigin>,
    /// The program of the recipe's pack.
    pub program: Arc<dyn TestProgram>,
    /// The browser.
    pub browser: Arc<dyn Browser>,
    /// Custom tests that are executables.
    pub executables: Arc<dyn Executables>,
    /// Claimed files.
    pub files: Arc<dyn Files>,
    /// Child processes that may have outlived their call.
    pub children: Arc<dyn Children>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
}
