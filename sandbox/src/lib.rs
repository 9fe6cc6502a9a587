//! The local host that taster makes on the machine it runs on, so that the main job runs on a fresh one.
//!
//! It is a means of proof and kept small: an engine, a one-node Swarm, an ingress, images, recipes, and a thin stand-in for
//! abra where the real one is not to be had. The harness does not know it: they meet on abra's command line, on the Docker
//! API and in a host file.

pub mod abra;
mod admin;
pub mod agent;
mod backup;
mod browser;
mod debian;
mod down;
mod embedded;
mod engine;
mod error;
pub mod home;
mod host;
pub mod images;
pub mod ingress;
pub mod ipvs;
pub mod layout;
mod made;
mod npm;
pub mod ports;
mod progress;
pub mod recipes;
pub mod routes;
mod swarm;
mod tls;
mod up;

pub use crate::{
    down::{Part, down, status},
    error::SandboxError,
    progress::Progress,
    up::{Up, up},
};
