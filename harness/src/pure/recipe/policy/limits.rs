//! Limits of an app: what the host file allows at most, and what it sets where the recipe sets nothing.
//!
//! The default limits come to the app as one more compose file, the last of the list, so that a deploy stays one deploy. The file
//! lies beside the recipe's checkout and not in it: the checkout stays the recipe's own. It only adds what the files lack.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    model::{
        host::{AppLimits, Maxima},
        names::StackName,
    },
    pure::{
        host::converge::Mode,
        recipe::{
            compose::{Env, Resolved, Service},
            power::Live,
        },
    },
};

/// The name of the file with the default limits, beside the checkouts.
pub const LIMITS_NAME: &str = "compose.limits.yml";
/// Its path from the recipe's checkout.
const LIMITS_FILE: &str = "../../compose.limits.yml";

/// Log drivers whose files grow on the node.
const GROWING: [&str; 2] = ["json-file", "local"];
/// The facet of the limit of memory.
const MEMORY: &str = "Resources.Limits.MemoryBytes";
const MIB: u64 = 1 << 20;
/// The number of files of a log; the newest and the one before it.
const LOG_FILES: u64 = 2;

/// The default limits of an app, as a compose file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefaultLimits {
    /// The compose file; empty when every service has limits of its own.
    pub file: String,
    /// The facets of each service that the file sets, by the service's name in the files.
    pub facets: BTreeMap<String, BTreeMap<String, String>>,
    /// The services whose number of processes the format of the files cannot limit.
    pub without_processes: Vec<String>,
}

impl DefaultLimits {
    /// Those that the host file sets where the files set none. `cpus` is how many processors a node has at least.
    pub fn of(resolved: &Resolved, limits: &AppLimits, cpus: u64) -> Self {
        let mut all = Self::default();
        let mut services = Map::new();
        let knows_pids = knows_pids(&resolved.version);
        for (short, service) in &resolved.services {
            let pids = resolved.skipped.iter().any(|key| key.path == format!("services.{short}.deploy.resources.limits.pids"));
            if !pids && !knows_pids {
                all.without_processes.push(short.clone());
            }
            let (body, facets) = of_service(service, resolved, short, limits, cpus, !pids && knows_pids);
            if !body.is_empty() {
                services.insert(short.clone(), body.into());
                all.facets.insert(short.clone(), facets);
            }
        }
        if !services.is_empty() {
            // All files of an app name the same version.
            all.file = json!({ "version": resolved.version, "services": services }).to_string();
        }
        all
    }
}

impl DefaultLimits {
    /// The services that get a limit of memory, by their names in the files.
    pub fn services_with_memory(&self) -> impl Iterator<Item = &str> {
        self.facets.iter().filter(|(_, facets)| facets.contains_key(MEMORY)).map(|(short, _)| short.as_str())
    }
}

/// The format limits processes from version 3.9 on.
fn knows_pids(version: &str) -> bool {
    version.strip_prefix("3.").is_none_or(|minor| minor.parse::<u32>().is_ok_and(|minor| minor >= 9))
}

fn of_service(
    service: &Service,
    resolved: &Resolved,
    short: &str,
    limits: &AppLimits,
    cpus: u64,
    pids: bool,
) -> (Map<String, Value>, BTreeMap<String, String>) {
    let (mut own, mut body, mut facets) = (Map::new(), Map::new(), BTreeMap::new());
    if service.limits.memory.is_none_or(|memory| memory == 0) {
        // A limit below the reservation is refused.
        let memory = (limits.memory_mib.saturating_mul(MIB)).max(service.reservations.memory.unwrap_or_default());
        own.insert("memory".into(), memory.to_string().into());
        facets.insert(MEMORY.to_owned(), memory.to_string());
    }
    if service.limits.nano_cpus.is_none_or(|cpus| cpus == 0) {
        let nano = (limits.cpus.min(cpus.max(1)) * 1_000_000_000).max(service.reservations.nano_cpus.unwrap_or_default());
        own.insert("cpus".into(), format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000).into());
        facets.insert("Resources.Limits.NanoCPUs".to_owned(), nano.to_string());
    }
    if pids {
        own.insert("pids".into(), limits.processes.into());
        facets.insert("Resources.Limits.Pids".to_owned(), limits.processes.to_string());
    }
    if !own.is_empty() {
        body.insert("deploy".into(), json!({ "resources": { "limits": own } }));
    }
    let driver = service.log_driver.as_deref().unwrap_or("json-file");
    let options = resolved.skipped.iter().find(|key| key.path == format!("services.{short}.logging.options"));
    let bounded = options.is_some_and(|options| options.value.contains("\"max-size\""));
    if GROWING.contains(&driver) && !bounded {
        let (size, files) = (format!("{}m", (limits.log_mib / LOG_FILES).max(1)), LOG_FILES.to_string());
        body.insert("logging".into(), json!({ "driver": driver, "options": { "max-size": size, "max-file": files } }));
        facets.insert("LogDriver.Name".to_owned(), format!("{driver:?}"));
        facets.insert("LogDriver.Options[max-size]".to_owned(), format!("{size:?}"));
        facets.insert("LogDriver.Options[max-file]".to_owned(), format!("{files:?}"));
    }
    (body, facets)
}

/// The variables as the recipe has them, without the file of default limits.
#[must_use]
pub fn without_limits(env: Env) -> Env {
    let Some(list) = env.get("COMPOSE_FILE").filter(|list| list.split(':').any(|file| file == LIMITS_FILE)) else { return env };
    let kept: Vec<&str> = list.split(':').filter(|file| *file != LIMITS_FILE).collect();
    let kept = kept.join(":");
    env.with("COMPOSE_FILE", &kept)
}

/// The list of compose files with that of the default limits at its end.
pub fn listed_with_limits(env: &Env) -> String {
    let env = without_limits(env.clone());
    let listed = env.get("COMPOSE_FILE").filter(|list| !list.is_empty()).unwrap_or("compose.yml");
    format!("{listed}:{LIMITS_FILE}")
}

/// What of an app is more than the host file allows, a sentence each.
pub(super) fn objections(resolved: &Resolved, most: &Maxima) -> Vec<String> {
    let mut found = Vec::new();
    let services = resolved.services.len() as u64;
    let tasks = resolved.services.values().map(|service| tasks(&service.mode)).fold(0, u64::saturating_add);
    let ports = resolved.services.values().map(|service| service.ports.len()).sum::<usize>();
    let objects = resolved.networks.len() + resolved.volumes.len() + resolved.secrets.len() + resolved.configs.len() + ports;
    for (what, asked, most, key) in [
        ("services", services, most.services, "services"),
        ("tasks", tasks, most.tasks, "tasks"),
        ("networks, volumes, secrets, configs and published ports", objects as u64, most.objects, "objects"),
    ] {
        if asked > most {
            found.push(format!("the app has {asked} {what}, and limits.most.{key} of the host file allows {most}"));
        }
    }
    for (short, service) in &resolved.services {
        let memory = service.limits.memory.max(service.reservations.memory).unwrap_or_default() / MIB;
        if memory > most.memory_mib {
            found.push(format!(
                "service {short} asks for {memory} MiB of memory, and limits.most.memory_mib of the host file allows {}",
                most.memory_mib
            ));
        }
        let pids = resolved.skipped.iter().find(|key| key.path == format!("services.{short}.deploy.resources.limits.pids"));
        let pids = pids.and_then(|key| key.value.parse::<i64>().ok()).unwrap_or_default();
        if pids < 0 || pids.unsigned_abs() > most.processes {
            found.push(format!(
                "service {short} asks for {pids} processes, and limits.most.processes of the host file allows {}",
                most.processes
            ));
        }
    }
    found
}

/// What runs and is more than the host file allows, a sentence each.
pub fn live_objections(live: &Live, stack: &StackName, most: &Maxima) -> Vec<String> {
    let tasks = |spec: &Value| {
        let mode = &spec["Mode"];
        mode["Replicated"]["Replicas"].as_u64().or(mode["ReplicatedJob"]["TotalCompletions"].as_u64()).unwrap_or(1)
    };
    let all = live.services.iter().map(tasks).fold(0, u64::saturating_add);
    let services = live.services.len() as u64;
    [("services", services, most.services), ("tasks", all, most.tasks)]
        .into_iter()
        .filter(|(_, asked, most)| asked > most)
        .map(|(what, asked, most)| {
            format!("{stack} runs with {asked} {what}, and limits.most.{what} of the host file allows {most}")
        })
        .collect()
}

/// How many tasks a mode wants; a global one has at least one.
fn tasks(mode: &Mode) -> u64 {
    match mode {
        Mode::Replicated { replicas } => *replicas,
        Mode::Global => 1,
        Mode::Job { completions } => *completions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::recipe::compose::{Entry, Tree, resolve};

    fn resolved(services: &str) -> Resolved {
        of_version("3.9", services)
    }

    fn of_version(version: &str, services: &str) -> Resolved {
        let text = format!("version: \"{version}\"\nservices:\n{services}");
        let tree: Tree = [("compose.yml".to_owned(), Entry::Text(text))].into_iter().collect();
        resolve(&tree, &Env::default(), &"shop".parse().unwrap()).unwrap()
    }

    fn defaults(services: &str) -> DefaultLimits {
        DefaultLimits::of(&resolved(services), &AppLimits::default(), 2)
    }

    #[test]
    fn service_without_limits_gets_those_of_the_host_file() {
        let made = defaults("  app: {image: a}\n");
        let file: Value = serde_json::from_str(&made.file).unwrap();
        assert_eq!(
            file,
            json!({ "version": "3.9", "services": { "app": {
                "deploy": { "resources": { "limits": { "memory": "4294967296", "cpus": "2.000000000", "pids": 4096 } } },
                "logging": { "driver": "json-file", "options": { "max-size": "32m", "max-file": "2" } },
            } } })
        );
        assert_eq!(made.facets["app"].len(), 6);
        assert_eq!(made.without_processes, Vec::<String>::new());
    }

    #[test]
    fn limit_of_the_recipe_is_left_alone() {
        let own = "deploy: {resources: {limits: {memory: 64M, cpus: '0.5', pids: 9}}}, \
                   logging: {driver: local, options: {max-size: 1m}}";
        assert_eq!(defaults(&format!("  app: {{image: a, {own}}}\n")), DefaultLimits::default());
        let syslog = defaults("  app: {image: a, logging: {driver: syslog}}\n");
        assert!(!syslog.file.contains("logging"), "{}", syslog.file);
    }

    #[test]
    fn older_format_has_no_limit_of_processes() {
        let files = of_version("3.8", "  app: {image: a}\n  db: {image: a}\n");
        let made = DefaultLimits::of(&files, &AppLimits::default(), 2);
        assert_eq!(made.without_processes, ["app", "db"]);
        assert!(!made.file.contains("pids"));
    }

    #[test]
    fn reservation_raises_the_limit() {
        let made = defaults("  app: {image: a, deploy: {resources: {reservations: {memory: 9G}}}}\n");
        assert!(made.file.contains("9663676416"), "{}", made.file);
    }

    #[test]
    fn file_of_limits_is_listed_once_and_taken_out_again() {
        for (before, with) in [
            ("", "compose.yml:../../compose.limits.yml"),
            ("COMPOSE_FILE=compose.yml:compose.sso.yml", "compose.yml:compose.sso.yml:../../compose.limits.yml"),
        ] {
            let env = Env::parse(before).unwrap();
            assert_eq!(listed_with_limits(&env), with);
            let limited = env.with("COMPOSE_FILE", with);
            assert_eq!(listed_with_limits(&limited), with);
            let stripped = without_limits(limited);
            assert_eq!(stripped.get("COMPOSE_FILE"), with.strip_suffix(":../../compose.limits.yml"));
        }
    }

    #[test]
    fn app_that_is_too_large_is_refused() {
        let many: String = (0..5000).map(|number| format!("  s{number}: {{image: a}}\n")).collect();
        for (services, sentences) in [
            ("  app: {image: a, deploy: {replicas: 3}}\n", &[][..]),
            (
                "  app: {image: a, deploy: {replicas: 100000}}\n",
                &["the app has 100000 tasks, and limits.most.tasks of the host file allows 100"],
            ),
            (
                &many,
                &[
                    "the app has 5000 services, and limits.most.services of the host file allows 50",
                    "the app has 5000 tasks, and limits.most.tasks of the host file allows 100",
                ],
            ),
            (
                "  app: {image: a, ports: ['10000-19999:10000-19999']}\n",
                &["the app has 10001 networks, volumes, secrets, configs and published ports, and limits.most.objects of the \
                     host file allows 200"],
            ),
            (
                "  app: {image: a, deploy: {resources: {limits: {memory: 900G}}}}\n",
                &["service app asks for 921600 MiB of memory, and limits.most.memory_mib of the host file allows 32768"],
            ),
            (
                "  app: {image: a, deploy: {resources: {limits: {pids: 1000000}}}}\n",
                &["service app asks for 1000000 processes, and limits.most.processes of the host file allows 32768"],
            ),
            (
                "  app: {image: a, deploy: {mode: replicated-job, replicas: 99999999999}}\n",
                &["the app has 99999999999 tasks, and limits.most.tasks of the host file allows 100"],
            ),
        ] {
            assert_eq!(objections(&resolved(services), &Maxima::default()), sentences, "{}", &services[..40.min(services.len())]);
        }
    }
}
