//! Making the sandbox, and mending what is missing of it.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bollard::Docker;

use crate::{
    agent, backup, browser, engine,
    error::SandboxError,
    home::{Home, Machine},
    host, images, ingress, ipvs,
    layout::{Layout, Setup},
    made,
    progress::{Progress, Teller},
    recipes, swarm, tls,
};

/// How long another taster at work on the same sandbox is waited for. An engine's download is in it.
const BUSY: Duration = Duration::from_secs(300);
/// How long the one look for a registry may take.
const REGISTRY: Duration = Duration::from_secs(3);
/// What the registry is asked for.
const KNOWN_IMAGE: &str = "docker.io/library/busybox:latest";

/// A sandbox that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// The host file that a run reads.
    pub host_file: PathBuf,
    /// How long it took.
    pub took: Duration,
    /// Labels of running services that the ingress does not understand.
    pub warnings: Vec<String>,
}

/// Makes the sandbox, or mends what is missing of it. Does nothing where all is there, in a fraction of a second; safe when
/// several do it at once.
pub async fn up(home: &Home, setup: &Setup, say: &mut dyn FnMut(Progress)) -> Result<Up, SandboxError> {
    let mut teller = Teller::new(say);
    let _lock = lock(home).await?;
    made::write(&home.root().join("layout.toml"), &setup.layout)?;
    let layout = &setup.layout;
    let docker = engine::ensure(home, layout, &mut teller).await?;
    swarm::ensure(&docker, home, layout, &mut teller).await?;
    // It takes longer than all else, and is only tried when the machine is first seen.
    let wanted = !home.looked() && browser::wanted();
    if wanted {
        engine::update_lists(&mut teller).await?;
        teller.say("installing a browser beside the rest (chromium-headless-shell, chromium-driver, libnss3-tools)");
    }
    let browser = async {
        match wanted {
            true => Some(browser::install().await),
            false => None,
        }
    };
    let registry = async {
        match home.looked() {
            true => None,
            false => Some(registry(&docker).await),
        }
    };
    let rest = async {
        swarm::ensure_network(&docker, home, layout, &mut teller).await?;
        let (tls, made) = tls::ensure(home, &layout.zone, jiff::Zoned::now().date())?;
        if made {
            teller.say(format!("made the certificate of *.{}", layout.zone));
        }
        images::ensure(&docker, home, &[images::caddy(), images::specimen(), images::backup()], &mut teller).await?;
        ingress::ensure(&docker, home, layout, &tls, &mut teller).await?;
        let backup = backup::ensure(&docker, home, layout).await?;
        if agent::ensure(home, &setup.exe).await? {
            teller.say("started the agent of the ingress");
        }
        let made = recipes::ensure(home).await?;
        if !made.is_empty() {
            teller.say(told(&made, &recipes::enrolled()));
        }
        if backup {
            backup::wait(&docker, layout).await?;
            teller.say(format!("started the backup service {}", layout.backup_name()));
        }
        Ok::<(), SandboxError>(())
    };
    let (registry, browser, done) = futures_util::future::join3(registry, browser, rest).await;
    done?;
    if let Some(browser) = browser {
        teller.say(browser);
    }
    if let Some(registry) = registry {
        let machine = Machine { ipvs: has_ipvs(&docker, layout).await, registry };
        home.remember(&machine)?;
        let has = |there: bool| if there { "yes" } else { "no" };
        teller.say(format!("looked at the machine: IPVS {}, registry {}", has(machine.ipvs), has(machine.registry)));
    }
    host::write(home, setup)?;
    let warnings = agent::alive(home).map(|agent| agent.warnings).unwrap_or_default();
    Ok(Up { host_file: home.host_file(), took: teller.elapsed(), warnings })
}

/// The lock of the folder, held as long as the file is open.
pub(crate) async fn lock(home: &Home) -> Result<File, SandboxError> {
    let root = home.root();
    fs::create_dir_all(root)
        .and_then(|()| fs::set_permissions(root, fs::Permissions::from_mode(0o700)))
        .map_err(|error| SandboxError::file(root, error))?;
    lock_file(&root.join("lock"), BUSY, || ()).await
}

/// The lock of a file, held as long as it is open. `wait` is called once if somebody else has it.
pub(crate) async fn lock_file(path: &Path, patience: Duration, mut wait: impl FnMut()) -> Result<File, SandboxError> {
    let started = Instant::now();
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| SandboxError::file(path, error))?;
    let mut waits = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(SandboxError::file(path, error)),
        }
        if started.elapsed() > patience {
            return Err(SandboxError::Busy { after: patience });
        }
        if !std::mem::replace(&mut waits, true) {
            wait();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether a registry answers, asked once and through the engine, which is who would pull.
async fn registry(docker: &Docker) -> bool {
    matches!(tokio::time::timeout(REGISTRY, docker.inspect_registry_image(KNOWN_IMAGE, None)).await, Ok(Ok(_)))
}

/// Whether the virtual addresses of services answer. The engine loads IPVS with the first overlay network that a container
/// joins, and by then the ingress has: a kernel that does not show its table by now has none. One that does may still not
/// serve it, so a real connection decides; what cannot be tried is taken as absent, which is what works everywhere.
async fn has_ipvs(docker: &Docker, layout: &Layout) -> bool {
    fs::exists("/proc/net/ip_vs").unwrap_or(false) && ipvs::probe(docker, layout).await.unwrap_or(false)
}

/// What is said of the recipes that were made: those that people taste by their names, those that only stories do by their number.
fn told(made: &[String], enrolled: &[String]) -> String {
    let (named, others): (Vec<&str>, Vec<&str>) =
        made.iter().map(String::as_str).partition(|name| enrolled.iter().any(|of| of == name));
    match (named.is_empty(), others.len()) {
        (_, 0) => format!("made the recipes {}", named.join(", ")),
        (true, 1) => "made 1 recipe for stories".to_owned(),
        (true, count) => format!("made {count} recipes for stories"),
        (false, count) => format!("made the recipes {} and {count} for stories", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_are_told_by_their_names_where_people_taste_them() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let enrolled = names(&["ghost", "hello"]);
        for (made, said) in [
            (&["ghost", "hello"][..], "made the recipes ghost, hello"),
            (&["ghost", "hello-crash", "hello-grace"], "made the recipes ghost and 2 for stories"),
            (&["hello-crash"], "made 1 recipe for stories"),
        ] {
            assert_eq!(told(&names(made), &enrolled), said);
        }
    }
}
