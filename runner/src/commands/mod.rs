//! The commands, one file for each. The doc comment of a command's struct is its help text.

pub mod child;
pub mod completions;
pub mod doctor;
pub mod janitor;
pub mod list;
pub mod new;
pub mod pack;
pub mod plan;
pub mod prune;
pub mod run;
pub mod sandbox;
pub mod schema;
pub mod screenshot;
pub mod show;
pub mod status;
pub mod verify;
pub mod watch;
