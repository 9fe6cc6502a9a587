//! `abra recipe lint`, and the lint that keeps a pinned deploy from happening.

mod rules;

use std::path::PathBuf;

use super::{
    Context,
    checkout::Recipe,
    cli::Lint,
    compose::Compose,
    env::Env,
    terminal::{self, Done, Fatal},
};
use rules::{RULES, Rule, Severity, State};

/// The columns of the table.
const HEADERS: [&str; 6] = ["ref", "rule", "severity", "satisfied", "skipped", "resolve"];

/// What the rules look at.
#[derive(Debug)]
struct Linted {
    recipe: Recipe,
    sample: Env,
    compose: Compose,
}

pub(super) fn main(context: &Context, lint: &Lint) -> Done {
    let recipe = context.recipe(&lint.recipe)?;
    if !lint.chaos {
        if !context.offline {
            recipe.fetch()?;
        }
        recipe.on_its_branch()?;
    }
    let linted = Linted::read(&recipe)?;
    let shown = RULES.iter().filter(|rule| !lint.error || rule.severity == Severity::Error);
    let rows: Vec<(&Rule, State)> = shown.map(|rule| Ok((rule, (rule.check)(&linted)?))).collect::<Done<_>>()?;
    terminal::table(&HEADERS, &rows.iter().map(|(rule, state)| row(rule, *state)).collect::<Vec<_>>())?;
    if rows.iter().any(|(rule, state)| rule.severity == Severity::Error && *state == State::Broken) {
        terminal::warn(format!("critical errors present in {} config", recipe.name));
    }
    Ok(())
}

/// Refuses a recipe that breaks an error rule as it is checked out.
pub(super) fn refuse(recipe: &Recipe) -> Done {
    let linted = Linted::read(recipe)?;
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

impl Linted {
    /// All compose files at the top of the recipe, whatever `COMPOSE_FILE` says and git knows of them.
    fn read(recipe: &Recipe) -> Done<Self> {
        let invalid = |why: String| Fatal::new(format!("unable to validate recipe: {why}"));
        let sample = recipe.dir.join(".env.sample");
        let text = std::fs::read_to_string(&sample).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => invalid(format!("open {}: no such file or directory", sample.display())),
            _ => invalid(format!("open {}: {error}", sample.display())),
        })?;
        let compose = Compose::load_all(compose_files(recipe)?).and_then(|compose| {
            compose.check_sections()?;
            Ok(compose)
        });
        let compose = compose.map_err(|Fatal(why)| invalid(why))?;
        Ok(Self { recipe: recipe.clone(), sample: Env::parse(&text), compose })
    }
}

fn compose_files(recipe: &Recipe) -> Done<Vec<PathBuf>> {
    let is_one = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("compose") && name.ends_with(".yml") && path.is_file()
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&recipe.dir)?.flatten().map(|entry| entry.path()).filter(is_one).collect();
    // The recipe's own file is the one that the others add to.
    files.sort_by_key(|path| (!path.ends_with("compose.yml"), path.clone()));
    Ok(files)
}
