//! Whole runs on a simulated host, in paused time: whatever a call does, the run ends truthfully and leaves nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::stream::{self, StreamExt};
use harness::{
    adapters::{clock::SystemClock, folder::Folder},
    engine::{
        self, Past, Run,
        log::Log,
    },
    journal::{self, Journal},
    model::{
        host::Host,
        outcome::Tier,
        pack::{Pack, Settings, TestName},
        request::Request,
        time::Wall,
    },
    ports::RunFolder,
    pure::{
        host::preflight::{Needs, Neighbour},
        run::{
            plan::{Plan, plan},
            verdict::{VerdictOutcome, exit_code, verdict},
        },
    },
    redact::Redact,
    report::{reporters, results::Results},
};
use unit_tests::{
    event_log::request,
    sim_host::{Does, Manners, SimHost, left},
    sim_neighbours::SimNeighbours,
};

use crate::crash::paused;

/// A secret that every run on a simulated host knows.
const SECRET: &str = "hunter22hunter22";

/// What a run on a simulated host told.
pub(crate) struct RunOutcome {
    pub(crate) colour: VerdictOutcome,
    pub(crate) exit: u8,
    pub(crate) why: String,
    pub(crate) left: Vec<String>,
    pub(crate) results: Results,
    /// The ends of what was kept as evidence.
    pub(crate) tails: Vec<String>,
}

/// Runs on a host with these manners; `signal` comes after that time.
pub(crate) fn told(manners: Manners, signal: Option<(Duration, i32)>) -> RunOutcome {
    told_on(SimHost::healthy(manners), signal)
}

/// Runs on a host that was made another than it should be.
pub(crate) fn told_spoilt(spoil: impl FnOnce(&mut SimHost)) -> RunOutcome {
    let mut host = SimHost::healthy(Manners::default());
    spoil(&mut host);
    told_on(host, None)
}

fn told_on(host: SimHost, signal: Option<(Duration, i32)>) -> RunOutcome {
    tasted(host, "zone = \"taster.test\"", &[Tier::Install], signal)
}

pub(crate) fn told_of(host: SimHost, tiers: &[Tier], signal: Option<(Duration, i32)>) -> RunOutcome {
    tasted(host, "zone = \"taster.test\"", tiers, signal)
}

/// Takes the app through `tiers` on a simulated host with this host file.
pub(crate) fn tasted(host: SimHost, host_file: &str, tiers: &[Tier], signal: Option<(Duration, i32)>) -> RunOutcome {
    tasted_by(host, host_file, request(tiers), signal, |_| {})
}

/// Does what is asked for on a simulated host with this host file.
pub(crate) fn asked(host: SimHost, host_file: &str, request: Request, signal: Option<(Duration, i32)>) -> RunOutcome {
    tasted_by(host, host_file, request, signal, |_| {})
}

/// Takes the app through `tiers` after a green run that had these tests.
pub(crate) fn told_past(host: SimHost, tiers: &[Tier], tests: BTreeSet<TestName>) -> RunOutcome {
    let past = Past { tests, ..Past::default() };
    tasted_after(past, host, "zone = \"taster.test\"", request(tiers), None, |_| {})
}

/// The same with a plan that is not as it should be.
pub(crate) fn tasted_by(
    host: SimHost,
    host_file: &str,
    request: Request,
    signal: Option<(Duration, i32)>,
    amend: impl Fn(&mut Plan),
) -> RunOutcome {
    tasted_after(Past::default(), host, host_file, request, signal, amend)
}

fn tasted_after(
    history: Past,
    host: SimHost,
    host_file: &str,
    request: Request,
    signal: Option<(Duration, i32)>,
    amend: impl Fn(&mut Plan),
) -> RunOutcome {
    paused(async {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::of(state.path(), &"20261121-101502-aebagbaf".parse().unwrap());
        let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(SystemClock::start())).unwrap();
        let redact = Arc::new(Redact::new());
        redact.learn(SECRET);
        let run_folder: Arc<dyn RunFolder> = Arc::new(folder.clone());
        let log = Log::new(journal, redact.clone(), reporters(&run_folder, &redact));
        let signals = match signal {
            Some((after, number)) => stream::once(async move {
                tokio::time::sleep(after).await;
                number
            })
            .chain(stream::pending())
            .boxed(),
            None => stream::pending().boxed(),
        };
        let ports = host.ports();
        let host_file = Host::parse(host_file).unwrap();
        let run = Run { history, host: host_file, signals, ..host.undisturbed(request, &ports, &log, &folder) };
        let amended = |request: &_, facts: &_, limits: &_| {
            let mut plan = plan(request, facts, limits)?;
            amend(&mut plan);
            Ok(plan)
        };
        let state = engine::run_by(amended, run).await;
        let verdict = verdict(&state);
        let (told, exit) = (verdict.reasons.first().map(|reason| reason.sentence.clone()), exit_code(&state).code());
        let tails = state.evidence.iter().map(|kept| kept.tail.clone()).collect();
        drop(log);
        let results = std::fs::read_to_string(folder.root().join("results.json")).unwrap();
        crate::schema::validate(&serde_json::from_str(&results).unwrap()).unwrap();
        let results: Results = serde_json::from_str(&results).unwrap();
        let known = |text: &String| {
            ["head has lint errors", "the pack repairs", "posts::three: was", "gone.txt of posts::one", "leak.png of posts::one"]
                .iter()
                .any(|begins| text.starts_with(begins))
        };
        assert!(results.flags.no_secret_leak && results.warnings.iter().all(known), "{:?}", results.warnings);
        for (file, text) in [("junit.xml", "</testsuites>"), ("report.html", "</html>"), ("badge.svg", "</svg>")] {
            let written = std::fs::read_to_string(folder.root().join(file)).unwrap();
            assert!(written.trim_end().ends_with(text), "{file} is whole");
        }
        assert_eq!((&results.verdict, results.exit_code), (&verdict, exit), "the file says what the run says");
        assert_eq!(results.digest, results.computed_digest());
        let names = host.names();
        let files = host.files().into_iter().map(|file| file.display().to_string());
        let left: Vec<String> = left(&names).into_iter().map(str::to_owned).chain(files).collect();
        assert_eq!(journal::read(folder.root()).unwrap().settled(), left.is_empty(), "the journal says what is left");
        RunOutcome { colour: verdict.outcome, exit, why: told.unwrap_or_default(), left, results, tails }
    })
}

#[track_caller]
pub(crate) fn check(told: RunOutcome, colour: VerdictOutcome, exit: u8, why: &str) {
    assert_eq!((told.colour, told.exit), (colour, exit), "{}", told.why);
    assert!(told.why.contains(why), "{:?} should say {why:?}", told.why);
    assert!(told.left.is_empty(), "left: {:?}", told.left);
}

#[test]
fn a_good_run_is_green() {
    check(told(Manners::default(), None), VerdictOutcome::Green, 0, "");
}

#[test]
fn a_deploy_that_abra_refuses_is_the_recipes() {
    check(
        told(Manners { deploy: Does::Fails, ..Manners::default() }, None),
        VerdictOutcome::Red,
        1,
        "abra app deploy ended with exit code 1",
    );
}

#[test]
fn what_abra_deploys_elsewhere_is_told_at_once_and_undeployed_there() {
    let host = || SimHost::healthy(Manners { elsewhere: true, ..Manners::default() });
    let there = host();
    let why = "abra deployed hello-aebagbaf_taster_test to its server `default`, and the engine at /var/run/docker.sock shows nothing of it; make `server` and `engine`";
    check(told_on(there.clone(), None), VerdictOutcome::Inconclusive, 3, why);
    assert!(there.elsewhere().is_empty(), "abra is asked to undeploy all the same: {:?}", there.elsewhere());

    let there = host();
    // Also when the run is ended before anybody can know where it went.
    check(told_on(there.clone(), Some((Duration::from_secs(1), 15))), VerdictOutcome::Inconclusive, 143, "ended by signal 15");
    assert!(there.elsewhere().is_empty(), "{:?}", there.elsewhere());
}

#[test]
fn a_deploy_that_hangs_is_nobodys_proof() {
    check(
        told(Manners { deploy: Does::Hangs, ..Manners::default() }, None),
        VerdictOutcome::Inconclusive,
        3,
        "abra did not end within",
    );
}

#[test]
fn an_app_that_never_answers_is_red() {
    check(told(Manners { web: Does::Fails, ..Manners::default() }, None), VerdictOutcome::Red, 1, "502 Bad Gateway");
    check(told(Manners { web: Does::Hangs, ..Manners::default() }, None), VerdictOutcome::Red, 1, "the app does not answer");
}

#[test]
fn a_panic_is_our_own_fault_and_is_swept_all_the_same() {
    check(
        told(Manners { web: Does::Panics, ..Manners::default() }, None),
        VerdictOutcome::Inconclusive,
        6,
        "step http panicked",
    );
    check(
        told(Manners { deploy: Does::Panics, ..Manners::default() }, None),
        VerdictOutcome::Inconclusive,
        6,
        "step deploy panicked",
    );
}

#[test]
fn a_signal_ends_a_hanging_deploy_and_is_swept() {
    let hanging = Manners { deploy: Does::Hangs, ..Manners::default() };
    check(told(hanging, Some((Duration::from_secs(1), 15))), VerdictOutcome::Inconclusive, 143, "ended by signal 15");
    check(told(Manners::default(), Some((Duration::ZERO, 2))), VerdictOutcome::Inconclusive, 130, "ended by signal 2");
}

#[test]
fn what_cannot_be_removed_is_told_and_outweighs_a_green() {
    let told = told(Manners { removal: Does::Fails, ..Manners::default() }, None);
    assert_eq!((told.colour, told.exit), (VerdictOutcome::Green, 4));
    let (files, objects): (Vec<&String>, Vec<&String>) = told.left.iter().partition(|left| left.starts_with('/'));
    assert_eq!(objects.len(), 2, "the secret, and the marker that says whose it is: {objects:?}");
    assert_eq!(files.len(), 3, "what abra knows the app by stays with it: {files:?}");
}

/// Makes a host another than it should be.
type Spoil = fn(&mut SimHost);

#[test]
fn a_host_that_is_not_fit_proves_nothing_about_the_recipe() {
    let rows: [(Spoil, &str); 6] = [
        (|host| host.engine.api = "1.40".into(), "too old"),
        (|host| host.engine.rootless = true, "rootless"),
        (|host| host.engine.worker = true, "a worker of its Swarm"),
        (|host| host.machine.memory = Some(0), "0 MiB of memory are free"),
        (|host| host.machine.room = Some(0), "where the results go"),
        (|host| host.machine.servers = BTreeMap::from([("default".into(), "swarm2".parse().unwrap())]), "another Swarm (swarm2)"),
    ];
    for (spoil, why) in rows {
        check(told_spoilt(spoil), VerdictOutcome::Inconclusive, 3, why);
    }
    // A clock that is off is told and decides nothing.
    check(told_spoilt(|host| host.engine.clock = Some(Wall::from_millis(1))), VerdictOutcome::Green, 0, "");
}

#[test]
fn what_a_pack_declares_to_hold_of_a_well_app_is_looked_at_after_its_answer() {
    let with = |probes: &str| {
        let settings = Settings::parse(probes).unwrap();
        told_spoilt(|host| *host = host.clone().with_pack(Pack { settings: settings.clone(), ..Pack::default() }, Vec::new()))
    };
    check(with("probes = [{ path = \"/up\" }, { tcp = 2222, stable = 3 }]"), VerdictOutcome::Green, 0, "");
    check(
        with("probes = [{ path = \"/up\", status = [204] }]"),
        VerdictOutcome::Red,
        1,
        "/up answers with 204; the last attempt: it answers with 200",
    );
}

#[test]
fn a_run_waits_for_the_room_of_another_and_says_for_what() {
    let gigabyte = 1 << 30;
    let other = Neighbour {
        run: "20261121-101500-aebagbag".parse().unwrap(),
        recipe: "gitea".parse().unwrap(),
        needs: Needs { memory: 8 * gigabyte, ..Needs::default() },
        up: false,
    };
    let said =
        "memory: 256 MiB are wanted, and of the 8192 MiB that are free 8192 MiB are for run 20261121-101500-aebagbag of gitea";
    let told = told_spoilt(|host| host.neighbours = SimNeighbours::living(vec![other.clone()], 3));
    let waited = told.results.remarks.iter().find(|remark| remark.starts_with("waited ")).cloned().unwrap_or_default();
    assert!(waited.ends_with(said), "{:?}", told.results.remarks);
    check(told, VerdictOutcome::Green, 0, "");

    // Whoever waits can be ended, and has made nothing by then.
    let mut host = SimHost::healthy(Manners::default());
    host.neighbours = SimNeighbours::living(vec![other], u32::MAX);
    check(told_on(host, Some((Duration::from_secs(30), 2))), VerdictOutcome::Inconclusive, 130, "");
}
