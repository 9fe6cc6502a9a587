//! The sandbox of this user, up, for tests on a real Swarm, and taster as the user starts it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use runner::env::Env;
use sandbox::{
    home::Home,
    images,
    layout::{Layout, Setup},
    recipes,
};

use crate::engine::Engine;

/// The image of stacks made by hand.
pub const IMAGE: &str = "taster.test/busybox:1.35.0";

/// The sandbox, up.
#[derive(Debug, Clone)]
pub struct SandboxFixture {
    /// Its engine.
    pub engine: Engine,
    /// Its host file.
    pub host_file: PathBuf,
}

/// The environment of this process, with taster's own binary as cargo made it beside this test program.
///
/// # Panics
/// If this program does not know its own path.
pub fn env() -> Env {
    let own = std::env::current_exe().expect("a program knows its path");
    let target = own.ancestors().nth(2).unwrap_or(Path::new("."));
    Env::read(|name| std::env::var_os(name), target.join("taster"))
}

/// A source of a binary that was changed after it was built, by the list that cargo writes beside it.
fn newer_source(binary: &Path) -> Option<PathBuf> {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let built = changed(binary)?;
    let list = std::fs::read_to_string(binary.with_extension("d")).ok()?;
    let sources = list.split_once(": ")?.1.split_whitespace().map(PathBuf::from);
    // A folder changes with every file that some editor puts beside a source for a moment.
    sources.filter(|source| source.is_file()).find(|source| changed(source).is_some_and(|changed| changed > built))
}

impl SandboxFixture {
    /// The sandbox when it is up, with the images of tests; with `CI=true` it is made first. The error says why there is none.
    ///
    /// # Panics
    /// If taster's own binary is older than its sources: the tests would test another taster.
    pub fn find() -> Result<Self, String> {
        let env = env();
        if let Some(newer) = newer_source(&env.exe) {
            panic!("{} is older than {}; run `cargo build` first", env.exe.display(), newer.display());
        }
        let home = Home::at(env.sandbox());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        runtime.block_on(async {
            if env.ci {
                let (exe, path) = (env.exe.clone(), env.path.clone());
                let setup = Setup { layout: Layout::default(), exe, abra: None, path, engine: None };
                let up = sandbox::up(&home, &setup, &mut |_| {}).await;
                up.map_err(|error| format!("the sandbox cannot be made: {}", error.with_causes()))?;
            } else {
                let parts = sandbox::status(&home).await.map_err(|error| error.with_causes())?;
                if let Some(part) = parts.iter().find(|part| !part.ok && part.name != "warning") {
                    return Err(format!("the sandbox is not up ({}: {})", part.name, part.detail));
                }
            }
            images::provide(&home, &[IMAGE.to_owned()], &mut |_| {}).await.map_err(|error| error.with_causes())
        })?;
        let engine = Engine::local(IMAGE);
        engine
            .answers()
            .then_some(Self { engine, host_file: home.host_file() })
            .ok_or_else(|| "the engine does not answer".into())
    }

    /// Makes sure that the engine has the images of a recipe of the sandbox.
    ///
    /// # Panics
    /// If one of them is not available.
    pub fn provide(&self, recipe: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let home = Home::at(env().sandbox());
        runtime.block_on(images::provide(&home, &recipes::images(recipe), &mut |_| {})).expect("the images");
    }

    /// The folder of the sandbox.
    ///
    /// # Panics
    /// Never: the host file is in it.
    pub fn sandbox(&self) -> &Path {
        self.host_file.parent().expect("a file is in a folder")
    }

    /// The certificate that signs all of its names.
    pub fn ca(&self) -> PathBuf {
        Home::at(env().sandbox()).ca()
    }

    /// taster on this host, with its runs in `state`.
    pub fn taster(&self, state: &Path) -> Command {
        let env = env();
        let mut taster = Command::new(&env.exe);
        taster.env_clear().env("HOME", state).env("PATH", &env.path).env("TASTER_HOST", &self.host_file);
        taster.env("XDG_STATE_HOME", state).current_dir(state).stdin(std::process::Stdio::null());
        taster
    }
}
