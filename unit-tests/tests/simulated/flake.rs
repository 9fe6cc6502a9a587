//! `flake.nix` parses, and has a package, an app and a shell for each system when it is evaluated with a fake nixpkgs.
//!
//! Without Nix the tests install it in CI; elsewhere they print that they did not run.

use std::{
    collections::BTreeSet,
    io::Write,
    path::Path,
    process::{Command, Output},
    sync::OnceLock,
};

use serde_json::{Value, json};

use crate::book::root;

const SYSTEMS: [&str; 2] = ["x86_64-linux", "aarch64-linux"];

/// The part of nixpkgs that the flake uses. A package evaluates to its name and its system, so that results can be compared.
const NIXPKGS: &str = r#"
    let
      listed = builtins.listToAttrs;
      genAttrs = names: make: listed (map (name: { inherit name; value = make name; }) names);
      package = system: name: "/${name}-${system}";
    in {
      lib = {
        inherit genAttrs;
        licenses.agpl3Plus.spdxId = "AGPL-3.0-or-later";
        makeBinPath = packages: builtins.concatStringsSep ":" (map (package: "${package}/bin") packages);
        getExe = package: "${package.out}/bin/${package.meta.mainProgram}";
      };
      legacyPackages = genAttrs [ "x86_64-linux" "aarch64-linux" ] (system:
        genAttrs [ "cargo" "clippy" "git" "jq" "makeWrapper" "mdbook" "restic" "rustc" "rustfmt" ] (package system) // {
          glibc.static = package system "glibc-static";
          mkShell = shell: shell;
          rustPlatform.buildRustPackage = built: removeAttrs built [ "cargoLock" ] // {
            out = package system built.pname;
            locked = builtins.pathExists built.cargoLock.lockFile;
          };
        });
    }"#;

/// Whether Nix can be started. In CI it is installed first.
///
/// # Panics
/// In CI, if it cannot be installed.
fn has_nix() -> bool {
    static NIX: OnceLock<bool> = OnceLock::new();
    *NIX.get_or_init(|| {
        let starts = || Command::new("nix-instantiate").arg("--version").output().is_ok_and(|output| output.status.success());
        if !starts() && std::env::var_os("CI").is_some_and(|value| value == "true") {
            for args in [vec!["update", "-q"], vec!["install", "-y", "-q", "--no-install-recommends", "nix-bin"]] {
                let done = Command::new("apt-get").args(&args).output().expect("apt-get can be started");
                assert!(done.status.success(), "apt-get {args:?}: {}", String::from_utf8_lossy(&done.stderr));
            }
            assert!(starts(), "nix-bin was installed, but nix-instantiate does not start");
        }
        if !starts() {
            print_uncaptured("flake.nix is not tested: there is no nix-instantiate; the package nix-bin has it");
            return false;
        }
        true
    })
}

/// Prints past the capture of the test program: a test that is not run passes, and its output is not shown.
pub(crate) fn print_uncaptured(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Runs Nix without a store: it builds nothing and writes nothing to the machine.
fn instantiate(args: &[&str]) -> Output {
    Command::new("nix-instantiate").args(["--store", "dummy://"]).args(args).output().expect("it was found")
}

/// The outputs of the flake at `path` with the fake nixpkgs.
fn evaluate_outputs(path: &Path) -> Result<Value, String> {
    let expression = format!(
        "let flake = import {}; in flake.outputs {{ self = \"the source\"; nixpkgs = {NIXPKGS}; }} // {{ inherit (flake) inputs; }}",
        path.display()
    );
    let output = instantiate(&["--eval", "--strict", "--json", "-E", &expression]);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

#[test]
fn flake_parses() {
    if !has_nix() {
        return;
    }

    let output = instantiate(&["--parse", &root().join("flake.nix").display().to_string()]);

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn flake_has_a_package_an_app_and_a_shell_for_each_system() {
    if !has_nix() {
        return;
    }

    let outputs = evaluate_outputs(&root().join("flake.nix")).unwrap();

    for kind in ["packages", "apps", "devShells"] {
        let systems: BTreeSet<&str> = outputs[kind].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(systems, BTreeSet::from(SYSTEMS), "{kind}");
    }
    for system in SYSTEMS {
        let package = &outputs["packages"][system]["default"];
        for (key, value) in [
            ("pname", json!("taster")),
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("src", json!("the source")),
            ("locked", json!(true)),
            ("doCheck", json!(false)),
            ("env", json!({ "NIX_LDFLAGS_AFTER": format!("-L/glibc-static-{system}/lib") })),
        ] {
            assert_eq!(package[key], value, "{system}: {key}");
        }
        assert_eq!(package["meta"]["mainProgram"], "taster");
        assert_eq!(package["meta"]["license"]["spdxId"], env!("CARGO_PKG_LICENSE"));
        let program = format!("/taster-{system}/bin/taster");
        assert_eq!(outputs["apps"][system]["default"], json!({ "type": "app", "program": program }));
        let tools = outputs["devShells"][system]["default"]["packages"].as_array().unwrap();
        for tool in ["cargo", "rustc", "clippy", "rustfmt", "git", "restic", "jq"] {
            assert!(tools.contains(&json!(format!("/{tool}-{system}"))), "{system}: {tool} is not in the shell: {tools:?}");
        }
    }
    let nixpkgs = outputs["inputs"]["nixpkgs"]["url"].as_str().unwrap();
    assert!(nixpkgs.starts_with("github:NixOS/nixpkgs/nixos-"), "{nixpkgs} is not a release branch");
}

#[test]
fn flake_with_an_unknown_name_does_not_evaluate() {
    if !has_nix() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flake.nix");
    std::fs::copy(root().join("Cargo.toml"), folder.path().join("Cargo.toml")).unwrap();
    let flake = std::fs::read_to_string(root().join("flake.nix")).unwrap();
    for (good, bad) in [("pkgs.makeWrapper", "pkgs.makeWraper"), ("pkgs.restic", "pkgs.rustic"), ("build pkgs", "built pkgs")] {
        assert!(flake.contains(good), "{good}");
        std::fs::write(&path, flake.replace(good, bad)).unwrap();

        let error = evaluate_outputs(&path).expect_err(bad);

        let name = bad.trim_start_matches("pkgs.").split(' ').next().unwrap();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn lock_file_has_no_source_whose_hash_nix_needs() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();

    let sources: BTreeSet<&str> = lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();

    assert!(sources.iter().all(|source| source.starts_with("\"registry+")), "{sources:?}");
}
