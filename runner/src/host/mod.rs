//! The host of a run: a server that a host file describes, or the sandbox.

pub(crate) mod sandbox;

use std::{
    io::{BufRead, ErrorKind, IsTerminal, Write},
    path::{Path, PathBuf},
};

use ::sandbox::home::Home;
use harness::{
    adapters::swarm::DockerSwarm,
    disk::plain_file::{self, Links, SETTINGS_LIMIT},
    model::{engine::SwarmError, host::Host, object::ObjectKind},
    ports::Swarm,
    pure::host::inventory::Inventory,
};

use crate::{env::Env, error::CommandError, runtime::block_on};

/// Where the sandbox serves its apps, for a host that is not made yet.
const SANDBOX_ZONE: &str = "zone = \"taster.test\"";
/// The engine that the sandbox uses.
const SANDBOX_ENGINE: &str = "/var/run/docker.sock";
/// What a host file is.
const HOST_FILE_HINT: &str =
    "A host file is TOML with at least `zone = \"ci.example.org\"`. Without a host file the sandbox is used.";

/// The host of a run.
pub struct RunHost {
    /// The host.
    pub host: Host,
    /// The sandbox's folder, when the host is the sandbox.
    pub sandbox: Option<Home>,
}

/// Finds the host: `named` on the command line, else `$TASTER_HOST`, else the user's host file, else the sandbox, which is made
/// or mended then. `yes` makes it without a question.
pub fn find(env: &Env, named: Option<&Path>, yes: bool) -> Result<RunHost, CommandError> {
    match file(env, named) {
        Some(file) => {
            let from_environment = named.is_none() && env.host.as_ref() == Some(&file);
            let host = load(&file).map_err(|error| match from_environment {
                true => error.hint("The environment variable TASTER_HOST names this file."),
                false => error,
            })?;
            Ok(RunHost { sandbox: sandbox_of(&host), host })
        }
        None => {
            let home = Home::at(env.sandbox());
            if !home.host_file().is_file() {
                consent(env, yes)?;
            }
            sandbox::make(&home, None, env)?;
            Ok(RunHost { host: load(&home.host_file())?, sandbox: Some(home) })
        }
    }
}

/// The host that [`find`] would find, without making anything: absent when it would be a sandbox that is not made yet.
pub fn known(env: &Env, named: Option<&Path>) -> Result<Option<Host>, CommandError> {
    let sandbox = Home::at(env.sandbox()).host_file();
    let file = self::file(env, named).or_else(|| sandbox.is_file().then_some(sandbox));
    file.map(|file| load(&file)).transpose()
}

/// The host that a run would have, for commands that ask no engine.
pub(crate) struct AssumedHost {
    /// The host. A sandbox that is not made yet is assumed as it will be.
    pub(crate) host: Host,
    /// The sandbox's folder, when the host is the sandbox.
    pub(crate) home: Option<Home>,
    /// What kind of host it is.
    pub(crate) kind: HostKind,
}

/// What kind of host it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HostKind {
    /// The sandbox.
    Sandbox,
    /// The sandbox, which is not made yet.
    FutureSandbox,
    /// A server.
    Server,
}

/// The host that [`find`] would find, without making anything; see [`AssumedHost`].
pub(crate) fn assume(env: &Env, named: Option<&Path>) -> Result<AssumedHost, CommandError> {
    let known = known(env, named)?;
    let home = known.as_ref().and_then(sandbox_of);
    let (host, kind) = match known {
        Some(host) if home.is_some() => (host, HostKind::Sandbox),
        Some(host) => (host, HostKind::Server),
        None => (Host::parse(SANDBOX_ZONE).map_err(CommandError::host)?, HostKind::FutureSandbox),
    };
    Ok(AssumedHost { host, home, kind })
}

/// The host file that is in use: `named` on the command line, else `$TASTER_HOST`, else the user's, if it exists.
pub fn file(env: &Env, named: Option<&Path>) -> Option<PathBuf> {
    let chosen = named.map(Path::to_owned).or_else(|| env.host.clone());
    chosen.or_else(|| env.host_file.is_file().then(|| env.host_file.clone()))
}

/// The host file that the command line or the environment names, as an absolute path, so that a run can be repeated from
/// elsewhere.
pub(crate) fn named_file(env: &Env, named: Option<&Path>) -> Option<PathBuf> {
    let named = named.or(env.host.as_deref())?;
    Some(std::path::absolute(named).unwrap_or_else(|_| named.to_owned()))
}

/// The sandbox's folder, when the host is a sandbox: its abra is in a folder that has a sandbox's host file.
pub(crate) fn sandbox_of(host: &Host) -> Option<Home> {
    let home = Home::at(host.abra.parent()?.parent()?);
    (host.abra.parent() == Some(home.bin().as_path()) && home.host_file().is_file()).then_some(home)
}

/// Loads a host file. Relative paths in it are relative to its folder.
pub fn load(file: &Path) -> Result<Host, CommandError> {
    let shown = file.display();
    let unreadable = |error: std::io::Error| {
        let error = match error.kind() {
            ErrorKind::InvalidData => CommandError::usage("it is not a text file"),
            ErrorKind::IsADirectory => CommandError::usage("it is a folder"),
            _ => CommandError::usage(error),
        };
        error.context(format!("cannot read the host file {shown}")).hint(HOST_FILE_HINT)
    };
    let text = plain_file::read_text(file, SETTINGS_LIMIT, Links::Followed).map_err(unreadable)?;
    let mut host = Host::parse(&text).map_err(|error| CommandError::usage(format!("{shown}, {error}")).hint(HOST_FILE_HINT))?;
    let folder = file.parent().unwrap_or(Path::new("."));
    host.ca = host.ca.map(|ca| folder.join(ca));
    if host.abra.components().count() > 1 {
        host.abra = folder.join(&host.abra);
    }
    Ok(host)
}

/// The error for an engine that cannot be used.
pub fn no_engine(error: SwarmError) -> CommandError {
    let hint = match error {
        SwarmError::Absent { .. } => Some("Start the engine, or name another one in the host file."),
        SwarmError::NotPermitted { .. } => Some("Add the user to the group `docker`, or run taster as root."),
        SwarmError::Silent { .. } | SwarmError::Refused { .. } | SwarmError::Failed { .. } => None,
    };
    CommandError::host(error).hints(hint.map(str::to_owned))
}

/// Whether a sandbox may be made here. An engine without containers needs no consent. An engine in use needs it, and a Co-op
/// Cloud server is never made a sandbox.
fn consent(env: &Env, yes: bool) -> Result<(), CommandError> {
    let socket = Path::new(SANDBOX_ENGINE);
    let inventory = DockerSwarm::at(socket).ok().and_then(|swarm| block_on(async move { swarm.inventory().await }).ok()?.ok());
    let has = |kind: ObjectKind| {
        inventory.iter().flat_map(|inventory: &Inventory| inventory.objects.iter()).any(|(id, _)| id.kind == kind)
    };
    let proxy = inventory.iter().flat_map(|inventory| inventory.objects.values()).any(|object| object.name == "proxy");
    if env.program(Path::new("abra")).is_some() && proxy {
        return Err(CommandError::usage("this machine is a Co-op Cloud server, and there is no host file for it").hint(format!(
            "Write {} with: zone = \"ci.example.org\", server = \"default\", and ingress = \"<address>:443\" where DNS does \
             not know the zone.",
            env.host_file.display()
        )));
    }
    let in_use = has(ObjectKind::Container) || has(ObjectKind::Service);
    if yes || env.ci || !in_use {
        return Ok(());
    }
    let plan = "taster is about to make this machine's engine a one-node Swarm with a network `proxy`, an ingress on \
                ports 80 and 443 of 127.0.0.1, and images under taster.test/";
    if std::io::stdin().is_terminal() && confirmed(plan) {
        return Ok(());
    }
    Err(CommandError::usage(plan)
        .context(format!("there is no host file, and the engine at {SANDBOX_ENGINE} is in use"))
        .hint("Make the sandbox here with --yes, or name a host file with --host."))
}

fn confirmed(plan: &str) -> bool {
    let mut terminal = std::io::stderr();
    if write!(terminal, "{plan}.\nGo on? [y/N] ").and_then(|()| terminal.flush()).is_err() {
        return false;
    }
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_file_of_the_command_line_outweighs_the_environments_and_both_become_absolute() {
        let var = |name: &str| (name == "TASTER_HOST").then(|| "/etc/taster.toml".into());
        let (bare, set) = (Env::read(|_| None, "taster".into()), Env::read(var, "taster".into()));
        let here = std::env::current_dir().unwrap();
        for (env, named, file) in [
            (&bare, None, None),
            (&set, None, Some(PathBuf::from("/etc/taster.toml"))),
            (&set, Some("/h.toml"), Some("/h.toml".into())),
            (&bare, Some("h.toml"), Some(here.join("h.toml"))),
        ] {
            assert_eq!(named_file(env, named.map(Path::new)), file, "{named:?}");
        }
    }
}
