//! Reports: functions of a run's state, and the two reporters that write and print them.

pub mod results;
pub mod terminal;
