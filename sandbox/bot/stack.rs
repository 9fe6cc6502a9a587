//! The stack of an app on the engine: the folders of its volumes, and its hooks.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Fatal, Settings, engine,
    labels::{self, Operation, Scope, Service, Side},
};

/// The mount point of the engine's folder of volumes.
pub(crate) const VOLUMES: &str = "/var/lib/docker/volumes";

/// The longest stack name, in characters (docs/reference/abra.md 2.1).
const STACK_LIMIT: usize = 45;

/// A stack whose labels enable the backup.
pub(crate) struct Stack {
    pub(crate) app: String,
    name: String,
    services: Vec<Service>,
    /// The containers of the hooks by service, found at the start of the command.
    containers: BTreeMap<String, String>,
}

/// The paths of a volume to copy.
pub(crate) struct VolumePaths {
    /// The root of the volume.
    pub(crate) root: String,
    /// The root itself, or paths in it.
    pub(crate) paths: Vec<String>,
}

impl Stack {
    /// Finds the stack of the app, and the containers of its hooks if `hooks` is set.
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
            let found = engine::running_container(&hook.service)?;
            let found = found.ok_or_else(|| Fatal::new(format!("{} has a hook, but no running container", hook.service)))?;
            containers.insert(hook.service, found);
        }
        Ok(Self { app, name, services, containers })
    }

    /// The paths to copy. `only` restricts them to some volumes.
    pub(crate) fn volume_paths(&self, settings: &Settings, only: Option<&[String]>) -> Result<Vec<VolumePaths>, Fatal> {
        let (volumes, unknown) = labels::volumes(&self.name, &self.services);
        for label in unknown {
            settings.log("warning", &format!("{label} names an unknown volume of {}", self.app));
        }
        if let Some(missing) =
            only.iter().flat_map(|only| only.iter()).find(|name| !volumes.iter().any(|volume| volume.name == **name))
        {
            return Err(Fatal::new(format!("{} has no volume {missing}", self.app)));
        }
        let mut found = Vec::new();
        for volume in volumes {
            if only.is_some_and(|only| !only.contains(&volume.name)) {
                continue;
            }
            let root = format!("{VOLUMES}/{}/_data", volume.full);
            let paths = match &volume.scope {
                Scope::Whole => vec![root.clone()],
                Scope::Paths(paths) => match paths.iter().find(|path| !labels::is_inside(path)) {
                    Some(path) => return Err(Fatal::new(format!("{path} is outside of the volume {}", volume.name))),
                    None => paths.iter().map(|path| format!("{root}/{path}")).collect(),
                },
                Scope::Excluded => continue,
            };
            found.push(VolumePaths { root, paths });
        }
        Ok(found)
    }

    /// Runs the hooks of one side in turn. The first failure ends the command.
    pub(crate) fn run_hooks(&self, settings: &Settings, operation: Operation, side: Side) -> Result<(), Fatal> {
        for hook in labels::hooks(&self.services, operation, side) {
            let Some(container) = self.containers.get(&hook.service) else { continue };
            settings.log("info", &format!("run command in {}: {}", hook.service, hook.command));
            let (mut code, mut output) = engine::exec(container, &["sh", "-c", &hook.command])?;
            // In an image without a shell, the hook may be a program and its arguments.
            if (code == 126 || code == 127) && output.contains("\"sh\"") && output.contains("executable file not found") {
                let args: Vec<&str> = hook.command.split_whitespace().collect();
                (code, output) = engine::exec(container, &args)?;
            }
            if code != 0 {
                return Err(Fatal::new(format!(
                    "the command {:?} in {} failed with exit code {code}: {output}",
                    hook.command, hook.service
                )));
            }
            if !output.is_empty() {
                settings.log("info", &output);
            }
        }
        Ok(())
    }
}

/// Removes `path`, which is in the volume at `root`; for the root itself, its content.
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
    // A symbolic link in the app's data must not lead out of its volume.
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
