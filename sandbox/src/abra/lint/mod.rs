//! `abra recipe lint`, and the lint that precedes the deploy of a version.

mod rules;

use std::path::PathBuf;

use formats::dotenv::Env;

use super::{
    Context,
    checkout::Recipe,
    cli::Lint,
    compose::Compose,
    env,
    error::{CommandResult, Fatal},
    terminal,
};
use rules::{RULES, Rule, Severity, State};

/// The columns of the table.
const HEADERS: [&str; 6] = ["ref", "rule", "severity", "satisfied", "skipped", "resolve"];

/// The input of the rules.
#[derive(Debug)]
struct LintInput {
    recipe: Recipe,
    sample: Env,
    compose: Compose,
}

pub(super) fn main(context: &Context, lint: &Lint) -> CommandResult {
    let recipe = context.recipe(&lint.recipe)?;
    if !lint.chaos {
        if !context.offline {
            recipe.fetch()?;
        }
        recipe.check_out_default_branch()?;
    }
    let linted = LintInput::read(context, &recipe)?;
    let shown = RULES.iter().filter(|rule| !lint.error || rule.severity == Severity::Error);
    let rows: Vec<(&Rule, State)> = shown.map(|rule| Ok((rule, (rule.check)(&linted)?))).collect::<CommandResult<_>>()?;
    terminal::print_table(&HEADERS, &rows.iter().map(|(rule, state)| row(rule, *state)).collect::<Vec<_>>())?;
    if rows.iter().any(|(rule, state)| rule.severity == Severity::Error && *state == State::Broken) {
        terminal::warn(format!("critical errors present in {} config", recipe.name));
    }
    Ok(())
}

/// Refuses a checkout that breaks an error rule.
pub(super) fn ensure_no_errors(context: &Context, recipe: &Recipe) -> CommandResult {
    let linted = LintInput::read(context, recipe)?;
    let mut broken = Vec::new();
    for rule in RULES.iter().filter(|rule| rule.severity == Severity::Error) {
        if (rule.check)(&linted)? == State::Broken {
            broken.push(format!(" * {} ({})", rule.name, rule.id));
        }
    }
    match broken.is_empty() {
        true => Ok(()),
        false => Err(Fatal::new(format!("recipe '{}' failed lint checks:\n{}", recipe.name, broken.join("\n")))),
    }
}

fn row(rule: &Rule, state: State) -> Vec<String> {
    let (satisfied, skipped) = match state {
        State::Holds => ("✅", "-"),
        State::Broken => ("❌", "-"),
        State::Skipped => ("-", "✅"),
    };
    [rule.id, rule.name, rule.severity.word(), satisfied, skipped, rule.resolve].map(str::to_owned).into()
}

impl LintInput {
    /// Reads the sample and all compose files at the top of the recipe, including those that `COMPOSE_FILE` does not name and
    /// that git does not track.
    fn read(context: &Context, recipe: &Recipe) -> CommandResult<Self> {
        let invalid = |why: String| Fatal::new(format!("unable to validate recipe: {why}"));
        let sample = recipe.dir.join(".env.sample");
        let text = std::fs::read_to_string(&sample).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => invalid(format!("open {}: no such file or directory", sample.display())),
            _ => invalid(format!("open {}: {error}", sample.display())),
        })?;
        let compose = Compose::load_all(context, compose_files(recipe)?).and_then(|compose| {
            compose.check_sections()?;
            Ok(compose)
        });
        let compose = compose.map_err(|Fatal(why)| invalid(why))?;
        let sample = env::parse(&text, &sample.display().to_string()).map_err(|Fatal(why)| invalid(why))?;
        Ok(Self { recipe: recipe.clone(), sample, compose })
    }
}

fn compose_files(recipe: &Recipe) -> CommandResult<Vec<PathBuf>> {
    let is_one = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("compose") && name.ends_with(".yml") && path.is_file()
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&recipe.dir)?.flatten().map(|entry| entry.path()).filter(is_one).collect();
    // The other files add to `compose.yml`.
    files.sort_by_key(|path| (!path.ends_with("compose.yml"), path.clone()));
    Ok(files)
}
