//! Bad worlds that are made for real: engines without a Swarm, workers, other Swarms, full pools and disks, engines that go
//! away. What is said of each is one true sentence, it is never the recipe's fault, and nothing is left anywhere.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
};

use libtest_mimic::Trial;
use sandbox::{home::Home, images, layout::Layout};
use unit_tests::{
    engine::{Engine, printed, until},
    sandbox_fixture::{self, IMAGE, SandboxFixture},
    scratch_engine::{self, ScratchEngine, SmallDisk},
    test_env::{TestEnv, ended, results, run_id},
};

use super::{abra::block_on, runs::on_stages};

/// The tests of this file. Without what a second engine takes they are printed as not run; with `CI=true` they fail then.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    let tests = on_stages(
        fixture,
        &[
            // The one that takes longest begins first.
            ("unfit_hosts::an_engine_that_freezes_in_mid_run_is_swept_once_it_answers_again", engine_freezes),
            ("unfit_hosts::an_engine_without_a_swarm_and_a_worker_are_refused", no_manager),
            ("unfit_hosts::an_abra_with_another_swarm_than_ours_is_refused", other_engine),
            ("unfit_hosts::an_abra_that_deploys_elsewhere_is_named_and_undeploys_there", deploys_elsewhere),
            ("unfit_hosts::addresses_that_are_used_up_and_a_full_disk_of_the_engine_are_refused", used_up),
            ("unfit_hosts::results_that_have_no_room_are_refused", no_room_for_results),
            ("unfit_hosts::a_disk_that_fills_up_with_results_ends_the_run", results_fill_up),
            ("unfit_hosts::an_engine_that_dies_in_mid_run_is_swept_when_it_comes_back", engine_dies),
            ("unfit_hosts::an_engine_that_comes_back_after_the_run_has_died_is_swept_by_the_janitor", engine_and_run_die),
            ("unfit_hosts::the_virtual_address_of_a_service_is_tried_for_real", virtual_address),
        ],
    );
    on_scratch_engines(fixture, tests)
}

/// Tests that need a second engine: as they are when there can be one. Otherwise they are printed as not run.
pub(crate) fn on_scratch_engines(fixture: Option<&SandboxFixture>, tests: Vec<Trial>) -> Vec<Trial> {
    match scratch_engine::missing() {
        Some(why) if fixture.is_some() && !sandbox_fixture::env().ci => {
            super::tell(&format!("tests of bad worlds are not run: {why}"));
            tests.into_iter().map(|test| test.with_ignored_flag(true).with_kind("not run")).collect()
        }
        Some(_) | None => tests,
    }
}

/// What stands in the journal when services are being deployed.
pub(crate) const WAITS: &str = r#""event":"observed","step":"deploy""#;

/// A scratch engine with a Swarm and the network `proxy`.
pub(crate) fn scratch_swarm(args: &[&str]) -> ScratchEngine {
    let scratch = ScratchEngine::start().unwrap();
    scratch.swarm_init(args);
    scratch.engine().ask(&["network", "create", "--driver", "overlay", "--attachable", "proxy"]);
    scratch
}

/// A scratch Swarm that can run `hello`, and the fixture that it is: whoever looks there looks at the scratch engine.
pub(crate) fn scratch_fixture(env: &TestEnv<'_>) -> (ScratchEngine, SandboxFixture) {
    let scratch = scratch_swarm(&[]);
    scratch.load(&env.fixture.engine, &[IMAGE, "taster.test/specimen:"]);
    let fixture = SandboxFixture { engine: scratch.engine(), ..env.fixture.clone() };
    (scratch, fixture)
}

/// Lets docker's default context of this home be the engine behind `socket`, which is where abra finds its server `default`.
pub(crate) fn default_context(home: &Path, socket: &Path) {
    let docker = |args: &[&str]| printed(Command::new("docker").args(args).env("HOME", home), args);
    docker(&["context", "create", "scratch", "--docker", &format!("host=unix://{}", socket.display())]);
    docker(&["context", "use", "scratch"]);
}

/// That doctor and run refuse the host with this sentence and remedy, as nobody's fault but the infrastructure's.
fn assert_unfit(env: &TestEnv<'_>, changed: &[(&str, &str)], texts: &[&str]) {
    let host = env.host_file(changed).display().to_string();
    env.run(&["doctor", "--offline", "--host", &host]).assert(3, &[&["unfit"], texts].concat());
    let known = env.runs();
    let told = env.run(&["--recipe", "hello", "--host", &host]);
    told.assert(
        3,
        &[&["inconclusive (install, upgrade, backup, restore", "why (infrastructure): ", "left behind: nothing"], texts].concat(),
    );
    let new: Vec<_> = env.runs().into_iter().filter(|run| !known.contains(run)).collect();
    let results = results(new.first().unwrap());
    assert_eq!(results["verdict"]["outcome"], "inconclusive", "{results}");
    assert_eq!(results["verdict"]["reasons"][0]["owner"], "infrastructure", "{results}");
    assert_eq!((&results["exit_code"], &results["claimed"]), (&3.into(), &serde_json::json!([])), "{results}");
}

/// That nothing on the engine bears the name of any run on the env, by the docker client's word.
pub(crate) fn assert_nothing_on(env: &TestEnv<'_>, engine: &Engine) {
    assert!(!env.runs().is_empty());
    let manages = engine.ask(&["info", "--format", "{{.Swarm.ControlAvailable}}"]) == "true";
    let mut names = engine.ask(&["container", "ls", "--all", "--format", "{{.Names}}"]);
    for kind in ["network", "volume"] {
        names += &engine.ask(&[kind, "ls", "--format", "{{.Name}}"]);
    }
    for kind in ["service", "secret", "config"].iter().filter(|_| manages) {
        names += &engine.ask(&[kind, "ls", "--format", "{{.Name}}"]);
    }
    for run in env.runs() {
        let run = run_id(&run);
        assert!(!names.contains(run.token()), "something of {run} is left: {names}");
    }
}

fn no_manager(env: &TestEnv<'_>) {
    let (manager, worker) = (ScratchEngine::start().unwrap(), ScratchEngine::start().unwrap());
    let (socket, own) = (worker.socket().display().to_string(), worker.engine());
    let init = "`docker swarm init` makes it one";
    assert_unfit(env, &[("engine", &socket)], &["the engine is not a Swarm manager", init]);
    worker.join(&manager);
    until("it is a worker", || own.ask(&["info", "--format", "{{.Swarm.LocalNodeState}}"]) == "active");
    assert_unfit(env, &[("engine", &socket)], &["the engine is a worker of its Swarm", "run taster against a manager"]);
    assert_nothing_on(env, &own);
    assert_nothing_on(env, &manager.engine());
    assert_nothing_on(env, &env.fixture.engine);
}

/// The host file names the scratch engine while abra's `default` is the machine's, and the other way round.
fn other_engine(env: &TestEnv<'_>) {
    let scratch = scratch_swarm(&[]);
    let swarm = |engine: &Engine| engine.ask(&["info", "--format", "{{.Swarm.Cluster.ID}}"]);
    let (ours, theirs) = (swarm(&env.fixture.engine), swarm(&scratch.engine()));
    let sentence = |behind: &str, engine: &str| {
        format!("abra's server `default` is another Swarm ({behind}) than the engine of the host file ({engine})")
    };
    let remedy = "make `server` and `engine` in the host file name the same";
    assert_unfit(env, &[("engine", &scratch.socket().display().to_string())], &[&sentence(&ours, &theirs), remedy]);
    default_context(env.path(), &scratch.socket());
    assert_unfit(env, &[], &[&sentence(&theirs, &ours), remedy]);
    assert_nothing_on(env, &scratch.engine());
    assert_nothing_on(env, &env.fixture.engine);
}

/// Preflight sees the same Swarm twice, but this abra acts on another. Its undeploy leaves secrets and volumes, as abra does,
/// and that is said.
fn deploys_elsewhere(env: &TestEnv<'_>) {
    let (scratch, _) = scratch_fixture(env);
    let elsewhere = env.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    default_context(&elsewhere, &scratch.socket());
    let other = format!("HOME={} exec \"$ABRA\" \"$@\"", elsewhere.display());
    // The deadline is for a taster that would wait for what never comes.
    let told = env.run_on(&[("abra", &env.script(&other))], &["--recipe", "hello", "--deadline", "40"]);
    let results = env.results();
    let stack = results["domain"].as_str().unwrap().replace('.', "_");
    let sentence = format!(
        "abra deployed {stack} to its server `default`, and the engine at /var/run/docker.sock shows nothing of it; make `server` and \
         `engine` in the host file name the same"
    );
    told.assert(
        3,
        &[
            "inconclusive (install, upgrade, backup, restore",
            "why (infrastructure)",
            &sentence,
            "undeploy: passed",
            "left behind: nothing",
        ],
    );
    let cause = &results["stages"][1]["outcome"]["detail"]["cause"];
    assert_eq!((&cause["cause"], &cause["check"]), (&"preflight".into(), &"same-swarm".into()), "{results}");
    env.assert_zero();
    let left = |kind: &str| scratch.engine().ask(&[kind, "ls", "--quiet"]);
    assert_eq!((left("service"), left("config")), (String::new(), String::new()), "abra was asked to undeploy");
    until("its network is gone", || !scratch.engine().left_of(&stack, &[]).contains("network"));
}

fn used_up(env: &TestEnv<'_>) {
    // Four subnets in all, of which the Swarm's own ingress network and `proxy` have one each.
    let scratch = scratch_swarm(&["--default-addr-pool", "10.77.0.0/26", "--default-addr-pool-mask-length", "28"]);
    let engine = scratch.engine();
    default_context(env.path(), &scratch.socket());
    let socket = scratch.socket().display().to_string();
    let fit = env.host_file(&[("engine", &socket)]).display().to_string();
    let overlay = |name: &str| engine.ok(&["network", "create", "--driver", "overlay", name]);
    env.run(&["doctor", "--offline", "--host", &fit]).assert(0, &["2 subnets are left for overlay networks"]);
    assert!(["one", "two", "three"].into_iter().all(overlay), "the engine takes networks that it cannot make");
    let driver = |name: &str| engine.ask(&["network", "inspect", name, "--format", "{{.Driver}}"]);
    until("two of them are made", || driver("one") == "overlay" && driver("two") == "overlay");
    assert_eq!(driver("three"), "", "there is no subnet for it");
    let full = "0 subnets are left for overlay networks, and the recipe makes 1";
    assert_unfit(env, &[("engine", &socket)], &[full, "remove networks that nobody uses"]);
    engine.ask(&["network", "rm", "one", "two", "three", "proxy"]);

    until("there is a `proxy` of two addresses", || {
        engine.ok(&["network", "create", "--driver", "overlay", "--subnet", "10.88.0.0/30", "proxy"])
    });
    let small = "1 of 2 addresses are left in the network `proxy`, and the recipe takes 2";
    assert_unfit(env, &[("engine", &socket)], &[small, "undeploy something, or make `proxy` with a larger subnet"]);
    engine.ask(&["network", "rm", "proxy"]);
    let absent = "the Swarm has no overlay network `proxy`";
    until("`proxy` is gone", || !engine.ok(&["network", "inspect", "proxy"]));
    assert_unfit(env, &[("engine", &socket)], &[absent, "`docker network create -d overlay proxy` makes it"]);
    engine.ask(&["network", "create", "--driver", "overlay", "proxy"]);

    scratch.disk().remount("size=200m");
    let disk = "are free where the engine keeps images and volumes, and 1024 MiB have to be";
    assert_unfit(env, &[("engine", &socket)], &[disk, "make room, or set limits.free_disk_mib in the host file"]);
    assert_nothing_on(env, &engine);
    assert_nothing_on(env, &env.fixture.engine);
}

fn no_room_for_results(env: &TestEnv<'_>) {
    let disk = SmallDisk::on(&env.path().join("taster"), "16m").unwrap();
    let remedy = "set XDG_STATE_HOME to a folder with room";
    assert_unfit(env, &[], &["are free where the results go, and 64 MiB have to be", remedy]);
    assert_nothing_on(env, &env.fixture.engine);
    let runs = env.runs().len();

    let none = "0 MiB are free where the results go, and 64 MiB have to be";
    let filler = disk.fill();
    env.run(&["doctor", "--offline"]).assert(3, &[none, remedy]);
    // There can be a folder and an empty file, and nothing in it.
    let full = env.run(&["--recipe", "hello"]);
    full.assert(
        3,
        &["why (infrastructure): the journal cannot be written", "No space left on device", none, "left behind: nothing"],
    );
    fs::remove_file(filler).unwrap();
    env.run(&["janitor"]).assert(0, &["nothing left"]);
    assert_nothing_on(env, &env.fixture.engine);

    disk.remount("ro,size=200m");
    env.run(&["doctor", "--offline"]).assert(3, &[none, remedy]);
    let told = env.run(&["--recipe", "hello"]);
    told.assert(3, &["taster: cannot write the run's folder", "Read-only file system", remedy]);
    assert!(!told.err.contains("tasting"), "nothing has begun:\n{told}");
    disk.remount("rw");
    env.run(&["doctor", "--offline"]).assert(0, &[]);
    assert_eq!(env.runs().len(), runs + 1);
}

/// Not even the verdict can be written any more, so what is in the folder must be true of a run that got no further.
fn results_fill_up(env: &TestEnv<'_>) {
    let disk = SmallDisk::on(&env.path().join("taster"), "80m").unwrap();
    let run = env.start(&["--recipe", "hello"]);
    env.reached(WAITS);
    let filler = disk.fill();
    let told = ended(run);
    told.assert(
        3,
        &[
            "ending early",
            "inconclusive (install, upgrade, backup, restore",
            "why (infrastructure): the journal cannot be written",
        ],
    );
    assert_nothing_on(env, &env.fixture.engine);
    let results = results(&env.only_run());
    assert_eq!((&results["verdict"]["outcome"], &results["finished"]), (&"inconclusive".into(), &serde_json::Value::Null));
    fs::remove_file(filler).unwrap();
    env.run(&["janitor"]).assert(0, &["nothing left"]);
    env.assert_zero();
}

/// A run of `hello` on the scratch engine, up to when its journal says `text`.
pub(crate) fn until_it_says(env: &TestEnv<'_>, scratch: &ScratchEngine, args: &[&str], text: &str) -> Child {
    default_context(env.path(), &scratch.socket());
    let run = env.start_on(&[("engine", &scratch.socket().display().to_string())], &[&["--recipe", "hello"], args].concat());
    env.reached(text);
    run
}

/// What stands in the journal when the run has nothing more to do than to remove what is its own.
pub(crate) const SWEEPS: &str = r#""event":"step-started","step":"cleanup""#;

/// The engine says nothing from the middle of the deploy, for longer than one call is waited for, until the run, at its deadline,
/// has nothing more to do than to sweep. The deadline is the shortest that the health check of `hello` allows.
fn engine_freezes(env: &TestEnv<'_>) {
    let (scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let run = until_it_says(&env, &scratch, &["--deadline", "27"], WAITS);
    scratch.freeze();
    env.reached(SWEEPS);
    scratch.thaw();
    let told = ended(run);
    told.assert(
        3,
        &["inconclusive (install, upgrade, backup, restore", "the run was ended at its deadline", "left behind: nothing"],
    );
    assert_eq!(env.results()["verdict"]["outcome"], "inconclusive");
    env.assert_zero();
    assert_nothing_on(&env, &scratch.engine());
}

/// The engine loses its power in the middle of the deploy, and is back when the run sweeps.
fn engine_dies(env: &TestEnv<'_>) {
    let (mut scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let run = until_it_says(&env, &scratch, &[], WAITS);
    scratch.kill();
    env.reached(SWEEPS);
    scratch.restart();
    let told = ended(run);
    told.assert(3, &["inconclusive (install, upgrade, backup, restore", "left behind: nothing"]);
    let results = env.results();
    assert_eq!(
        (&results["stages"][1]["status"], &results["results"]["install"]),
        (&"unver".into(), &"unver".into()),
        "{results}"
    );
    env.assert_zero();
    assert_nothing_on(&env, &scratch.engine());
}

/// Power is lost for the run and its guardian too. What is left of it is on the engine again when that comes back, and the janitor sweeps it.
fn engine_and_run_die(env: &TestEnv<'_>) {
    let (mut scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let mut run = until_it_says(&env, &scratch, &[], WAITS);
    scratch.kill();
    env.kill_with_guardian(&mut run);
    let janitor = env.run(&["janitor"]);
    janitor.assert(4, &["not swept: no engine answers at"]);
    scratch.restart();
    env.run(&["janitor"]).assert(0, &["removed in", "nothing left"]);
    assert_ne!(env.results()["verdict"]["outcome"], "green");
    env.assert_zero();
    assert_nothing_on(&env, &scratch.engine());
}

/// What the sandbox finds out is what the docker client shows by hand; where the kernel has no table of IPVS, no address answers.
fn virtual_address(env: &TestEnv<'_>) {
    let scratch = scratch_swarm(&[]);
    let engine = scratch.engine();
    let layout = Layout { engine: scratch.socket(), prefix: "test".into(), ..Layout::default() };
    let home = Home::at(env.path().join("sandbox"));
    fs::create_dir_all(home.root()).unwrap();
    fs::write(home.root().join("layout.toml"), toml::to_string(&layout).unwrap()).unwrap();
    let image = images::specimen();
    block_on(images::provide(&home, std::slice::from_ref(&image), &mut |_| {})).unwrap();
    for (name, mode) in [("direct", "dnsrr"), ("virtual", "vip")] {
        engine.ask(&["service", "create", "--name", name, "--network", "proxy", "--endpoint-mode", mode, "--detach", &image]);
    }
    let reached = |name: &str| engine.ok(&["run", "--rm", "--network", "proxy", &image, "connect", &format!("{name}:80"), "4"]);
    until("the specimen is reached by its own address", || reached("direct"));
    until("the other one runs", || reached("tasks.virtual"));
    let by_hand = reached("virtual");

    let everything = || {
        let lists = [
            ["service", "ls", "--quiet"],
            ["container", "ls", "--quiet"],
            ["network", "ls", "--quiet"],
            ["volume", "ls", "--quiet"],
        ];
        lists.map(|list| engine.ask(&list))
    };
    let before = everything();
    let answers = block_on(sandbox::ipvs::answers(&layout)).unwrap();
    assert_eq!(everything(), before, "the attempt leaves nothing");
    assert_eq!(answers, by_hand);
    assert!(!answers || Path::new("/proc/net/ip_vs").exists(), "without the table nothing can answer");
}
