//! The reference pages and schemas under `docs/` are generated from the types and the help. `TASTER_BLESS=1` writes all of them.

use std::fs;

use harness::model::{exit_code::ExitCode, host::Host, pack::Settings};
use mdbook_markdown::pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};
use runner::pure::reference::{Document, Writer, exit_codes_page, tables};
use serde_json::json;

use crate::book::{markdown, root};

/// Compares the committed file with the generated text, or writes it.
fn assert_committed(file: &str, generated: &str) {
    let path = root().join(file);
    if std::env::var_os("TASTER_BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(generated.lines()).position(|(old, new)| old != new);
    let at = differs.unwrap_or_else(|| committed.lines().count().min(generated.lines().count())) + 1;
    assert!(
        committed == generated,
        "{file} differs from the generated text from line {at} on; write it with: TASTER_BLESS=1 cargo test -p unit-tests reference"
    );
}

#[test]
fn reference_pages_follow_the_types() {
    for (file, document) in [
        ("results", Document::Results),
        ("host-file", Document::Host),
        ("recipe-file", Document::Recipe),
        ("events", Document::Events),
        ("context", Document::Context),
    ] {
        assert_committed(&format!("docs/reference/{file}.md"), &document.page());
    }
    assert_committed("docs/reference/exit-codes.md", &exit_codes_page());
}

#[test]
fn reference_schemas_are_the_output_of_taster_schema() {
    for document in Document::ALL {
        assert_committed(&format!("docs/schema/{}.json", document.name()), &document.schema_text());
    }
}

#[test]
fn reference_of_commands_is_the_help() {
    let text = runner::cli::reference();

    assert_committed("docs/reference/commands.md", &text);
    assert!(!text.contains("__child") && text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

#[test]
fn readme_has_the_table_of_exit_codes() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let table = ExitCode::table();

    assert!(readme.contains(&table), "README.md should have:\n{table}");
}

/// The fenced blocks of this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut within = false;
    for event in markdown(text) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(name))) if &*name == language => {
                within = true;
                blocks.push(String::new());
            }
            Event::End(TagEnd::CodeBlock) => within = false,
            Event::Text(code) if within => blocks.last_mut().unwrap().push_str(&code),
            _ => {}
        }
    }
    blocks
}

#[test]
fn every_host_file_in_the_docs_is_valid() {
    let mut count = 0;
    for file in ["README.md", "docs/reference/host-file.md", "docs/how-to/real-server.md"] {
        for block in blocks(&fs::read_to_string(root().join(file)).unwrap(), "toml") {
            let host = Host::parse(&block).unwrap_or_else(|error| panic!("{file}: {error}\n{block}"));

            assert_eq!(host.zone.to_string(), "ci.example.org", "{file}");
            count += 1;
        }
    }
    assert!(count >= 3, "only {count} host files were found");
}

#[test]
fn recipe_file_in_the_docs_is_valid() {
    let page = fs::read_to_string(root().join("docs/reference/recipe-file.md")).unwrap();
    let files = blocks(&page, "toml");
    assert_eq!(files.len(), 1);

    let settings = Settings::parse(&files[0]).unwrap_or_else(|error| panic!("{error}\n{}", files[0]));

    assert_ne!(settings, Settings::default());
}

#[test]
fn schemas_accept_serialised_values_of_their_types() {
    let host = serde_json::to_value(Host::parse("zone = \"ci.example.org\"").unwrap()).unwrap();
    let misspelt = json!({ "zone": "ci.example.org", "ingres": "x" });
    let state =
        unit_tests::event_log::EventLog::planned(&[harness::model::outcome::Tier::Install]).pass(&["provision"]).ends().state();
    let results = serde_json::to_value(harness::report::results::Results::from(&state)).unwrap();
    let validator = |document: Document| jsonschema::validator_for(document.schema().as_value()).unwrap();

    assert!(validator(Document::Host).is_valid(&host));
    assert!(!validator(Document::Host).is_valid(&misspelt));
    assert!(validator(Document::Results).is_valid(&results));
}

/// Expects the text of the tables for one definition, below its heading.
#[track_caller]
fn assert_tables(definition: serde_json::Value, expected: &str) {
    let page = tables(&json!({ "$defs": { "It": definition } }), Writer::Taster);
    let text = page.strip_prefix("## Types\n\n### It\n\n").unwrap_or_else(|| panic!("{page}")).trim_end();
    assert_eq!(text, expected);
}

#[test]
fn keys_are_listed_with_their_types() {
    assert_tables(
        json!({ "type": "object", "required": ["a", "map", "pair"], "properties": {
            "a": { "description": "One | other,\nsee [`It`].", "$ref": "#/$defs/It" },
            "list": { "type": ["array", "null"], "items": { "type": "string" } },
            "set": { "type": "array", "uniqueItems": true, "items": { "$ref": "#/$defs/It" } },
            "map": { "type": "object", "additionalProperties": { "anyOf": [{ "type": "boolean" }, { "type": "null" }] } },
            "pair": { "type": "array", "prefixItems": [{ "type": "string" }, { "type": "integer", "minimum": 1, "maximum": 9 }] },
            "inner": { "type": "object", "properties": { "x": { "type": "integer", "minimum": 0, "format": "uint32" } } },
            "word": { "enum": ["on", "off"] },
            "any": true,
        } }),
        "| key | type | meaning |\n|---|---|---|\n\
         | `a` | [It](#it) | One \\| other, see `It`. |\n\
         | `list` | list of string or null |  |\n\
         | `set` | set of [It](#it); may be absent |  |\n\
         | `map` | map of boolean or null |  |\n\
         | `pair` | list of string, then integer from 1 to 9 |  |\n\
         | `inner` | object with `x` (integer); may be absent |  |\n\
         | `word` | `on` or `off`; may be absent |  |\n\
         | `any` | anything; may be absent |  |",
    );
}

#[test]
fn values_and_variants_are_listed_with_their_meanings() {
    assert_tables(
        json!({ "description": "A colour.", "oneOf": [
            { "const": "green", "description": "All is well." },
            { "enum": ["red", "blue"], "type": "string" },
        ] }),
        "A colour.\n\n| value | meaning |\n|---|---|\n| `green` | All is well. |\n| `red` or `blue` |  |",
    );
    assert_tables(
        json!({ "oneOf": [
            { "type": "object", "properties": { "end": { "const": "ok" } }, "required": ["end"] },
            { "type": "object", "description": "It broke.", "required": ["end", "how"], "properties": {
                "end": { "const": "bad" }, "how": { "type": "string", "description": "How." }, "n": { "type": "integer" } } },
            { "type": "object", "properties": { "end": { "const": "so" } }, "$ref": "#/$defs/It", "required": ["end"] },
        ] }),
        "| `end` | meaning | with |\n|---|---|---|\n| `ok` |  |  |\n\
         | `bad` | It broke. | `how` (string): How.<br>`n` (integer; may be absent) |\n\
         | `so` |  | the keys of [It](#it) |",
    );
    assert_tables(
        json!({ "oneOf": [
            { "type": "object", "properties": { "tier": { "$ref": "#/$defs/It" } }, "required": ["tier"] },
            { "type": "string", "const": "always" },
        ] }),
        "| value | meaning | with |\n|---|---|---|\n| an object with `tier` |  | `tier` ([It](#it)) |\n| `always` |  |  |",
    );
    assert_tables(json!({ "type": "string", "format": "date-time" }), "Written as: string (date-time).");
}

#[test]
fn settings_are_listed_with_their_defaults() {
    let schema = json!({ "type": "object", "required": ["zone"], "properties": {
        "zone": { "type": "string", "description": "The zone." },
        "server": { "type": "string", "default": "default" },
        "allow": { "type": "object", "additionalProperties": { "type": "array", "items": { "type": "string" } }, "default": {} },
        "limit": { "type": ["integer", "null"], "default": null },
        "count": { "type": "integer", "default": 3 },
    } });

    let text = tables(&schema, Writer::User);

    assert_eq!(
        text,
        "| key | type | default | meaning |\n|---|---|---|---|\n\
         | `zone` | string | required | The zone. |\n\
         | `server` | string | `default` |  |\n\
         | `allow` | map of list of string | none |  |\n\
         | `limit` | integer or null | none |  |\n\
         | `count` | integer | `3` |  |\n"
    );
}
