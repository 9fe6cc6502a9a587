//! The commands that only read: `abra app list`, `abra app ps`, `abra recipe versions`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Context,
    app::{self, App},
    cli::{List, Ps},
    compose::Compose,
    docker,
    error::{CommandResult, Fatal},
    terminal,
};

/// The value of everything that abra does not know.
const UNKNOWN: &str = "unknown";

/// The labels of abra on the service `app` of a stack.
struct DeployLabels {
    stack: String,
    labels: BTreeMap<String, String>,
}

impl DeployLabels {
    fn of(stack: &str) -> Self {
        Self { stack: stack.to_owned(), labels: docker::labels(&format!("{stack}_app")) }
    }

    fn get(&self, name: &str) -> String {
        self.labels.get(&format!("coop-cloud.{}.{name}", self.stack)).cloned().unwrap_or_else(|| UNKNOWN.into())
    }
}

/// An app in `abra app list`.
struct AppRow<'a> {
    app: &'a App,
    status: &'static str,
    version: String,
    chaos: String,
    chaos_version: String,
}

impl<'a> AppRow<'a> {
    /// The row of an app without its state on the server.
    fn offline(app: &'a App) -> Self {
        let unknown = || UNKNOWN.to_owned();
        Self { app, status: "", version: unknown(), chaos: unknown(), chaos_version: unknown() }
    }

    fn with_status(app: &'a App, stacks: &[String]) -> Self {
        let stack = app.stack();
        let labels = DeployLabels::of(&stack);
        let status = if stacks.contains(&stack) { "deployed" } else { UNKNOWN };
        Self {
            app,
            status,
            version: labels.get("version"),
            chaos: labels.get("chaos"),
            chaos_version: labels.get("chaos-version"),
        }
    }

    fn cells(&self) -> Vec<String> {
        let app = self.app;
        [&app.server, &app.recipe, &app.name, self.status, &self.chaos, &self.version].map(str::to_owned).to_vec()
    }

    fn json(&self) -> Value {
        json!({
            "server": self.app.server, "recipe": self.app.recipe, "appName": self.app.name,
            "domain": self.app.env.get("DOMAIN").unwrap_or(""), "status": self.status, "chaos": self.chaos,
            "chaosVersion": self.chaos_version, "version": self.version, "upgrade": UNKNOWN,
        })
    }
}

pub(super) fn apps(context: &Context, list: &List) -> CommandResult {
    let all = App::all(context)?.into_iter();
    let wanted: Vec<App> = all
        .filter(|app| list.server.as_ref().is_none_or(|server| *server == app.server))
        .filter(|app| list.recipe.as_ref().is_none_or(|recipe| *recipe == app.recipe))
        .collect();
    let rows: Vec<AppRow<'_>> = if list.status {
        let stacks = docker::stacks()?;
        wanted.iter().map(|app| AppRow::with_status(app, &stacks)).collect()
    } else {
        wanted.iter().map(AppRow::offline).collect()
    };
    if !list.machine {
        let cells: Vec<Vec<String>> = rows.iter().map(AppRow::cells).collect();
        return terminal::print_table(&["SERVER", "RECIPE", "DOMAIN", "STATUS", "CHAOS", "VERSION"], &cells);
    }
    let mut servers: Map<String, Value> = Map::new();
    for server in app::servers(context)? {
        let apps: Vec<Value> = rows.iter().filter(|row| row.app.server == server).map(AppRow::json).collect();
        let versioned = apps.iter().filter(|app| app["version"] != UNKNOWN).count();
        servers.insert(
            server,
            json!({ "appCount": apps.len(), "versionCount": versioned, "unversionedCount": apps.len() - versioned,
                    "latestCount": 0, "upgradeCount": 0, "apps": apps }),
        );
    }
    terminal::print_line(&Value::from(servers).to_string());
    Ok(())
}

/// One container per service, as in abra.
pub(super) fn ps(context: &Context, ps: &Ps) -> CommandResult {
    let app = App::find(context, &ps.app)?;
    let stack = app.stack();
    let services = docker::services(&stack)?;
    if services.is_empty() {
        return Err(Fatal::new(format!("{} is not deployed?", app.name)));
    }
    let labels = DeployLabels::of(&stack);
    let (version, chaos) = (labels.get("version"), labels.get("chaos"));
    let mut objects: Map<String, Value> = Map::new();
    let mut rows = Vec::new();
    for service in services {
        let short = service.strip_prefix(&format!("{stack}_")).unwrap_or(&service).to_owned();
        let container = docker::newest_container(&service)?.unwrap_or_else(|| docker::Container::filled_with(UNKNOWN));
        rows.push(vec![short.clone(), container.status.clone(), container.image.clone(), version.clone(), chaos.clone()]);
        let object = json!({
            "service": short, "chaos": chaos, "created": container.running_for, "image": container.image,
            "ports": container.ports, "state": container.state, "status": container.status, "version": version,
        });
        objects.insert(short, object);
    }
    match ps.machine {
        true => terminal::print_line(&Value::from(objects).to_string()),
        false => terminal::print_table(&["SERVICE", "STATUS", "IMAGE", "VERSION", "CHAOS"], &rows)?,
    }
    Ok(())
}

/// The images of every version, newest version first.
pub(super) fn versions(context: &Context, name: &str, machine: bool) -> CommandResult {
    let recipe = context.recipe(name)?;
    if !context.offline {
        recipe.fetch()?;
    }
    let mut rows = Vec::new();
    for version in recipe.versions()?.into_iter().rev() {
        let Some(compose) = recipe.show(&version, "compose.yml").ok().and_then(|text| Compose::parse(&text)) else { continue };
        for (service, image) in compose.images() {
            let (image, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
            rows.push([service, image, tag, version.as_str()].map(str::to_owned).to_vec());
        }
    }
    if rows.is_empty() {
        return Err(Fatal::new(format!("{name} has no published versions?")));
    }
    if !machine {
        return terminal::print_table(&["SERVICE", "IMAGE", "TAG", "VERSION"], &rows);
    }
    let keys = ["service", "image", "tag", "version"].map(str::to_owned);
    let objects = rows.into_iter().map(|row| keys.clone().into_iter().zip(row.into_iter().map(Value::from)).collect());
    terminal::print_line(&Value::from(objects.collect::<Vec<Map<String, Value>>>()).to_string());
    Ok(())
}
