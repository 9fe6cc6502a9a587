//! The local host that taster makes on the machine it runs on, so that the main job runs on a fresh one.
//!
//! It is a means of proof and kept small: an engine, a one-node Swarm, an ingress, images, recipes, and a thin stand-in for
//! abra where the real one is not to be had. The harness does not know it: they meet on abra's command line, on the Docker
//! API and in a host file.

pub mod abra;
mod backup;
mod down;
mod embedded;
mod engine;
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

pub use crate::{
    down::down,
    error::{
        AdminError, CallError, EngineStartError, ImageError, LastObservation, NetworkProblem, NoEngine, ProgramError,
        SandboxError,
    },
    progress::Progress,
    status::{Part, status},
    up::{Up, up},
};
