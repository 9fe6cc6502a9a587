//! The packs, one folder each.
//!
//! `build.rs` finds them; nothing is registered by hand. `docs/how-to/custom-tests.md` says how to write one.
#![expect(unreachable_pub, reason = "authors write `pub fn suite()`, and nobody outside of this package calls it")]

use harness::author::Linked;

include!(concat!(env!("OUT_DIR"), "/packs.rs"));

/// All packs that are linked into this program, by the names of their recipes.
pub fn packs() -> &'static [Linked] {
    PACKS
}

/// The pack of a recipe.
pub fn of(recipe: &str) -> Option<&'static Linked> {
    PACKS.iter().find(|pack| pack.name == recipe)
}

#[cfg(test)]
#[expect(dead_code, clippy::print_stdout, reason = "the build script is compiled once more, so that what it finds can be tried")]
#[path = "../build.rs"]
mod build;

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a folder with these files.
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
    fn files_are_found_by_where_they_are() {
        let pack = found(&["custom/orders.rs", "custom/_shop.rs", "custom/notes.md", "playwright/cart.rs"]).unwrap().unwrap();
        assert_eq!(pack.suites.values().collect::<Vec<_>>(), ["playwright/cart.rs", "custom/orders.rs"]);
        assert_eq!(pack.helpers.keys().collect::<Vec<_>>(), ["_shop"]);
        assert_eq!(
            pack.warnings,
            ["recipes/shop/playwright/cart.rs is in a folder of the past; move it to recipes/shop/custom/"]
        );
        assert!(found(&["README.md"]).unwrap().is_none(), "it is no pack");
        assert!(found(&["compose.ci.yml"]).unwrap().is_some());
    }

    #[test]
    fn files_that_mean_two_things_are_refused_by_their_names() {
        for (files, said) in [
            (&["custom/upgrade.rs"][..], "recipes/shop/custom/upgrade.rs is called like an operation"),
            (&["functional/install.rs"], "recipes/shop/functional/install.rs is called like an operation"),
            (
                &["custom/a.rs", "functional/a.rs"],
                "recipes/shop/custom/a.rs and recipes/shop/functional/a.rs: their tests would have the same names",
            ),
            (&["custom/old/a.rs"], "recipes/shop/custom/old/a.rs would not be in the binary"),
            (&["orders.rs"], "recipes/shop/orders.rs would not be in the binary"),
            (&["custom/my-test.rs"], "recipes/shop/custom/my-test.rs: a file with tests is called by lower-case letters"),
        ] {
            let Err(errors) = found(files) else { panic!("{files:?} are refused") };
            assert!(errors.len() == 1 && errors[0].starts_with(said), "{errors:?}");
        }
    }

    #[test]
    fn every_pack_can_be_used() {
        for linked in packs() {
            let pack = linked.pack().unwrap_or_else(|error| panic!("{error}"));
            assert!(!pack.is_empty(), "{} has something in it", linked.name);
        }
    }

    #[test]
    fn every_pack_with_tests_says_what_they_cover() {
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
    fn a_pack_is_found_by_its_recipe() {
        assert!(of("hello").is_some_and(|pack| pack.suites.iter().any(|(file, _)| *file == "custom/posts.rs")));
        assert!(of("nobody").is_none());
    }
}
