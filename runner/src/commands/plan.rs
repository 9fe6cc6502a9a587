//! `taster plan`.

use std::{fmt::Write, path::Path, process::ExitCode};

use ::sandbox::home::Home;
use harness::{
    adapters::{checkout::GitCheckout, tree},
    author::Parity,
    engine::facts::{self, Based, Given, UnderTest},
    model::{
        head::Head,
        host::Host,
        names::{BadName, Domain, RecipeName, RunId, StackName},
        outcome::{Failure, Outcome, SkipReason},
        pack::{Origin, Pack},
        refusal::Refusal,
        request::{Request, Source},
        time::{format_duration, millis},
    },
    ports::{Checked, Checkout, CheckoutError},
    pure::{
        recipe::compose::{Entry, Resolved, Service, Tree},
        run::{
            facts::{Facts, recipe},
            plan::{Class, Plan as Planning, Planned, plan},
        },
    },
    redact::Redact,
    report::{customization, terminal::summary},
};
use serde_json::json;

use crate::{
    cli::block_on,
    env::Env,
    error::{CommandError, Exit},
    history, host, output, packs,
    run_args::{self, RunArgs, fetched},
};

/// Where the sandbox serves its apps, for a plan made before there is one.
const SANDBOX_ZONE: &str = "zone = \"taster.test\"";
/// The longest name of a step that the others are aligned with, in characters.
const LONGEST_NAME: usize = 20;
/// The commit of files that no commit holds.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// Says what a run would do: its steps in order with their budgets, what is not run and why, what it needs, what policy says
///
/// Nothing is fetched and nothing is deployed; no engine is asked. The recipe is read where a run would find it: in the sandbox, in
/// the folder in which abra keeps it, or in --path. Executables below `tests/` of a recipe are found in --path, else only by a run. The exit code is 0 when a run could begin, 2 when it would be refused.
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// The recipe
    #[arg(long, value_name = "NAME", value_parser = run_args::recipe)]
    recipe: RecipeName,
    #[command(flatten)]
    asked: RunArgs,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

impl Plan {
    /// Does it.
    pub fn run(self, env: &Env) -> Result<ExitCode, CommandError> {
        let source = self.asked.source()?;
        let Ground { host, home, sandbox } = ground(env, self.asked.host.as_deref())?;
        let root = fetched(env, home.as_ref());
        let pack = packs::of(&self.recipe)?;
        let parity = packs::parity(self.recipe.as_str(), &pack);
        let request = self.asked.request(env, self.recipe, source, home.as_ref(), &pack)?;
        let pack = packs::with_executables(pack, &request, &host)?;
        let read = block_on(read(env, &request, &host, &root, sandbox))??;
        let redact = Redact::new();
        redact.learn_settings(&pack.settings);
        if let Some(Entry::Text(sample)) = read.tree.entry(".env.sample") {
            redact.learn_env(sample);
        }
        let read = Read { tree: recipe::with_pack(read.tree, &pack), ..read };
        let unresolvable =
            |failure: Failure| CommandError { exit: Exit::Red, ..CommandError::usage(redact.text(&failure.message)) };
        let resolved =
            recipe::resolved_with(&read.tree, &read.head.domain, &read.head.stack, &pack, &no_run()?).map_err(unresolvable)?;
        let policy = recipe::permitted(&resolved, &read.tree, &request.recipe, &host);
        let history = history::past(&env.runs(), &request.recipe).green;
        let given = Given { request: &request, host: &host, pack: &pack, history: history.as_ref() };
        let (Based { against, base, before }, no_base) = match block_on(based(given, &read, &resolved, &no_run()?))? {
            Ok(based) => (based, None),
            Err(refusal) => (Based::nothing(&request, "it is refused"), Some(refusal)),
        };
        let from = before.as_ref().map(|before| &before.resolved);
        let needs = recipe::needs_of_run(&resolved, from, &pack.settings.resources);
        let facts = Facts { needs, head: read.head, tree: read.tree, resolved, base, before, against, pack };
        let planned = plan(&request, &facts, &host.limits);
        let refused: Vec<String> =
            [policy.err(), no_base, planned.as_ref().err().cloned()].into_iter().flatten().flat_map(sentences).collect();
        output::print(&match self.json {
            true => document(planned.as_ref().ok(), &facts, &refused, &redact)?,
            false => redact.text(&text(planned.as_ref().ok(), &facts, &host, parity.as_ref(), &refused)),
        })?;
        Ok(if refused.is_empty() { Exit::Green } else { Exit::Usage }.into())
    }
}

/// The host that a recipe is read for without asking it anything.
pub(super) struct Ground {
    /// The host; the sandbox as it will be where there is none yet.
    pub(super) host: Host,
    /// The sandbox's home, where the host is the sandbox.
    pub(super) home: Option<Home>,
    /// Whether the host is the sandbox.
    pub(super) sandbox: Sandbox,
}

pub(super) fn ground(env: &Env, named: Option<&Path>) -> Result<Ground, CommandError> {
    let known = host::known(env, named)?;
    let home = known.as_ref().and_then(host::sandbox_of);
    let (host, sandbox) = match known {
        Some(host) if home.is_some() => (host, Sandbox::Up),
        Some(host) => (host, Sandbox::None),
        None => (Host::parse(SANDBOX_ZONE).map_err(|error| CommandError::host(error.to_string()))?, Sandbox::NotYet),
    };
    Ok(Ground { host, home, sandbox })
}

/// What was read of a recipe.
pub(super) struct Read {
    pub(super) head: Head,
    pub(super) tree: Tree,
    /// Its repository with what is in it; absent for a folder that is none.
    repository: Option<(GitCheckout, RecipeName, Checked)>,
}

/// What it would be compared with and upgraded from, and the files of that.
async fn based(given: Given<'_>, read: &Read, resolved: &Resolved, run: &RunId) -> Result<Based, Refusal> {
    let Some((checkout, name, checked)) = &read.repository else {
        return Ok(Based::nothing(given.request, "the folder has no history"));
    };
    let request = Request { recipe: name.clone(), ..given.request.clone() };
    let given = Given { request: &request, ..given };
    let head = UnderTest { commit: &read.head.commit, domain: &read.head.domain, run, resolved };
    facts::based(checkout, given, checked, head).await
}

/// What is under test, its files, and where they come from.
pub(super) async fn read(env: &Env, request: &Request, host: &Host, root: &Path, sandbox: Sandbox) -> Result<Read, CommandError> {
    let domain = Domain::of(&request.recipe, &no_run()?, &host.zone).map_err(|error| CommandError::usage(error.to_string()))?;
    let stack = StackName::of(&domain);
    let of = |version, commit, dirty| Head { recipe: request.recipe.clone(), version, commit, dirty, domain, stack };
    let at = match &request.source {
        Source::Catalogue { at } => at,
        Source::Folder { path } => {
            let head = of(None, NO_COMMIT.parse().map_err(defect)?, true);
            return Ok(Read { head, tree: in_folder(path)?, repository: of_folder(env, path).await });
        }
    };
    if !root.join(request.recipe.as_str()).is_dir() {
        return Err(absent(&request.recipe, root, sandbox));
    }
    let checkout = GitCheckout::of_recipes(root, env.path.clone());
    let unread = |error: CheckoutError| CommandError::usage(error.to_string());
    let checked = checkout.read(&request.recipe).await.map_err(unread)?;
    let commit = match at.clone().or_else(|| recipe::newest(&checked.tags)) {
        Some(at) => checkout.find(&request.recipe, &at).await.map_err(unread)?,
        None => checked.head.clone(),
    };
    let tree = checkout.tree(&request.recipe, &commit).await.map_err(unread)?;
    let head = of(recipe::tagged(&checked.tags, &commit), commit, false);
    Ok(Read { head, tree, repository: Some((checkout, request.recipe.clone(), checked)) })
}

/// The repository that a folder is the top of, if it is one.
async fn of_folder(env: &Env, path: &Path) -> Option<(GitCheckout, RecipeName, Checked)> {
    if !path.join(".git").exists() {
        return None;
    }
    let name: RecipeName = path.file_name()?.to_str()?.parse().ok()?;
    let checkout = GitCheckout::of_recipes(path.parent()?, env.path.clone());
    let checked = checkout.read(&name).await.ok()?;
    Some((checkout, name, checked))
}

/// Each run has a name of its own; this one only has its length.
pub(super) fn no_run() -> Result<RunId, CommandError> {
    RunId::new("00000000-000000", [0; 5]).map_err(defect)
}

fn in_folder(path: &Path) -> Result<Tree, CommandError> {
    tree::in_folder(path).map_err(|error| CommandError::usage(format!("cannot read {}: {error}", path.display())))
}

fn defect(error: BadName) -> CommandError {
    CommandError::host(error.to_string())
}

fn absent(recipe: &RecipeName, root: &Path, sandbox: Sandbox) -> CommandError {
    let here =
        || CommandError::usage(format!("the recipe {recipe} is not on this machine: there is no clone in {}", root.display()));
    match sandbox {
        Sandbox::Up if sandbox::recipes::all().iter().any(|name| name == recipe.as_str()) => {
            here().remedy("`taster sandbox up` brings it")
        }
        Sandbox::Up => host::unknown(recipe),
        Sandbox::NotYet => here().remedy("there is no sandbox yet, and no host file; `taster sandbox up` makes one"),
        Sandbox::None => {
            here().remedy(format!("`abra recipe fetch {recipe}` brings it; `taster list` says which ones there are"))
        }
    }
}

/// Whether the host is the sandbox.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sandbox {
    /// It is.
    Up,
    /// It will be.
    NotYet,
    /// It is another host.
    None,
}

fn sentences(refusal: Refusal) -> Vec<String> {
    match refusal {
        Refusal::Request { sentence } => vec![sentence],
        Refusal::Policy { sentences } => sentences,
        Refusal::Facts(failure) => vec![failure.message],
    }
}

fn document(plan: Option<&Planning>, facts: &Facts, refused: &[String], redact: &Redact) -> Result<String, CommandError> {
    let services = facts.resolved.services.iter().map(|(name, service)| {
        let allowance = millis(service.allowance());
        json!({ "name": name, "image": service.image, "allowance_ms": allowance })
    });
    let skipped: Vec<&str> = facts.resolved.skipped.iter().map(|skipped| skipped.path.as_str()).collect();
    let mut value = json!({
        "schema": 1,
        "head": facts.head,
        "base": facts.base,
        "services": services.collect::<Vec<_>>(),
        "needs": facts.needs,
        "steps": plan.map(|plan| &plan.steps),
        "skips": plan.map(|plan| &plan.skips),
        "customization": (!facts.pack.is_empty()).then(|| customization::document(&facts.pack)),
        "refused": refused,
        "not_read": skipped,
    });
    redact.value(&mut value);
    serde_json::to_string_pretty(&value).map(|text| text + "\n").map_err(|error| CommandError::host(error.to_string()))
}

fn text(plan: Option<&Planning>, facts: &Facts, host: &Host, parity: Option<&Parity>, refused: &[String]) -> String {
    let head = &facts.head;
    let state = match (&head.version, head.dirty) {
        (_, true) => "as it lies in the folder".to_owned(),
        (Some(version), false) => format!("{version} ({})", &head.commit.as_str()[..8]),
        (None, false) => format!("at {}, which is no release", &head.commit.as_str()[..8]),
    };
    let mut text = format!("{} {state} on {}\nbase {}: {}\n", head.recipe, host.zone, facts.base, facts.base.why());
    customized(&mut text, &facts.pack, parity);
    if let Some(plan) = plan {
        steps(&mut text, plan);
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
        let _ = writeln!(text, "\nnot read of its files\n  {}", paths.join("\n  "));
    }
    text.push_str("\npolicy\n");
    if refused.is_empty() {
        text.push_str("  allows it: nothing reaches beyond the app's own stack, or the host file allows it\n");
    }
    for sentence in refused {
        let _ = writeln!(text, "  refuses it: {sentence}");
    }
    text
}

/// What the recipe's pack changes, and whether it says what it covers.
fn customized(text: &mut String, pack: &Pack, parity: Option<&Parity>) {
    text.push_str("\npack\n");
    let told = customization::told(pack);
    if told.is_empty() {
        text.push_str("  changes nothing\n");
    }
    for (topic, told) in told {
        let _ = writeln!(text, "  {topic:<10} {told}");
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

fn steps(text: &mut String, plan: &Planning) {
    text.push_str("\nsteps\n");
    // Tests of a pack are called by sentences, which would leave the others in the middle of nowhere.
    let names = plan.steps.iter().map(|planned| planned.id.0.chars().count());
    let width = names.filter(|width| *width <= LONGEST_NAME).max().unwrap_or_default();
    for planned in &plan.steps {
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
    if !plan.skips.is_empty() {
        text.push_str("\nnot run\n");
    }
    for (tier, reason) in &plan.skips {
        let _ = writeln!(text, "  {:<10} {}", tier.name(), because(reason));
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

fn because(reason: &SkipReason) -> String {
    summary(&Outcome::Skipped(reason.clone()))
}

fn services(text: &mut String, resolved: &Resolved) {
    text.push_str("\nservices\n");
    for (name, service) in &resolved.services {
        let _ = writeln!(text, "  {name:<10} {}{}", service.image, allowance(service));
    }
}

/// What its health check allows it, when it has one.
fn allowance(service: &Service) -> String {
    let allowance = service.allowance();
    match allowance.is_zero() {
        true => ", without a health check".to_owned(),
        false => format!(", up to {} until it is healthy", format_duration(allowance)),
    }
}
