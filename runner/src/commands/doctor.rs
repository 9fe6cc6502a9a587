//! `taster doctor`.

use std::{fmt::Write, path::PathBuf, process::ExitCode, sync::Arc};

use harness::{
    adapters::{folder::Folder, unregistered::Unregistered},
    engine::facts::readings,
    model::{host::Host, names::RunId},
    pure::host::preflight::{Check, Needs, Readings, no_engine, preflight, unfit},
    redact::Redact,
};

use crate::{
    cli::block_on,
    env::Env,
    error::{CommandError, Exit},
    host, output, wiring,
};

/// What a registry is asked for when no recipe says what it needs.
const KNOWN_IMAGE: &str = "docker.io/library/busybox:latest";

/// Says whether the host is fit for a run, check by check, with what to do about what is not
///
/// Nothing is changed, on the host or elsewhere. The exit code is 0 when a run can be made, and 3 when not.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// The host file to use
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
    /// Asks no registry
    #[arg(long)]
    offline: bool,
    /// Prints the checks as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Does it.
    pub fn run(self, env: &Env) -> Result<ExitCode, CommandError> {
        let Some(host) = host::known(env, self.host.as_deref())? else {
            return Err(CommandError::host("there is no host file and no sandbox")
                .remedy("`taster sandbox up` makes a sandbox; a host file describes a server"));
        };
        let checks = block_on(examine(env, &host, self.offline))??;
        output::print(&told(&checks, self.json)?)?;
        Ok(if unfit(&checks).is_some() { Exit::Inconclusive } else { Exit::Green }.into())
    }
}

async fn examine(env: &Env, host: &Host, offline: bool) -> Result<Vec<Check>, CommandError> {
    let scratch = tempfile::tempdir().map_err(|error| CommandError::host(format!("cannot make a folder: {error}")))?;
    let clock = wiring::clock();
    // A folder like a run's, so that abra finds what it expects; it is no run, and nobody else ever sees it.
    let id = RunId::new(&clock.wall().stamp(), [0; 5]).map_err(|error| CommandError::host(error.to_string()))?;
    let folder = Folder::of(scratch.path(), &id);
    std::fs::create_dir_all(folder.root()).map_err(|error| CommandError::host(format!("cannot make a folder: {error}")))?;
    let ports = match wiring::ports(env, host, None, &folder, Arc::new(Unregistered), Arc::new(Redact::new()), clock) {
        Ok(ports) => ports,
        Err(error) => return Ok(vec![no_engine(&error)]),
    };
    let known = KNOWN_IMAGE.parse().map_err(|error| CommandError::host(format!("{error}")))?;
    let (images, results) = ([known].into(), env.runs());
    let (read, abra, registry) = tokio::join!(readings::host(host, &ports, &results), readings::abra_version(&ports), async {
        match offline {
            true => None,
            false => Some(readings::images(&ports, &images, false).await),
        }
    });
    let abra = abra.map_err(|(error, remedy)| (error.to_string(), remedy.to_owned()));
    let readings = Readings { abra: Some(abra), registry, ..read };
    // One network, one service in `proxy` with its task: no app is smaller.
    let needs = Needs { networks: 1, addresses: 2, ..Needs::default() };
    Ok(preflight(&readings, &needs, &host.limits, None))
}

fn told(checks: &[Check], json: bool) -> Result<String, CommandError> {
    if json {
        let text = serde_json::to_string_pretty(checks).map_err(|error| CommandError::host(error.to_string()))?;
        return Ok(text + "\n");
    }
    let mut text = String::new();
    for check in checks {
        let _ = writeln!(text, "{:<8} {:<10} {}", check.finding.name(), check.topic, check.told);
        if let Some(remedy) = &check.remedy {
            let _ = writeln!(text, "{:<19} what to do: {remedy}", "");
        }
    }
    Ok(text)
}
