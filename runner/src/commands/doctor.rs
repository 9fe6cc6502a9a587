//! `taster doctor`.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use harness::{
    adapters::{
        abra::PtyAbra, checkout::GitCheckout, children::Processes, clock::SystemClock, files::Disk, machine::LocalMachine,
        swarm::DockerSwarm, web::HttpsWeb,
    },
    facts::readings,
    model::{host::Host, names::EngineId},
    ports::{ChildRegister, Ports},
    preflight::{Check, Finding, Needs, preflight, unfit},
    redact::Redact,
};
use serde_json::json;
