//! No form of a secret leaves a run: forms of random secrets, all documents, whole runs, abra's transcripts.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use data_encoding::BASE64;
use harness::{
    adapters::{
        abra::{AbraSetup, PtyAbra},
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
    pure::{
        host::claim::{Claim, Claimed},
        run::{
            event::{Event, Kind},
            plan::StepId,
            state::{RunState, fold},
        },
    },
    redact::{MASK, Redact},
    report::{
        ReportFile, reporters,
        results::{Results, document},
        terminal::{self, EndingContext, Lines, Paint},
    },
};
use proptest::prelude::*;
use quick_xml::{Reader, events::Event as Xml};
use unit_tests::{
    event_log::{EventLog, head, request},
    recording::Recording,
    sim_host::{CallBehaviour, HostBehaviour, Leak, SimHost},
};

use crate::crash::paused;

/// Secrets of all kinds: letters, characters that a notation escapes, letters beyond ASCII, several lines.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9]{12,40}",
        4 => "[!-~]{12,32}",
        2 => "[!-~]{4,8} [!-~]{8,12}",
        1 => "[a-z\"&<>'/\\\\%+]{3,6}[à-ü€😀]{2,4}[a-z\"&<>'/\\\\%+]{5,9}",
        1 => "[a-zA-Z0-9+/]{16,24}\n[a-zA-Z0-9+/]{16,24}",
    ]
    // A secret of few letters could stand in the text around it by chance.
    .prop_filter("a secret with enough different letters", |secret| {
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

/// The forms in which a secret may occur, with their names.
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

/// The name of the first form of which `text` has all, or the whole middle.
fn leaked_form(text: &str, secret: &str) -> Option<&'static str> {
    let middle = |form: &str| {
        let letters: Vec<char> = form.chars().collect();
        let edge = if letters.len() > 16 { 3 } else { 0 };
        letters[edge..letters.len() - edge].iter().collect::<String>()
    };
    forms(secret).into_iter().find(|(_, form)| text.contains(&middle(form))).map(|(name, _)| name)
}

/// A filter that knows the secret.
fn redact_with(secret: &str) -> Redact {
    let redact = Redact::new();
    assert!(redact.learn(secret));
    redact
}

proptest! {
    #[test]
    fn text_with_any_form_of_a_secret_is_hidden(secret in secret(), before in "[ -~]{0,20}", after in "[ -~]{0,20}") {
        let redact = redact_with(&secret);
        for (name, form) in forms(&secret) {
            let shown = redact.text(&format!("{before} {form} {after}"));

            prop_assert!(shown.contains(MASK), "{name}: {form:?} in {shown:?}");
            prop_assert!(leaked_form(&shown, &secret).is_none(), "{name}: {:?} in {shown:?}", leaked_form(&shown, &secret));
        }
    }

    #[test]
    fn text_without_a_secret_is_unchanged(secret in "[a-z]{8,20}", text in "[A-Z0-9 &;%\\\\\n+\u{1b}]{0,200}") {
        prop_assert_eq!(redact_with(&secret).text(&text), text);
    }

    #[test]
    fn text_around_a_secret_is_unchanged(secret in "[a-z]{12,20}", before in "[A-Z0-9 .,]{0,40}", after in "[A-Z0-9 .,]{0,40}") {
        prop_assert_eq!(redact_with(&secret).text(&format!("{before}{secret}{after}")), format!("{before}{MASK}{after}"));
    }

    #[test]
    fn filtered_text_filtered_again_is_unchanged(secret in secret(), text in "(\\PC|[\\\\&%;#xu{}0-9a-f\n\r…]){0,60}") {
        let redact = redact_with(&secret);

        let shown = redact.text(&text);

        prop_assert_eq!(redact.text(&shown), shown);
    }
}

proptest! {
    // Each case renders all documents.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn documents_of_a_leaky_run_are_readable_without_its_secret(secret in secret(), learnt_late in any::<bool>()) {
        let redact = Arc::new(Redact::new());
        if !learnt_late {
            redact.learn(&secret);
        }
        let state = redacted_state(&leaky_log(&secret), &redact);
        redact.learn(&secret);

        let documents = documents(&state, &redact);

        for (name, text) in documents {
            let leaked = leaked_form(&text, &secret);
            prop_assert!(leaked.is_none(), "{name} shows {leaked:?} of {secret:?}: {text}");
            prop_assert!(is_readable(name, &text), "{name} cannot be read: {text}");
        }
        let results: Results = serde_json::from_str(&document(&state, &redact, []).unwrap()).unwrap();
        prop_assert_eq!(results.flags.no_secret_leak, !learnt_late, "the flag says whether the secret was in the state");
        prop_assert_eq!(&results.digest, &results.computed_digest());
    }
}

/// The state that follows from the redacted events.
fn redacted_state(log: &EventLog, redact: &Redact) -> RunState {
    let redacted = |event: &Event| Event { kind: redact.fact(event.kind.clone()).0, ..event.clone() };
    log.events.iter().map(redacted).fold(RunState::default(), |state, event| fold(state, &event))
}

/// A failed run with the secret in every text that a run can quote.
fn leaky_log(secret: &str) -> EventLog {
    let quoted: Vec<String> = forms(secret).into_iter().map(|(_, form)| form).collect();
    let step = StepId("deploy".into());
    let failure = Failure::new(Cause::NotServing { last: quoted.join(" ") }, format!("output {}", quoted.join(" | ")))
        .with_output(&quoted.join("\n"));
    let failure = Failure { excerpt: quoted.clone(), ..failure };
    let outcome = Outcome::Failed(failure);
    EventLog::planned(&[Tier::Install])
        .pass(&["provision"])
        .starts("deploy")
        .then(Kind::Observed { step: step.clone(), waiting_for: quoted.clone() })
        .then(Kind::EvidenceKept {
            step: step.clone(),
            file: "evidence/deploy.txt".into(),
            what: quoted.join(" "),
            tail: quoted.join("\n"),
        })
        .then(Kind::CheckFinished { step: step.clone(), check: "all services settle".into(), outcome: outcome.clone() })
        .then(Kind::StepFinished { step, outcome })
        .then(Kind::Warned { text: quoted.join(" ") })
        .ends()
}

/// All documents and the terminal's summary of a finished run, by name.
fn documents(state: &RunState, redact: &Arc<Redact>) -> Vec<(&'static str, String)> {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::of(dir.path(), &"20261121-101502-aebagbaf".parse().unwrap());
    let place = EndingContext { folder: "/runs/x", results: true, page: false, paint: Paint::Plain };
    let files = ReportFile::ALL.map(|file| (file.name(), file.render(state, &folder, redact).unwrap()));
    files.into_iter().chain([("ending", redact.text(&terminal::ending(state, place)))]).collect()
}

fn is_readable(name: &str, text: &str) -> bool {
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

#[test]
fn secret_that_is_a_word_of_a_document_leaves_the_document_readable() {
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
        let redact = Arc::new(redact_with(secret));

        let state = redacted_state(&leaky_log(secret), &redact);

        let warnings = || state.warnings.iter();
        assert!(secret == "•••••" || !warnings().any(|warning| warning.contains(secret)), "{secret} in {:?}", state.warnings);
        for (name, text) in documents(&state, &redact) {
            assert!(is_readable(name, &text), "{name} with {secret:?} cannot be read: {text}");
        }
    }
}

/// The secret of the whole runs below: every notation escapes some character of it.
const SECRET: &str = "k9\"x&V<7/'Qz é+%\\m3Wt";

/// A run whose app has leaked its secret in every form.
struct LeakyRun {
    _runs: tempfile::TempDir,
    folder: PathBuf,
    /// All that was printed on the terminal.
    printed: String,
}

/// How the secret gets into the texts of a run.
#[derive(Debug, Clone, Copy)]
struct LeakPath {
    name: &'static str,
    behaviour: HostBehaviour,
    /// The recording of the app's service.
    recording: &'static str,
}

const ANSWER: LeakPath = LeakPath { name: "an answer of the app", behaviour: HostBehaviour::WORKING, recording: "healthy" };
const ABRA_OUTPUT: LeakPath = LeakPath {
    name: "the output of abra",
    behaviour: HostBehaviour { deploy: CallBehaviour::Fails, ..HostBehaviour::WORKING },
    recording: "healthy",
};
const LOG: LeakPath = LeakPath { name: "the log of the app", behaviour: HostBehaviour::WORKING, recording: "attempts-spent" };

/// A whole run on a host whose app leaks its secret in every form. The filter learns the secret when abra makes it, or never.
fn leaky_run(path: LeakPath, learns_secret: bool) -> LeakyRun {
    let runs = tempfile::tempdir().unwrap();
    let folder = Folder::of(runs.path(), &"20261121-101502-aebagbaf".parse().unwrap());
    let redact = Arc::new(Redact::new());
    let printed = Arc::new(Mutex::new(Vec::new()));
    let mut host = SimHost::new(path.behaviour, Recording::load(path.recording).observations.last().unwrap());
    let text = forms(SECRET).into_iter().map(|(name, form)| format!("{name}: {form}\n")).collect();
    let learner = if learns_secret { redact.clone() } else { Arc::default() };
    host.leak = Some(Leak { secret: SECRET.into(), text, redact: learner });

    paused(async {
        let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(SystemClock::start())).unwrap();
        let run_folder: Arc<dyn RunFolder> = Arc::new(folder.clone());
        let mut reporters = reporters(&run_folder, &redact);
        reporters.push(Box::new(Lines::to(SharedOutput(printed.clone()))));
        let log = Log::new(journal, redact.clone(), reporters);
        let ports = host.ports();
        let state = engine::run(host.new_run(request(&[Tier::Install]), &ports, &log, &folder)).await;
        let place = EndingContext { folder: "/runs/x", results: true, page: false, paint: Paint::Plain };
        printed.lock().unwrap().extend(redact.text(&terminal::ending(&state, place)).into_bytes());
    });

    let printed = String::from_utf8(printed.lock().unwrap().clone()).unwrap();
    LeakyRun { _runs: runs, folder: folder.root().to_owned(), printed }
}

/// An output that can be read afterwards.
struct SharedOutput(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for SharedOutput {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The first file below `folder` with a form of the secret in its bytes or its name.
fn leaking_file(folder: &Path, secret: &str) -> Option<String> {
    fs::read_dir(folder).unwrap().flatten().find_map(|entry| {
        let path = entry.path();
        let name = path.display().to_string();
        if path.is_dir() {
            return leaking_file(&path, secret);
        }
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        leaked_form(&text, secret).or_else(|| leaked_form(&name, secret)).map(|form| format!("{form} in {name}"))
    })
}

#[test]
fn run_of_a_leaky_app_hides_its_secret_everywhere() {
    for path in [ANSWER, ABRA_OUTPUT, LOG] {
        let name = path.name;

        let run = leaky_run(path, true);

        assert_eq!(leaking_file(&run.folder, SECRET), None, "{name}");
        assert_eq!(leaked_form(&run.printed, SECRET), None, "{name}: {}", run.printed);
        let journal = fs::read_to_string(run.folder.join("events.jsonl")).unwrap();
        assert!(journal.contains(MASK), "the secret was in {name}: {journal}");
        assert!(journal::read(&run.folder).unwrap().unread.is_empty(), "the journal can be read");
        let results: Results = serde_json::from_str(&fs::read_to_string(run.folder.join("results.json")).unwrap()).unwrap();
        assert!(results.flags.no_secret_leak, "{name}");
        assert_eq!(results.exit_code, 1, "{name}");
    }
}

#[test]
fn run_that_does_not_learn_the_secret_shows_it_everywhere() {
    for path in [ANSWER, ABRA_OUTPUT, LOG] {
        let run = leaky_run(path, false);

        assert!(leaking_file(&run.folder, SECRET).is_some(), "{}", path.name);
        assert!(leaked_form(&run.printed, SECRET).is_some(), "{}", path.name);
    }
}

#[test]
fn evidence_of_a_run_that_does_not_learn_the_secret_shows_the_log() {
    let run = leaky_run(LOG, false);

    let evidence = fs::read_to_string(run.folder.join("evidence/deploy.txt")).unwrap();
    assert_eq!(leaked_form(&evidence, SECRET), Some("plain"));
}

#[test]
fn secret_that_is_too_short_to_hide_is_one_warning_and_clears_the_flag() {
    let runs = tempfile::tempdir().unwrap();
    let folder = Folder::of(runs.path(), &"20261121-101502-aebagbaf".parse().unwrap());
    let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(SystemClock::start())).unwrap();
    let redact = Arc::new(Redact::new());
    let log = Log::new(journal, redact.clone(), Vec::new());

    redact.learn_as("pin", "42");
    for kind in leaky_log("0123456789ab").events.into_iter().map(|event| event.kind) {
        log.record(kind);
    }

    let results: Results = serde_json::from_str(&document(&log.state(), &redact, []).unwrap()).unwrap();
    let reported =
        results.warnings.iter().filter(|warning| warning.contains("the secret pin has fewer than 4 characters")).count();
    assert_eq!((reported, results.flags.no_secret_leak), (1, false), "{:?}", results.warnings);
}

/// The call of abra that generates secrets, after its end.
struct GeneratedSecrets {
    result: Result<String, AbraError>,
    transcript: String,
    redact: Arc<Redact>,
}

/// Calls a fake abra that prints `output` and ends with `exit`.
fn generate_secrets(output: &str, exit: i32) -> GeneratedSecrets {
    let dir = tempfile::tempdir().unwrap();
    let (abra, shim, output_file) = (dir.path().join("abra"), dir.path().join("shim.sh"), dir.path().join("output"));
    fs::write(&output_file, output).unwrap();
    fs::write(&shim, "shift 3\nIFS= read -r go || exit 125\nexec \"$@\"\n").unwrap();
    fs::write(&abra, format!("#!/bin/sh\ncat '{}'\nexit {exit}\n", output_file.display())).unwrap();
    fs::set_permissions(&abra, fs::Permissions::from_mode(0o755)).unwrap();
    let transcripts = dir.path().join("transcripts");
    let setup = AbraSetup {
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
    let log = new_log(&dir.path().join("journal"), &redact);
    let claim = log.claim(Claimed::Stack { name: head().stack }, &"e1".parse().unwrap()).unwrap();
    let call = Call::SecretGenerate { domain: head().domain, one: None };

    let result = block_on(abra.call(&call, Some(&claim), Duration::from_secs(60))).map(|exchange| exchange.text);

    let transcript = fs::read_to_string(transcripts.join("001-app-secret-generate.txt")).unwrap();
    GeneratedSecrets { result, transcript, redact }
}

/// A log with a new journal in `folder` and without reporters.
fn new_log(folder: &Path, redact: &Arc<Redact>) -> Log {
    let run = "20261121-101502-aebagbaf".parse().unwrap();
    let journal = Journal::create(folder, run, Arc::new(SystemClock::start())).unwrap();
    Log::new(journal, redact.clone(), Vec::new())
}

fn block_on<T>(act: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(act)
}

/// The JSON that abra prints of a generated secret.
fn generated_json(secret: &str) -> String {
    serde_json::json!([{ "name": "token", "value": secret }]).to_string()
}

/// Whether an error shows a form of the secret to a user or to a developer.
fn error_leaks(error: &AbraError) -> Option<&'static str> {
    leaked_form(&format!("{error} {error:?} {:?}", Failure::from(error.clone())), SECRET)
}

#[test]
fn transcript_of_readable_secrets_hides_each_of_them() {
    let json = generated_json(SECRET);
    let pretty = serde_json::to_string_pretty(&serde_json::json!([{ "name": "token", "value": SECRET }])).unwrap();
    let everywhere: String = forms(SECRET).into_iter().map(|(name, form)| format!("WARN {name}: {form}\n")).collect();
    for (name, output, exit) in [
        ("usual output", format!("INFO x\n{json}\n"), 0),
        ("further lines with every form", format!("{json}\n{everywhere}"), 0),
        ("JSON on several lines", format!("{pretty}\n"), 0),
        ("JSON before a fatal line", format!("{json}\nFATA cannot store {SECRET}\n"), 1),
    ] {
        let generated = generate_secrets(&output, exit);

        let transcript = &generated.transcript;
        assert_eq!(leaked_form(transcript, SECRET), None, "{name}: {transcript}");
        assert!(transcript.contains(MASK), "{name}: {transcript}");
        assert!(generated.redact.complete(), "{name}");
        assert_eq!(generated.redact.text(SECRET), MASK, "{name}");
        assert_eq!(generated.result.as_ref().err().and_then(error_leaks), None, "{name}: {:?}", generated.result);
    }
}

#[test]
fn transcript_of_unreadable_secrets_hides_the_whole_output() {
    let json = generated_json(SECRET);
    for (name, output, exit) in [
        ("a table", format!("INFO x\n| token | {SECRET} |\n"), 0),
        ("a table before a fatal line", format!("| token | {SECRET} |\nFATA no\n"), 1),
        ("JSON that is cut", json.replace("\"}]", ""), 0),
        ("JSON with other keys", format!("{}\n", json.replace("value", "worth")), 0),
    ] {
        let generated = generate_secrets(&output, exit);

        let transcript = &generated.transcript;
        assert_eq!(leaked_form(transcript, SECRET), None, "{name}: {transcript}");
        assert!(transcript.contains("(hidden because it may hold a secret)"), "{name}: {transcript}");
        assert!(!generated.redact.complete(), "{name}");
        assert_ne!(generated.redact.text(SECRET), MASK, "{name}");
        match generated.result {
            Ok(_) => assert_eq!(name, "a table", "output that cannot be read is an error"),
            Err(error) => assert_eq!(error_leaks(&error), None, "{name}: {error:?}"),
        }
    }
}

/// A checkout whose app has an `.env` file with a password in it.
struct EnvFixture {
    _dir: tempfile::TempDir,
    checkout: GitCheckout,
    claim: Claim,
    redact: Arc<Redact>,
}

fn env_with_password() -> EnvFixture {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal/app.env");
    fs::create_dir(dir.path().join("journal")).unwrap();
    fs::write(&file, "TYPE=hello\nTIMEOUT=120\nSECRET_TOKEN_VERSION=v1\nSMTP_PASSWORD=hunter2-hunter2\n").unwrap();
    let redact = Arc::new(Redact::new());
    let log = new_log(&dir.path().join("journal"), &redact);
    let claim = log.claim(Claimed::EnvFile { path: file }, &"e1".parse().unwrap()).unwrap();
    let checkout = GitCheckout::new(dir.path(), "/usr/bin:/bin".into()).learning(redact.clone());
    EnvFixture { _dir: dir, checkout, claim, redact }
}

#[test]
fn secrets_of_an_env_are_hidden_once_it_is_read() {
    let EnvFixture { checkout, claim, redact, .. } = &env_with_password();

    block_on(checkout.env(claim)).unwrap();

    assert_eq!(redact.text("120 v1 hunter2-hunter2"), format!("120 v1 {MASK}"));
    assert_ne!(redact.text("given-by-hand"), MASK);
}

#[test]
fn secrets_of_an_env_are_hidden_once_it_is_written() {
    let EnvFixture { checkout, claim, redact, .. } = &env_with_password();

    block_on(checkout.set_env(claim, &[("ADMIN_PASSWORD", "given-by-hand").into()])).unwrap();

    assert_eq!(redact.text("120 v1 hunter2-hunter2"), format!("120 v1 {MASK}"));
    assert_eq!(redact.text("given-by-hand"), MASK);
}
