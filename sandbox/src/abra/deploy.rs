//! `abra app deploy`, in the order of abra's own steps.

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
    docker, env,
    error::{CommandResult, Fatal},
    lint,
    overlay::{OverlayInput, overlay},
    secrets::{self, Generator},
    terminal::{self, Level},
};

/// The longest wait for a stack whose recipe sets no timeout (docs/reference/abra.md 5.2).
const TIMEOUT: Duration = Duration::from_secs(50);

pub(super) fn main(context: &Context, deploy: Deploy) -> CommandResult {
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
    let key = |label: &str| format!("coop-cloud.{stack}.{label}");
    let running = docker::labels(&format!("{stack}_app")).remove(&key("version"));
    let deployed = !docker::services(&stack)?.is_empty();
    if deployed && !deploy.force && !deploy.chaos {
        return Err(Fatal::new(format!("{} is already deployed", app.name)));
    }
    let version = resolve_version(context, &app, &recipe, &deploy, running.clone())?;
    ensure_secrets_exist(context, &app)?;

    let compose = app.compose(context, &recipe)?;
    let variables = app.variables(&recipe);
    warn_about_missing_variables(&app, &recipe)?;
    ensure_domain_resolves(&app, &deploy)?;
    print_overview(&app, running, &version);
    terminal::confirm(context.no_input, "proceed?")?;

    let version_label = if deploy.chaos { "chaos-version" } else { "version" };
    let labels = [("recipe", app.recipe.clone()), ("chaos", deploy.chaos.to_string()), (version_label, version.clone())];
    let labels = labels.into_iter().map(|(label, value)| (key(label), value)).collect();
    let mut expose = app.values();
    expose.insert("TYPE".to_owned(), format!("{}:{version}", app.recipe));
    let input = OverlayInput { labels, expose: &expose, ipvs: context.capabilities.ipvs };
    deploy_stack(context, &stack, &compose, &variables, &input)?;
    if deploy.no_converge_checks {
        terminal::warn("skipping converge logic checks");
    } else {
        let labels = compose.labels("app", &variables);
        let timeout = labels.get(&key("timeout")).and_then(|text| text.parse().ok());
        wait_for_convergence(&stack, timeout.map_or(TIMEOUT, Duration::from_secs))?;
    }
    app.write_version(&version)
}

/// The version to deploy. Except with chaos, which takes the checkout as it is, the version is checked out and linted.
fn resolve_version(
    context: &Context,
    app: &App,
    recipe: &Recipe,
    deploy: &Deploy,
    running: Option<String>,
) -> CommandResult<String> {
    if deploy.chaos {
        let version = recipe.chaos_version()?;
        if context.debug {
            terminal::print_log(Level::Debug, &format!("version: taking chaos version: {version}"));
        }
        return Ok(version);
    }
    let recorded = app.version.clone().filter(|_| !deploy.latest);
    let newest = || recipe.versions().map(|versions| versions.last().cloned());
    let version = match deploy.app_version.clone().or(recorded).or(running.filter(|_| !deploy.latest)) {
        Some(version) => version,
        None => newest()?.map_or_else(|| recipe.head(), Ok)?,
    };
    recipe.check_out(&version)?;
    lint::ensure_no_errors(context, recipe)?;
    Ok(version)
}

fn ensure_secrets_exist(context: &Context, app: &App) -> CommandResult {
    let stored: BTreeSet<String> = docker::secrets(&app.stack())?.into_iter().collect();
    let missing = secrets::planned(context, app, true)?.into_iter().find(|secret| !stored.contains(&secret.remote));
    match missing {
        None => Ok(()),
        Some(secret) if secret.generator == Generator::ByHand => {
            Err(Fatal::new(format!("secret not inserted (#generate=false): {}", secret.name)))
        }
        Some(secret) => Err(Fatal::new(format!("secret not generated: {}", secret.name))),
    }
}

fn warn_about_missing_variables(app: &App, recipe: &Recipe) -> CommandResult {
    let file = recipe.dir.join(".env.sample");
    let sample = env::parse(&std::fs::read_to_string(&file).unwrap_or_default(), &file.display().to_string())?;
    for (key, _) in sample.iter().filter(|(key, _)| app.env.get(key).is_none()) {
        terminal::warn(format!("{key} missing from {}.env", app.name));
    }
    Ok(())
}

/// abra requires that the domain resolves. Domains below `.test` are skipped: only the sandbox itself resolves its zone.
fn ensure_domain_resolves(app: &App, deploy: &Deploy) -> CommandResult {
    let Some(domain) = app.env.get("DOMAIN").filter(|domain| !deploy.no_domain_checks && !domain.ends_with(".test")) else {
        return Ok(());
    };
    match (domain, 443).to_socket_addrs() {
        Ok(_) => Ok(()),
        Err(_) => Err(Fatal::new(format!("unable to resolve DNS for {domain}"))),
    }
}

fn print_overview(app: &App, running: Option<String>, version: &str) {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "N/A".to_owned());
    terminal::print_overview(
        "DEPLOY OVERVIEW",
        &[
            ("DOMAIN", app.env.get("DOMAIN").unwrap_or("N/A").to_owned()),
            ("RECIPE", app.recipe.clone()),
            ("SERVER", app.server.clone()),
            ("CONFIG", app.env.get("COMPOSE_FILE").unwrap_or("compose.yml").replace(':', "\n")),
            ("CURRENT DEPLOYMENT", or_none(running)),
            ("ENV VERSION", or_none(app.version.clone())),
            ("NEW DEPLOYMENT", version.to_owned()),
        ],
    );
}

/// Deploys the compose files with the overlay as the last one. Their variables are filled in before Docker sees them.
fn deploy_stack(
    context: &Context,
    stack: &str,
    compose: &Compose,
    variables: &BTreeMap<String, String>,
    input: &OverlayInput<'_>,
) -> CommandResult {
    terminal::info("initialising deployment");
    let mut texts = compose.without_variables(context, variables)?;
    texts.push(overlay(compose, variables, input));
    // The folder is the caller's, by `TMPDIR`, so nothing of a call that is killed lies elsewhere.
    let folder = tempfile::Builder::new().prefix("abra-").tempdir()?;
    let mut files = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let file = folder.path().join(format!("{number}.yml"));
        std::fs::write(&file, text)?;
        files.push(file);
    }
    let output = docker::deploy(stack, &files, context.capabilities.registry)?;
    for line in output.lines().filter(|line| context.debug && !line.is_empty()) {
        terminal::print_log(Level::Debug, line);
    }
    Ok(())
}

/// Waits until every service has all its tasks. A timeout is fatal, but the stack stays deployed.
fn wait_for_convergence(stack: &str, timeout: Duration) -> CommandResult {
    terminal::info("polling deployment status");
    let started = Instant::now();
    loop {
        let replicas = docker::replicas(stack)?;
        let is_full = |count: &str| {
            count.split_once('/').is_some_and(|(running, wanted)| running == wanted.split(' ').next().unwrap_or(wanted))
        };
        if replicas.iter().all(|(_, count)| is_full(count)) {
            terminal::info("deploy succeeded 🟢");
            return Ok(());
        }
        if started.elapsed() > timeout {
            return Err(Fatal::new("deploy timed out 🟠"));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
