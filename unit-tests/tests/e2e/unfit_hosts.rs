//! Real hosts that are not fit: engines without a Swarm, workers, other Swarms, full pools and disks, engines that stop. One
//! correct sentence names the reason, the recipe is never blamed, and nothing is left.

use std::{fs, path::Path, process::Command};

use libtest_mimic::Trial;
use sandbox::{home::Home, images, layout::Layout};
use serde_json::Value;
use unit_tests::{
    engine::{Engine, printed, until},
    sandbox_fixture::{IMAGE, SandboxFixture},
    scratch_engine::{ScratchEngine, SmallDisk},
    test_env::{TestEnv, run_id},
    test_run::{
        Outcome::Inconclusive,
        RunningRun,
        Status::{Fail, Unver},
    },
};

use crate::{
    abra::block_on,
    trials::{e2e_tests, with_scratch_engine},
};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    with_scratch_engine(
        fixture,
        &e2e_tests![
            // The longest one begins first.
            engine_that_freezes_is_cleaned_up_once_it_answers,
            engine_without_a_swarm_and_worker_are_refused,
            abra_with_another_swarm_is_refused,
            abra_that_deploys_elsewhere_is_named_and_undeploys_there,
            exhausted_addresses_and_full_engine_disk_are_refused,
            full_or_read_only_results_disk_is_refused,
            results_disk_that_fills_up_ends_the_run,
            engine_that_dies_is_cleaned_up_when_it_comes_back,
            engine_that_comes_back_after_its_run_died_is_cleaned_up_by_the_janitor,
            virtual_address_is_tried_for_real,
        ],
    )
}

/// The journal line of services that are being deployed.
pub(crate) const DEPLOYING: &str = r#""event":"observed","step":"deploy""#;

/// A scratch engine with a Swarm and the network `proxy`.
pub(crate) fn scratch_swarm(args: &[&str]) -> ScratchEngine {
    let scratch = ScratchEngine::start().unwrap();
    scratch.swarm_init(args);
    scratch.engine().ask(&["network", "create", "--driver", "overlay", "--attachable", "proxy"]);
    scratch
}

/// A scratch Swarm that can run `hello`, and the fixture with its engine.
pub(crate) fn scratch_fixture(env: &TestEnv<'_>) -> (ScratchEngine, SandboxFixture) {
    let scratch = scratch_swarm(&[]);
    scratch.load(&env.fixture.engine, &[IMAGE, "taster.test/specimen:"]);
    let fixture = SandboxFixture { engine: scratch.engine(), ..env.fixture.clone() };
    (scratch, fixture)
}

/// Makes the engine behind `socket` the default context of docker in this home; abra takes its server `default` from there.
pub(crate) fn default_context(home: &Path, socket: &Path) {
    let docker = |args: &[&str]| printed(Command::new("docker").args(args).env("HOME", home), args);
    docker(&["context", "create", "scratch", "--docker", &format!("host=unix://{}", socket.display())]);
    docker(&["context", "use", "scratch"]);
}

/// Expects that doctor and run refuse the host with these texts and blame the infrastructure.
fn assert_unfit(env: &TestEnv<'_>, changed: &[(&str, &str)], texts: &[&str]) {
    let host = env.host_file(changed).display().to_string();

    let doctor = env.taster(&["doctor", "--offline", "--host", &host]);
    let run = env.run("hello").args(&["--host", &host]).expect(Inconclusive);

    doctor.exit(3).says("unfit");
    let mut run = run
        .exit(3)
        .says("inconclusive (install, upgrade, backup, restore")
        .says("why (infrastructure): ")
        .says("left behind: nothing")
        .value("/verdict/reasons/0/owner", "infrastructure")
        .value("/claimed", Value::Array(Vec::new()));
    for text in texts {
        doctor.says(text);
        run = run.says(text);
    }
}

/// Expects that no object of the engine bears the name of a run, according to the docker client.
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

fn engine_without_a_swarm_and_worker_are_refused(env: &TestEnv<'_>) {
    let (manager, worker) = (ScratchEngine::start().unwrap(), ScratchEngine::start().unwrap());
    let (socket, engine) = (worker.socket().display().to_string(), worker.engine());

    assert_unfit(env, &[("engine", &socket)], &["the engine is not a Swarm manager", "`docker swarm init` makes it one"]);

    worker.join(&manager);
    until("it is a worker", || engine.ask(&["info", "--format", "{{.Swarm.LocalNodeState}}"]) == "active");
    assert_unfit(env, &[("engine", &socket)], &["the engine is a worker of its Swarm", "run taster against a manager"]);
    assert_nothing_on(env, &engine);
    assert_nothing_on(env, &manager.engine());
    assert_nothing_on(env, &env.fixture.engine);
}

/// The host file names the scratch engine while abra's `default` is the machine's, and the other way round.
fn abra_with_another_swarm_is_refused(env: &TestEnv<'_>) {
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

/// Preflight sees the same Swarm twice, but this abra acts on another. Its undeploy leaves secrets and volumes, as abra does.
fn abra_that_deploys_elsewhere_is_named_and_undeploys_there(env: &TestEnv<'_>) {
    let (scratch, _) = scratch_fixture(env);
    let elsewhere = env.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    default_context(&elsewhere, &scratch.socket());
    let abra = format!("HOME={} exec \"$ABRA\" \"$@\"", elsewhere.display());

    // Without a refusal the run would wait until its deadline.
    let run = env.run("hello").abra(&abra).deadline(40).expect(Inconclusive);

    let stack = run.results["domain"].as_str().unwrap().replace('.', "_");
    let sentence = format!(
        "abra deployed {stack} to its server `default`, and the engine at /var/run/docker.sock shows nothing of it; make `server` and \
         `engine` in the host file name the same"
    );
    run.exit(3)
        .says("inconclusive (install failed; ")
        .says("why (infrastructure)")
        .says(&sentence)
        .says("undeploy: passed")
        .step("deploy", Fail)
        .cause("preflight")
        .step_value("/outcome/detail/cause/check", "same-swarm")
        .nothing_left();
    let left = |kind: &str| scratch.engine().ask(&[kind, "ls", "--quiet"]);
    assert_eq!((left("service"), left("config")), (String::new(), String::new()), "abra was asked to undeploy");
    until("its network is gone", || !scratch.engine().left_of(&stack, &[]).contains("network"));
}

fn exhausted_addresses_and_full_engine_disk_are_refused(env: &TestEnv<'_>) {
    // Four subnets in all; the Swarm's own ingress network and `proxy` have one each.
    let scratch = scratch_swarm(&["--default-addr-pool", "10.77.0.0/26", "--default-addr-pool-mask-length", "28"]);
    let engine = scratch.engine();
    default_context(env.path(), &scratch.socket());
    let socket = scratch.socket().display().to_string();
    let fit = env.host_file(&[("engine", &socket)]).display().to_string();
    env.taster(&["doctor", "--offline", "--host", &fit]).exit(0).says("2 subnets are left for overlay networks");

    use_up_subnets(&engine);
    let full = "0 subnets are left for overlay networks, and the recipe makes 1";
    assert_unfit(env, &[("engine", &socket)], &[full, "remove unused networks"]);
    engine.ask(&["network", "rm", "one", "two", "three", "proxy"]);

    until("there is a `proxy` of two addresses", || {
        engine.ok(&["network", "create", "--driver", "overlay", "--subnet", "10.88.0.0/30", "proxy"])
    });
    let small = "1 of 2 addresses are left in the network `proxy`, and the recipe takes 2";
    assert_unfit(env, &[("engine", &socket)], &[small, "undeploy something, or make `proxy` with a larger subnet"]);
    engine.ask(&["network", "rm", "proxy"]);

    until("`proxy` is gone", || !engine.ok(&["network", "inspect", "proxy"]));
    let absent = "the Swarm has no overlay network `proxy`";
    assert_unfit(env, &[("engine", &socket)], &[absent, "`docker network create -d overlay proxy` makes it"]);
    engine.ask(&["network", "create", "--driver", "overlay", "proxy"]);

    scratch.disk().remount("size=200m");
    let disk = "are free where the engine keeps images and volumes, and 1024 MiB have to be";
    assert_unfit(env, &[("engine", &socket)], &[disk, "make room, or set limits.free_disk_mib in the host file"]);
    assert_nothing_on(env, &engine);
    assert_nothing_on(env, &env.fixture.engine);
}

/// Makes three networks where there are two subnets: the engine accepts a network that it cannot make.
fn use_up_subnets(engine: &Engine) {
    let overlay = |name: &str| engine.ok(&["network", "create", "--driver", "overlay", name]);
    let driver = |name: &str| engine.ask(&["network", "inspect", name, "--format", "{{.Driver}}"]);
    assert!(["one", "two", "three"].into_iter().all(overlay), "the engine accepts three networks");
    until("two of them are made", || driver("one") == "overlay" && driver("two") == "overlay");
    assert_eq!(driver("three"), "", "there is no subnet for it");
}

fn full_or_read_only_results_disk_is_refused(env: &TestEnv<'_>) {
    let disk = SmallDisk::on(&env.path().join("taster"), "16m").unwrap();
    let remedy = "set XDG_STATE_HOME to a folder with room";
    assert_unfit(env, &[], &["are free where the results go, and 64 MiB have to be", remedy]);
    assert_nothing_on(env, &env.fixture.engine);
    let runs = env.runs().len();

    let none = "0 MiB are free where the results go, and 64 MiB have to be";
    let filler = disk.fill();
    env.taster(&["doctor", "--offline"]).exit(3).says(none).says(remedy);
    // The disk has room for a folder and an empty file, and for no byte in it.
    let full = env.run("hello").output();
    full.exit(3).says("why (infrastructure): the journal cannot be written").says("No space left on device").says(none);
    full.says("left behind: nothing");
    fs::remove_file(filler).unwrap();
    env.taster(&["janitor"]).exit(0).says("nothing left");
    assert_nothing_on(env, &env.fixture.engine);

    disk.remount("ro,size=200m");
    env.taster(&["doctor", "--offline"]).exit(3).says(none).says(remedy);
    let read_only = env.run("hello").output();
    read_only.exit(3).says("Error: cannot write the run's folder").says("Read-only file system");
    read_only.says("Hint: Set XDG_STATE_HOME to a folder with room");
    assert!(!read_only.err.contains("tasting"), "nothing has begun:\n{read_only}");
    disk.remount("rw");
    env.taster(&["doctor", "--offline"]).exit(0);
    assert_eq!(env.runs().len(), runs + 1);
}

/// The verdict cannot be written either, so the results stay those of an unfinished run.
fn results_disk_that_fills_up_ends_the_run(env: &TestEnv<'_>) {
    let disk = SmallDisk::on(&env.path().join("taster"), "80m").unwrap();
    let mut run = env.run("hello").start();
    run.reached(DEPLOYING);

    let filler = disk.fill();
    let run = run.finish_soon();

    run.exit(3)
        .says("ending early")
        .says("inconclusive (install, upgrade, backup, restore")
        .says("why (infrastructure): the journal cannot be written")
        .value("/verdict/outcome", "inconclusive")
        .value("/finished", Value::Null);
    assert_nothing_on(env, &env.fixture.engine);
    fs::remove_file(filler).unwrap();
    env.taster(&["janitor"]).exit(0).says("nothing left");
    env.assert_nothing_left();
}

/// A run of `hello` on the scratch engine, until its journal says `text`.
pub(crate) fn run_until<'a>(env: &'a TestEnv<'_>, scratch: &ScratchEngine, args: &[&str], text: &str) -> RunningRun<'a> {
    default_context(env.path(), &scratch.socket());
    let mut run = env.run("hello").args(args).host("engine", &scratch.socket().display().to_string()).start();
    run.reached(text);
    run
}

/// The journal line of a run that only has to remove its own objects.
pub(crate) const CLEANS_UP: &str = r#""event":"step-started","step":"cleanup""#;

/// The engine does not answer from the middle of the deploy until the cleanup at the deadline, which is longer than the timeout
/// of one call. The deadline is the shortest that the health check of `hello` allows.
fn engine_that_freezes_is_cleaned_up_once_it_answers(env: &TestEnv<'_>) {
    let (scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let mut run = run_until(&env, &scratch, &["--deadline", "27"], DEPLOYING);

    scratch.freeze();
    run.reached(CLEANS_UP);
    scratch.thaw();
    let run = run.finish_soon();

    run.expect(Inconclusive)
        .exit(3)
        .says("inconclusive (install, upgrade, backup, restore")
        .says("the run was ended at its deadline")
        .nothing_left();
    assert_nothing_on(&env, &scratch.engine());
}

/// The engine loses its power in the middle of the deploy, and is back when the run cleans up.
fn engine_that_dies_is_cleaned_up_when_it_comes_back(env: &TestEnv<'_>) {
    let (mut scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let mut run = run_until(&env, &scratch, &[], DEPLOYING);

    scratch.kill();
    run.reached(CLEANS_UP);
    scratch.restart();
    let run = run.finish_soon();

    run.expect(Inconclusive)
        .exit(3)
        .says("inconclusive (install not verified: ")
        .step("deploy", Unver)
        .tier("install", Unver)
        .nothing_left();
    assert_nothing_on(&env, &scratch.engine());
}

/// A power cut ends the run and its guardian too. The restarted engine has the objects of the run.
fn engine_that_comes_back_after_its_run_died_is_cleaned_up_by_the_janitor(env: &TestEnv<'_>) {
    let (mut scratch, fixture) = scratch_fixture(env);
    let env = TestEnv::new(&fixture);
    let mut run = run_until(&env, &scratch, &[], DEPLOYING);
    scratch.kill();
    run.kill_with_guardian();

    let without_engine = env.taster(&["janitor"]);
    scratch.restart();
    let with_engine = env.taster(&["janitor"]);

    without_engine.exit(4).says("no engine answers at");
    with_engine.exit(0).says("removed in").says("nothing left");
    assert_ne!(run.results()["verdict"]["outcome"], "green");
    env.assert_nothing_left();
    assert_nothing_on(&env, &scratch.engine());
}

/// The sandbox probes the same as the docker client shows; without a table of IPVS in the kernel no virtual address answers.
fn virtual_address_is_tried_for_real(env: &TestEnv<'_>) {
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
    let answers = block_on(sandbox::ipvs::probe(&layout)).unwrap();
    assert_eq!(everything(), before, "the attempt leaves nothing");
    assert_eq!(answers, by_hand);
    assert!(!answers || Path::new("/proc/net/ip_vs").exists(), "without the table nothing can answer");
}
