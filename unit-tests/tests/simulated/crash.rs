//! A run is killed after each of its calls, and in the middle of each that makes things. Whoever comes after it, the end is the same:
//! nothing of the run, everything of others as it was, a journal that can be read, and a result that proves nothing. The controls at the
//! end show that wrong sweepers are noticed.

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
        log::{Log, Reporter},
        steps::shared::cleanup::{Pace, cleanup_until_empty_by},
    },
    journal::{self, Journal},
    model::{
        engine::ServiceAddress,
        host::Host,
        object::{ObjectId, ObjectKind},
        outcome::Tier,
    },
    pure::{
        host::{
            claim::Claim,
            cleanup_plan::{CleanupPlan, sweep},
            inventory::{Inventory, Object},
        },
        run::verdict::VerdictOutcome,
    },
    redact::Redact,
    report::results::{ResultsFile, Results},
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
    sim_host::{Manners, SimHost},
    sim_inventory::object,
};

const RUN: &str = "20261121-101502-aebagbaf";
const TIERS: &[Tier] = &[Tier::Install, Tier::Upgrade, Tier::Backup, Tier::Restore];

/// Who comes after the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Its guardian, at once.
    Guardian,
    /// A janitor that somebody asked for.
    Janitor,
    /// The janitor before the next run, which waits for nothing, and the one before the run after that.
    NextRuns,
    /// Two janitors, beside each other.
    Janitors,
    /// The guardian, and a janitor beside it.
    Both,
}

/// A wrong way to come after a run.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    /// It sweeps once and leaves.
    Once,
    /// It removes what bears the label of the stack, and nothing else.
    Labels,
    /// It asks how old a run is, and not whether it lives.
    Age,
}

/// What others have on the host.
fn others() -> Vec<(ObjectId, Object)> {
    vec![
        object(ObjectKind::Service, "shop_app", Some("shop")),
        object(ObjectKind::Volume, "shop_data", Some("shop")),
        object(ObjectKind::Secret, "hello-aebagbaf_taster_testx_token_v1", None),
        object(ObjectKind::Service, "hello-aebagbaf_taster_testx_app", Some("hello-aebagbaf_taster_testx")),
        object(ObjectKind::Config, "taster-20261121-101502-bbbbbbbb", None),
    ]
}

/// All that there is to be in the end.
fn wanted() -> BTreeMap<ObjectId, Object> {
    others().into_iter().chain([object(ObjectKind::Network, "proxy", None)]).collect()
}

/// A host with an app that has two releases and data, beside what others have.
fn host() -> SimHost {
    let mut host = SimHost::healthy(Manners::default());
    let labels = &["backupbot.backup=true", "head=1"];
    host.tree = super::life::tree(RELEASES[1], labels);
    host.app.before = Some(super::life::tree(RELEASES[0], &labels[..1]));
    others().into_iter().for_each(|thing| host.put(thing));
    host.machine.env_files =
        BTreeMap::from([("/home/ann/.abra/servers/default/shop.example.org.env".into(), "as ann left it".into())]);
    host.room.address = Some(ServiceAddress { service: "shop_app".into(), at: ([10, 0, 1, 7], 80).into(), from: 1 });
    host
}

/// A run on `host`, up to its crash point or its end, and what comes after it.
pub(crate) struct Story {
    pub(crate) host: SimHost,
    pub(crate) run: Arc<InjectedRun>,
    tiers: &'static [Tier],
    /// Whether the run writes its results itself. What is killed has them from whoever comes after it, and they cost most of the time.
    writes: bool,
    state: tempfile::TempDir,
    clock: SimClock,
}

impl Story {
    fn new(crash_point: Option<CrashPoint>) -> Self {
        let host = host();
        let run = InjectedRun::crashing(&host, crash_point);
        Self::of(host, run, TIERS, crash_point.is_none())
    }

    /// A run through all tiers that meets this fault.
    pub(crate) fn meeting(fault: Option<Fault>) -> Self {
        let host = host().with_pack(pack(), Vec::new());
        let run = InjectedRun::with_fault(&host, fault);
        Self::of(host, run, &Tier::ALL, true)
    }

    fn of(host: SimHost, run: Arc<InjectedRun>, tiers: &'static [Tier], writes: bool) -> Self {
        // Nothing here has to outlive the machine, and a disk that is asked to keep it takes its time.
        let memory = Path::new("/dev/shm");
        let state = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { host, run, tiers, writes, state: state.unwrap(), clock: SimClock::start() }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.state.path().join(RUN)
    }

    /// Lives until the run ends or dies; `meanwhile` is done at the moment of its crash, before the system notices.
    pub(crate) async fn live(&self, meanwhile: impl AsyncFnOnce()) {
        let folder = Folder::of(self.state.path(), &RUN.parse().unwrap());
        let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(self.clock)).unwrap();
        let redact = Arc::new(Redact::new());
        let results = || Box::new(ResultsFile::in_folder(folder.clone(), redact.clone())) as Box<dyn Reporter>;
        let reporters = self.writes.then(results).into_iter().collect();
        let log = Log::new(journal, redact, reporters);
        let ports = self.run.ports(Arc::new(log.clone()));
        let host = Host::parse("zone = \"taster.test\"\nbackup = \"bot\"").unwrap();
        let run = Run { host, ..self.host.undisturbed(request(self.tiers), &ports, &log, &folder) };
        tokio::select! {
            biased;
            () = self.run.crashed() => meanwhile().await,
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

    pub(crate) async fn janitor(&self, stays: bool) {
        let (runs, pace) = (self.state.path().to_owned(), Pace::default());
        let (wait_for_engine, connector) = (stays, self.connector());
        let options = JanitorOptions { runs, engine: None, dry_run: false, only: None, pace, wait_for_engine, connector };
        pass(&options, |_| {}).await.unwrap();
    }

    async fn guardian(&self) {
        guardian::act(&self.folder(), None, &self.connector()).await;
    }

    async fn come(&self, after: After) {
        match after {
            After::Guardian => self.guardian().await,
            After::Janitor => self.janitor(true).await,
            After::NextRuns => {
                self.janitor(false).await;
                tokio::time::sleep(ENGINE_DELAY * 2).await;
                self.janitor(false).await;
            }
            After::Janitors => {
                tokio::join!(self.janitor(true), self.janitor(true));
            }
            After::Both => {
                tokio::join!(self.guardian(), self.janitor(true));
            }
        }
    }

    /// What is there beyond what others have.
    pub(crate) fn left(&self) -> Vec<String> {
        let (there, wanted) = (self.host.objects(), wanted());
        let objects = there.into_iter().filter(|(id, _)| !wanted.contains_key(id)).map(|(_, left)| left.name);
        objects.chain(self.host.files().iter().map(|file| file.display().to_string())).collect()
    }

    /// What has to be true in the end, and what is not.
    pub(crate) fn judge(&self) -> Result<(), String> {
        let wanted = wanted();
        let there = self.host.objects();
        if let Some(left) = self.left().first() {
            return Err(format!("left: {left}"));
        }
        if there != wanted {
            return Err("something of others was touched".into());
        }
        if self.run.has_pending_effects() {
            return Err("it left before all had come that could".into());
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

    /// That a killed run says so.
    fn judge_results(&self) -> Result<(), String> {
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

pub(crate) fn paused<T>(act: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(act)
}

/// All crash points of a run: after each of its calls, and within each that makes something.
fn crash_points() -> Vec<CrashPoint> {
    paused(async {
        let story = Story::new(None);
        story.live(async || {}).await;
        story.judge().unwrap();
        story.judge_results().unwrap();
        let (crash_points, calls) = (story.run.crash_points(), story.run.calls() as usize);
        assert!(calls > 60 && crash_points.len() > calls + 15, "a whole run makes more than {calls} calls: {crash_points:?}");
        crash_points
    })
}

/// Whether the run died.
async fn dies(story: &Story) -> bool {
    let mut died = false;
    story.live(async || died = true).await;
    died
}

fn every_death(after: After) {
    // Guardian and janitor are tried after every crash_point, and those that only differ in how they meet after every sixth, each of another.
    let (first, every) = match after {
        After::Guardian | After::Janitor => (0, 1),
        After::NextRuns => (0, 6),
        After::Janitors => (2, 6),
        After::Both => (4, 6),
    };
    for crash_point in crash_points().into_iter().skip(first).step_by(every) {
        paused(async {
            let story = Story::new(Some(crash_point));
            assert!(dies(&story).await, "{crash_point:?}");
            story.come(after).await;
            let good = story.judge().and_then(|()| if after == After::Guardian { story.judge_results() } else { Ok(()) });
            assert_eq!(good, Ok(()), "{crash_point:?}, then {after:?}");
        });
    }
}

#[test]
fn a_guardian_takes_every_killed_run_to_zero_and_says_that_it_was_killed() {
    every_death(After::Guardian);
}

#[test]
fn a_janitor_takes_every_killed_run_to_zero() {
    every_death(After::Janitor);
}

#[test]
fn the_next_runs_take_every_killed_run_to_zero() {
    every_death(After::NextRuns);
}

#[test]
fn two_janitors_beside_each_other_come_to_the_same_end() {
    every_death(After::Janitors);
}

#[test]
fn a_guardian_and_a_janitor_beside_each_other_come_to_the_same_end() {
    every_death(After::Both);
}

/// The run has stopped at a call, and lives: a janitor comes by.
async fn left_alone(story: &Story, janitor: impl AsyncFnOnce(&Story)) -> Result<(), String> {
    let mut seen = Ok(());
    story
        .live(async || {
            let before = story.host.objects();
            janitor(story).await;
            // The run's own child goes on meanwhile.
            let now = story.host.objects();
            if !before.iter().all(|(id, object)| now.get(id) == Some(object)) {
                seen = Err("something of a living run was removed".to_owned());
            }
        })
        .await;
    seen
}

#[test]
fn a_living_run_is_left_alone_wherever_it_is() {
    for crash_point in crash_points().into_iter().step_by(2) {
        let seen = paused(async {
            let story = Story::new(Some(crash_point));
            left_alone(&story, async |story| story.janitor(false).await).await
        });
        assert_eq!(seen, Ok(()), "{crash_point:?}");
    }
}

/// Comes after a run in a way that is wrong.
async fn come_wrongly(story: &Story, wrong: Wrong) {
    let reading = journal::read(&story.folder()).unwrap();
    let reach = (story.reaching().engine)(Path::new("/nowhere.sock")).unwrap();
    let labelled = |claims: &[Claim], world: &Inventory| {
        let mut seen = world.clone();
        seen.objects.retain(|_, object| object.stack.is_some());
        sweep(claims, &seen)
    };
    let (decide, settle): (fn(&[Claim], &Inventory) -> CleanupPlan, _) = match wrong {
        Wrong::Once => (sweep, Duration::ZERO),
        Wrong::Age => (sweep, ENGINE_DELAY * 2),
        Wrong::Labels => (labelled, ENGINE_DELAY * 2),
    };
    let pace = Pace { settle, ..Pace::default() };
    let swept = cleanup_until_empty_by(decide, reach.outside(), &reading.claims, &reading.children, pace).await.unwrap();
    assert!(swept.clean(), "it believes that all is well");
    // What it left behind has all the time to come.
    tokio::time::sleep(ENGINE_DELAY * 2).await;
    reach.swarm.inventory().await.unwrap();
}

/// Whether the model notices the wrong way in at least one of all stories.
fn noticed(wrong: Wrong) -> bool {
    crash_points().into_iter().any(|crash_point| {
        paused(async {
            let story = Story::new(Some(crash_point));
            match wrong {
                Wrong::Age => left_alone(&story, async |story| come_wrongly(story, wrong).await).await.is_err(),
                Wrong::Once | Wrong::Labels => {
                    let died = dies(&story).await;
                    come_wrongly(&story, wrong).await;
                    died && story.judge().is_err_and(|why| why.starts_with("left: "))
                }
            }
        })
    })
}

#[test]
fn wrong_sweepers_are_noticed() {
    for wrong in [Wrong::Once, Wrong::Labels, Wrong::Age] {
        assert!(noticed(wrong), "{wrong:?}");
    }
}
