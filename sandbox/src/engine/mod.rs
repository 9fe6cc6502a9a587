//! The Docker engine of the sandbox: the running one, else started, else installed or built.

pub(crate) mod built;
mod calls;
pub(crate) mod labels;
pub(crate) mod swarm;

use std::{
    fs,
    io::ErrorKind,
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bollard::{API_DEFAULT_VERSION, Docker};

pub(crate) use calls::{call, call_optional, call_within};

use crate::{
    error::{EngineStartError, NoEngine, SandboxError},
    home::Home,
    layout::{Layout, Setup},
    machine::{
        packages::ensure_package_lists,
        process::Process,
        programs::{find, run},
    },
    progress::ProgressReporter,
};

/// The longest that the engine may take to answer one call.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest that dockerd may take from its start to its first answer.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Why no engine answers on a socket.
enum ConnectError {
    NotListening,
    NotPermitted,
}

fn connect_to(socket: &Path) -> Result<Docker, ConnectError> {
    UnixStream::connect(socket).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => ConnectError::NotPermitted,
        _ => ConnectError::NotListening,
    })?;
    Docker::connect_with_unix(&socket.display().to_string(), CALL_TIMEOUT.as_secs(), API_DEFAULT_VERSION)
        .map_err(|_| ConnectError::NotListening)
}

fn not_permitted(layout: &Layout) -> SandboxError {
    SandboxError::NotPermitted { socket: layout.engine.display().to_string() }
}

/// Connects to the engine, which has to run.
pub(crate) fn connect(layout: &Layout) -> Result<Docker, SandboxError> {
    connect_to(&layout.engine).map_err(|error| match error {
        ConnectError::NotListening => {
            SandboxError::NoEngine { source: NoEngine::NotListening { socket: layout.engine.display().to_string() } }
        }
        ConnectError::NotPermitted => not_permitted(layout),
    })
}

/// Connects to the engine; starts one when none answers, and installs or builds it before that when it is absent. `wanted` is the
/// line of the engine; without it, the sandbox keeps the one that it has. A started engine is recorded in the sandbox's folder.
pub(crate) async fn ensure(home: &Home, setup: &Setup, progress: &mut ProgressReporter<'_>) -> Result<Docker, SandboxError> {
    let (layout, wanted) = (&setup.layout, setup.engine);
    match connect_to(&layout.engine) {
        Ok(docker) => {
            return if wanted.is_none_or(|line| home.engine_line() == Some(line)) {
                Ok(docker)
            } else {
                other(layout, &docker).await
            };
        }
        Err(ConnectError::NotPermitted) => return Err(not_permitted(layout)),
        Err(ConnectError::NotListening) => {}
    }
    // A built engine needs containerd and the docker client of the package.
    if find("dockerd").is_none() {
        install(progress).await?;
        // With a service manager the package starts its service.
        if let Ok(docker) = connect_to(&layout.engine) {
            return if wanted.is_none() { Ok(docker) } else { other(layout, &docker).await };
        }
    }
    let Some(line) = wanted.or(home.engine_line()) else {
        let docker = start(home, layout).await?;
        progress.report("started the Docker engine");
        return Ok(docker);
    };
    let programs = built::ensure(home, line, progress).await?;
    home.save_engine_line(line)?;
    let docker = start_built(home, setup, &programs).await?;
    progress.report(format!("started the Docker engine {line}"));
    Ok(docker)
}

/// The error for an engine of another line than the wanted one.
async fn other(layout: &Layout, docker: &Docker) -> Result<Docker, SandboxError> {
    let version = call("version", docker.version()).await?.version.unwrap_or_default();
    Err(SandboxError::OtherEngine { socket: layout.engine.display().to_string(), version })
}

async fn install(progress: &mut ProgressReporter<'_>) -> Result<(), SandboxError> {
    let refused = |source: NoEngine| SandboxError::NoEngine { source };
    if find("apt-get").is_none() {
        return Err(refused(NoEngine::UnknownDistribution));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(refused(NoEngine::InstallNeedsRoot));
    }
    ensure_package_lists(progress).await?;
    progress.report("installing the Docker engine (docker.io)");
    let mut packages = vec!["docker.io"];
    // Newer releases have the command line in a separate package.
    if run("apt-cache", ["show", "docker-cli"]).await.is_ok() {
        packages.push("docker-cli");
    }
    let args = ["install", "-y", "-q", "--no-install-recommends"].into_iter().chain(packages);
    run("apt-get", args).await.map_err(|error| refused(NoEngine::Install(Box::new(error))))?;
    progress.report("installed the Docker engine");
    Ok(())
}

async fn start(home: &Home, layout: &Layout) -> Result<Docker, SandboxError> {
    if !rustix::process::geteuid().is_root() {
        return Err(SandboxError::NoEngine { source: NoEngine::StartNeedsRoot });
    }
    if Path::new("/run/systemd/system").exists() {
        run("systemctl", ["start", "docker"]).await?;
        return wait_until_ready(layout, || None).await;
    }
    let mut dockerd = Command::new("setsid");
    dockerd.arg("dockerd");
    spawn(home, layout, dockerd).await
}

/// Starts an engine that the sandbox built, with its data in the sandbox's folder: another engine may not read it.
async fn start_built(home: &Home, setup: &Setup, programs: &Path) -> Result<Docker, SandboxError> {
    if !rustix::process::geteuid().is_root() {
        return Err(SandboxError::NoEngine { source: NoEngine::StartNeedsRoot });
    }
    let mut dockerd = Command::new("setsid");
    dockerd.arg(programs.join("dockerd")).arg("--data-root").arg(home.engine_data());
    let path = std::env::join_paths([programs.to_owned()].into_iter().chain(std::env::split_paths(&setup.path)));
    dockerd.env("PATH", path.map_err(|error| SandboxError::file(programs, std::io::Error::other(error)))?);
    spawn(home, &setup.layout, dockerd).await
}

/// Starts dockerd. `setsid` executes it in its own session, so that a terminal's signals to taster do not reach the engine.
async fn spawn(home: &Home, layout: &Layout, mut dockerd: Command) -> Result<Docker, SandboxError> {
    let log = home.root().join("dockerd.log");
    let stdout = fs::File::create(&log).map_err(|error| SandboxError::file(&log, error))?;
    let stderr = stdout.try_clone().map_err(|error| SandboxError::file(&log, error))?;
    let child = dockerd
        .arg("-H")
        .arg(format!("unix://{}", layout.engine.display()))
        // Without it, each task asks a registry for its image first, although the engine has it.
        .env("DOCKER_SERVICE_PREFER_OFFLINE_IMAGE", "1")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .map_err(|error| SandboxError::EngineStart { source: error.into() })?;
    let mut created = home.created();
    created.dockerd = Process::of(child.id());
    home.save_created(&created)?;
    let process = created.dockerd;
    wait_until_ready(layout, || {
        let ended = !process.as_ref().is_some_and(Process::is_alive);
        ended.then(|| fs::read_to_string(&log).ok().and_then(|text| text.lines().last().map(str::to_owned)).unwrap_or_default())
    })
    .await
}

/// Waits until the engine answers. `ended` returns the last line of its log once its process has ended.
async fn wait_until_ready(layout: &Layout, ended: impl Fn() -> Option<String>) -> Result<Docker, SandboxError> {
    let started = Instant::now();
    loop {
        if let Ok(docker) = connect_to(&layout.engine)
            && docker.ping().await.is_ok()
        {
            return Ok(docker);
        }
        if let Some(last) = ended() {
            return Err(SandboxError::EngineStart { source: EngineStartError::Ended(last) });
        }
        if started.elapsed() > START_TIMEOUT {
            return Err(SandboxError::EngineStart { source: EngineStartError::NoAnswer(START_TIMEOUT) });
        }
        tokio::time::sleep(POLL).await;
    }
}
