//! What has to be known before there can be a plan, gathered by reading, and by one clone of the recipe.

use std::time::Duration;

use crate::{
    adapters::{abra, folder::Folder},
    claim::{Claim, Claimed},
    event::Note,
    log::Log,
    model::{
        host::Host,
        names::{Domain, EngineId, StackName},
        outcome::{Cause, Failure},
        request::{Request, Source},
        version::RecipeVersion,
    },
    plan::{Head, Refusal},
    ports::{Call, Checked, CheckoutError, Engine, Ports, SwarmError, Tag},
    world::{ObjectKind, World},
};

/// How long abra may take to clone a recipe.
const FETCH_PATIENCE: Duration = Duration::from_secs(300);
/// How long abra may take to say its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(20);
/// The files without which a folder is no recipe (`abra.md` 3.1).
pub const RECIPE_FILES: [&str; 2] = ["compose.yml", ".env.sample"];

/// What is known before the plan.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The Swarm.
    pub engine: EngineId,
    /// All that is on it.
    pub world: World,
    /// What is to be tasted.
    pub head: Head,
}

/// What was found out although the run is refused, so that it can still be cleaned up and compared.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// The Swarm, when it answered.
    pub engine: Option<EngineId>,
    /// The world before the run, when it could be read.
    pub world: Option<World>,
}

impl Refused {
    fn at_once(failure: impl Into<Failure>) -> Self {
        Self { refusal: Refusal::Facts(failure.into()), engine: None, world: None }
    }
}

/// Gathers the facts of a run. The recipe is cloned into the run's own `ABRA_DIR`, which is claimed first.
pub async fn gather(request: &Request, host: &Host, ports: &Ports, log: &Log, folder: &Folder) -> Result<Facts, Refused> {
    let (answered, world) = tokio::join!(ports.swarm.host(), ports.swarm.world());
    let answered = answered.map_err(|error| Refused::at_once(unfit(&error)))?;
    log.note(Note::Tool { tool: "engine".into(), version: answered.version.clone() });
    let engine = fit(&answered).map_err(Refused::at_once)?;
    let world = world.map_err(|error| Refused::at_once(unfit(&error)))?;
    let refused = |refusal| Refused { refusal, engine: Some(engine.clone()), world: Some(world.clone()) };

    let domain = Domain::of(&request.recipe, folder.run(), &host.zone)
        .map_err(|error| refused(Refusal::Facts(preflight("name", error.to_string()))))?;
    let stack = StackName::of(&domain);
    free(&world, &stack).map_err(|failure| refused(Refusal::Facts(failure)))?;

    let claim = log
        .claim(Claimed::Dir { path: folder.abra_dir() }, &engine)
        .map_err(|error| refused(Refusal::Facts(preflight("journal", error.to_string()))))?;
    let (version, checked) =
        tokio::join!(ports.abra.call(&Call::Version, None, VERSION_PATIENCE), recipe(request, ports, &claim));
    let version = version.and_then(|exchange| abra::version(&exchange));
    let version = version.map_err(|error| refused(Refusal::Facts(error.into())))?;
    log.note(Note::Tool { tool: "abra".into(), version: version.to_string() });
    let (checked, dirty) = checked.map_err(refused)?;
    let at = match &request.source {
        Source::Catalogue { at } => at.clone().or_else(|| newest(&checked.tags)),
        Source::Folder { .. } => None,
    };
    let commit = match at {
        Some(at) => ports.checkout.go(&claim, &request.recipe, &at).await.map_err(|error| refused(no_such(error)))?,
        None => checked.head.clone(),
    };
    let version = tagged(&checked.tags, &commit);
    let head = Head { recipe: request.recipe.clone(), version, commit, dirty, domain, stack };
    Ok(Facts { engine: engine.clone(), world: world.clone(), head })
}

async fn recipe(request: &Request, ports: &Ports, claim: &Claim) -> Result<(Checked, bool), Refusal> {
    let facts = |failure: Failure| Refusal::Facts(failure);
    let dirty = match &request.source {
        Source::Catalogue { .. } => {
            let fetch = Call::Fetch { recipe: request.recipe.clone() };
            ports.abra.call(&fetch, Some(claim), FETCH_PATIENCE).await.map_err(|error| facts(error.into()))?;
            false
        }
        Source::Folder { path } => {
            ports.checkout.adopt(claim, &request.recipe, path).await.map_err(|error| facts(error.into()))?
        }
    };
    let checked = ports.checkout.read(&request.recipe).await.map_err(|error| facts(error.into()))?;
    Ok((checked, dirty))
}

/// What an engine must be for a run; gives the Swarm's id.
fn fit(engine: &Engine) -> Result<EngineId, Failure> {
    if engine.rootless {
        return Err(preflight(
            "engine",
            "the engine runs rootless and so has no overlay networks; use one that runs as root".into(),
        ));
    }
    if engine.worker {
        return Err(preflight("swarm", "the engine is a worker of its Swarm; run taster against a manager".into()));
    }
    engine
        .swarm
        .clone()
        .ok_or_else(|| preflight("swarm", "the engine is not a Swarm manager; `docker swarm init` makes it one".into()))
}

fn unfit(error: &SwarmError) -> Failure {
    let remedy = match error {
        SwarmError::Absent { .. } => "; start the engine, or name another one in the host file",
        SwarmError::NotPermitted { .. } => "; add the user to group docker, or run as root",
        SwarmError::Silent { .. } | SwarmError::Refused { .. } | SwarmError::Failed { .. } => "",
    };
    preflight("engine", format!("{error}{remedy}"))
}

/// Whether nothing bears the stack's name yet, so that the name can be the claim, and whether there is an ingress network.
fn free(world: &World, stack: &StackName) -> Result<(), Failure> {
    if let Some(object) = world.objects.values().find(|object| stack.owns(&object.name)) {
        return Err(preflight("names", format!("something of another run already bears our name: {}", object.name)));
    }
    let proxy = world.objects.iter().any(|(id, object)| id.kind == ObjectKind::Network && object.name == "proxy");
    if proxy {
        Ok(())
    } else {
        Err(preflight("proxy", "the Swarm has no network `proxy`; `docker network create -d overlay proxy` makes it".into()))
    }
}

fn preflight(check: &str, message: String) -> Failure {
    Failure::new(Cause::Preflight { check: check.to_owned() }, message)
}

fn no_such(error: CheckoutError) -> Refusal {
    match error {
        CheckoutError::NoSuchRef { .. } => Refusal::Request { sentence: error.to_string() },
        other => Refusal::Facts(other.into()),
    }
}

/// The newest release among the tags, in Co-op Cloud's order; tags that are no versions do not count.
fn newest(tags: &[Tag]) -> Option<String> {
    let versions = tags.iter().filter_map(|tag| tag.name.parse::<RecipeVersion>().ok());
    versions.max_by(RecipeVersion::pick_order).map(|version| version.as_str().to_owned())
}

/// The newest release tag that is on the commit.
fn tagged(tags: &[Tag], commit: &crate::model::names::Commit) -> Option<String> {
    let here: Vec<Tag> = tags.iter().filter(|tag| tag.commit == *commit).cloned().collect();
    newest(&here)
}

/// The files of a recipe that are not among `files`.
pub fn missing<'a>(files: &[String]) -> Vec<&'a str> {
    RECIPE_FILES.into_iter().filter(|wanted| !files.iter().any(|file| file == wanted)).collect()
}
