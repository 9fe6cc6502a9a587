//! The bot of the sandbox's backup service: the labels of the backupbot specification, carried out with restic.
//!
//! Like the specimen it has no dependency and is linked statically. `backup serve` is the service's own process. abra execs
//! `backup -- COMMAND` beside it, with its settings in the environment; each can be given as an option instead:
//!
//! | setting | option | meaning |
//! |---|---|---|
//! | `SERVICE` | `-h`, `--host` | the app's name |
//! | `SNAPSHOT` | `-s`, `--snapshot` | the snapshot to restore, list or download; `latest` without it |
//! | `TARGET` | `--target` | the folder to restore into, `/` without it |
//! | `VOLUMES` | `--volumes` | names with commas: the only volumes to restore |
//! | `CONTAINER` | `--container` | names with commas: the only services to restore |
//! | `NO_COMMANDS` | `--no-commands` | `true`: no hooks while restoring |
//! | `RETRIES` | `--retries` | how often a failed copy is tried again; once without it |
//! | `SHOW_ALL` | `--all` | `true`: `ls` shows the folders above the volumes, too |
//! | `TIMESTAMPS` | `--timestamps` | `true`: `ls` shows times |
//! | `INCLUDE_PATH` | `--path` | the only path to list or download |
//! | `MACHINE_LOGS` | `--machine-logs` | `true`: the log is JSON, an object a line |
//!
//! The commands are `create`, `restore`, `snapshots`, `ls` and `download`. Exit code 1 for whatever goes wrong.

mod copies;
mod engine;
mod json;
mod labels;
mod restic;
mod stack;

use std::{collections::BTreeMap, env, process::exit, thread, time::Duration};

use crate::json::quoted;

unsafe extern "C" {
    fn signal(number: i32, handler: usize) -> usize;
    fn _exit(code: i32) -> !;
}

const SIGTERM: i32 = 15;

/// Options with a value, and the settings that they are.
const VALUES: [(&str, &str); 9] = [
    ("-h", "SERVICE"),
    ("--host", "SERVICE"),
    ("-s", "SNAPSHOT"),
    ("--snapshot", "SNAPSHOT"),
    ("--target", "TARGET"),
    ("--volumes", "VOLUMES"),
    ("--container", "CONTAINER"),
    ("--retries", "RETRIES"),
    ("--path", "INCLUDE_PATH"),
];

/// Options without one.
const SWITCHES: [(&str, &str); 4] =
    [("--no-commands", "NO_COMMANDS"), ("--all", "SHOW_ALL"), ("--timestamps", "TIMESTAMPS"), ("--machine-logs", "MACHINE_LOGS")];

/// Why a command ends with exit code 1.
#[derive(Debug)]
pub(crate) struct Fatal(String);

impl Fatal {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// What a command is told.
pub(crate) struct Settings(BTreeMap<String, String>);

impl Settings {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned().or_else(|| env::var(name).ok()).filter(|value| !value.is_empty())
    }

    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| ["true", "1"].contains(&value.to_ascii_lowercase().as_str()))
    }

    /// The names in a setting, when there is one.
    pub(crate) fn names(&self, name: &str) -> Option<Vec<String>> {
        let names = |value: String| value.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        self.get(name).map(names)
    }

    pub(crate) fn app(&self) -> Result<String, Fatal> {
        self.get("SERVICE").ok_or_else(|| Fatal::new("SERVICE names no app"))
    }

    /// One line of the log.
    pub(crate) fn log(&self, level: &str, text: &str) {
        match self.is_on("MACHINE_LOGS") {
            true => println!("{{\"message_type\": {}, \"message\": {}}}", quoted(level), quoted(text)),
            false => println!("{} {text}", level.to_ascii_uppercase()),
        }
    }
}

fn main() {
    let (settings, command) = match parse(env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(Fatal(text)) => {
            eprintln!("{text}");
            exit(1);
        }
    };
    let done = restic::prepare().and_then(|()| match command.as_str() {
        "serve" => serve(),
        "create" => copies::create(&settings),
        "restore" => copies::restore(&settings),
        "snapshots" => copies::snapshots(&settings),
        "ls" => copies::list(&settings),
        "download" => copies::download(&settings),
        other => Err(Fatal::new(format!("no such command: {other}"))),
    });
    if let Err(Fatal(text)) = done {
        settings.log("error", &text);
        exit(1);
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<(Settings, String), Fatal> {
    let (mut settings, mut command) = (BTreeMap::new(), None);
    while let Some(word) = words.next() {
        let named = |table: &[(&str, &str)]| table.iter().find(|(option, _)| *option == word).map(|(_, name)| (*name).to_owned());
        if let Some(name) = named(&VALUES) {
            let value = words.next().ok_or_else(|| Fatal::new(format!("{word} wants a value")))?;
            settings.insert(name, value);
        } else if let Some(name) = named(&SWITCHES) {
            settings.insert(name, "true".to_owned());
        } else if word != "--" && (word.starts_with('-') || command.is_some()) {
            return Err(Fatal::new(format!("no such option: {word}")));
        } else if word != "--" {
            command = Some(word);
        }
    }
    let command = command.ok_or_else(|| Fatal::new("a command is missing: create, restore, snapshots, ls or download"))?;
    Ok((Settings(settings), command))
}

/// The first process of a container gets no default action for a signal, so SIGTERM needs a handler to end it.
extern "C" fn end(_: i32) {
    // SAFETY: `_exit` may be called in a signal handler.
    unsafe { _exit(0) }
}

/// Keeps the container there, with the repository ready for those who exec in it.
fn serve() -> Result<(), Fatal> {
    // SAFETY: the handler only calls `_exit`.
    unsafe { signal(SIGTERM, end as *const () as usize) };
    restic::unlock();
    println!("the repository is ready");
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
