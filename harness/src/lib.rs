//! One run of one recipe, from request to results.
//!
//! The harness knows no forge, no queue and no sandbox. It reads facts, makes a plan of them, performs the plan's steps
//! through ports, writes every event to a journal, and folds the events into the state that all reports are made of.

pub mod adapters;
pub mod author;
pub mod backup;
pub mod base;
pub mod canary;
pub mod claim;
pub mod compose;
pub mod converge;
pub mod database;
pub mod engine;
pub mod event;
pub mod executables;
pub mod facts;
pub mod guard;
pub mod journal;
pub mod keep;
pub mod lint;
pub mod log;
pub mod marker;
pub mod model;
pub mod picture;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod post;
pub mod preflight;
pub mod redact;
pub mod report;
pub mod rungs;
pub mod state;
pub mod steps;
pub mod sweep;
pub mod thorough;
pub mod upgrade;
pub mod verdict;
pub mod world;
