//! Values that are parsed once at the edge and stay valid: names, times, requests, host settings, outcomes.

pub mod engine;
pub mod exit_code;
pub mod git;
pub mod head;
pub mod host;
pub mod http;
pub mod ignore;
pub mod load;
pub mod names;
pub mod object;
pub mod outcome;
pub mod pack;
pub mod privilege;
pub mod protocol;
pub mod refusal;
pub mod request;
pub mod rung;
pub mod settings;
pub mod task_fault;
pub mod tested_app;
pub mod text;
pub mod time;
pub mod version;
