//! `abra app new`. Without `-C` it leaves the recipe's checkout on the newest release (docs/reference/abra.md 4.5).

use std::path::PathBuf;

use super::{
    Context,
    app::{self, App},
    checkout::Recipe,
    cli::New,
    env::replace_type,
    error::{CommandResult, Fatal},
    secrets, terminal,
};

pub(super) fn main(context: &Context, new: New) -> CommandResult {
    let name = required(context, new.recipe, "no recipe name provided", "Select recipe:")?;
    let recipe = context.recipe(&name)?;
    let version = if new.chaos {
        if new.recipe_version.is_some() {
            return Err(Fatal::new("cannot use [version] and --chaos together"));
        }
        recipe.chaos_version()?
    } else {
        recipe.ensure_clean()?;
        if !context.offline {
            recipe.fetch()?;
        }
        let versions = recipe.versions()?;
        if let Some(version) = new.recipe_version.as_ref().filter(|version| !versions.contains(version)) {
            return Err(Fatal::new(format!("no version {version} for {name}")));
        }
        // abra checks out the newest release even when the user names another version.
        if let Some(newest) = versions.last() {
            recipe.check_out(newest)?;
        }
        new.recipe_version.or(versions.last().cloned()).map_or_else(|| recipe.head(), Ok)?
    };
    let server = server(context, new.server)?;
    let domain = required(context, new.domain, "no domain provided", "Specify app domain:")?;
    let path = context.abra_dir.join("servers").join(&server).join(format!("{domain}.env"));
    write_env(&path, &recipe, &domain, &version)?;

    let app = App::find(context, &domain)?;
    let created = match new.secrets {
        true => secrets::create(&app, &secrets::planned(context, &app, true)?)?,
        false => Vec::new(),
    };
    terminal::print_overview(
        "NEW APP OVERVIEW",
        &[("DOMAIN", domain.clone()), ("RECIPE", name), ("VERSION", version), ("SERVER", server), ("STACK", app::stack(&domain))],
    );
    for (name, value) in created {
        terminal::print_line(&format!("  {name}  {value}"));
    }
    Ok(())
}

/// A value from the command line, else the answer to a question.
fn required(context: &Context, given: Option<String>, missing: &str, question: &str) -> CommandResult<String> {
    match given {
        Some(text) if !text.is_empty() => Ok(text),
        _ if context.no_input => Err(Fatal::new(missing)),
        _ => terminal::ask(question).and_then(|text| if text.is_empty() { Err(Fatal::new(missing)) } else { Ok(text) }),
    }
}

fn server(context: &Context, given: Option<String>) -> CommandResult<String> {
    let servers = app::servers(context)?;
    let server = match (given, servers.as_slice()) {
        (None, [only]) => only.clone(),
        (given, _) => required(context, given, "no server provided", "Select app server:")?,
    };
    match servers.contains(&server) {
        true => Ok(server),
        false => Err(Fatal::new(format!("server doesn't exist? ({server})"))),
    }
}

fn write_env(path: &PathBuf, recipe: &Recipe, domain: &str, version: &str) -> CommandResult {
    if domain.contains('/') {
        return Err(Fatal::new(format!("{domain} is not a domain")));
    }
    if path.exists() {
        return Err(Fatal::new(format!("{} already exists?", path.display())));
    }
    let sample = recipe.dir.join(".env.sample");
    let text = std::fs::read_to_string(&sample)
        .map_err(|_| Fatal::new(format!("open {}: no such file or directory", sample.display())))?;
    let text = text.replace(&format!("{}.example.com", recipe.name), domain);
    Ok(std::fs::write(path, replace_type(&text, &recipe.name, version)?)?)
}
