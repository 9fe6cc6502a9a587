//! Words that were retired stay retired: in code, comments, messages, documents and names of files.
//!
//! One thing has one name, the one in [the glossary](../../../docs/reference/glossary.md). `words/table.rs` has the names that it
//! had.

mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    str::FromStr as _,
};

use proc_macro2::{TokenStream, TokenTree};
use table::{ALLOWED, EXEMPT, RULES};

use crate::sources::texts;

/// Where a retired word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// As a part of any word of a text or of a file's name: `is_told`, `ToldTwice`, `told`.
    Everywhere,
    /// As a part of a name in Rust code or of a file's name.
    Identifiers,
    /// As a whole name in Rust code, in this case.
    Exact,
    /// As the name of a file or a module, without its ending.
    Files,
    /// As a whole string in Rust code.
    Literals,
    /// As text, where no name begins before it.
    Text,
}

/// Words that are retired in one scope.
#[derive(Debug)]
struct Rule {
    scope: Scope,
    words: &'static [&'static str],
    /// What stands for them now.
    write: &'static str,
    /// The start of the paths where the rule holds; everywhere if there is none.
    below: &'static [&'static str],
    /// The start of the paths where it does not.
    except: &'static [&'static str],
}

impl Rule {
    fn holds_in(&self, file: &str) -> bool {
        let within = |places: &[&str]| places.iter().any(|place| file.starts_with(place));
        (self.below.is_empty() || within(self.below)) && !within(self.except)
    }
}

/// A retired word in a file; line 0 is the file's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    line: usize,
    word: String,
    write: &'static str,
}

/// The words of a name, in lower case: `NoShot` and `no_shot` are `no` and `shot`, `HTTPCall` is `http` and `call`.
fn parts(name: &str) -> BTreeSet<String> {
    let mut parts = BTreeSet::new();
    for piece in name.split(|c: char| !c.is_ascii_alphabetic()) {
        let letters: Vec<char> = piece.chars().collect();
        let mut part = String::new();
        for (at, letter) in letters.iter().enumerate() {
            let after_lower = at > 0 && letters[at - 1].is_ascii_lowercase();
            let before_lower = letters.get(at + 1).is_some_and(char::is_ascii_lowercase);
            if letter.is_ascii_uppercase() && (after_lower || before_lower) {
                parts.insert(std::mem::take(&mut part));
            }
            part.push(letter.to_ascii_lowercase());
        }
        parts.insert(part);
    }
    parts
}

/// `text` without the terms that are allowed.
fn without_allowed(text: &str) -> String {
    ALLOWED.iter().fold(text.to_owned(), |text, term| text.replace(term, ""))
}

/// A name or a string of Rust code.
enum Token {
    Name(String),
    Literal(String),
}

/// The names and strings of Rust code with their lines.
fn tokens(stream: TokenStream, found: &mut Vec<(usize, Token)>) {
    for token in stream {
        let line = token.span().start().line;
        match token {
            TokenTree::Ident(ident) => found.push((line, Token::Name(ident.to_string()))),
            TokenTree::Literal(literal) => found.push((line, Token::Literal(literal.to_string()))),
            TokenTree::Group(group) => tokens(group.stream(), found),
            TokenTree::Punct(_) => {}
        }
    }
}

/// The text without names that outsiders still use: those of version 1 in serde's aliases, and in the changelog what is quoted.
fn current(file: &str, text: &str) -> String {
    let lines = text.lines().map(|line| {
        if file == "CHANGELOG.md" {
            line.split('`').step_by(2).collect::<Vec<_>>().join("``")
        } else if let Some((before, quoted)) = line.split_once("alias = \"") {
            format!("{before}alias = \"\"{}", quoted.split_once('"').map_or("", |(_, after)| after))
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The retired words in the text of a file and in its name.
fn findings(file: &str, text: &str) -> BTreeSet<Finding> {
    let rules: Vec<&Rule> = RULES.iter().filter(|rule| rule.holds_in(file)).collect();
    let mut found = BTreeSet::new();
    let mut look_for = |line: usize, scopes: &[Scope], is_in: &dyn Fn(&str) -> bool| {
        for rule in rules.iter().filter(|rule| scopes.contains(&rule.scope)) {
            let words = rule.words.iter().filter(|word| is_in(word));
            found.extend(words.map(|word| Finding { line, word: (*word).to_owned(), write: rule.write }));
        }
    };
    let name = file.rsplit('/').next().unwrap_or(file);
    let stem = name.split('.').next().unwrap_or(name);
    let in_name = parts(&without_allowed(name));
    look_for(0, &[Scope::Everywhere, Scope::Identifiers], &|word| in_name.contains(word));
    look_for(0, &[Scope::Files], &|word| stem == word);

    let text = current(file, text);
    for (number, line) in text.lines().enumerate() {
        let line = without_allowed(line);
        let in_line = parts(&line);
        look_for(number + 1, &[Scope::Everywhere], &|word| in_line.contains(word));
        look_for(number + 1, &[Scope::Text], &|word| {
            let starts = line.match_indices(word).map(|(at, _)| line[..at].chars().next_back());
            starts.into_iter().any(|before| !before.is_some_and(|c| c.is_alphanumeric() || c == '_'))
        });
    }
    if file.ends_with(".rs") {
        let stream = TokenStream::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut all = Vec::new();
        tokens(stream, &mut all);
        for (at, (line, token)) in all.iter().enumerate() {
            match token {
                Token::Name(name) => {
                    let in_name = parts(&without_allowed(name));
                    look_for(*line, &[Scope::Identifiers], &|word| in_name.contains(word));
                    look_for(*line, &[Scope::Exact], &|word| name == word);
                    let is_module =
                        matches!(at.checked_sub(1).map(|at| &all[at].1), Some(Token::Name(before)) if before == "mod");
                    if is_module {
                        look_for(*line, &[Scope::Files], &|word| name == word);
                    }
                }
                Token::Literal(literal) => look_for(*line, &[Scope::Literals], &|word| literal.trim_matches('"') == word),
            }
        }
    }
    found
}

/// All findings, a block for each file.
fn list(found: &BTreeMap<String, BTreeSet<Finding>>) -> String {
    let mut list = String::new();
    for (file, findings) in found {
        let _ = writeln!(list, "{file}");
        for Finding { line, word, write } in findings {
            let _ = writeln!(list, "  {line}: {word} → {write}");
        }
    }
    list
}

#[test]
fn retired_words_are_in_no_source_and_no_document() {
    let places = [
        "harness",
        "recipes",
        "runner",
        "sandbox",
        "unit-tests",
        "docs",
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "flake.nix",
    ];
    let endings = ["rs", "md", "toml", "html", "nix", "sh"];
    let read = texts(&places, &endings);
    assert!(read.len() > 300, "only {} files are read", read.len());
    let found: BTreeMap<String, BTreeSet<Finding>> = read
        .iter()
        .filter(|(file, _)| !EXEMPT.iter().any(|exempt| file.starts_with(exempt)))
        .map(|(file, text)| (file.clone(), findings(file, text)))
        .filter(|(_, findings)| !findings.is_empty())
        .collect();
    let count: usize = found.values().map(BTreeSet::len).sum();
    assert!(found.is_empty(), "{count} retired words in {} files; line 0 is the file's name\n{}", found.len(), list(&found));
}

#[test]
fn retired_words_are_found_where_their_rule_holds_and_nowhere_else() {
    for (file, text, expected) in [
        ("docs/a.md", "It is told\nby nobody.", vec!["1 told", "2 nobody"]),
        ("docs/hygiene.md", "", vec!["0 hygiene"]),
        ("docs/a.md", "A toldest stage, a look around, one changed bystander, `asked`.", vec![]),
        ("docs/a.md", "cargo test --test swarm", vec!["1 --test swarm"]),
        ("CHANGELOG.md", "`residue` is `leaked`, told at once", vec!["1 told"]),
        ("harness/src/a.rs", "// told\nfn is_told() -> ToldBy { x.TOLD }", vec!["1 told", "2 told"]),
        ("harness/src/a.rs", "let spoken = \"spoken\"; // spoken", vec!["1 spoken"]),
        ("harness/src/a.rs", "fn hear_one_shot(shot: NoShot) {}", vec!["1 hear", "1 shot"]),
        ("harness/src/a.rs", "let look: Observation = outlook;\nfn looks_like() {}", vec!["1 look"]),
        ("harness/src/a.rs", "mod outside;\nlet outside = 1;", vec!["1 outside"]),
        ("harness/src/post.rs", "", vec!["0 post"]),
        ("harness/src/a.rs", "step(\"steady\"); say(\"is steady\");\n#[serde(alias = \"steady\")]", vec!["1 steady"]),
        ("harness/src/a.rs", "colour", vec!["1 colour"]),
        ("harness/src/report/terminal/a.rs", "colour", vec![]),
        ("unit-tests/src/a.rs", "Stage Manner", vec!["1 Stage"]),
        ("runner/src/a.rs", "Stage Manner", vec!["1 Manner"]),
    ] {
        let found: Vec<String> = findings(file, text).iter().map(|found| format!("{} {}", found.line, found.word)).collect();
        assert_eq!(found, expected, "{file}: {text}");
    }
}
