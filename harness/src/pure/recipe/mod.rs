//! Decisions about the recipe's files: what they say, whether they may run, and what an upgrade, a backup or lint makes of them.

pub mod backup;
pub mod canary;
pub mod compose;
pub mod database;
pub mod executables;
pub mod given_secrets;
pub mod lint;
pub mod policy;
pub mod post_deploy;
pub mod power;
pub mod readable;
pub mod release;
pub mod upgrade;
pub mod upgrade_base;
