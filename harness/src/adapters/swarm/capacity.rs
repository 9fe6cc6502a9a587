//! The capacity of a Swarm: subnets, addresses of `proxy`, published ports, and the images on the engine.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    path::Path,
};

use bollard::{
    Docker,
    models::{
        ContainerSummary, ContainerSummaryStateEnum, EndpointPortConfigProtocolEnum, Network, PortSummaryTypeEnum, Service, Task,
        TaskState,
    },
    query_parameters::{InspectContainerOptions, ListContainersOptions, ListNetworksOptions},
};

use super::{
    call::{answer, found},
    raw,
    tasks::tasks,
};
use crate::model::{
    engine::{Port, ServiceAddress, SwarmError, SwarmResources, Taken},
    names::ImageRef,
};

/// The network of public services, by Co-op Cloud's convention.
const PROXY: &str = "proxy";

pub(super) async fn resources(docker: &Docker, socket: &Path) -> Result<SwarmResources, SwarmError> {
    let (swarm, networks, services, containers, tasks) = tokio::try_join!(
        answer("swarm", docker.inspect_swarm()),
        answer("networks", docker.list_networks(None::<ListNetworksOptions>)),
        raw::all(socket),
        answer("containers", docker.list_containers(None::<ListContainersOptions>)),
        tasks("tasks", docker, None),
    )?;
    let running_of = running_tasks(&tasks);
    let (subnets, proxy) = overlay_subnets(&networks);
    let proxy_id = proxy.as_ref().map(|(_, id)| id.as_str());
    let on_proxy: Vec<&Service> = services.iter().filter(|service| proxy_id.is_some_and(|id| is_attached(service, id))).collect();
    let plain = containers.iter().filter(|container| is_plain_on_proxy(container)).count() as u64;
    // Each service has one address, each of its tasks one, and each node one for load balancing.
    let used =
        on_proxy.iter().map(|service| 1 + running_of.get(id(service)).copied().unwrap_or_default()).sum::<u64>() + plain + 1;
    let address = match proxy_id {
        Some(network) => service_address(docker, network, &on_proxy, &running_of, &containers).await?,
        None => None,
    };
    Ok(SwarmResources {
        pools: swarm.default_addr_pool.unwrap_or_default(),
        subnet_bits: swarm.subnet_size.and_then(|bits| u8::try_from(bits).ok()).unwrap_or_default(),
        subnets,
        proxy: proxy.map(|(subnet, _)| (subnet, used)),
        ports: published(&services, &containers),
        address,
    })
}

/// The number of running tasks of each service, by the service's id.
fn running_tasks(tasks: &[Task]) -> BTreeMap<&str, u64> {
    let mut running = BTreeMap::new();
    for task in tasks {
        if task.status.as_ref().and_then(|status| status.state) == Some(TaskState::RUNNING) {
            *running.entry(task.service_id.as_deref().unwrap_or_default()).or_default() += 1;
        }
    }
    running
}

/// The subnets of all overlay networks, and the first subnet and the id of [`PROXY`].
fn overlay_subnets(networks: &[Network]) -> (Vec<String>, Option<(String, String)>) {
    let (mut subnets, mut proxy) = (Vec::new(), None);
    for network in networks.iter().filter(|network| network.driver.as_deref() == Some("overlay")) {
        let configs = network.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
        let own: Vec<String> = configs.filter_map(|config| config.subnet.clone()).collect();
        if network.name.as_deref() == Some(PROXY) {
            proxy = own.first().cloned().zip(network.id.clone());
        }
        subnets.extend(own);
    }
    (subnets, proxy)
}

fn id(service: &Service) -> &str {
    service.id.as_deref().unwrap_or_default()
}

fn name(service: &Service) -> &str {
    service.spec.as_ref().and_then(|spec| spec.name.as_deref()).unwrap_or_default()
}

fn is_attached(service: &Service, network: &str) -> bool {
    let Some(spec) = &service.spec else { return false };
    let template = spec.task_template.as_ref().and_then(|template| template.networks.as_ref());
    let all = spec.networks.iter().chain(template).flatten();
    all.filter_map(|attachment| attachment.target.as_deref()).any(|target| target == network || target == PROXY)
}

fn is_plain_on_proxy(container: &ContainerSummary) -> bool {
    let of_service = container.labels.as_ref().is_some_and(|labels| labels.contains_key("com.docker.swarm.service.id"));
    let networks = container.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    !of_service && networks.is_some_and(|networks| networks.contains_key(PROXY))
}

fn published(services: &[Service], containers: &[ContainerSummary]) -> BTreeSet<Taken> {
    let mut taken = BTreeSet::new();
    for service in services {
        let ports = service.endpoint.iter().flat_map(|endpoint| endpoint.ports.iter().flatten());
        for port in ports {
            let Some(number) = port.published_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0) else {
                continue;
            };
            let udp = port.protocol == Some(EndpointPortConfigProtocolEnum::UDP);
            taken.insert(Taken { port: Port { number, udp }, by: format!("service {}", name(service)) });
        }
    }
    for container in containers {
        let by = container.names.iter().flatten().next().map(|name| name.trim_start_matches('/')).unwrap_or_default();
        for port in container.ports.iter().flatten() {
            let Some(number) = port.public_port else { continue };
            let udp = port.typ == Some(PortSummaryTypeEnum::UDP);
            taken.insert(Taken { port: Port { number, udp }, by: format!("container {by}") });
        }
    }
    taken
}

/// The address of a running service on the network, with a port on which it listens, and a process to connect from.
async fn service_address(
    docker: &Docker,
    network: &str,
    services: &[&Service],
    running: &BTreeMap<&str, u64>,
    containers: &[ContainerSummary],
) -> Result<Option<ServiceAddress>, SwarmError> {
    let found_address = services.iter().filter(|service| running.contains_key(id(service))).find_map(|service| {
        let addresses = service.endpoint.iter().flat_map(|endpoint| endpoint.virtual_ips.iter().flatten());
        let own =
            addresses.filter(|address| address.network_id.as_deref() == Some(network)).find_map(|own| own.addr.as_deref())?;
        let ip: IpAddr = own.split('/').next()?.parse().ok()?;
        Some((name(service).to_owned(), SocketAddr::new(ip, listening_port(service)?)))
    });
    let Some((service, at)) = found_address else { return Ok(None) };
    let on_it = |container: &&ContainerSummary| {
        let networks = container.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
        container.state == Some(ContainerSummaryStateEnum::RUNNING)
            && networks.is_some_and(|networks| networks.contains_key(PROXY))
    };
    let Some(container) = containers.iter().find(on_it).and_then(|container| container.id.as_deref()) else { return Ok(None) };
    let inspected = found("container", docker.inspect_container(container, None::<InspectContainerOptions>)).await?;
    let pid = inspected.and_then(|inspected| inspected.state?.pid).and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0);
    Ok(pid.map(|from| ServiceAddress { service, at, from }))
}

/// A port on which the tasks of a service listen, from its ingress label or its published ports.
fn listening_port(service: &Service) -> Option<u16> {
    let no_labels = HashMap::new();
    let labels = service.spec.as_ref().and_then(|spec| spec.labels.as_ref()).unwrap_or(&no_labels);
    let labelled =
        labels.iter().find(|(label, _)| label.ends_with(".loadbalancer.server.port")).and_then(|(_, port)| port.parse().ok());
    let published = || {
        let mut ports = service.endpoint.iter().flat_map(|endpoint| endpoint.ports.iter().flatten());
        let tcp = ports.find(|port| port.protocol == Some(EndpointPortConfigProtocolEnum::TCP))?;
        u16::try_from(tcp.target_port?).ok()
    };
    labelled.or_else(published)
}

pub(super) async fn absent(docker: &Docker, images: &BTreeSet<ImageRef>) -> Result<BTreeSet<ImageRef>, SwarmError> {
    let mut absent = BTreeSet::new();
    for image in images {
        if found("image", docker.inspect_image(image.as_str())).await?.is_none() {
            absent.insert(image.clone());
        }
    }
    Ok(absent)
}

pub(super) async fn look_up(docker: &Docker, image: &ImageRef) -> Result<(), SwarmError> {
    answer("registry look-up", docker.inspect_registry_image(image.as_str(), None)).await.map(|_| ())
}
