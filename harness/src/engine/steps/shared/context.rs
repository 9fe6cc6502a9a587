//! The input of every step.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
};

use tokio::sync::OnceCell;

use super::{failure::defect, last_deploy::LastDeploy};
use crate::{
    engine::{facts::HostBefore, log::Log},
    model::{
        head::Head,
        host::Host,
        names::{Commit, ServiceName, SwarmId, TaskId},
        object::ObjectId,
        outcome::{Cause, Failure, Outcome, Subject},
        pack::{Pack, TestName},
        tested_app::{Images, TestedApp},
        text::with_causes,
    },
    ports::{Access, Ports, RunFolder},
    pure::{
        host::claim::{Claim, Claimed},
        recipe::{compose::Tree, upgrade_base::Base},
        run::{event::Kind, facts::BaseFiles, plan::StepId},
    },
};

/// The input of every step: the ports, the log, the run's folder, and the facts from before the run.
pub struct StepContext<'a> {
    /// The outside.
    pub ports: &'a Ports,
    /// The log.
    pub log: &'a Log,
    /// The run's folder.
    pub folder: &'a dyn RunFolder,
    /// The host.
    pub host: &'a Host,
    /// The commit under test and its app; absent when the run was refused.
    pub head: Option<Head>,
    /// The files of head; empty when the run was refused.
    pub tree: Tree,
    /// What head is upgraded from, with its files; absent without an upgrade.
    pub base: Option<(Base, BaseFiles)>,
    /// The images of base and head, for the tests of the pack.
    pub images: Images,
    /// The recipe's pack; empty without one.
    pub pack: Pack,
    /// The functions that the pack's program lists, once it was asked.
    pub listed_tests: OnceCell<BTreeSet<TestName>>,
    /// What lint compares head with; absent when the run was refused.
    pub lint_base: Option<Base>,
    /// The Swarm; absent when it did not answer before the run.
    pub swarm: Option<SwarmId>,
    /// The host before the run; absent when the Swarm could not be read.
    pub host_before: Option<HostBefore>,
    /// The objects that removals of this run named.
    pub removed_objects: RefCell<BTreeSet<ObjectId>>,
    /// The values of the secrets that abra made, by their names. abra shows them once, so an operator saves them too.
    pub secrets: RefCell<BTreeMap<String, String>>,
    /// Names and versions of the secrets that the pack's configure hook inserted.
    pub inserted_secrets: RefCell<BTreeSet<(String, String)>>,
    /// The files that the pack's configure hook added to the checkout, by their paths in it.
    pub added_files: RefCell<BTreeMap<String, String>>,
    /// What abra was last given to deploy.
    pub last_deploy: RefCell<Option<LastDeploy>>,
    /// Who may do what with the files of canaries, by volume and path, as they were when they were last written.
    pub canary_access: RefCell<BTreeMap<(String, String), Access>>,
    /// The last step that asked the app, when it found no answer that counts.
    pub unanswered: RefCell<Option<Unanswered>>,
    /// The tasks whose containers a client of the engine has killed.
    pub killed: RefCell<BTreeSet<TaskId>>,
    /// Whether abra reported a deploy of which the engine has shown nothing yet.
    pub deploy_not_visible: Cell<bool>,
}

/// A step that found no answer that counts, and the tasks that ran then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// The step.
    pub step: StepId,
    /// Whether it is known that the app does not answer.
    pub failed: bool,
    /// The tasks of each service.
    pub tasks: BTreeMap<ServiceName, BTreeSet<TaskId>>,
}

impl StepContext<'_> {
    /// The commit under test and its app.
    pub(in crate::engine::steps) fn head(&self) -> Result<&Head, Failure> {
        self.head.as_ref().ok_or_else(|| defect("a step of an app runs although no app is planned"))
    }

    /// The app as tests of the pack get it.
    pub(in crate::engine::steps) fn tested_app(&self) -> Result<TestedApp<'_>, Failure> {
        Ok(TestedApp { head: self.head()?, images: &self.images })
    }

    /// What head is upgraded from.
    pub(in crate::engine::steps) fn base(&self) -> Result<&(Base, BaseFiles), Failure> {
        self.base.as_ref().ok_or_else(|| defect("a step of an upgrade runs although there is no base"))
    }

    /// The commit that is installed first, with its files: base where an upgrade follows, else head.
    pub(in crate::engine::steps) fn installed(&self) -> Result<(&Commit, &Tree), Failure> {
        match &self.base {
            Some((base, files)) => Ok((base.commit().ok_or_else(|| defect("the base has no commit"))?, &files.tree)),
            None => Ok((&self.head()?.commit, &self.tree)),
        }
    }

    /// The commit that lint reads.
    pub(in crate::engine::steps) fn linted(&self, subject: Subject) -> Result<Commit, Failure> {
        match subject {
            Subject::Head | Subject::Mixed => Ok(self.head()?.commit.clone()),
            Subject::Base => {
                let base = self.lint_base.as_ref().and_then(|base| base.commit());
                base.cloned().ok_or_else(|| defect("base is linted although there is none"))
            }
        }
    }

    /// The compose file that repairs base, until the first deploy: head is never repaired.
    pub(in crate::engine::steps) fn repair(&self) -> Option<&String> {
        let base = self.base.as_ref().filter(|_| self.log.state().deploys == 0);
        base.and_then(|(_, files)| files.repair.as_ref())
    }

    /// Whether the step `configure` changes the app between `app new` and its first deploy.
    pub(in crate::engine::steps) fn is_configured(&self) -> bool {
        self.pack.configures() || self.repair().is_some()
    }

    /// Claims `what` for the run, before it is made.
    pub(in crate::engine::steps) fn claim(&self, what: Claimed) -> Result<Claim, Failure> {
        let swarm = self.swarm.as_ref().ok_or_else(|| defect("something is claimed although no Swarm is known"))?;
        self.log
            .claim(what, swarm)
            .map_err(|error| Failure::new(Cause::Engine, format!("the journal cannot take the claim: {}", with_causes(&error))))
    }

    /// Claims the stack of the app.
    pub(in crate::engine::steps) fn claim_stack(&self) -> Result<Claim, Failure> {
        self.claim(Claimed::Stack { name: self.head()?.stack.clone() })
    }

    /// Claims the app's `.env`.
    pub(in crate::engine::steps) fn claim_env_file(&self) -> Result<Claim, Failure> {
        self.claim(Claimed::EnvFile { path: self.folder.env_file(&self.host.server, &self.head()?.domain) })
    }

    /// Claims the run's `ABRA_DIR`.
    pub(in crate::engine::steps) fn claim_abra_dir(&self) -> Result<Claim, Failure> {
        self.claim(Claimed::Dir { path: self.folder.abra_dir() })
    }

    /// Records how a check of a step ended.
    pub(in crate::engine::steps) fn check(&self, step: &StepId, check: &str, outcome: &Outcome) {
        let (step, check, outcome) = (step.clone(), check.to_owned(), outcome.clone());
        self.log.record(Kind::CheckFinished { step, check, outcome });
    }
}
