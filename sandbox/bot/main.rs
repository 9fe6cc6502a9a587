//! The bot of the sandbox's backup service: it implements the labels of the backupbot specification with restic.
//!
//! Like the specimen it has no dependency and is linked statically. `backup serve` is the main process of the service. abra
//! executes `backup -- COMMAND` in the same container, with settings in the environment. Each setting is also an option:
//!
//! | setting | option | meaning |
//! |---|---|---|
//! | `SERVICE` | `-h`, `--host` | the app's name |
//! | `SNAPSHOT` | `-s`, `--snapshot` | the snapshot to restore, list or download; `latest` without it |
//! | `TARGET` | `--target` | the folder to restore into; `/` without it |
//! | `VOLUMES` | `--volumes` | the volumes to restore, separated by commas; all without it |
//! | `CONTAINER` | `--container` | the services to restore, separated by commas; all without it |
//! | `NO_COMMANDS` | `--no-commands` | `true`: no hooks while restoring |
//! | `RETRIES` | `--retries` | the number of retries of a failed copy; 1 without it |
//! | `SHOW_ALL` | `--all` | `true`: `ls` also shows the folders above the volumes |
//! | `TIMESTAMPS` | `--timestamps` | `true`: `ls` shows times |
//! | `INCLUDE_PATH` | `--path` | the path to list or download; all without it |
//! | `MACHINE_LOGS` | `--machine-logs` | `true`: the log has a JSON object in each line |
//!
//! The commands are `create`, `restore`, `snapshots`, `ls` and `download`. Every failure has exit code 1.

mod commands;
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

/// Options with a value, and their settings.
const VALUE_OPTIONS: [(&str, &str); 9] = [
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

/// Options without a value, and their settings.
const FLAGS: [(&str, &str); 4] =
    [("--no-commands", "NO_COMMANDS"), ("--all", "SHOW_ALL"), ("--timestamps", "TIMESTAMPS"), ("--machine-logs", "MACHINE_LOGS")];

/// The failure of a command, which ends with exit code 1.
#[derive(Debug)]
pub(crate) struct Fatal(String);

impl Fatal {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// The settings of a command: its options, then its environment.
pub(crate) struct Settings(BTreeMap<String, String>);

impl Settings {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned().or_else(|| env::var(name).ok()).filter(|value| !value.is_empty())
    }

    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| ["true", "1"].contains(&value.to_ascii_lowercase().as_str()))
    }

    /// The names in a setting; `None` without the setting.
    pub(crate) fn names(&self, name: &str) -> Option<Vec<String>> {
        let names = |value: String| value.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        self.get(name).map(names)
    }

    pub(crate) fn app(&self) -> Result<String, Fatal> {
        self.get("SERVICE").ok_or_else(|| Fatal::new("SERVICE names no app"))
    }

    /// Prints a line of the log.
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
        "create" => commands::create(&settings),
        "restore" => commands::restore(&settings),
        "snapshots" => commands::snapshots(&settings),
        "ls" => commands::list(&settings),
        "download" => commands::download(&settings),
        other => Err(Fatal::new(format!("no such command: {other}"))),
    });
    if let Err(Fatal(text)) = done {
        settings.log("error", &text);
        exit(1);
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<(Settings, String), Fatal> {
    let (mut settings, mut command) = (BTreeMap::new(), None);
    while let Some(arg) = args.next() {
        let setting_of =
            |table: &[(&str, &str)]| table.iter().find(|(option, _)| *option == arg).map(|(_, name)| (*name).to_owned());
        if let Some(name) = setting_of(&VALUE_OPTIONS) {
            let value = args.next().ok_or_else(|| Fatal::new(format!("{arg} needs a value")))?;
            settings.insert(name, value);
        } else if let Some(name) = setting_of(&FLAGS) {
            settings.insert(name, "true".to_owned());
        } else if arg != "--" && (arg.starts_with('-') || command.is_some()) {
            return Err(Fatal::new(format!("no such option: {arg}")));
        } else if arg != "--" {
            command = Some(arg);
        }
    }
    let command = command.ok_or_else(|| Fatal::new("a command is missing: create, restore, snapshots, ls or download"))?;
    Ok((Settings(settings), command))
}

/// The first process of a container has no default action for a signal, so SIGTERM needs a handler.
extern "C" fn end(_: i32) {
    // SAFETY: `_exit` may be called in a signal handler.
    unsafe { _exit(0) }
}

/// Keeps the container running, for the commands that are executed in it.
fn serve() -> Result<(), Fatal> {
    // SAFETY: the handler only calls `_exit`.
    unsafe { signal(SIGTERM, end as *const () as usize) };
    restic::unlock();
    println!("the repository is ready");
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
