//! The time to read the inventory of a Swarm with a hundred stacks, and to compare two of them.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use harness::{adapters::swarm::DockerSwarm, ports::Swarm, pure::host::inventory_diff::diff};
use serde_json::{Value, json};

use crate::{
    Bench,
    table::{Spread, print_line, row},
};

const STACKS: usize = 100;
const TIMES: usize = 20;

pub(crate) fn inventory(bench: &Bench) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let calls = serve(&socket);
    let (mut took, mut asked, mut baseline) = (Spread::default(), 0, Spread::default());
    for _ in 0..TIMES {
        // The served engine answers at once, so the benchmark measures taster: read, parse, compare.
        let swarm = DockerSwarm::at(&socket).unwrap();
        calls.store(0, Ordering::Relaxed);
        let (before, spent) = bench.runtime.block_on(async {
            let before = swarm.inventory().await.unwrap();
            let started = Instant::now();
            let after = swarm.inventory().await.unwrap();
            let cleanup_result = diff(&before, &after, &[], &BTreeSet::new(), &[]);
            assert!(cleanup_result.clean() && cleanup_result.others.is_empty(), "the served engine does not change");
            (before, started.elapsed())
        });
        took.add(spent);
        asked = calls.load(Ordering::Relaxed) / 2;
        assert!(before.objects.len() >= STACKS * 12, "{} objects", before.objects.len());
        baseline.add(listed(&socket));
    }
    row(&format!("inventory of {STACKS} stacks, and its difference (target: 20 ms)"), &took);
    print_line(&format!("  {:<58} {asked}", "calls for it (target: 8)"));
    row("docker ls of services, containers, networks and volumes alone", &baseline);
}

/// How long the docker client takes to list the same; it says nothing about what changed.
fn listed(socket: &Path) -> Duration {
    let started = Instant::now();
    for list in [&["service", "ls", "-q"][..], &["ps", "-aq"], &["network", "ls", "-q"], &["volume", "ls", "-q"]] {
        let mut client = Command::new("docker");
        client.arg("--host").arg(format!("unix://{}", socket.display())).args(list);
        assert!(client.stdout(Stdio::null()).status().unwrap().success(), "{list:?}");
    }
    started.elapsed()
}

/// An engine that has a hundred stacks and answers at once. Its thread ends with the process.
fn serve(socket: &Path) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(socket).unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let bodies = Arc::new(bodies());
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (counted, bodies) = (counted.clone(), bodies.clone());
            std::thread::spawn(move || answer(client, &counted, &bodies));
        }
    });
    calls
}

fn answer(client: UnixStream, counted: &AtomicUsize, bodies: &[(&str, String)]) {
    let mut writer = client.try_clone().unwrap();
    let mut reader = BufReader::new(client);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        // As engines do, which taster's own reading of services rests on.
        let closes = line.trim_end().ends_with("HTTP/1.0");
        let bare = line.starts_with("HEAD ");
        let path = line.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
                break;
            }
            length = line.to_lowercase().strip_prefix("content-length: ").map_or(length, |text| text.trim().parse().unwrap_or(0));
        }
        let _ = reader.by_ref().take(length).read_to_end(&mut Vec::new());
        line.clear();
        let body = bodies.iter().find(|(end, _)| path.ends_with(end)).map_or("OK", |(_, body)| body.as_str());
        if body != "OK" {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        let head = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nDocker-Experimental: false\r\nOstype: linux\r\nContent-Type: application/json";
        let sent = if bare { "" } else { body };
        if write!(writer, "{head}\r\nContent-Length: {}\r\n\r\n{sent}", body.len()).is_err() || closes {
            return;
        }
    }
}

/// What the engine answers: stacks of three services, each with a task and its container, a network, a volume, a secret, a
/// config.
fn bodies() -> Vec<(&'static str, String)> {
    let each = |make: &dyn Fn(usize, usize) -> Value, count: usize| -> String {
        let all = (0..STACKS).flat_map(|stack| (0..count).map(move |number| (stack, number)));
        Value::Array(all.map(|(stack, number)| make(stack, number)).collect()).to_string()
    };
    let name = |stack: usize| format!("app{stack}_example_org");
    let labels = |stack: usize| json!({ "com.docker.stack.namespace": name(stack), "coop-cloud.version": "1.2.3+4.5.6" });
    let at = "2026-11-21T10:00:00Z";
    let version = json!({ "Index": 1234 });
    let service = |stack: usize, number: usize| {
        let environment: Vec<String> = (0..20).map(|key| format!("SETTING_{key}=value of setting {key}")).collect();
        json!({ "ID": format!("service{stack}x{number}"), "Version": version, "CreatedAt": at, "UpdatedAt": at, "Spec": {
            "Name": format!("{}_s{number}", name(stack)), "Labels": labels(stack), "Mode": { "Replicated": { "Replicas": 1 } },
            "TaskTemplate": { "ContainerSpec": { "Image": "example/app:1.2.3", "Env": environment, "Labels": labels(stack),
                "Mounts": [{ "Type": "volume", "Source": format!("{}_data", name(stack)), "Target": "/data" }] },
                "Networks": [{ "Target": format!("network{stack}x0") }] } } })
    };
    let task = |stack: usize, number: usize| {
        json!({ "ID": format!("task{stack}x{number}"), "Version": version, "ServiceID": format!("service{stack}x{number}"), "Slot": 1,
            "Spec": { "ContainerSpec": { "Labels": labels(stack) } }, "DesiredState": "running",
            "Status": { "Timestamp": at, "State": "running", "Message": "started" } })
    };
    let container = |stack: usize, number: usize| {
        json!({ "Id": format!("container{stack}x{number}"), "Names": [format!("/{}_s{number}.1.task", name(stack))],
            "Image": "example/app:1.2.3", "Command": "/bin/app", "Created": 1_760_000_000, "Labels": labels(stack), "State": "running",
            "Status": "Up 2 hours", "Ports": [], "HostConfig": { "NetworkMode": "default" },
            "NetworkSettings": { "Networks": { "n": { "NetworkID": format!("network{stack}x0"), "EndpointID": "endpoint" } } },
            "Mounts": [{ "Type": "volume", "Name": format!("{}_data", name(stack)), "Destination": "/data" }] })
    };
    let network = |stack: usize, number: usize| {
        json!({ "Name": format!("{}_internal", name(stack)), "Id": format!("network{stack}x{number}"), "Created": at, "Scope": "swarm",
            "Driver": "overlay", "Labels": labels(stack), "IPAM": { "Driver": "default", "Config": [] } })
    };
    let volume = |stack: usize, _: usize| {
        json!({ "Name": format!("{}_data", name(stack)), "Driver": "local", "Mountpoint": "/var/lib/docker/volumes/x", "CreatedAt": at,
            "Labels": labels(stack), "Scope": "local", "Options": {} })
    };
    let kept = |kind: &'static str| {
        move |stack: usize, number: usize| {
            json!({ "ID": format!("{kind}{stack}x{number}"), "Version": { "Index": 7 }, "CreatedAt": at, "UpdatedAt": at,
                "Spec": { "Name": format!("{}_{kind}{number}_v1", name(stack)), "Labels": labels(stack) } })
        }
    };
    let volumes = each(&volume, 1);
    vec![
        ("/swarm", json!({ "ID": "swarm1", "CreatedAt": at, "UpdatedAt": at, "Version": version, "Spec": {} }).to_string()),
        ("/services", each(&service, 3)),
        ("/tasks", each(&task, 3)),
        ("/containers/json", each(&container, 3)),
        ("/networks", each(&network, 1)),
        ("/volumes", format!("{{\"Volumes\": {volumes}, \"Warnings\": null}}")),
        ("/secrets", each(&kept("secret"), 1)),
        ("/configs", each(&kept("config"), 1)),
        // What only the client asks for.
        ("/nodes", "[]".to_owned()),
        ("/info", "{}".to_owned()),
    ]
}
