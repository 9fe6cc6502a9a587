//! Whatever a secret looks like and wherever it turns up, nothing of it leaves a run: every form, every document, whole runs.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use data_encoding::BASE64;
use harness::{
    adapters::{
        abra::{PtyAbra, Setup},
        checkout::GitCheckout,
        clock::SystemClock,
        folder::Folder,
        no_child_register::NoChildRegister,
    },
    engine,
    engine::log::Log,
    journal::{self, Journal},
    model::outcome::{Cause, Failure, Outcome, Tier},
    ports::{Abra, AbraError, Call, Checkout, RunFolder},
    pure::run::{event::Kind, plan::StepId},
    redact::{HIDDEN, Redact},
    report::{
        ReportFile, reporters,
        results::{Results, document},
        terminal::{self, Lines, Paint, Place},
    },
};
use proptest::prelude::*;
use quick_xml::{Reader, events::Event as Xml};
use unit_tests::{
    event_log::{EventLog, head, request},
    recording::Recording,
    sim_host::{Does, Leak, Manners, SimHost, WELL},
};

use crate::crash::paused;

/// Secrets as they are made or typed: letters, signs that every notation escapes, letters beyond ASCII, several lines.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9]{12,40}",
        4 => "[!-~]{12,32}",
        2 => "[!-~]{4,8} [!-~]{8,12}",
        1 => "[a-z\"&<>'/\\\\%+]{3,6}[à-ü€😀]{2,4}[a-z\"&<>'/\\\\%+]{5,9}",
        1 => "[a-zA-Z0-9+/]{16,24}\n[a-zA-Z0-9+/]{16,24}",
    ]
    // One that the views of the very text around it could show by chance says nothing.
    .prop_filter("a secret of its own", |secret| {
        let mut letters: Vec<char> = secret.chars().collect();
        letters.sort_unstable();
        letters.dedup();
        letters.len() >= 6
    })
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&#x27;")
        .replace('/', "&#x2F;")
}

fn percent(text: &str, upper: bool) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let encode = |byte: u8| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
    text.bytes().map(|byte| if keep(&byte) { char::from(byte).to_string() } else { encode(byte) }).collect()
}

/// Every form in which a secret may turn up, with its name.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let half = secret.char_indices().nth(secret.chars().count() / 2).unwrap().0;
    let debug = format!("{secret:?}");
    vec![
        ("plain", secret.to_owned()),
        ("json", json(secret)),
        ("json in json", json(&json(secret))),
        ("json, all escaped", secret.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()),
        ("json with slashes escaped", json(secret).replace('/', "\\/")),
        ("debug", debug[1..debug.len() - 1].to_owned()),
        ("html", html(secret)),
        ("html by numbers", secret.chars().map(|c| format!("&#{};", u32::from(c))).collect()),
        ("html in html", html(&html(secret))),
        ("json in html", html(&json(secret))),
        ("percent", percent(secret, true)),
        ("percent, lower case", percent(secret, false)),
        ("percent, form", percent(secret, true).replace("%20", "+")),
        ("percent, twice", percent(&percent(secret, true), true)),
        ("wrapped", format!("{}\r\n{}", &secret[..half], &secret[half..])),
        ("painted", format!("{}\u{1b}[31m{}", &secret[..half], &secret[half..])),
        ("base64", BASE64.encode(secret.as_bytes())),
        ("base64 of json", BASE64.encode(json(secret).as_bytes())),
        ("basic auth", BASE64.encode(format!("admin:{secret}").as_bytes())),
        ("basic auth, one byte further on", BASE64.encode(format!("taster:{secret}").as_bytes())),
        ("basic auth, two bytes further on", BASE64.encode(format!("root:{secret}").as_bytes())),
    ]
}

/// The form of which something is left in `text`: all of it, or so much of its middle that it is told by it.
fn left(text: &str, secret: &str) -> Option<&'static str> {
    let telling = |form: &str| {
        let letters: Vec<char> = form.chars().collect();
        let edge = if letters.len() > 16 { 3 } else { 0 };
        letters[edge..letters.len() - edge].iter().collect::<String>()
    };
    forms(secret).into_iter().find(|(_, form)| text.contains(&telling(form))).map(|(name, _)| name)
}

fn learnt(secret: &str) -> Redact {
    let redact = Redact::new();
    assert!(redact.learn(secret));
    redact
}

proptest! {
    #[test]
    fn no_form_of_a_secret_gets_through(secret in secret(), before in "[ -~]{0,20}", after in "[ -~]{0,20}") {
        let redact = learnt(&secret);
        for (name, form) in forms(&secret) {
            let shown = redact.text(&format!("{before} {form} {after}"));
            prop_assert!(shown.contains(HIDDEN), "{name}: {form:?} in {shown:?}");
            prop_assert!(left(&shown, &secret).is_none(), "{name}: {:?} in {shown:?}", left(&shown, &secret));
        }
    }

    #[test]
    fn text_without_the_secret_stays(secret in "[a-z]{8,20}", text in "[A-Z0-9 &;%\\\\\n+\u{1b}]{0,200}") {
        prop_assert_eq!(learnt(&secret).text(&text), text);
    }

    #[test]
    fn what_stands_around_a_secret_stays(secret in "[a-z]{12,20}", before in "[A-Z0-9 .,]{0,40}", after in "[A-Z0-9 .,]{0,40}") {
        prop_assert_eq!(learnt(&secret).text(&format!("{before}{secret}{after}")), format!("{before}{HIDDEN}{after}"));
    }

    #[test]
    fn no_text_makes_the_filter_fail(secret in secret(), text in "(\\PC|[\\\\&%;#xu{}0-9a-f\n\r…]){0,60}") {
        let redact = learnt(&secret);
        let shown = redact.text(&text);
        prop_assert_eq!(redact.text(&shown), shown);
    }

}

proptest! {
    // Each case makes all documents twice over.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_document_is_free_of_it_and_can_be_read(secret in secret(), late in any::<bool>()) {
        let redact = Arc::new(Redact::new());
        if !late {
            redact.learn(&secret);
        }
        let log = leaky(&secret);
        let mut state = harness::pure::run::state::RunState::default();
        for event in &log.events {
            let event = harness::pure::run::event::Event { kind: redact.fact(event.kind.clone()).0, ..event.clone() };
            state = harness::pure::run::state::fold(state, &event);
        }
        redact.learn(&secret);
        for (name, text) in documents(&state, &redact) {
            prop_assert!(left(&text, &secret).is_none(), "{name} shows {:?} of {secret:?}: {text}", left(&text, &secret));
            prop_assert!(readable(name, &text), "{name} cannot be read: {text}");
        }
        let results: Results = serde_json::from_str(&document(&state, &redact).unwrap()).unwrap();
        prop_assert_eq!(results.flags.no_secret_leak, !late, "the flag says whether it was found");
        prop_assert_eq!(&results.digest, &results.computed_digest());
    }
}

/// A run that failed and quotes the secret wherever a run quotes anything.
fn leaky(secret: &str) -> EventLog {
    let told: Vec<String> = forms(secret).into_iter().map(|(_, form)| form).collect();
    let step = StepId("deploy".into());
    let failure = Failure::new(Cause::NotServing { last: told.join(" ") }, format!("said {}", told.join(" | ")))
        .with_output(&told.join("\n"));
    let failure = Failure { excerpt: told.clone(), ..failure };
    let outcome = Outcome::Failed(failure);
    EventLog::planned(&[Tier::Install])
        .pass(&["provision"])
        .starts("deploy")
        .then(Kind::Observed { step: step.clone(), waiting_for: told.clone() })
        .then(Kind::EvidenceKept {
            step: step.clone(),
            file: "evidence/deploy.txt".into(),
            what: told.join(" "),
            tail: told.join("\n"),
        })
        .then(Kind::CheckFinished { step: step.clone(), check: "all services settle".into(), outcome: outcome.clone() })
        .then(Kind::StepFinished { step, outcome })
        .then(Kind::Warned { text: told.join(" ") })
        .ends()
}

/// All that is written or printed of a state at the end, by name.
fn documents(state: &harness::pure::run::state::RunState, redact: &Arc<Redact>) -> Vec<(&'static str, String)> {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::of(dir.path(), &"20261121-101502-aebagbaf".parse().unwrap());
    let place = Place { folder: "/runs/x", page: false, paint: Paint::Plain };
    let files = ReportFile::ALL.map(|file| (file.name(), file.render(state, &folder, redact).unwrap()));
    files.into_iter().chain([("ending", redact.text(&terminal::ending(state, place)))]).collect()
}

fn readable(name: &str, text: &str) -> bool {
    let well_formed = || {
        let mut reader = Reader::from_str(text);
        loop {
            match reader.read_event() {
                Ok(Xml::Eof) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    };
    match name {
        "results.json" => serde_json::from_str(text).is_ok_and(|value| crate::schema::validate(&value).is_ok()),
        "junit.xml" | "report.html" | "badge.svg" => well_formed(),
        _ => true,
    }
}

/// Secrets that are a part of what documents consist of.
#[test]
fn a_secret_that_is_a_word_of_a_document_leaves_the_document_whole() {
    for secret in [
        "testsuite",
        "<testcase",
        "class",
        "schema",
        "step-finished",
        "hello",
        "\":{\"",
        "</p>",
        "install",
        "•••••",
        "amp;quot;",
        "deploy",
    ] {
        let redact = Arc::new(learnt(secret));
        let log = leaky(secret);
        let mut state = harness::pure::run::state::RunState::default();
        for event in &log.events {
            let event = harness::pure::run::event::Event { kind: redact.fact(event.kind.clone()).0, ..event.clone() };
            let Kind::Warned { text } = &event.kind else {
                state = harness::pure::run::state::fold(state, &event);
                continue;
            };
            assert!(secret == "•••••" || !text.contains(secret), "{secret} in {text}");
        }
        for (name, text) in documents(&state, &redact) {
            assert!(readable(name, &text), "{name} with {secret:?} cannot be read: {text}");
        }
    }
}

/// The secret with which the stories below are told: every notation has to escape something of it.
const SECRET: &str = "k9\"x&V<7/'Qz é+%\\m3Wt";

/// A whole run on a host whose app tells its secret in every form, and the folder that it leaves.
fn run(manners: Manners, look: &str, learns: bool) -> (tempfile::TempDir, PathBuf, String) {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::of(place.path(), &"20261121-101502-aebagbaf".parse().unwrap());
    let redact = Arc::new(Redact::new());
    let printed = Arc::new(std::sync::Mutex::new(Vec::new()));
    paused(async {
        let mut host = SimHost::new(manners, Recording::load(look).observations.last().unwrap());
        let told = forms(SECRET).into_iter().map(|(name, form)| format!("{name}: {form}\n")).collect();
        let listener = if learns { redact.clone() } else { Arc::default() };
        host.leak = Some(Leak { secret: SECRET.into(), text: told, redact: listener });
        let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(SystemClock::start())).unwrap();
        let run_folder: Arc<dyn RunFolder> = Arc::new(folder.clone());
        let mut reporters = reporters(&run_folder, &redact);
        reporters.push(Box::new(Lines::to(Shared(printed.clone()))));
        let log = Log::new(journal, redact.clone(), reporters);
        let ports = host.ports();
        let state = engine::run(host.undisturbed(request(&[Tier::Install]), &ports, &log, &folder)).await;
        let place = Place { folder: "/runs/x", page: false, paint: Paint::Plain };
        printed.lock().unwrap().extend(redact.text(&terminal::ending(&state, place)).into_bytes());
    });
    let printed = String::from_utf8(printed.lock().unwrap().clone()).unwrap();
    (place, folder.root().to_owned(), printed)
}

/// An output that can be read afterwards.
struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The first file below `folder` of which the bytes, or the name, show a form of the secret.
fn shown_in(folder: &Path, secret: &str) -> Option<String> {
    fs::read_dir(folder).unwrap().flatten().find_map(|entry| {
        let path = entry.path();
        let name = path.display().to_string();
        if path.is_dir() {
            return shown_in(&path, secret);
        }
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        left(&text, secret).or_else(|| left(&name, secret)).map(|form| format!("{form} in {name}"))
    })
}

/// The ways in which a run fails and quotes, each with the look at its service.
const LEAKS: [(&str, Manners, &str); 3] = [
    ("an answer", WELL, "healthy"),
    ("abra's words", Manners { deploy: Does::Fails, ..WELL }, "healthy"),
    ("a log", WELL, "attempts-spent"),
];

#[test]
fn a_run_whose_app_tells_its_secret_everywhere_leaves_nothing_of_it() {
    for (what, manners, look) in LEAKS {
        let (_place, folder, printed) = run(manners, look, true);
        assert_eq!(shown_in(&folder, SECRET), None, "{what}");
        assert_eq!(left(&printed, SECRET), None, "{what}: {printed}");
        let journal = fs::read_to_string(folder.join("events.jsonl")).unwrap();
        assert!(journal.contains(HIDDEN), "{what} was told: {journal}");
        assert!(journal::read(&folder).unwrap().unread.is_empty(), "the journal can be read");
        let results: Results = serde_json::from_str(&fs::read_to_string(folder.join("results.json")).unwrap()).unwrap();
        assert!(results.flags.no_secret_leak, "{what}");
        assert_eq!(results.exit_code, 1, "{what}");
    }
}

#[test]
fn without_learning_the_same_search_finds_the_secret() {
    for (what, manners, look) in LEAKS {
        let (_place, folder, printed) = run(manners, look, false);
        assert!(shown_in(&folder, SECRET).is_some() && left(&printed, SECRET).is_some(), "{what}");
        if what == "a log" {
            let evidence = fs::read_to_string(folder.join("evidence/deploy.txt")).unwrap();
            assert_eq!(left(&evidence, SECRET), Some("plain"), "{what}");
        }
    }
}

#[test]
fn a_secret_that_is_too_short_is_said_and_the_flag_is_false() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::of(place.path(), &"20261121-101502-aebagbaf".parse().unwrap());
    let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(SystemClock::start())).unwrap();
    let redact = Arc::new(Redact::new());
    let log = Log::new(journal, redact.clone(), Vec::new());
    redact.learn_as("pin", "42");
    for kind in leaky("0123456789ab").events.into_iter().map(|event| event.kind) {
        log.record(kind);
    }
    let results: Results = serde_json::from_str(&document(&log.state(), &redact).unwrap()).unwrap();
    let told = results.warnings.iter().filter(|warning| warning.contains("the secret pin has fewer than 4 characters")).count();
    assert_eq!((told, results.flags.no_secret_leak), (1, false), "{:?}", results.warnings);
}

/// What abra's stand-in prints when it is to generate secrets, and what becomes of it: the result, the transcript, the filter.
fn generated(printed: &str, exit: i32) -> (Result<String, AbraError>, String, Arc<Redact>) {
    let dir = tempfile::tempdir().unwrap();
    let (abra, shim, said) = (dir.path().join("abra"), dir.path().join("shim.sh"), dir.path().join("said"));
    fs::write(&said, printed).unwrap();
    fs::write(&shim, "shift 3\nIFS= read -r go || exit 125\nexec \"$@\"\n").unwrap();
    fs::write(&abra, format!("#!/bin/sh\ncat '{}'\nexit {exit}\n", said.display())).unwrap();
    fs::set_permissions(&abra, fs::Permissions::from_mode(0o755)).unwrap();
    let transcripts = dir.path().join("transcripts");
    let setup = Setup {
        abra,
        shim: vec!["/bin/sh".into(), shim.into()],
        abra_dir: dir.path().join("abra-dir"),
        server: "default".into(),
        cwd: dir.path().join("empty"),
        transcripts: transcripts.clone(),
        home: dir.path().to_owned(),
        path: std::env::var_os("PATH").unwrap(),
        quiet: Duration::from_secs(3),
    };
    let redact = Arc::new(Redact::new());
    let abra = PtyAbra::new(setup, Arc::new(NoChildRegister), redact.clone());
    let journal = dir.path().join("journal");
    let journal = Journal::create(&journal, "20261121-101502-aebagbaf".parse().unwrap(), Arc::new(SystemClock::start())).unwrap();
    let log = Log::new(journal, redact.clone(), Vec::new());
    let claim = log.claim(harness::pure::host::claim::Claimed::Stack { name: head().stack }, &"e1".parse().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let call = Call::SecretGenerate { domain: head().domain, one: None };
    let result = runtime.block_on(abra.call(&call, Some(&claim), Duration::from_secs(60))).map(|exchange| exchange.text);
    let transcript = fs::read_to_string(transcripts.join("001-app-secret-generate.txt")).unwrap();
    (result, transcript, redact)
}

#[test]
fn a_transcript_has_no_secret_whether_it_could_be_read_or_not() {
    let answer = |secret: &str| serde_json::json!([{ "name": "token", "value": secret }]).to_string();
    let everywhere: String = forms(SECRET).into_iter().map(|(name, form)| format!("WARN {name}: {form}\n")).collect();
    let pretty = serde_json::to_string_pretty(&serde_json::json!([{ "name": "token", "value": SECRET }])).unwrap();
    for (what, printed, exit, known) in [
        ("as it should be", format!("INFO x\n{}\n", answer(SECRET)), 0, true),
        ("told again in every form", format!("{}\n{everywhere}", answer(SECRET)), 0, true),
        ("on several lines", format!("{pretty}\n"), 0, true),
        ("before a fatal word", format!("{}\nFATA cannot store {SECRET}\n", answer(SECRET)), 1, true),
        ("a table", format!("INFO x\n| token | {SECRET} |\n"), 0, false),
        ("a table before a fatal word", format!("| token | {SECRET} |\nFATA no\n"), 1, false),
        ("cut in the middle", answer(SECRET).replace("\"}]", ""), 0, false),
        ("with odd keys", format!("{}\n", answer(SECRET).replace("value", "worth")), 0, false),
    ] {
        let (result, transcript, redact) = generated(&printed, exit);
        assert_eq!(left(&transcript, SECRET), None, "{what}: {transcript}");
        assert!(transcript.contains(if known { HIDDEN } else { "(hidden, for it may hold a secret)" }), "{what}: {transcript}");
        assert_eq!((redact.complete(), redact.text(SECRET) == HIDDEN), (known, known), "{what}");
        if let Err(error) = result {
            let told = format!("{error} {error:?} {:?}", Failure::from(error.clone()));
            assert_eq!(left(&told, SECRET), None, "{what}: {told}");
        } else {
            assert!(known || what == "a table", "{what}: what cannot be read is an error");
        }
    }
}

/// What an `.env` holds is known to the filter as soon as it is read or written.
#[test]
fn the_secrets_of_an_env_are_learnt_when_it_is_read_and_when_it_is_written() {
    for writes in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("app.env");
        fs::write(&file, "TYPE=hello\nTIMEOUT=120\nSECRET_TOKEN_VERSION=v1\nSMTP_PASSWORD=hunter2-hunter2\n").unwrap();
        let redact = Arc::new(Redact::new());
        let journal = dir.path().join("journal");
        let journal =
            Journal::create(&journal, "20261121-101502-aebagbaf".parse().unwrap(), Arc::new(SystemClock::start())).unwrap();
        let log = Log::new(journal, redact.clone(), Vec::new());
        let claim = log.claim(harness::pure::host::claim::Claimed::EnvFile { path: file }, &"e1".parse().unwrap()).unwrap();
        let checkout = GitCheckout::new(dir.path(), "/usr/bin:/bin".into()).learning(redact.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            match writes {
                false => drop(checkout.env(&claim).await.unwrap()),
                true => checkout.set_env(&claim, &[("ADMIN_PASSWORD", "given-by-hand")]).await.unwrap(),
            }
        });
        assert_eq!(redact.text("120 v1 hunter2-hunter2"), format!("120 v1 {HIDDEN}"));
        assert_eq!(redact.text("given-by-hand") == HIDDEN, writes);
    }
}
