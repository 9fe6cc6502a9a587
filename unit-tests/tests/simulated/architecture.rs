//! The invariants of `docs/architecture.md`, checked over the sources.

mod imports;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    fs,
    sync::LazyLock,
};

use crate::{book::root, sources::texts};
use imports::{Edge, Imports, Sources};

const PACKAGES: [&str; 6] = ["formats", "harness", "recipes", "runner", "sandbox", "unit-tests"];

/// Folders whose code decides and does nothing else.
const PURE: [&str; 4] = ["formats/src/", "harness/src/model/", "harness/src/pure/", "runner/src/pure/"];

/// What no decision may name: runtimes, engines, files, processes, sockets, the environment and clocks.
const IMPURE: [&str; 19] = [
    "bollard",
    "fantoccini",
    "hyper_util",
    "notify",
    "portable_pty",
    "procfs",
    "reqwest",
    "rustix",
    "rustls",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "std::time::SystemTime",
    "tempfile",
    "tokio",
];

/// Plain values in modules that reach outside.
const PLAIN: [&str; 1] = ["std::process::ExitCode"];

/// Crates that reach an engine, a server, a browser or a terminal.
const REACHING: [&str; 6] = ["bollard", "fantoccini", "hyper_util", "portable_pty", "reqwest", "rustls"];

const STEPS: &str = "harness/src/engine/steps/";

const LONGEST_FILE: usize = 800;

static SOURCES: LazyLock<Sources> = LazyLock::new(|| texts(&PACKAGES, &["rs"]));

static IMPORTS: LazyLock<Imports> = LazyLock::new(|| Imports::read(&PACKAGES, &SOURCES));

/// Fails with a line for each of `found`.
fn assert_none<T: Display>(found: &[T], rule: &str) {
    let lines: Vec<String> = found.iter().map(|line| format!("  {line}")).collect();
    assert!(found.is_empty(), "{rule}; {} do not hold to it:\n{}", found.len(), lines.join("\n"));
}

fn is_within(file: &str, places: &[&str]) -> bool {
    places.iter().any(|place| file.starts_with(place))
}

/// Whether the path `name` is one of `names` or below one.
fn is_below(name: &str, names: &[&str]) -> bool {
    names.iter().any(|start| name.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
}

/// `file: name` for each name of another crate that is one of `names` or below one, in the files of `places`.
fn named(imports: &Imports, places: &[&str], names: &[&str], except: &[&str]) -> Vec<String> {
    imports
        .foreign()
        .filter(|(file, name)| is_within(file, places) && !is_within(file, except) && is_below(name, names))
        .map(|(file, name)| format!("{file}: {name}"))
        .collect()
}

/// What the files of `places` name and no decision may.
fn impurities(imports: &Imports, places: &[&str]) -> Vec<String> {
    imports
        .foreign()
        .filter(|(file, _)| is_within(file, places))
        .filter(|(_, name)| name.ends_with("::now") || is_below(name, &IMPURE) && !is_below(name, &PLAIN))
        .map(|(file, name)| format!("{file}: {name}"))
        .collect()
}

/// A block of lines for each circle.
fn shown(circles: Vec<Vec<Edge>>) -> Vec<String> {
    let lines = |circle: &Vec<Edge>| circle.iter().map(|edge| format!("\n    {edge}")).collect::<String>();
    circles.iter().map(|circle| format!("circle of {} imports:{}", circle.len(), lines(circle))).collect()
}

#[test]
fn files_of_a_package_import_each_other_in_no_circle() {
    assert!(IMPORTS.edges().count() > 500, "too few imports are read");
    assert_none(&shown(IMPORTS.circles()), "imports among files form no circle");
}

#[test]
fn modules_of_a_folder_import_each_other_in_no_circle() {
    assert_none(&shown(IMPORTS.circles_of_modules()), "imports among the modules of one folder form no circle");
}

/// The layer of a file of the harness: its first folder, and the second one within `pure`.
fn layer(imports: &Imports, file: &str) -> Option<String> {
    match imports.place(file) {
        [package, ..] if package != "harness" => None,
        [_, pure, part, ..] if pure == "pure" => Some(format!("pure/{part}")),
        [_, pure] if pure == "pure" => None,
        [_, layer, ..] => Some(layer.clone()),
        _ => None,
    }
}

/// The arrows between layers in the order in which the drawing has them: `a --> b & c` is two.
fn drawn(page: &str) -> Vec<(String, String)> {
    let block = page.split("```mermaid").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    let arrows = block.lines().filter_map(|line| line.trim().split_once(" --> "));
    arrows
        .flat_map(|(from, to)| to.split(" & ").map(|to| (from.trim().to_owned(), to.trim().to_owned())).collect::<Vec<_>>())
        .collect()
}

/// How the drawing and the imports differ.
fn differences(drawn: &[(String, String)], imports: &Imports) -> Vec<String> {
    let mut imported: BTreeMap<(String, String), Vec<Edge>> = BTreeMap::new();
    for edge in imports.edges() {
        if let (Some(from), Some(to)) = (layer(imports, &edge.from), layer(imports, &edge.to))
            && from != to
        {
            imported.entry((from, to)).or_default().push(edge);
        }
    }
    let undrawn = imported.iter().filter(|(arrow, _)| !drawn.contains(arrow)).map(|((from, to), edges)| {
        let lines: String = edges.iter().map(|edge| format!("\n    {edge}")).collect();
        format!("{from} --> {to} is imported and not drawn:{lines}")
    });
    let unused = drawn.iter().filter(|arrow| !imported.contains_key(*arrow));
    undrawn.chain(unused.map(|(from, to)| format!("{from} --> {to} is drawn and not imported"))).collect()
}

#[test]
fn layers_of_the_harness_import_what_the_drawing_shows() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    assert_none(&differences(&drawn(&page), &IMPORTS), "docs/architecture.md draws the imports between layers");
}

#[test]
fn layers_in_the_drawing_point_down() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let drawn = drawn(&page);
    assert!(drawn.len() > 10, "{drawn:?}");
    let mut above = BTreeSet::new();
    let mut upwards = Vec::new();
    for (from, to) in &drawn {
        above.insert(from);
        if above.contains(to) {
            upwards.push(format!("{from} --> {to}"));
        }
    }
    assert_none(&upwards, "an arrow points to a layer that is drawn below");
}

/// The step that a file belongs to: `settle` of `steps/shared/settle.rs` is `shared`; the module over them is none.
fn step(file: &str) -> Option<&str> {
    let within = file.strip_prefix(STEPS)?;
    let name = within.split('/').next()?.trim_end_matches(".rs");
    (name != "mod").then_some(name)
}

/// The imports from one step into another. What steps share may be used by all and uses none of them.
fn among_steps(imports: &Imports) -> Vec<Edge> {
    imports
        .edges()
        .filter(|edge| match (step(&edge.from), step(&edge.to)) {
            (Some(from), Some(to)) => from != to && to != "shared",
            _ => false,
        })
        .collect()
}

#[test]
fn steps_import_no_other_step() {
    let steps: BTreeSet<&str> = IMPORTS.files().filter_map(step).collect();
    assert!(steps.len() > 20 && steps.contains("shared"), "{steps:?}");
    assert_none(&among_steps(&IMPORTS), "steps share code in steps/shared alone");
}

#[test]
fn pure_folders_reach_nothing_outside() {
    for folder in PURE {
        assert!(IMPORTS.foreign().any(|(file, _)| file.starts_with(folder)), "nothing is read below {folder}");
    }
    assert_none(&impurities(&IMPORTS, &PURE), "decisions are given facts and the time, and reach nothing outside");
}

#[test]
fn crates_that_reach_outside_are_named_by_adapters_alone() {
    let found = named(&IMPORTS, &["harness/", "runner/"], &REACHING, &["harness/src/adapters/"]);
    assert_none(&found, "only adapters name a crate that reaches outside");
}

#[test]
fn environment_is_read_by_main_alone() {
    let names = ["std::env::var", "std::env::var_os", "std::env::vars", "std::env::vars_os"];
    // The stand-in for abra is a separate program.
    let except = ["runner/src/main.rs", "sandbox/src/abra/"];
    let found = named(&IMPORTS, &["harness/", "recipes/", "runner/", "sandbox/"], &names, &except);
    assert_none(&found, "only main reads the environment");
}

#[test]
fn no_code_exits_the_process() {
    let names = ["std::process::exit", "std::process::abort"];
    let found = named(&IMPORTS, &["harness/", "recipes/", "runner/", "sandbox/"], &names, &[]);
    assert_none(&found, "the exit code is what main returns");
}

#[test]
fn harness_and_sandbox_depend_neither_on_each_other_nor_on_the_runner() {
    for (package, others) in [("harness", ["sandbox", "runner"]), ("sandbox", ["harness", "runner"])] {
        let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        for other in others {
            assert!(!manifest.lines().any(|line| line.starts_with(other)), "{package} depends on {other}");
        }
    }
}

#[test]
fn source_files_have_at_most_800_lines() {
    let lengths = SOURCES.iter().map(|(file, text)| (file, text.lines().count()));
    let long = lengths.filter(|(_, lines)| *lines > LONGEST_FILE).map(|(file, lines)| format!("{file} has {lines}"));
    assert_none(&long.collect::<Vec<_>>(), "a file has at most 800 lines");
}

/// The imports of a made-up harness whose files, below `harness/src`, are these.
fn made_up(files: &[(&str, &str)]) -> Imports {
    Imports::read(&["harness"], &files.iter().map(|(file, text)| (format!("harness/src/{file}"), (*text).to_owned())).collect())
}

#[test]
fn import_that_is_not_drawn_and_arrow_without_import_are_found() {
    let page = "# A\n\n```mermaid\nflowchart TD\n    engine --> pure/run & model\n    pure/run --> model\n```\n";
    let files = |extra: &'static str| {
        made_up(&[
            ("lib.rs", "pub mod engine; pub mod model; pub mod pure;"),
            ("engine.rs", "use crate::{model::A, pure::run::R};"),
            ("model.rs", extra),
            ("pure/mod.rs", "pub mod run;"),
            ("pure/run.rs", "use crate::model::A; pub struct R;"),
        ])
    };
    assert_eq!(differences(&drawn(page), &files("pub struct A;")), Vec::<String>::new());
    assert_eq!(
        differences(&drawn(page), &files("pub struct A; fn f(_: &crate::engine::E) {}")),
        ["model --> engine is imported and not drawn:\n    harness/src/model.rs → harness/src/engine.rs (E)"]
    );
    let more = page.replace("pure/run --> model", "pure/run --> model\n    model --> redact");
    assert_eq!(differences(&drawn(&more), &files("pub struct A;")), ["model --> redact is drawn and not imported"]);
}

#[test]
fn step_that_imports_a_step_is_found() {
    let imports = made_up(&[
        ("lib.rs", "mod engine;"),
        ("engine/mod.rs", "mod steps;"),
        ("engine/steps/mod.rs", "mod deploy; mod keep; mod shared; pub struct Context; fn perform() { deploy::perform() }"),
        ("engine/steps/deploy.rs", "use super::{Context, shared::settle};\npub fn perform() {}"),
        ("engine/steps/keep.rs", "fn perform() { super::deploy::perform() }"),
        ("engine/steps/shared/mod.rs", "pub mod settle;"),
        ("engine/steps/shared/settle.rs", "use crate::engine::steps::keep::perform;\npub fn wait() {}"),
    ]);
    let found: Vec<String> = among_steps(&imports).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "harness/src/engine/steps/keep.rs → harness/src/engine/steps/deploy.rs (perform)",
            "harness/src/engine/steps/shared/settle.rs → harness/src/engine/steps/keep.rs (perform)",
        ]
    );
}

#[test]
fn impurity_behind_an_alias_or_in_a_macro_is_found_and_one_in_tests_is_not() {
    let imports = made_up(&[
        ("lib.rs", "mod pure;"),
        (
            "pure/mod.rs",
            "use std::{fs as disk, time};
             // std::process::exit
             fn f() { let _ = (disk::read(\"tokio::spawn\"), vec![time::Instant::now()], std::process::ExitCode::SUCCESS); }
             #[cfg(test)] mod tests { use std::process::Command; }",
        ),
    ]);
    assert_eq!(
        impurities(&imports, &["harness/src/pure/"]),
        ["std::fs", "std::fs::read", "std::time::Instant::now"].map(|name| format!("harness/src/pure/mod.rs: {name}"))
    );
}
