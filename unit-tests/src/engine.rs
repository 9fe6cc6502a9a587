//! A real engine through the docker client. Tests look at the engine without the code under test.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The first argument with which a test program is taster itself, see [`Engine::taster`].
pub const AS_TASTER: &str = "__taster";

/// A local engine that manages a Swarm.
#[derive(Debug, Clone)]
pub struct Engine {
    socket: PathBuf,
    image: String,
}

impl Engine {
    /// The local engine. `image` is one that it has, with a busybox in it.
    pub fn local(image: &str) -> Self {
        Self::at(Path::new("/var/run/docker.sock"), image)
    }

    /// The engine behind `socket`. `image` is one that it has, with a busybox in it.
    pub fn at(socket: &Path, image: &str) -> Self {
        Self { socket: socket.to_owned(), image: image.to_owned() }
    }

    /// Whether it answers, manages a Swarm, and has the image.
    pub fn answers(&self) -> bool {
        let Ok(asked) = self.docker().args(["info", "--format", "{{.Swarm.LocalNodeState}}"]).output() else { return false };
        String::from_utf8_lossy(&asked.stdout).trim() == "active" && self.ok(&["image", "inspect", &self.image])
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The image of all services that tests make.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// The docker client for this engine.
    pub fn docker(&self) -> Command {
        let mut docker = Command::new("docker");
        docker.arg("--host").arg(format!("unix://{}", self.socket.display())).stdin(Stdio::null());
        docker
    }

    /// What the docker client prints.
    ///
    /// # Panics
    /// If it fails: the test cannot go on without.
    pub fn ask(&self, args: &[&str]) -> String {
        printed(self.docker().args(args), args)
    }

    /// Whether the docker client succeeds.
    pub fn ok(&self, args: &[&str]) -> bool {
        self.docker().args(args).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// The anonymous volumes that no container uses.
    ///
    /// # Panics
    /// If the docker client fails.
    pub fn nameless(&self) -> BTreeSet<String> {
        let volumes = self.ask(&["volume", "ls", "--quiet", "--filter", "dangling=true"]);
        let nameless = |name: &&str| name.len() == 64 && name.chars().all(|letter| letter.is_ascii_hexdigit());
        volumes.lines().filter(nameless).map(str::to_owned).collect()
    }

    /// The folders that the engine has on its disk for volumes of a stack, whether it lists them or not.
    ///
    /// # Panics
    /// If its disk is not this machine's.
    pub fn folders_of(&self, stack: &str) -> Vec<String> {
        let volumes = Path::new(&self.ask(&["info", "--format", "{{.DockerRootDir}}"])).join("volumes");
        let names = std::fs::read_dir(volumes).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(&format!("{stack}_"))).collect()
    }

    /// taster with `args` as a separate process: this test program, started again.
    ///
    /// # Panics
    /// If this program does not know its own path.
    pub fn taster(&self, args: &[&str]) -> Command {
        let mut taster = Command::new(std::env::current_exe().unwrap());
        taster.arg(AS_TASTER).args(args).stdin(Stdio::null());
        taster
    }

    /// The objects of a stack that are left, according to `leftovers.sh`; empty when there are none. Names that begin with one of
    /// `others` are foreign.
    ///
    /// # Panics
    /// If the script cannot be started.
    pub fn left_of(&self, stack: &str, others: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("leftovers.sh");
        let host = format!("unix://{}", self.socket.display());
        let asked = Command::new(script).arg(stack).args(others).env("DOCKER_HOST", host).output().unwrap();
        let left = String::from_utf8_lossy(&asked.stdout).into_owned();
        let expected = if left.is_empty() { 0 } else { 1 };
        assert_eq!(asked.status.code(), Some(expected), "leftovers.sh: {}", String::from_utf8_lossy(&asked.stderr));
        left
    }
}

/// What a command prints.
///
/// # Panics
/// If it fails.
pub fn printed(command: &mut Command, shown: &[&str]) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{shown:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap().trim_end().to_owned()
}

/// Waits until `level` holds.
///
/// # Panics
/// With `what` if that does not happen within a minute.
pub fn until(what: &str, mut level: impl FnMut() -> bool) {
    let over = Instant::now() + Duration::from_secs(60);
    while !level() {
        assert!(Instant::now() < over, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
