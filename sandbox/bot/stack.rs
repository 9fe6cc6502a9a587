//! The stack of an app as the engine has it: its volumes' folders, its hooks.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Fatal, Settings, engine,
    labels::{self, Extent, Operation, Service, Side},
};

/// Where the engine's folder of volumes is mounted.
pub(crate) const VOLUMES: &str = "/var/lib/docker/volumes";

/// How many characters of a stack name abra keeps.
const STACK_LIMIT: usize = 45;

/// A stack whose labels ask for a backup.
pub(crate) struct Stack {
    pub(crate) app: String,
    name: String,
    services: Vec<Service>,
    /// The containers in which hooks run, as they were at the beginning.
    containers: BTreeMap<String, String>,
}

/// What is copied of a volume.
pub(crate) struct Part {
    /// The root of the volume.
    pub(crate) root: String,
    /// Its root, or paths in it.
    pub(crate) paths: Vec<String>,
}

impl Stack {
    /// The stack of the app, with the containers that its hooks need.
    pub(crate) fn find(settings: &Settings, operation: Operation, hooks: bool) -> Result<Self, Fatal> {
        let app = settings.app()?;
        let name: String = app.replace('.', "_").chars().take(STACK_LIMIT).collect();
        let mut services = engine::services(&name)?;
        if !labels::enabled(&services) {
            return Err(Fatal::new(format!("no service of {app} is labelled backupbot.backup=true")));
        }
        if operation == Operation::Restore
            && let Some(wanted) = settings.names("CONTAINER")
        {
            let full: Vec<String> = wanted.iter().map(|short| format!("{name}_{short}")).collect();
            if let Some(missing) = full.iter().find(|full| !services.iter().any(|service| service.name == **full)) {
                return Err(Fatal::new(format!("no such service: {missing}")));
            }
            services.retain(|service| full.contains(&service.name));
        }
        let sides = if hooks { &[Side::Pre, Side::Post][..] } else { &[] };
        let mut containers = BTreeMap::new();
        for hook in sides.iter().flat_map(|side| labels::hooks(&services, operation, *side)) {
            if containers.contains_key(&hook.service) {
                continue;
            }
            let found = engine::container(&hook.service)?;
            let found = found.ok_or_else(|| Fatal::new(format!("{} has a hook, but no container of it runs", hook.service)))?;
            containers.insert(hook.service, found);
        }
        Ok(Self { app, name, services, containers })
    }

    /// What of the volumes is in a backup. `only` names the volumes that are asked for.
    pub(crate) fn parts(&self, settings: &Settings, only: Option<&[String]>) -> Result<Vec<Part>, Fatal> {
        let (volumes, unknown) = labels::volumes(&self.name, &self.services);
        for label in unknown {
            settings.log("warning", &format!("{label} names a volume that {} does not have", self.app));
        }
        if let Some(missing) =
            only.iter().flat_map(|only| only.iter()).find(|name| !volumes.iter().any(|volume| volume.name == **name))
        {
            return Err(Fatal::new(format!("{} has no volume {missing}", self.app)));
        }
        let mut parts = Vec::new();
        for volume in volumes {
            if only.is_some_and(|only| !only.contains(&volume.name)) {
                continue;
            }
            let root = format!("{VOLUMES}/{}/_data", volume.full);
            let paths = match &volume.extent {
                Extent::Whole => vec![root.clone()],
                Extent::Paths(paths) => match paths.iter().find(|path| !labels::inside(path)) {
                    Some(path) => return Err(Fatal::new(format!("{path} is outside of the volume {}", volume.name))),
                    None => paths.iter().map(|path| format!("{root}/{path}")).collect(),
                },
                Extent::Excluded => continue,
            };
            parts.push(Part { root, paths });
        }
        Ok(parts)
    }

    /// Runs the hooks of one side, one after the other. The first that fails ends the command.
    pub(crate) fn run_hooks(&self, settings: &Settings, operation: Operation, side: Side) -> Result<(), Fatal> {
        for hook in labels::hooks(&self.services, operation, side) {
            let Some(container) = self.containers.get(&hook.service) else { continue };
            settings.log("info", &format!("run command in {}: {}", hook.service, hook.command));
            let (mut code, mut said) = engine::exec(container, &["sh", "-c", &hook.command])?;
            // An image without a shell can still have a program that does it.
            if (code == 126 || code == 127) && said.contains("\"sh\"") && said.contains("executable file not found") {
                let words: Vec<&str> = hook.command.split_whitespace().collect();
                (code, said) = engine::exec(container, &words)?;
            }
            if code != 0 {
                return Err(Fatal::new(format!(
                    "the command {:?} in {} failed with exit code {code}: {said}",
                    hook.command, hook.service
                )));
            }
            if !said.is_empty() {
                settings.log("info", &said);
            }
        }
        Ok(())
    }
}

/// Removes what is at `path` in the volume at `root`, or all that is in the volume.
pub(crate) fn clear(root: &str, path: &str) -> Result<(), Fatal> {
    let failed = |error: io::Error| Fatal::new(format!("cannot clear {path}: {error}"));
    if path == root {
        for entry in fs::read_dir(root).map_err(failed)? {
            remove(&entry.map_err(failed)?.path()).map_err(failed)?;
        }
        return Ok(());
    }
    let Some(parent) = Path::new(path).parent() else { return Ok(()) };
    let real: PathBuf = match fs::canonicalize(parent) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    // A link in the app's data must not lead to the data of another.
    if !real.starts_with(root) {
        return Err(Fatal::new(format!("{path} leads out of its volume")));
    }
    match remove(Path::new(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata()?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}
