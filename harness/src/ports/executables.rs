//! Custom tests that are executables.

use std::time::Duration;

use async_trait::async_trait;

use super::{ProgramError, Ran};
use crate::{
    model::{
        names::RecipeName,
        pack::{CustomTest, Origin},
        tested_app::TestedApp,
    },
    pure::recipe::executables::SeenFile,
};

/// The executables of the recipe's repository and of the folder that the request names.
#[async_trait]
pub trait Executables: Send + Sync {
    /// All files in the place of executables of `origin`. Those of the repository are copied as they are checked out now, so that
    /// a later checkout changes none of them.
    async fn find(&self, recipe: &RecipeName, origin: Origin) -> Result<Vec<SeenFile>, ProgramError>;
    /// Runs one on the app of `head`, in a process group of its own, which is ended with all that it started when `budget` is
    /// used up.
    async fn execute(&self, test: &CustomTest, app: TestedApp<'_>, budget: Duration) -> Result<Ran, ProgramError>;
}

/// A place without executables.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoExecutables;

#[async_trait]
impl Executables for NoExecutables {
    async fn find(&self, _: &RecipeName, _: Origin) -> Result<Vec<SeenFile>, ProgramError> {
        Ok(Vec::new())
    }

    async fn execute(&self, test: &CustomTest, _: TestedApp<'_>, _: Duration) -> Result<Ran, ProgramError> {
        Err(ProgramError::NotRun { message: format!("there is no {}", test.file) })
    }
}
