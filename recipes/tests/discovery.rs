//! Packs in a workspace of their own, built without a network: a file that is added is there, and what is wrong is told by its name.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// As much of the harness as the modules name that the build script writes.
const HARNESS: &str = r#"
pub mod author {
    #[derive(Default)]
    pub struct Suite(pub Vec<&'static str>);
    impl Suite {
        pub fn of(names: &[&'static str]) -> Self { Self(names.to_vec()) }
    }
    pub struct Lifecycle;
    pub type SuiteFile = (&'static str, fn() -> Suite);
    pub struct Linked {
        pub name: &'static str,
        pub settings: &'static str,
        pub overlay: Option<&'static str>,
        pub suites: &'static [SuiteFile],
        pub lifecycle: Option<fn() -> Lifecycle>,
        pub parity: Option<&'static str>,
        pub warnings: &'static [&'static str],
    }
}
"#;

/// A program that says what it has.
const MAIN: &str = r#"
use harness::author::Linked;
include!(concat!(env!("OUT_DIR"), "/packs.rs"));
fn main() {
    for pack in PACKS {
        println!("pack {} {:?} {:?} {} {:?}", pack.name, pack.settings, pack.overlay, pack.lifecycle.is_some(), pack.parity);
        for (file, suite) in pack.suites {
            for test in suite().0 { println!("test {} {file} {test}", pack.name); }
        }
        for warning in pack.warnings { println!("warning {warning}"); }
    }
}
"#;

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        let scratch = Self(tempfile::tempdir().unwrap());
        let package =
            |name: &str, rest: &str| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}");
        scratch.write("Cargo.toml", "[workspace]\nmembers = [\"harness\", \"recipes\"]\nresolver = \"3\"\n");
        scratch.write("harness/Cargo.toml", &package("harness", ""));
        scratch.write("harness/src/lib.rs", HARNESS);
        scratch.write("recipes/Cargo.toml", &package("recipes", "[dependencies]\nharness = { path = \"../harness\" }\n"));
        scratch.write("recipes/build.rs", include_str!("../build.rs"));
        scratch.write("recipes/src/main.rs", MAIN);
        scratch
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn suite(&self, file: &str, names: &str) {
        self.write(file, &format!("pub fn suite() -> harness::author::Suite {{ harness::author::Suite::of(&[{names}]) }}\n"));
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.0.path().join(file)).unwrap();
    }

    fn built(&self) -> Output {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--offline", "--color", "never", "-p", "recipes"]).current_dir(self.0.path());
        // Whatever cargo told this test is about another workspace.
        let told = |name: &str| name.starts_with("CARGO_") && name != "CARGO_HOME" || name == "OUT_DIR";
        for (name, _) in std::env::vars().filter(|(name, _)| told(name)) {
            cargo.env_remove(name);
        }
        cargo.env("CARGO_TARGET_DIR", Path::new("target")).output().unwrap()
    }

    /// What the program has, and what was said as it was built.
    fn has(&self) -> (String, String) {
        let output = self.built();
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{out}{err}");
        (out, err)
    }

    fn refused(&self) -> String {
        let output = self.built();
        assert!(!output.status.success(), "it is refused");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn a_file_that_is_added_is_in_the_program_and_one_that_is_removed_is_not() {
    let scratch = Scratch::new();
    scratch.write("recipes/shop/recipe.toml", "health_path = \"/up\"\n");
    assert_eq!(scratch.has().0, "pack shop \"health_path = \\\"/up\\\"\\n\" None false None\n");

    scratch.suite("recipes/shop/custom/orders.rs", "\"an order is read back\", \"an order is paid\"");
    scratch.write("recipes/shop/PARITY.md", "# Parity\n");
    let (has, _) = scratch.has();
    assert!(
        has.contains("test shop custom/orders.rs an order is read back\ntest shop custom/orders.rs an order is paid\n"),
        "{has}"
    );
    assert!(has.contains("Some(\"# Parity\\n\")"), "{has}");

    scratch.suite("recipes/wiki/custom/pages.rs", "\"a page is read back\"");
    assert!(scratch.has().0.contains("test wiki custom/pages.rs a page is read back\n"), "another pack");

    scratch.remove("recipes/shop/custom/orders.rs");
    assert!(!scratch.has().0.contains("orders.rs"));
}

#[test]
fn what_is_out_of_date_is_warned_of_and_what_is_wrong_is_an_error_and_both_name_the_file() {
    let scratch = Scratch::new();
    scratch.suite("recipes/shop/custom/orders.rs", "\"an order is read back\"");
    scratch.suite("recipes/shop/functional/cart.rs", "\"a cart is kept\"");
    scratch.suite("recipes/shop/playwright/till.rs", "\"a till opens\"");
    let (has, said) = scratch.has();
    for (file, test) in [("functional/cart.rs", "a cart is kept"), ("playwright/till.rs", "a till opens")] {
        let warning = format!("recipes/shop/{file} is in a folder of the past; move it to recipes/shop/custom/");
        assert!(has.contains(&format!("test shop {file} {test}\n")) && has.contains(&format!("warning {warning}\n")), "{has}");
        assert!(said.contains(&format!("warning: recipes@0.1.0: {warning}")), "{said}");
    }

    for (file, wrong) in [
        ("custom/backup.rs", "recipes/shop/custom/backup.rs is called like an operation"),
        (
            "functional/orders.rs",
            "recipes/shop/custom/orders.rs and recipes/shop/functional/orders.rs: their tests would have the same names",
        ),
        ("custom/deep/more.rs", "recipes/shop/custom/deep/more.rs would not be in the binary"),
        ("tests.rs", "recipes/shop/tests.rs would not be in the binary"),
    ] {
        scratch.suite(&format!("recipes/shop/{file}"), "\"x\"");
        let said = scratch.refused();
        assert!(said.contains(&format!("error: recipes@0.1.0: {wrong}")), "{file}: {said}");
        scratch.remove(&format!("recipes/shop/{file}"));
    }
    scratch.suite("recipes/Shop/custom/orders.rs", "\"x\"");
    assert!(scratch.refused().contains("recipes/Shop holds what a pack has, and no recipe is called so"));
}
