//! Finds the packs in the folders of this package and generates the Rust module that links them: settings, overlay, lifecycle,
//! tests and `PARITY.md` of each.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// The folders with tests. The first is current, the others are deprecated names of it.
const TEST_FOLDERS: [&str; 3] = ["custom", "functional", "playwright"];
/// The folders of this package that are not packs.
const OWN: [&str; 2] = ["src", "tests"];
/// File names of operations, which no file with tests may have.
const OPERATIONS: [&str; 8] = ["install", "upgrade", "backup", "restore", "lifecycle", "canary", "check", "ready"];

/// The files of one pack.
#[derive(Default)]
pub(crate) struct Pack {
    /// Files with tests by the names of their modules, relative to the pack's folder.
    pub(crate) suites: BTreeMap<String, String>,
    /// Files without tests that other files of the pack use.
    pub(crate) helpers: BTreeMap<String, String>,
    lifecycle: bool,
    settings: bool,
    overlay: bool,
    parity: bool,
    pub(crate) warnings: Vec<String>,
}

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    println!("cargo::rerun-if-changed=.");
    let mut text = String::new();
    let mut table = String::from("static PACKS: &[Linked] = &[\n");
    let mut modules = BTreeMap::new();
    let mut wrong: Vec<String> = misnamed(&root)
        .into_iter()
        .map(|name| {
            format!("recipes/{name} is not named like a recipe; a recipe's name has only lower-case letters, digits, `-` and `_`")
        })
        .collect();
    for name in folders(&root) {
        let pack = match find(&root.join(&name), &name) {
            Ok(Some(pack)) => pack,
            Ok(None) => continue,
            Err(errors) => {
                wrong.extend(errors);
                continue;
            }
        };
        let module = ident(&name);
        if let Some(other) = modules.insert(module.clone(), name.clone()) {
            wrong.push(format!("recipes/{other} and recipes/{name} have the same name in Rust; rename one of them"));
        }
        for warning in &pack.warnings {
            println!("cargo::warning={warning}");
        }
        write_modules(&mut text, &root.join(&name), &module, &pack);
        write_row(&mut table, &root.join(&name), &name, &module, &pack);
    }
    for error in &wrong {
        println!("cargo::error={error}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    fs::write(out.join("packs.rs"), format!("{text}{table}];\n")).expect("OUT_DIR can be written");
}

/// The names of the folders that may be packs.
fn folders(root: &Path) -> Vec<String> {
    entries(root)
        .into_iter()
        .filter(|name| root.join(name).is_dir() && !OWN.contains(&name.as_str()) && is_recipe(name))
        .collect()
}

/// The folders with files of a pack whose names are not those of recipes.
fn misnamed(root: &Path) -> Vec<String> {
    let holds =
        |name: &str| TEST_FOLDERS.iter().chain(&["recipe.toml", "lifecycle.rs"]).any(|part| root.join(name).join(part).exists());
    entries(root).into_iter().filter(|name| !is_recipe(name) && holds(name)).collect()
}

fn is_recipe(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let mut names: Vec<String> = entries.iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The pack in a folder; `None` if it has no file of a pack. Errors name the misplaced files.
pub(crate) fn find(folder: &Path, recipe: &str) -> Result<Option<Pack>, Vec<String>> {
    let has = |file: &str| folder.join(file).is_file();
    let mut pack = Pack {
        lifecycle: has("lifecycle.rs"),
        settings: has("recipe.toml"),
        overlay: has("compose.ci.yml"),
        parity: has("PARITY.md"),
        ..Pack::default()
    };
    let mut wrong: Vec<String> = uncompiled(folder)
        .into_iter()
        .map(|file| {
            format!("recipes/{recipe}/{file} is not compiled; move it to recipes/{recipe}/custom/, not to a folder below")
        })
        .collect();
    for below in TEST_FOLDERS {
        let sources = entries(&folder.join(below)).into_iter().filter_map(|file| Some(file.strip_suffix(".rs")?.to_owned()));
        for stem in sources {
            let file = format!("{below}/{stem}.rs");
            if below != TEST_FOLDERS[0] {
                pack.warnings
                    .push(format!("recipes/{recipe}/{file} is in a deprecated folder; move it to recipes/{recipe}/custom/"));
            }
            if let Some(flaw) = name_flaw(&stem) {
                wrong.push(format!("recipes/{recipe}/{file} {flaw}"));
                continue;
            }
            let kind = if stem.starts_with('_') { &mut pack.helpers } else { &mut pack.suites };
            if let Some(other) = kind.insert(stem.clone(), file.clone()) {
                wrong.push(format!("recipes/{recipe}/{other} and recipes/{recipe}/{file} give their tests the same names"));
            }
        }
    }
    let empty = pack.suites.is_empty() && !pack.lifecycle && !pack.settings && !pack.overlay;
    match wrong.is_empty() {
        true => Ok((!empty).then_some(pack)),
        false => Err(wrong),
    }
}

/// Why a file with tests must not have this name.
fn name_flaw(stem: &str) -> Option<&'static str> {
    if OPERATIONS.contains(&stem) {
        return Some("has the name of an operation; code of operations belongs to lifecycle.rs");
    }
    let valid = stem.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    (!valid).then_some("needs a name of lower-case letters, digits and `_`")
}

/// The Rust files in a pack's folder that the generated module does not include.
fn uncompiled(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut below = vec![String::new()];
    while let Some(at) = below.pop() {
        for name in entries(&folder.join(&at)) {
            let path = format!("{at}{name}");
            if folder.join(&path).is_dir() {
                below.push(format!("{path}/"));
            } else if path.ends_with(".rs") && path != "lifecycle.rs" {
                let compiled = path.split_once('/').is_some_and(|(top, rest)| TEST_FOLDERS.contains(&top) && !rest.contains('/'));
                found.extend((!compiled).then_some(path));
            }
        }
    }
    found.sort();
    found
}

/// Writes the module of a pack: `custom` with a module for each file with tests or helpers, and `lifecycle`.
fn write_modules(text: &mut String, folder: &Path, module: &str, pack: &Pack) {
    if pack.suites.is_empty() && !pack.lifecycle {
        return;
    }
    let path = |file: &str| format!("{:?}", folder.join(file).display().to_string());
    let _ = writeln!(text, "mod {module} {{\n    pub(super) mod custom {{");
    for (stem, file) in pack.helpers.iter().chain(&pack.suites) {
        let _ = writeln!(text, "        #[path = {}]\n        pub mod {};", path(file), raw(stem));
    }
    text.push_str("    }\n");
    if pack.lifecycle {
        let _ = writeln!(text, "    #[path = {}]\n    pub(super) mod lifecycle;", path("lifecycle.rs"));
    }
    text.push_str("}\n");
}

/// Writes the pack's value of the table `PACKS`.
fn write_row(table: &mut String, folder: &Path, name: &str, module: &str, pack: &Pack) {
    let include = |file: &str| format!("include_str!({:?})", folder.join(file).display().to_string());
    let settings = if pack.settings { include("recipe.toml") } else { "\"\"".to_owned() };
    let overlay = if pack.overlay { format!("Some({})", include("compose.ci.yml")) } else { "None".to_owned() };
    let parity = if pack.parity { format!("Some({})", include("PARITY.md")) } else { "None".to_owned() };
    let suites: Vec<String> =
        pack.suites.iter().map(|(stem, file)| format!("({file:?}, {module}::custom::{}::suite)", raw(stem))).collect();
    let lifecycle = if pack.lifecycle { format!("Some({module}::lifecycle::lifecycle)") } else { "None".to_owned() };
    let _ = writeln!(
        table,
        "    Linked {{ name: {name:?}, settings: {settings}, overlay: {overlay}, suites: &[{}], \
         lifecycle: {lifecycle}, parity: {parity}, warnings: &{:?} }},",
        suites.join(", "),
        pack.warnings
    );
}

/// The name of a recipe's module.
fn ident(name: &str) -> String {
    format!("pack_{}", name.replace('-', "_"))
}

/// The module name of a file, as a raw identifier because it may be a keyword.
fn raw(stem: &str) -> String {
    if stem.starts_with('_') || ["self", "super", "crate"].contains(&stem) { stem.to_owned() } else { format!("r#{stem}") }
}
