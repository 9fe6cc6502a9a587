//! How the program is linked, and the commit that it is built from.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    // On this target rustc links with its own lld, which knows both options; other linkers may not. Identical code folding leaves
    // one copy of what two crates have in common, such as the parsers of the engine's answers.
    if release && (target("ARCH"), target("OS"), target("ENV")) == ("x86_64".into(), "linux".into(), "gnu".into()) {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    if let Some(commit) = commit() {
        println!("cargo::rustc-env=TASTER_COMMIT={commit}");
    }
}

/// The commit of the workspace's checkout; absent where the workspace is not a checkout, such as in an archive of the sources.
fn commit() -> Option<String> {
    let workspace = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?).parent()?.canonicalize().ok()?;
    let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != workspace {
        return None;
    }
    // HEAD changes when another branch is checked out, its reference when something is committed.
    let reference = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD".to_owned()].into_iter().chain(reference) {
        let file = git(&["rev-parse", "--git-path", &name]).filter(|file| Path::new(file).exists());
        file.iter().for_each(|file| println!("cargo::rerun-if-changed={file}"));
    }
    git(&["rev-parse", "HEAD"])
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
