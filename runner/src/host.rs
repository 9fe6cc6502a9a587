//! Which host a run uses, and making the sandbox where there is none.

use std::{
    io::{BufRead, ErrorKind, IsTerminal, Write},
    path::{Path, PathBuf},
};

use harness::{
    adapters::swarm::DockerSwarm,
    model::{engine::SwarmError, host::Host, names::RecipeName, object::ObjectKind, request::Source, settings},
    ports::Swarm,
    pure::host::inventory::Inventory,
};
use sandbox::home::Home;

use crate::{cli::block_on, commands::sandbox as commands, env::Env, error::CommandError};

/// The host that was found.
pub struct Found {
    /// The host.
    pub host: Host,
    /// The sandbox's folder, when the host is the sandbox.
    pub sandbox: Option<Home>,
}

/// The host that a run would use, by the same order as [`find`], but nothing is made: `None` when it would be a sandbox that is not
/// there yet.
pub fn known(env: &Env, named: Option<&Path>) -> Result<Option<Host>, CommandError> {
    let sandbox = Home::at(env.sandbox()).host_file();
    let file = self::file(env, named).or_else(|| sandbox.is_file().then_some(sandbox));
    file.map(|file| load(&file)).transpose()
}

/// The host file that is in use: `named` on the command line, else `$TASTER_HOST`, else the user's, if it exists.
pub fn file(env: &Env, named: Option<&Path>) -> Option<PathBuf> {
    let told = named.map(Path::to_owned).or_else(|| env.host.clone());
    told.or_else(|| env.host_file.is_file().then(|| env.host_file.clone()))
}

/// Finds the host: `named` on the command line, else `$TASTER_HOST`, else the user's host file, else the sandbox, which is made
/// or mended then.
pub fn find(env: &Env, named: Option<&Path>, yes: bool) -> Result<Found, CommandError> {
    match file(env, named) {
        Some(file) => {
            let from_environment = named.is_none() && env.host.as_ref() == Some(&file);
            let host = load(&file).map_err(|error| match from_environment {
                true => CommandError { sentence: format!("{}; TASTER_HOST names it", error.sentence), ..error },
                false => error,
            })?;
            Ok(Found { sandbox: sandbox_of(&host), host })
        }
        None => {
            let home = Home::at(env.sandbox());
            if !home.host_file().is_file() {
                consent(env, yes)?;
            }
            commands::make(&home, env)?;
            Ok(Found { host: load(&home.host_file())?, sandbox: Some(home) })
        }
    }
}

/// The sandbox's folder, when a host file speaks of a sandbox: its abra lies in a folder that has a sandbox's host file.
pub(crate) fn sandbox_of(host: &Host) -> Option<Home> {
    let home = Home::at(host.abra.parent()?.parent()?);
    (host.abra.parent() == Some(home.bin().as_path()) && home.host_file().is_file()).then_some(home)
}

/// Loads a host file. Relative paths in it are relative to its folder.
pub fn load(file: &Path) -> Result<Host, CommandError> {
    let shown = file.display();
    let told = |error: std::io::Error| match error.kind() {
        ErrorKind::InvalidData => "it is no text".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| CommandError::usage(format!("cannot read the host file {shown}: {}", told(error))).remedy(HOST_FILE))?;
    let mut host = Host::parse(&text).map_err(|error| CommandError::usage(format!("{shown}, {error}")).remedy(HOST_FILE))?;
    let folder = file.parent().unwrap_or(Path::new("."));
    host.ca = host.ca.map(|ca| folder.join(ca));
    if host.abra.components().count() > 1 {
        host.abra = folder.join(&host.abra);
    }
    Ok(host)
}

/// An engine that cannot be used, as a command's error.
pub fn no_engine(error: &SwarmError) -> CommandError {
    let sentence = error.to_string();
    match error {
        SwarmError::Absent { .. } => {
            CommandError::host(sentence).remedy("start the engine, or name another one in the host file")
        }
        SwarmError::NotPermitted { .. } => CommandError::host(sentence).remedy("add the user to group docker, or run as root"),
        SwarmError::Silent { .. } | SwarmError::Refused { .. } | SwarmError::Failed { .. } => CommandError::host(sentence),
    }
}

/// Whether a sandbox may be made here. A machine whose engine nobody uses needs no word; one in use, or one that is a Co-op
/// Cloud server already, is not ours to change without it.
fn consent(env: &Env, yes: bool) -> Result<(), CommandError> {
    let socket = Path::new(ENGINE);
    let inventory = DockerSwarm::at(socket).ok().and_then(|swarm| block_on(async move { swarm.inventory().await }).ok()?.ok());
    let has = |kind: ObjectKind| {
        inventory.iter().flat_map(|inventory: &Inventory| inventory.objects.iter()).any(|(id, _)| id.kind == kind)
    };
    let proxy = inventory.iter().flat_map(|inventory| inventory.objects.values()).any(|object| object.name == "proxy");
    if env.program(Path::new("abra")).is_some() && proxy {
        return Err(CommandError::usage(format!(
            "this machine is a Co-op Cloud server, and there is no host file at {}",
            env.host_file.display()
        ))
        .remedy("write it: zone = \"ci.example.org\", server = \"default\", and ingress = \"<address>:443\" where DNS does not know the zone"));
    }
    let in_use = has(ObjectKind::Container) || has(ObjectKind::Service);
    if yes || env.ci || !in_use {
        return Ok(());
    }
    let what = "taster is about to make this machine's engine a one-node Swarm with a network `proxy`, an ingress on ports 80 and 443 of 127.0.0.1, and images under taster.test/";
    if std::io::stdin().is_terminal() && agreed(what) {
        return Ok(());
    }
    Err(CommandError::usage(format!("there is no host file, and the engine at {ENGINE} is in use; {what}"))
        .remedy("say --yes to make the sandbox here, or name a host file with --host"))
}

/// What a host file is, for whoever named something else.
const HOST_FILE: &str = "a host file is TOML with at least `zone = \"ci.example.org\"`; without one the sandbox is used";

/// The engine that the sandbox uses.
const ENGINE: &str = "/var/run/docker.sock";

fn agreed(what: &str) -> bool {
    let mut terminal = std::io::stderr();
    if write!(terminal, "{what}.\nGo on? [y/N] ").and_then(|()| terminal.flush()).is_err() {
        return false;
    }
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Sees to it that the sandbox has what a run of the recipe needs: the recipe itself, unless it comes from a folder, and its
/// images. Offline an image that is not there is told instead.
pub fn serve(home: &Home, recipe: &RecipeName, source: &Source, offline: bool) -> Result<(), CommandError> {
    let known = sandbox::recipes::all();
    let images = sandbox::recipes::images(recipe.as_str());
    match source {
        Source::Catalogue { .. } if !known.iter().any(|name| name == recipe.as_str()) => Err(unknown(recipe)),
        Source::Catalogue { .. } | Source::Folder { .. } => {
            if offline {
                let absent = block_on(sandbox::images::needing_network(home, &images))?.map_err(commands::error)?;
                if let [image, ..] = absent.as_slice() {
                    let sentence = format!("the image {image} is not on this machine, and --offline fetches none");
                    return Err(CommandError::host(sentence).remedy("run once without --offline; what it fetches stays"));
                }
            }
            block_on(sandbox::images::provide(home, &images, &mut commands::tell))?.map_err(commands::error)
        }
    }
}

/// A recipe that the sandbox does not have.
pub(crate) fn unknown(recipe: &RecipeName) -> CommandError {
    let enrolled = sandbox::recipes::enrolled();
    let names: Vec<&str> = enrolled.iter().map(String::as_str).collect();
    let meant = settings::closest(recipe.as_str(), &names).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    CommandError::usage(format!("the sandbox has no recipe `{recipe}`{meant}"))
        .remedy(format!("it has {}; a recipe of your own is tasted with --path DIR", names.join(", ")))
}
