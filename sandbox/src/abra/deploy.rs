//! `abra app deploy`, in the order in which abra works.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::ToSocketAddrs,
    time::{Duration, Instant},
};

use super::{
    Context,
    app::App,
    checkout::Recipe,
    cli::Deploy,
    compose::Compose,
    env::Env,
    lint,
    overlay::{Wanted, overlay},
    secrets::{self, Recipe as How},
    swarm,
    terminal::{self, Done, Fatal, Level},
};

/// How long abra waits for a stack whose recipe says nothing about it.
const TIMEOUT: Duration = Duration::from_secs(50);

pub(super) fn main(context: &Context, deploy: Deploy) -> Done {
    let app = App::find(context, &deploy.app)?;
    if deploy.chaos && (deploy.app_version.is_some() || deploy.latest) {
        return Err(Fatal::new("cannot use [version] or --latest together with --chaos"));
    }
    let stack = app.stack();
    let recipe = context.recipe(&app.recipe)?;
    if !deploy.chaos {
        recipe.ensure_clean()?;
        if !context.offline {
            recipe.fetch()?;
        }
    }
    let labels = swarm::labels(&format!("{stack}_app"));
    let deployed = !swarm::services(&stack)?.is_empty();
    if deployed && !deploy.force && !deploy.chaos {
        return Err(Fatal::new(format!("{} is already deployed", app.name)));
    }
    let running = labels.get(&format!("coop-cloud.{stack}.version")).cloned();
    let version = resolve(context, &app, &recipe, &deploy, running.clone())?;
    every_secret_exists(context, &app)?;

    let compose = app.compose(&recipe)?;
    let variables = app.variables(&recipe);
    let own = compose.labels("app", &variables);
    let key = |label: &str| format!("coop-cloud.{stack}.{label}");
    let mut labels = BTreeMap::from([(key("recipe"), app.recipe.clone()), (key("chaos"), deploy.chaos.to_string())]);
    match deploy.chaos {
        true => labels.insert(key("chaos-version"), version.clone()),
        false => labels.insert(key("version"), version.clone()),
    };
    warn_of_missing(&app, &recipe);
    domain_resolves(&app, &deploy)?;
    terminal::overview(
        "DEPLOY OVERVIEW",
        &[
            ("DOMAIN", app.env.get("DOMAIN").unwrap_or("N/A").to_owned()),
            ("RECIPE", app.recipe.clone()),
            ("SERVER", app.server.clone()),
            ("CONFIG", app.env.get("COMPOSE_FILE").unwrap_or("compose.yml").replace(':', "\n")),
            ("CURRENT DEPLOYMENT", running.unwrap_or_else(|| "N/A".to_owned())),
            ("ENV VERSION", app.version.clone().unwrap_or_else(|| "N/A".to_owned())),
            ("NEW DEPLOYMENT", version.clone()),
        ],
    );
    terminal::confirm(context.no_input, "proceed?")?;

    let mut expose = app.env.values.clone();
    expose.insert("TYPE".to_owned(), format!("{}:{version}", app.recipe));
    submit(context, &stack, &compose, &variables, &Wanted { labels, expose: &expose, ipvs: context.capabilities.ipvs })?;
    if deploy.no_converge_checks {
        terminal::warn("skipping converge logic checks");
    } else {
        converge(&stack, own.get(&key("timeout")).and_then(|text| text.parse().ok()).map_or(TIMEOUT, Duration::from_secs))?;
    }
    app.record(&version)
}

/// Which version is deployed; the checkout is put on it unless chaos takes what is there.
fn resolve(context: &Context, app: &App, recipe: &Recipe, deploy: &Deploy, running: Option<String>) -> Done<String> {
    if deploy.chaos {
        let version = recipe.chaos_version()?;
        if context.debug {
            terminal::log(Level::Debug, &format!("version: taking chaos version: {version}"));
        }
        return Ok(version);
    }
    let kept = app.version.clone().filter(|_| !deploy.latest);
    let newest = || recipe.versions().map(|versions| versions.last().cloned());
    let version = match deploy.app_version.clone().or(kept).or(running.filter(|_| !deploy.latest)) {
        Some(version) => version,
        None => newest()?.map_or_else(|| recipe.head(), Ok)?,
    };
    recipe.check_out(&version)?;
    lint::refuse(recipe)?;
    Ok(version)
}

fn every_secret_exists(context: &Context, app: &App) -> Done {
    let stored: BTreeSet<String> = swarm::secrets(&app.stack())?.into_iter().collect();
    let missing = secrets::planned(context, app, true)?.into_iter().find(|secret| !stored.contains(&secret.remote));
    match missing {
        None => Ok(()),
        Some(secret) if secret.recipe_for == How::ByHand => {
            Err(Fatal::new(format!("secret not inserted (#generate=false): {}", secret.name)))
        }
        Some(secret) => Err(Fatal::new(format!("secret not generated: {}", secret.name))),
    }
}

fn warn_of_missing(app: &App, recipe: &Recipe) {
    let sample = Env::parse(&std::fs::read_to_string(recipe.dir.join(".env.sample")).unwrap_or_default());
    for key in sample.values.keys().filter(|key| !app.env.values.contains_key(*key)) {
        terminal::warn(format!("{key} missing from {}.env", app.name));
    }
}

/// abra wants the domain to resolve. In the sandbox nothing resolves its zone but the sandbox itself, so this stops at
/// names that can be looked up elsewhere.
fn domain_resolves(app: &App, deploy: &Deploy) -> Done {
    let Some(domain) = app.env.get("DOMAIN").filter(|domain| !deploy.no_domain_checks && !domain.ends_with(".test")) else {
        return Ok(());
    };
    match (domain, 443).to_socket_addrs() {
        Ok(_) => Ok(()),
        Err(_) => Err(Fatal::new(format!("unable to resolve DNS for {domain}"))),
    }
}

fn submit(context: &Context, stack: &str, compose: &Compose, variables: &BTreeMap<String, String>, wanted: &Wanted<'_>) -> Done {
    terminal::info("initialising deployment");
    let mut added = tempfile::Builder::new().prefix("abra-").suffix(".yml").tempfile()?;
    std::io::Write::write_all(&mut added, overlay(compose, variables, wanted).as_bytes())?;
    let mut files: Vec<&std::path::Path> = compose.files.iter().map(std::path::PathBuf::as_path).collect();
    files.push(added.path());
    let said = swarm::deploy(stack, &files, variables, context.capabilities.registry)?;
    for text in said.lines().filter(|text| context.debug && !text.is_empty()) {
        terminal::log(Level::Debug, text);
    }
    Ok(())
}

/// Waits until every service has all its tasks, or the time is over. Only the waiting fails then: the stack is deployed.
fn converge(stack: &str, timeout: Duration) -> Done {
    terminal::info("polling deployment status");
    let started = Instant::now();
    loop {
        let replicas = swarm::replicas(stack)?;
        let full =
            |count: &str| count.split_once('/').is_some_and(|(has, wants)| has == wants.split(' ').next().unwrap_or(wants));
        if replicas.iter().all(|(_, count)| full(count)) {
            terminal::info("deploy succeeded 🟢");
            return Ok(());
        }
        if started.elapsed() > timeout {
            return Err(Fatal::new("deploy timed out 🟠"));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
