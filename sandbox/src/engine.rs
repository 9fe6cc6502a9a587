//! The engine: the host's when one answers, else started, else installed.

use std::{
    ffi::OsStr,
    fs,
    future::Future,
    io::ErrorKind,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error};
use tokio::process::Command;

use crate::{error::SandboxError, home::Home, layout::Layout, made::Process, progress::Teller};

/// The longest that one answer of the engine is waited for; image imports take longest.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest that a program of the system may take: apt and npm download what they install.
const PROGRAM: Duration = Duration::from_secs(1800);
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
        Missing::Absent => SandboxError::NoEngine { why: format!("nothing listens at {}", layout.engine.display()) },
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
    let refuse = |why: &str| SandboxError::NoEngine { why: why.to_owned() };
    if find("apt-get").is_none() {
        return Err(refuse("this is neither Debian nor Ubuntu"));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(refuse("to install one takes root"));
    }
    update_lists(teller).await?;
    teller.say("installing the Docker engine (docker.io)");
    let mut packages = vec!["docker.io"];
    // Newer releases have the command line in a package of its own.
    if run("apt-cache", ["show", "docker-cli"]).await.is_ok() {
        packages.push("docker-cli");
    }
    let args = ["install", "-y", "-q", "--no-install-recommends"].into_iter().chain(packages);
    run("apt-get", args).await.map_err(|error| refuse(&error.to_string()))?;
    teller.say("installed the Docker engine");
    Ok(())
}

/// Fetches apt's lists where there are none, as on a fresh image of a distribution.
pub(crate) async fn update_lists(teller: &mut Teller<'_>) -> Result<(), SandboxError> {
    let there = fs::read_dir("/var/lib/apt/lists")
        .is_ok_and(|dir| dir.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages")));
    if !there {
        teller.say("fetching the package lists");
        run("apt-get", ["update", "-q"]).await?;
    }
    Ok(())
}

async fn start(home: &Home, layout: &Layout) -> Result<Docker, SandboxError> {
    if !rustix::process::geteuid().is_root() {
        return Err(SandboxError::NoEngine { why: "one is installed, but it takes root to start it".into() });
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
        .map_err(|error| SandboxError::EngineDumb { last: error.to_string() })?;
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
            return Err(SandboxError::EngineDumb { last });
        }
        if started.elapsed() > START {
            return Err(SandboxError::EngineDumb { last: format!("no answer within {START:?}") });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits for one answer of the engine; `call` is what a reader of the error sees.
pub(crate) async fn answer<T>(call: &str, future: impl Future<Output = Result<T, Error>>) -> Result<T, SandboxError> {
    answer_within(PATIENCE, call, future).await
}

/// Like [`answer`], for a call that may take longer.
pub(crate) async fn answer_within<T>(
    patience: Duration,
    call: &str,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, SandboxError> {
    let refused = |message: String| SandboxError::Engine { call: call.to_owned(), message };
    match tokio::time::timeout(patience, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Error::DockerResponseServerError { message, .. })) => Err(refused(message)),
        Ok(Err(error)) => Err(refused(error.to_string())),
        Err(_) => Err(refused(format!("no answer within {patience:?}"))),
    }
}

/// Like [`answer`], but what the engine does not know is `None`.
pub(crate) async fn found<T>(call: &str, future: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, SandboxError> {
    answer(call, async {
        match future.await {
            Ok(value) => Ok(Some(value)),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    })
    .await
}

/// Runs a program to its end; its last words are the error's.
pub(crate) async fn run(program: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Vec<u8>, SandboxError> {
    let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
    command.args(args).stdin(Stdio::null()).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8").kill_on_drop(true);
    let failed = |message: String| SandboxError::Program { program: program.to_owned(), message };
    // It is killed when this gives it up.
    let done = tokio::time::timeout(PROGRAM, command.output()).await;
    let done =
        done.map_err(|_| failed(format!("it did not end within {PROGRAM:?}")))?.map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let errors = String::from_utf8_lossy(&done.stderr);
    let lines: Vec<&str> = errors.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(2)..];
    Err(failed(if last.is_empty() { done.status.to_string() } else { last.join("; ") }))
}

/// Where a program of the system is. Not `PATH`, which may lack the folders of the administrator's programs.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .into_iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_words_of_a_program_are_told_in_their_order() {
        let failed = run("sh", ["-c", "printf 'one\\ntwo\\n\\nthree\\n' >&2; exit 3"]).await.unwrap_err();
        assert!(failed.to_string().ends_with("two; three"), "{failed}");
    }
}
