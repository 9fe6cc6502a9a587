//! Packs: a scratch pack whose functions end in all ways, the pack of `hello` on an app that is deployed without abra, and whole
//! runs with custom tests.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    process::{Command, ExitCode},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use harness::{
    adapters::{
        folder::Folder,
        pack_program::{PackProgram, ProgramSetup},
    },
    author::{self, Checked, ConfigureContext, Lifecycle, Linked, Suite, TestContext, ensure},
    engine::steps::shared::test_outcome::of_function,
    model::{
        head::Head,
        host::Host,
        names::RunId,
        outcome::{Outcome, Owner},
        pack::{CanaryAct, TestName},
        tested_app::{Images, TestedApp},
    },
    ports::{ChildRegister, Exited, ProgramError, Ran, RegisterError, RunFolder, TestProgram},
    pure::run::blank_screenshot::{Content, Picture},
    redact::Redact,
};
use libtest_mimic::Trial;
use serde_json::Value;
use unit_tests::{
    engine::{Engine, until},
    event_log,
    sandbox_fixture::{self, SandboxFixture},
    stacks::fresh_run,
    test_env::TestEnv,
    test_run::{
        Outcome::{Green, Inconclusive},
        Status::{Fail, Pass},
    },
};

use crate::{
    abra::block_on,
    trials::{self, e2e_tests, in_env, on_engine},
};

/// The first argument with which this test program is the program of the scratch pack.
pub(crate) const SCRATCH: &str = "__scratch-pack";

/// The tests that need no engine.
pub(crate) fn local() -> Vec<Trial> {
    trials::local(&e2e_tests![
        function_ends_with_its_outcome,
        function_leaves_its_output_and_notes,
        abandoned_function_leaves_no_process,
        wiring_comes_back_as_data_and_its_secrets_are_hidden,
        program_that_does_not_list_says_why,
        function_without_its_context_names_what_it_lacks,
    ])
}

/// The tests on an engine.
pub(crate) fn tests(engine: &Engine) -> Vec<Trial> {
    on_engine(engine, &e2e_tests![pack_of_hello_seeds_checks_and_corrupts_a_post])
}

/// The tests of whole runs.
pub(crate) fn runs(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(fixture, &e2e_tests![hello_is_green_with_its_tests_in_every_report, flaky_test_is_reported_and_a_crash_costs_one_test])
}

// The scratch pack.

/// The program of the scratch pack.
pub(crate) fn scratch(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let pack = Linked {
        name: "scratch",
        settings: "",
        overlay: None,
        suites: &[("custom/ends.rs", suite), ("custom/browser.rs", crate::browser::suite)],
        lifecycle: Some(lifecycle),
        parity: None,
        warnings: &[],
    };
    author::main(&pack, sandbox_fixture::env().context.as_deref(), args)
}

fn suite() -> Suite {
    Suite::new()
        .health("it passes", passes)
        .health("it fails", fails)
        .health("it does not apply", applies_not)
        .health("it panics", panics)
        .health("it waits for ever", waits)
        .health("it blocks its thread", blocks)
        .health("it aborts", aborts)
        .health("it leaves by itself", leaves)
        .health("it leaves processes behind", litters)
        .health("it litters and blocks", litters_and_blocks)
        .health("it waits in vain", waits_in_vain)
        .health("a command in the app", commands)
}

fn lifecycle() -> Lifecycle {
    Lifecycle::new().configure(wire)
}

fn wire(app: &mut ConfigureContext) -> Checked {
    app.env("URL", format!("https://{}/", app.domain()))?;
    app.secret("key", "v1", "correct horse")?;
    app.file("extra.conf", "x\n")
}

#[expect(clippy::print_stdout, reason = "what a test prints is captured")]
async fn passes(cx: TestContext) -> Checked {
    println!("a word of its own");
    cx.note("noted");
    Ok(())
}

async fn fails(_: TestContext) -> Checked {
    "seven".parse::<u16>()?;
    Ok(())
}

async fn applies_not(cx: TestContext) -> Checked {
    Err(cx.not_applicable("there is no mail"))
}

async fn panics(_: TestContext) -> Checked {
    panic!("on purpose")
}

async fn waits(_: TestContext) -> Checked {
    std::future::pending().await
}

async fn blocks(_: TestContext) -> Checked {
    loop {
        std::thread::park();
    }
}

async fn aborts(_: TestContext) -> Checked {
    std::process::abort()
}

#[expect(clippy::exit, reason = "a test that ends its process is what is tried")]
async fn leaves(_: TestContext) -> Checked {
    std::process::exit(0)
}

async fn litters(_: TestContext) -> Checked {
    Command::new("sleep").arg("61803").spawn()?;
    Command::new("setsid").args(["sleep", "61803"]).spawn()?;
    Ok(())
}

async fn litters_and_blocks(cx: TestContext) -> Checked {
    litters(cx.clone()).await?;
    blocks(cx).await
}

async fn waits_in_vain(cx: TestContext) -> Checked {
    let mut attempts = 0;
    cx.until(Duration::from_millis(200), "the bird sings", async || {
        attempts += 1;
        ensure(false, format!("attempt {} was silent", attempts.min(1)))
    })
    .await
}

async fn commands(cx: TestContext) -> Checked {
    let well = cx.exec("app", &["/specimen", "probe", "http://127.0.0.1/health"]).await?;
    let ill = cx.exec("app", &["/specimen", "probe", "http://127.0.0.1/nowhere"]).await?;
    ensure((well.exit, ill.exit) == (0, 1), format!("{well:?}, {ill:?}"))?;
    let logs = cx.logs("app").await?;
    ensure(logs.contains("the specimen listens on port 80"), logs)?;
    let Err(failed) = cx.exec("absent", &["true"]).await else { return Err("a service that there is not".into()) };
    ensure(failed.sentence() == "the app has no service \"absent\"; it has app", failed.sentence())
}

// The programs that run the scratch pack.

/// The children by process id, and whether they have ended.
#[derive(Default)]
struct Register(Mutex<BTreeMap<i32, bool>>);

#[async_trait]
impl ChildRegister for Register {
    async fn started(&self, pid: i32, _: u64, _: &str) -> Result<(), RegisterError> {
        self.0.lock().unwrap().insert(pid, false);
        Ok(())
    }

    async fn ended(&self, pid: i32) {
        self.0.lock().unwrap().insert(pid, true);
    }
}

/// A program of a pack, in a separate folder.
pub(crate) struct Scene {
    program: PackProgram,
    children: Arc<Register>,
    redact: Arc<Redact>,
    head: Head,
    pub(crate) folder: Folder,
    _state: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn of(program: Vec<OsString>, run: &RunId, host: Host, head: Head) -> Self {
        let env = sandbox_fixture::env();
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::of(state.path(), run);
        let shim = vec![env.exe.into(), "__child".into()];
        let setup = ProgramSetup {
            program,
            shim,
            folder: folder.clone(),
            host,
            home: state.path().into(),
            path: env.path,
            work_dir: "pack",
            memory: None,
        };
        let (children, redact) = (Arc::new(Register::default()), Arc::new(Redact::new()));
        let program = PackProgram::new(setup, children.clone(), redact.clone());
        Self { program, children, redact, head, folder, _state: state }
    }

    fn scratch() -> Self {
        let program = vec![std::env::current_exe().unwrap().into(), SCRATCH.into()];
        Self::of(program, &fresh_run(), Host::parse("zone = \"taster.test\"").unwrap(), event_log::head())
    }

    /// The process of the function that was started last.
    pub(crate) fn child(&self) -> u32 {
        let children = self.children.0.lock().unwrap();
        let pid = children.iter().rfind(|(_, ended)| !**ended).map(|(pid, _)| *pid).unwrap();
        u32::try_from(pid).unwrap()
    }

    pub(crate) fn run(&self, test: &TestName, budget: Duration) -> Ran {
        block_on(self.program.run_one(test, TestedApp { head: &self.head, images: &Images::default() }, budget)).unwrap()
    }

    pub(crate) fn passes(&self, test: &TestName) {
        let outcome = of_function(test, &self.run(test, Duration::from_secs(60)));
        assert_eq!(outcome, Outcome::Passed, "{test}");
    }
}

fn function_ends_with_its_outcome() {
    let scene = Scene::scratch();
    let listed = block_on(scene.program.list(Duration::from_secs(60))).unwrap();
    assert_eq!(listed.len(), 16, "{listed:?}");
    let (long, short) = (Duration::from_secs(60), Duration::from_secs(3));
    let test = Some(Owner::Test);
    let rows: [(&str, Duration, Option<Owner>, &str); 10] = [
        ("it passes", long, None, ""),
        ("it fails", long, Some(Owner::Recipe), "invalid digit found in string (unit-tests/tests/e2e/custom.rs:"),
        ("it does not apply", long, None, ""),
        ("it panics", long, test, "it panicked: on purpose"),
        ("it waits for ever", short, test, "it did not end within 1.5 s"),
        ("it blocks its thread", short, test, "its process did not end within 3.0 s"),
        ("it aborts", long, test, "its process was ended by signal 6 before"),
        ("it leaves by itself", long, test, "its process ended with exit code 0 before"),
        ("it leaves processes behind", long, None, ""),
        (
            "it waits in vain",
            long,
            Some(Owner::Recipe),
            "not within 0.2 s: the bird sings; the last attempt said: attempt 1 was silent (unit-tests/tests/e2e/custom.rs:",
        ),
    ];
    for (name, budget, owner, words) in rows {
        let name = TestName::of_test("ends", name);
        assert!(listed.contains(&name), "{name}");
        let ran = scene.run(&name, budget);
        match (of_function(&name, &ran), owner) {
            (Outcome::Failed(failure), Some(owner)) => {
                assert_eq!(failure.owner, owner, "{}", failure.with_excerpt());
                assert!(failure.message.contains(words), "{}", failure.with_excerpt());
            }
            (Outcome::Passed | Outcome::Skipped(_), None) => {}
            (outcome, _) => panic!("{name}: {outcome:?}\n{}", ran.output),
        }
    }
    let children = scene.children.0.lock().unwrap();
    assert!(children.len() >= rows.len() && children.values().all(|ended| *ended), "{children:?}");
}

fn function_leaves_its_output_and_notes() {
    let scene = Scene::scratch();
    let budget = Duration::from_secs(60);

    let ran = scene.run(&TestName::of_test("ends", "it passes"), budget);
    let unknown = scene.run(&TestName::of_test("ends", "no such"), budget);

    assert!(ran.output.contains("a word of its own"), "{}", ran.output);
    assert_eq!(ran.answer.map(|answer| answer.notes), Some(vec!["noted".to_owned()]));
    assert_eq!(unknown.answer, None, "an unknown function has no answer");
}

fn abandoned_function_leaves_no_process() {
    let scene = Scene::scratch();
    let name = TestName::of_test("ends", "it litters and blocks");

    block_on(async {
        let images = Images::default();
        let app = TestedApp { head: &scene.head, images: &images };
        let running = scene.program.run_one(&name, app, Duration::from_secs(60));
        assert!(tokio::time::timeout(Duration::from_secs(1), running).await.is_err());
    });

    let run = scene.folder.run().to_string();
    until("no process of the run lives", || !lives(&run));
}

/// Whether a process has the run in its environment.
pub(crate) fn lives(run: &str) -> bool {
    let environments = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("environ")).ok());
    environments.into_iter().any(|environment| environment.windows(run.len()).any(|part| part == run.as_bytes()))
}

fn wiring_comes_back_as_data_and_its_secrets_are_hidden() {
    let scene = Scene::scratch();
    let hook = TestName::reported(TestName::CONFIGURE);

    let ran = scene.run(&hook, Duration::from_secs(60));

    assert_eq!(of_function(&hook, &ran), Outcome::Passed);
    let configured = ran.answer.and_then(|answer| answer.configuration).unwrap();
    assert_eq!(configured.env, [("URL".to_owned(), format!("https://{}/", scene.head.domain))]);
    assert_eq!(configured.files, BTreeMap::from([("extra.conf".to_owned(), "x\n".to_owned())]));
    let [secret] = &configured.secrets[..] else { panic!("{configured:?}") };
    assert_eq!((secret.name.as_str(), secret.version.as_str()), ("key", "v1"));
    assert_eq!(fs::read_to_string(&secret.file).unwrap(), "correct horse");
    assert!(secret.file.starts_with(scene.folder.abra_dir()), "it goes with the run");
    assert_eq!(scene.redact.text("it is correct horse"), "it is •••");
}

fn program_that_does_not_list_says_why() {
    let scene = |words: &[&str]| {
        let program = words.iter().map(OsString::from).collect();
        Scene::of(program, &fresh_run(), Host::parse("zone = \"taster.test\"").unwrap(), event_log::head())
    };
    for (program, words) in [
        (&["/bin/sh", "-c", "echo no such pack >&2; exit 2"][..], "it ended with exit code 2: no such pack"),
        (&["/nonexistent/program"], "it ended with exit code 127: taster: No such file"),
        (&["/bin/sh", "-c", "kill -9 $$"], "it was ended by signal 9: no output"),
        (&["/bin/sh", "-c", "sleep 61803"], "it did not end within 1.0 s: no output"),
    ] {
        let error = block_on(scene(program).program.list(Duration::from_secs(1))).unwrap_err();
        assert!(matches!(error, ProgramError::Unlisted { .. }) && error.to_string().contains(words), "{error}");
    }
}

fn function_without_its_context_names_what_it_lacks() {
    let mut program = Command::new(std::env::current_exe().unwrap());
    let output = program.args([SCRATCH, "ends::it passes", "--exact"]).env_remove("TASTER_CONTEXT").output().unwrap();
    let output_text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && output_text.contains("there is no context"), "{output_text}");
}

// On a Swarm.

/// An app like that of the recipe `hello`, deployed without abra.
fn pack_of_hello_seeds_checks_and_corrupts_a_post(engine: &Engine) {
    let env = sandbox_fixture::env();
    let home = sandbox::home::Home::at(env.sandbox());
    let host_file = env.host.clone().unwrap_or_else(|| home.host_file());
    let host = runner::host::load(&host_file).unwrap();
    block_on(sandbox::images::provide(&home, &[sandbox::images::specimen()], &mut |_| {})).unwrap();
    engine.on_a_stack(|stack| {
        let run = fresh_run();
        let head = Head {
            stack: stack.parse().unwrap(),
            domain: format!("by-hand-{}.{}", run.token(), host.zone).parse().unwrap(),
            ..event_log::head()
        };
        engine.submit(&compose(head.domain.as_str()), stack);
        let program = vec![env.exe.clone().into(), "__pack".into(), "hello".into()];
        let hello = Scene::of(program, &run, host.clone(), head.clone());
        // Requests are made again while the ingress does not reach the app, so nothing has to be waited for here but its route.
        let health = TestName::of_test("posts", "the health page answers");
        until("the app answers", || of_function(&health, &hello.run(&health, Duration::from_secs(40))) == Outcome::Passed);
        let canary = |act| TestName::of_canary("a post", act);
        let early = hello.run(&canary(CanaryAct::Check), Duration::from_secs(40));
        let Outcome::Failed(failure) = of_function(&canary(CanaryAct::Check), &early) else { panic!("nothing was seeded") };
        assert!(failure.message.contains("nothing is remembered as \"post\""), "{}", failure.message);
        CanaryAct::ALL.into_iter().for_each(|act| hello.passes(&canary(act)));
        let corrupted = hello.run(&canary(CanaryAct::Check), Duration::from_secs(40));
        let Outcome::Failed(failure) = of_function(&canary(CanaryAct::Check), &corrupted) else { panic!("it was corrupted") };
        assert_eq!((failure.owner, corrupted.exited), (Owner::Recipe, Exited::Code(101)), "{}", failure.with_excerpt());
        assert!(failure.message.contains("answered 404, not 200") && failure.message.contains("recipes/hello/lifecycle.rs:"));

        let program = vec![std::env::current_exe().unwrap().into(), SCRATCH.into()];
        Scene::of(program, &run, host, head).passes(&TestName::of_test("ends", "a command in the app"));
    });
}

fn compose(domain: &str) -> String {
    format!(
        r#"version: "3.8"
services:
  app:
    image: {image}
    networks: [proxy]
    tmpfs: [/data]
    stop_grace_period: 1s
    deploy:
      endpoint_mode: dnsrr
      labels:
        - "traefik.enable=true"
        - "traefik.http.services.by-hand.loadbalancer.server.port=80"
        - "traefik.http.routers.by-hand.rule=Host(`{domain}`)"
networks:
  proxy:
    external: true
"#,
        image = sandbox::images::specimen()
    )
}

fn hello_is_green_with_its_tests_in_every_report(env: &TestEnv<'_>) {
    let run = env.run("hello").tiers("install,custom").expect(Green);

    let run = run
        .says("green (install, custom)")
        .says("posts::a post is read back: passed")
        .tier("custom", Pass)
        .rung("custom", Pass)
        .step("posts::a post is read back", Pass)
        .step_value("/tests/0/status", "pass")
        .step("page::a browser shows the page", Pass)
        .step("screenshot", Pass)
        .value("/screenshot", "screenshot.png")
        .value("/customization/settings/health_path", "/health")
        .value("/customization/superficial", Value::Null)
        .file("report.html", "posts::a post is read back")
        .file("report.html", "src=\"data:image/png;base64,iVBOR")
        .nothing_left();
    let (junit, page) = (run.read("junit.xml"), run.read("report.html"));
    assert_eq!(junit.matches("posts::a post is read back").count(), 1, "one test is one case: {junit}");
    assert!(page.len() < 1 << 20, "the page has {} bytes", page.len());
    let picture = Picture::read(&fs::read(run.folder.join("screenshot.png")).unwrap()).unwrap();
    assert_eq!((picture.content(), picture.width, picture.height), (Content::Page, 1280, 800));
    assert!(!run.folder.join("abra").exists(), "contexts and answers went with the run");
}

/// The pack has a test that passes at the second attempt and one that crashes.
fn flaky_test_is_reported_and_a_crash_costs_one_test(env: &TestEnv<'_>) {
    let request = env.run("hello-flaky").tiers("install,custom");

    let whole = request.clone().expect(Inconclusive);
    let failed_only = request.args(&["--retries", "0", "--failed"]).expect(Inconclusive);

    whole
        .exit(3)
        .says("inconclusive (custom failed; install passed)")
        .says("outcomes::it passes at the second attempt: attempt 1 failed")
        .says("flaky: it passed at attempt 2; at first outcomes::it passes at the second attempt: it is the first attempt")
        .says("why (test): outcomes::it crashes its process: its process was ended by signal 6")
        .says("outcomes::it passes at once: passed")
        .says("  flaky: outcomes::it passes at the second attempt")
        .step("outcomes::it passes at the second attempt", Pass)
        .step_value("/flaky", true)
        .step_value("/attempts/1", Value::Null)
        .step("outcomes::it crashes its process", Fail)
        .owned_by("test")
        .file("junit.xml", "<flakyFailure ")
        .file("junit.xml", "<rerunError ")
        .file("report.html", "flaky")
        .file("report.html", "Attempt 1 failed:")
        .file("evidence/outcomes--it-passes-at-once-page.html", "<title>")
        .nothing_left();
    failed_only
        .exit(3)
        .says("outcomes::it passes at once: skipped")
        .says("was left out by the choice of tests (--failed)")
        .says("it crashes its process: failed");
}
