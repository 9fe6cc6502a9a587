//! The sandbox as a host: it is made or repaired and gets images and recipes, with a line for each part that takes time.

use std::path::Path;

use harness::model::{names::RecipeName, request::Source, settings};
use sandbox::{
    EngineLine, Progress, SandboxError, Up,
    home::Home,
    layout::{Layout, Setup},
};

use crate::{env::Env, error::CommandError, output, runtime::block_on};

/// Makes the sandbox, or the parts of it that are missing, on an engine of that line.
pub(crate) fn make(home: &Home, engine: Option<EngineLine>, env: &Env) -> Result<Up, CommandError> {
    let setup = Setup {
        layout: Layout::default(),
        exe: env.exe.clone(),
        abra: env.program(Path::new("abra")),
        path: env.path.clone(),
        engine,
    };
    block_on(sandbox::up(home, &setup, &mut print_progress))?.map_err(error)
}

/// Gives the sandbox what a run of the recipe needs: its images, and the recipe itself unless it comes from a folder. Offline
/// nothing is fetched, and an image that is missing is an error.
pub(crate) fn provide(home: &Home, recipe: &RecipeName, source: &Source, offline: bool) -> Result<(), CommandError> {
    let known = sandbox::recipes::all();
    let images = sandbox::recipes::images(recipe.as_str());
    match source {
        Source::Catalogue { .. } if !known.iter().any(|name| name == recipe.as_str()) => Err(unknown_recipe(recipe)),
        Source::Catalogue { .. } | Source::Folder { .. } => {
            if offline {
                let absent = block_on(sandbox::images::needing_network(home, &images))?.map_err(error)?;
                if let [image, ..] = absent.as_slice() {
                    return Err(CommandError::host(format!("the image {image} is not on this machine"))
                        .hint("Run once without --offline, which fetches it."));
                }
            }
            block_on(sandbox::images::provide(home, &images, &mut print_progress))?.map_err(error)
        }
    }
}

/// The error for a recipe that the sandbox does not have.
pub(crate) fn unknown_recipe(recipe: &RecipeName) -> CommandError {
    let enrolled = sandbox::recipes::enrolled();
    let names: Vec<&str> = enrolled.iter().map(String::as_str).collect();
    let similar = settings::closest(recipe.as_str(), &names).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    CommandError::usage(format!("the sandbox has no recipe `{recipe}`{similar}"))
        .hint(format!("It has {}.", names.join(", ")))
        .hint("A folder with a recipe is tested with --path DIR.")
}

/// Prints a step that is done, with the time since the start.
pub(crate) fn print_progress(progress: Progress) {
    output::message(&format!("{:>6.2} s  {}", progress.elapsed.as_secs_f64(), progress.message));
}

/// The command's error for one of the sandbox.
pub(crate) fn error(error: SandboxError) -> CommandError {
    let hints = error.hints();
    CommandError::host(error).hints(hints)
}
