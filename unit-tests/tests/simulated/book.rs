//! The book: it builds, contains every page, and has no broken link; neither have the pages beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use mdbook_driver::MDBook;
use mdbook_markdown::{
    MarkdownOptions, new_cmark_parser,
    pulldown_cmark::{Event, Parser, Tag, TagEnd},
};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The markdown as the book reads it.
pub(crate) fn markdown(text: &str) -> Parser<'_> {
    new_cmark_parser(text, &MarkdownOptions::default())
}

/// Pages that are not in the book's table of contents.
const LEFT_OUT: [&str; 1] = ["SUMMARY.md"];

/// Pages beside the book, which are read in the repository.
const BESIDE: [&str; 3] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];

/// The links of a page, and the anchors of its headings.
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

impl Page {
    fn of(text: &str) -> Self {
        let (mut links, mut anchors, mut heading) = (Vec::new(), BTreeSet::new(), None::<(Option<String>, String)>);
        for event in markdown(text) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => links.push(dest_url.to_string()),
                Event::Start(Tag::Heading { id, .. }) => heading = Some((id.map(|id| id.to_string()), String::new())),
                Event::Text(text) | Event::Code(text) => {
                    if let Some((_, title)) = &mut heading {
                        title.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    if let Some((id, title)) = heading.take() {
                        let anchor = id.unwrap_or_else(|| anchor(&title));
                        // A repeated heading gets a number.
                        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
                        let free = std::iter::once(anchor.clone()).chain(numbered).find(|name| !anchors.contains(name));
                        anchors.extend(free);
                    }
                }
                _ => {}
            }
        }
        Self { links, anchors }
    }
}

/// The anchor that mdBook makes of a heading; a test compares it with a built book.
fn anchor(title: &str) -> String {
    let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || c.is_whitespace() || matches!(c, '_' | '-'));
    kept.map(|c| if c.is_whitespace() { '-' } else { c }).collect::<String>().to_lowercase()
}

/// The paths of all pages below `folder`, relative to it.
fn pages(folder: &Path) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, &mut found);
    found.sort();
    found.into_iter().map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect()
}

/// `a/../b` as `b`; `None` when it leads above the root.
fn normalised(path: &Path) -> Option<PathBuf> {
    let mut normalised = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => normalised.pop().then_some(())?,
            Component::Normal(name) => normalised.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(normalised)
}

/// The broken links of the pages `names` below `folder`, a line each. A link may lead to any file below it.
fn broken_links(folder: &Path, names: &[PathBuf]) -> Vec<String> {
    let read = |name: &Path| fs::read_to_string(folder.join(name)).ok().map(|text| Page::of(&text));
    let mut known: BTreeMap<PathBuf, Option<Page>> = names.iter().map(|name| (name.clone(), read(name))).collect();
    let links: Vec<(PathBuf, String)> = names
        .iter()
        .flat_map(|name| known[name].iter().flat_map(|page| page.links.iter().map(|link| (name.clone(), link.clone()))))
        .collect();
    let mut wrong = Vec::new();
    for (name, link) in links {
        let broken = |what: &str| format!("{}: {link}: {what}", name.display());
        if link.contains(':') {
            match link.parse::<http::Uri>() {
                Ok(uri) if uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| host.contains('.')) => {}
                Ok(_) | Err(_) => wrong.push(broken("no address of the form https://host/")),
            }
            continue;
        }
        let (path, anchor) = link.split_once('#').map_or((link.as_str(), None), |(path, anchor)| (path, Some(anchor)));
        let target = if path.is_empty() { Some(name.clone()) } else { normalised(&name.with_file_name("").join(path)) };
        let Some(target) = target.filter(|target| folder.join(target).is_file()) else {
            wrong.push(broken("no such file"));
            continue;
        };
        let page = known.entry(target.clone()).or_insert_with(|| read(&target));
        let anchors = page.as_ref().map(|page| &page.anchors);
        if anchor.is_some_and(|anchor| !anchors.is_some_and(|anchors| anchors.contains(anchor))) {
            wrong.push(broken("no such heading"));
        }
    }
    wrong
}

#[test]
fn every_page_is_in_the_table_of_contents_or_left_out() {
    let docs = root().join("docs");
    let summary = Page::of(&fs::read_to_string(docs.join("SUMMARY.md")).unwrap());
    let listed: BTreeSet<PathBuf> = summary.links.iter().filter_map(|link| normalised(Path::new(link))).collect();
    let left_out = LEFT_OUT.map(PathBuf::from);

    let forgotten: Vec<PathBuf> =
        pages(&docs).into_iter().filter(|page| !listed.contains(page) && !left_out.contains(page)).collect();

    assert!(forgotten.is_empty(), "docs/SUMMARY.md does not list {forgotten:?}");
}

#[test]
fn book_has_no_broken_link() {
    let docs = root().join("docs");

    let wrong = broken_links(&docs, &pages(&docs));

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pages_beside_the_book_have_no_broken_link() {
    let wrong = broken_links(&root(), &BESIDE.map(PathBuf::from));

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn built_book_has_the_anchor_of_every_heading() {
    let out = tempfile::tempdir().unwrap();
    let mut book = MDBook::load(root()).unwrap();
    out.path().join("book").clone_into(&mut book.config.build.build_dir);

    book.build().unwrap();

    let docs = root().join("docs");
    let mut count = 0;
    for page in pages(&docs).iter().filter(|page| !LEFT_OUT.map(PathBuf::from).contains(page)) {
        // mdBook's index of a folder is its README.
        let html = match page.file_name().is_some_and(|name| name == "README.md") {
            true => page.with_file_name("index.html"),
            false => page.with_extension("html"),
        };
        let built = fs::read_to_string(out.path().join("book").join(&html)).unwrap_or_else(|error| panic!("{html:?}: {error}"));
        for anchor in Page::of(&fs::read_to_string(docs.join(page)).unwrap()).anchors {
            assert!(built.contains(&format!("id=\"{anchor}\"")), "{} has no heading {anchor}", html.display());
            count += 1;
        }
    }
    assert!(count > 50, "only {count} headings were compared");
}

/// The broken links of a book with these pages.
fn broken_links_of(book: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in book {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    broken_links(folder.path(), &pages(folder.path()))
}

#[test]
fn broken_link_is_found() {
    let other = ("sub/other.md", "# The other: `one`\n\n# Same\n\n# Same\n");
    for (text, expected) in [
        ("[x](sub/other.md)", None),
        ("[x](sub/other.md#the-other-one) [y](./sub/../sub/other.md#same-1)", None),
        ("# Here\n\n[x](#here) [y](https://example.org/a)", None),
        ("`[x](gone.md)`\n\n```\n[y](gone.md)\n```\n", None),
        ("[x](sub/gone.md)", Some("a.md: sub/gone.md: no such file")),
        ("[x][r]\n\n[r]: gone.md\n", Some("a.md: gone.md: no such file")),
        ("![x](gone.png)", Some("a.md: gone.png: no such file")),
        ("[x](../outside.md)", Some("a.md: ../outside.md: no such file")),
        ("[x](sub)", Some("a.md: sub: no such file")),
        ("[x](sub/other.md#the-other-two)", Some("a.md: sub/other.md#the-other-two: no such heading")),
        ("[x](sub/other.md#same-2)", Some("a.md: sub/other.md#same-2: no such heading")),
        ("[x](#gone)", Some("a.md: #gone: no such heading")),
        ("[x](http://example.org/)", Some("a.md: http://example.org/: no address of the form https://host/")),
        ("[x](https://nowhere)", Some("a.md: https://nowhere: no address of the form https://host/")),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(broken_links_of(&[("a.md", text), other]), expected, "{text}");
    }
}
