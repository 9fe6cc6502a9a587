//! What runs compared in power with what was deployed, and with policy. The recording is what an engine made of a file with every
//! option of a service.

use std::collections::{BTreeMap, BTreeSet};

use Privilege::{
    Capabilities, DockerSocket, ExternalConfigs, ExternalNetworks, ExternalSecrets, ExternalVolumes, ForeignRoutes, HostBinds,
    HostNetwork, LogDrivers, Privileged, UnknownFields, VolumeDrivers,
};
use harness::{
    model::{
        names::{Domain, StackName},
        privilege::Privilege,
    },
    pure::recipe::{
        compose::{Entry, Env, Resolved, Tree, resolve},
        policy::live_breaches,
        power::{Deployed, Live, differences},
    },
};
use serde_json::{Value, json};

const COMPOSE: &str = include_str!("../../recordings/power/compose.yml");
const LIVE: &str = include_str!("../../recordings/power/live.json");

fn stack() -> StackName {
    "tasterpow".parse().unwrap()
}

fn domain() -> Domain {
    "pow.example.org".parse().unwrap()
}

fn resolved() -> Resolved {
    let files = [("compose.yml", COMPOSE), ("f", "hi\n")];
    let tree: Tree = files.map(|(path, text)| (path.to_owned(), Entry::Text(text.to_owned()))).into_iter().collect();
    resolve(&tree, &Env::default(), &stack()).unwrap()
}

fn live() -> Live {
    let recorded: Value = serde_json::from_str(LIVE).unwrap();
    let list = |key: &str| recorded[key].as_array().unwrap().clone();
    Live { services: list("services"), networks: list("networks"), volumes: Vec::new() }
}

fn app(live: &mut Live) -> &mut Value {
    live.services.iter_mut().find(|spec| spec["Name"] == "tasterpow_app").unwrap()
}

fn found(live: &Live) -> Vec<String> {
    let (resolved, env) = (resolved(), Env::parse("SHOWN=yes\nTYPE=pow\n").unwrap());
    let deployed = Deployed { resolved: &resolved, env: &env, limits: &BTreeMap::new(), folder: "/recipes/pow" };
    differences(&deployed, live, false).iter().map(ToString::to_string).collect()
}

/// The pointers of all leaves.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(key, value)| leaves(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at_item, item)| leaves(item, &format!("{at}/{at_item}"), found))
        }
        Value::Null => {}
        _ => found.push(at.to_owned()),
    }
}

#[test]
fn recorded_services_have_exactly_the_power_of_their_files() {
    assert_eq!(found(&live()), Vec::<String>::new());
}

#[test]
fn every_leaf_that_changes_or_vanishes_is_a_difference() {
    // The comparison of services covers these, or they have no power; an id follows from a name.
    let elsewhere = [
        "/Name",
        "/Mode",
        "/RollbackConfig",
        "/EndpointSpec/Mode",
        "/TaskTemplate/ForceUpdate",
        "/TaskTemplate/ContainerSpec/Image",
        "/TaskTemplate/ContainerSpec/Healthcheck/Interval",
        "/TaskTemplate/ContainerSpec/Healthcheck/StartPeriod",
        "/TaskTemplate/ContainerSpec/Healthcheck/Retries",
        "/TaskTemplate/ContainerSpec/Secrets/0/SecretID",
        "/TaskTemplate/ContainerSpec/Configs/0/ConfigID",
    ];
    // The absence of these is the default that they name.
    let defaults = ["/TaskTemplate/Runtime", "/TaskTemplate/ContainerSpec/Isolation", "PublishMode", "Protocol"];
    let mut all = Vec::new();
    leaves(app(&mut live()), "", &mut all);
    assert!(all.len() > 70, "{}", all.len());
    for pointer in all.iter().filter(|pointer| !elsewhere.iter().any(|place| pointer.starts_with(place))) {
        let mut changed = live();
        let leaf = app(&mut changed).pointer_mut(pointer).unwrap();
        *leaf = match &*leaf {
            Value::Bool(truth) => json!(!truth),
            Value::Number(number) => json!(number.as_u64().unwrap_or_default() + 1),
            other => json!(format!("{}x", other.as_str().unwrap_or_default())),
        };
        assert!(!found(&changed).is_empty(), "{pointer} changed");
        let mut gone = live();
        *app(&mut gone).pointer_mut(pointer).unwrap() = Value::Null;
        let default = defaults.iter().any(|place| pointer.contains(place));
        assert!(default || !found(&gone).is_empty(), "{pointer} is gone");
    }
}

#[test]
fn unknown_field_anywhere_is_a_difference() {
    for (pointer, field) in [
        ("", "Wings"),
        ("/TaskTemplate", "Wings"),
        ("/TaskTemplate/ContainerSpec", "Privileged"),
        ("/TaskTemplate/ContainerSpec", "HostConfig"),
        ("/TaskTemplate/ContainerSpec/Privileges", "Seccomp"),
        ("/TaskTemplate/ContainerSpec/Mounts/0", "ClusterOptions"),
        ("/TaskTemplate/ContainerSpec/Mounts/0/VolumeOptions", "Subpath"),
        ("/TaskTemplate/ContainerSpec/Mounts/1/BindOptions", "CreateMountpoint"),
        ("/TaskTemplate/Networks/0", "LinkLocal"),
        ("/TaskTemplate/Resources/Limits", "Wings"),
        ("/TaskTemplate/Resources", "SwapBytes"),
        ("/TaskTemplate/Placement", "Wings"),
        ("/EndpointSpec", "Wings"),
        ("/EndpointSpec/Ports/0", "Name"),
    ] {
        let mut live = live();
        app(&mut live).pointer_mut(pointer).unwrap()[field] = json!({ "Mode": "x" });
        let found = found(&live);
        assert!(found.iter().any(|text| text.contains(field)), "{pointer} {field}: {found:?}");
    }
}

#[test]
fn additions_of_abra_are_allowed_by_name_and_in_app_alone() {
    for (service, pointer, key, value, differs) in [
        ("app", "/Labels", "coop-cloud.tasterpow.chaos-version", "abc", false),
        ("app", "/Labels", "coop-cloud.tasterpow.recipe", "pow", false),
        ("app", "/Labels", "coop-cloud.tasterpow.other", "x", true),
        ("app", "/Labels", "coop-cloud.others.recipe", "pow", true),
        ("app", "/Labels", "traefik.http.routers.x.rule", "Host(`a`)", true),
        ("bare", "/Labels", "coop-cloud.tasterpow.recipe", "pow", true),
        ("app", "/TaskTemplate/ContainerSpec/Env", "SHOWN", "yes", false),
        ("app", "/TaskTemplate/ContainerSpec/Env", "SHOWN", "no", true),
        ("app", "/TaskTemplate/ContainerSpec/Env", "TYPE", "pow:1.0.0", false),
        ("app", "/TaskTemplate/ContainerSpec/Env", "LD_PRELOAD", "/x", true),
    ] {
        let mut live = live();
        let spec = live.services.iter_mut().find(|spec| spec["Name"] == format!("tasterpow_{service}")).unwrap();
        match spec.pointer_mut(pointer).unwrap() {
            Value::Array(items) => items.push(json!(format!("{key}={value}"))),
            map => map[key] = json!(value),
        }
        assert_eq!(!found(&live).is_empty(), differs, "{service} {key}={value}: {:?}", found(&live));
    }
}

#[test]
fn value_of_a_variable_is_never_shown() {
    let mut live = live();
    app(&mut live)["TaskTemplate"]["ContainerSpec"]["Env"] = json!(["A=hunter2", "MORE=hunter2"]);
    let found = found(&live);
    assert_eq!(
        found,
        [
            "Env[A] of app is another one, and by its files there",
            "Env[C] of app is absent, and by its files there",
            "Env[MORE] of app is there, and by its files absent"
        ]
    );
}

#[test]
fn network_with_another_reach_is_a_difference() {
    for (field, value) in
        [("Internal", json!(false)), ("Attachable", json!(false)), ("Driver", json!("bridge")), ("Ingress", json!(true))]
    {
        let mut live = live();
        live.networks.iter_mut().find(|network| network["Name"] == "tasterpow_default").unwrap()[field] = value;
        assert!(found(&live)[0].starts_with(&format!("{field} of network default is ")), "{field}: {:?}", found(&live));
    }
}

#[test]
fn allowance_for_a_kernel_without_ipvs_is_a_difference_where_it_is_not_expected() {
    let mut live = live();
    app(&mut live)["EndpointSpec"]["Ports"][0]["PublishMode"] = json!("host");
    let (resolved, env) = (resolved(), Env::default());
    let deployed = Deployed { resolved: &resolved, env: &env, limits: &BTreeMap::new(), folder: "/recipes/pow" };
    assert_eq!(differences(&deployed, &live, false).len(), 1);
    assert_eq!(differences(&deployed, &live, true).len(), 0);
}

/// A change of the container's spec, and the privilege that it needs.
fn breaches(change: impl Fn(&mut Value)) -> Vec<Privilege> {
    let mut live = live();
    let spec = app(&mut live);
    // The recording has privileges of its own.
    spec["TaskTemplate"]["Networks"][0]["Aliases"] = json!(["app"]);
    spec["TaskTemplate"]["ContainerSpec"]["CapabilityAdd"] = Value::Null;
    spec["TaskTemplate"]["ContainerSpec"]["Mounts"].as_array_mut().unwrap().retain(|mount| mount["Type"] != "bind");
    change(spec);
    let found: BTreeSet<Privilege> =
        live_breaches(&live, &stack(), &domain(), &BTreeSet::new()).into_iter().map(|breach| breach.privilege).collect();
    found.into_iter().collect()
}

#[test]
fn power_beyond_policy_is_found_in_the_spec_itself() {
    let container =
        |key: &'static str, value: Value| breaches(move |spec| spec["TaskTemplate"]["ContainerSpec"][key] = value.clone());
    let mount = |value: Value| container("Mounts", json!([value]));
    assert_eq!(breaches(|_| {}), []);
    assert_eq!(container("CapabilityAdd", json!(["CAP_SYS_ADMIN"])), [Capabilities]);
    assert_eq!(container("CapabilityAdd", json!(["ALL"])), [Capabilities]);
    assert_eq!(container("Privileges", json!({ "Seccomp": { "Mode": "unconfined" } })), [Capabilities]);
    assert_eq!(container("Privileges", json!({ "AppArmor": { "Mode": "disabled" } })), [Capabilities]);
    assert_eq!(container("Privileges", json!({ "NoNewPrivileges": true, "Seccomp": { "Mode": "default" } })), []);
    assert_eq!(container("Privileges", json!({ "SELinuxContext": { "Disable": true } })), [Capabilities]);
    assert_eq!(container("OomScoreAdj", json!(-500)), [UnknownFields]);
    assert_eq!(mount(json!({ "Type": "bind", "Source": "/etc", "Target": "/e" })), [HostBinds]);
    assert_eq!(mount(json!({ "Type": "bind", "Source": "/var/run/docker.sock", "Target": "/s" })), [DockerSocket]);
    assert_eq!(mount(json!({ "Type": "bind", "Source": "/", "Target": "/s", "ReadOnly": true })), [HostBinds, DockerSocket]);
    assert_eq!(mount(json!({ "Type": "npipe", "Source": "x", "Target": "/s" })), [VolumeDrivers]);
    assert_eq!(mount(json!({ "Type": "cluster", "Source": "x", "Target": "/s" })), [VolumeDrivers]);
    assert_eq!(mount(json!({ "Type": "wings", "Source": "x", "Target": "/s" })), [VolumeDrivers]);
    assert_eq!(mount(json!({ "Type": "volume", "Source": "others_data", "Target": "/s" })), [ExternalVolumes]);
    let driver = |config: Value| {
        let options = json!({ "DriverConfig": config });
        json!({ "Type": "volume", "Source": "tasterpow_d", "Target": "/s", "VolumeOptions": options })
    };
    assert_eq!(mount(driver(json!({ "Options": { "type": "none", "o": "bind", "device": "/etc" } }))), [HostBinds]);
    assert_eq!(mount(driver(json!({ "Name": "sshfs" }))), [VolumeDrivers]);
    assert_eq!(mount(driver(json!({ "Name": "local", "Options": { "type": "tmpfs", "device": "tmpfs" } }))), []);
    assert_eq!(container("Secrets", json!([{ "SecretName": "others_s" }])), [ExternalSecrets]);
    assert_eq!(container("Configs", json!([{ "ConfigName": "others_c" }])), [ExternalConfigs]);
    assert_eq!(breaches(|spec| spec["TaskTemplate"]["LogDriver"]["Name"] = json!("syslog")), [LogDrivers]);
    assert_eq!(breaches(|spec| spec["TaskTemplate"]["Networks"][0]["Target"] = json!("gone")), [ExternalNetworks]);
    assert_eq!(breaches(|spec| spec["Networks"] = json!([{ "Target": "gone" }])), [ExternalNetworks]);
    assert_eq!(breaches(|spec| spec["TaskTemplate"]["PluginSpec"] = json!({ "Name": "x" })), [Privileged]);
}

#[test]
fn networks_and_volumes_of_the_spec_are_evaluated_as_the_engine_has_them() {
    let breaches_of = |live: &Live| {
        let allowed = BTreeSet::from([Capabilities, HostBinds, ForeignRoutes]);
        live_breaches(live, &stack(), &domain(), &allowed).into_iter().map(|breach| breach.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(breaches_of(&live()), Vec::<String>::new());
    let network = |name: &str, driver: &str| {
        let mut live = live();
        live.networks.push(json!({ "Id": "n1", "Name": name, "Driver": driver }));
        app(&mut live)["TaskTemplate"]["Networks"][0]["Target"] = json!("n1");
        breaches_of(&live)
    };
    let (own, host) = (ExternalNetworks, HostNetwork);
    assert_eq!(
        network("others_net", "overlay"),
        [format!(
            "service app runs and is on the network others_net, which is not of this stack; where that is meant, allow {own} for \
             this recipe in the host file"
        )]
    );
    for (name, driver) in [("host", "host"), ("bridge", "bridge"), ("tasterpow_x", "macvlan")] {
        assert!(network(name, driver)[0].contains(&format!("allow {host}")), "{name}");
    }
    // A volume that was there before the service is not what the service says.
    let mut live = live();
    live.volumes.push(
        json!({ "Name": "tasterpow_data", "Driver": "local", "Options": { "o": "bind", "device": "/var/run/docker.sock" } }),
    );
    assert!(breaches_of(&live)[0].starts_with("service app runs and has a volume at /data that mounts \"/var/run/docker.sock\""));
}
