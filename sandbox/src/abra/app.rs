//! An app: its `.env`, its recipe and its derived names.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use formats::dotenv::{Env, exports};

use super::{
    Context,
    checkout::Recipe,
    compose::Compose,
    env,
    error::{CommandResult, Fatal},
};

/// The longest stack name, in characters (docs/reference/abra.md 2.1).
const STACK_LIMIT: usize = 45;

#[derive(Debug)]
pub(super) struct App {
    pub(super) name: String,
    pub(super) server: String,
    pub(super) path: PathBuf,
    pub(super) recipe: String,
    /// The version in `TYPE`.
    pub(super) version: Option<String>,
    pub(super) env: Env,
}

impl App {
    /// The app called `name`, on any server.
    pub(super) fn find(context: &Context, name: &str) -> CommandResult<Self> {
        let found = App::all(context)?.into_iter().find(|app| app.name == name);
        found.ok_or_else(|| Fatal::new(format!("cannot find app with name {name}")))
    }

    /// All apps, by name.
    pub(super) fn all(context: &Context) -> CommandResult<Vec<Self>> {
        let mut apps = Vec::new();
        for server in servers(context)? {
            for entry in std::fs::read_dir(context.abra_dir.join("servers").join(&server))?.flatten() {
                let path = entry.path();
                if path.extension().is_some_and(|end| end == "env") {
                    apps.push(App::read(&server, &path)?);
                }
            }
        }
        apps.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(apps)
    }

    fn read(server: &str, path: &Path) -> CommandResult<Self> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let env = env::parse(&std::fs::read_to_string(path)?, &path.display().to_string())?;
        let (recipe, version) =
            env::recipe(&env).ok_or_else(|| Fatal::new(format!("{name} is missing the TYPE env var in {}", path.display())))?;
        Ok(Self { name, server: server.to_owned(), path: path.to_owned(), recipe, version, env })
    }

    pub(super) fn stack(&self) -> String {
        stack(&self.name)
    }

    /// The recipe's checkout. Without `chaos` it must be clean, its tags are fetched, and the version in `TYPE` is checked out.
    pub(super) fn ensure_recipe(&self, context: &Context, chaos: bool) -> CommandResult<Recipe> {
        let recipe = context.recipe(&self.recipe)?;
        if !chaos {
            recipe.ensure_clean()?;
            if !context.offline {
                recipe.fetch()?;
            }
            if let Some(version) = &self.version {
                recipe.check_out(version)?;
            }
        }
        Ok(recipe)
    }

    /// The variables of its `.env`.
    pub(super) fn values(&self) -> BTreeMap<String, String> {
        self.env.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// The variables of the compose files: the `.env`, the exports of `abra.sh`, and the stack's name.
    pub(super) fn variables(&self, recipe: &Recipe) -> BTreeMap<String, String> {
        let mut values = self.values();
        let script = std::fs::read(recipe.dir.join("abra.sh")).unwrap_or_default();
        values.extend(exports(&String::from_utf8_lossy(&script)));
        values.insert("STACK_NAME".to_owned(), self.stack());
        values
    }

    pub(super) fn compose(&self, context: &Context, recipe: &Recipe) -> CommandResult<Compose> {
        Compose::load(context, &recipe.dir, self.env.get("COMPOSE_FILE"))
    }

    /// Writes the version into `TYPE` of the `.env`.
    pub(super) fn write_version(&self, version: &str) -> CommandResult {
        let text = std::fs::read_to_string(&self.path)?;
        Ok(std::fs::write(&self.path, env::replace_type(&text, &self.recipe, version)?)?)
    }
}

/// The stack name of an app.
pub(super) fn stack(app: &str) -> String {
    app.replace('.', "_").chars().take(STACK_LIMIT).collect()
}

/// The servers, by name.
pub(super) fn servers(context: &Context) -> CommandResult<Vec<String>> {
    let entries = match std::fs::read_dir(context.abra_dir.join("servers")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}
