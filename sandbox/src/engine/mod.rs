//! The engine: the host's when one answers, else started, else installed.

mod calls;
pub(crate) mod labels;
pub(crate) mod swarm;

use std::{
    fs,
    io::ErrorKind,
    os::unix::net::UnixStream,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use bollard::{API_DEFAULT_VERSION, Docker};

pub(crate) use calls::{answer, answer_within, found};

use crate::{
    error::{EngineStartError, NoEngine, SandboxError},
    home::Home,
    layout::Layout,
    machine::{
        packages::update_lists,
        process::Process,
        programs::{find, run},
    },
    progress::Teller,
};

/// The longest that one answer of the engine is waited for; image imports take longest.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// How long dockerd may take to answer after its start.
const START: Duration = Duration::from_secs(60);

/// Why the socket gives no engine.
enum Missing {
    Absent,
    NotPermitted,
}

fn open(socket: &Path) -> Result<Docker, Missing> {
    UnixStream::connect(socket).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => Missing::NotPermitted,
        _ => Missing::Absent,
    })?;
    Docker::connect_with_unix(&socket.display().to_string(), PATIENCE.as_secs(), API_DEFAULT_VERSION).map_err(|_| Missing::Absent)
}

/// The engine, if one answers.
pub(crate) fn connect(layout: &Layout) -> Result<Docker, SandboxError> {
    open(&layout.engine).map_err(|missing| match missing {
        Missing::Absent => {
            SandboxError::NoEngine { source: NoEngine::NotListening { socket: layout.engine.display().to_string() } }
        }
        Missing::NotPermitted => SandboxError::NotPermitted { socket: layout.engine.display().to_string() },
    })
}

/// The engine, started or installed when there is none. What was started is remembered in the folder.
pub(crate) async fn ensure(home: &Home, layout: &Layout, teller: &mut Teller<'_>) -> Result<Docker, SandboxError> {
    match open(&layout.engine) {
        Ok(docker) => return Ok(docker),
        Err(Missing::NotPermitted) => {
            return Err(SandboxError::NotPermitted { socket: layout.engine.display().to_string() });
        }
        Err(Missing::Absent) => {}
    }
    if find("dockerd").is_none() {
        install(teller).await?;
        // The package starts its service where there is a service manager.
        if let Ok(docker) = open(&layout.engine) {
            return Ok(docker);
        }
    }
    let docker = start(home, layout).await?;
    teller.say("started the Docker engine");
    Ok(docker)
}

async fn install(teller: &mut Teller<'_>) -> Result<(), SandboxError> {
    if find("apt-get").is_none() {
        return Err(SandboxError::NoEngine { source: NoEngine::UnknownDistribution });
    }
    if !rustix::process::geteuid().is_root() {
        return Err(SandboxError::NoEngine { source: NoEngine::InstallNeedsRoot });
    }
    update_lists(teller).await?;
    teller.say("installing the Docker engine (docker.io)");
    let mut packages = vec!["docker.io"];
    // Newer releases have the command line in a package of its own.
    if run("apt-cache", ["show", "docker-cli"]).await.is_ok() {
        packages.push("docker-cli");
    }
    let args = ["install", "-y", "-q", "--no-install-recommends"].into_iter().chain(packages);
    run("apt-get", args).await.map_err(|error| SandboxError::NoEngine { source: NoEngine::Install(Box::new(error)) })?;
    teller.say("installed the Docker engine");
    Ok(())
}

async fn start(home: &Home, layout: &Layout) -> Result<Docker, SandboxError> {
    if !rustix::process::geteuid().is_root() {
        return Err(SandboxError::NoEngine { source: NoEngine::StartNeedsRoot });
    }
    if Path::new("/run/systemd/system").exists() {
        run("systemctl", ["start", "docker"]).await?;
        return wait(layout, || None).await;
    }
    let log = home.root().join("dockerd.log");
    let file = fs::File::create(&log).map_err(|error| SandboxError::file(&log, error))?;
    let also = file.try_clone().map_err(|error| SandboxError::file(&log, error))?;
    // `setsid` becomes dockerd: a session of its own, so that a terminal's signals to taster do not reach the engine.
    let child = std::process::Command::new("setsid")
        .arg("dockerd")
        .arg("-H")
        .arg(format!("unix://{}", layout.engine.display()))
        // Else each task asks a registry for its image first, although the engine has it.
        .env("DOCKER_SERVICE_PREFER_OFFLINE_IMAGE", "1")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(also)
        .spawn()
        .map_err(|error| SandboxError::EngineStart { source: error.into() })?;
    let mut made = home.made();
    made.dockerd = Process::of(child.id());
    home.keep_made(&made)?;
    let process = made.dockerd;
    wait(layout, || {
        let ended = !process.as_ref().is_some_and(Process::alive);
        ended.then(|| fs::read_to_string(&log).ok().and_then(|text| text.lines().last().map(str::to_owned)).unwrap_or_default())
    })
    .await
}

/// Waits until the engine answers; `ended` says its last words once it has given up.
async fn wait(layout: &Layout, ended: impl Fn() -> Option<String>) -> Result<Docker, SandboxError> {
    let started = Instant::now();
    loop {
        if let Ok(docker) = open(&layout.engine)
            && docker.ping().await.is_ok()
        {
            return Ok(docker);
        }
        if let Some(last) = ended() {
            return Err(SandboxError::EngineStart { source: EngineStartError::Ended(last) });
        }
        if started.elapsed() > START {
            return Err(SandboxError::EngineStart { source: EngineStartError::NoAnswer(START) });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
