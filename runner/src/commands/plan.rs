//! `taster plan`.

mod resolved;

use std::{collections::BTreeMap, fmt::Write, process, sync::Arc};

use harness::{
    author::Parity,
    engine::facts::{RecipeFacts, RunInput},
    model::{
        exit_code::ExitCode,
        host::Host,
        names::RecipeName,
        outcome::{Outcome, SkipReason, Tier},
        pack::{Origin, Pack},
        refusal::Refusal,
        request::Tests,
        time::{format_duration, millis},
    },
    pure::{
        recipe::{
            compose::{Resolved, Service},
            release::ReleaseFaults,
            upgrade_base::LeftOut,
        },
        run::{
            facts::{Facts, recipe},
            plan::{Class, Plan as Planning, Planned, Step, plan},
        },
    },
    redact::Redact,
    report::{customization, summary::summary},
};
use serde_json::json;

use crate::{
    env::Env,
    error::CommandError,
    host::{self, AssumedHost},
    output, packs,
    recipe_reading::read,
    run_args::{self, RunArgs, clones},
    runtime::block_on,
};

/// The longest name of a step that the others are aligned with, in characters.
const LONGEST_NAME: usize = 20;

/// Shows what a run would do: its steps in order with their budgets, what is not run and why, what it needs, what policy decides
///
/// Nothing is fetched and nothing is deployed, and the engine is not used. The recipe is read where a run would find it: in the
/// sandbox, in the folder in which abra keeps it, or in --path. Executables below `tests/` of a recipe are found in --path, else
/// only by a run. The exit code is 0 when a run could begin, 2 when it would be refused.
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// The recipe
    #[arg(long, value_name = "NAME", value_parser = run_args::recipe)]
    recipe: RecipeName,
    #[command(flatten)]
    args: RunArgs,
    /// Prints JSON
    #[arg(long)]
    json: bool,
    /// Prints what would be deployed instead: the compose files, merged as Docker merges them, and where each value comes from
    #[arg(long, conflicts_with = "json")]
    resolved: bool,
    /// The format of --resolved, by default yaml; without --resolved `json` is the same as --json
    #[arg(long, value_enum)]
    format: Option<resolved::Format>,
}

impl Plan {
    /// Runs the command.
    pub fn run(self, env: &Env) -> Result<process::ExitCode, CommandError> {
        if !self.resolved && self.format == Some(resolved::Format::Yaml) {
            return Err(CommandError::usage("a plan is not printed as YAML").hint("Add --resolved, or use --format json."));
        }
        let source = self.args.source()?;
        let AssumedHost { host, home, kind } = host::assume(env, self.args.host.as_deref())?;
        let clones = clones(env, home.as_ref());
        let pack = packs::of(&self.recipe)?;
        let parity = packs::parity(self.recipe.as_str(), &pack);
        let request = self.args.request(env, self.recipe, source, home.as_ref(), &pack)?;
        let pack = packs::with_executables(pack, &request, &host)?;
        let redact = Arc::new(Redact::new());
        redact.learn_settings(&pack.settings);
        let input = RunInput { request: &request, host: &host, pack: &pack };
        let RecipeFacts { head, tree, resolved, against, base, base_files, left_out, faults, refusals } =
            block_on(read(env, input, &clones, kind, redact.clone()))??;
        if self.resolved {
            output::print(&resolved::document(
                &tree,
                &head.domain,
                &head.stack,
                &pack,
                self.format.unwrap_or_default(),
                &redact,
            )?)?;
            return Ok(ExitCode::Green.into());
        }
        let from = base_files.as_ref().map(|files| &files.resolved);
        let needs = recipe::needs_of_run(&resolved, from, &pack.settings.resources);
        let facts = Facts { head, tree, resolved, base, base_files, against, left_out, faults, needs, pack };
        let planned = plan(&request, &facts, &host.limits);
        let refused: Vec<String> = refusals.into_iter().chain(planned.as_ref().err().cloned()).flat_map(sentences).collect();
        output::print(&match self.json || self.format.is_some() {
            true => document(planned.as_ref().ok(), &facts, &request.tests, &refused, &redact)?,
            false => redact.text(&text(planned.as_ref().ok(), &facts, &request.tests, &host, parity.as_ref(), &refused)),
        })?;
        Ok(if refused.is_empty() { ExitCode::Green } else { ExitCode::Usage }.into())
    }
}

fn sentences(refusal: Refusal) -> Vec<String> {
    match refusal {
        Refusal::Request { sentence } => vec![sentence],
        Refusal::Policy { sentences } => sentences,
        Refusal::Facts(failure) => vec![failure.message],
    }
}

fn document(
    plan: Option<&Planning>,
    facts: &Facts,
    tests: &Tests,
    refused: &[String],
    redact: &Redact,
) -> Result<String, CommandError> {
    let services = facts.resolved.services.iter().map(|(name, service)| {
        let allowance = millis(service.allowance());
        json!({ "name": name, "image": service.image, "allowance_ms": allowance })
    });
    let skipped: Vec<&str> = facts.resolved.skipped.iter().map(|skipped| skipped.path.as_str()).collect();
    let mut value = json!({
        "schema": 1,
        "head": facts.head,
        "base": facts.base,
        "tags_left_out": facts.left_out,
        "release_faults": facts.faults,
        "services": services.collect::<Vec<_>>(),
        "needs": facts.needs,
        "steps": plan.map(|plan| &plan.steps),
        "skips": plan.map(|plan| &plan.skips),
        "tests_left_out": plan.map(|plan| left_out(plan, tests).collect::<BTreeMap<_, _>>()),
        "customization": (!facts.pack.is_empty()).then(|| customization::document(&facts.pack)),
        "refused": refused,
        "not_read": skipped,
    });
    redact.value(&mut value);
    serde_json::to_string_pretty(&value).map(|text| text + "\n").map_err(CommandError::host)
}

fn text(
    plan: Option<&Planning>,
    facts: &Facts,
    tests: &Tests,
    host: &Host,
    parity: Option<&Parity>,
    refused: &[String],
) -> String {
    let head = &facts.head;
    let state = match (&head.version, head.dirty) {
        (_, true) => "as it is in the folder".to_owned(),
        (Some(version), false) => format!("{version} ({})", &head.commit.as_str()[..8]),
        (None, false) => format!("at {}, which is not a release", &head.commit.as_str()[..8]),
    };
    let mut text = format!("{} {state} on {}\nbase {}: {}\n", head.recipe, host.zone, facts.base, facts.base.why());
    releases(&mut text, facts);
    customized(&mut text, &facts.pack, parity);
    if let Some(plan) = plan {
        steps(&mut text, plan, tests);
    }
    services(&mut text, &facts.resolved);
    let needs = &facts.needs;
    let ports: Vec<String> = needs.ports.iter().map(ToString::to_string).collect();
    let _ = writeln!(
        text,
        "\nneeds\n  memory     {} MiB reserved\n  networks   {} of its own, {} addresses in proxy\n  ports      {}",
        needs.memory >> 20,
        needs.networks,
        needs.addresses,
        if ports.is_empty() { "none".to_owned() } else { ports.join(", ") },
    );
    if !facts.resolved.skipped.is_empty() {
        let paths: Vec<&str> = facts.resolved.skipped.iter().map(|skipped| skipped.path.as_str()).collect();
        let _ = writeln!(text, "\nfiles not read\n  {}", paths.join("\n  "));
    }
    text.push_str("\npolicy\n");
    if refused.is_empty() {
        text.push_str("  allows it: everything is within the app's own stack, or the host file allows it\n");
    }
    for sentence in refused {
        let _ = writeln!(text, "  refuses it: {sentence}");
    }
    text
}

/// The tags that base was not chosen from, and the faults of head as a release.
fn releases(text: &mut String, facts: &Facts) {
    if !facts.left_out.is_empty() {
        text.push_str("\ntags that are no candidates for the base\n");
    }
    for LeftOut { tag, reason } in &facts.left_out {
        let _ = writeln!(text, "  {tag} {reason}");
    }
    let ReleaseFaults { introduced, existing } = &facts.faults;
    if !introduced.is_empty() || !existing.is_empty() {
        text.push_str("\nfaults of the release\n");
    }
    for fault in introduced.iter().chain(existing) {
        let _ = writeln!(text, "  {fault}");
    }
}

/// What the recipe's pack changes, and whether its `PARITY.md` names its tests.
fn customized(text: &mut String, pack: &Pack, parity: Option<&Parity>) {
    text.push_str("\npack\n");
    let changes = customization::topics(pack);
    if changes.is_empty() {
        text.push_str("  changes nothing\n");
    }
    for (topic, change) in changes {
        let _ = writeln!(text, "  {topic:<10} {change}");
    }
    match parity {
        Some(Parity { wrong, .. }) if wrong.is_empty() => text.push_str("  PARITY.md  names all of its tests\n"),
        Some(Parity { wrong, .. }) => wrong.iter().for_each(|wrong| {
            let _ = writeln!(text, "  PARITY.md  is wrong: {wrong}");
        }),
        None if pack.tests.iter().any(|test| test.origin == Origin::Pack) => text.push_str("  PARITY.md  is missing\n"),
        None => {}
    }
}

/// The custom tests that the choice of the request leaves out, each with the part of the choice that does so.
fn left_out<'a>(plan: &'a Planning, tests: &'a Tests) -> impl Iterator<Item = (&'a str, String)> {
    plan.steps.iter().filter_map(|planned| match (&planned.step, planned.class) {
        (Step::Custom { test }, Class::Tier(Tier::Custom)) => Some((test.as_str(), tests.leave_out(test)?)),
        _ => None,
    })
}

fn steps(text: &mut String, plan: &Planning, tests: &Tests) {
    let left_out: Vec<(&str, String)> = left_out(plan, tests).collect();
    text.push_str("\nsteps\n");
    // A test of a pack may have a whole sentence as its name, which would indent all others too far.
    let names = plan.steps.iter().map(|planned| planned.id.0.chars().count());
    let width = names.filter(|width| *width <= LONGEST_NAME).max().unwrap_or_default();
    for planned in plan.steps.iter().filter(|planned| left_out.iter().all(|(test, _)| *test != planned.id.0)) {
        let after: Vec<&str> = planned.after.iter().map(|id| id.0.as_str()).collect();
        let after = if after.is_empty() { String::new() } else { format!(", after {}", after.join(" and ")) };
        let _ = writeln!(
            text,
            "  {:<width$} {:<8} within {}{after}",
            planned.id.0,
            class(planned),
            format_duration(planned.budget())
        );
    }
    if !plan.skips.is_empty() || !left_out.is_empty() {
        text.push_str("\nnot run\n");
    }
    for (tier, reason) in &plan.skips {
        let _ = writeln!(text, "  {:<10} {}", tier.name(), format_skip(reason));
    }
    for (test, by) in left_out {
        let _ = writeln!(text, "  {test}: {}", format_skip(&SkipReason::Filtered { by }));
    }
}

fn class(planned: &Planned) -> &'static str {
    match planned.class {
        Class::Tier(tier) => tier.name(),
        Class::Thorough => "thorough",
        Class::Beside => "beside",
        Class::Always => "always",
    }
}

fn format_skip(reason: &SkipReason) -> String {
    summary(&Outcome::Skipped(reason.clone()))
}

fn services(text: &mut String, resolved: &Resolved) {
    text.push_str("\nservices\n");
    for (name, service) in &resolved.services {
        let _ = writeln!(text, "  {name:<10} {}{}", service.image, format_allowance(service));
    }
}

/// The time that its health check allows the service, when it has one.
fn format_allowance(service: &Service) -> String {
    let allowance = service.allowance();
    match allowance.is_zero() {
        true => ", without a health check".to_owned(),
        false => format!(", up to {} until it is healthy", format_duration(allowance)),
    }
}
