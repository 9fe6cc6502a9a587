//! Reports: functions of a run's state, and the reporters that write and print them.

pub mod junit;
pub mod results;
pub mod terminal;
