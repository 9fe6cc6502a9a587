//! An app through the adapter and the stand-in on a real Swarm: new, secrets, deploy, undeploy.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use harness::{
    adapters::{
        abra::{AbraSetup, PtyAbra},
        clock::SystemClock,
    },
    journal::Journal,
    model::names::{Domain, RunId},
    ports::{Abra, AbraError, Call, ChildRegister, RegisterError, abra_output},
    pure::host::claim::{Claim, Claimed},
    redact::Redact,
};
use libtest_mimic::Trial;
use tempfile::TempDir;
use unit_tests::{
    engine::{AS_TASTER, Engine, until},
    recipe,
    stacks::{fresh_run, stack_of, started},
};

use crate::trials::{self, e2e_tests, on_engine};

/// The tests on an engine.
pub(crate) fn tests(engine: &Engine) -> Vec<Trial> {
    on_engine(engine, &e2e_tests![app_lives_from_new_to_undeploy, ports_and_rolls_work_without_ipvs])
}

/// The tests that need no engine.
pub(crate) fn local() -> Vec<Trial> {
    trials::local(&e2e_tests![child_dies_with_its_parent, child_waits_for_the_word_of_its_own_parent])
}

fn child_dies_with_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("go"), "go\nmore\n").unwrap();
    let line = format!(
        "\"$0\" {AS_TASTER} __child --parent $$ -- sh -c 'read rest; echo $rest > rest; exec sleep 1000' < go & echo $! > pid; wait"
    );
    let mut parent =
        Command::new("sh").arg("-c").arg(line).arg(std::env::current_exe().unwrap()).current_dir(&dir).spawn().unwrap();
    until("the child acts", || fs::read_to_string(dir.path().join("rest")).is_ok_and(|text| text == "more\n"));
    let mut pid = String::new();
    until("the shell has written the child's id", || {
        pid = fs::read_to_string(dir.path().join("pid")).unwrap_or_default();
        pid.ends_with('\n')
    });
    let proc = Path::new("/proc").join(pid.trim());
    until("the child became the program", || fs::read_to_string(proc.join("comm")).is_ok_and(|name| name == "sleep\n"));

    parent.kill().unwrap();
    parent.wait().unwrap();

    let gone = || fs::read_to_string(proc.join("stat")).map_or(true, |stat| stat.contains(") Z "));
    until("the child died with its parent", gone);
}

fn child_waits_for_the_word_of_its_own_parent() {
    let dir = tempfile::tempdir().unwrap();
    let own = std::process::id().to_string();
    for (parent, says) in [(own.as_str(), "taster: its parent did not let it start\n"), ("1", "taster: its parent is gone\n")] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([AS_TASTER, "__child", "--parent", parent, "--", "touch", "acted"]).current_dir(&dir);
        let output = child.stdin(std::process::Stdio::null()).output().unwrap();
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(127), says));
        assert!(!dir.path().join("acted").exists());
    }
}

/// A folder with a sandbox's recipes and `abra`, and with one run.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) run: RunId,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap(), run: fresh_run() };
        recipe::make(&place.home().join("recipes/small"));
        place
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("sandbox")
    }

    pub(crate) fn abra_dir(&self) -> PathBuf {
        self.dir.path().join("run/abra")
    }

    pub(crate) fn domain(&self) -> Domain {
        Domain::of(&"hello".parse().unwrap(), &self.run, &"taster.test".parse().unwrap()).unwrap()
    }

    pub(crate) fn stack(&self) -> String {
        stack_of(&self.run).to_string()
    }

    pub(crate) fn env_file(&self) -> PathBuf {
        self.abra_dir().join("servers/default").join(format!("{}.env", self.domain()))
    }

    /// The `abra` to try: the one that `TASTER_ABRA` names, else the stand-in, by a script as the sandbox has it.
    pub(crate) fn abra(&self) -> PathBuf {
        if let Some(real) = std::env::var_os("TASTER_ABRA") {
            return real.into();
        }
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.path().join("bin/abra");
        let own = std::env::current_exe().unwrap();
        let (own, home) = (own.display(), self.home());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\nexec '{own}' {AS_TASTER} sandbox abra --home '{}' -- \"$@\"\n", home.display()))
            .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub(crate) fn setup(&self) -> AbraSetup {
        let own = std::env::current_exe().unwrap();
        AbraSetup {
            abra: self.abra(),
            shim: vec![own.into(), AS_TASTER.into(), "__child".into()],
            abra_dir: self.abra_dir(),
            server: "default".into(),
            cwd: self.dir.path().join("run/empty"),
            transcripts: self.dir.path().join("run/transcripts"),
            home: self.dir.path().to_owned(),
            path: std::env::var_os("PATH").unwrap(),
            quiet: Duration::from_secs(1),
        }
    }

    fn claims(&self, engine: &Engine) -> Claims {
        let journal = Journal::create(&self.dir.path().join("run"), self.run.clone(), Arc::new(SystemClock::start())).unwrap();
        journal.append(started(&self.run, engine.socket())).unwrap();
        let swarm = engine.ask(&["info", "--format", "{{.Swarm.Cluster.ID}}"]).parse().unwrap();
        let (stack, _) = journal.claim(Claimed::Stack { name: stack_of(&self.run) }, &swarm).unwrap();
        let (dir, _) = journal.claim(Claimed::Dir { path: self.abra_dir() }, &swarm).unwrap();
        Claims { stack, dir, _journal: journal }
    }
}

struct Claims {
    stack: Claim,
    dir: Claim,
    _journal: Journal,
}

/// Records the children that started and ended.
#[derive(Default)]
pub(crate) struct Register(Mutex<Vec<String>>);

#[async_trait]
impl ChildRegister for Register {
    async fn started(&self, pid: i32, start_ticks: u64, doing: &str) -> Result<(), RegisterError> {
        // The child is the shim and waits for this to return; the first reading may come before its start.
        assert!(start_ticks > 0);
        until("the shim runs", || fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("__child")));
        self.0.lock().unwrap().push(format!("started {doing}"));
        Ok(())
    }

    async fn ended(&self, pid: i32) {
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        self.0.lock().unwrap().push("ended".to_owned());
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Removes the objects of a test, also after a failure.
pub(crate) struct Cleanup<'a>(pub(crate) &'a Engine, pub(crate) String);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        let Cleanup(engine, stack) = self;
        // A task that is ended while its container is being made still makes it, and its volume, after the cleanup below.
        let services = engine.ask(&["stack", "services", stack, "--quiet"]);
        let states = ["New", "Pending", "Assigned", "Accepted", "Preparing"];
        until("every task has its container", || {
            services.lines().all(|service| {
                let tasks = engine.ask(&["service", "ps", service, "--format", "{{.CurrentState}}"]);
                !tasks.lines().any(|task| states.iter().any(|state| task.starts_with(state)))
            })
        });
        engine.remove_stack(stack);
    }
}

fn app_lives_from_new_to_undeploy(engine: &Engine) {
    let place = Place::new();
    let claims = place.claims(engine);
    let stack = place.stack();
    let _cleanup = Cleanup(engine, stack.clone());
    let (domain, minute) = (place.domain(), Duration::from_secs(60));
    let (register, redact) = (Arc::new(Register::default()), Arc::new(Redact::new()));
    let abra = PtyAbra::new(place.setup(), register.clone(), redact.clone());
    block_on(async {
        let exchange = abra.call(&Call::Version, None, minute).await.unwrap();
        assert!(
            abra_output::version(&exchange).unwrap().is_sandbox() || std::env::var_os("TASTER_ABRA").is_some(),
            "{}",
            exchange.text
        );

        let small = "small".parse().unwrap();
        let fetch = Call::Fetch { recipe: small };
        assert!(matches!(abra.call(&fetch, None, minute).await, Err(AbraError::NotRun { .. })), "nothing claims it");
        abra.call(&fetch, Some(&claims.dir), minute).await.unwrap();

        let new = Call::New { recipe: "small".parse().unwrap(), domain: domain.clone(), server: "default".into() };
        abra.call(&new, Some(&claims.stack), minute).await.unwrap();
        let deploy = Call::Deploy { domain: domain.clone(), version: None };
        let early = abra.call(&deploy, Some(&claims.stack), minute).await.unwrap_err();
        assert!(
            matches!(&early, AbraError::Fatal { exit: 1, reason, .. } if reason == "secret not generated: db_password"),
            "{early:?}"
        );

        let generated =
            abra.call(&Call::SecretGenerate { domain: domain.clone(), one: None }, Some(&claims.stack), minute).await.unwrap();
        let made = abra_output::secrets(&generated).unwrap();
        assert_eq!(made.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>(), ["db_password", "passphrase"]);
        for secret in &made {
            assert!(!redact.text(&generated.text).contains(&secret.value));
        }
        let kept = fs::read_to_string(place.dir.path().join("run/transcripts/005-app-secret-generate.txt")).unwrap();
        assert!(kept.contains("db_password") && !kept.contains(&made[0].value), "{kept}");

        abra.call(&deploy, Some(&claims.stack), minute).await.unwrap();
        engine.running(&stack, 1);
        let labels = engine.ask(&["service", "inspect", &format!("{stack}_app"), "--format", "{{json .Spec.Labels}}"]);
        let head = recipe::git(&place.abra_dir().join("recipes/small"), &["rev-parse", "--short=8", "HEAD"]);
        for label in ["version\":\"1.0.0+2.0.0", "chaos\":\"true", "recipe\":\"small", &format!("chaos-version\":\"{head}\"")] {
            assert!(labels.contains(&format!("coop-cloud.{stack}.{label}")), "{label} in {labels}");
        }

        abra.call(&Call::Undeploy { domain: domain.clone() }, Some(&claims.stack), minute).await.unwrap();
        let again = abra.call(&Call::Undeploy { domain }, Some(&claims.stack), minute).await.unwrap_err();
        assert!(matches!(&again, AbraError::Fatal { reason, .. } if reason.ends_with("is not deployed?")), "{again:?}");
    });
    let seen = register.0.lock().unwrap().clone();
    assert_eq!(seen.len(), 16, "{seen:?}");
    assert!(seen.chunks(2).all(|pair| pair[0].starts_with("started abra ") && pair[1] == "ended"), "{seen:?}");
}

/// Docker takes the overlay's ports in place of the recipe's, and a redeploy does not wait for its own port.
fn ports_and_rolls_work_without_ipvs(engine: &Engine) {
    let place = Place::new();
    let claims = place.claims(engine);
    let stack = place.stack();
    let _cleanup = Cleanup(engine, stack.clone());
    let (domain, minute) = (place.domain(), Duration::from_secs(60));
    let abra = PtyAbra::new(place.setup(), Arc::new(Register::default()), Arc::new(Redact::new()));
    block_on(async {
        abra.call(&Call::Fetch { recipe: "small".parse().unwrap() }, Some(&claims.dir), minute).await.unwrap();
        let new = Call::New { recipe: "small".parse().unwrap(), domain: domain.clone(), server: "default".into() };
        abra.call(&new, Some(&claims.stack), minute).await.unwrap();
        let env = fs::read_to_string(place.env_file()).unwrap();
        fs::write(place.env_file(), env + "COMPOSE_FILE=\"$COMPOSE_FILE:compose.worker.yml\"\n").unwrap();
        abra.call(&Call::SecretGenerate { domain: domain.clone(), one: None }, Some(&claims.stack), minute).await.unwrap();
        let file = place.dir.path().join("value");
        fs::write(&file, "by hand").unwrap();
        let insert = Call::SecretInsert { domain: domain.clone(), name: "by_hand".into(), version: "v1".into(), file };
        abra.call(&insert, Some(&claims.stack), minute).await.unwrap();
        abra.call(&Call::Deploy { domain: domain.clone(), version: None }, Some(&claims.stack), minute).await.unwrap();
    });
    assert!(engine.ok(&["secret", "inspect", &format!("{stack}_by_hand_v1")]), "it was inserted");
    engine.running(&stack, 2);
    let format = "{{json .Spec.EndpointSpec}} {{json .Spec.UpdateConfig}}";
    let worker = engine.ask(&["service", "inspect", &format!("{stack}_worker"), "--format", format]);
    for part in ["\"Mode\":\"dnsrr\"", "\"PublishMode\":\"host\"", "\"Order\":\"stop-first\"", "\"FailureAction\":\"rollback\""] {
        assert!(worker.contains(part), "{part} in {worker}");
    }
    let exposed =
        engine.ask(&["service", "inspect", &format!("{stack}_app"), "--format", "{{json .Spec.TaskTemplate.ContainerSpec.Env}}"]);
    for part in ["\"OWN=recipe\"", "\"PRICE=5$\"", &format!("\"DOMAIN={domain}\"")] {
        assert!(exposed.contains(part), "{part} in {exposed}");
    }
}
