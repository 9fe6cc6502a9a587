//! A folder with a recipe, and the real checkout that adopts it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use harness::{
    adapters::{checkout::GitCheckout, clock::SystemClock},
    journal::Journal,
    model::names::{Commit, RecipeName},
    ports::{Checked, Checkout, CheckoutError},
    pure::{
        host::claim::{Claim, Claimed},
        recipe::compose::Tree,
    },
};
use tempfile::TempDir;

use crate::{recipe, stacks::fresh_run};

/// A folder for a recipe, the checkout that adopts it, and a file that a program leaves when it is started. Every method panics
/// where the files of the test cannot be used.
pub struct CheckoutPlace {
    /// The folder of all.
    pub dir: TempDir,
    /// The checkout.
    pub checkout: GitCheckout,
    /// The claim of its folder.
    pub claim: Claim,
    _journal: Journal,
}

#[expect(clippy::missing_panics_doc, clippy::new_without_default, reason = "a test fails where its files cannot be used")]
impl CheckoutPlace {
    /// A place without a recipe.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let abra_dir = dir.path().join("run/abra");
        let journal = Journal::create(&dir.path().join("run"), fresh_run(), Arc::new(SystemClock::start())).unwrap();
        let (claim, _) = journal.claim(Claimed::Dir { path: abra_dir.clone() }, &"swarm".parse().unwrap()).unwrap();
        let checkout = GitCheckout::new(&abra_dir, std::env::var_os("PATH").unwrap());
        Self { dir, checkout, claim, _journal: journal }
    }

    /// A place with the recipe `small` as a repository.
    pub fn with_recipe() -> Self {
        let place = Self::new();
        recipe::make(&place.folder());
        place
    }

    /// The recipe's folder.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("mine")
    }

    /// The folder of the checkout.
    pub fn checkout_dir(&self) -> PathBuf {
        self.dir.path().join("run/abra/recipes/small")
    }

    /// Writes a file of the recipe.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A program that leaves a file when it is started.
    pub fn trap(&self) -> String {
        let (program, left) = (self.dir.path().join("trap"), self.dir.path().join("started"));
        fs::write(&program, format!("#!/bin/sh\necho \"$0 $*\" >> {}\ncat\n", left.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        program.display().to_string()
    }

    /// What the trap was started with; empty when it was not.
    pub fn started(&self) -> String {
        fs::read_to_string(self.dir.path().join("started")).unwrap_or_default()
    }

    /// Adopts another folder.
    pub fn adopt_from(&self, folder: &Path) -> Result<bool, CheckoutError> {
        block_on(self.checkout.adopt(&self.claim, &small(), folder))
    }

    /// Adopts the recipe's folder.
    pub fn adopt(&self) -> Result<bool, CheckoutError> {
        self.adopt_from(&self.folder())
    }

    /// What the checkout shows of the recipe.
    pub fn read(&self) -> Checked {
        block_on(self.checkout.read(&small())).unwrap()
    }

    /// The commit that is checked out.
    pub fn head(&self) -> Commit {
        self.read().head
    }

    /// The files of that commit.
    pub fn tree(&self) -> Tree {
        block_on(self.checkout.tree(&small(), &self.head())).unwrap()
    }

    /// Compares the checkout on the disk with `expected`.
    pub fn verify(&self, expected: &Tree) -> Result<(), CheckoutError> {
        block_on(self.checkout.verify(&small(), expected))
    }
}

/// The name of the recipe.
///
/// # Panics
/// Never: the name is a valid one.
pub fn small() -> RecipeName {
    "small".parse().unwrap()
}

/// Runs a future of the checkout to its end.
///
/// # Panics
/// If there can be no runtime.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
