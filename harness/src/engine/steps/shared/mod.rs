//! What several steps share. A step never uses another step; it uses these.

pub mod settle;
