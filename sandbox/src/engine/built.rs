//! Builds a Docker engine with `go install`, once for each line and definition.

use std::{fs, path::PathBuf};

use crate::{
    engine_line::EngineLine,
    error::{NoEngine, ProgramError, SandboxError},
    home::Home,
    machine::{
        packages::ensure_package_lists,
        programs::{find, run, run_with},
    },
    progress::ProgressReporter,
};

/// The folder with the programs of a line. They are built when they are not in the sandbox's cache.
pub(crate) async fn ensure(home: &Home, line: EngineLine, progress: &mut ProgressReporter<'_>) -> Result<PathBuf, SandboxError> {
    let folder = line.folder(&home.cache());
    if folder.is_dir() {
        return Ok(folder);
    }
    if find("go").is_none() {
        return Err(SandboxError::program("go", ProgramError::NotFound("install Go 1.26 or newer, which builds the engine")));
    }
    if line.programs().iter().any(|program| program.c) && run("pkg-config", ["--exists", "libseccomp"]).await.is_err() {
        ensure_package_lists(progress).await?;
        let args = ["install", "-y", "-q", "--no-install-recommends", "gcc", "libc6-dev", "pkg-config", "libseccomp-dev"];
        run("apt-get", args).await.map_err(|error| SandboxError::NoEngine { source: NoEngine::Install(Box::new(error)) })?;
    }
    let unfinished = home.cache().join(format!("engine-{line}-unfinished"));
    let io = |error| SandboxError::file(&unfinished, error);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(io)?;
    }
    fs::create_dir_all(&unfinished).map_err(io)?;
    for program in line.programs() {
        progress.report(format!("building {}; the first time takes minutes", program.package));
        let variables = [("GOBIN", unfinished.as_os_str()), ("CGO_ENABLED", if program.c { "1" } else { "0" }.as_ref())];
        let args = ["install", "-tags", program.tags, "-ldflags", program.link, program.package];
        run_with(&variables, "go", args).await?;
    }
    fs::rename(&unfinished, &folder).map_err(io)?;
    progress.report(format!("built the Docker engine {line}"));
    Ok(folder)
}
