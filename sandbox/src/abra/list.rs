//! What only looks: `abra app list`, `abra app ps`, `abra recipe versions`.

use serde_json::{Map, Value, json};

use super::{
    Context,
    app::{self, App},
    cli::{List, Ps},
    compose::Compose,
    swarm,
    terminal::{self, Done, Fatal},
};

pub(super) fn apps(context: &Context, list: &List) -> Done {
    let all = App::all(context)?.into_iter();
    let wanted: Vec<App> = all
        .filter(|app| list.server.as_ref().is_none_or(|server| *server == app.server))
        .filter(|app| list.recipe.as_ref().is_none_or(|recipe| *recipe == app.recipe))
        .collect();
    let stacks = if list.status { swarm::stacks()? } else { Vec::new() };
    let mut rows = Vec::new();
    for app in &wanted {
        let stack = app.stack();
        let labels = if list.status { swarm::labels(&format!("{stack}_app")) } else { Default::default() };
        let label = |name: &str| labels.get(&format!("coop-cloud.{stack}.{name}")).cloned().unwrap_or_else(|| "unknown".into());
        let status = match (list.status, stacks.contains(&stack)) {
            (false, _) => "",
            (true, true) => "deployed",
            (true, false) => "unknown",
        };
        rows.push((app, status.to_owned(), label("version"), label("chaos"), label("chaos-version")));
    }
    if !list.machine {
        let rows = rows.iter().map(|(app, status, version, chaos, _)| {
            vec![app.server.clone(), app.recipe.clone(), app.name.clone(), status.clone(), chaos.clone(), version.clone()]
        });
        return terminal::table(&["SERVER", "RECIPE", "DOMAIN", "STATUS", "CHAOS", "VERSION"], &rows.collect::<Vec<_>>());
    }
    let mut servers: Map<String, Value> = Map::new();
    for server in app::servers(context)? {
        let here: Vec<Value> = rows
            .iter()
            .filter(|(app, ..)| app.server == server)
            .map(|(app, status, version, chaos, chaos_version)| {
                json!({ "server": app.server, "recipe": app.recipe, "appName": app.name, "domain": app.env.get("DOMAIN").unwrap_or(""),
                        "status": status, "chaos": chaos, "chaosVersion": chaos_version, "version": version, "upgrade": "unknown" })
            })
            .collect();
        let versioned = here.iter().filter(|app| app["version"] != "unknown").count();
        servers.insert(
            server,
            json!({ "appCount": here.len(), "versionCount": versioned, "unversionedCount": here.len() - versioned,
                    "latestCount": 0, "upgradeCount": 0, "apps": here }),
        );
    }
    terminal::line(&Value::from(servers).to_string());
    Ok(())
}

/// One container per service, as abra shows it; no substitute for asking Swarm.
pub(super) fn ps(context: &Context, ps: &Ps) -> Done {
    let app = App::find(context, &ps.app)?;
    let stack = app.stack();
    let services = swarm::services(&stack)?;
    if services.is_empty() {
        return Err(Fatal::new(format!("{} is not deployed?", app.name)));
    }
    let labels = swarm::labels(&format!("{stack}_app"));
    let label = |name: &str| labels.get(&format!("coop-cloud.{stack}.{name}")).cloned().unwrap_or_else(|| "unknown".into());
    let (version, chaos) = (label("version"), label("chaos"));
    let mut objects: Map<String, Value> = Map::new();
    let mut rows = Vec::new();
    for service in services {
        let short = service.strip_prefix(&format!("{stack}_")).unwrap_or(&service).to_owned();
        let seen = swarm::container(&service)?;
        let text = |value: Option<&String>| value.cloned().unwrap_or_else(|| "unknown".to_owned());
        let (image, status) = (text(seen.as_ref().map(|seen| &seen.image)), text(seen.as_ref().map(|seen| &seen.status)));
        rows.push(vec![short.clone(), status.clone(), image.clone(), version.clone(), chaos.clone()]);
        objects.insert(
            short.clone(),
            json!({ "service": short, "chaos": chaos, "created": text(seen.as_ref().map(|seen| &seen.running_for)), "image": image,
                    "ports": text(seen.as_ref().map(|seen| &seen.ports)), "state": text(seen.as_ref().map(|seen| &seen.state)),
                    "status": status, "version": version }),
        );
    }
    match ps.machine {
        true => terminal::line(&Value::from(objects).to_string()),
        false => terminal::table(&["SERVICE", "STATUS", "IMAGE", "VERSION", "CHAOS"], &rows)?,
    }
    Ok(())
}

/// Every image of every version, newest first.
pub(super) fn versions(context: &Context, name: &str, machine: bool) -> Done {
    let recipe = context.recipe(name)?;
    if !context.offline {
        recipe.fetch()?;
    }
    let mut rows = Vec::new();
    for version in recipe.versions()?.into_iter().rev() {
        let Some(compose) = recipe.show(&version, "compose.yml").ok().and_then(|text| Compose::of_text(&text)) else { continue };
        for (service, image) in compose.images() {
            let (image, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
            rows.push([service, image, tag, version.as_str()].map(str::to_owned).to_vec());
        }
    }
    if rows.is_empty() {
        return Err(Fatal::new(format!("{name} has no published versions?")));
    }
    if !machine {
        return terminal::table(&["SERVICE", "IMAGE", "TAG", "VERSION"], &rows);
    }
    let keys = ["service", "image", "tag", "version"].map(str::to_owned);
    let objects = rows.into_iter().map(|row| keys.clone().into_iter().zip(row.into_iter().map(Value::from)).collect());
    terminal::line(&Value::from(objects.collect::<Vec<Map<String, Value>>>()).to_string());
    Ok(())
}
