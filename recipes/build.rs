//! Finds the packs: in each folder here that has anything of a pack, the settings, the overlay, the lifecycle and the files with
//! tests, and writes a module of Rust that names them all.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// Where tests are looked for; the second and third are what the folder was called before.
const FOLDERS: [&str; 3] = ["custom", "functional", "playwright"];
/// The folders of this package itself.
const OWN: [&str; 2] = ["src", "tests"];
/// The names that mean an operation and not a test.
const LIFECYCLE: [&str; 8] = ["install", "upgrade", "backup", "restore", "lifecycle", "canary", "check", "ready"];

/// What was found of one pack.
#[derive(Default)]
pub(crate) struct Pack {
    /// Files with tests by the name of their module, from the pack's folder on.
    pub(crate) suites: BTreeMap<String, String>,
    /// Files without tests that others use.
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
            format!("recipes/{name} holds what a pack has, and no recipe is called so: lower-case letters, digits, `-` and `_`")
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
            wrong.push(format!("recipes/{other} and recipes/{name} are one name in Rust; rename one of them"));
        }
        for warning in &pack.warnings {
            println!("cargo::warning={warning}");
        }
        modules_of(&mut text, &root.join(&name), &module, &pack);
        row_of(&mut table, &root.join(&name), &name, &module, &pack);
    }
    for error in &wrong {
        println!("cargo::error={error}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    fs::write(out.join("packs.rs"), format!("{text}{table}];\n")).expect("OUT_DIR can be written");
}

/// The names of the folders that can be packs.
fn folders(root: &Path) -> Vec<String> {
    entries(root)
        .into_iter()
        .filter(|name| root.join(name).is_dir() && !OWN.contains(&name.as_str()) && is_recipe(name))
        .collect()
}

/// The folders that look like packs and would not be found, for no recipe has such a name.
fn misnamed(root: &Path) -> Vec<String> {
    let holds =
        |name: &str| FOLDERS.iter().chain(&["recipe.toml", "lifecycle.rs"]).any(|part| root.join(name).join(part).exists());
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

/// What a folder holds of a pack; nothing when it holds nothing.
pub(crate) fn find(folder: &Path, recipe: &str) -> Result<Option<Pack>, Vec<String>> {
    let has = |file: &str| folder.join(file).is_file();
    let mut pack = Pack {
        lifecycle: has("lifecycle.rs"),
        settings: has("recipe.toml"),
        overlay: has("compose.ci.yml"),
        parity: has("PARITY.md"),
        ..Pack::default()
    };
    let mut wrong: Vec<String> = strays(folder)
        .into_iter()
        .map(|file| {
            format!("recipes/{recipe}/{file} would not be in the binary; tests are files of recipes/{recipe}/custom/ itself")
        })
        .collect();
    for below in FOLDERS {
        let sources = entries(&folder.join(below)).into_iter().filter_map(|file| Some(file.strip_suffix(".rs")?.to_owned()));
        for stem in sources {
            let file = format!("{below}/{stem}.rs");
            if below != FOLDERS[0] {
                pack.warnings
                    .push(format!("recipes/{recipe}/{file} is in a folder of the past; move it to recipes/{recipe}/custom/"));
            }
            if LIFECYCLE.contains(&stem.as_str()) {
                wrong.push(format!("recipes/{recipe}/{file} is called like an operation and would run twice; what belongs to one goes into lifecycle.rs"));
                continue;
            }
            if !stem.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
                wrong.push(format!("recipes/{recipe}/{file}: a file with tests is called by lower-case letters, digits and `_`"));
                continue;
            }
            let kind = if stem.starts_with('_') { &mut pack.helpers } else { &mut pack.suites };
            if let Some(other) = kind.insert(stem.clone(), file.clone()) {
                wrong
                    .push(format!("recipes/{recipe}/{other} and recipes/{recipe}/{file}: their tests would have the same names"));
            }
        }
    }
    let empty = pack.suites.is_empty() && !pack.lifecycle && !pack.settings && !pack.overlay;
    match wrong.is_empty() {
        true => Ok((!empty).then_some(pack)),
        false => Err(wrong),
    }
}

/// The files of Rust in a pack's folder that nothing would compile.
fn strays(folder: &Path) -> Vec<String> {
    let mut strays = Vec::new();
    let mut below = vec![String::new()];
    while let Some(at) = below.pop() {
        for name in entries(&folder.join(&at)) {
            let path = format!("{at}{name}");
            if folder.join(&path).is_dir() {
                below.push(format!("{path}/"));
            } else if path.ends_with(".rs") && path != "lifecycle.rs" {
                let its = path.split_once('/').is_some_and(|(top, rest)| FOLDERS.contains(&top) && !rest.contains('/'));
                strays.extend((!its).then_some(path));
            }
        }
    }
    strays.sort();
    strays
}

/// The module of a pack: `custom` with all files of tests and helpers beside each other, and `lifecycle`.
fn modules_of(text: &mut String, folder: &Path, module: &str, pack: &Pack) {
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

fn row_of(table: &mut String, folder: &Path, name: &str, module: &str, pack: &Pack) {
    let include = |file: &str| format!("include_str!({:?})", folder.join(file).display().to_string());
    let settings = if pack.settings { include("recipe.toml") } else { "\"\"".to_owned() };
    let overlay = if pack.overlay { format!("Some({})", include("compose.ci.yml")) } else { "None".to_owned() };
    let parity = if pack.parity { format!("Some({})", include("PARITY.md")) } else { "None".to_owned() };
    let suites: Vec<String> =
        pack.suites.iter().map(|(stem, file)| format!("({file:?}, {module}::custom::{}::suite)", raw(stem))).collect();
    let lifecycle = if pack.lifecycle { format!("Some({module}::lifecycle::lifecycle)") } else { "None".to_owned() };
    let _ = writeln!(
        table,
        "    Linked {{ name: {name:?}, settings: {settings}, overlay: {overlay}, suites: &[{}], lifecycle: {lifecycle}, parity: {parity}, warnings: &{:?} }},",
        suites.join(", "),
        pack.warnings
    );
}

/// The name of a recipe as a name in Rust.
fn ident(name: &str) -> String {
    format!("pack_{}", name.replace('-', "_"))
}

/// A file's name as a module's; it may be a word of the language.
fn raw(stem: &str) -> String {
    if stem.starts_with('_') || ["self", "super", "crate"].contains(&stem) { stem.to_owned() } else { format!("r#{stem}") }
}
