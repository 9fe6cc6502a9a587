//! A real browser: the evidence of a failed test, and the end of the browser with its test.

use std::{fs, process::Command, time::Duration};

use harness::{
    author::{Checked, Suite, TestContext, ensure},
    engine::steps::shared::test_outcome::of_function,
    model::{
        host::Host,
        outcome::{Gap, Outcome, Owner},
        pack::TestName,
        protocol::{Answer, Ended, FunctionContext},
    },
    ports::{Exited, Ran, RunFolder},
    pure::run::blank_screenshot::{Content, Picture},
};
use libtest_mimic::Trial;
use unit_tests::{
    command_output::signal, engine::until, event_log, sandbox_fixture::SandboxFixture, stacks::fresh_run, test_env::TestEnv,
};

use crate::{
    custom::{SCRATCH, Scene},
    trials::{e2e_tests, in_env},
};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            failed_browser_test_leaves_a_screenshot_and_its_console,
            absent_browser_is_unverified,
            browser_ends_with_its_test,
            browser_reaches_the_zone_alone,
        ],
    )
}

/// The functions of the scratch pack that take a browser.
pub(crate) fn suite() -> Suite {
    Suite::new()
        .health("it looks for what is not there", clicks_an_absent_button)
        .health("it browses for ever", browses)
        .health("it looks outside", looks_outside)
}

async fn clicks_an_absent_button(cx: TestContext) -> Checked {
    let page = cx.browser().await?.budget(Duration::from_millis(300));
    let status = page.goto("/nowhere").await?;
    ensure(status == 404, format!("it answers {status}"))?;
    page.click("button.buy").await
}

async fn browses(cx: TestContext) -> Checked {
    let page = cx.browser().await?;
    page.goto("/").await?;
    cx.remember("open", "yes")?;
    std::future::pending().await
}

async fn looks_outside(cx: TestContext) -> Checked {
    let page = cx.browser().await?;
    let mut sentences = Vec::new();
    for address in ["https://example.com/", "https://127.0.0.1/", "https://localhost/", "https://[::1]/"] {
        let Err(failed) = page.goto(address).await else { return Err(format!("{address} is a page").into()) };
        sentences.push(failed.sentence().to_owned());
    }
    ensure(sentences.iter().all(|sentence| sentence.contains("net::ERR_NAME_NOT_RESOLVED")), sentences.join("; "))
}

fn scene(env: &TestEnv<'_>) -> Scene {
    let host = Host::parse(&fs::read_to_string(&env.fixture.host_file).unwrap()).unwrap();
    Scene::of(vec![std::env::current_exe().unwrap().into(), SCRATCH.into()], &fresh_run(), host, event_log::head())
}

fn name(sentence: &str) -> TestName {
    TestName::of_test("browser", sentence)
}

fn failed_browser_test_leaves_a_screenshot_and_its_console(env: &TestEnv<'_>) {
    let scene = scene(env);
    let test = name("it looks for what is not there");

    let ran = scene.run(&test, Duration::from_secs(60));

    let Outcome::Failed(failure) = of_function(&test, &ran) else { panic!("there is no such button: {ran:?}") };
    assert_eq!(failure.owner, Owner::Recipe);
    assert!(
        failure.message.contains("\"button.buy\"") && failure.message.contains("tests/e2e/browser.rs:"),
        "{}",
        failure.with_excerpt()
    );
    let left = |name: &str| attached(&ran, name);
    let console = String::from_utf8(left("console.txt")).unwrap();
    assert!(console.starts_with(&format!("https://{}/nowhere\n", event_log::head().domain)), "{console}");
    assert!(console.contains("error") && console.contains("404"), "{console}");
    assert_eq!(Picture::read(&left("page.png")).unwrap().content(), Content::Page, "the words of the ingress show");
}

fn attached(ran: &Ran, name: &str) -> Vec<u8> {
    let file = ran.attachments.iter().find(|attached| attached.name == name).unwrap_or_else(|| panic!("no {name}"));
    file.bytes.clone().unwrap()
}

fn absent_browser_is_unverified(env: &TestEnv<'_>) {
    let scene = scene(env);
    let test = name("it looks for what is not there");
    let work_dir = scene.folder.abra_dir().join("pack");
    scene.run(&test, Duration::from_secs(60));
    // The same function again, with the context of a machine without a browser.
    let context: FunctionContext = serde_json::from_slice(&fs::read(work_dir.join("001-context.json")).unwrap()).unwrap();
    let context = FunctionContext { browser: Default::default(), answer: work_dir.join("bare-answer.json"), ..context };
    let file = work_dir.join("bare-context.json");
    fs::write(&file, serde_json::to_vec(&context).unwrap()).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([SCRATCH, test.as_str(), "--exact"]).env("TASTER_CONTEXT", &file);

    let output = command.output().unwrap();

    assert_eq!(output.status.code(), Some(101));
    let answer: Answer = serde_json::from_slice(&fs::read(&context.answer).unwrap()).unwrap();
    let Ended::ToolAbsent { what } = &answer.ended else { panic!("{answer:?}") };
    assert!(what.starts_with("there is no Chromium, no chromedriver") && what.contains("apt-get install"), "{what}");
    let ran = Ran { exited: Exited::Code(101), answer: Some(answer), output: String::new(), attachments: Vec::new() };
    assert!(matches!(of_function(&test, &ran), Outcome::Unverified(Gap::ToolAbsent { .. })));
}

fn browser_ends_with_its_test(env: &TestEnv<'_>) {
    let test = name("it browses for ever");
    for killed in [false, true] {
        let scene = scene(env);
        let work_dir = scene.folder.abra_dir().join("pack");
        let open = work_dir.join("memory.json");
        let ran = std::thread::scope(|threads| {
            let ran = threads.spawn(|| scene.run(&test, Duration::from_secs(if killed { 60 } else { 12 })));
            until("a browser is open", || open.exists() && !browsers(&work_dir).is_empty());
            if killed {
                signal(scene.child(), "KILL");
            }
            ran.join().unwrap()
        });
        let how = if killed { Exited::Signal(9) } else { Exited::Code(101) };
        assert_eq!(ran.exited, how, "{ran:?}");
        assert_eq!(browsers(&work_dir), Vec::<String>::new(), "killed: {killed}");
    }
}

/// The living processes of browsers whose profile is in `work_dir`.
fn browsers(work_dir: &std::path::Path) -> Vec<String> {
    let work_dir = work_dir.display().to_string();
    let listed = Command::new("ps").args(["-eo", "stat=,args="]).output().unwrap().stdout;
    let lines = String::from_utf8_lossy(&listed).into_owned();
    lines
        .lines()
        .filter(|line| line.contains(&work_dir) && line.contains("chrom") && !line.starts_with('Z'))
        .map(str::to_owned)
        .collect()
}

fn browser_reaches_the_zone_alone(env: &TestEnv<'_>) {
    scene(env).passes(&name("it looks outside"));
}
