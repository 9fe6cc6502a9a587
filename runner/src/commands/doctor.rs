//! `taster doctor`.

use std::{fmt::Write, path::PathBuf, process, sync::Arc};

use harness::{
    adapters::{folder::Folder, no_child_register::NoChildRegister},
    engine::facts::readings,
    model::{exit_code::ExitCode, host::Host, names::RunId},
    ports::RunFolder,
    pure::host::preflight::{Check, HostReadings, Needs, no_engine, preflight, unfit},
    redact::Redact,
};

use crate::{env::Env, error::CommandError, host, output, runtime::block_on, wiring};

/// The image that a registry is asked for, because no recipe names one here.
const KNOWN_IMAGE: &str = "docker.io/library/busybox:latest";

/// Checks whether the host is fit for a run, and prints what to do where it is not
///
/// Nothing is changed, on the host or elsewhere. The exit code is 0 when the host is fit, and 3 when it is not.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// The host file to use
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
    /// Sends no request to a registry
    #[arg(long)]
    offline: bool,
    /// Prints the checks as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Runs the command.
    pub fn run(self, env: &Env) -> Result<process::ExitCode, CommandError> {
        let Some(host) = host::known(env, self.host.as_deref())? else {
            return Err(CommandError::host("there is no host file and no sandbox")
                .hint("Run `taster sandbox up` to make a sandbox, or write a host file for a server."));
        };
        let checks = block_on(examine(env, &host, self.offline))??;
        output::print(&format_checks(&checks, self.json)?)?;
        Ok(if unfit(&checks).is_some() { ExitCode::Inconclusive } else { ExitCode::Green }.into())
    }
}

async fn examine(env: &Env, host: &Host, offline: bool) -> Result<Vec<Check>, CommandError> {
    let no_folder = |error: std::io::Error| CommandError::host(error).context("cannot create a temporary folder");
    let scratch = tempfile::tempdir().map_err(no_folder)?;
    let clock = wiring::clock();
    // abra expects a folder like a run's.
    let id = RunId::new(&clock.wall().stamp(), [0; 5]).map_err(CommandError::host)?;
    let folder = Folder::of(scratch.path(), &id);
    std::fs::create_dir_all(folder.root()).map_err(no_folder)?;
    let ports = match wiring::ports(env, host, None, &folder, Arc::new(NoChildRegister), Arc::new(Redact::new()), clock) {
        Ok(ports) => ports,
        Err(error) => return Ok(vec![no_engine(&error)]),
    };
    let known = KNOWN_IMAGE.parse().map_err(CommandError::host)?;
    let (images, results) = ([known].into(), env.runs());
    let (read, abra, registry) = tokio::join!(readings::host(host, &ports, &results), readings::abra_version(&ports), async {
        match offline {
            true => None,
            false => Some(readings::images(&ports, &images, false).await),
        }
    });
    let abra = abra.map_err(|(error, remedy)| (error.to_string(), remedy.to_owned()));
    let readings = HostReadings { abra: Some(abra), registry, ..read };
    // The smallest app: one network, and one service in `proxy` with its task.
    let needs = Needs { networks: 1, addresses: 2, ..Needs::default() };
    Ok(preflight(&readings, &needs, &host.limits, None))
}

fn format_checks(checks: &[Check], json: bool) -> Result<String, CommandError> {
    if json {
        let text = serde_json::to_string_pretty(checks).map_err(CommandError::host)?;
        return Ok(text + "\n");
    }
    let mut text = String::new();
    for check in checks {
        let _ = writeln!(text, "{:<8} {:<10} {}", check.finding.name(), check.topic, check.sentence);
        if let Some(remedy) = &check.remedy {
            let _ = writeln!(text, "{:<19} what to do: {remedy}", "");
        }
    }
    Ok(text)
}
