//! `--offline`, measured: taster runs in a separate network from which only the ingress can be reached, and the kernel counts
//! every packet that it, abra or any of their children wants to send elsewhere.
//!
//! The engine runs outside of that network and is reached by its socket; its own packets are not counted.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use libtest_mimic::Trial;
use unit_tests::{
    command_output::started,
    engine::printed,
    sandbox_fixture::{self, SandboxFixture},
    test_env::TestEnv,
    test_run::{
        FinishedRun,
        Outcome::{Green, Inconclusive},
    },
};

use crate::{
    print_notice,
    trials::{e2e_tests, in_env, not_run},
};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    let mut tests = in_env(fixture, &e2e_tests![absent_image_is_refused_before_anything_is_made]);
    let network = in_env(fixture, &e2e_tests![offline_run_sends_nothing_but_to_the_ingress]);
    match missing() {
        None => tests.extend(network),
        Some(missing) => {
            print_notice(&format!("the test of the network is not run: {missing}"));
            tests.extend(not_run(network));
        }
    }
    tests
}

/// The reason why the test of the network cannot run here. In CI its tools are installed, and nothing may be missing.
fn missing() -> Option<String> {
    let works =
        |program: &str, args: &[&str]| Command::new(program).args(args).output().is_ok_and(|output| output.status.success());
    let without = || {
        let tools = [("ip", "-V"), ("nsenter", "-V"), ("iptables", "-V"), ("ip6tables", "-V"), ("bash", "--version")];
        tools.into_iter().find(|(program, version)| !works(program, &[version])).map(|(program, _)| program)
    };
    if sandbox_fixture::env().ci {
        if without().is_some() {
            works("apt-get", &["update", "-q"]);
            works("apt-get", &["install", "-y", "-q", "--no-install-recommends", "iproute2", "iptables", "util-linux"]);
        }
        return None;
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    match (root, without()) {
        (false, _) => Some("making a network takes root".to_owned()),
        (true, tool) => tool.map(|tool| format!("there is no {tool}")),
    }
}

/// A network namespace with a way to the host, and rules that let only what goes to one address through and count the rest. It is
/// removed with all its rules when it is dropped, also by a test that panics.
struct IsolatedNetwork {
    name: String,
}

/// An address outside, from the block for documentation.
const OUTSIDE: [&str; 2] = ["203.0.113.9", "2001:db8::9"];

/// Whether the kernel has IPv6.
fn v6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

impl IsolatedNetwork {
    fn reaching_only(ingress: SocketAddr) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = std::process::id() % 4000 * 4 + MADE.fetch_add(1, Ordering::Relaxed) % 4;
        let network = Self { name: format!("tt{number}") };
        let (name, host, inside) = (network.name.clone(), format!("th{number}"), format!("tc{number}"));
        // A separate net for each process, from the block for tests of networks.
        let net = |last: u32| format!("198.{}.{}.{}", 18 + number / 8192 % 2, number / 64 % 256, number % 64 * 4 + last);
        let v6 = v6();
        let steps: Vec<Vec<String>> = [
            format!("ip netns add {name}"),
            format!("ip link add {host} type veth peer name {inside} netns {name}"),
            format!("ip addr add {}/30 dev {host}", net(1)),
            format!("ip link set {host} up"),
            format!("ip -n {name} link set lo up"),
            format!("ip -n {name} addr add {}/30 dev {inside}", net(2)),
            format!("ip -n {name} -6 addr add fd00:7a57::2/64 dev {inside} nodad"),
            format!("ip -n {name} link set {inside} up"),
            // Without a route nothing would be sent, and so nothing counted.
            format!("ip -n {name} route add default via {}", net(1)),
            format!("ip -n {name} -6 route add default via fd00:7a57::1"),
        ]
        .iter()
        .filter(|step| v6 || !step.contains(" -6 "))
        .map(|step| step.split(' ').map(str::to_owned).collect())
        .collect();
        for step in steps {
            printed(Command::new(&step[0]).args(&step[1..]), &[&step.join(" ")]);
        }
        let IpAddr::V4(address) = ingress.ip() else { panic!("an ingress at {ingress}") };
        let (address, port) = (address.to_string(), ingress.port().to_string());
        network.output("iptables", &["-A", "OUTPUT", "-d", &address, "-p", "tcp", "--dport", &port, "-j", "ACCEPT"]);
        // A browser is driven over the loopback, on ephemeral ports, which no service of the machine uses.
        network.output("iptables", &["-A", "OUTPUT", "-o", "lo", "-p", "tcp", "--dport", "32768:60999", "-j", "ACCEPT"]);
        network.output("iptables", &["-A", "OUTPUT", "-j", "DROP"]);
        if v6 {
            // Neighbour discovery of the kernel itself.
            network.output("ip6tables", &["-A", "OUTPUT", "-p", "icmpv6", "-j", "ACCEPT"]);
            network.output("ip6tables", &["-A", "OUTPUT", "-j", "DROP"]);
        }
        network
    }

    /// A program in the namespace.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg("--").arg(program).stdin(Stdio::null());
        command
    }

    fn output(&self, program: &str, args: &[&str]) -> String {
        printed(self.command(program).args(args), args)
    }

    /// A run of taster in the namespace.
    fn run<'a>(&self, env: &'a TestEnv<'_>, args: &[&str]) -> FinishedRun<'a> {
        let mut within = self.command(&sandbox_fixture::env().exe.to_string_lossy());
        env.running(started(env.equip(&mut within).args(args))).finish_soon()
    }

    /// The number of packets to the ingress, and of those to any other address.
    fn packets(&self) -> (u64, u64) {
        let packets = |program: &str, verdict: &str| -> u64 {
            let rules = self.output(program, &["-L", "OUTPUT", "-v", "-x", "-n"]);
            let rule =
                rules.lines().skip(2).find(|line| line.contains(verdict)).unwrap_or_else(|| panic!("no {verdict} in {rules}"));
            rule.split_whitespace().next().unwrap().parse().unwrap()
        };
        let by_v6 = if v6() { packets("ip6tables", " DROP ") } else { 0 };
        (packets("iptables", " ACCEPT "), packets("iptables", " DROP ") + by_v6)
    }
}

impl Drop for IsolatedNetwork {
    fn drop(&mut self) {
        // The removal of one end of the pair removes the other; the rules end with the namespace.
        let host = self.name.replacen("tt", "th", 1);
        for args in [["link", "del", &host], ["netns", "del", &self.name]] {
            let _ = Command::new("ip").args(args).output();
        }
    }
}

/// An address of the ingress that is not the loopback's, for every network has its own loopback.
fn ingress(env: &TestEnv<'_>) -> SocketAddr {
    let published = env.fixture.engine.ask(&["port", "taster-ingress", "443/tcp"]);
    let addresses = published.lines().filter_map(|line| line.trim().parse::<SocketAddr>().ok());
    let mut outer = addresses.filter(|address| !address.ip().is_loopback());
    outer.next().unwrap_or_else(|| panic!("the ingress is published on {published} only"))
}

fn offline_run_sends_nothing_but_to_the_ingress(env: &TestEnv<'_>) {
    let ingress = ingress(env);
    let address = ingress.to_string();
    let host = env.host_file(&[("ingress", &address)]).display().to_string();
    let network = IsolatedNetwork::reaching_only(ingress);
    assert_eq!(network.packets(), (0, 0), "nothing is counted before anything runs");

    let run = network.run(env, &["--recipe", "hello", "--offline", "--host", &host]);

    let run = run.expect(Green).says("green (install, upgrade, backup, restore").nothing_left();
    let (to_ingress, elsewhere) = network.packets();
    assert!(to_ingress > 0, "the app was asked through the ingress");
    assert_eq!(elsewhere, 0, "nothing went anywhere else:\n{}", run.output);
    fs::remove_dir_all(&run.folder).unwrap();
    assert_child_of_abra_is_counted(env, &network, &address);
    assert_connections_are_counted(&network);
    let name = network.name.clone();
    drop(network);
    let left = printed(Command::new("ip").args(["netns", "list"]), &["ip", "netns"]);
    assert!(!left.split_whitespace().any(|word| word == name), "{name} is gone: {left}");
}

/// Expects that the same counters see a child of abra that sends packets outside, deep within a run, by either protocol.
fn assert_child_of_abra_is_counted(env: &TestEnv<'_>, network: &IsolatedNetwork, ingress: &str) {
    let sends = OUTSIDE.map(|outside| format!("bash -c 'echo x > /dev/udp/{outside}/53' 2> /dev/null"));
    let abra = env.script(&format!("case \"$*\" in *'app new'*) {}; exit 1; esac\nexec \"$ABRA\" \"$@\"", sends.join("; ")));
    let host = env.host_file(&[("ingress", ingress), ("abra", &abra)]).display().to_string();
    env.clone_to("hello", &env.path().join(".abra/recipes/hello"));

    let run = network.run(env, &["--recipe", "hello", "--offline", "--host", &host]);

    assert_ne!(run.output.code, Some(0), "abra failed after its packets:\n{}", run.output);
    let (_, elsewhere) = network.packets();
    let sent = 1 + u64::from(v6());
    assert!(elsewhere >= sent, "all {sent} packets were counted, not {elsewhere}:\n{}", run.output);
    env.assert_nothing_left();
}

/// Expects that the counters see any connection, to a name server or to the network itself.
fn assert_connections_are_counted(network: &IsolatedNetwork) {
    for outside in ["203.0.113.9", "127.0.0.1"] {
        let before = network.packets().1;

        let opened = network.command("timeout").args(["1", "bash", "-c", &format!("exec 3<> /dev/tcp/{outside}/80")]).output();

        assert!(!opened.unwrap().status.success(), "{outside} is out of reach");
        assert!(network.packets().1 > before, "{outside} was counted");
    }
}

/// The recipe has an image that no registry has.
fn absent_image_is_refused_before_anything_is_made(env: &TestEnv<'_>) {
    let compose = "version: \"3.8\"\nservices:\n  app:\n    image: taster.test/absent:1\n";
    let recipe = env.recipe("absent", compose, "TYPE=absent\nDOMAIN=absent.example.com\n");

    let run = env.run("absent").path(&recipe).args(&["--offline"]).expect(Inconclusive);

    let run = run
        .exit(3)
        .says("why (infrastructure)")
        .says("the engine does not have taster.test/absent:1, and the run is offline")
        .deploys(0)
        .value("/needs", serde_json::Value::Null);
    let transcripts = fs::read_dir(run.folder.join("transcripts")).unwrap().flatten();
    let called: Vec<String> = transcripts.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(called.iter().all(|name| name.ends_with("-version.txt")), "abra was asked for its version alone: {called:?}");
    env.assert_nothing_left();
}
