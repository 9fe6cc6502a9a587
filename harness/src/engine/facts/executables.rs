//! Tests in addition to a pack: executables of the recipe's repository and of the folder that the request names.

use super::RunInput;
use crate::{
    model::{
        pack::{Origin, Pack},
        refusal::Refusal,
    },
    ports::Ports,
    pure::recipe::executables,
};

/// The pack with the executables of the recipe's repository, as head has them, and of the folder that the request names.
pub(super) async fn add_to_pack(input: RunInput<'_>, ports: &Ports) -> Result<Pack, Refusal> {
    let RunInput { request, host, pack, .. } = input;
    let refused =
        (!executables::trusted(host, &request.recipe, request.authoring.trusted)).then(|| executables::refusal(&request.recipe));
    let mut pack = pack.clone();
    // A folder that is named on the command line is trusted.
    for (origin, refused) in [(Origin::Repository, refused.as_deref()), (Origin::Folder, None)] {
        let files = ports.executables.find(&request.recipe, origin).await.map_err(|error| Refusal::Facts(error.into()))?;
        let taken = pack.tests.iter().map(|test| test.name.clone()).collect();
        let found = executables::discover(&files, origin, refused, &taken);
        pack.tests.extend(found.tests);
        pack.warnings.extend(found.warnings);
    }
    Ok(pack)
}
