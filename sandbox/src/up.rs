//! Making the sandbox, and mending what is missing of it.

use std::{fs, path::PathBuf, time::Duration};

use bollard::Docker;

use crate::{
    backup, engine,
    engine::swarm,
    error::SandboxError,
    home::{Home, Machine, files, host_file, lock},
    images, ingress,
    ingress::{agent, tls},
    ipvs,
    layout::{Layout, Setup},
    machine::{browser, packages},
    progress::{Progress, Teller},
    recipes,
};

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
    let _lock = lock::of_home(home).await?;
    files::write(&home.root().join("layout.toml"), &setup.layout)?;
    let layout = &setup.layout;
    let docker = engine::ensure(home, layout, &mut teller).await?;
    swarm::ensure(&docker, home, layout, &mut teller).await?;
    // It takes longer than all else, and is only tried when the machine is first seen.
    let wanted = !home.looked() && browser::wanted();
    if wanted {
        packages::update_lists(&mut teller).await?;
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
    host_file::write(home, setup)?;
    let warnings = agent::alive(home).map(|agent| agent.warnings).unwrap_or_default();
    Ok(Up { host_file: home.host_file(), took: teller.elapsed(), warnings })
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
