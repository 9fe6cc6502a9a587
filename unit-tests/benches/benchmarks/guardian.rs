//! The cost of a guardian beside each run.

use std::{
    fs,
    io::{Read, Write},
    process::{Child, Command, Stdio},
};

use unit_tests::engine::until;

use crate::{Bench, table::print_line};

/// The memory of a process by `/proc`, in kB: resident, and the anonymous part of it.
fn resident(child: &Child) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse().ok()).unwrap()
    };
    (of("VmRSS:"), of("RssAnon:"))
}

fn print_memory(what: &str, (all, own): (u64, u64)) {
    print_line(&format!("  {what:<58} {:.1} MB, of it {:.1} MB its own", all as f64 / 1024.0, own as f64 / 1024.0));
}

pub(crate) fn memory(bench: &Bench) {
    let Some(taster) = bench.release() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(taster);
    command.arg("__guardian").arg(folder.path()).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut guardian = command.spawn().unwrap();
    // It says a byte when it is about to wait, and then lets go of its output.
    guardian.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
    print_memory("taster __guardian (target: 6 MB)", resident(&guardian));
    guardian.stdin.take().unwrap().write_all(b"g").unwrap();
    assert!(guardian.wait().unwrap().success());

    let mut sleep = Command::new("sleep").arg("60").spawn().unwrap();
    until("it sleeps", || fs::read_to_string(format!("/proc/{}/stat", sleep.id())).unwrap().contains("(sleep) S"));
    print_memory("sleep", resident(&sleep));
    sleep.kill().unwrap();
    sleep.wait().unwrap();
}
