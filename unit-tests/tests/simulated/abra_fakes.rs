//! The adapter against programs that behave badly: each call ends within its budget, with the right error and nobody left.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use harness::{
    adapters::abra::{PtyAbra, Setup},
    ports::{Abra, AbraError, Call, ChildRegister, Exchange, RegisterError},
    redact::Redact,
};
use tempfile::TempDir;

/// What the shim does, without taster: waits for the line, becomes the program.
const SHIM: &str = "shift 3\nIFS= read -r go || exit 125\nexec \"$@\"\n";
/// What a call may take beyond its budget. No measure: what waits for a program that has no end never comes back at all.
const SLACK: Duration = Duration::from_secs(60);

/// Remembers the children and, when told to, refuses them.
#[derive(Default)]
struct Register {
    pids: Mutex<Vec<i32>>,
    refuse: bool,
}

#[async_trait]
impl ChildRegister for Register {
    async fn started(&self, pid: i32, _start_ticks: u64, _doing: &str) -> Result<(), RegisterError> {
        self.pids.lock().unwrap().push(pid);
        if self.refuse { Err(RegisterError { pid, source: "the disk is full".into() }) } else { Ok(()) }
    }

    async fn ended(&self, _pid: i32) {}
}

struct Fake {
    dir: TempDir,
    register: Arc<Register>,
}

impl Fake {
    /// A program called `abra` with this text. `$DIR` is a folder of its own.
    fn new(script: &str) -> Self {
        Self::with(script, Register::default())
    }

    fn with(script: &str, register: Register) -> Self {
        let fake = Self { dir: tempfile::tempdir().unwrap(), register: Arc::new(register) };
        let shown = fake.dir.path().display();
        fs::write(fake.dir.path().join("shim.sh"), SHIM).unwrap();
        fake.program(&format!("#!/bin/sh\nDIR='{shown}'\n{script}\n"));
        fake
    }

    fn program(&self, text: &str) {
        let path = self.dir.path().join("abra");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn setup(&self) -> Setup {
        let dir = self.dir.path();
        Setup {
            abra: dir.join("abra"),
            shim: vec!["/bin/sh".into(), dir.join("shim.sh").into()],
            abra_dir: dir.join("run/abra"),
            server: "default".into(),
            cwd: dir.join("run/empty"),
            transcripts: dir.join("run/transcripts"),
            home: dir.to_owned(),
            path: std::env::var_os("PATH").unwrap(),
            quiet: Duration::from_millis(300),
        }
    }

    fn call(&self, budget: Duration) -> Result<Exchange, AbraError> {
        self.call_with(self.setup(), budget)
    }

    fn call_with(&self, setup: Setup, budget: Duration) -> Result<Exchange, AbraError> {
        let abra = PtyAbra::new(setup, self.register.clone(), Arc::new(Redact::new()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let started = Instant::now();
        let answer = runtime.block_on(abra.call(&Call::Version, None, budget));
        assert!(started.elapsed() < budget + SLACK, "took {:?} of {budget:?}", started.elapsed());
        self.nobody_lives();
        answer
    }

    /// Every process of a call has the folder in its arguments or its environment.
    fn nobody_lives(&self) {
        let own = self.dir.path().to_string_lossy().into_owned();
        for entry in fs::read_dir("/proc").unwrap().flatten().filter(|entry| entry.path().join("stat").exists()) {
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let zombie = stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'));
            let read = |file: &str| String::from_utf8_lossy(&fs::read(entry.path().join(file)).unwrap_or_default()).into_owned();
            let ours = read("environ").contains(&own) || read("cmdline").contains(&own);
            assert!(zombie || !ours, "{} lives: {}", entry.path().display(), read("cmdline"));
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn it_sees_a_terminal_and_a_clean_environment() {
    let fake = Fake::new("tty\nstty size\npwd\nenv | sort\nls -A | wc -l\necho to-stderr >&2");
    let text = fake.call(MINUTE).unwrap().text;
    let dir = fake.dir.path().display();
    for line in ["50 250", "LC_ALL=C.UTF-8", "TERM=xterm-256color", "0", "to-stderr"] {
        assert!(text.lines().any(|found| found == line), "{line:?} in {text}");
    }
    for part in [format!("{dir}/run/empty\n"), format!("ABRA_DIR={dir}/run/abra\n"), format!("HOME={dir}\n"), "/dev/pts/".into()]
    {
        assert!(text.contains(&part), "{part:?} in {text}");
    }
    for name in ["DOCKER_HOST=", "CARGO", "EDITOR=", "LANGUAGE="] {
        assert!(!text.contains(name), "{name} in {text}");
    }
    assert!(!text.contains("go\n"), "the word that lets it go is not part of its output: {text}");
}

#[test]
fn one_that_hangs_is_ended() {
    let fake = Fake::new("echo working\nsleep 1000");
    let error = fake.call(SECOND).unwrap_err();
    assert_eq!(error, AbraError::Hung { after: SECOND, last: "working".into() });
}

#[test]
fn one_that_ignores_the_polite_signal_is_killed() {
    let fake = Fake::new("trap '' TERM INT HUP\necho stubborn\nwhile :; do sleep 0.05; done");
    assert!(matches!(fake.call(SECOND).unwrap_err(), AbraError::Hung { last, .. } if last == "stubborn"));
}

#[test]
fn one_that_tidies_up_may_do_so() {
    let fake = Fake::new("trap 'echo tidied > \"$DIR/tidied\"; exit 0' TERM\necho on\nwhile :; do sleep 0.05; done");
    assert!(matches!(fake.call(SECOND).unwrap_err(), AbraError::Hung { .. }));
    assert_eq!(fs::read_to_string(fake.dir.path().join("tidied")).unwrap(), "tidied\n");
}

#[test]
fn one_that_asks_is_stopped_and_not_waited_for() {
    let fake = Fake::new("echo first\nprintf '? proceed? (y/N) '\nread answer\necho \"answered: $answer\"");
    let error = fake.call(MINUTE).unwrap_err();
    assert_eq!(error, AbraError::Prompted { prompt: "? proceed? (y/N)".into() });
}

#[test]
fn a_pause_behind_a_colon_is_no_question_when_the_line_goes_on() {
    let fake = Fake::new("printf 'pulling:'\nsleep 0.05\necho ' done'");
    assert_eq!(fake.call(MINUTE).unwrap().text, "pulling: done\n");
}

#[test]
fn one_that_dies_by_a_signal_is_told_from_one_that_fails() {
    let error = Fake::new("echo last words\nkill -SEGV $$").call(MINUTE).unwrap_err();
    assert_eq!(error, AbraError::Signalled { signal: 11, last: "last words".into() });
    let error = Fake::new("echo 'INFO x'\necho 'FATA no such app'\nexit 1").call(MINUTE).unwrap_err();
    assert!(matches!(&error, AbraError::Fatal { exit: 1, reason, .. } if reason == "no such app"), "{error:?}");
    let error = Fake::new("exit 3").call(MINUTE).unwrap_err();
    assert!(matches!(&error, AbraError::Fatal { exit: 3, reason, .. } if reason == "nothing was printed"), "{error:?}");
}

#[test]
fn nonsense_is_an_exchange_that_no_parser_reads() {
    let fake = Fake::new("head -c 20000 /dev/urandom");
    let exchange = fake.call(MINUTE).unwrap();
    assert!(matches!(harness::ports::abra_output::version(&exchange), Err(AbraError::Unreadable { .. })));
}

#[test]
fn eight_megabytes_come_through_whole() {
    let fake = Fake::new("yes 'a line of thirty-one characters' | head -c 8000000\necho\necho end");
    let exchange = fake.call(MINUTE).unwrap();
    let lines: Vec<&str> = exchange.text.lines().collect();
    assert!(exchange.raw.len() > 8_000_000 && lines.last() == Some(&"end"), "{} bytes", exchange.raw.len());
    assert!(lines[..lines.len() - 2].iter().all(|line| *line == "a line of thirty-one characters"));
}

#[test]
fn output_without_end_ends_with_the_budget() {
    assert!(matches!(Fake::new("yes flood").call(SECOND).unwrap_err(), AbraError::Hung { .. }));
}

#[test]
fn what_it_left_behind_is_ended_with_it() {
    // In its group, in a session of its own, and an orphan that only its environment gives away; all hold the terminal open.
    let fake = Fake::new("sleep 1000 &\nsetsid sleep 1001 &\n(setsid sh -c 'sleep 1002 & sleep 1003' &) &\nsleep 0.2\necho done");
    assert_eq!(fake.call(MINUTE).unwrap().text, "done\n");
    let fake = Fake::new("trap '' TERM\nsetsid sh -c 'trap \"\" TERM; while :; do sleep 0.05; done' &\nsleep 1000");
    assert!(matches!(fake.call(SECOND).unwrap_err(), AbraError::Hung { .. }));
}

#[test]
fn what_cannot_be_started_is_absent() {
    let fake = Fake::new("true");
    let absent = |setup: Setup| match fake.call_with(setup, MINUTE).unwrap_err() {
        AbraError::Absent { message, .. } => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(absent(Setup { abra: "/nowhere/abra".into(), ..fake.setup() }), "the file does not exist");
    assert_eq!(absent(Setup { abra: "abra-of-nobody".into(), ..fake.setup() }), "it is not in PATH");
    fs::set_permissions(fake.dir.path().join("abra"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(absent(fake.setup()), "it is not executable");
    assert!(fake.register.pids.lock().unwrap().is_empty(), "nothing was started for any of them");
}

#[test]
fn a_child_that_cannot_be_written_down_never_acts() {
    let fake = Fake::with("touch \"$DIR/acted\"", Register { refuse: true, ..Register::default() });
    let error = fake.call(MINUTE).unwrap_err();
    assert_eq!(error, AbraError::NotRun { call: "version".into(), message: "the disk is full".into() });
    assert!(!Path::new(&fake.dir.path().join("acted")).exists());
}

#[test]
fn a_call_that_is_given_up_leaves_nobody() {
    let fake = Fake::new("echo x > \"$DIR/acting\"\nsetsid sleep 1000 &\nsleep 1000");
    let abra = PtyAbra::new(fake.setup(), fake.register.clone(), Arc::new(Redact::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let acting = async {
            while !fake.dir.path().join("acting").exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            answer = abra.call(&Call::Version, None, MINUTE) => panic!("{answer:?}"),
            () = acting => {}
        }
    });
    fake.nobody_lives();
}
