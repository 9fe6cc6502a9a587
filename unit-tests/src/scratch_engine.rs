//! A second engine on this machine, for states that the first one must not get into: without a Swarm, a worker, full, frozen,
//! gone. It has its own network, mount and process namespaces and a disk in memory, and all of them end with it.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use sandbox::home::Home;

use crate::{
    command_output::signal,
    engine::{Engine, printed, until},
    sandbox_fixture::{self, IMAGE},
};

/// The programs that it needs.
const PROGRAMS: [&str; 7] = ["dockerd", "setpriv", "nsenter", "unshare", "ip", "mount", "umount"];
/// The prefix of the names of network namespaces and control groups; the id of the process that made them follows.
const NAME_PREFIX: &str = "taster-scratch-";
/// The prefix of the names of disks in memory; the id of the process that made them follows.
const DISK: &str = "taster-test-";
/// Where engines look for drivers that are not containers.
const PLUGINS: &str = "/run/docker/plugins";
/// How long dockerd may take to answer after its start.
const START: Duration = Duration::from_secs(30);
/// How long dockerd may take to be gone after it was killed.
const END: Duration = Duration::from_secs(30);
/// The address of a manager, and of a worker, on the cable between them.
const CABLE: (&str, &str) = ("10.99.0.1", "10.99.0.2");
/// How many have been started by this process; their names must differ.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// The reason why this machine cannot run a scratch engine, if there is one.
pub fn missing() -> Option<String> {
    if fs::metadata("/proc/self").map_or(1, |own| own.uid()) != 0 {
        return Some("it takes root".into());
    }
    let folders = folders();
    let absent = PROGRAMS.iter().find(|program| !folders.iter().any(|folder| folder.join(program).is_file()));
    absent
        .map(|program| format!("there is no {program}"))
        .or_else(|| done("unshare", &["--mount", "--net", "--pid", "--fork", "mount", "--make-rprivate", "/"]).err())
}

/// Where programs are looked for: the engine is of the same build as that of the sandbox.
fn folders() -> Vec<PathBuf> {
    let built = Home::at(sandbox_fixture::env().sandbox()).engine_programs();
    built.into_iter().chain(std::env::var_os("PATH").iter().flat_map(std::env::split_paths)).collect()
}

/// A disk in memory, of a given size. It is removed when this value is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// An empty one at `folder`, which is made. `size` is as `mount` has it: `16m`.
    pub fn on(folder: &Path, size: &str) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let shown = folder.display().to_string();
        let (options, source) = (format!("mode=755,size={size}"), format!("{DISK}{}", std::process::id()));
        done("mount", &["-t", "tmpfs", "-o", &options, &source, &shown])?;
        Ok(Self { at: folder.to_owned() })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Changes how it is mounted: `size=80m`, `ro`, `rw`.
    ///
    /// # Panics
    /// If that cannot be.
    pub fn remount(&self, options: &str) {
        done("mount", &["-o", &format!("remount,{options}"), &self.at.display().to_string()]).unwrap();
    }

    /// Makes it as small as its content. A remount with another size gives room again.
    ///
    /// # Panics
    /// If that is impossible.
    pub fn leave_no_room(&self) {
        let path = self.at.display().to_string();
        // The content may grow between the two calls, and a disk never becomes smaller than its content.
        until("the disk is as small as its content", || {
            let used = printed(Command::new("df").args(["--output=used", "--block-size=1", &path]), &["df", &path]);
            let size = format!("remount,size={}", used.lines().last().unwrap().trim());
            done("mount", &["-o", &size, &path]).is_ok()
        });
    }

    /// Fills it to the last byte with a file, which is returned.
    ///
    /// # Panics
    /// If there can be no file.
    pub fn fill(&self) -> PathBuf {
        let path = self.at.join("filler");
        let mut file = File::create(&path).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let bytes = vec![0; size];
            while file.write_all(&bytes).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A process that uses it keeps it until its end, but it has no name any more.
        let _ = done("umount", &["--lazy", &self.at.display().to_string()]);
    }
}

/// A second engine. It ends with this value, also when the test panics.
#[derive(Debug)]
pub struct ScratchEngine {
    /// Its network namespace and the parent of its control groups are named so.
    name: String,
    /// The process that everything of the engine dies with.
    process: Option<Child>,
    disk: SmallDisk,
    // Dropped after the disk that is mounted in it.
    _folder: tempfile::TempDir,
}

impl ScratchEngine {
    /// Starts an engine without a Swarm and without images. The error says why it cannot be started.
    pub fn start() -> Result<Self, String> {
        if let Some(why) = missing() {
            return Err(why);
        }
        remove_remains();
        let name = format!("{NAME_PREFIX}{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let disk = SmallDisk::on(&folder.path().join("disk"), "8g")?;
        done("ip", &["netns", "add", &name])?;
        let mut scratch = Self { name, process: None, disk, _folder: folder };
        done("ip", &["-n", &scratch.name, "link", "set", "lo", "up"])?;
        scratch.run()?;
        Ok(scratch)
    }

    /// Starts dockerd and waits until it answers.
    fn run(&mut self) -> Result<(), String> {
        let at = |name: &str| self.disk.path().join(name).display().to_string();
        let text = |error: std::io::Error| error.to_string();
        // Sockets and process ids of the previous start are stale.
        for (file, folder) in [(at("docker.pid"), at("run")), (at("docker.sock"), at("tmp"))] {
            let _ = (fs::remove_file(file), fs::remove_dir_all(folder));
        }
        let log = File::create(self.disk.path().join("log")).map_err(text)?;
        // It must not outlive this process, however that ends.
        let mut dockerd = Command::new("setpriv");
        dockerd.args(["--pdeathsig", "KILL", "nsenter", &format!("--net=/run/netns/{}", self.name)]);
        // dockerd is the first process of its namespace, so all others end with it: containerd, shims, containers.
        dockerd.args(["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        // Engines look for drivers in one folder of the machine, and never forget one: another engine is not to see those of a
        // test.
        fs::create_dir_all(self.plugins()).map_err(text)?;
        let own_plugins = format!("mkdir -p {PLUGINS} && mount --bind \"$0\" {PLUGINS} && exec \"$@\"");
        dockerd.args(["sh", "-c", &own_plugins, &at("plugins")]);
        dockerd.args(["dockerd", "--host", &format!("unix://{}", at("docker.sock")), "--data-root", &at("data")]);
        dockerd.args(["--exec-root", &at("run"), "--pidfile", &at("docker.pid"), "--cgroup-parent", &format!("/{}", self.name)]);
        dockerd.env("PATH", std::env::join_paths(folders()).map_err(|error| error.to_string())?);
        dockerd.stdin(Stdio::null()).stdout(log.try_clone().map_err(text)?).stderr(log).current_dir("/");
        let process = self.process.insert(dockerd.spawn().map_err(text)?);
        let engine = Engine::at(&self.disk.path().join("docker.sock"), IMAGE);
        let over = Instant::now() + START;
        while !engine.ok(&["version"]) {
            let ended = process.try_wait().map_err(text)?.is_some();
            if ended || Instant::now() > over {
                let log = fs::read_to_string(self.disk.path().join("log")).unwrap_or_default();
                return Err(format!("dockerd does not answer: {}", log.lines().last().unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The engine, for the docker client.
    pub fn engine(&self) -> Engine {
        Engine::at(&self.socket(), IMAGE)
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.disk.path().join("docker.sock")
    }

    /// The disk with all that it keeps.
    pub fn disk(&self) -> &SmallDisk {
        &self.disk
    }

    /// Where it looks for the sockets of drivers.
    pub fn plugins(&self) -> PathBuf {
        self.disk.path().join("plugins")
    }

    /// Makes it the manager of a new Swarm.
    ///
    /// # Panics
    /// If that cannot be.
    pub fn swarm_init(&self, args: &[&str]) {
        let own = ["swarm", "init", "--listen-addr", "127.0.0.1:2377", "--advertise-addr", "127.0.0.1"];
        self.engine().ask(&[&own[..], args].concat());
    }

    /// Makes `manager`, an engine without a Swarm, the manager of a new one, and this engine its worker.
    ///
    /// # Panics
    /// If that cannot be.
    pub fn join(&self, manager: &ScratchEngine) {
        let ends = [("m", manager, CABLE.0), ("w", self, CABLE.1)];
        let [one, other] = ends.map(|(end, scratch, _)| format!("{end}{}", scratch.name.trim_start_matches(NAME_PREFIX)));
        let cable = ["link", "add", &one, "netns", &manager.name, "type", "veth", "peer", "name", &other, "netns", &self.name];
        done("ip", &cable).unwrap();
        for ((_, scratch, address), link) in ends.iter().zip([&one, &other]) {
            done("ip", &["-n", &scratch.name, "address", "add", &format!("{address}/30"), "dev", link]).unwrap();
            done("ip", &["-n", &scratch.name, "link", "set", link, "up"]).unwrap();
        }
        manager.swarm_init(&["--listen-addr", &format!("{}:2377", CABLE.0), "--advertise-addr", CABLE.0]);
        let token = manager.engine().ask(&["swarm", "join-token", "--quiet", "worker"]);
        let to = format!("{}:2377", CABLE.0);
        self.engine().ask(&["swarm", "join", "--token", &token, "--advertise-addr", CABLE.1, &to]);
    }

    /// Copies the images of another engine whose names begin with one of `names`.
    ///
    /// # Panics
    /// If one cannot be brought.
    pub fn load(&self, from: &Engine, names: &[&str]) {
        let there = from.ask(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
        let wanted: Vec<&str> = there.lines().filter(|image| names.iter().any(|name| image.starts_with(name))).collect();
        let mut saving = from.docker().arg("save").args(&wanted).stdout(Stdio::piped()).spawn().unwrap();
        let loaded = self.engine().docker().args(["load", "--quiet"]).stdin(saving.stdout.take().unwrap()).output().unwrap();
        assert!(saving.wait().unwrap().success() && loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    }

    /// Stops dockerd at once, in the middle of its work; its containers keep running.
    ///
    /// # Panics
    /// If it does not run.
    pub fn freeze(&self) {
        signal(self.dockerd(), "STOP");
    }

    /// Lets dockerd go on.
    ///
    /// # Panics
    /// If it does not run.
    pub fn thaw(&self) {
        signal(self.dockerd(), "CONT");
    }

    /// Ends it at once with all its containers, as in a power cut. Its data stays.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let dockerd = first_child(process.id());
            // A process that ended by itself is as good.
            let _ = process.kill();
            let _ = process.wait();
            // Its processes are killed one after the other; one that waits for a disk ends a moment later.
            let over = Instant::now() + END;
            while dockerd.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists()) && Instant::now() < over {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        ungroup(&self.name);
    }

    /// Ends it at once and starts it again with its data.
    ///
    /// # Panics
    /// If it does not come back.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Starts it again after [`kill`](Self::kill).
    ///
    /// # Panics
    /// If it does not come back.
    pub fn restart(&mut self) {
        self.run().unwrap();
    }

    /// dockerd's process id: the only child of the process that was started.
    fn dockerd(&self) -> u32 {
        first_child(self.process.as_ref().unwrap().id()).unwrap()
    }
}

impl Drop for ScratchEngine {
    fn drop(&mut self) {
        self.kill();
        let _ = done("ip", &["netns", "delete", &self.name]);
    }
}

/// Removes the namespaces, control groups and disks of processes that died before they could.
fn remove_remains() {
    let dead = |owner: &str| !Path::new(&format!("/proc/{owner}")).exists();
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(NAME_PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(dead) {
            ungroup(&name);
            // Another process may have removed it just now.
            let _ = done("ip", &["netns", "delete", &name]);
        }
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for mut words in mounts.lines().map(str::split_whitespace) {
        let owner = words.next().and_then(|source| source.strip_prefix(DISK));
        if let (true, Some(folder)) = (owner.is_some_and(dead), words.next()) {
            let _ = done("umount", &["--lazy", folder]);
        }
    }
}

/// Removes the control groups of the scratch engine of that name, whose processes have been killed.
fn ungroup(name: &str) {
    let control = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path().join(name));
    let groups: Vec<PathBuf> = control.chain([Path::new("/sys/fs/cgroup").join(name)]).collect();
    let over = Instant::now() + Duration::from_secs(5);
    // The last processes of a group end a moment after they were killed.
    while groups.iter().any(|group| group.is_dir() && !removed(group)) && Instant::now() < over {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn first_child(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Removes a control group and all below it, if no process is left in them.
fn removed(group: &Path) -> bool {
    let below = fs::read_dir(group).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir());
    below.filter(|entry| !removed(&entry.path())).count() == 0 && fs::remove_dir(group).is_ok()
}

/// Runs a program to its end. The error is its standard error.
fn done(program: &str, args: &[&str]) -> Result<(), String> {
    let asked = Command::new(program).args(args).stdin(Stdio::null()).output();
    let asked = asked.map_err(|error| format!("cannot start {program}: {error}"))?;
    let complaint = || format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&asked.stderr).trim());
    if asked.status.success() { Ok(()) } else { Err(complaint()) }
}
