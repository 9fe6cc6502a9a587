//! Decisions about the run: its events and their fold, its plan, its verdict and its level.

pub mod blank_screenshot;
pub mod event;
pub mod facts;
pub mod kept_app;
pub mod level;
pub mod outcomes;
pub mod plan;
pub mod screenshot_caption;
pub mod settled_app;
pub mod severity;
pub mod state;
pub mod thorough;
pub mod verdict;
