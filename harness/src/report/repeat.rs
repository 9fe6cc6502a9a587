//! The command that makes a run again.

use std::fmt::Write;

use crate::{
    model::{
        pack::TestName,
        request::{DEFAULT_DEADLINE, Request, Source, Tests, USUAL_RETRIES},
    },
    pure::run::state::RunState,
};

/// The command that makes the same run again, in one line, with what was not the default, but without the event that started
/// this one. Empty before the run has begun.
pub fn repeat(state: &RunState) -> String {
    let Some(begun) = &state.begun else { return String::new() };
    let request = &begun.request;
    let mut command = format!("taster --recipe {}", request.recipe);
    add_subject(&mut command, request, state);
    command.push_str(&host_option(request));
    if request.tests.retries != USUAL_RETRIES {
        add_option(&mut command, "--retries", &request.tests.retries.to_string());
    }
    if request.deadline != DEFAULT_DEADLINE {
        add_option(&mut command, "--deadline", &request.deadline.as_secs().to_string());
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
fn add_subject(command: &mut String, request: &Request, state: &RunState) {
    if let Some(attach) = &request.authoring.attach {
        add_option(command, "--attach", attach.domain.as_str());
    }
    if let Some(folder) = &request.authoring.folder {
        add_option(command, "--pack", &folder.to_string_lossy());
    }
    if request.authoring.attach.is_some() {
        return;
    }
    match &request.source {
        Source::Folder { path } => add_option(command, "--path", &path.to_string_lossy()),
        Source::Catalogue { at } => {
            let commit = state.plan.as_ref().and_then(|plan| plan.head.as_ref()).map(|head| head.commit.to_string());
            if let Some(at) = commit.or_else(|| at.clone()) {
                add_option(command, "--ref", &at);
            }
        }
    }
    if let Some(base) = &request.base {
        add_option(command, "--base", base);
    }
    // The default depends on the recipe, so the tiers are always named.
    if !request.tiers.is_empty() {
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
    for name in names {
        let _ = write!(command, " {}", quoted(name));
    }
}

fn add_option(command: &mut String, name: &str, value: &str) {
    let _ = write!(command, " {name} {}", quoted(value));
}

/// A word for a shell, in one line: a value with control characters is written with escapes.
fn quoted(value: &str) -> String {
    match value.contains(char::is_control) {
        true => format!("$'{}'", value.chars().map(escaped).collect::<String>()),
        false => shell_words::quote(value).into_owned(),
    }
}

fn escaped(c: char) -> String {
    match c {
        '\\' | '\'' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    }
}
