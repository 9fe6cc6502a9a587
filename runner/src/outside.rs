//! The real outside of a run on a host.

use std::sync::Arc;

use harness::{
    adapters::{
        abra::{PtyAbra, Setup},
        checkout::GitCheckout,
        children::Processes,
        clock::SystemClock,
        files::Disk,
        folder::Folder,
        machine::LocalMachine,
        swarm::DockerSwarm,
        web::HttpsWeb,
    },
    model::host::Host,
    ports::{ChildRegister, Clock, Ports, SwarmError},
    redact::Redact,
};

use crate::env::Env;

/// The clocks, started now.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::start())
}

/// The outside. abra's children are told to `children`, and its secrets to `redact`.
pub fn ports(
    env: &Env,
    host: &Host,
    folder: &Folder,
    children: Arc<dyn ChildRegister>,
    redact: Arc<Redact>,
    clock: Arc<dyn Clock>,
) -> Result<Ports, SwarmError> {
    let swarm = Arc::new(DockerSwarm::at(&host.engine)?);
    Ok(Ports {
        swarm: swarm.clone(),
        capacity: swarm,
        abra: Arc::new(PtyAbra::new(abra(env, host, folder), children, redact.clone())),
        checkout: Arc::new(GitCheckout::new(&folder.abra_dir(), env.path.clone()).learning(redact)),
        machine: Arc::new(LocalMachine::of(&env.home)),
        web: Arc::new(HttpsWeb::of(host)),
        files: Arc::new(Disk),
        children: Arc::new(Processes),
        clock,
    })
}

/// What abra gets to see of this machine.
fn abra(env: &Env, host: &Host, folder: &Folder) -> Setup {
    Setup {
        abra: host.abra.clone(),
        shim: vec![env.exe.clone().into(), "__child".into()],
        abra_dir: folder.abra_dir(),
        server: host.server.clone(),
        // Within its own folder, so that it goes with it; abra looks for its settings from there upwards.
        cwd: folder.abra_dir().join("cwd"),
        transcripts: folder.transcripts(),
        home: env.home.clone(),
        path: env.path.clone(),
        quiet: Setup::QUIET,
    }
}
