//! Reads from the sources which file uses which: `use` trees, inline paths, paths in macros and attributes.
//!
//! A use counts for the file that defines the item, however many modules re-export it. What is compiled for tests alone
//! (`#[cfg(test)]`) is left out. Uses that no path names, such as a method of a value, are not seen.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, ItemMod, ItemUse, Macro, Meta, Path, TraitItem, UseTree, VisRestricted,
    visit::{self, Visit},
};

/// Texts of source files by their path from the root of the repository.
pub(crate) type Sources = BTreeMap<String, String>;

/// A module: the name of its crate, then the names of the modules down to it.
pub(crate) type Place = Vec<String>;

/// How many re-exports a name may pass through.
const DEPTH: usize = 16;

/// Which file uses which, and which names of other crates each file uses.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    places: BTreeMap<String, Place>,
    uses: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    foreign: BTreeMap<String, BTreeSet<String>>,
}

/// One file's use of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) items: BTreeSet<String>,
}

impl std::fmt::Display for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let items: Vec<&str> = self.items.iter().map(String::as_str).collect();
        write!(f, "{} → {} ({})", self.from, self.to, items.join(", "))
    }
}

impl Imports {
    /// Reads the packages in `folders`, from their `src/lib.rs` and `src/main.rs` down.
    pub(crate) fn read(folders: &[&str], sources: &Sources) -> Self {
        let mut crates = Crates { sources, modules: BTreeMap::new() };
        for folder in folders {
            let name = folder.replace('-', "_");
            for (root, place) in [("lib.rs", name.clone()), ("main.rs", format!("{name} (main)"))] {
                crates.read_file(vec![place], &format!("{folder}/src/{root}"));
            }
        }
        crates.imports()
    }

    /// Every use of one file by another.
    pub(crate) fn edges(&self) -> impl Iterator<Item = Edge> {
        self.uses
            .iter()
            .flat_map(|(from, to)| to.iter().map(|(to, items)| Edge { from: from.clone(), to: to.clone(), items: items.clone() }))
    }

    /// Every file that is read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The module of a file.
    pub(crate) fn place(&self, file: &str) -> &[String] {
        self.places.get(file).map_or(&[], Vec::as_slice)
    }

    /// The names of other crates that `file` uses, as full paths: `std::fs::read`.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = (&str, &str)> {
        self.foreign.iter().flat_map(|(file, names)| names.iter().map(move |name| (file.as_str(), name.as_str())))
    }

    /// The circles among files. A use of an item of a module above one's own closes none.
    pub(crate) fn circles(&self) -> Vec<Vec<Edge>> {
        circles(&self.edges().filter(|edge| !self.climbs(edge)).collect::<Vec<_>>())
    }

    /// The circles among the modules of one parent, each with all that is below it.
    pub(crate) fn circles_of_modules(&self) -> Vec<Vec<Edge>> {
        let mut below: BTreeMap<&[String], Vec<Edge>> = BTreeMap::new();
        for edge in self.edges() {
            let (from, to) = (self.place(&edge.from), self.place(&edge.to));
            let shared = from.iter().zip(to).take_while(|(from, to)| from == to).count();
            if shared > 0 && from.len() > shared && to.len() > shared {
                let module = |place: &[String]| place[..=shared].join("::");
                let edge = Edge { from: module(from), to: module(to), items: edge.items };
                below.entry(&from[..shared]).or_default().push(edge);
            }
        }
        below.values().flat_map(|edges| circles(edges)).collect()
    }

    fn climbs(&self, edge: &Edge) -> bool {
        let (from, to) = (self.place(&edge.from), self.place(&edge.to));
        to.len() < from.len() && from.starts_with(to)
    }
}

/// The edges that lie on circles, a list for each set of ends that reach each other.
fn circles(edges: &[Edge]) -> Vec<Vec<Edge>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for edge in edges {
        next.entry(&edge.from).or_default().insert(&edge.to);
    }
    let reached_from = |start| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(file) = open.pop() {
            open.extend(next.get(file).into_iter().flatten().copied().filter(|to| reached.insert(*to)));
        }
        reached
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> = next.keys().map(|file| (*file, reached_from(*file))).collect();
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|reached| reached.contains(to));
    let mut found: BTreeMap<&str, Vec<Edge>> = BTreeMap::new();
    for edge in edges.iter().filter(|edge| reaches(&edge.to, &edge.from)) {
        let first = next.keys().find(|file| reaches(file, &edge.from) && reaches(&edge.from, file));
        found.entry(first.unwrap_or(&edge.from.as_str())).or_default().push(edge.clone());
    }
    found.into_values().collect()
}

/// What one module defines and names.
#[derive(Debug, Default)]
struct Module {
    file: String,
    items: BTreeSet<String>,
    /// What `use` brings in, by the name it has here.
    names: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Every path that is written in it.
    paths: BTreeSet<Vec<String>>,
}

#[derive(Debug)]
enum Target {
    Module(Place),
    Item(Place, String),
    Foreign(Vec<String>),
}

struct Crates<'a> {
    sources: &'a Sources,
    modules: BTreeMap<Place, Module>,
}

impl Crates<'_> {
    fn read_file(&mut self, place: Place, file: &str) {
        let Some(text) = self.sources.get(file) else { return };
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        let children = match name {
            "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
            _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
        };
        self.read_items(place, file, &children, &parsed.items);
    }

    fn read_items(&mut self, place: Place, file: &str, children: &str, items: &[Item]) {
        let mut reader = ModuleReader::default();
        let mut below: Vec<&ItemMod> = Vec::new();
        for item in items.iter().filter(|item| !only_for_tests(attributes(item))) {
            reader.module.items.extend(defined(item));
            match item {
                Item::Mod(item) => below.push(item),
                item => reader.visit_item(item),
            }
        }
        reader.module.file = file.to_owned();
        match self.modules.entry(place.clone()) {
            Entry::Vacant(entry) => entry.insert(reader.module),
            Entry::Occupied(_) => panic!("{file}: {} is there twice", place.join("::")),
        };
        for item in below {
            let name = item.ident.to_string().trim_start_matches("r#").to_owned();
            let mut inner = place.clone();
            inner.push(name.clone());
            if let Some((_, items)) = &item.content {
                self.read_items(inner, file, &format!("{children}/{name}"), items);
            } else {
                let files = [format!("{children}/{name}.rs"), format!("{children}/{name}/mod.rs")];
                if let Some(file) = files.iter().find(|file| self.sources.contains_key(*file)) {
                    self.read_file(inner, file);
                }
            }
        }
    }

    fn imports(&self) -> Imports {
        let mut imports = Imports::default();
        for (place, module) in &self.modules {
            // The outermost module of a file comes first, because its path is the shortest.
            imports.places.entry(module.file.clone()).or_insert_with(|| place.clone());
            for path in &module.paths {
                match self.resolve(place, path, None, DEPTH) {
                    Some(Target::Item(to, item)) => {
                        let to = &self.modules[&to].file;
                        if *to != module.file {
                            let uses = imports.uses.entry(module.file.clone()).or_default();
                            uses.entry(to.clone()).or_default().insert(item);
                        }
                    }
                    Some(Target::Foreign(path)) => {
                        imports.foreign.entry(module.file.clone()).or_default().insert(path.join("::"));
                    }
                    // Who names a module names items through it, each by a path.
                    Some(Target::Module(_)) | None => {}
                }
            }
        }
        imports
    }

    /// What `path` means in the module `from`. A `use` of the name `itself` does not mean that name.
    fn resolve(&self, from: &[String], path: &[String], itself: Option<&str>, depth: usize) -> Option<Target> {
        let depth = depth.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(&from[..1], rest, depth),
            "self" | "super" => self.walk(from, path, depth),
            name => {
                let found = if itself == Some(name) { None } else { self.find(from, path, depth) };
                if found.is_some() {
                    found
                } else if self.modules.contains_key(&path[..1]) {
                    self.walk(&path[..1], rest, depth)
                } else {
                    Some(Target::Foreign(path.to_vec()))
                }
            }
        }
    }

    /// What `path` means below the module `at`; a name that is not found there, as one that a macro defines, is an item of it.
    fn walk(&self, at: &[String], path: &[String], depth: usize) -> Option<Target> {
        match path.split_first() {
            None => Some(Target::Module(at.to_vec())),
            Some((first, rest)) if first == "self" => self.walk(at, rest, depth),
            Some((first, rest)) if first == "super" => self.walk(&at[..at.len().checked_sub(1)?], rest, depth),
            Some((first, _)) => self
                .find(at, path, depth)
                .or_else(|| self.modules.contains_key(at).then(|| Target::Item(at.to_vec(), first.clone()))),
        }
    }

    fn find(&self, at: &[String], path: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let module = self.modules.get(at)?;
        let child: Place = at.iter().chain([first]).cloned().collect();
        if self.modules.contains_key(&child) {
            return self.walk(&child, rest, depth);
        }
        if let Some(meant) = module.names.get(first) {
            let full: Vec<String> = meant.iter().chain(rest).cloned().collect();
            return self.resolve(at, &full, Some(first), depth);
        }
        if module.items.contains(first) {
            return Some(Target::Item(at.to_vec(), first.clone()));
        }
        module.globs.iter().find_map(|glob| match self.resolve(at, glob, None, depth)? {
            Target::Module(place) => self.find(&place, path, depth.checked_sub(1)?),
            _ => None,
        })
    }
}

/// Collects the paths of one module.
#[derive(Default)]
struct ModuleReader {
    module: Module,
}

impl ModuleReader {
    fn add(&mut self, path: Vec<String>) {
        if path.len() > 1 {
            self.module.paths.insert(path);
        }
    }

    fn add_use(&mut self, before: &[String], tree: &UseTree) {
        let path = |last: &syn::Ident| before.iter().cloned().chain([last.to_string()]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(tree) => self.add_use(&path(&tree.ident), &tree.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_use(before, tree)),
            UseTree::Glob(_) => {
                self.module.globs.push(before.to_vec());
            }
            UseTree::Name(name) if name.ident == "self" => self.bring_in(before.last().cloned(), before.to_vec()),
            UseTree::Name(name) => self.bring_in(Some(name.ident.to_string()), path(&name.ident)),
            UseTree::Rename(name) if name.ident == "self" => self.bring_in(Some(name.rename.to_string()), before.to_vec()),
            UseTree::Rename(name) => self.bring_in(Some(name.rename.to_string()), path(&name.ident)),
        }
    }

    fn bring_in(&mut self, name: Option<String>, path: Vec<String>) {
        if let Some(name) = name.filter(|name| name != "_") {
            self.module.names.insert(name, path.clone());
        }
        self.module.paths.insert(path);
    }

    /// The paths in code that is not parsed: `first::second`, as macros are given it.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) if colons == 2 && !path.is_empty() => path.push(ident.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() && colons < 2 => {
                    colons += 1;
                    continue;
                }
                token => {
                    self.add(std::mem::take(&mut path));
                    match token {
                        TokenTree::Ident(ident) => path = vec![ident.to_string()],
                        TokenTree::Group(group) => self.add_tokens(group.stream()),
                        TokenTree::Literal(_) | TokenTree::Punct(_) => {}
                    }
                }
            }
            colons = 0;
        }
        self.add(path);
    }

    /// Paths that an attribute has as text, as serde's `with = "crate::model::text"`.
    fn add_quoted(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.add_quoted(group.stream()),
                TokenTree::Literal(literal) => {
                    let text = syn::parse_str::<syn::LitStr>(&literal.to_string()).map(|text| text.value());
                    if let Ok(path) = text.and_then(|text| syn::parse_str::<Path>(&text)) {
                        self.visit_path(&path);
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for ModuleReader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !only_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !matches!(item, ImplItem::Fn(item) if only_for_tests(&item.attrs)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        if !matches!(item, TraitItem::Fn(item) if only_for_tests(&item.attrs)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_use(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        self.add(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.visit_path(&item.path);
        self.add_tokens(item.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        self.visit_path(attribute.path());
        if let Meta::List(list) = &attribute.meta {
            self.add_tokens(list.tokens.clone());
            self.add_quoted(list.tokens.clone());
        }
    }

    /// A visibility such as `pub(in path)` is not a use of that path.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}
}

/// The names that an item gives to its module.
fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether one of `attributes` is `#[cfg(test)]` or a `#[cfg(all(test, …))]`.
fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        let text = list.tokens.to_string().replace(' ', "");
        text == "test" || text.strip_prefix("all(").is_some_and(|inner| inner.starts_with("test,") || inner.contains(",test"))
    })
}

/// The imports of a made-up package `made` with these files below its `src`.
fn made_up(files: &[(&str, &str)]) -> Imports {
    let sources = files.iter().map(|(file, text)| (format!("made/src/{file}"), (*text).to_owned())).collect();
    Imports::read(&["made"], &sources)
}

/// Each edge as `from>to item item`, with the names of the files alone.
fn edges(imports: &Imports) -> Vec<String> {
    let name = |file: &str| file.trim_start_matches("made/src/").trim_end_matches(".rs").to_owned();
    let items = |edge: &Edge| edge.items.iter().cloned().collect::<Vec<_>>().join(" ");
    imports.edges().map(|edge| format!("{}>{} {}", name(&edge.from), name(&edge.to), items(&edge))).collect()
}

#[test]
fn circle_of_two_and_circle_of_three_are_found() {
    let two = made_up(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use super::a::A; pub struct B;"),
        ("c.rs", "use crate::{a::A, b::B};"),
    ]);
    let sizes = |imports: &Imports| imports.circles().iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(&two), [2]);
    let three = made_up(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b; fn f() -> b::B { b::B } pub struct A;"),
        ("b.rs", "use crate::c::C as Other; pub struct B;"),
        ("c.rs", "fn f() { let _ = vec![crate::a::A]; } pub struct C;"),
    ]);
    assert_eq!(edges(&three), ["a>b B", "b>c C", "c>a A"]);
    assert_eq!(sizes(&three), [3]);
}

#[test]
fn child_that_uses_its_parent_and_parent_that_uses_its_child_form_no_circle() {
    let imports = made_up(&[
        ("lib.rs", "mod a; pub struct Root;"),
        ("a/mod.rs", "mod b; pub use b::B; pub struct A; fn f() { b::g() }"),
        ("a/b.rs", "use super::A; use crate::Root; pub struct B; pub fn g() {}"),
    ]);
    assert_eq!(edges(&imports), ["a/b>a/mod A", "a/b>lib Root", "a/mod>a/b B g"]);
    assert_eq!(imports.circles(), Vec::<Vec<Edge>>::new());
}

#[test]
fn circle_of_modules_by_way_of_their_children_is_found() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "pub mod deep; pub struct A;"),
        ("a/deep.rs", "use crate::b::B;"),
        ("b.rs", "use crate::a::A; pub struct B;"),
    ];
    let imports = made_up(&files);
    assert_eq!(imports.circles(), Vec::<Vec<Edge>>::new());
    let found: Vec<String> = imports.circles_of_modules().concat().iter().map(ToString::to_string).collect();
    assert_eq!(found, ["made::a → made::b (B)", "made::b → made::a (A)"]);
}

#[test]
fn use_through_a_reexport_counts_for_the_file_that_defines_the_item() {
    let imports = made_up(&[
        ("lib.rs", "mod a; mod model; pub use model::*;"),
        ("a.rs", "use crate::{Two, model::{self, One}}; fn f(_: model::Three) {}"),
        ("model/mod.rs", "mod one; mod two; pub use one::One; pub use two::{Inner as Three, *};"),
        ("model/one.rs", "use super::Two; pub struct One;"),
        ("model/two.rs", "use super::One; pub struct Two; pub struct Inner;"),
    ]);
    let found = edges(&imports);
    assert_eq!(found[..2], ["a>model/one One", "a>model/two Inner Two"]);
    assert_eq!(imports.circles().len(), 1, "one and two use each other by way of their parent: {found:?}");
}

#[test]
fn paths_in_modules_macros_attributes_and_functions_are_read_and_code_for_tests_is_not() {
    let imports = made_up(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            r##"
            //! A link to [`crate::b::Doc`].
            mod inner {
                use super::super::b::Inner;
                pub(in crate::b) struct Seen;
            }
            #[derive(Serialize)]
            struct S { #[serde(with = "crate::b::text", default = "no path")] field: String }
            fn f() {
                use crate::b::Local;
                println!("{} crate::b::Quoted", super::b::make::<u8>());
            }
            #[cfg(test)]
            use crate::b::ForTests;
            #[cfg(test)]
            mod tests { use crate::b::AlsoForTests; }
            "##,
        ),
        ("b.rs", ""),
    ]);
    assert_eq!(edges(&imports), ["a>b Inner Local make text"]);
}

#[test]
fn names_of_other_crates_are_full_paths() {
    let imports = made_up(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "use std::{fs, io::{self, Read as _}}; use tokio; fn f() { fs::read(\"x\"); io::stdin(); tokio::spawn(); }"),
        ("orphan.rs", "use std::net::TcpStream;"),
    ]);
    let names: Vec<&str> = imports.foreign().map(|(_, name)| name).collect();
    assert_eq!(names, ["std::fs", "std::fs::read", "std::io", "std::io::Read", "std::io::stdin", "tokio", "tokio::spawn"]);
}
