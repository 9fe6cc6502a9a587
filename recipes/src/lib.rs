//! The packs, one folder each.
//!
//! `build.rs` finds them; no list names them. `docs/how-to/custom-tests.md` explains how to write one.
#![expect(unreachable_pub, reason = "authors write `pub fn suite()`, and no other package calls it")]

use harness::author::Linked;

include!(concat!(env!("OUT_DIR"), "/packs.rs"));

/// All packs in this program, in the order of their recipes.
pub fn packs() -> &'static [Linked] {
    PACKS
}

/// The pack of a recipe.
pub fn of(recipe: &str) -> Option<&'static Linked> {
    PACKS.iter().find(|pack| pack.name == recipe)
}

#[cfg(test)]
#[expect(dead_code, clippy::print_stdout, reason = "the build script is compiled once more, so that its functions can be tested")]
#[path = "../build.rs"]
mod build;

#[cfg(test)]
mod tests {
    use super::*;

    /// The pack in a folder with these files.
    fn found(files: &[&str]) -> Result<Option<build::Pack>, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        build::find(folder.path(), "shop")
    }

    #[test]
    fn pack_has_the_files_of_its_test_folders() {
        let pack = found(&["custom/orders.rs", "custom/_shop.rs", "custom/notes.md", "playwright/cart.rs"]).unwrap().unwrap();
        assert_eq!(pack.suites.values().collect::<Vec<_>>(), ["playwright/cart.rs", "custom/orders.rs"]);
        assert_eq!(pack.helpers.keys().collect::<Vec<_>>(), ["_shop"]);
        assert_eq!(pack.warnings, ["recipes/shop/playwright/cart.rs is in a deprecated folder; move it to recipes/shop/custom/"]);
        assert!(found(&["README.md"]).unwrap().is_none(), "a folder with only a README is not a pack");
        assert!(found(&["compose.ci.yml"]).unwrap().is_some());
    }

    #[test]
    fn misplaced_or_ambiguous_file_is_refused_by_name() {
        for (files, message) in [
            (&["custom/upgrade.rs"][..], "recipes/shop/custom/upgrade.rs has the name of an operation"),
            (&["functional/install.rs"], "recipes/shop/functional/install.rs has the name of an operation"),
            (
                &["custom/a.rs", "functional/a.rs"],
                "recipes/shop/custom/a.rs and recipes/shop/functional/a.rs give their tests the same names",
            ),
            (&["custom/old/a.rs"], "recipes/shop/custom/old/a.rs is not compiled"),
            (&["orders.rs"], "recipes/shop/orders.rs is not compiled"),
            (&["custom/my-test.rs"], "recipes/shop/custom/my-test.rs needs a name of lower-case letters"),
        ] {
            let Err(errors) = found(files) else { panic!("{files:?} are refused") };
            assert!(errors.len() == 1 && errors[0].starts_with(message), "{errors:?}");
        }
    }

    #[test]
    fn every_pack_loads_and_is_not_empty() {
        for linked in packs() {
            let pack = linked.pack().unwrap_or_else(|error| panic!("{error}"));
            assert!(!pack.is_empty(), "{} is empty", linked.name);
        }
    }

    #[test]
    fn every_pack_with_tests_has_a_valid_parity_file() {
        for linked in packs() {
            let pack = linked.pack().unwrap_or_else(|error| panic!("{error}"));
            match linked.parity {
                Some(text) => {
                    let wrong = harness::author::parity(text, &pack).wrong;
                    assert!(wrong.is_empty(), "recipes/{}/PARITY.md: {}", linked.name, wrong.join("; "));
                }
                None => assert!(pack.tests.is_empty(), "recipes/{} has tests and no PARITY.md", linked.name),
            }
        }
    }

    #[test]
    fn pack_is_found_by_its_recipe() {
        assert!(of("hello").is_some_and(|pack| pack.suites.iter().any(|(file, _)| *file == "custom/posts.rs")));
        assert!(of("absent").is_none());
    }
}
