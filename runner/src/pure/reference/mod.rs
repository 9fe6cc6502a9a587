//! The JSON Schemas of the documents and the reference pages of the book, generated from the types.

mod tables;

use harness::{
    model::{exit_code::ExitCode, host::Host, pack::Settings, protocol::ExecutableContext},
    pure::run::event::Event,
    report::results_schema,
};
use schemars::{Schema, schema_for};

pub use tables::{Writer, tables};

/// A document that taster reads or writes, with a JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// `results.json`.
    Results,
    /// A host file.
    Host,
    /// A pack's `recipe.toml`.
    Recipe,
    /// One line of the journal `events.jsonl`.
    Events,
    /// The description of the app for a custom test that is an executable.
    Context,
}

impl Document {
    /// All of them.
    pub const ALL: [Document; 5] = [Document::Results, Document::Host, Document::Recipe, Document::Events, Document::Context];

    /// The name on the command line, and of the file in `docs/schema`.
    pub fn name(self) -> &'static str {
        match self {
            Document::Results => "results",
            Document::Host => "host",
            Document::Recipe => "recipe",
            Document::Events => "events",
            Document::Context => "context",
        }
    }

    /// The document with this name.
    pub fn named(name: &str) -> Option<Document> {
        Document::ALL.into_iter().find(|document| document.name() == name)
    }

    /// Its JSON Schema, draft 2020-12.
    pub fn schema(self) -> Schema {
        match self {
            Document::Results => results_schema(),
            Document::Host => schema_for!(Host),
            Document::Recipe => schema_for!(Settings),
            Document::Events => schema_for!(Event),
            Document::Context => schema_for!(ExecutableContext),
        }
    }

    /// Its JSON Schema as text that ends with a newline.
    pub fn schema_text(self) -> String {
        // A schema has strings, numbers and lists of them, which can always be written.
        serde_json::to_string_pretty(&self.schema()).unwrap_or_default() + "\n"
    }

    /// Its page in the reference.
    pub fn page(self) -> String {
        let (title, intro, writer) = match self {
            Document::Results => ("Results", RESULTS, Writer::Taster),
            Document::Host => ("Host file", HOST, Writer::User),
            Document::Recipe => ("Recipe file", RECIPE, Writer::User),
            Document::Events => ("Events", EVENTS, Writer::Taster),
            Document::Context => ("Context", CONTEXT, Writer::Taster),
        };
        format!("# {title}\n\n{GENERATED}\n\n{}\n\n{}", intro.trim(), tables(self.schema().as_value(), writer))
    }
}

/// The page on exit codes.
pub fn exit_codes_page() -> String {
    let precedence = format!("When several apply to a run, the first of these is its exit code: {}.", ExitCode::precedence());
    format!("# Exit codes\n\n{GENERATED}\n\n{}\n{precedence}\n{}", ExitCode::table(), EXIT_CODES.trim_start())
}

const GENERATED: &str = "<!-- Generated from the types. Renew it with `TASTER_BLESS=1 cargo test -p unit-tests reference`. -->";

const RESULTS: &str = "
`results.json` is in the folder of the run. It appears within a second and is rewritten after each step, so that a run that
is killed leaves a correct one, which has no `finished` and is never green. [How to read a
result](../how-to/read-a-result.md) shows what to look at first.

`taster schema results` prints the JSON Schema that this page is made from. Times are RFC 3339 in UTC with milliseconds,
durations are milliseconds.

## Keys
";

const HOST: &str = "
A host is a Swarm that taster may deploy to. The file is the one that `--host FILE` names, else `$TASTER_HOST`, else
`~/.config/taster/host.toml` (`$XDG_CONFIG_HOME/taster/host.toml` where that is set). Without any, the host is the sandbox,
which has its own host file.

The file is TOML. An unknown key is an error, which names line, column and the closest match. Relative paths are relative to the
folder of the file. `taster schema host` prints the JSON Schema that this page is made from.

```toml
zone = \"ci.example.org\"        # apps get <name>.ci.example.org, which must resolve to the ingress
server = \"default\"             # abra's name for the server
ingress = \"203.0.113.7:443\"    # only where DNS does not know the zone
ca = \"ca.pem\"                  # only where the ingress has certificates of a private CA
```

## Keys
";

const RECIPE: &str = "
`recipes/<name>/recipe.toml` has the settings of a recipe: how its app shows that it is healthy, which variables the app
needs, which tests do not apply. Each key can be left out, and so can the file. Tests and everything else that needs code are
in Rust files beside it: [write custom tests](../how-to/custom-tests.md).

The file is TOML. An unknown key is an error, which names line, column and the closest match. `taster schema recipe` prints
the JSON Schema that this page is made from.

```toml
health_path = \"/api/health\"
health_status = [200, 204]
one_shots = [\"migrate\"]

[env]
PUBLIC_URL = \"https://{domain}/\"

[[databases]]
service = \"db\"
kind = \"postgres\"

[not_applicable]
\"mail::a message is sent\" = \"there is no mail server on the host\"
```

## Keys
";

const EVENTS: &str = "
`events.jsonl` in the folder of a run is its journal: one JSON document a line, only ever appended to. An event that
announces something, such as `claimed`, is on the disk before the thing is done. Every report on a run is derived from these
lines, and so is what the janitor removes when the run was killed. The last line may be cut; a reader skips what it cannot
read.

`taster schema events` prints the JSON Schema of one line, which this page is made from.

## Keys of each line
";

const CONTEXT: &str = "
A custom test that is an executable gets a JSON document that describes the app: in the file that `TASTER_CONTEXT` names, and
on standard input as well. The result is the exit code: 0 when the test passes, 77 when it does not apply, any other when it
fails. [Write custom tests](../how-to/custom-tests.md#a-test-in-another-language) shows one.

`taster schema context` prints the JSON Schema that this page is made from.

## Keys
";

const EXIT_CODES: &str = "
So 4 hides whether the recipe is green or red; `results.json` and the terminal have the verdict all the same.

Commands other than `run` use the same codes:

| command | exit codes |
|---|---|
| `taster status STACK` | 0 the stack has settled, 1 it has failed, 3 neither was decided in time |
| `taster janitor` | 0 nothing is left, 4 something is left that could not be removed |
| `taster sandbox status` | 0 all of the sandbox is there, 3 something is missing |

An engine that does not answer, or a sandbox that cannot be made, is 3: it is not the recipe's fault.
";
