//! Conversion of services as in `docker stack deploy` (`cli/compose/convert/service.go`).

use std::time::Duration;

use super::{
    error::Unresolved,
    fields::Fields,
    objects::Objects,
    resolved::{Attachment, Mount, Mounted, Port, PortMode, Resources, Service, Skipped, Use},
    tree::join,
    units,
};
use crate::{
    model::names::{BadName, StackName},
    pure::host::converge::{Endpoint, Health, Mode, OnFailure, Order, RestartCondition, RestartPolicy, RollPolicy},
};

/// The network of a service without `networks`.
pub(super) const DEFAULT_NETWORK: &str = "default";

pub(super) fn service(
    short: &str,
    mut fields: Fields,
    stack: &StackName,
    objects: &Objects,
    skipped: &mut Vec<Skipped>,
) -> Result<Service, Unresolved> {
    let named = |cause: BadName| Unresolved::BadName { service: short.to_owned(), cause };
    let mut deploy = fields.object("deploy");
    let (health, health_test) = health(&mut fields, skipped)?;
    let image = fields.text("image").ok_or_else(|| Unresolved::NoImage { service: short.to_owned() })?;
    let mut logging = fields.object("logging");
    let mut resources = deploy.object("resources");
    let mut placement = deploy.object("placement");
    let service = Service {
        name: format!("{stack}_{short}").parse().map_err(named)?,
        image: image.parse().map_err(named)?,
        mode: mode(&mut deploy)?,
        entrypoint: fields.texts("entrypoint"),
        command: fields.texts("command"),
        user: fields.text("user"),
        environment: fields.object("environment").each().map(|(key, _, node)| (key, node.printed())).collect(),
        env_files: fields.texts("env_file").iter().map(|file| join(&objects.folder, file)).collect(),
        labels: deploy.pairs("labels"),
        container_labels: fields.pairs("labels"),
        health,
        health_test,
        roll: roll(&mut deploy, skipped)?,
        restart: restart(&mut fields, &mut deploy, skipped)?,
        ports: ports(&mut fields, skipped)?,
        mounts: mounts(short, &mut fields, objects, skipped)?,
        networks: networks(short, &mut fields, stack, objects, skipped)?,
        secrets: uses(short, "secret", fields.objects("secrets"), |name| Some(&objects.secrets.get(name)?.name), skipped)?,
        configs: uses(short, "config", fields.objects("configs"), |name| Some(&objects.configs.get(name)?.name), skipped)?,
        cap_add: fields.texts("cap_add"),
        privileged: fields.truth("privileged"),
        network_mode: fields.text("network_mode"),
        pid: fields.text("pid"),
        ipc: fields.text("ipc"),
        devices: fields.texts("devices"),
        security_opt: fields.texts("security_opt"),
        userns_mode: fields.text("userns_mode"),
        cgroup_parent: fields.text("cgroup_parent"),
        log_driver: logging.text("driver"),
        limits: limits(resources.object("limits"), skipped)?,
        reservations: limits(resources.object("reservations"), skipped)?,
        constraints: placement.texts("constraints"),
        endpoint: match deploy.text("endpoint_mode").map(|mode| mode.to_lowercase()).as_deref() {
            Some("dnsrr") => Endpoint::Dnsrr,
            _ => Endpoint::Vip,
        },
        stop_grace_period: fields.duration("stop_grace_period")?,
    };
    for rest in [logging, resources, placement, deploy, fields] {
        rest.rest(skipped);
    }
    Ok(service)
}

fn mode(deploy: &mut Fields) -> Result<Mode, Unresolved> {
    let at = deploy.take("mode");
    let replicas = deploy.number("replicas")?;
    let path = deploy.path("mode");
    let Some(node) = at else { return Ok(Mode::Replicated { replicas: replicas.unwrap_or(1) }) };
    match (node.text().unwrap_or_default(), replicas) {
        ("replicated" | "", _) => Ok(Mode::Replicated { replicas: replicas.unwrap_or(1) }),
        ("replicated-job", _) => Ok(Mode::Job { completions: replicas.unwrap_or(1) }),
        ("global" | "global-job", Some(_)) => {
            Err(Unresolved::Conflict { at: node.at, path, one: "replicas", other: "a global mode" })
        }
        ("global", None) => Ok(Mode::Global),
        ("global-job", None) => Ok(Mode::Job { completions: 1 }),
        _ => {
            let wanted = "replicated, global, replicated-job or global-job";
            Err(Unresolved::WrongKind { at: node.at, path, wanted: wanted.to_owned() })
        }
    }
}

/// A non-zero duration, or Swarm's default.
fn nonzero_or(duration: Option<Duration>, default: u64) -> Duration {
    duration.filter(|duration| !duration.is_zero()).unwrap_or(Duration::from_secs(default))
}

fn health(fields: &mut Fields, skipped: &mut Vec<Skipped>) -> Result<(Health, Vec<String>), Unresolved> {
    let path = fields.path("healthcheck");
    let Some(node) = fields.take("healthcheck") else { return Ok((Health::Absent, Vec::new())) };
    let at = node.at.clone();
    let mut check = Fields::of(node, path.clone());
    let test = check.texts("test");
    let disabled = check.truth("disable");
    if disabled && !test.is_empty() {
        return Err(Unresolved::Conflict { at, path, one: "disable", other: "a test" });
    }
    let interval = nonzero_or(check.duration("interval")?, 30);
    let timeout = nonzero_or(check.duration("timeout")?, 30);
    let retries = check.number("retries")?.filter(|retries| *retries > 0).unwrap_or(3);
    let start_period = check.duration("start_period")?.unwrap_or_default();
    check.rest(skipped);
    let health = match test.first().map(String::as_str) {
        None if disabled => Health::Disabled,
        None => Health::Absent,
        Some("NONE") => Health::Disabled,
        Some(_) => Health::Probe { interval, timeout, retries, start_period },
    };
    Ok((health, test))
}

fn roll(deploy: &mut Fields, skipped: &mut Vec<Skipped>) -> Result<RollPolicy, Unresolved> {
    let mut update = deploy.object("update_config");
    let failures = [("pause", OnFailure::Pause), ("continue", OnFailure::Continue), ("rollback", OnFailure::Rollback)];
    let roll = RollPolicy {
        parallelism: update.number("parallelism")?.unwrap_or(1),
        delay: update.duration("delay")?.unwrap_or_default(),
        monitor: nonzero_or(update.duration("monitor")?, 5),
        order: update.word(
            "order",
            &[("stop-first", Order::StopFirst), ("start-first", Order::StartFirst)],
            "stop-first or start-first",
        )?,
        on_failure: update.word("failure_action", &failures, "pause, continue or rollback")?,
    };
    update.rest(skipped);
    Ok(roll)
}

/// `deploy.restart_policy`, else the older `restart`, else Swarm's default policy.
fn restart(fields: &mut Fields, deploy: &mut Fields, skipped: &mut Vec<Skipped>) -> Result<RestartPolicy, Unresolved> {
    use RestartCondition::{Any, OnFailure};
    let path = fields.path("restart");
    let older = fields.take("restart");
    let policy = |condition, max_attempts| RestartPolicy { condition, delay: Duration::from_secs(5), max_attempts };
    if let Some(node) = deploy.take("restart_policy") {
        let mut newer = Fields::of(node, deploy.path("restart_policy"));
        let words = [("any", Any), ("on-failure", OnFailure), ("none", RestartCondition::None)];
        let condition = newer.word("condition", &words, "any, on-failure or none")?;
        let delay = newer.duration("delay")?.unwrap_or(Duration::from_secs(5));
        let policy = RestartPolicy { condition, delay, max_attempts: newer.number("max_attempts")?.unwrap_or(0) };
        newer.rest(skipped);
        return Ok(policy);
    }
    let Some(node) = older else { return Ok(policy(Any, 0)) };
    let text = node.text().unwrap_or_default();
    let (word, attempts) = text.split_once(':').map_or((text, Some(0)), |(word, attempts)| (word, attempts.parse().ok()));
    match (word, attempts) {
        ("" | "no" | "always" | "unless-stopped", Some(0)) => Ok(policy(Any, 0)),
        ("on-failure", Some(attempts)) => Ok(policy(OnFailure, attempts)),
        _ => Err(Unresolved::WrongKind { at: node.at, path, wanted: "no, always, unless-stopped or on-failure".to_owned() }),
    }
}

fn ports(fields: &mut Fields, skipped: &mut Vec<Skipped>) -> Result<Vec<Port>, Unresolved> {
    let mut ports = Vec::new();
    for mut port in fields.objects("ports") {
        let mode = port.word("mode", &[("ingress", PortMode::Ingress), ("host", PortMode::Host)], "ingress or host")?;
        let number = |number: Option<u64>| number.and_then(|number| u16::try_from(number).ok());
        let path = port.path("target");
        let Some(target) = number(port.number("target")?).filter(|target| *target > 0) else {
            let at = port.at.clone();
            return Err(Unresolved::WrongKind { at, path, wanted: "a port of the container".to_owned() });
        };
        let published = number(port.number("published")?).filter(|published| *published > 0);
        ports.push(Port { published, target, protocol: port.text("protocol").unwrap_or_else(|| "tcp".to_owned()), mode });
        port.rest(skipped);
    }
    Ok(ports)
}

fn mounts(short: &str, fields: &mut Fields, objects: &Objects, skipped: &mut Vec<Skipped>) -> Result<Vec<Mount>, Unresolved> {
    let mut mounts = Vec::new();
    for mut mount in fields.objects("volumes") {
        let kind = mount.text("type").unwrap_or_default();
        let source = mount.text("source").unwrap_or_default();
        let what = match kind.as_str() {
            "" | "volume" if source.is_empty() => Mounted::Anonymous,
            "" | "volume" => {
                let Some(volume) = objects.volumes.get(&source) else {
                    return Err(Unresolved::Undeclared { service: short.to_owned(), kind: "volume", name: source });
                };
                let mut options = mount.object("volume");
                let (nocopy, subpath) = (options.truth("nocopy"), options.text("subpath"));
                options.rest(skipped);
                Mounted::Volume { source, name: volume.name.clone(), nocopy, subpath }
            }
            "bind" => {
                let mut options = mount.object("bind");
                let propagation = options.text("propagation");
                options.rest(skipped);
                Mounted::Bind { source, propagation }
            }
            "tmpfs" => {
                let mut options = mount.object("tmpfs");
                let size = options.number("size")?;
                options.rest(skipped);
                Mounted::Tmpfs { size }
            }
            _ => Mounted::Other { kind, source },
        };
        mounts.push(Mount { target: mount.text("target").unwrap_or_default(), read_only: mount.truth("read_only"), what });
        mount.rest(skipped);
    }
    Ok(mounts)
}

fn networks(
    short: &str,
    fields: &mut Fields,
    stack: &StackName,
    objects: &Objects,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<Attachment>, Unresolved> {
    let mut attachments = Vec::new();
    for (network, mut fields, _) in fields.object("networks").each() {
        let name = match objects.networks.get(&network) {
            Some(declared) => declared.name.clone(),
            None if network == DEFAULT_NETWORK => format!("{stack}_{network}"),
            None => return Err(Unresolved::Undeclared { service: short.to_owned(), kind: "network", name: network }),
        };
        attachments.push(Attachment { network, name, aliases: fields.texts("aliases") });
        fields.rest(skipped);
    }
    if attachments.is_empty() {
        let name = objects.networks.get(DEFAULT_NETWORK).map(|network| network.name.clone());
        let name = name.unwrap_or_else(|| format!("{stack}_{DEFAULT_NETWORK}"));
        attachments.push(Attachment { network: DEFAULT_NETWORK.to_owned(), name, aliases: Vec::new() });
    }
    Ok(attachments)
}

fn uses<'a>(
    short: &str,
    kind: &'static str,
    entries: Vec<Fields>,
    name_of: impl Fn(&str) -> Option<&'a String>,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<Use>, Unresolved> {
    let mut uses = Vec::new();
    for mut entry in entries {
        let source = entry.text("source").unwrap_or_default();
        let Some(name) = name_of(&source) else {
            return Err(Unresolved::Undeclared { service: short.to_owned(), kind, name: source });
        };
        uses.push(Use { name: name.clone(), target: entry.text("target").unwrap_or_else(|| source.clone()), source });
        entry.rest(skipped);
    }
    Ok(uses)
}

fn limits(mut fields: Fields, skipped: &mut Vec<Skipped>) -> Result<Resources, Unresolved> {
    let path = fields.path("cpus");
    let nano_cpus = match fields.take("cpus") {
        Some(node) if node.text() != Some("") => {
            let read = node.text().and_then(units::nano_cpus);
            Some(read.ok_or(Unresolved::WrongKind { at: node.at, path, wanted: "a number of processors, as text".to_owned() })?)
        }
        _ => None,
    };
    let path = fields.path("memory");
    let memory = match fields.take("memory") {
        Some(node) => match node.text().and_then(|bytes| bytes.parse::<u64>().ok()) {
            Some(bytes) => Some(bytes).filter(|bytes| *bytes > 0),
            None => return Err(Unresolved::WrongKind { at: node.at, path, wanted: "a size that a machine can have".to_owned() }),
        },
        None => None,
    };
    fields.rest(skipped);
    Ok(Resources { memory, nano_cpus })
}
