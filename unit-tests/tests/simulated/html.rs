//! The page and the badge of a run.

use harness::report::{badge::badge, html::page, verdict_line};
use quick_xml::{Reader, events::Event};
use unit_tests::event_log::{beginnings, ending};

/// The text of a well-formed document, and the names of its elements.
fn read(document: &str) -> (String, Vec<String>) {
    let mut reader = Reader::from_str(document);
    let (mut text, mut names, mut depth) = (String::new(), Vec::new(), 0);
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error} in {document}")) {
            Event::Eof => break,
            Event::Start(element) => {
                depth += 1;
                names.push(String::from_utf8_lossy(element.name().as_ref()).into_owned());
            }
            Event::Empty(element) => names.push(String::from_utf8_lossy(element.name().as_ref()).into_owned()),
            Event::End(_) => depth -= 1,
            Event::Text(part) => text.push_str(&part.decode().unwrap()),
            Event::GeneralRef(reference) => {
                let known = reference.resolve_char_ref().unwrap();
                text.push(known.unwrap_or_else(|| match &*reference.decode().unwrap() {
                    "lt" => '<',
                    "gt" => '>',
                    "amp" => '&',
                    "quot" => '"',
                    "apos" => '\'',
                    other => panic!("&{other}; in {document}"),
                }));
            }
            _ => {}
        }
    }
    assert_eq!(depth, 0, "all that is opened is closed: {document}");
    (text, names)
}

fn shown(name: &str) -> String {
    read(&page(&ending(name).state(), None).unwrap()).0
}

#[test]
fn page_and_badge_of_any_run_at_any_moment_are_well_formed() {
    for (name, state) in beginnings() {
        let page = page(&state, None).unwrap();
        let (text, names) = read(&page);
        assert!(names.iter().all(|element| !["script", "link", "img", "iframe", "b"].contains(&element.as_str())), "{name}");
        assert!(!page.contains("url(") && !page.contains("@import") && !page.contains("src="), "{name}: nothing is loaded");
        let line = verdict_line(&state);
        let (verdict, level) = line.split_once(", level").unwrap();
        let level = format!("Level{level}");
        assert!(text.contains(verdict) && text.contains(&level), "{name}: {verdict}; {level}");
        let (text, names) = read(&badge(&state).unwrap());
        assert!(text.contains(&format!(" · {verdict}")) && names.contains(&"title".to_owned()), "{name}: {text}");
    }
}

#[test]
fn page_begins_with_the_failure_its_reason_and_the_repeat_command() {
    let text = shown("red");
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part:?} in {text}"));
    let places = [
        at("✘ red (install failed)"),
        at("Level 0: install failed"),
        at("owner: recipe"),
        at("the fault of recipe"),
        at("<b>&\"'</b> ]]> red"),
        at("taster --recipe hello --ref 0123"),
        at("Nothing of the run is left"),
        at("pending at"),
        at("evidence/deploy.txt"),
    ];
    assert!(places.is_sorted(), "{places:?} in {text}");
    assert!(text.contains("sandbox abra"), "{text}");
}

#[test]
fn leaks_are_named_and_long_lists_are_cut() {
    let text = shown("green with leaked objects");
    for part in [
        "green (install)",
        "1 of the run left behind, 1 of others changed by the run",
        "volume shop_data",
        "200 more are in results.json",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn page_of_a_run_without_a_plan_has_the_reason() {
    for (name, part) in [
        ("refused by request", "the recipe has no tag \"9.9\""),
        ("refused by facts", "the fault of infrastructure"),
        ("ended before the plan", "ended by signal 15"),
    ] {
        assert!(shown(name).contains(part), "{name}");
    }
}

#[test]
fn badge_has_its_words_as_text() {
    for (name, word) in [("green", "level 1 · green (install)"), ("red", "level 0 · red (install failed)")] {
        let badge = badge(&ending(name).state()).unwrap();
        assert!(badge.contains(&format!("<title>taster: {word}</title>")), "{badge}");
    }
}
