//! The running version of a simulated app: base, head, or the result of an upgrade.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use harness::{
    model::{
        git::{Lineage, Tag},
        names::{Commit, Domain, StackName},
    },
    pure::{
        host::converge::{Index, ServiceView, SpecDigest, TaskState, TaskView, UpdateState, UpdateView},
        recipe::{
            compose::{self, Entry, Env, Network, Resolved, Service, Tree},
            power::{Deployed, Live, declared, declared_network},
        },
        run::facts::recipe,
    },
};

/// The commit of head.
pub const HEAD: &str = "0123456789012345678901234567890123456789";
/// The commit of base.
pub const BASE: &str = "ba5eba5eba5eba5eba5eba5eba5eba5eba5eba5e";
/// The release that base is, and the one that head is where there is a base.
pub const RELEASES: [&str; 2] = ["1.0.0+1.0.0", "2.0.0+1.1.0"];
/// How many observations show the update before Swarm rolls it back.
const BEFORE_ROLLBACK: usize = 3;

/// The result of an upgrade.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UpgradeBehaviour {
    /// Head runs.
    #[default]
    Works,
    /// Swarm rolls it back.
    IsRolledBack,
    /// Something that is not head runs.
    RunsAnotherCommit,
    /// Head runs on empty volumes.
    LosesData,
}

/// What a deploy finds besides the commit.
#[derive(Debug)]
pub struct Deployment<'a> {
    /// The files of head.
    pub head: &'a Tree,
    /// The app's `.env`.
    pub env: Env,
    /// The files that the run added to the checkout.
    pub added: BTreeMap<String, String>,
}

/// The app. Clones share the deployed versions.
#[derive(Debug, Clone)]
pub struct SimApp {
    /// The files of the release before head, when there is one.
    pub before: Option<Tree>,
    /// The result of its upgrade.
    pub upgrade: UpgradeBehaviour,
    /// An observation of a running service, under its recorded name.
    service: ServiceView,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    checked_out: Option<&'static str>,
    /// All deployed versions, in order.
    deployed: Vec<ServiceView>,
    /// The specs of the last deploy.
    specs: Live,
    /// How often it was observed since the last deploy.
    observations: usize,
}

impl SimApp {
    /// An app of one release whose service is observed like this once it runs.
    pub fn new(service: ServiceView) -> Self {
        Self { before: None, upgrade: UpgradeBehaviour::default(), service, inner: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its releases.
    pub fn tags(&self) -> Vec<Tag> {
        let tag = |(name, commit): (&str, &str)| Tag { name: name.into(), commit: parsed(commit), annotated: true };
        let tags = RELEASES.into_iter().zip([BASE, HEAD]).map(tag);
        tags.filter(|_| self.before.is_some()).collect()
    }

    /// How its releases are related to a commit: base is the ancestor of head, and its compose file differs.
    pub fn lineage(&self, head: &Commit) -> Lineage {
        let [base, own] = [BASE, HEAD].map(parsed);
        let parents = [(own.clone(), vec![base.clone()]), (base.clone(), Vec::new())].into();
        let changed = [(base, vec!["compose.yml".to_owned()]), (own, Vec::new())].into();
        Lineage { changed, ..Lineage::of(head, &parents) }
    }

    /// The commit of a tag or of a commit.
    pub fn commit(&self, at: &str) -> Commit {
        parsed(commit(at))
    }

    /// The files of a commit; `head` are those of head.
    pub fn tree(&self, commit: &Commit, head: &Tree) -> Tree {
        self.before.as_ref().filter(|_| commit.as_str() == BASE).unwrap_or(head).clone()
    }

    /// Checks a tag or a commit out.
    pub fn go(&self, at: &str) -> Commit {
        self.lock().checked_out = Some(commit(at));
        self.commit(at)
    }

    /// Deploys the checked-out commit, or the release `version`. Returns whether the deploy loses the data.
    ///
    /// # Panics
    /// If its files cannot be read as one app.
    pub fn deploy(&self, domain: &Domain, version: Option<&str>, deployment: &Deployment<'_>) -> bool {
        let mut inner = self.lock();
        let commit = version.map_or(inner.checked_out.unwrap_or(HEAD), commit);
        let stack = StackName::of(domain);
        let of_commit = self.tree(&parsed(commit), deployment.head);
        let add = |tree: Tree, (path, text): (&String, &String)| tree.with(path, Entry::Text(text.clone()));
        let tree = deployment.added.iter().fold(of_commit, add);
        let env = recipe::with_own(deployment.env.clone(), domain);
        let resolved = compose::resolve(&tree, &env, &stack).expect("files that can be read");
        inner.specs = specs(&resolved);
        let upgrades = !inner.deployed.is_empty();
        let labelled = if upgrades && self.upgrade == UpgradeBehaviour::RunsAnotherCommit { BASE } else { commit };
        let number = inner.deployed.len() + 1;
        let mut view = self.service.clone();
        if let Some(service) = resolved.services.get("app") {
            view.labels.extend(service.labels.clone());
            view.endpoint = service.endpoint;
        }
        view.labels.insert(format!("coop-cloud.{stack}.chaos-version"), labelled[..8].to_owned());
        // A deploy of the same spec changes no task.
        if inner.deployed.last().is_some_and(|now| now.labels == view.labels) {
            return false;
        }
        view.spec = SpecDigest(format!("spec {number}"));
        view.index = Index(number as u64);
        view.tasks.iter_mut().for_each(|task| task.id = format!("task{number}").parse().expect("a task"));
        inner.deployed.push(view);
        inner.observations = 0;
        upgrades && self.upgrade == UpgradeBehaviour::LosesData
    }

    /// The specs of its service and networks as the engine has them now.
    pub fn specs(&self) -> Live {
        self.lock().specs.clone()
    }

    /// Its service as the engine shows it now.
    pub fn observe(&self) -> ServiceView {
        let mut inner = self.lock();
        inner.observations += 1;
        match (&inner.deployed[..], self.upgrade) {
            ([], _) => self.service.clone(),
            ([.., before, now], UpgradeBehaviour::IsRolledBack) => rolled_back(before, now, inner.observations),
            ([.., now], _) => now.clone(),
        }
    }
}

/// What Docker makes of the files.
fn specs(resolved: &Resolved) -> Live {
    let deployed = Deployed { resolved, env: &Env::default(), limits: &BTreeMap::new(), folder: "/abra/recipes/hello" };
    let service = |(short, service): (&String, &Service)| {
        let mut spec = declared(&deployed, short, service, false);
        spec["Name"] = service.name.as_str().into();
        spec
    };
    let network = |network: &Network| {
        let mut found = declared_network(network);
        (found["Id"], found["Name"]) = (format!("id-{}", network.name).into(), network.name.as_str().into());
        found
    };
    let (services, networks) = (resolved.services.iter().map(service), resolved.networks.values().map(network));
    Live { services: services.collect(), networks: networks.collect(), volumes: Vec::new() }
}

fn commit(at: &str) -> &'static str {
    if [BASE, RELEASES[0]].contains(&at) { BASE } else { HEAD }
}

fn parsed(commit: &str) -> Commit {
    commit.parse().expect("a commit")
}

/// The observation of an update that Swarm rolls back.
fn rolled_back(before: &ServiceView, now: &ServiceView, observations: usize) -> ServiceView {
    let update = |state, message: &str| Some(UpdateView { state, message: message.to_owned() });
    let failed = |task: &TaskView| TaskView { state: TaskState::Failed, exit: Some(3), current: false, ..task.clone() };
    if observations <= BEFORE_ROLLBACK {
        let starting = now.tasks.iter().map(|task| TaskView { state: TaskState::Starting, ..task.clone() }).collect();
        return ServiceView { update: update(UpdateState::Updating, "update in progress"), tasks: starting, ..now.clone() };
    }
    let tasks = before.tasks.iter().cloned().chain(now.tasks.iter().map(failed)).collect();
    let update = update(UpdateState::RollbackCompleted, "rollback completed");
    ServiceView { update, tasks, index: Index(now.index.0 + 1), ..before.clone() }
}
