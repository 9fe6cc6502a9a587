//! The privileges that a recipe needs on the host's engine, and names that are too long.

use std::collections::BTreeSet;

use Privilege::{
    Capabilities, DockerSocket, ExternalConfigs, ExternalNetworks, ExternalSecrets, ExternalVolumes, HostBinds, HostNamespaces,
    HostNetwork, LogDrivers, OutsideFiles, Privileged, UnknownFields, VolumeDrivers,
};
use harness::{
    model::privilege::Privilege,
    pure::recipe::{
        compose::{Entry, Env, Tree, resolve},
        policy::{breaches, name_flaws},
    },
};

fn tree(compose: &str) -> Tree {
    let entry = |path: &str, entry: Entry| (path.to_owned(), entry);
    Tree::from_iter([
        entry("compose.yml", Entry::Text(format!("version: \"3.13\"\n{compose}"))),
        entry("conf", Entry::Text("conf".into())),
        entry("inner", Entry::Link("conf".into())),
        entry("leak", Entry::Link("/root/key".into())),
        entry("up", Entry::Link("..".into())),
    ])
}

/// The privileges that the file needs beyond the allowed ones.
fn missing_privileges(compose: &str, allowed: &[Privilege]) -> Vec<Privilege> {
    let tree = tree(compose);
    let ours = resolve(&tree, &Env::default(), &"shop".parse().unwrap()).unwrap_or_else(|error| panic!("{compose}: {error}"));
    let allowed: BTreeSet<Privilege> = allowed.iter().copied().collect();
    let found: BTreeSet<Privilege> = breaches(&ours, &tree, &allowed).into_iter().map(|breach| breach.privilege).collect();
    found.into_iter().collect()
}

/// A file whose service `app` has these keys, and the rest of the file.
fn app(body: &str, rest: &str) -> String {
    format!("services: {{app: {{image: a, {body}}}}}\n{rest}")
}

/// Keys of service `app`, the rest of the file, and the privileges that both need.
const CASES: &[(&str, &str, &[Privilege])] = &[
    // Near misses.
    ("user: root", "", &[]),
    ("volumes: [\"data:/data\", /anonymous, {type: tmpfs, target: /tmp}]", "volumes: {data: }", &[]),
    ("networks: [proxy, inner]", "networks: {proxy: {external: true}, inner: {driver: overlay, attachable: true}}", &[]),
    ("networks: [front]", "networks: {front: {external: true, name: proxy}}", &[]),
    ("secrets: [s]", "secrets: {s: {external: true, name: shop_s_v1}}", &[]),
    ("secrets: [s]", "secrets: {s: {file: inner}}", &[]),
    // Docker resolves `..` before it follows links.
    ("configs: [c]", "configs: {c: {file: ./up/../conf}}", &[]),
    ("configs: [c]", "configs: {c: {file: conf, name: shop_c_v1, labels: {a: b}}}", &[]),
    ("volumes: [\"v:/v\"]", "volumes: {v: {external: true, name: shop_data}}", &[]),
    ("volumes: [\"vol:/v\"]", "volumes: {vol: {driver: local, driver_opts: {type: tmpfs, device: tmpfs, o: size=1m}}}", &[]),
    ("user: a", "volumes: {v: {external: true}}\nnetworks: {n: {external: true}}\nsecrets: {s: {external: true}}", &[]),
    ("security_opt: [\"no-new-privileges:true\"], cap_drop: [ALL], sysctls: [a=b], logging: {driver: json-file}", "", &[]),
    ("ipc: private, env_file: inner, extra_hosts: [\"a:1.2.3.4\"], x-anything: 1", "x-more: 1", &[]),
    // Each privilege.
    ("volumes: [\"/srv:/srv\"]", "", &[HostBinds]),
    ("volumes: [{type: bind, source: ./conf, target: /conf}]", "", &[HostBinds]),
    ("volumes: [\"/var/run/docker.sock:/var/run/docker.sock:ro\"]", "", &[DockerSocket]),
    ("volumes: [\"/srv/../run//docker.sock:/s\"]", "", &[DockerSocket]),
    ("volumes: [\"/run:/run\"]", "", &[HostBinds, DockerSocket]),
    ("volumes: [\"/:/host\"]", "", &[HostBinds, DockerSocket]),
    ("volumes: [\"/proc/1/root:/host\"]", "", &[HostBinds, DockerSocket]),
    ("volumes: [\"../../run/docker.sock:/s\"]", "", &[HostBinds, DockerSocket]),
    ("volumes: [\"./leak:/s\"]", "", &[HostBinds, DockerSocket]),
    ("volumes: [\"vol:/v\"]", "volumes: {vol: {driver_opts: {type: none, o: bind, device: /srv}}}", &[HostBinds]),
    ("volumes: [\"vol:/v\"]", "volumes: {vol: {driver_opts: {o: bind, device: /var/run/docker.sock}}}", &[DockerSocket]),
    (
        "volumes: [\"vol:/v\"]",
        "volumes: {vol: {driver_opts: {type: overlay, o: \"lowerdir=/:/x\", device: o}}}",
        &[HostBinds, DockerSocket],
    ),
    ("volumes: [\"vol:/v\"]", "volumes: {vol: {driver_opts: {type: ext4, device: sda1}}}", &[HostBinds, DockerSocket]),
    ("volumes: [\"vol:/v\"]", "volumes: {vol: {driver_opts: {type: nfs, o: addr=1.2.3.4, device: \":/x\"}}}", &[VolumeDrivers]),
    ("volumes: [\"vol:/v\"]", "volumes: {vol: {driver: sshfs}}", &[VolumeDrivers]),
    ("volumes: [{type: npipe, source: x, target: /x}]", "", &[VolumeDrivers]),
    ("volumes: [\"vol:/v\"]", "volumes: {vol: {external: true}}", &[ExternalVolumes]),
    ("volumes: [\"vol:/v\"]", "volumes: {vol: {name: others_db}}", &[ExternalVolumes]),
    ("volumes: [\"vol:/v\"]", "volumes: {vol: {name: shop2_db}}", &[ExternalVolumes]),
    // The option binds with any type.
    (
        "volumes: [\"vol:/v\"]",
        "volumes: {vol: {driver_opts: {type: tmpfs, o: \"size=1m,bind\", device: /}}}",
        &[HostBinds, DockerSocket],
    ),
    (
        "volumes: [\"vol:/v\"]",
        "volumes: {vol: {driver_opts: {type: nfs, o: \"addr=1.2.3.4,rbind\", device: /srv}}}",
        &[HostBinds],
    ),
    (
        "volumes: [\"vol:/v\"]",
        "volumes: {vol: {driver_opts: {type: none, o: \"bind,x=/tmp\", device: \"{{.Service.Name}}\"}}}",
        &[HostBinds, DockerSocket],
    ),
    ("volumes: [{type: bind, source: \"/{{.Node.Hostname}}\", target: /x}]", "", &[HostBinds, DockerSocket]),
    ("user: a", "networks: {default: {external: true, name: others_net}}", &[ExternalNetworks]),
    (
        "volumes: [\"vol:/v\"]",
        "volumes: {vol: {driver_opts: {type: ext4, o: \"x=/tmp\", device: LABEL=root}}}",
        &[HostBinds, DockerSocket],
    ),
    ("network_mode: host", "", &[HostNetwork]),
    ("networks: [n]", "networks: {n: {external: true, name: host}}", &[HostNetwork]),
    ("networks: [host]", "networks: {host: {external: true}}", &[HostNetwork]),
    ("networks: [n]", "networks: {n: {driver: macvlan}}", &[HostNetwork]),
    ("networks: [n]", "networks: {n: {driver: ipvlan}}", &[HostNetwork]),
    ("networks: [n]", "networks: {n: {external: true}}", &[ExternalNetworks]),
    ("networks: [proxy]", "networks: {proxy: {external: true, name: others_internal}}", &[ExternalNetworks]),
    ("privileged: true", "", &[Privileged]),
    ("cap_add: [NET_ADMIN]", "", &[Capabilities]),
    ("devices: [\"/dev/fuse\"]", "", &[Capabilities]),
    ("security_opt: [\"seccomp:unconfined\"]", "", &[Capabilities]),
    ("cgroup_parent: x", "", &[Capabilities]),
    ("pid: host", "", &[HostNamespaces]),
    ("ipc: host", "", &[HostNamespaces]),
    ("userns_mode: host", "", &[HostNamespaces]),
    ("secrets: [s]", "secrets: {s: {external: true, name: others_s_v1}}", &[ExternalSecrets]),
    ("secrets: [s]", "secrets: {s: {external: true}}", &[ExternalSecrets]),
    // A secret of another app would be overwritten.
    ("user: a", "secrets: {s: {file: conf, name: others_s_v1}}", &[ExternalSecrets]),
    ("configs: [c]", "configs: {c: {external: true}}", &[ExternalConfigs]),
    ("secrets: [s]", "secrets: {s: {file: /etc/shadow}}", &[OutsideFiles]),
    ("configs: [c]", "configs: {c: {file: ../../other/.env}}", &[OutsideFiles]),
    ("configs: [c]", "configs: {c: {file: leak}}", &[OutsideFiles]),
    ("configs: [c]", "configs: {c: {file: up/x}}", &[OutsideFiles]),
    ("env_file: /root/.env", "", &[OutsideFiles]),
    ("env_file: [leak]", "", &[OutsideFiles]),
    ("logging: {driver: syslog}", "", &[LogDrivers]),
    ("credential_spec: {file: x}", "", &[UnknownFields]),
    ("oom_score_adj: -1000", "", &[UnknownFields]),
    ("volumes: [\"vol:/v\"]", "volumes: {vol: {x-cluster-spec: {group: x}}}", &[UnknownFields]),
    ("secrets: [s]", "secrets: {s: {driver: vault, name: shop_s}}", &[UnknownFields]),
];

#[test]
fn access_beyond_the_stack_is_refused_unless_allowed() {
    for (body, rest, privileges) in CASES {
        let compose = app(body, rest);
        let mut expected = privileges.to_vec();
        expected.sort();
        assert_eq!(missing_privileges(&compose, &[]), expected, "{compose}");
        assert_eq!(missing_privileges(&compose, privileges), [], "{compose}");
        let others: Vec<Privilege> = Privilege::ALL.into_iter().filter(|privilege| !privileges.contains(privilege)).collect();
        assert_eq!(missing_privileges(&compose, &others), expected, "no privilege implies another: {compose}");
    }
}

#[test]
fn every_privilege_has_a_case_and_a_name() {
    for privilege in Privilege::ALL {
        // The tests of a repository are not part of its compose files.
        // Routes are judged with the app's domain, in a test of their own file.
        let of_compose = !matches!(privilege, Privilege::Tests | Privilege::ForeignRoutes);
        assert_eq!(CASES.iter().any(|(_, _, privileges)| privileges.contains(&privilege)), of_compose, "{privilege}");
        assert_eq!(privilege.as_str().parse(), Ok(privilege));
        assert_eq!(serde_json::to_value(privilege).unwrap(), privilege.to_string());
    }
    assert!(
        "root".parse::<Privilege>().unwrap_err().to_string().starts_with("\"root\" is not a privilege; there are host-binds, ")
    );
}

#[test]
fn breach_names_object_privilege_and_remedy() {
    let compose = app("cap_add: [NET_ADMIN]", "");
    let tree = tree(&compose);
    let ours = resolve(&tree, &Env::default(), &"shop".parse().unwrap()).unwrap();

    let messages: Vec<String> = breaches(&ours, &tree, &BTreeSet::new()).iter().map(ToString::to_string).collect();

    assert_eq!(
        messages,
        ["service app adds the capability NET_ADMIN; where that is meant, allow capabilities for this recipe in the host file"]
    );
}

#[test]
fn name_that_is_too_long_is_reported_with_its_length() {
    let flaws = |stack: &str, name: &str| -> Vec<String> {
        let compose = format!(
            "services: {{{name}: {{image: a}}}}\nsecrets: {{{name}: {{external: true, name: \"${{STACK_NAME}}_{name}\"}}}}\n\
             configs: {{{name}: {{file: conf}}}}"
        );
        let ours = resolve(&tree(&compose), &Env::default(), &stack.parse().unwrap()).unwrap();
        name_flaws(&ours).iter().map(ToString::to_string).collect()
    };
    let kinds = |messages: Vec<String>| -> Vec<String> {
        messages.iter().map(|message| message.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
    };
    let stack = "s".repeat(45);

    assert_eq!(flaws(&stack, &"n".repeat(17)), [""; 0]);
    let service = format!("{stack}_{}", "n".repeat(18));
    assert_eq!(
        flaws(&stack, &"n".repeat(18)),
        [format!("the service would be named {service}, which has 64 characters of at most 63")]
    );
    assert_eq!(kinds(flaws(&stack, &"n".repeat(19))), ["the service", "the secret", "the config"]);
    assert_eq!(kinds(flaws(&"s".repeat(46), "n")), ["the stack"]);
}
