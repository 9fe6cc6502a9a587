//! Reading a host: everything that the preflight judges.

use std::{collections::BTreeSet, path::Path, time::Duration};

use crate::{
    adapters::abra,
    model::{
        engine::{Engine, Room, SwarmError},
        host::Host,
        names::ImageRef,
    },
    ports::{AbraError, Call, Ports},
    pure::host::preflight::{Lookup, MachineView, Readings, local},
};

/// How long abra may take to say its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(20);
/// How long a registry may take to answer a look-up.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(10);
/// How long the address of a service may take to accept a connection.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(3);

/// Reads the host: its engine, its Swarm, the machine. `results` is the folder that results are written to. Nothing is changed.
pub async fn host(host: &Host, ports: &Ports, results: &Path) -> Readings {
    let engine = async {
        let engine = ports.swarm.host().await;
        (engine, ports.clock.wall())
    };
    let ((engine, now), inventory, room, behind) =
        tokio::join!(engine, ports.swarm.inventory(), ports.capacity.room(), ports.machine.behind(&host.server));
    let machine = machine(ports, engine.as_ref().ok(), room.as_ref().ok(), results).await;
    Readings {
        socket: host.engine.display().to_string(),
        engine: Some(engine),
        now: Some(now),
        inventory: Some(inventory),
        room: Some(room),
        abra: None,
        behind: Some((host.server.clone(), behind)),
        machine: Some(machine),
        browser: Some(ports.browser.found()),
        registry: None,
    }
}

/// Reads again what other runs change: the objects, what can run out, the machine.
pub(super) async fn renew(readings: &mut Readings, ports: &Ports, results: &Path) {
    let (inventory, room) = tokio::join!(ports.swarm.inventory(), ports.capacity.room());
    let engine = readings.engine.as_ref().and_then(|engine| engine.as_ref().ok());
    readings.machine = Some(machine(ports, engine, room.as_ref().ok(), results).await);
    (readings.inventory, readings.room) = (Some(inventory), Some(room));
}

async fn machine(ports: &Ports, engine: Option<&Engine>, room: Option<&Room>, results: &Path) -> MachineView {
    let machine = &ports.machine;
    let mut view = MachineView {
        name: machine.name(),
        memory: machine.memory(),
        engine_room: engine.and_then(|engine| machine.room_in(&engine.root)),
        results_room: machine.room_in(results),
        listening: machine.listening(),
        ipvs: machine.ipvs(),
        tried: None,
    };
    // The process to try it from is only there, and only that process, when the engine is on this machine.
    if let Some(address) = room.and_then(|room| room.address.as_ref()).filter(|_| local(&view, engine)) {
        view.tried = Some((address.service.clone(), machine.answers(address, ADDRESS_PATIENCE).await));
    }
    view
}

/// abra's version, or what is wrong with it and the remedy.
pub async fn abra_version(ports: &Ports) -> Result<String, (AbraError, &'static str)> {
    let said = ports.abra.call(&Call::Version, None, VERSION_PATIENCE).await;
    let version = said.and_then(|exchange| abra::version(&exchange));
    version.map(|version| version.to_string()).map_err(|error| {
        let remedy = abra_remedy(&error);
        (error, remedy)
    })
}

/// What to do about an abra that cannot be used.
pub(super) fn abra_remedy(error: &AbraError) -> &'static str {
    match error {
        AbraError::Absent { .. } => "name the right program as `abra` in the host file",
        AbraError::Unreadable { .. } | AbraError::RunArgs { .. } => "make sure that `abra` in the host file names abra itself",
        AbraError::Hung { .. } | AbraError::Signalled { .. } => "find out by hand what keeps it from working",
        AbraError::Fatal { .. } | AbraError::NotRun { .. } => "",
    }
}

/// Whether the images are there; one that is not is looked up at its registry, unless nothing may leave the machine.
pub async fn images(ports: &Ports, wanted: &BTreeSet<ImageRef>, offline: bool) -> Lookup {
    let image = match ports.capacity.absent(wanted).await {
        Ok(absent) => absent.into_iter().next(),
        Err(error) => return Lookup::Unread(error),
    };
    let Some(image) = image else { return Lookup::AllThere };
    if offline {
        return Lookup::NotAsked { absent: image };
    }
    let began = ports.clock.mono();
    let said = tokio::time::timeout(REGISTRY_PATIENCE, ports.capacity.look_up(&image)).await;
    let silent = |_| SwarmError::Silent { call: "registry look-up".into(), after: REGISTRY_PATIENCE };
    Lookup::RunArgs { took: ports.clock.mono().since(began), said: said.map_err(silent).and_then(|said| said), image }
}
