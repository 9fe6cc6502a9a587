//! The abra adapter against programs that misbehave: each call ends within its budget, returns the right error, and leaves no
//! process.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use harness::{
    adapters::abra::{AbraSetup, PtyAbra},
    ports::{Abra, AbraError, Call, ChildRegister, Exchange, RegisterError},
    redact::Redact,
};
use tempfile::TempDir;

/// The shim without taster: it waits for the line and becomes the program.
const SHIM: &str = "shift 3\nIFS= read -r go || exit 125\nexec \"$@\"\n";
/// The time that a call may take beyond its budget. It only has to be finite: a call that waits for a program without end never
/// returns.
const SLACK: Duration = Duration::from_secs(60);

/// Remembers the children and, with `refuse`, refuses them.
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

/// A fake abra.
struct Fake {
    dir: TempDir,
    register: Arc<Register>,
}

impl Fake {
    /// A shell script called `abra`. `$DIR` is its folder.
    fn new(script: &str) -> Self {
        Self::with_register(script, Register::default())
    }

    fn with_register(script: &str, register: Register) -> Self {
        let fake = Self { dir: tempfile::tempdir().unwrap(), register: Arc::new(register) };
        let (dir, path) = (fake.dir.path().display(), fake.dir.path().join("abra"));
        fs::write(fake.dir.path().join("shim.sh"), SHIM).unwrap();
        fs::write(&path, format!("#!/bin/sh\nDIR='{dir}'\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fake
    }

    fn setup(&self) -> AbraSetup {
        let dir = self.dir.path();
        AbraSetup {
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

    fn call_with(&self, setup: AbraSetup, budget: Duration) -> Result<Exchange, AbraError> {
        let abra = PtyAbra::new(setup, self.register.clone(), Arc::new(Redact::new()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let started = Instant::now();
        let answer = runtime.block_on(abra.call(&Call::Version, None, budget));
        assert!(started.elapsed() < budget + SLACK, "took {:?} of {budget:?}", started.elapsed());
        self.assert_no_process_lives();
        answer
    }

    /// Looks for the folder, which every process of a call has in its arguments or its environment.
    fn assert_no_process_lives(&self) {
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
fn abra_runs_on_terminal_with_clean_environment() {
    let fake = Fake::new("tty\nstty size\npwd\nenv | sort\nls -A | wc -l\necho to-stderr >&2");

    let text = fake.call(MINUTE).unwrap().text;

    let dir = fake.dir.path().display();
    for line in ["50 250", "LC_ALL=C.UTF-8", "TERM=xterm-256color", "0", "to-stderr"] {
        assert!(text.lines().any(|found| found == line), "{line:?} in {text}");
    }
    for part in [
        format!("{dir}/run/empty\n"),
        format!("ABRA_DIR={dir}/run/abra\n"),
        format!("HOME={dir}\n"),
        format!("TMPDIR={dir}/run/abra/tmp\n"),
        "/dev/pts/".into(),
    ] {
        assert!(text.contains(&part), "{part:?} in {text}");
    }
    for name in ["DOCKER_HOST=", "CARGO", "EDITOR=", "LANGUAGE="] {
        assert!(!text.contains(name), "{name} in {text}");
    }
    assert!(!text.contains("go\n"), "the line that starts it is not part of its output: {text}");
}

#[test]
fn hanging_abra_is_ended_at_its_budget() {
    let fake = Fake::new("echo working\nsleep 1000");

    let error = fake.call(SECOND).unwrap_err();

    assert_eq!(error, AbraError::Hung { after: SECOND, last: "working".into() });
}

#[test]
fn abra_that_ignores_sigterm_is_killed() {
    let fake = Fake::new("trap '' TERM INT HUP\necho stubborn\nwhile :; do sleep 0.05; done");

    let error = fake.call(SECOND).unwrap_err();

    assert!(matches!(error, AbraError::Hung { last, .. } if last == "stubborn"));
}

#[test]
fn abra_that_handles_sigterm_has_time_to_tidy_up() {
    let fake = Fake::new("trap 'echo tidied > \"$DIR/tidied\"; exit 0' TERM\necho on\nwhile :; do sleep 0.05; done");

    let error = fake.call(SECOND).unwrap_err();

    assert!(matches!(error, AbraError::Hung { .. }));
    assert_eq!(fs::read_to_string(fake.dir.path().join("tidied")).unwrap(), "tidied\n");
}

#[test]
fn question_of_abra_ends_the_call_at_once() {
    let fake = Fake::new("echo first\nprintf '? proceed? (y/N) '\nread answer\necho \"answered: $answer\"");

    let error = fake.call(MINUTE).unwrap_err();

    assert_eq!(error, AbraError::Prompted { prompt: "? proceed? (y/N)".into() });
}

#[test]
fn pause_after_colon_is_no_question_when_line_goes_on() {
    let fake = Fake::new("printf 'pulling:'\nsleep 0.05\necho ' done'");

    let exchange = fake.call(MINUTE).unwrap();

    assert_eq!(exchange.text, "pulling: done\n");
}

#[test]
fn death_by_signal_and_failure_are_different_errors() {
    let error = |script: &str| Fake::new(script).call(MINUTE).unwrap_err();

    let signalled = error("echo last words\nkill -SEGV $$");
    let fatal = error("echo 'INFO x'\necho 'FATA no such app'\nexit 1");
    let silent = error("exit 3");

    assert_eq!(signalled, AbraError::Signalled { signal: 11, last: "last words".into() });
    assert!(matches!(&fatal, AbraError::Fatal { exit: 1, reason, .. } if reason == "no such app"), "{fatal:?}");
    assert!(matches!(&silent, AbraError::Fatal { exit: 3, reason, .. } if reason == "nothing was printed"), "{silent:?}");
}

#[test]
fn nonsense_is_an_exchange_that_no_parser_reads() {
    let fake = Fake::new("head -c 20000 /dev/urandom");

    let exchange = fake.call(MINUTE).unwrap();

    assert!(matches!(harness::ports::abra_output::version(&exchange), Err(AbraError::Unreadable { .. })));
}

#[test]
fn eight_megabytes_of_output_are_read_whole() {
    let fake = Fake::new("yes 'a line of thirty-one characters' | head -c 8000000\necho\necho end");

    let exchange = fake.call(MINUTE).unwrap();

    let lines: Vec<&str> = exchange.text.lines().collect();
    assert!(exchange.raw.len() > 8_000_000 && lines.last() == Some(&"end"), "{} bytes", exchange.raw.len());
    assert!(lines[..lines.len() - 2].iter().all(|line| *line == "a line of thirty-one characters"));
}

#[test]
fn output_without_end_ends_with_the_budget() {
    let fake = Fake::new("yes flood");

    let error = fake.call(SECOND).unwrap_err();

    assert!(matches!(error, AbraError::Hung { .. }));
}

#[test]
fn leftover_processes_end_with_the_call() {
    // In its group, in another session, and an orphan that is known by its environment alone; all hold the terminal open.
    let ends = Fake::new("sleep 1000 &\nsetsid sleep 1001 &\n(setsid sh -c 'sleep 1002 & sleep 1003' &) &\nsleep 0.2\necho done");
    let hangs = Fake::new("trap '' TERM\nsetsid sh -c 'trap \"\" TERM; while :; do sleep 0.05; done' &\nsleep 1000");

    let (ended, hung) = (ends.call(MINUTE), hangs.call(SECOND));

    assert_eq!(ended.unwrap().text, "done\n");
    assert!(matches!(hung.unwrap_err(), AbraError::Hung { .. }));
}

#[test]
fn program_that_cannot_be_started_is_absent() {
    let fake = Fake::new("true");
    let absent = |setup: AbraSetup| match fake.call_with(setup, MINUTE).unwrap_err() {
        AbraError::Absent { message, .. } => message,
        other => panic!("{other:?}"),
    };

    assert_eq!(absent(AbraSetup { abra: "/nowhere/abra".into(), ..fake.setup() }), "the file does not exist");
    assert_eq!(absent(AbraSetup { abra: "no-such-abra".into(), ..fake.setup() }), "it is not in PATH");
    fs::set_permissions(fake.dir.path().join("abra"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(absent(fake.setup()), "it is not executable");
    assert!(fake.register.pids.lock().unwrap().is_empty(), "no process was started for any of them");
}

#[test]
fn child_that_cannot_be_registered_never_acts() {
    let fake = Fake::with_register("touch \"$DIR/acted\"", Register { refuse: true, ..Register::default() });

    let error = fake.call(MINUTE).unwrap_err();

    let pid = fake.register.pids.lock().unwrap()[0];
    let message = format!("process {pid} cannot be registered: the disk is full");
    assert_eq!(error, AbraError::NotRun { call: "version".into(), message });
    assert!(!fake.dir.path().join("acted").exists());
}

#[test]
fn cancelled_call_leaves_no_process() {
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

    fake.assert_no_process_lives();
}
