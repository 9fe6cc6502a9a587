//! The janitor on a real Swarm. `leftovers.sh` lists what is left, so that the code that removes does not check itself.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use harness::{
    adapters::{clock::SystemClock, start_ticks, swarm::DockerSwarm},
    journal::{Journal, read},
    model::names::RunId,
    ports::Swarm,
    pure::{host::claim::Claimed, run::event::Kind},
};
use libtest_mimic::Trial;
use tempfile::TempDir;
use unit_tests::{
    command_output::{CommandOutput, started},
    engine::{Engine, until},
    stacks::{fresh_run, stack_of},
};

use crate::{
    abra::block_on,
    trials::{e2e_tests, on_engine},
};

/// The tests of this file.
pub(crate) fn tests(engine: &Engine) -> Vec<Trial> {
    on_engine(
        engine,
        &e2e_tests![
            dead_run_is_removed_and_nothing_else_is_touched,
            cleanup_of_a_killed_janitor_is_continued,
            janitors_at_once_clean_up_each_run_once,
            volume_held_by_a_foreign_container_is_named_and_left,
            living_run_is_left_alone,
            living_child_of_a_dead_run_is_ended_first,
            twelve_slow_services_are_not_waited_for,
        ],
    )
}

/// A run with a journal, a stack that it claims, an `.env` and a folder.
struct Run {
    id: RunId,
    stack: String,
    state: TempDir,
}

impl Run {
    fn folder(&self) -> PathBuf {
        self.state.path().join("taster/runs").join(self.id.as_str())
    }

    fn env_file(&self) -> PathBuf {
        self.folder().join("servers").join(format!("{}.env", self.stack))
    }

    /// A run that has claimed its stack and made its files. It is alive as long as the journal lives.
    fn started(engine: &Engine) -> (Self, Journal) {
        let id = fresh_run();
        let run = Self { stack: stack_of(&id).to_string(), state: tempfile::tempdir().unwrap(), id };
        fs::create_dir_all(run.folder().join("abra/recipes")).unwrap();
        fs::create_dir_all(run.env_file().parent().unwrap()).unwrap();
        let journal = Journal::create(&run.folder(), run.id.clone(), Arc::new(SystemClock::start())).unwrap();
        let swarm = engine.ask(&["info", "--format", "{{.Swarm.Cluster.ID}}"]).parse().unwrap();
        journal.append(unit_tests::stacks::started(&run.id, engine.socket())).unwrap();
        let marker = Claimed::Marker { name: format!("taster-{}", run.id) };
        for what in [
            Claimed::Stack { name: run.stack.parse().unwrap() },
            Claimed::EnvFile { path: run.env_file() },
            Claimed::Dir { path: run.folder().join("abra") },
        ] {
            journal.claim(what, &swarm).unwrap();
        }
        let (claim, _) = journal.claim(marker, &swarm).unwrap();
        let labels = BTreeMap::from([("taster.run".to_owned(), run.id.to_string())]);
        block_on(async { DockerSwarm::at(engine.socket()).unwrap().mark(&claim, &labels).await }).unwrap();
        let labelled =
            engine.ask(&["config", "ls", "--filter", &format!("label=taster.run={}", run.id), "--format", "{{.Name}}"]);
        assert_eq!(labelled, format!("taster-{}", run.id));
        fs::write(run.env_file(), "TYPE=hello\n").unwrap();
        fs::write(run.folder().join("abra/recipes/compose.yml"), "services: {}\n").unwrap();
        (run, journal)
    }

    /// A run that was killed when its app was up.
    fn dead(engine: &Engine) -> Self {
        let (run, journal) = Self::started(engine);
        engine.deploy("cleanup-mixed.yml", &run.stack);
        engine.running(&run.stack, 2);
        drop(journal);
        run
    }

    fn janitor(&self, engine: &Engine) -> Command {
        engine.taster(&["janitor", "--runs", &self.state.path().join("taster/runs").display().to_string()])
    }

    fn clean_up(&self, engine: &Engine) -> String {
        output_of(started(&mut self.janitor(engine)), 0)
    }

    fn assert_nothing_left(&self, engine: &Engine, others: &[&str]) {
        assert_eq!(engine.left_of(&self.stack, others), "");
        assert!(!engine.ok(&["config", "inspect", &format!("taster-{}", self.id)]), "the marker is gone");
        assert!(!self.env_file().exists());
        assert!(!self.folder().join("abra").exists());
        assert!(self.folder().join("events.jsonl").exists(), "what the run saw stays");
        assert!(read(&self.folder()).unwrap().settled(), "all claims are released");
    }
}

/// The output of a janitor, which ends with this exit code.
fn output_of(janitor: Child, exit: i32) -> String {
    let output = CommandOutput::after(janitor);
    output.exit(exit);
    output.out + &output.err
}

/// The anonymous volumes of a stack's containers.
fn anonymous(engine: &Engine, stack: &str) -> Vec<String> {
    let filter = format!("label=com.docker.stack.namespace={stack}");
    let mounts = engine.ask(&["container", "ls", "--all", "--no-trunc", "--filter", &filter, "--format", "{{.Mounts}}"]);
    mounts.split([',', '\n']).filter(|name| name.len() == 64).map(str::to_owned).collect()
}

fn dead_run_is_removed_and_nothing_else_is_touched(engine: &Engine) {
    let run = Run::dead(engine);
    let stack = run.stack.as_str();
    let (longer, beside, plain) = (format!("{stack}_extra"), format!("{stack}x"), format!("{stack}-more"));
    engine.deploy("cleanup-foreign.yml", &longer);
    engine.deploy("cleanup-foreign.yml", &beside);
    engine.running(&longer, 1);
    engine.running(&beside, 1);
    engine.secret(&format!("{plain}_pw_v1"));
    engine.config(&format!("x{stack}_settings"));
    engine.ask(&["volume", "create", &format!("{plain}_data")]);
    let portrait = || {
        let container = |stack: &str| {
            let filter = format!("label=com.docker.stack.namespace={stack}");
            engine.ask(&["container", "ls", "--all", "--quiet", "--filter", &filter])
        };
        let mut all = vec![container(&longer), container(&beside)];
        for stack in [&longer, &beside] {
            let (service, data, settings) = (format!("{stack}_app"), format!("{stack}_data"), format!("{stack}_settings_v1"));
            let (password, net) = (format!("{stack}_password_v1"), format!("{stack}_default"));
            all.push(engine.portrait(&[("service", &service), ("volume", &data), ("config", &settings), ("secret", &password)]));
            all.push(engine.portrait(&[("network", &net)]));
        }
        let (secret, config, volume) = (format!("{plain}_pw_v1"), format!("x{stack}_settings"), format!("{plain}_data"));
        all.push(engine.portrait(&[("secret", &secret), ("config", &config), ("volume", &volume)]));
        all.join("\n")
    };
    let (before, unnamed) = (portrait(), anonymous(engine, stack));
    assert_eq!(unnamed.len(), 2, "each container of `app` has one");

    let dry_run = output_of(started(run.janitor(engine).arg("--dry-run")), 0);
    let first = run.clean_up(engine);

    assert!(dry_run.contains(&format!("service {stack}_app")) && !dry_run.contains("extra"), "{dry_run}");
    assert!(first.contains("nothing left"), "{first}");
    run.assert_nothing_left(engine, &[&format!("{longer}_")]);
    let volumes = engine.ask(&["volume", "ls", "--quiet"]);
    assert!(unnamed.iter().all(|name| !volumes.contains(name)), "anonymous volumes went with their containers");
    assert_eq!(portrait(), before, "others are as they were");
    let journal = fs::read(run.folder().join("events.jsonl")).unwrap();

    let second = run.clean_up(engine);

    assert!(second.contains("runs checked: 1; with nothing left to clean up: 1"), "{second}");
    assert_eq!(fs::read(run.folder().join("events.jsonl")).unwrap(), journal, "a settled run is not written to");
    engine.remove_stack(&longer);
    engine.remove_stack(&beside);
    assert!(engine.ok(&["secret", "rm", &format!("{plain}_pw_v1")]));
    assert!(engine.ok(&["config", "rm", &format!("x{stack}_settings")]));
    assert!(engine.ok(&["volume", "rm", &format!("{plain}_data")]));
}

/// A janitor is killed three times: when it has taken the services, when the first container is gone, when the first network is.
fn cleanup_of_a_killed_janitor_is_continued(engine: &Engine) {
    let run = Run::dead(engine);
    let stack = run.stack.as_str();
    let label = format!("label=com.docker.stack.namespace={stack}");
    let count = |kind: &str| {
        let mut args = vec![kind, "ls", "--quiet", "--filter", &label];
        if kind == "container" {
            args.push("--all");
        }
        engine.ask(&args).lines().count()
    };
    for kind in ["service", "container", "network"] {
        let before = count(kind);
        let mut janitor = run.janitor(engine).stdout(Stdio::null()).spawn().unwrap();
        until(&format!("a {kind} is gone"), || count(kind) < before || janitor.try_wait().unwrap().is_some());
        // `kill` of the standard library is SIGKILL.
        let _ = janitor.kill();
        janitor.wait().unwrap();
        assert!(kind != "service" || !read(&run.folder()).unwrap().settled(), "the first one was killed in the middle");
        if read(&run.folder()).unwrap().settled() {
            break;
        }
    }
    run.clean_up(engine);
    run.assert_nothing_left(engine, &[]);
}

fn janitors_at_once_clean_up_each_run_once(engine: &Engine) {
    let run = Run::dead(engine);

    let janitors: Vec<Child> = (0..3).map(|_| started(&mut run.janitor(engine))).collect();
    let texts: Vec<String> = janitors.into_iter().map(|janitor| output_of(janitor, 0)).collect();

    let removals = texts.iter().filter(|text| text.contains("removed in")).count();
    assert_eq!(removals, 1, "{texts:?}");
    run.assert_nothing_left(engine, &[]);
}

fn volume_held_by_a_foreign_container_is_named_and_left(engine: &Engine) {
    let run = Run::dead(engine);
    let (stack, holder) = (run.stack.as_str(), format!("holder-{}", run.id.token()));
    let volume = format!("{stack}_data:/data");
    engine.ask(&["run", "--detach", "--name", &holder, "--volume", &volume, engine.image(), "sleep", "600"]);

    let text = output_of(started(&mut run.janitor(engine)), 4);

    assert!(text.contains(&format!("volume {stack}_data: used by container {holder}")), "{text}");
    assert_eq!(engine.left_of(stack, &[]), format!("volume {stack}_data\nlabelled volume {stack}_data\n"));
    assert!(engine.ok(&["container", "inspect", &holder]), "it is not ours to remove");
    assert!(engine.ok(&["config", "inspect", &format!("taster-{}", run.id)]), "the marker stays as long as there is a rest");
    assert!(engine.ok(&["container", "rm", "--force", &holder]));

    run.clean_up(engine);
    run.assert_nothing_left(engine, &[]);
}

fn living_run_is_left_alone(engine: &Engine) {
    let (run, journal) = Run::started(engine);

    let text = run.clean_up(engine);

    assert!(text.contains("alive"), "{text}");
    assert!(run.env_file().exists() && engine.ok(&["config", "inspect", &format!("taster-{}", run.id)]));
    drop(journal);

    run.clean_up(engine);

    run.assert_nothing_left(engine, &[]);
}

/// A run is killed. Its child, in a separate session as under a terminal, continues to make secrets.
fn living_child_of_a_dead_run_is_ended_first(engine: &Engine) {
    let (run, journal) = Run::started(engine);
    let script = format!(
        "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo x | docker secret create {}_made$i - || sleep 0.1; done",
        run.stack
    );
    let mut shell = Command::new("setsid");
    // The child must not inherit this program's output, or a reader of that output waits for the child.
    shell.args(["sh", "-c", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A child is the run's only with the run's folder in its environment.
    shell.env("ABRA_DIR", run.folder().join("abra"));
    let mut child = shell.spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    journal.append(Kind::ChildStarted { pid, start_ticks: start_ticks(pid).unwrap(), doing: "abra app deploy".into() }).unwrap();
    drop(journal);
    until("the child has made something", || engine.left_of(&run.stack, &[]).contains("_made3"));
    assert!(child.try_wait().unwrap().is_none(), "it lives when the janitor comes");

    run.clean_up(engine);

    assert!(child.try_wait().unwrap().is_some(), "the janitor has ended it");
    run.assert_nothing_left(engine, &[]);
}

fn twelve_slow_services_are_not_waited_for(engine: &Engine) {
    let (run, journal) = Run::started(engine);
    engine.deploy("cleanup-twelve.yml", &run.stack);
    engine.running(&run.stack, 12);
    drop(journal);

    let started = Instant::now();
    run.clean_up(engine);
    let took = started.elapsed();

    run.assert_nothing_left(engine, &[]);
    // Each service alone takes eight seconds to stop when it is asked to, and Swarm asks them nearly one after another.
    assert!(took < Duration::from_secs(30), "{took:?}");
}
