//! The command that makes a run again.

use std::fmt::Write;

use crate::{
    model::{
        pack::TestName,
        request::{DEFAULT_DEADLINE, Request, Source, Tests, USUAL_RETRIES},
    },
    pure::run::state::RunState,
};

/// The command that makes the same request again, in one line, with all that is not the default. Empty before the run has begun.
///
/// What may have changed until then is named: the commit instead of a tag or branch, the tiers, the tests of `--failed`.
pub fn repeat(state: &RunState) -> String {
    let Some(begun) = &state.begun else { return String::new() };
    let commit = state.plan.as_ref().and_then(|plan| plan.head.as_ref()).map(|head| head.commit.to_string());
    command(&begun.request, commit.as_deref())
}

/// The command that makes a request; `commit` is the commit of the catalogue that it means, once that is known.
pub fn command(request: &Request, commit: Option<&str>) -> String {
    let mut command = format!("taster --recipe {}", request.recipe);
    add_subject(&mut command, request, commit);
    command.push_str(&host_option(request));
    if request.tests.retries != USUAL_RETRIES {
        add_option(&mut command, "--retries", &request.tests.retries.to_string());
    }
    if request.deadline != DEFAULT_DEADLINE {
        add_option(&mut command, "--deadline", &request.deadline.as_secs().to_string());
    }
    if let Some(keep) = request.authoring.keep {
        add_option(&mut command, "--keep", &format!("{}s", keep.as_secs()));
    }
    for (asked, flag) in [
        (request.authoring.trusted, " --trust-tests"),
        (request.extent.disaster, " --disaster"),
        (request.extent.thorough, " --thorough"),
        (request.extent.no_canaries, " --no-canaries"),
        (request.tests.fail_on_flaky, " --fail-on-flaky"),
        (request.offline.is_some(), " --offline"),
    ] {
        command.push_str(if asked { flag } else { "" });
    }
    for (option, value) in [("--pr", &request.pr), ("--trigger", &request.trigger)] {
        if let Some(value) = value {
            add_option(&mut command, option, value);
        }
    }
    add_choice(&mut command, &request.tests);
    command
}

/// The option that names the host file of the request, with a space before it; empty without a named file.
pub fn host_option(request: &Request) -> String {
    let mut option = String::new();
    if let Some(file) = &request.host_file {
        add_option(&mut option, "--host", &file.to_string_lossy());
    }
    option
}

/// What is tested: a kept app, a folder or a commit, and through which tiers.
fn add_subject(command: &mut String, request: &Request, commit: Option<&str>) {
    let attach = request.authoring.attach.as_ref();
    if let Some(attach) = attach {
        add_option(command, "--attach", attach.domain.as_str());
    }
    for file in &request.authoring.files {
        add_option(command, "--file", file);
    }
    if let Some(folder) = &request.authoring.folder {
        add_option(command, "--pack", &folder.to_string_lossy());
    }
    match &request.source {
        Source::Folder { path } => add_option(command, "--path", &path.to_string_lossy()),
        Source::Catalogue { at } => {
            if let Some(at) = commit.or(at.as_deref()).filter(|_| attach.is_none()) {
                add_option(command, "--ref", at);
            }
        }
    }
    if let Some(base) = &request.base {
        add_option(command, "--base", base);
    }
    // The default depends on the recipe, so the tiers are always named. A run on a kept app has the custom tests alone.
    if !request.tiers.is_empty() && attach.is_none() {
        add_option(command, "--tiers", &request.tiers.iter().map(|tier| tier.name()).collect::<Vec<_>>().join(","));
    }
}

/// The choice among custom tests, which comes last. Tests of `--failed` are named, because later runs have others.
fn add_choice(command: &mut String, tests: &Tests) {
    if !tests.choose() {
        return;
    }
    command.push_str(" --");
    let failed = tests.failed.iter().flatten().filter(|test| tests.leave_out(test).is_none());
    let (names, exact): (Vec<&str>, bool) = match &tests.failed {
        Some(_) => (failed.map(TestName::as_str).collect(), true),
        None => (tests.names.iter().map(String::as_str).collect(), tests.exact),
    };
    if exact {
        command.push_str(" --exact");
    }
    for part in tests.skip.iter().filter(|_| tests.failed.is_none()) {
        add_option(command, "--skip", part);
    }
    // A name that begins like an option follows a second `--`.
    if names.iter().any(|name| name.starts_with('-')) {
        command.push_str(" --");
    }
    for name in names {
        let _ = write!(command, " {}", quoted(name));
    }
}

/// Adds an option with its value. A value that begins like an option is tied to it.
fn add_option(command: &mut String, name: &str, value: &str) {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    let _ = write!(command, " {name}{between}{}", quoted(value));
}

/// A word for a shell, in one line: a value with characters that cannot be seen is written with escapes.
fn quoted(value: &str) -> String {
    match value.contains(is_unseen) {
        true => format!("$'{}'", value.chars().map(escaped).collect::<String>()),
        false => shell_words::quote(value).into_owned(),
    }
}

/// Whether a terminal shows nothing for the character, or moves others for it.
fn is_unseen(c: char) -> bool {
    let turns_or_joins = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    c.is_control() || turns_or_joins || matches!(c, '\u{ad}' | '\u{feff}')
}

/// A character within `$'…'`. The bytes of a character do not depend on the shell's locale, unlike its number.
fn escaped(c: char) -> String {
    match c {
        '\\' | '\'' => format!("\\{c}"),
        c if is_unseen(c) => c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
        c => c.to_string(),
    }
}
