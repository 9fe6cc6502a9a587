//! The sandbox: a local host that taster makes on its own machine, so that a run works on a fresh one.
//!
//! It is a test aid and stays small: an engine, a one-node Swarm, an ingress, images, recipes, a backup service, and a
//! stand-in for abra where the real one is missing. The harness does not depend on it: they meet on abra's command line, on
//! the Docker API and in a host file.

pub mod abra;
mod backup;
mod down;
mod embedded;
mod engine;
mod engine_line;
mod error;
pub mod home;
pub mod images;
pub mod ingress;
pub mod ipvs;
pub mod layout;
pub mod machine;
mod progress;
pub mod recipes;
mod status;
mod up;
mod wait;

pub use crate::{
    down::down,
    engine_line::EngineLine,
    error::{
        AdminError, CallError, EngineStartError, ImageError, LastObservation, NetworkProblem, NoEngine, ProgramError,
        SandboxError,
    },
    progress::Progress,
    status::{PartStatus, status},
    up::{Up, up},
};
