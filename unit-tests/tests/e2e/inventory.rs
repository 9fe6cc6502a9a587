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
    sandbox_fixture::{self, SandboxFixture, IMAGE},
    scratch_engine::{self, SmallDisk, ScratchEngine},
    test_env::{TestEnv, ended, results, run_id},
};

use super::{abra::block_on, runs::on_stages};

/// The stories of this file. Without what a second engine takes they are printed as not run; with `CI=true` they fail then.
pub(crate) fn stories(ground: Option<&SandboxFixture>) -> Vec<Trial> {
    let stories = on_stages(
        ground,
        &[
            // The one that takes longest begins first.
            ("worlds::an_engine_that_freezes_in_mid_run_is_swept_once_it_answers_again", engine_freezes),
            ("worlds::an_engine_without_a_swarm_and_a_worker_are_refused", no_manager),
            ("worlds::an_abra_with_another_swarm_than_ours_is_refused", other_engine),
            ("worlds::an_abra_that_deploys_elsewhere_is_named_and_undeploys_there", deploys_elsewhere),
            ("worlds::addresses_that_are_used_up_and_a_full_disk_of_the_engine_are_refused", used_up),
            ("worlds::results_that_have_no_room_are_refused", no_room_for_results),
            ("worlds::a_disk_that_fills_up_with_results_ends_the_run", results_fill_up),
            ("worlds::an_engine_that_dies_in_mid_run_is_swept_when_it_comes_back", engine_dies),
            ("worlds::an_engine_that_comes_back_after_the_run_has_died_is_swept_by_the_janitor", engine_and_run_die),
            ("worlds::the_virtual_address_of_a_service_is_tried_for_real", virtual_address),
        ],
    );
    on_spare_engines(ground, stories)
}

/// Stories that need a second engine: as they are when there can be one. Otherwise they are printed as not run.
pub(crate) fn on_spare_engines(ground: Option<&SandboxFixture>, stories: Vec<Trial>) -> Vec<Trial> {
    match scratch_engine::missing() {
        Some(why) if ground.is_some() && !sandbox_fixture::env().ci => {
            super::tell(&format!("stories of bad worlds are not run: {why}"));
            stories.into_iter().map(|story| story.with_ignored_flag(true).with_kind("not run")).collect()
        }
        Some(_) | None => stories,
    }
}

/// What stands in the journal when services are being deployed.
pub(crate) const WAITS: &str = r#""event":"observed","step":"deploy""#;

/// A spare engine with a Swarm and the network `proxy`.
pub(crate) fn spare_swarm(args: &[&str]) -> ScratchEngine {
    let spare = ScratchEngine::start().unwrap();
    spare.swarm_init(args);
    spare.engine().ask(&["network", "create", "--driver", "overlay", "--attachable", "proxy"]);
    spare
}

/// A spare Swarm that can run `hello`, and the ground that it is: whoever looks there looks at the spare engine.
pub(crate) fn spare_ground(stage: &TestEnv<'_>) -> (ScratchEngine, SandboxFixture) {
    let spare = spare_swarm(&[]);
    spare.load(&stage.ground.engine, &[IMAGE, "taster.test/specimen:"]);
    let ground = SandboxFixture { engine: spare.engine(), ..stage.ground.clone() };
    (spare, ground)
}

/// Lets docker's default context of this home be the engine behind `socket`, which is where abra finds its server `default`.
pub(crate) fn default_context(home: &Path, socket: &Path) {
    let docker = |args: &[&str]| printed(Command::new("docker").args(args).env("HOME", home), args);
    docker(&["context", "create", "spare", "--docker", &format!("host=unix://{}", socket.display())]);
    docker(&["context", "use", "spare"]);
}

/// That doctor and run refuse the host with this sentence and remedy, as nobody's fault but the infrastructure's.
fn assert_unfit(stage: &TestEnv<'_>, changed: &[(&str, &str)], texts: &[&str]) {
    let host = stage.host_file(changed).display().to_string();
    stage.run(&["doctor", "--offline", "--host", &host]).assert(3, &[&["unfit"], texts].concat());
    let known = stage.runs();
    let told = stage.run(&["--recipe", "hello", "--host", &host]);
    told.assert(
        3,
        &[&["inconclusive (install, upgrade, backup, restore", "why (infrastructure): ", "left behind: nothing"], texts].concat(),
    );
    let new: Vec<_> = stage.runs().into_iter().filter(|run| !known.contains(run)).collect();
    let results = results(new.first().unwrap());
    assert_eq!(results["verdict"]["outcome"], "inconclusive", "{results}");
    assert_eq!(results["verdict"]["reasons"][0]["owner"], "infrastructure", "{results}");
    assert_eq!((&results["exit_code"], &results["claimed"]), (&3.into(), &serde_json::json!([])), "{results}");
}

/// That nothing on the engine bears the name of any run on the stage, by the docker client's word.
pub(crate) fn assert_nothing_on(stage: &TestEnv<'_>, engine: &Engine) {
    assert!(!stage.runs().is_empty());
    let manages = engine.ask(&["info", "--format", "{{.Swarm.ControlAvailable}}"]) == "true";
    let mut names = engine.ask(&["container", "ls", "--all", "--format", "{{.Names}}"]);
    for kind in ["network", "volume"] {
        names += &engine.ask(&[kind, "ls", "--format", "{{.Name}}"]);
    }
    for kind in ["service", "secret", "config"].iter().filter(|_| manages) {
        names += &engine.ask(&[kind, "ls", "--format", "{{.Name}}"]);
    }
    for run in stage.runs() {
        let run = run_id(&run);
        assert!(!names.contains(run.token()), "something of {run} is left: {names}");
    }
}

fn no_manager(stage: &TestEnv<'_>) {
    let (manager, worker) = (ScratchEngine::start().unwrap(), ScratchEngine::start().unwrap());
    let (socket, own) = (worker.socket().display().to_string(), worker.engine());
    let init = "`docker swarm init` makes it one";
    assert_unfit(stage, &[("engine", &socket)], &["the engine is not a Swarm manager", init]);
    worker.join(&manager);
    until("it is a worker", || own.ask(&["info", "--format", "{{.Swarm.LocalNodeState}}"]) == "active");
    assert_unfit(stage, &[("engine", &socket)], &["the engine is a worker of its Swarm", "run taster against a manager"]);
    assert_nothing_on(stage, &own);
    assert_nothing_on(stage, &manager.engine());
    assert_nothing_on(stage, &stage.ground.engine);
}

/// The host file names the spare engine while abra's `default` is the machine's, and the other way round.
fn other_engine(stage: &TestEnv<'_>) {
    let spare = spare_swarm(&[]);
    let swarm = |engine: &Engine| engine.ask(&["info", "--format", "{{.Swarm.Cluster.ID}}"]);
    let (ours, theirs) = (swarm(&stage.ground.engine), swarm(&spare.engine()));
    let sentence = |behind: &str, engine: &str| {
        format!("abra's server `default` is another Swarm ({behind}) than the engine of the host file ({engine})")
    };
    let remedy = "make `server` and `engine` in the host file name the same";
    assert_unfit(stage, &[("engine", &spare.socket().display().to_string())], &[&sentence(&ours, &theirs), remedy]);
    default_context(stage.path(), &spare.socket());
    assert_unfit(stage, &[], &[&sentence(&theirs, &ours), remedy]);
    assert_nothing_on(stage, &spare.engine());
    assert_nothing_on(stage, &stage.ground.engine);
}

/// Preflight sees the same Swarm twice, but this abra acts on another. Its undeploy leaves secrets and volumes, as abra does,
/// and that is said.
fn deploys_elsewhere(stage: &TestEnv<'_>) {
    let (spare, _) = spare_ground(stage);
    let elsewhere = stage.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    default_context(&elsewhere, &spare.socket());
    let other = format!("HOME={} exec \"$ABRA\" \"$@\"", elsewhere.display());
    // The deadline is for a taster that would wait for what never comes.
    let told = stage.run_on(&[("abra", &stage.script(&other))], &["--recipe", "hello", "--deadline", "40"]);
    let results = stage.results();
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
    stage.assert_zero();
    let left = |kind: &str| spare.engine().ask(&[kind, "ls", "--quiet"]);
    assert_eq!((left("service"), left("config")), (String::new(), String::new()), "abra was asked to undeploy");
    until("its network is gone", || !spare.engine().left_of(&stack, &[]).contains("network"));
}

fn used_up(stage: &TestEnv<'_>) {
    // Four subnets in all, of which the Swarm's own ingress network and `proxy` have one each.
    let spare = spare_swarm(&["--default-addr-pool", "10.77.0.0/26", "--default-addr-pool-mask-length", "28"]);
    let engine = spare.engine();
    default_context(stage.path(), &spare.socket());
    let socket = spare.socket().display().to_string();
    let fit = stage.host_file(&[("engine", &socket)]).display().to_string();
    let overlay = |name: &str| engine.ok(&["network", "create", "--driver", "overlay", name]);
    stage.run(&["doctor", "--offline", "--host", &fit]).assert(0, &["2 subnets are left for overlay networks"]);
    assert!(["one", "two", "three"].into_iter().all(overlay), "the engine takes networks that it cannot make");
    let driver = |name: &str| engine.ask(&["network", "inspect", name, "--format", "{{.Driver}}"]);
    until("two of them are made", || driver("one") == "overlay" && driver("two") == "overlay");
    assert_eq!(driver("three"), "", "there is no subnet for it");
    let full = "0 subnets are left for overlay networks, and the recipe makes 1";
    assert_unfit(stage, &[("engine", &socket)], &[full, "remove networks that nobody uses"]);
    engine.ask(&["network", "rm", "one", "two", "three", "proxy"]);

    until("there is a `proxy` of two addresses", || {
        engine.ok(&["network", "create", "--driver", "overlay", "--subnet", "10.88.0.0/30", "proxy"])
    });
    let small = "1 of 2 addresses are left in the network `proxy`, and the recipe takes 2";
    assert_unfit(stage, &[("engine", &socket)], &[small, "undeploy something, or make `proxy` with a larger subnet"]);
    engine.ask(&["network", "rm", "proxy"]);
    let absent = "the Swarm has no overlay network `proxy`";
    until("`proxy` is gone", || !engine.ok(&["network", "inspect", "proxy"]));
    assert_unfit(stage, &[("engine", &socket)], &[absent, "`docker network create -d overlay proxy` makes it"]);
    engine.ask(&["network", "create", "--driver", "overlay", "proxy"]);

    spare.disk().remount("size=200m");
    let disk = "are free where the engine keeps images and volumes, and 1024 MiB have to be";
    assert_unfit(stage, &[("engine", &socket)], &[disk, "make room, or set limits.free_disk_mib in the host file"]);
    assert_nothing_on(stage, &engine);
    assert_nothing_on(stage, &stage.ground.engine);
}

fn no_room_for_results(stage: &TestEnv<'_>) {
    let disk = SmallDisk::on(&stage.path().join("taster"), "16m").unwrap();
    let remedy = "set XDG_STATE_HOME to a folder with room";
    assert_unfit(stage, &[], &["are free where the results go, and 64 MiB have to be", remedy]);
    assert_nothing_on(stage, &stage.ground.engine);
    let runs = stage.runs().len();

    let none = "0 MiB are free where the results go, and 64 MiB have to be";
    let filler = disk.fill();
    stage.run(&["doctor", "--offline"]).assert(3, &[none, remedy]);
    // There can be a folder and an empty file, and nothing in it.
    let full = stage.run(&["--recipe", "hello"]);
    full.assert(
        3,
        &["why (infrastructure): the journal cannot be written", "No space left on device", none, "left behind: nothing"],
    );
    fs::remove_file(filler).unwrap();
    stage.run(&["janitor"]).assert(0, &["nothing left"]);
    assert_nothing_on(stage, &stage.ground.engine);

    disk.remount("ro,size=200m");
    stage.run(&["doctor", "--offline"]).assert(3, &[none, remedy]);
    let told = stage.run(&["--recipe", "hello"]);
    told.assert(3, &["taster: cannot write the run's folder", "Read-only file system", remedy]);
    assert!(!told.err.contains("tasting"), "nothing has begun:\n{told}");
    disk.remount("rw");
    stage.run(&["doctor", "--offline"]).assert(0, &[]);
    assert_eq!(stage.runs().len(), runs + 1);
}

/// Not even the verdict can be written any more, so what is in the folder must be true of a run that got no further.
fn results_fill_up(stage: &TestEnv<'_>) {
    let disk = SmallDisk::on(&stage.path().join("taster"), "80m").unwrap();
    let run = stage.start(&["--recipe", "hello"]);
    stage.reached(WAITS);
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
    assert_nothing_on(stage, &stage.ground.engine);
    let results = results(&stage.only_run());
    assert_eq!((&results["verdict"]["outcome"], &results["finished"]), (&"inconclusive".into(), &serde_json::Value::Null));
    fs::remove_file(filler).unwrap();
    stage.run(&["janitor"]).assert(0, &["nothing left"]);
    stage.assert_zero();
}

/// A run of `hello` on the spare engine, up to when its journal says `text`.
pub(crate) fn until_it_says(stage: &TestEnv<'_>, spare: &ScratchEngine, args: &[&str], text: &str) -> Child {
    default_context(stage.path(), &spare.socket());
    let run = stage.start_on(&[("engine", &spare.socket().display().to_string())], &[&["--recipe", "hello"], args].concat());
    stage.reached(text);
    run
}

/// What stands in the journal when the run has nothing more to do than to remove what is its own.
pub(crate) const SWEEPS: &str = r#""event":"step-started","step":"sweep""#;

/// The engine says nothing from the middle of the deploy, for longer than one call is waited for, until the run, at its deadline,
/// has nothing more to do than to sweep. The deadline is the shortest that the health check of `hello` allows.
fn engine_freezes(stage: &TestEnv<'_>) {
    let (spare, ground) = spare_ground(stage);
    let stage = TestEnv::new(&ground);
    let run = until_it_says(&stage, &spare, &["--deadline", "27"], WAITS);
    spare.freeze();
    stage.reached(SWEEPS);
    spare.thaw();
    let told = ended(run);
    told.assert(
        3,
        &["inconclusive (install, upgrade, backup, restore", "the run was ended at its deadline", "left behind: nothing"],
    );
    assert_eq!(stage.results()["verdict"]["outcome"], "inconclusive");
    stage.assert_zero();
    assert_nothing_on(&stage, &spare.engine());
}

/// The engine loses its power in the middle of the deploy, and is back when the run sweeps.
fn engine_dies(stage: &TestEnv<'_>) {
    let (mut spare, ground) = spare_ground(stage);
    let stage = TestEnv::new(&ground);
    let run = until_it_says(&stage, &spare, &[], WAITS);
    spare.kill();
    stage.reached(SWEEPS);
    spare.restart();
    let told = ended(run);
    told.assert(3, &["inconclusive (install, upgrade, backup, restore", "left behind: nothing"]);
    let results = stage.results();
    assert_eq!(
        (&results["stages"][1]["status"], &results["results"]["install"]),
        (&"unver".into(), &"unver".into()),
        "{results}"
    );
    stage.assert_zero();
    assert_nothing_on(&stage, &spare.engine());
}

/// Power is lost for the run and its guardian too. What is left of it is on the engine again when that comes back, and the janitor sweeps it.
fn engine_and_run_die(stage: &TestEnv<'_>) {
    let (mut spare, ground) = spare_ground(stage);
    let stage = TestEnv::new(&ground);
    let mut run = until_it_says(&stage, &spare, &[], WAITS);
    spare.kill();
    stage.kill_with_guardian(&mut run);
    let janitor = stage.run(&["janitor"]);
    janitor.assert(4, &["not swept: no engine answers at"]);
    spare.restart();
    stage.run(&["janitor"]).assert(0, &["removed in", "nothing left"]);
    assert_ne!(stage.results()["verdict"]["outcome"], "green");
    stage.assert_zero();
    assert_nothing_on(&stage, &spare.engine());
}

/// What the sandbox finds out is what the docker client shows by hand; where the kernel has no table of IPVS, no address answers.
fn virtual_address(stage: &TestEnv<'_>) {
    let spare = spare_swarm(&[]);
    let engine = spare.engine();
    let layout = Layout { engine: spare.socket(), prefix: "story".into(), ..Layout::default() };
    let home = Home::at(stage.path().join("sandbox"));
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
