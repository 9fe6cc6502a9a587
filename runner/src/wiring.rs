//! The adapters of a run on a host. No other file of the runner builds a port of a run.

use std::sync::Arc;

use harness::{
    adapters::{
        abra::{AbraSetup, PtyAbra},
        checkout::GitCheckout,
        children::Processes,
        clock::SystemClock,
        executables::{ExecutableFolders, TestExecutables},
        files::Disk,
        folder::Folder,
        machine::LocalMachine,
        neighbours::OtherRuns,
        pack_program::{PackProgram, ProgramSetup},
        screenshot::ScreenshotProgram,
        swarm::DockerSwarm,
        web::HttpsWeb,
    },
    model::{engine::SwarmError, host::Host, names::RecipeName},
    ports::{ChildRegister, Clock, NoExecutables, Ports, RunFolder},
    redact::Redact,
};

use crate::env::Env;

/// The clocks, started now.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::start())
}

/// The ports of a run on `recipe`; without one there is no pack to run. `children` registers child processes, `redact` learns
/// secrets.
pub fn ports(
    env: &Env,
    host: &Host,
    recipe: Option<&RecipeName>,
    folder: &Folder,
    children: Arc<dyn ChildRegister>,
    redact: Arc<Redact>,
    clock: Arc<dyn Clock>,
) -> Result<Ports, SwarmError> {
    let swarm = Arc::new(DockerSwarm::at(&host.engine)?);
    Ok(Ports {
        swarm: swarm.clone(),
        capacity: swarm.clone(),
        data: swarm.clone(),
        origin: swarm,
        abra: Arc::new(PtyAbra::new(abra_setup(env, host, folder), children.clone(), redact.clone())),
        program: Arc::new(PackProgram::new(pack_program_setup(env, host, recipe, folder), children.clone(), redact.clone())),
        browser: Arc::new(ScreenshotProgram::new(screenshot_program_setup(env, host, folder), children, redact.clone())),
        checkout: Arc::new(GitCheckout::new(&folder.abra_dir(), env.path.clone()).learning(redact)),
        machine: Arc::new(LocalMachine::of(&env.home, &env.abra_dir)),
        neighbours: Arc::new(OtherRuns::new(env.runs(), folder.run().clone())),
        executables: Arc::new(NoExecutables),
        web: Arc::new(HttpsWeb::of(host)),
        files: Arc::new(Disk),
        children: Arc::new(Processes),
        clock,
    })
}

/// The same ports for a run that has executables at `folders`, and `program` as the program of its pack.
pub fn with_tests(
    ports: Ports,
    program: ProgramSetup,
    folders: ExecutableFolders,
    children: Arc<dyn ChildRegister>,
    redact: Arc<Redact>,
) -> Ports {
    Ports {
        program: Arc::new(PackProgram::new(program.clone(), children.clone(), redact.clone())),
        executables: Arc::new(TestExecutables::new(program, folders, children, redact)),
        ..ports
    }
}

/// taster itself, as the program of the recipe's pack.
pub fn pack_program_setup(env: &Env, host: &Host, recipe: Option<&RecipeName>, folder: &Folder) -> ProgramSetup {
    let recipe = recipe.map(|recipe| recipe.as_str().into());
    let program = [env.exe.clone().into(), "__pack".into()].into_iter().chain(recipe).collect();
    ProgramSetup { program, work_dir: "pack", ..screenshot_program_setup(env, host, folder) }
}

/// taster itself, as the program that takes the screenshot of the app.
fn screenshot_program_setup(env: &Env, host: &Host, folder: &Folder) -> ProgramSetup {
    ProgramSetup {
        program: vec![env.exe.clone().into(), "__screenshot".into()],
        work_dir: "screenshot",
        shim: vec![env.exe.clone().into(), "__child".into()],
        folder: folder.clone(),
        host: host.clone(),
        home: env.home.clone(),
        path: env.path.clone(),
        memory: None,
    }
}

/// The settings of abra's adapter: what abra sees of this machine.
fn abra_setup(env: &Env, host: &Host, folder: &Folder) -> AbraSetup {
    AbraSetup {
        abra: host.abra.clone(),
        shim: vec![env.exe.clone().into(), "__child".into()],
        abra_dir: folder.abra_dir(),
        server: host.server.clone(),
        // Below abra's folder, so that it is removed with it; abra looks for its settings from there upwards.
        cwd: folder.abra_dir().join("cwd"),
        transcripts: folder.transcripts(),
        home: env.home.clone(),
        path: env.path.clone(),
        quiet: AbraSetup::QUIET,
    }
}
