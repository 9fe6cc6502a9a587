//! Facts from a recipe's files: its versions, its resolved compose files, its needs.

use crate::{
    model::{
        engine::Port,
        git::Tag,
        host::Host,
        names::{Commit, Domain, RecipeName, RunId, StackName},
        outcome::{Cause, Failure},
        pack::{Pack, Resources},
        refusal::Refusal,
        version::RecipeVersion,
    },
    pure::{
        host::{
            converge::Mode,
            preflight::{Needs, bytes},
        },
        recipe::{
            compose::{Entry, Env, Resolved, Service, Tree, resolve},
            policy::{self, Deployable},
            post_deploy::Post,
            release,
            upgrade_base::Base,
        },
    },
};

/// The files without which a folder is not a recipe (docs/reference/abra.md 3.1).
pub const RECIPE_FILES: [&str; 2] = ["compose.yml", ".env.sample"];
/// The network that public services are on, by Co-op Cloud's convention.
const PROXY: &str = "proxy";

/// The files of a recipe that are not among `files`.
pub fn missing<'a>(files: &[String]) -> Vec<&'a str> {
    RECIPE_FILES.into_iter().filter(|wanted| !files.iter().any(|file| file == wanted)).collect()
}

/// The newest release among the tags, in Co-op Cloud's order; tags that are not versions do not count.
pub fn newest(tags: &[Tag]) -> Option<String> {
    let versions = tags.iter().filter_map(|tag| tag.name.parse::<RecipeVersion>().ok());
    versions.max_by(RecipeVersion::pick_order).map(|version| version.as_str().to_owned())
}

/// The newest release tag that is on the commit.
pub fn tagged(tags: &[Tag], commit: &Commit) -> Option<String> {
    let here: Vec<Tag> = tags.iter().filter(|tag| tag.commit == *commit).cloned().collect();
    newest(&here)
}

/// The text of the recipe's `.env.sample`; absent without a readable one.
pub fn sample(tree: &Tree) -> Option<&str> {
    match tree.entry(".env.sample")? {
        Entry::Text(text) => Some(text),
        Entry::Link(_) | Entry::Binary(_) => None,
    }
}

/// The variables that the recipe's `.env.sample` sets.
pub fn sampled(tree: &Tree) -> Result<Env, Failure> {
    let text = sample(tree).ok_or_else(|| unreadable("the recipe has no .env.sample"))?;
    Env::parse(text).map_err(|error| unreadable(&format!(".env.sample, {error}")))
}

/// The variables of a new app of the recipe by its `.env.sample`, with those that abra and a run set themselves.
pub fn sample_env(tree: &Tree, domain: &Domain) -> Result<Env, Failure> {
    Ok(with_own(sampled(tree)?, domain))
}

/// The variables with those that a run sets itself.
pub fn with_own(env: Env, domain: &Domain) -> Env {
    policy::without_limits(env).with("DOMAIN", domain.as_str()).with("LETS_ENCRYPT_ENV", "")
}

/// Whether a new app of the recipe has commands for after a deploy or an upgrade.
pub fn posts(tree: &Tree, pack: &Pack, after: Post) -> bool {
    let sample = sampled(tree).unwrap_or_default();
    let set = sample.get(after.variable()).is_some_and(|commands| !commands.trim().is_empty());
    set || [&pack.settings.env, &pack.settings.upgrade_env].iter().any(|env| env.contains_key(after.variable()))
}

/// The name of a pack's overlay, in the pack and in the checkout.
pub const OVERLAY: &str = "compose.ci.yml";

/// The recipe's files with those that its pack adds.
pub fn with_pack(mut tree: Tree, pack: &Pack) -> Tree {
    if let Some(overlay) = &pack.overlay {
        tree = tree.with(OVERLAY, Entry::Text(overlay.clone()));
    }
    tree
}

/// The name of the compose file that repairs a base, in the checkout.
pub const REPAIR: &str = "compose.repair.yml";

/// The compose file that the pack repairs this base with.
pub fn repair<'a>(pack: &'a Pack, base: &Base) -> Option<&'a str> {
    let repair = pack.settings.repair.as_ref()?;
    (base.version() == Some(repair.version.as_str())).then_some(repair.compose.as_str())
}

/// The files of a base with its repair file.
pub fn with_repair(tree: Tree, repair: Option<&str>) -> Tree {
    match repair {
        Some(repair) => tree.with(REPAIR, Entry::Text(repair.to_owned())),
        None => tree,
    }
}

/// The list of compose files with one more at its end.
pub fn listed_with(env: &Env, file: &str) -> String {
    let listed = env.get("COMPOSE_FILE").filter(|list| !list.is_empty()).unwrap_or("compose.yml");
    format!("{listed}:{file}")
}

/// The list of compose files without the one that repairs a base; nothing when it is not in it.
pub fn listed_without_repair(env: &Env) -> Option<String> {
    let listed = env.get("COMPOSE_FILE")?;
    listed.split(':').any(|file| file == REPAIR).then(|| {
        let kept: Vec<&str> = listed.split(':').filter(|file| *file != REPAIR).collect();
        kept.join(":")
    })
}

/// Like [`resolved`], with the variables of the pack and its overlay, which is among the files already.
pub fn resolved_with(tree: &Tree, domain: &Domain, stack: &StackName, pack: &Pack, run: &RunId) -> Result<Resolved, Failure> {
    resolved_repaired(tree, domain, stack, pack, run, false)
}

/// Like [`resolved_with`], of a base with its repair file, which is among the files already.
pub fn resolved_repaired(
    tree: &Tree,
    domain: &Domain,
    stack: &StackName,
    pack: &Pack,
    run: &RunId,
    repaired: bool,
) -> Result<Resolved, Failure> {
    let env = new_app_env(tree, domain, pack, run, repaired)?;
    resolve(tree, &env, stack).map_err(|error| unreadable(&error.to_string()))
}

/// The variables of a new app by its `.env.sample` and its pack, with those that abra and a run set themselves.
pub fn new_app_env(tree: &Tree, domain: &Domain, pack: &Pack, run: &RunId, repaired: bool) -> Result<Env, Failure> {
    let mut env = sample_env(tree, domain)?;
    for (key, value) in pack.env(domain, run) {
        env = env.with(&key, &value);
    }
    for (added, file) in [(pack.overlay.is_some(), OVERLAY), (repaired, REPAIR)] {
        if added {
            let list = listed_with(&env, file);
            env = env.with("COMPOSE_FILE", &list);
        }
    }
    Ok(env)
}

/// The resolved compose files of the recipe as the app `domain`. Files that cannot be read as one app are the recipe's fault:
/// abra and Docker refuse them too.
pub fn resolved(tree: &Tree, domain: &Domain, stack: &StackName) -> Result<Resolved, Failure> {
    resolve(tree, &sample_env(tree, domain)?, stack).map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(sentence: &str) -> Failure {
    Failure::new(Cause::Unresolvable, sentence)
}

/// The version in the files: the label of Co-op Cloud for it (docs/reference/abra.md 3.5).
pub fn version(resolved: &Resolved) -> Option<&str> {
    release::labels(resolved).first().copied()
}

/// The needs of an app of these files. A need that overflows is the largest number, which no host has.
pub fn needs(resolved: &Resolved) -> Needs {
    let services = resolved.services.values();
    let reserved = |service: &Service| service.reservations.memory.unwrap_or_default().saturating_mul(tasks(&service.mode));
    let proxies = |service: &&Service| service.networks.iter().any(|attachment| attachment.name == PROXY);
    let ports = services
        .clone()
        .flat_map(|service| &service.ports)
        .filter_map(|port| Some(Port { number: port.published?, udp: port.protocol == "udp" }));
    Needs {
        memory: services.clone().map(reserved).fold(0, u64::saturating_add),
        ports: ports.collect(),
        networks: resolved.networks.values().filter(|network| !network.external).count() as u64,
        // Each service has an address beside those of its tasks.
        addresses: services
            .clone()
            .filter(proxies)
            .map(|service| tasks(&service.mode).saturating_add(1))
            .fold(0, u64::saturating_add),
        images: services.map(|service| service.image.clone()).collect(),
    }
}

/// The needs of a run that begins with the files `base`, where there is an upgrade, and ends with `resolved`, and whose pack
/// declares `resources` besides.
pub fn needs_of_run(resolved: &Resolved, base: Option<&Resolved>, resources: &Resources) -> Needs {
    base.into_iter().fold(needs(resolved), |all, base| all.or(&needs(base))).or(&declared(resources))
}

/// The needs that the pack declares.
fn declared(resources: &Resources) -> Needs {
    let ports = resources.ports.iter().map(|number| Port { number: *number, udp: false }).collect();
    Needs { memory: bytes(resources.memory_mib), ports, ..Needs::default() }
}

/// The number of tasks that a mode wants; a global one has at least one.
fn tasks(mode: &Mode) -> u64 {
    match mode {
        Mode::Replicated { replicas } => *replicas,
        Mode::Global => 1,
        Mode::Job { completions } => *completions,
    }
}

/// Checks that the host's policy allows what the files ask for as the app `domain`, resolved with the variables of `env`, and
/// that their names fit.
pub fn permitted(app: &Deployable<'_>, recipe: &RecipeName, host: &Host) -> Result<(), Refusal> {
    let sentences = objections(app, recipe, host);
    match sentences.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Policy { sentences }),
    }
}

/// What the host's policy has against an app of the recipe, a sentence each.
pub fn objections(app: &Deployable<'_>, recipe: &RecipeName, host: &Host) -> Vec<String> {
    let mut sentences = policy::objections(app, &host.allow.get(recipe).cloned().unwrap_or_default(), &host.limits.most);
    sentences.extend(policy::variable_objections(app.tree, app.env, recipe, app.domain));
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repair_file_is_added_to_and_removed_from_the_list_of_files() {
        for (before, with) in [
            ("", "compose.yml:compose.repair.yml"),
            ("COMPOSE_FILE=compose.yml:compose.sso.yml", "compose.yml:compose.sso.yml:compose.repair.yml"),
        ] {
            let env = Env::parse(before).unwrap();
            assert_eq!(listed_with(&env, REPAIR), with);
            let repaired = env.with("COMPOSE_FILE", with);
            assert_eq!(listed_without_repair(&repaired).as_deref(), with.strip_suffix(":compose.repair.yml"));
        }
        assert_eq!(listed_without_repair(&Env::parse("COMPOSE_FILE=compose.yml").unwrap()), None);
    }

    #[test]
    fn needs_that_overflow_are_more_than_any_host_has() {
        let service = "image: nginx:1\n    networks: [proxy]\n    deploy:\n      replicas: 99999999999\n      \
                       resources: {reservations: {memory: 1G}}";
        let compose = format!(
            "version: \"3.8\"\nservices:\n  app:\n    {service}\n  db:\n    {service}\nnetworks:\n  proxy:\n    external: true\n"
        );
        let tree: Tree = [("compose.yml", compose), (".env.sample", String::new())]
            .into_iter()
            .map(|(path, text)| (path.to_owned(), Entry::Text(text)))
            .collect();
        let domain: Domain = "shop-aebagbaf.taster.test".parse().unwrap();
        let resolved = resolved(&tree, &domain, &StackName::of(&domain)).unwrap();
        let needs = needs_of_run(&resolved, None, &Resources { memory_mib: u64::MAX, ..Resources::default() });
        assert_eq!((needs.memory, needs.addresses), (u64::MAX, 200_000_000_000));
    }
}
