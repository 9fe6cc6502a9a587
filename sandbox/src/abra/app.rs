//! An app: its `.env`, its recipe and the names that follow from its own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Context,
    checkout::Recipe,
    compose::Compose,
    env::{self, Env},
    terminal::{Done, Fatal},
};

/// How many characters of a stack name are kept.
const STACK_LIMIT: usize = 45;

#[derive(Debug)]
pub(super) struct App {
    pub(super) name: String,
    pub(super) server: String,
    pub(super) path: PathBuf,
    pub(super) recipe: String,
    /// The version in its `TYPE`.
    pub(super) version: Option<String>,
    pub(super) env: Env,
}

impl App {
    /// The app called `name`, on whichever server.
    pub(super) fn find(context: &Context, name: &str) -> Done<Self> {
        let found = App::all(context)?.into_iter().find(|app| app.name == name);
        found.ok_or_else(|| Fatal::new(format!("cannot find app with name {name}")))
    }

    /// All apps, by name.
    pub(super) fn all(context: &Context) -> Done<Vec<Self>> {
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

    fn read(server: &str, path: &Path) -> Done<Self> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let env = Env::parse(&std::fs::read_to_string(path)?);
        let (recipe, version) =
            env.recipe().ok_or_else(|| Fatal::new(format!("{name} is missing the TYPE env var in {}", path.display())))?;
        Ok(Self { name, server: server.to_owned(), path: path.to_owned(), recipe, version, env })
    }

    pub(super) fn stack(&self) -> String {
        stack(&self.name)
    }

    /// The recipe's checkout; without `chaos` on the version in `TYPE`, clean and with its tags fetched.
    pub(super) fn ensure_recipe(&self, context: &Context, chaos: bool) -> Done<Recipe> {
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

    /// All that variables in the compose files can mean: the `.env`, the exports of `abra.sh`, the stack's name.
    pub(super) fn variables(&self, recipe: &Recipe) -> BTreeMap<String, String> {
        let mut values = self.env.values.clone();
        let script = std::fs::read_to_string(recipe.dir.join("abra.sh")).unwrap_or_default();
        values.extend(env::exports(&script));
        values.insert("STACK_NAME".to_owned(), self.stack());
        values
    }

    pub(super) fn compose(&self, recipe: &Recipe) -> Done<Compose> {
        Compose::load(&recipe.dir, self.env.get("COMPOSE_FILE"))
    }

    /// Writes the version into the `.env`.
    pub(super) fn record(&self, version: &str) -> Done {
        let text = std::fs::read_to_string(&self.path)?;
        Ok(std::fs::write(&self.path, env::with_type(&text, &self.recipe, version))?)
    }
}

/// The stack name of an app.
pub(super) fn stack(app: &str) -> String {
    app.replace('.', "_").chars().take(STACK_LIMIT).collect()
}

/// The servers, by name.
pub(super) fn servers(context: &Context) -> Done<Vec<String>> {
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
