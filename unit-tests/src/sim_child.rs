//! The child process of a simulated run: abra.

/// Its process id, which no process of the machine has.
pub const CHILD: i32 = i32::MAX;
