//! What has to be known before there can be a plan, gathered by reading, and by one clone of the recipe.

use std::{cell::OnceCell, time::Duration};

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
    ports::{AbraError, Call, Checked, CheckoutError, Engine, Ports, SwarmError, Tag},
    world::{ObjectKind, World},
};

/// How long abra may take to clone a recipe.
const FETCH_PATIENCE: Duration = Duration::from_secs(300);
/// How long abra may take to say its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(20);
/// The files without which a folder is no recipe (`abra.md` 3.1).
pub const RECIPE_FILES: [&str; 2] = ["compose.yml", ".env.sample"];

/// The Swarm as it was before the run. It is what a run is cleaned up and compared by, also one that gets no further than its
/// facts.
#[derive(Debug, Default)]
pub struct Before {
    /// The Swarm, once it has answered.
    pub engine: OnceCell<EngineId>,
    /// The world before the run, once it has been read.
    pub world: OnceCell<World>,
}

/// Gathers the facts of a run: the head, and on the way what was there before, which is kept when the rest fails or is cut off.
/// The recipe is cloned into the run's own `ABRA_DIR`, which is claimed first.
pub async fn gather(
    request: &Request,
    host: &Host,
    ports: &Ports,
    log: &Log,
    folder: &Folder,
    before: &Before,
) -> Result<Head, Refusal> {
    let (answered, world) = tokio::join!(ports.swarm.host(), ports.swarm.world());
    let answered = answered.map_err(|error| Refusal::Facts(unfit(&error)))?;
    log.note(Note::Tool { tool: "engine".into(), version: answered.version.clone() });
    let engine = fit(&answered).map_err(Refusal::Facts)?;
    let engine = before.engine.get_or_init(|| engine);
    let world = world.map_err(|error| Refusal::Facts(unfit(&error)))?;
    let world = before.world.get_or_init(|| world);

    let domain = Domain::of(&request.recipe, folder.run(), &host.zone)
        .map_err(|error| Refusal::Facts(preflight("name", error.to_string())))?;
    let stack = StackName::of(&domain);
    free(world, &stack).map_err(Refusal::Facts)?;

    let claim = log
        .claim(Claimed::Dir { path: folder.abra_dir() }, engine)
        .map_err(|error| Refusal::Facts(preflight("journal", error.to_string())))?;
    // An abra that cannot say its version is not waited for with anything else, and whatever else fails is its fault.
    let checked = async { Ok(recipe(request, ports, &claim).await) };
    let ((), checked) = tokio::try_join!(version(ports, log), checked)?;
    let (checked, dirty) = checked?;
    let at = match &request.source {
        Source::Catalogue { at } => at.clone().or_else(|| newest(&checked.tags)),
        Source::Folder { .. } => None,
    };
    // A clone that was fetched before is tasted at a commit of its history; what lies about in it does not count then.
    let dirty = dirty && at.is_none();
    let commit = match at {
        Some(at) => {
            let gone = ports.checkout.go(&claim, &request.recipe, &at).await;
            gone.map_err(|error| no_such(error, &checked.tags))?
        }
        None => checked.head.clone(),
    };
    let version = tagged(&checked.tags, &commit);
    Ok(Head { recipe: request.recipe.clone(), version, commit, dirty, domain, stack })
}

async fn version(ports: &Ports, log: &Log) -> Result<(), Refusal> {
    let said = ports.abra.call(&Call::Version, None, VERSION_PATIENCE).await;
    let version = said.and_then(|exchange| abra::version(&exchange)).map_err(unfit_abra)?;
    log.note(Note::Tool { tool: "abra".into(), version: version.to_string() });
    Ok(())
}

async fn recipe(request: &Request, ports: &Ports, claim: &Claim) -> Result<(Checked, bool), Refusal> {
    let facts = |failure: Failure| Refusal::Facts(failure);
    let dirty = match (&request.source, &request.offline) {
        (Source::Catalogue { .. }, Some(fetched)) => {
            let folder = fetched.join(request.recipe.as_str());
            ports.checkout.adopt(claim, &request.recipe, &folder).await.map_err(|error| facts(error.into()))?
        }
        (Source::Catalogue { .. }, None) => {
            let fetch = Call::Fetch { recipe: request.recipe.clone() };
            ports.abra.call(&fetch, Some(claim), FETCH_PATIENCE).await.map_err(unfit_abra)?;
            false
        }
        (Source::Folder { path }, _) => {
            ports.checkout.adopt(claim, &request.recipe, path).await.map_err(|error| facts(error.into()))?
        }
    };
    let checked = ports.checkout.read(&request.recipe).await.map_err(|error| facts(error.into()))?;
    Ok((checked, dirty))
}

/// An abra that cannot be used, with what to do about it.
fn unfit_abra(error: AbraError) -> Refusal {
    let remedy = match &error {
        AbraError::Absent { .. } => "; name the right program as `abra` in the host file",
        AbraError::Unreadable { .. } | AbraError::Asked { .. } => "; make sure that `abra` in the host file names abra itself",
        AbraError::Hung { .. } | AbraError::Signalled { .. } => "; find out by hand what keeps it from working",
        AbraError::Fatal { .. } | AbraError::NotRun { .. } => "",
    };
    let failure = Failure::from(error);
    Refusal::Facts(Failure { message: format!("{}{remedy}", failure.message), ..failure })
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

fn no_such(error: CheckoutError, tags: &[Tag]) -> Refusal {
    match error {
        CheckoutError::NoSuchRef { .. } => {
            let releases = match newest(tags) {
                Some(newest) => format!("its newest release is {newest}"),
                None => "it has no release".to_owned(),
            };
            Refusal::Request { sentence: format!("{error}; {releases}") }
        }
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
