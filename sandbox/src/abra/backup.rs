//! `abra app backup …` and `abra app restore`: calls of the bot in its container, over a terminal.

use std::io::{self, IsTerminal};

use super::{
    Context,
    app::App,
    cli::{Backup, Restore},
    docker,
    error::{CommandResult, Fatal},
    terminal,
};
use crate::backup::BOT_LABEL;

/// The file that the bot's `download` leaves in its container.
const DOWNLOAD: &str = "/tmp/backup.tar.gz";

pub(super) fn main(context: &Context, command: Backup) -> CommandResult {
    match command {
        Backup::Create { app, retries, chaos } => {
            let settings = retries.map(|retries| ("RETRIES", retries)).into_iter().collect();
            Bot::find(context, &app, chaos)?.run("create", settings)
        }
        Backup::Snapshots { app, chaos } => Bot::find(context, &app, chaos)?.run("snapshots", Vec::new()),
        Backup::List { app, snapshot, all, timestamps, chaos } => {
            let mut settings: Vec<_> = snapshot.map(|snapshot| ("SNAPSHOT", snapshot)).into_iter().collect();
            settings.extend(all.then(|| ("SHOW_ALL", "true".to_owned())));
            settings.extend(timestamps.then(|| ("TIMESTAMPS", "true".to_owned())));
            Bot::find(context, &app, chaos)?.run("ls", settings)
        }
        Backup::Download { app, snapshot, path, secrets, volumes, chaos } => {
            let mut settings: Vec<_> = snapshot.map(|snapshot| ("SNAPSHOT", snapshot)).into_iter().collect();
            settings.extend(path.map(|path| ("INCLUDE_PATH", path)));
            settings.extend(secrets.then(|| ("SECRETS", "true".to_owned())));
            settings.extend(volumes.then(|| ("VOLUMES", "true".to_owned())));
            let bot = Bot::find(context, &app, chaos)?;
            bot.run("download", settings)?;
            let target = std::env::current_dir()?.join("backup.tar.gz");
            docker::copy_out(&bot.container, DOWNLOAD, &target)?;
            terminal::info(format!("backup successfully downloaded to {}", target.display()));
            Ok(())
        }
    }
}

/// Restores the newest snapshot; no option names another. Hooks run only with `--hooks`.
pub(super) fn restore(context: &Context, restore: &Restore) -> CommandResult {
    let mut settings: Vec<_> = restore.target.iter().map(|target| ("TARGET", target.clone())).collect();
    for (name, list) in [("CONTAINER", &restore.services), ("VOLUMES", &restore.volumes)] {
        settings.extend((!list.is_empty()).then(|| (name, list.join(","))));
    }
    settings.extend((!restore.hooks).then(|| ("NO_COMMANDS", "true".to_owned())));
    Bot::find(context, &restore.app, restore.chaos)?.run("restore", settings)
}

/// The bot of the backup service, for one app.
struct Bot {
    app: App,
    container: String,
}

impl Bot {
    fn find(context: &Context, app: &str, chaos: bool) -> CommandResult<Self> {
        let app = App::find(context, app)?;
        app.ensure_recipe(context, chaos)?;
        let label = format!("{BOT_LABEL}=true");
        let found = docker::services_with_label(&label)?;
        let service = match found.as_slice() {
            [] => {
                return Err(Fatal::new(format!(
                    "no backupbot discovered, is it deployed? no service with the label {label} was found"
                )));
            }
            [only] => only,
            // Each of several sandboxes on one engine has its own bot.
            several => several.iter().find(|name| **name == context.bot).ok_or_else(|| {
                Fatal::new(format!(
                    "expected 1 service with the label {label}, but found {}: {}",
                    several.len(),
                    several.join(", ")
                ))
            })?,
        };
        let container = docker::running_container(service)?;
        let container = container.ok_or_else(|| Fatal::new(format!("no running container of {service} was found")))?;
        Ok(Self { app, container })
    }

    fn run(&self, command: &str, settings: Vec<(&str, String)>) -> CommandResult {
        if !io::stdin().is_terminal() {
            return Err(Fatal::new("inappropriate ioctl for device"));
        }
        let fixed = [("SERVICE", self.app.name.clone()), ("MACHINE_LOGS", "true".to_owned())];
        let env: Vec<String> = fixed.into_iter().chain(settings).map(|(name, value)| format!("{name}={value}")).collect();
        match docker::exec(&self.container, &env, &["/usr/bin/backup", "--", command])? {
            Some(0) => Ok(()),
            Some(code) => Err(Fatal::new(format!("backup {command} of {} failed with exit status {code}", self.app.name))),
            None => Err(Fatal::new(format!("backup {command} of {} was interrupted", self.app.name))),
        }
    }
}
