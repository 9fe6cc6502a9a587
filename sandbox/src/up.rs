//! Making the sandbox, or the parts of it that are missing.

use std::{fs, path::PathBuf, time::Duration};

use bollard::Docker;
use futures_util::future::{OptionFuture, join3};

use crate::{
    backup, engine,
    engine::swarm,
    error::SandboxError,
    home::{Capabilities, Home, host_file},
    images, ingress,
    ingress::{agent, tls},
    ipvs,
    layout::{Layout, Setup},
    machine::{browser, packages},
    progress::{Progress, ProgressReporter},
    recipes,
};

/// The longest that a registry may take to answer.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(3);
/// The image that a registry is asked for.
const KNOWN_IMAGE: &str = "docker.io/library/busybox:latest";

/// A sandbox that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// The host file that a run reads.
    pub host_file: PathBuf,
    /// How long `up` took.
    pub took: Duration,
    /// Labels of running services that the ingress does not support, one sentence each.
    pub warnings: Vec<String>,
}

/// Makes the sandbox, or the parts of it that are missing; a complete sandbox takes a fraction of a second. Several calls at
/// once are safe: they take turns.
pub async fn up(home: &Home, setup: &Setup, on_progress: &mut dyn FnMut(Progress)) -> Result<Up, SandboxError> {
    let mut progress = ProgressReporter::new(on_progress);
    let layout = &setup.layout;
    let _lock = home.lock().await?;
    home.save_layout(layout)?;
    let docker = engine::ensure(home, setup, &mut progress).await?;
    swarm::ensure(&docker, home, layout, &mut progress).await?;
    let first = !home.is_probed();
    // The browser takes longer than all other parts, and is tried only once.
    let install_browser = first && browser::is_installable();
    if install_browser {
        packages::ensure_package_lists(&mut progress).await?;
        progress.report("installing a browser beside the rest (chromium-headless-shell, chromium-driver, libnss3-tools)");
    }
    let (browser, registry, parts) = join3(
        OptionFuture::from(install_browser.then(browser::install)),
        OptionFuture::from(first.then(|| has_registry(&docker))),
        ensure_parts(&docker, home, setup, &mut progress),
    )
    .await;
    parts?;
    if let Some(browser) = browser {
        progress.report(browser);
    }
    if let Some(registry) = registry {
        let capabilities = Capabilities { ipvs: has_ipvs(&docker, layout).await, registry };
        home.save_capabilities(&capabilities)?;
        let yes_no = |there: bool| if there { "yes" } else { "no" };
        let (ipvs, registry) = (yes_no(capabilities.ipvs), yes_no(capabilities.registry));
        progress.report(format!("probed the machine: IPVS {ipvs}, registry {registry}"));
    }
    host_file::write(home, setup)?;
    let warnings = agent::running(home).map(|agent| agent.warnings).unwrap_or_default();
    Ok(Up { host_file: home.host_file(), took: progress.elapsed(), warnings })
}

/// Everything that needs only the engine and its Swarm.
async fn ensure_parts(
    docker: &Docker,
    home: &Home,
    setup: &Setup,
    progress: &mut ProgressReporter<'_>,
) -> Result<(), SandboxError> {
    let layout = &setup.layout;
    swarm::ensure_network(docker, home, layout, progress).await?;
    let (tls, created) = tls::ensure(home, &layout.zone, jiff::Zoned::now().date())?;
    if created {
        progress.report(format!("made the certificate of *.{}", layout.zone));
    }
    images::ensure(docker, home, &[images::caddy(), images::specimen(), images::backup()], progress).await?;
    ingress::ensure(docker, home, layout, &tls, progress).await?;
    let backup_starts = backup::ensure(docker, home, layout).await?;
    if agent::ensure(home, &setup.exe).await? {
        progress.report("started the agent of the ingress");
    }
    let created = recipes::ensure(home).await?;
    if !created.is_empty() {
        progress.report(describe_created(&created, &recipes::enrolled()));
    }
    if backup_starts {
        backup::wait_until_running(docker, layout).await?;
        progress.report(format!("started the backup service {}", layout.backup_name()));
    }
    Ok(())
}

/// Whether a registry answers the engine, which is what pulls images.
async fn has_registry(docker: &Docker) -> bool {
    matches!(tokio::time::timeout(REGISTRY_TIMEOUT, docker.inspect_registry_image(KNOWN_IMAGE, None)).await, Ok(Ok(_)))
}

/// Whether the virtual addresses of services answer. The engine loads IPVS with the first overlay network that a container
/// joins, and the ingress has joined one: a kernel that does not show its table now has no IPVS. A kernel with the table may
/// still not serve it, so a real connection decides. A failed attempt counts as no, which works everywhere.
async fn has_ipvs(docker: &Docker, layout: &Layout) -> bool {
    fs::exists("/proc/net/ip_vs").unwrap_or(false) && ipvs::probe_on(docker, layout).await.unwrap_or(false)
}

/// A sentence about the created recipes: the enrolled ones by name, the others, which exist for tests, by number.
fn describe_created(created: &[String], enrolled: &[String]) -> String {
    let (named, others): (Vec<&str>, Vec<&str>) =
        created.iter().map(String::as_str).partition(|name| enrolled.iter().any(|of| of == name));
    match (named.is_empty(), others.len()) {
        (_, 0) => format!("made the recipes {}", named.join(", ")),
        (true, 1) => "made 1 recipe for tests".to_owned(),
        (true, count) => format!("made {count} recipes for tests"),
        (false, count) => format!("made the recipes {} and {count} for tests", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn created_recipes_are_named_when_enrolled_and_counted_otherwise() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let enrolled = names(&["ghost", "hello"]);
        for (created, sentence) in [
            (&["ghost", "hello"][..], "made the recipes ghost, hello"),
            (&["ghost", "hello-crash", "hello-grace"], "made the recipes ghost and 2 for tests"),
            (&["hello-crash"], "made 1 recipe for tests"),
        ] {
            assert_eq!(describe_created(&names(created), &enrolled), sentence);
        }
    }
}
