//! `abra app undeploy`, `abra app remove` and `abra app volume …`.

use std::{thread, time::Duration};

use super::{
    Context,
    app::App,
    cli::{Remove, Undeploy, Volume},
    docker,
    error::{CommandResult, Fatal},
    terminal,
};

/// The number of attempts to remove a volume, a second apart: containers linger after an undeploy.
const VOLUME_TRIES: u32 = 5;

/// Asks for the removal of the stack and returns before it is gone, as abra does.
pub(super) fn undeploy(context: &Context, undeploy: &Undeploy) -> CommandResult {
    let app = App::find(context, &undeploy.app)?;
    let stack = app.stack();
    if docker::services(&stack)?.is_empty() {
        return Err(Fatal::new(format!("{} is not deployed?", app.name)));
    }
    let running = docker::labels(&format!("{stack}_app")).remove(&format!("coop-cloud.{stack}.version"));
    terminal::print_overview(
        "UNDEPLOY OVERVIEW",
        &[("DOMAIN", app.name.clone()), ("RECIPE", app.recipe.clone()), ("DEPLOYED", running.unwrap_or_else(|| "N/A".into()))],
    );
    terminal::confirm(context.no_input, "proceed?")?;
    docker::remove_stack(&stack)?;
    if undeploy.prune {
        terminal::warn("the stand-in never prunes");
    }
    terminal::info("undeploy succeeded 🟢");
    Ok(())
}

/// Removes secrets, volumes and the `.env` of an app that is not deployed.
pub(super) fn remove(context: &Context, remove: &Remove) -> CommandResult {
    let app = find_undeployed(context, &remove.app)?;
    terminal::confirm(context.no_input || remove.force, &format!("are you sure? all data of {} will be deleted", app.name))?;
    for secret in docker::secrets(&app.stack())? {
        docker::remove_secret(&secret)?;
        terminal::info(format!("secret {secret} removed"));
    }
    for volume in docker::volumes(&app.stack())? {
        remove_volume(&volume)?;
    }
    std::fs::remove_file(&app.path)?;
    terminal::info(format!("{} removed", app.path.display()));
    Ok(())
}

pub(super) fn volumes(context: &Context, command: Volume) -> CommandResult {
    match command {
        Volume::List { app } => {
            let app = App::find(context, &app)?;
            let volumes = docker::volumes(&app.stack())?;
            if volumes.is_empty() {
                terminal::warn(format!("no volumes created for {}", app.name));
                return Ok(());
            }
            let rows: Vec<Vec<String>> = volumes.into_iter().map(|name| vec![name, "true".to_owned()]).collect();
            terminal::print_table(&["NAME", "ON SERVER"], &rows)
        }
        Volume::Remove { app, volume, force } => {
            let app = find_undeployed(context, &app)?;
            let stack = app.stack();
            let mut wanted = docker::volumes(&stack)?;
            if let Some(one) = volume {
                let full = format!("{stack}_{one}");
                wanted.retain(|name| *name == full || *name == one);
            }
            if wanted.is_empty() {
                terminal::warn(format!("no volumes removed for {}", app.name));
                return Ok(());
            }
            terminal::confirm(context.no_input || force, &format!("remove {}?", wanted.join(", ")))?;
            wanted.iter().try_for_each(|name| remove_volume(name))
        }
    }
}

/// The app, which must not be deployed.
fn find_undeployed(context: &Context, name: &str) -> CommandResult<App> {
    let app = App::find(context, name)?;
    match docker::services(&app.stack())?.is_empty() {
        true => Ok(app),
        false => Err(Fatal::new(format!("{name} is still deployed. Run \"abra app undeploy {name}\""))),
    }
}

fn remove_volume(name: &str) -> CommandResult {
    let mut tries = 1;
    loop {
        match docker::remove_volume(name) {
            Ok(()) => {
                terminal::info(format!("volume {name} removed"));
                return Ok(());
            }
            Err(error) if tries == VOLUME_TRIES => return Err(error),
            Err(_) => thread::sleep(Duration::from_secs(1)),
        }
        tries += 1;
    }
}
