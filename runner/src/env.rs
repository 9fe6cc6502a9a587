//! The process's environment. Only `main` reads it, so that every other module can be given another one.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::logging;

/// The part of the environment that taster uses.
#[derive(Debug, Clone)]
pub struct Env {
    /// taster's state folder, `$XDG_STATE_HOME/taster` or `~/.local/state/taster`.
    pub state: PathBuf,
    /// The user's host file, `$XDG_CONFIG_HOME/taster/host.toml` or `~/.config/taster/host.toml`. It need not exist.
    pub host_file: PathBuf,
    /// `$TASTER_HOST`: a host file that outweighs the user's.
    pub host: Option<PathBuf>,
    /// Whether `CI` is `true`: there is no one to answer questions, and the answer to each is yes.
    pub ci: bool,
    /// Whether the terminal, if there is one, can draw: `TERM` names one that is not `dumb`, and `NO_COLOR` is not set.
    pub draws: bool,
    /// abra's own folder, `$ABRA_DIR` or `~/.abra`. It is only read.
    pub abra_dir: PathBuf,
    /// The user's home.
    pub home: PathBuf,
    /// `$PATH`: the folders with programs.
    pub path: OsString,
    /// `$TASTER_CONTEXT`: the file that describes the app to the program of a pack.
    pub context: Option<PathBuf>,
    /// `$TASTER_LOG`: the level of the log.
    pub log: Option<OsString>,
    /// taster's own program.
    pub exe: PathBuf,
}

impl Env {
    /// Reads it by `var`, with `exe` as the program's own path.
    pub fn read(var: impl Fn(&str) -> Option<OsString>, exe: PathBuf) -> Self {
        let home = var("HOME").map(PathBuf::from).filter(|home| home.is_absolute()).unwrap_or_else(|| "/root".into());
        let folder = |name: &str, default: &str| {
            let set = var(name).map(PathBuf::from).filter(|path| path.is_absolute());
            set.unwrap_or_else(|| home.join(default)).join("taster")
        };
        let (state, config) = (folder("XDG_STATE_HOME", ".local/state"), folder("XDG_CONFIG_HOME", ".config"));
        Self {
            state,
            host_file: config.join("host.toml"),
            host: var("TASTER_HOST").filter(|value| !value.is_empty()).map(PathBuf::from),
            draws: var("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
                && var("NO_COLOR").is_none_or(|value| value.is_empty()),
            abra_dir: var("ABRA_DIR").map(PathBuf::from).filter(|path| path.is_absolute()).unwrap_or_else(|| home.join(".abra")),
            ci: var("CI").is_some_and(|value| value == "true"),
            home,
            context: var("TASTER_CONTEXT").filter(|value| !value.is_empty()).map(PathBuf::from),
            path: var("PATH").unwrap_or_default(),
            log: var(logging::VARIABLE).filter(|value| !value.is_empty()),
            exe,
        }
    }

    /// The folder with one folder per run.
    pub fn runs(&self) -> PathBuf {
        self.state.join("runs")
    }

    /// The sandbox's folder.
    pub fn sandbox(&self) -> PathBuf {
        self.state.join("sandbox")
    }

    /// The program that `name` means: a path as it is, a bare name by `PATH`.
    pub fn program(&self, name: &Path) -> Option<PathBuf> {
        if name.components().count() > 1 {
            return name.is_file().then(|| name.to_owned());
        }
        std::env::split_paths(&self.path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
    }
}
