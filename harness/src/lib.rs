//! One run of one recipe, from request to results.
//!
//! The harness knows no forge, no queue and no sandbox. It gathers facts, derives a plan from them, performs the plan's steps
//! through ports, writes every event to a journal, and folds the events into the state that all reports are made of.
//!
//! The folder of a file says what the file may do and what it may import; `docs/architecture.md` has the drawing.

pub mod adapters;
pub mod author;
pub mod disk;
pub mod engine;
pub mod journal;
pub mod model;
pub mod ports;
pub mod pure;
pub mod redact;
pub mod report;
