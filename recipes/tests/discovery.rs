//! The build script on packs in a separate workspace, without a network: it links added files and names wrong ones.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// The part of the harness that the generated module uses.
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

/// A program that prints its packs.
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

    fn build(&self) -> Output {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--offline", "--color", "never", "-p", "recipes"]).current_dir(self.0.path());
        // The variables that cargo set for this test belong to another workspace.
        let is_cargos = |name: &str| name.starts_with("CARGO_") && name != "CARGO_HOME" || name == "OUT_DIR";
        for (name, _) in std::env::vars().filter(|(name, _)| is_cargos(name)) {
            cargo.env_remove(name);
        }
        cargo.env("CARGO_TARGET_DIR", Path::new("target")).output().unwrap()
    }

    /// The output of the program, and that of its build.
    fn run(&self) -> (String, String) {
        let output = self.build();
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{out}{err}");
        (out, err)
    }

    /// The output of a build that fails.
    fn build_error(&self) -> String {
        let output = self.build();
        assert!(!output.status.success(), "the build succeeds");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn added_file_is_linked_and_removed_file_is_not() {
    let scratch = Scratch::new();
    scratch.write("recipes/shop/recipe.toml", "health_path = \"/up\"\n");
    assert_eq!(scratch.run().0, "pack shop \"health_path = \\\"/up\\\"\\n\" None false None\n");

    scratch.suite("recipes/shop/custom/orders.rs", "\"an order is read back\", \"an order is paid\"");
    scratch.write("recipes/shop/PARITY.md", "# Parity\n");
    let (output, _) = scratch.run();
    assert!(
        output.contains("test shop custom/orders.rs an order is read back\ntest shop custom/orders.rs an order is paid\n"),
        "{output}"
    );
    assert!(output.contains("Some(\"# Parity\\n\")"), "{output}");

    scratch.suite("recipes/wiki/custom/pages.rs", "\"a page is read back\"");
    assert!(scratch.run().0.contains("test wiki custom/pages.rs a page is read back\n"), "another pack");

    scratch.remove("recipes/shop/custom/orders.rs");
    assert!(!scratch.run().0.contains("orders.rs"));
}

#[test]
fn deprecated_folder_is_a_warning_and_wrong_file_is_an_error() {
    let scratch = Scratch::new();
    scratch.suite("recipes/shop/custom/orders.rs", "\"an order is read back\"");
    scratch.suite("recipes/shop/functional/cart.rs", "\"a cart is kept\"");
    scratch.suite("recipes/shop/playwright/till.rs", "\"a till opens\"");
    let (output, build) = scratch.run();
    for (file, test) in [("functional/cart.rs", "a cart is kept"), ("playwright/till.rs", "a till opens")] {
        let warning = format!("recipes/shop/{file} is in a deprecated folder; move it to recipes/shop/custom/");
        assert!(
            output.contains(&format!("test shop {file} {test}\n")) && output.contains(&format!("warning {warning}\n")),
            "{output}"
        );
        assert!(build.contains(&format!("warning: recipes@0.1.0: {warning}")), "{build}");
    }

    for (file, wrong) in [
        ("custom/backup.rs", "recipes/shop/custom/backup.rs has the name of an operation"),
        (
            "functional/orders.rs",
            "recipes/shop/custom/orders.rs and recipes/shop/functional/orders.rs give their tests the same names",
        ),
        ("custom/deep/more.rs", "recipes/shop/custom/deep/more.rs is not compiled"),
        ("tests.rs", "recipes/shop/tests.rs is not compiled"),
    ] {
        scratch.suite(&format!("recipes/shop/{file}"), "\"x\"");
        let build = scratch.build_error();
        assert!(build.contains(&format!("error: recipes@0.1.0: {wrong}")), "{file}: {build}");
        scratch.remove(&format!("recipes/shop/{file}"));
    }
    scratch.suite("recipes/Shop/custom/orders.rs", "\"x\"");
    assert!(scratch.build_error().contains("recipes/Shop is not named like a recipe"));
}
