//! The packs that taster contains, and the executables beside them.

use harness::{
    adapters::executables::gather,
    author::{Parity, parity as parity_of},
    model::{
        host::Host,
        names::RecipeName,
        pack::{Origin, Pack},
        request::{Request, Source},
    },
    pure::recipe::executables::{TESTS, discover, refusal, trusted},
};

use crate::error::CommandError;

/// The pack of a recipe; an empty one when there is none.
pub fn of(recipe: &RecipeName) -> Result<Pack, CommandError> {
    linked(recipe.as_str()).map(Option::unwrap_or_default)
}

/// The pack of a recipe, if taster contains one.
pub(crate) fn linked(recipe: &str) -> Result<Option<Pack>, CommandError> {
    let pack = recipes::of(recipe).map(|linked| linked.pack()).transpose();
    pack.map_err(CommandError::usage)
}

/// The `PARITY.md` of the pack, compared with its tests; absent without one.
pub(crate) fn parity(recipe: &str, pack: &Pack) -> Option<Parity> {
    let text = recipes::of(recipe)?.parity?;
    Some(parity_of(text, pack))
}

/// The pack with the executables in the folders of a request, as a run would find them.
pub(crate) fn with_executables(mut pack: Pack, request: &Request, host: &Host) -> Result<Pack, CommandError> {
    let recipe = &request.recipe;
    let refused = (!trusted(host, recipe, request.authoring.trusted)).then(|| refusal(recipe));
    let repository = match &request.source {
        Source::Folder { path } => Some((path, TESTS, Origin::Repository, refused.as_deref())),
        Source::Catalogue { .. } => None,
    };
    let folder = request.authoring.folder.as_ref().map(|folder| (folder, "", Origin::Folder, None));
    for (root, below, origin, refused) in repository.into_iter().chain(folder) {
        let mut files = Vec::new();
        gather(root, below, &mut files)
            .map_err(|error| CommandError::usage(error).context(format!("cannot read {}", root.display())))?;
        let found = discover(&files, origin, refused, &pack.tests.iter().map(|test| test.name.clone()).collect());
        pack.tests.extend(found.tests);
        pack.warnings.extend(found.warnings);
    }
    Ok(pack)
}
