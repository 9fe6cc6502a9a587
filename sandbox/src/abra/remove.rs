//! `abra app undeploy`, `abra app remove` and `abra app volume …`.

use std::{thread, time::Duration};

use super::{
    Context,
    app::App,
    cli::{Remove, Undeploy, Volume},
    swarm,
    terminal::{self, Done, Fatal},
};

/// How often the removal of a volume is tried, a second apart: containers linger after an undeploy.
const VOLUME_TRIES: u32 = 5;

/// Asks for the removal of the stack and returns, as abra does, before anything is gone for sure.
pub(super) fn undeploy(context: &Context, undeploy: &Undeploy) -> Done {
    let app = App::find(context, &undeploy.app)?;
    let stack = app.stack();
    if swarm::services(&stack)?.is_empty() {
        return Err(Fatal::new(format!("{} is not deployed?", app.name)));
    }
    let running = swarm::labels(&format!("{stack}_app")).remove(&format!("coop-cloud.{stack}.version"));
    terminal::overview(
        "UNDEPLOY OVERVIEW",
        &[("DOMAIN", app.name.clone()), ("RECIPE", app.recipe.clone()), ("DEPLOYED", running.unwrap_or_else(|| "N/A".into()))],
    );
    terminal::confirm(context.no_input, "proceed?")?;
    swarm::remove_stack(&stack)?;
    if undeploy.prune {
        terminal::warn("the stand-in never prunes");
    }
    terminal::info("undeploy succeeded 🟢");
    Ok(())
}

/// Removes secrets, volumes and the `.env` of an app that is not deployed.
pub(super) fn remove(context: &Context, remove: &Remove) -> Done {
    let app = undeployed(context, &remove.app)?;
    terminal::confirm(context.no_input || remove.force, &format!("are you sure? all data of {} will be deleted", app.name))?;
    for secret in swarm::secrets(&app.stack())? {
        swarm::remove_secret(&secret)?;
        terminal::info(format!("secret {secret} removed"));
    }
    for volume in swarm::volumes(&app.stack())? {
        remove_volume(&volume)?;
    }
    std::fs::remove_file(&app.path)?;
    terminal::info(format!("{} removed", app.path.display()));
    Ok(())
}

pub(super) fn volumes(context: &Context, command: Volume) -> Done {
    match command {
        Volume::List { app } => {
            let app = App::find(context, &app)?;
            let volumes = swarm::volumes(&app.stack())?;
            if volumes.is_empty() {
                terminal::warn(format!("no volumes created for {}", app.name));
                return Ok(());
            }
            let rows: Vec<Vec<String>> = volumes.into_iter().map(|name| vec![name, "true".to_owned()]).collect();
            terminal::table(&["NAME", "ON SERVER"], &rows)
        }
        Volume::Remove { app, volume, force } => {
            let app = undeployed(context, &app)?;
            let stack = app.stack();
            let mut wanted = swarm::volumes(&stack)?;
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

fn undeployed(context: &Context, name: &str) -> Done<App> {
    let app = App::find(context, name)?;
    match swarm::services(&app.stack())?.is_empty() {
        true => Ok(app),
        false => Err(Fatal::new(format!("{name} is still deployed. Run \"abra app undeploy {name}\""))),
    }
}

fn remove_volume(name: &str) -> Done {
    let mut tries = 1;
    loop {
        match swarm::remove_volume(name) {
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
