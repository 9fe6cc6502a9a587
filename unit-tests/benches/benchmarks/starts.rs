//! Times from the start of a process to its end.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use harness::model::host::Host;
use sandbox::{home::Home, layout::Setup};
use unit_tests::sandbox_fixture;

use crate::{
    Bench,
    table::{Spread, print_line, row},
};

/// How long a command takes, which must succeed.
fn timed(command: &mut Command) -> Duration {
    let started = Instant::now();
    let output = command.stdin(Stdio::null()).output().unwrap();
    let took = started.elapsed();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    took
}

pub(crate) fn version(bench: &Bench) {
    let Some(taster) = bench.release() else { return };
    let (mut ours, mut floor, mut docker) = (Spread::default(), Spread::default(), Spread::default());
    for _ in 0..50 {
        ours.add(timed(Command::new(&taster).arg("--version")));
        docker.add(timed(Command::new("docker").arg("--version")));
        floor.add(timed(&mut Command::new("true")));
    }
    row("taster --version (target: 10 ms)", &ours);
    row("docker --version", &docker);
    row("true, the start of any process", &floor);
}

/// How often a command that is over in milliseconds is timed.
const OFTEN: usize = 30;

pub(crate) fn plan(bench: &Bench) {
    let Some(taster) = bench.release() else { return };
    let folder = tempfile::tempdir().unwrap();
    let repository = Home::at(sandbox_fixture::env().sandbox()).recipes().join("hello");
    let shown = Command::new("git").arg("-C").arg(repository).args(["show", "HEAD:compose.yml"]).output().unwrap();
    let compose = folder.path().join("compose.yml");
    fs::write(&compose, shown.stdout).unwrap();
    let (mut ours, mut docker) = (Spread::default(), Spread::default());
    for _ in 0..OFTEN {
        ours.add(timed(bench.fixture.taster(folder.path()).args(["plan", "--recipe", "hello"])));
        let mut config = Command::new("docker");
        config.args(["stack", "config", "--compose-file"]).arg(&compose).env("STACK_NAME", "s");
        docker.add(timed(config.env("DOMAIN", "hello.taster.test")));
    }
    row(&format!("{} plan --recipe hello (target: 50 ms)", name(&taster)), &ours);
    row("docker stack config of its compose.yml", &docker);
}

pub(crate) fn list(bench: &Bench) {
    let Some(taster) = bench.release() else { return };
    let folder = tempfile::tempdir().unwrap();
    let recipes = Home::at(sandbox_fixture::env().sandbox()).recipes();
    let (mut ours, mut git) = (Spread::default(), Spread::default());
    for _ in 0..OFTEN {
        ours.add(timed(bench.fixture.taster(folder.path()).arg("list")));
        let mut newest = Command::new("sh");
        git.add(timed(
            newest.arg("-c").arg("for r in *; do git -C $r tag --sort=-v:refname | head -1; done").current_dir(&recipes),
        ));
    }
    row(&format!("{} list (target: 50 ms)", name(&taster)), &ours);
    row("git tag in each recipe, by a shell", &git);
}

fn name(program: &Path) -> std::borrow::Cow<'_, str> {
    program.file_name().unwrap_or_default().to_string_lossy()
}

/// It is done in this process, in the name of the binary that the sandbox runs by now: another one would be put in its place.
pub(crate) fn up(bench: &Bench) {
    let env = sandbox_fixture::env();
    let home = Home::at(env.sandbox());
    let script = fs::read_to_string(home.bin().join("abra")).unwrap_or_default();
    let Some(exe) = script.split('\'').nth(1).map(PathBuf::from).filter(|exe| exe.is_file()) else {
        print_line("  left out: the sandbox's binary is gone; `taster sandbox up` mends that");
        return;
    };
    let setup = Setup { layout: home.layout(), exe, abra: env.program(Path::new("abra")), path: env.path, engine: None };
    let (mut ours, mut docker) = (Spread::default(), Spread::default());
    for _ in 0..10 {
        let started = Instant::now();
        let done = bench.runtime.block_on(async {
            let mut progress = Vec::new();
            sandbox::up(&home, &setup, &mut |step| progress.push(step.message)).await.map(|_| progress)
        });
        let done = done.unwrap();
        // Where something had to be mended it was not up.
        if done.is_empty() {
            ours.add(started.elapsed());
        }
        docker.add(timed(bench.fixture.engine.docker().arg("info")));
    }
    row("taster (target: 500 ms)", &ours);
    row("docker info", &docker);
}

/// How often both are done.
const TIMES: usize = 3;

pub(crate) fn hello(bench: &Bench) {
    let Some(taster) = bench.release() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox_fixture::env().sandbox();
    let host = Host::parse(&fs::read_to_string(&bench.fixture.host_file).unwrap()).unwrap();
    let own = own_host(folder.path(), &taster, &sandbox, &bench.fixture.host_file);
    let ingress = host.ingress.expect("the sandbox has an ingress").to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/hello.sh");
    let (mut ours, mut bare, mut graceful) = (Spread::default(), Spread::default(), Spread::default());
    let by_hand = || {
        let mut by_hand = Command::new(&script);
        by_hand.arg(&sandbox).arg(host.zone.to_string()).arg(&ingress);
        by_hand
    };
    for _ in 0..TIMES {
        let mut run = bench.fixture.taster(folder.path());
        ours.add(timed(run.env("TASTER_HOST", &own).args(["--recipe", "hello"])));
        bare.add(timed(by_hand().arg("force")));
        graceful.add(timed(&mut by_hand()));
    }
    row("taster --recipe hello", &ours);
    row("a shell script, containers removed by force as well", &bare);
    row("a shell script, containers given their stop grace", &graceful);
    if let (Some(ours), Some(bare)) = (ours.median(), bare.median()) {
        print_line(&format!("  {:<58} {:.2} s", "beyond the first script, by medians (target: at most 1 s)", ours - bare));
    }
}

/// A host file like the sandbox's, with a stand-in of the build that is measured.
fn own_host(folder: &Path, taster: &Path, sandbox: &Path, host_file: &Path) -> PathBuf {
    let abra = folder.join("abra");
    let script = format!("#!/bin/sh\nexec '{}' sandbox abra --home '{}' -- \"$@\"\n", taster.display(), sandbox.display());
    fs::write(&abra, script).unwrap();
    fs::set_permissions(&abra, fs::Permissions::from_mode(0o755)).unwrap();
    let text = fs::read_to_string(host_file).unwrap();
    let lines = text.lines().map(|line| match line.starts_with("abra ") {
        true => format!("abra = {abra:?}\n"),
        false => format!("{line}\n"),
    });
    let own = folder.join("host.toml");
    fs::write(&own, lines.collect::<String>()).unwrap();
    own
}
