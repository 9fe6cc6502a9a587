//! The resolver compared with the output of `docker stack config` for the same files, recorded by `unit-tests/compose/record.sh`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use harness::pure::{
    host::converge::{Endpoint, Health, Mode, OnFailure, Order, RestartCondition, RollPolicy},
    recipe::compose::{Entry, Env, Mounted, PortMode, Resolved, Resources, Service, Tree, resolve},
};
use serde_json::{Map, Value, json};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compose")
}

/// Adds the files below `folder`, with `prefix` before their names.
fn add_files(tree: &mut Vec<(String, Entry)>, folder: &Path, prefix: &str) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => add_files(tree, &entry.path(), &format!("{name}/")),
            false => tree.push((name, Entry::Text(std::fs::read_to_string(entry.path()).unwrap()))),
        }
    }
}

fn resolved(case: &str) -> Resolved {
    let folder = cases().join(case);
    let mut tree = Vec::new();
    add_files(&mut tree, &folder, "");
    let env = Env::parse(&std::fs::read_to_string(folder.join(".env")).unwrap()).unwrap();
    resolve(&Tree::from_iter(tree), &env, &"shop_example_test".parse().unwrap()).unwrap_or_else(|error| panic!("{case}: {error}"))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    }
}

fn list(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|item| text(item).unwrap_or_default()).collect()
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn pairs(value: &Value) -> BTreeMap<String, String> {
    map(value).into_iter().map(|(key, value)| (key, text(&value).unwrap_or_default())).collect()
}

/// A duration as Go prints it.
fn duration(value: &Value) -> Option<Duration> {
    let text = text(value)?;
    let mut total = Duration::ZERO;
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap();
        let number: f64 = rest[..end].parse().unwrap();
        rest = &rest[end..];
        let (unit, seconds) =
            [("ms", 0.001), ("h", 3600.0), ("m", 60.0), ("s", 1.0)].into_iter().find(|(unit, _)| rest.starts_with(unit)).unwrap();
        rest = &rest[unit.len()..];
        total += Duration::from_secs_f64(number * seconds);
    }
    Some(total)
}

fn health(check: &Value) -> Health {
    let test = list(&check["test"]);
    if check["disable"] == json!(true) || test.first().is_some_and(|first| first == "NONE") {
        return Health::Disabled;
    }
    if test.is_empty() {
        return Health::Absent;
    }
    let duration_or =
        |key: &str, default| duration(&check[key]).filter(|duration| !duration.is_zero()).unwrap_or(Duration::from_secs(default));
    Health::Probe {
        interval: duration_or("interval", 30),
        timeout: duration_or("timeout", 30),
        retries: check["retries"].as_u64().filter(|retries| *retries > 0).unwrap_or(3),
        start_period: duration_or("start_period", 0),
    }
}

fn mode(deploy: &Value) -> Mode {
    let replicas = deploy["replicas"].as_u64().unwrap_or(1);
    match deploy["mode"].as_str().unwrap_or_default() {
        "global" => Mode::Global,
        "replicated-job" | "global-job" => Mode::Job { completions: replicas },
        _ => Mode::Replicated { replicas },
    }
}

fn roll(update: &Value) -> RollPolicy {
    RollPolicy {
        parallelism: update["parallelism"].as_u64().unwrap_or(1),
        delay: duration(&update["delay"]).unwrap_or_default(),
        monitor: duration(&update["monitor"]).unwrap_or(Duration::from_secs(5)),
        order: if update["order"] == "start-first" { Order::StartFirst } else { Order::StopFirst },
        on_failure: match update["failure_action"].as_str() {
            Some("continue") => OnFailure::Continue,
            Some("rollback") => OnFailure::Rollback,
            _ => OnFailure::Pause,
        },
    }
}

fn resources(value: &Value) -> Resources {
    Resources {
        memory: text(&value["memory"]).map(|bytes| bytes.parse().unwrap()),
        nano_cpus: text(&value["cpus"]).map(|cpus| (cpus.parse::<f64>().unwrap() * 1e9) as u64),
    }
}

/// A path as the recording has it: below `/recipe`, which replaces the recipe's folder.
fn in_recipe_folder(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/recipe/{path}") }
}

fn mounts(service: &Service) -> Value {
    let one = |mount: &harness::pure::recipe::compose::Mount| {
        let (kind, source, more) = match &mount.what {
            Mounted::Volume { source, nocopy, .. } => ("volume", source.clone(), json!(nocopy)),
            Mounted::Anonymous => ("volume", String::new(), json!(false)),
            Mounted::Bind { source, propagation } => ("bind", in_recipe_folder(source), json!(propagation)),
            Mounted::Tmpfs { size } => ("tmpfs", String::new(), json!(size)),
            Mounted::Other { kind, source } => (kind.as_str(), source.clone(), Value::Null),
        };
        json!([kind, source, mount.target, mount.read_only, more])
    };
    service.mounts.iter().map(one).collect()
}

fn recorded_mounts(service: &Value) -> Value {
    let one = |mount: &Value| {
        let more = match mount["type"].as_str().unwrap() {
            "volume" => json!(mount["volume"]["nocopy"] == json!(true)),
            "bind" => mount["bind"]["propagation"].clone(),
            _ => mount["tmpfs"]["size"].clone(),
        };
        let source = text(&mount["source"]).unwrap_or_default();
        json!([mount["type"], source, mount["target"], mount["read_only"] == json!(true), more])
    };
    service["volumes"].as_array().into_iter().flatten().map(one).collect()
}

fn uses(value: &Value) -> Vec<(String, String)> {
    let one = |used: &Value| {
        let source = text(&used["source"]).unwrap();
        (source.clone(), text(&used["target"]).unwrap_or(source))
    };
    value.as_array().into_iter().flatten().map(one).collect()
}

/// The keys of a service that are modelled. The resolver lists all others as skipped.
const MODELLED: [&str; 27] = [
    "image",
    "command",
    "entrypoint",
    "user",
    "environment",
    "env_file",
    "labels",
    "deploy",
    "healthcheck",
    "ports",
    "volumes",
    "networks",
    "secrets",
    "configs",
    "cap_add",
    "privileged",
    "network_mode",
    "pid",
    "ipc",
    "devices",
    "security_opt",
    "userns_mode",
    "cgroup_parent",
    "logging",
    "stop_grace_period",
    "restart",
    "x-own",
];

fn assert_service(case: &str, short: &str, ours: &Service, theirs: &Value, all: &Resolved) {
    let deploy = &theirs["deploy"];
    macro_rules! same {
        ($field:literal, $ours:expr, $theirs:expr) => {
            assert_eq!($ours, $theirs, "{case}: {short}: {}", $field)
        };
    }
    same!("image", ours.image.as_str(), theirs["image"].as_str().unwrap());
    same!("command", ours.command, list(&theirs["command"]));
    same!("entrypoint", ours.entrypoint, list(&theirs["entrypoint"]));
    same!("user", ours.user, text(&theirs["user"]));
    let environment: BTreeMap<String, Option<String>> =
        map(&theirs["environment"]).into_iter().map(|(key, value)| (key, value.as_str().map(str::to_owned))).collect();
    same!("environment", ours.environment, environment);
    same!("env_file", ours.env_files, list(&theirs["env_file"]));
    same!("labels", ours.container_labels, pairs(&theirs["labels"]));
    same!("deploy.labels", ours.labels, pairs(&deploy["labels"]));
    same!("mode", ours.mode, mode(deploy));
    same!("update_config", ours.roll, roll(&deploy["update_config"]));
    same!("healthcheck.test", ours.health_test, list(&theirs["healthcheck"]["test"]));
    same!("healthcheck", ours.health, health(&theirs["healthcheck"]));
    let restart = &deploy["restart_policy"];
    let condition = match restart["condition"].as_str() {
        Some("on-failure") => RestartCondition::OnFailure,
        Some("none") => RestartCondition::None,
        _ => RestartCondition::Any,
    };
    same!("restart_policy.condition", ours.restart.condition, condition);
    same!("restart_policy.delay", ours.restart.delay, duration(&restart["delay"]).unwrap_or(Duration::from_secs(5)));
    same!("restart_policy.max_attempts", ours.restart.max_attempts, restart["max_attempts"].as_u64().unwrap_or(0));
    same!("limits", ours.limits, resources(&deploy["resources"]["limits"]));
    same!("reservations", ours.reservations, resources(&deploy["resources"]["reservations"]));
    same!("constraints", ours.constraints, list(&deploy["placement"]["constraints"]));
    same!("endpoint_mode", ours.endpoint == Endpoint::Dnsrr, deploy["endpoint_mode"] == "dnsrr");
    same!("stop_grace_period", ours.stop_grace_period, duration(&theirs["stop_grace_period"]));
    let port = |port: &harness::pure::recipe::compose::Port| {
        json!([port.published, port.target, port.protocol, if port.mode == PortMode::Host { "host" } else { "ingress" }])
    };
    let recorded_port = |port: &Value| {
        let or = |key: &str, default: &str| text(&port[key]).unwrap_or_else(|| default.to_owned());
        json!([port["published"], port["target"], or("protocol", "tcp"), or("mode", "ingress")])
    };
    let recorded: Vec<Value> = theirs["ports"].as_array().into_iter().flatten().map(recorded_port).collect();
    same!("ports", ours.ports.iter().map(port).collect::<Vec<_>>(), recorded);
    same!("volumes", mounts(ours), recorded_mounts(theirs));
    let networks: BTreeMap<String, Vec<String>> =
        ours.networks.iter().map(|network| (network.network.clone(), network.aliases.clone())).collect();
    let mut recorded: BTreeMap<String, Vec<String>> =
        map(&theirs["networks"]).into_iter().map(|(name, network)| (name, list(&network["aliases"]))).collect();
    if recorded.is_empty() {
        recorded.insert("default".to_owned(), Vec::new());
    }
    same!("networks", networks, recorded);
    let ours_used = |uses: &[harness::pure::recipe::compose::Use]| -> Vec<(String, String)> {
        uses.iter().map(|used| (used.source.clone(), used.target.clone())).collect()
    };
    same!("secrets", ours_used(&ours.secrets), uses(&theirs["secrets"]));
    same!("configs", ours_used(&ours.configs), uses(&theirs["configs"]));
    for (key, ours) in [("cap_add", &ours.cap_add), ("devices", &ours.devices), ("security_opt", &ours.security_opt)] {
        same!("a list or text", *ours, list(&theirs[key]));
    }
    for (key, ours) in [
        ("network_mode", &ours.network_mode),
        ("pid", &ours.pid),
        ("ipc", &ours.ipc),
        ("userns_mode", &ours.userns_mode),
        ("cgroup_parent", &ours.cgroup_parent),
    ] {
        same!("a list or text", *ours, text(&theirs[key]));
    }
    same!("privileged", ours.privileged, theirs["privileged"] == json!(true));
    same!("logging.driver", ours.log_driver, text(&theirs["logging"]["driver"]));
    for key in theirs.as_object().unwrap().keys().filter(|key| !MODELLED.contains(&key.as_str())) {
        let path = format!("services.{short}.{key}");
        assert!(
            all.skipped.iter().any(|skipped| skipped.path.starts_with(&path)),
            "{case}: {path} is missing from the skipped keys"
        );
    }
}

fn assert_objects(case: &str, ours: &Resolved, theirs: &Value) {
    let name = |key: &str, value: &Value| text(&value["name"]).unwrap_or_else(|| format!("{}_{key}", ours.stack));
    let external = |value: &Value| value["external"] == json!(true);
    for (key, value) in map(&theirs["networks"]) {
        let network = &ours.networks[&key];
        assert_eq!(network.name, name(&key, &value), "{case}: network {key}");
        assert_eq!(network.external, external(&value), "{case}: network {key}");
        assert_eq!(network.driver, text(&value["driver"]), "{case}: network {key}");
        assert_eq!(network.driver_opts, pairs(&value["driver_opts"]), "{case}: network {key}");
        assert_eq!(network.internal, value["internal"] == json!(true), "{case}: network {key}");
        assert_eq!(network.attachable, value["attachable"] == json!(true), "{case}: network {key}");
        assert_eq!(network.labels, pairs(&value["labels"]), "{case}: network {key}");
        let subnets: Vec<String> =
            value["ipam"]["config"].as_array().into_iter().flatten().filter_map(|pool| text(&pool["subnet"])).collect();
        assert_eq!(network.subnets, subnets, "{case}: network {key}");
    }
    for (key, value) in map(&theirs["volumes"]) {
        let volume = &ours.volumes[&key];
        assert_eq!(volume.name, name(&key, &value), "{case}: volume {key}");
        assert_eq!(volume.external, external(&value), "{case}: volume {key}");
        assert_eq!(volume.driver, text(&value["driver"]), "{case}: volume {key}");
        assert_eq!(volume.driver_opts, pairs(&value["driver_opts"]), "{case}: volume {key}");
        assert_eq!(volume.labels, pairs(&value["labels"]), "{case}: volume {key}");
    }
    let file = |file: &Option<String>| file.as_deref().map(in_recipe_folder);
    for (key, value) in map(&theirs["secrets"]) {
        let secret = &ours.secrets[&key];
        let recorded = (name(&key, &value), external(&value), text(&value["file"]), text(&value["template_driver"]));
        assert_eq!(
            (secret.name.clone(), secret.external, file(&secret.file), secret.template_driver.clone()),
            recorded,
            "{case}: secret {key}"
        );
    }
    for (key, value) in map(&theirs["configs"]) {
        let config = &ours.configs[&key];
        let recorded = (name(&key, &value), external(&value), text(&value["file"]), text(&value["template_driver"]));
        assert_eq!(
            (config.name.clone(), config.external, file(&config.file), config.template_driver.clone()),
            recorded,
            "{case}: config {key}"
        );
    }
    let keys = |section: &str| map(&theirs[section]).into_iter().map(|(key, _)| key).collect::<BTreeSet<String>>();
    assert_eq!(ours.volumes.keys().cloned().collect::<BTreeSet<_>>(), keys("volumes"), "{case}");
    assert_eq!(ours.secrets.keys().cloned().collect::<BTreeSet<_>>(), keys("secrets"), "{case}");
    assert_eq!(ours.configs.keys().cloned().collect::<BTreeSet<_>>(), keys("configs"), "{case}");
}

#[test]
fn every_recorded_case_resolves_like_docker() {
    let mut seen = 0;
    for entry in std::fs::read_dir(cases()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let case = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(entry.path().join("expected.yml")).unwrap();
        let theirs: Value = serde_saphyr::from_str(&text).unwrap();

        let ours = resolved(&case);

        let services = map(&theirs["services"]);
        assert_eq!(
            ours.services.keys().collect::<Vec<_>>(),
            services.keys().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        );
        for (short, service) in &services {
            assert_service(&case, short, &ours.services[short], service, &ours);
        }
        assert_objects(&case, &ours, &theirs);
        let again: Resolved = serde_json::from_str(&serde_json::to_string(&ours).unwrap()).unwrap();
        assert_eq!(again, ours, "{case}");
        seen += 1;
    }
    assert!(seen >= 6, "only {seen} cases");
}
