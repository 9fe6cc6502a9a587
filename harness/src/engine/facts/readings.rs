//! Reads of the host for the preflight. They change nothing.

use std::{collections::BTreeSet, path::Path, time::Duration};

use crate::{
    model::{
        engine::{Engine, SwarmError, SwarmResources},
        host::Host,
        names::ImageRef,
        text::with_causes,
    },
    ports::{AbraError, Call, Ports, abra_output},
    pure::host::preflight::{HostReadings, Lookup, MachineView, local},
};

/// How long abra may take to report its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a registry may take to answer a look-up.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the address of a service may take to accept a connection.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);

/// Reads the host: its engine, its Swarm, the machine. `results` is the folder that results are written to.
pub async fn host(host: &Host, ports: &Ports, results: &Path) -> HostReadings {
    let engine = async {
        let engine = ports.swarm.host().await;
        (engine, ports.clock.wall())
    };
    let ((engine, now), inventory, resources, behind) =
        tokio::join!(engine, ports.swarm.inventory(), ports.capacity.resources(), ports.machine.behind(&host.server));
    let machine = machine(ports, engine.as_ref().ok(), resources.as_ref().ok(), results).await;
    HostReadings {
        socket: host.engine.display().to_string(),
        engine: Some(engine),
        now: Some(now),
        inventory: Some(inventory),
        resources: Some(resources),
        abra: None,
        behind: Some((host.server.clone(), behind.map_err(|error| with_causes(&error)))),
        machine: Some(machine),
        browser: Some(ports.browser.found().map_err(|error| error.to_string())),
        registry: None,
    }
}

/// Reads again what other runs change: the objects, what can run out, the machine.
pub(super) async fn renew(readings: &mut HostReadings, ports: &Ports, results: &Path) {
    let (inventory, resources) = tokio::join!(ports.swarm.inventory(), ports.capacity.resources());
    let engine = readings.engine.as_ref().and_then(|engine| engine.as_ref().ok());
    readings.machine = Some(machine(ports, engine, resources.as_ref().ok(), results).await);
    (readings.inventory, readings.resources) = (Some(inventory), Some(resources));
}

async fn machine(ports: &Ports, engine: Option<&Engine>, resources: Option<&SwarmResources>, results: &Path) -> MachineView {
    let machine = &ports.machine;
    let mut view = MachineView {
        name: machine.name(),
        memory: machine.memory(),
        engine_free_bytes: engine.and_then(|engine| machine.free_bytes_in(&engine.root)),
        results_free_bytes: machine.free_bytes_in(results),
        listening: machine.listening(),
        ipvs: machine.ipvs(),
        tried: None,
    };
    // Only when the engine is on this machine does its process number name the process whose network is to be tried.
    if let Some(address) = resources.and_then(|resources| resources.address.as_ref()).filter(|_| local(&view, engine)) {
        let answered = machine.answers(address, ADDRESS_TIMEOUT).await.map_err(|error| with_causes(&error));
        view.tried = Some((address.service.clone(), answered));
    }
    view
}

/// The version of abra. The error has a remedy.
pub async fn abra_version(ports: &Ports) -> Result<String, (AbraError, &'static str)> {
    let exchange = ports.abra.call(&Call::Version, None, VERSION_TIMEOUT).await;
    let version = exchange.and_then(|exchange| abra_output::version(&exchange));
    version.map(|version| version.to_string()).map_err(|error| {
        let remedy = abra_remedy(&error);
        (error, remedy)
    })
}

/// The remedy for an abra that cannot be used; empty without one.
pub(super) fn abra_remedy(error: &AbraError) -> &'static str {
    match error {
        AbraError::Absent { .. } => "name the right program as `abra` in the host file",
        AbraError::Unreadable { .. } | AbraError::Prompted { .. } => "make sure that `abra` in the host file names abra itself",
        AbraError::Hung { .. } | AbraError::Signalled { .. } => "find out by hand what keeps it from working",
        AbraError::Fatal { .. } | AbraError::NotRun { .. } => "",
    }
}

/// Whether the engine has the images. The first that it lacks is looked up at its registry, unless the request is offline.
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
    let answer = tokio::time::timeout(REGISTRY_TIMEOUT, ports.capacity.look_up(&image)).await;
    let silent = |_| SwarmError::Silent { call: "registry look-up".into(), after: REGISTRY_TIMEOUT };
    Lookup::Answered { took: ports.clock.mono().since(began), answer: answer.map_err(silent).and_then(|answer| answer), image }
}
