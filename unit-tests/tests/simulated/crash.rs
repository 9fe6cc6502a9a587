//! A run is killed after each of its calls, and in the middle of each call that makes objects. Guardian and janitor then reach
//! the same end: no object of the run is left, foreign objects are unchanged, the journal is readable, and the results claim no
//! success. The negative controls at the end show that a wrong cleanup is noticed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use harness::{
    adapters::folder::Folder,
    engine::{
        self, Run,
        log::Log,
        steps::shared::cleanup::{Pace, cleanup_until_empty_by},
    },
    journal::{self, Journal},
    model::{
        engine::ServiceAddress,
        host::Host,
        object::{ObjectId, ObjectKind},
        outcome::Tier,
    },
    ports::{Reporter, RunFolder},
    pure::{
        host::{
            claim::Claim,
            cleanup_plan::{CleanupPlan, cleanup_plan},
            inventory::{Inventory, Object},
        },
        run::verdict::VerdictOutcome,
    },
    redact::Redact,
    report::{Document, ReportFile, results::Results},
};
use runner::recovery::{
    crash_recovery::{HostAccess, HostConnector},
    guardian,
    janitor::{JanitorOptions, pass},
};
use unit_tests::{
    crash_injection::{CrashPoint, ENGINE_DELAY, InjectedRun, SimClock},
    event_log::{pack, request},
    sim_app::RELEASES,
    sim_faults::Fault,
    sim_host::SimHost,
    sim_inventory::object,
};

const RUN: &str = "20261121-101502-aebagbaf";
const TIERS: &[Tier] = &[Tier::Install, Tier::Upgrade, Tier::Backup, Tier::Restore];

/// The cleanup after a killed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cleaner {
    /// The guardian of the run, at once.
    Guardian,
    /// `taster janitor`.
    Janitor,
    /// The janitor before the next run, which does not wait for the engine, and the one before the run after that.
    NextRuns,
    /// Two janitors at the same time.
    TwoJanitors,
    /// The guardian and a janitor at the same time.
    GuardianAndJanitor,
}

/// A wrong cleanup.
#[derive(Debug, Clone, Copy)]
enum WrongCleanup {
    /// It ends after the first empty observation.
    SinglePass,
    /// It removes the objects with the label of the stack and no others.
    LabelsOnly,
    /// It does not ask whether the run lives.
    LivingRuns,
}

/// The objects of others on the host.
fn foreign_objects() -> Vec<(ObjectId, Object)> {
    vec![
        object(ObjectKind::Service, "shop_app", Some("shop")),
        object(ObjectKind::Volume, "shop_data", Some("shop")),
        object(ObjectKind::Secret, "hello-aebagbaf_taster_testx_token_v1", None),
        object(ObjectKind::Service, "hello-aebagbaf_taster_testx_app", Some("hello-aebagbaf_taster_testx")),
        object(ObjectKind::Config, "taster-20261121-101502-bbbbbbbb", None),
    ]
}

/// All objects that exist after the cleanup.
fn expected_objects() -> BTreeMap<ObjectId, Object> {
    foreign_objects().into_iter().chain([object(ObjectKind::Network, "proxy", None)]).collect()
}

/// A host with an app that has two releases and data, and with foreign objects.
fn host() -> SimHost {
    let mut host = SimHost::healthy();
    let labels = &["backupbot.backup=true", "head=1"];
    host.tree = super::upgrade_and_data::tree(RELEASES[1], labels);
    host.app.before = Some(super::upgrade_and_data::tree(RELEASES[0], &labels[..1]));
    foreign_objects().into_iter().for_each(|object| host.put(object));
    host.machine.env_files =
        BTreeMap::from([("/home/ann/.abra/servers/default/shop.example.org.env".into(), "as ann left it".into())]);
    host.resources.address = Some(ServiceAddress { service: "shop_app".into(), at: ([10, 0, 1, 7], 80).into(), from: 1 });
    host
}

/// A run on `host`, up to its crash point or its end, and the cleanup after it.
pub(crate) struct Scenario {
    pub(crate) host: SimHost,
    pub(crate) run: Arc<InjectedRun>,
    tiers: &'static [Tier],
    /// Whether the run writes `results.json` itself. The cleanup writes it for a killed run, and writing takes most of the time
    /// of a test.
    writes_results: bool,
    state: tempfile::TempDir,
    clock: SimClock,
}

impl Scenario {
    /// A run that crashes there; without a crash point it runs to its end.
    fn crashing(crash_point: Option<CrashPoint>) -> Self {
        let host = host();
        let run = InjectedRun::crashing(&host, crash_point);
        Self::new(host, run, TIERS, crash_point.is_none())
    }

    /// A run through all tiers that meets this fault.
    pub(crate) fn with_fault(fault: Option<Fault>) -> Self {
        let host = host().with_pack(pack(), &[]);
        let run = InjectedRun::with_fault(&host, fault);
        Self::new(host, run, &Tier::ALL, true)
    }

    fn new(host: SimHost, run: Arc<InjectedRun>, tiers: &'static [Tier], writes_results: bool) -> Self {
        // No file here has to survive a power loss, and syncing to a disk is slow.
        let memory = Path::new("/dev/shm");
        let state = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { host, run, tiers, writes_results, state: state.unwrap(), clock: SimClock::start() }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.state.path().join(RUN)
    }

    /// Returns when the run has ended or crashed; `at_crash` happens while the crashed run still holds its lock.
    pub(crate) async fn run_to_end(&self, at_crash: impl AsyncFnOnce()) {
        let folder = Folder::of(self.state.path(), &RUN.parse().unwrap());
        let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(self.clock)).unwrap();
        let redact = Arc::new(Redact::new());
        let results = || {
            let folder = Arc::new(folder.clone());
            Box::new(Document { file: ReportFile::Results, folder, redact: redact.clone() }) as Box<dyn Reporter>
        };
        let reporters = self.writes_results.then(results).into_iter().collect();
        let log = Log::new(journal, redact, reporters);
        let ports = self.run.ports(Arc::new(log.clone()));
        let host = Host::parse("zone = \"taster.test\"\nbackup = \"bot\"").unwrap();
        let run = Run { host, ..self.host.new_run(request(self.tiers), &ports, &log, &folder) };
        tokio::select! {
            biased;
            () = self.run.crashed() => at_crash().await,
            _ = engine::run(run) => {}
        }
        self.run.release();
    }

    fn connector(&self) -> HostConnector {
        let cleanup_ports = self.run.cleanup_ports();
        let (ports, clock) = (self.host.ports(), self.clock);
        let access = HostAccess {
            swarm: cleanup_ports.clone(),
            data: ports.data,
            files: ports.files,
            children: cleanup_ports.clone(),
            clock: Arc::new(clock),
        };
        HostConnector { children: cleanup_ports, connect: Arc::new(move |_| Ok(access.clone())) }
    }

    /// Whether the run crashed on its way.
    async fn crashes(&self) -> bool {
        let mut crashed = false;
        self.run_to_end(async || crashed = true).await;
        crashed
    }

    pub(crate) async fn janitor(&self, wait_for_engine: bool) {
        let (runs, pace, connector) = (self.state.path().to_owned(), Pace::default(), self.connector());
        let options = JanitorOptions { runs, engine: None, dry_run: false, only: None, pace, wait_for_engine, connector };
        pass(&options, |_| {}).await.unwrap();
    }

    async fn guardian(&self) {
        guardian::act(&self.folder(), None, &self.connector()).await;
    }

    async fn clean_up(&self, cleaner: Cleaner) {
        match cleaner {
            Cleaner::Guardian => self.guardian().await,
            Cleaner::Janitor => self.janitor(true).await,
            Cleaner::NextRuns => {
                self.janitor(false).await;
                tokio::time::sleep(ENGINE_DELAY * 2).await;
                self.janitor(false).await;
            }
            Cleaner::TwoJanitors => {
                tokio::join!(self.janitor(true), self.janitor(true));
            }
            Cleaner::GuardianAndJanitor => {
                tokio::join!(self.guardian(), self.janitor(true));
            }
        }
    }

    /// The objects and files of the run that still exist.
    pub(crate) fn leaked(&self) -> Vec<String> {
        let expected = expected_objects();
        let objects = self.host.objects().into_iter().filter(|(id, _)| !expected.contains_key(id)).map(|(_, object)| object.name);
        objects.chain(self.host.files().iter().map(|file| file.display().to_string())).collect()
    }

    /// The first difference from a host without the run, and from a settled journal.
    pub(crate) fn check_end_state(&self) -> Result<(), String> {
        if let Some(leaked) = self.leaked().first() {
            return Err(format!("left: {leaked}"));
        }
        if self.host.objects() != expected_objects() {
            return Err("a foreign object was changed".into());
        }
        if self.run.has_pending_effects() {
            return Err("the cleanup ended before the last object could appear".into());
        }
        if !self.host.data.ids().is_empty() {
            return Err("a snapshot is left".into());
        }
        let reading = journal::read(&self.folder()).map_err(|error| error.to_string())?;
        if !reading.unread.is_empty() || !reading.settled() {
            return Err(format!("the journal: {:?} {:?} {:?}", reading.unread, reading.claims, reading.children));
        }
        Ok(())
    }

    /// Green results of a finished run, or inconclusive results that say that the run was killed.
    fn check_results(&self) -> Result<(), String> {
        let text = std::fs::read_to_string(self.folder().join("results.json")).map_err(|error| error.to_string())?;
        let results: Results = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let finished = results.finished.is_some();
        let killed = results.verdict.reasons.iter().any(|reason| reason.sentence.starts_with("the run was killed"));
        match (results.verdict.outcome, finished) {
            (VerdictOutcome::Green, true) => Ok(()),
            (VerdictOutcome::Inconclusive, false) if killed && results.claimed.is_empty() => Ok(()),
            other => Err(format!("the results: {other:?}, {:?}", results.verdict.reasons)),
        }
    }
}

/// Runs `act` on a clock that jumps to the next timer when all tasks wait.
pub(crate) fn paused<T>(act: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(act)
}

/// All crash points of a run: after each of its calls, and within each call that makes objects.
fn crash_points() -> Vec<CrashPoint> {
    paused(async {
        let scenario = Scenario::crashing(None);

        scenario.run_to_end(async || {}).await;

        scenario.check_end_state().unwrap();
        scenario.check_results().unwrap();
        let (crash_points, calls) = (scenario.run.crash_points(), scenario.run.calls() as usize);
        assert!(calls > 60 && crash_points.len() > calls + 15, "a whole run makes more than {calls} calls: {crash_points:?}");
        crash_points
    })
}

/// Guardian and janitor are tried after every crash point. The cleaners that differ only in their timing take every sixth, each
/// of them another one.
fn assert_clean_after_every_crash(cleaner: Cleaner) {
    let (first, every) = match cleaner {
        Cleaner::Guardian | Cleaner::Janitor => (0, 1),
        Cleaner::NextRuns => (0, 6),
        Cleaner::TwoJanitors => (2, 6),
        Cleaner::GuardianAndJanitor => (4, 6),
    };
    for crash_point in crash_points().into_iter().skip(first).step_by(every) {
        paused(async {
            let scenario = Scenario::crashing(Some(crash_point));
            assert!(scenario.crashes().await, "{crash_point:?}");

            scenario.clean_up(cleaner).await;

            let end_state = scenario.check_end_state();
            let results = if cleaner == Cleaner::Guardian { scenario.check_results() } else { Ok(()) };
            assert_eq!(end_state.and(results), Ok(()), "{crash_point:?}, then {cleaner:?}");
        });
    }
}

#[test]
fn guardian_cleans_up_after_every_crash_and_reports_the_kill() {
    assert_clean_after_every_crash(Cleaner::Guardian);
}

#[test]
fn janitor_cleans_up_after_every_crash() {
    assert_clean_after_every_crash(Cleaner::Janitor);
}

#[test]
fn next_runs_clean_up_after_crashes() {
    assert_clean_after_every_crash(Cleaner::NextRuns);
}

#[test]
fn two_janitors_at_once_clean_up_after_crashes() {
    assert_clean_after_every_crash(Cleaner::TwoJanitors);
}

#[test]
fn guardian_and_janitor_at_once_clean_up_after_crashes() {
    assert_clean_after_every_crash(Cleaner::GuardianAndJanitor);
}

/// Whether `cleanup` leaves all objects of a run alone that has stopped at its crash point and still lives.
async fn check_living_run_is_untouched(scenario: &Scenario, cleanup: impl AsyncFnOnce(&Scenario)) -> Result<(), String> {
    let mut untouched = Ok(());
    scenario
        .run_to_end(async || {
            let before = scenario.host.objects();
            cleanup(scenario).await;
            // The child of the run adds objects meanwhile.
            let now = scenario.host.objects();
            if !before.iter().all(|(id, object)| now.get(id) == Some(object)) {
                untouched = Err("an object of a living run was removed".to_owned());
            }
        })
        .await;
    untouched
}

#[test]
fn janitor_leaves_living_run_alone_at_every_call() {
    for crash_point in crash_points().into_iter().step_by(2) {
        let untouched = paused(async {
            let scenario = Scenario::crashing(Some(crash_point));
            check_living_run_is_untouched(&scenario, async |scenario| scenario.janitor(false).await).await
        });

        assert_eq!(untouched, Ok(()), "{crash_point:?}");
    }
}

async fn clean_up_wrongly(scenario: &Scenario, wrong: WrongCleanup) {
    let reading = journal::read(&scenario.folder()).unwrap();
    let access = (scenario.connector().connect)(Path::new("/nowhere.sock")).unwrap();
    let labelled = |claims: &[Claim], inventory: &Inventory| {
        let mut labelled = inventory.clone();
        labelled.objects.retain(|_, object| object.stack.is_some());
        cleanup_plan(claims, &labelled)
    };
    let (decide, settle): (fn(&[Claim], &Inventory) -> CleanupPlan, _) = match wrong {
        WrongCleanup::SinglePass => (cleanup_plan, Duration::ZERO),
        WrongCleanup::LivingRuns => (cleanup_plan, ENGINE_DELAY * 2),
        WrongCleanup::LabelsOnly => (labelled, ENGINE_DELAY * 2),
    };
    let pace = Pace { settle, ..Pace::default() };
    let cleanup = cleanup_until_empty_by(decide, access.outside(), &reading.claims, &reading.children, pace).await.unwrap();
    assert!(cleanup.clean(), "the wrong cleanup believes that it succeeded");
    // Time for all objects that are still to appear.
    tokio::time::sleep(ENGINE_DELAY * 2).await;
    access.swarm.inventory().await.unwrap();
}

/// Whether the checks notice the wrong cleanup after at least one crash point.
fn is_noticed(wrong: WrongCleanup) -> bool {
    crash_points().into_iter().any(|crash_point| {
        paused(async {
            let scenario = Scenario::crashing(Some(crash_point));
            match wrong {
                WrongCleanup::LivingRuns => {
                    let cleanup = async |scenario: &Scenario| clean_up_wrongly(scenario, wrong).await;
                    check_living_run_is_untouched(&scenario, cleanup).await.is_err()
                }
                WrongCleanup::SinglePass | WrongCleanup::LabelsOnly => {
                    let crashed = scenario.crashes().await;
                    clean_up_wrongly(&scenario, wrong).await;
                    crashed && scenario.check_end_state().is_err_and(|why| why.starts_with("left: "))
                }
            }
        })
    })
}

#[test]
fn wrong_cleanups_are_noticed() {
    for wrong in [WrongCleanup::SinglePass, WrongCleanup::LabelsOnly, WrongCleanup::LivingRuns] {
        assert!(is_noticed(wrong), "{wrong:?}");
    }
}
