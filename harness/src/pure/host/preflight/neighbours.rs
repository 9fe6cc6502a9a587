//! Whether there is room for a run beside the other living runs of this machine.

use super::{HostReadings, MachineView, Needs, addresses, local, mib, single, wanted_memory};
use crate::model::{
    engine::{Engine, SwarmResources},
    host::Limits,
    names::{RecipeName, RunId},
};

/// Another run of this machine that is alive and was admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The run.
    pub run: RunId,
    /// Its recipe.
    pub recipe: RecipeName,
    /// What it needs.
    pub needs: Needs,
    /// Whether its app has settled. From then on the host's own numbers include what the app takes.
    pub up: bool,
}

impl Neighbour {
    fn describe(&self) -> String {
        format!("run {} of {}", self.run, self.recipe)
    }
}

/// What a run with these `needs` waits for until a neighbour ends, a sentence each; empty when there is room now. Without
/// neighbours a run waits for nothing: the preflight refuses what the host lacks by itself.
pub fn waits(needs: &Needs, limits: &Limits, readings: &HostReadings, neighbours: &[Neighbour]) -> Vec<String> {
    if neighbours.is_empty() {
        return Vec::new();
    }
    let coming = Coming::of(neighbours, limits);
    let engine = readings.engine.as_ref().and_then(|engine| engine.as_ref().ok());
    let resources = readings.resources.as_ref().and_then(|resources| resources.as_ref().ok());
    let ports = neighbours.iter().flat_map(|neighbour| {
        let both = neighbour.needs.ports.intersection(&needs.ports);
        both.map(|port| format!("port {port}, which {} has", neighbour.describe()))
    });
    let memory = readings.machine.as_ref().and_then(|machine| memory(needs, limits, machine, engine, &coming));
    let addresses = resources.map(|resources| overlays(needs, resources, &coming)).unwrap_or_default();
    ports.chain(memory).chain(addresses).collect()
}

/// What neighbours will take, and no reading of the host shows yet.
struct Coming {
    memory: u64,
    networks: u64,
    addresses: u64,
    /// All neighbours, for people.
    of: String,
}

impl Coming {
    fn of(neighbours: &[Neighbour], limits: &Limits) -> Self {
        let coming = neighbours.iter().filter(|neighbour| !neighbour.up).map(|neighbour| &neighbour.needs);
        let all = |of: &dyn Fn(&Needs) -> u64| coming.clone().map(of).fold(0, u64::saturating_add);
        let of: Vec<String> = neighbours.iter().map(Neighbour::describe).collect();
        Self {
            memory: all(&|needs| wanted_memory(needs, limits)),
            networks: all(&|needs| needs.networks),
            addresses: all(&|needs| needs.addresses),
            of: of.join(", "),
        }
    }
}

fn memory(needs: &Needs, limits: &Limits, machine: &MachineView, engine: Option<&Engine>, coming: &Coming) -> Option<String> {
    let free = machine.memory.filter(|_| local(machine, engine) && single(engine))?;
    let wanted = wanted_memory(needs, limits);
    (free < wanted.saturating_add(coming.memory)).then(|| {
        let (wanted, free, taken) = (mib(wanted), mib(free), mib(coming.memory));
        format!("memory: {wanted} are wanted, and of the {free} that are free {taken} are for {}", coming.of)
    })
}

fn overlays(needs: &Needs, resources: &SwarmResources, coming: &Coming) -> Vec<String> {
    let short = |what: &str, left: Option<u64>, wanted: u64, taken: u64| {
        let left = left.filter(|left| wanted > 0 && *left < wanted.saturating_add(taken))?;
        Some(format!("{what}: {wanted} are wanted, and of the {left} that are left {taken} are for {}", coming.of))
    };
    let subnets = short("subnets for overlay networks", addresses::subnets_left(resources), needs.networks, coming.networks);
    let proxy = addresses::proxy_left(resources).map(|(left, _)| left);
    let proxy = short("addresses in the network `proxy`", proxy, needs.addresses, coming.addresses);
    subnets.into_iter().chain(proxy).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::engine::Port;

    const MIB: u64 = 1 << 20;

    fn needs(memory: u64, ports: &[u16], networks: u64) -> Needs {
        let ports: BTreeSet<Port> = ports.iter().map(|number| Port { number: *number, udp: false }).collect();
        Needs { memory: memory * MIB, ports, networks, addresses: 2, ..Needs::default() }
    }

    fn neighbour(needs: Needs, up: bool) -> Neighbour {
        let run = "20261121-101502-aebagbaf".parse().unwrap();
        Neighbour { run, recipe: "gitea".parse().unwrap(), needs, up }
    }

    /// A machine with 1000 MiB free, four subnets left and ten addresses in `proxy`.
    fn readings() -> HostReadings {
        let machine = MachineView { memory: Some(1000 * MIB), name: ("here".into(), "6.1".into()), ..MachineView::default() };
        let engine = Engine {
            version: "20.10.24".into(),
            api: "1.41".into(),
            swarm: None,
            worker: false,
            rootless: false,
            machine: "here".into(),
            kernel: "6.1".into(),
            memory: None,
            cpus: None,
            root: "/".into(),
            nodes: 1,
            clock: None,
        };
        let resources = SwarmResources {
            pools: vec!["10.0.0.0/22".into()],
            subnet_bits: 24,
            proxy: Some(("10.9.0.0/28".into(), 4)),
            ..SwarmResources::default()
        };
        HostReadings {
            machine: Some(machine),
            engine: Some(Ok(engine)),
            resources: Some(Ok(resources)),
            ..HostReadings::default()
        }
    }

    #[test]
    fn run_waits_for_what_its_neighbours_have_or_will_take() {
        let run = "run 20261121-101502-aebagbaf of gitea";
        for (mine, others, expected) in [
            (needs(100, &[2222], 1), vec![], vec![]),
            (needs(100, &[2222], 1), vec![neighbour(needs(300, &[3000], 1), false)], vec![]),
            (
                needs(100, &[2222], 1),
                vec![neighbour(needs(300, &[2222], 1), true)],
                vec![format!("port 2222/tcp, which {run} has")],
            ),
            (
                needs(600, &[], 1),
                vec![neighbour(needs(500, &[], 1), false)],
                vec![format!("memory: 600 MiB are wanted, and of the 1000 MiB that are free 500 MiB are for {run}")],
            ),
            // The free memory of the machine does not include a running app.
            (needs(600, &[], 1), vec![neighbour(needs(500, &[], 1), true)], vec![]),
            // A run that the host is too small for waits until it is alone, and is then refused.
            (
                needs(2000, &[], 1),
                vec![neighbour(needs(500, &[], 1), true)],
                vec![format!("memory: 2000 MiB are wanted, and of the 1000 MiB that are free 0 MiB are for {run}")],
            ),
            (
                needs(1, &[], 3),
                vec![neighbour(needs(1, &[], 2), false)],
                vec![format!("subnets for overlay networks: 3 are wanted, and of the 4 that are left 2 are for {run}")],
            ),
            // An app without networks waits for none.
            (needs(1, &[], 0), vec![neighbour(needs(1, &[], 4), false)], vec![]),
            (
                Needs { addresses: 9, ..needs(1, &[], 0) },
                vec![neighbour(needs(1, &[], 0), false)],
                vec![format!("addresses in the network `proxy`: 9 are wanted, and of the 10 that are left 2 are for {run}")],
            ),
        ] {
            assert_eq!(waits(&mine, &Limits::default(), &readings(), &others), expected, "{mine:?} beside {others:?}");
        }
    }

    #[test]
    fn run_does_not_wait_for_unknown_resources() {
        let others = [neighbour(needs(9000, &[], 9), false)];
        assert!(waits(&needs(9000, &[], 9), &Limits::default(), &HostReadings::default(), &others).is_empty());
    }
}
