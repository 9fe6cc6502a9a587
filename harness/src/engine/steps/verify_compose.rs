//! Holds what the recipe's files were taken to say against what runs, so that nothing rests on a resolver that is wrong.

use std::collections::BTreeMap;

use super::{Context, check, unread};
use crate::{
    model::{
        names::ServiceName,
        outcome::{Failure, Gap, Outcome, Subject},
    },
    pure::{
        host::{
            claim::Claimed,
            converge::{Endpoint, ServiceView},
        },
        recipe::compose::{self, Env, Kernel, Resolved, Tree},
        run::{event::Note, facts::recipe, plan::StepId},
    },
};

pub(super) async fn verify_compose(context: &Context<'_>, id: &StepId) -> Outcome {
    let head = match context.head() {
        Ok(head) => head,
        Err(failure) => return Outcome::Failed(failure),
    };
    let services = match context.ports.swarm.observe(&head.stack).await {
        Ok(services) => services,
        Err(error) => return unread(&error),
    };
    let resolved = match context.installed().map(|(_, tree)| tree) {
        Ok(tree) => context.resolved(tree).await,
        Err(failure) => Err(failure),
    };
    let resolved = match resolved {
        Ok(resolved) => resolved,
        Err(failure) => return Outcome::Failed(failure),
    };
    let (differences, skipped) = match resolved {
        Ok(resolved) => (
            compose::calibrate(&resolved, &services, kernel(&services)).iter().map(ToString::to_string).collect(),
            resolved.skipped.into_iter().map(|skipped| skipped.path).collect(),
        ),
        Err(sentence) => (vec![sentence], Vec::new()),
    };
    let outcome = match differences.is_empty() {
        true => Outcome::Passed,
        false => Outcome::Unverified(Gap::ResolverDisagrees { what: differences.join("; ") }),
    };
    context.log.note(Note::Calibrated { differences, skipped });
    check(context, id, "what runs is what the recipe's files say", &outcome);
    outcome
}

/// What the kernel has, by how the services' names resolve.
pub(super) fn kernel(services: &BTreeMap<ServiceName, ServiceView>) -> Kernel {
    let dnsrr = !services.is_empty() && services.values().all(|service| service.endpoint == Endpoint::Dnsrr);
    if dnsrr { Kernel::NoIpvs } else { Kernel::Ipvs }
}

impl Context<'_> {
    /// What the files of `tree` come to with the app's `.env` as it is now. The inner error is one sentence on why they cannot be read.
    pub(super) async fn resolved(&self, tree: &Tree) -> Result<Result<Resolved, String>, Failure> {
        let head = self.head()?;
        let claim = self.claim(Claimed::EnvFile { path: self.folder.env_file(&self.host.server, &head.domain) })?;
        let env = Env::parse(&self.ports.checkout.env(&claim).await?).map_err(|error| format!(".env, {error}"));
        Ok(env.and_then(|env| {
            let env = recipe::with_own(env, &head.domain);
            compose::resolve(tree, &env, &head.stack).map_err(|error| error.to_string())
        }))
    }

    /// What the files that were installed first come to with the app's `.env` as it is now.
    pub(super) async fn installed_resolved(&self) -> Result<Result<Resolved, String>, Failure> {
        let (_, tree) = self.installed()?;
        self.resolved(tree).await
    }

    /// What the files of what runs come to with the app's `.env` as it is now. Where base and head are mixed, head's are taken.
    pub(super) async fn running_resolved(&self) -> Result<Result<Resolved, String>, Failure> {
        match self.log.state().runs {
            Some(Subject::Base) => self.installed_resolved().await,
            Some(Subject::Head | Subject::Mixed) | None => self.resolved(&self.tree).await,
        }
    }

    /// What head's files come to for a new app.
    pub(super) fn resolved_sample(&self) -> Result<Resolved, Failure> {
        let head = self.head()?;
        recipe::resolved_with(&self.tree, &head.domain, &head.stack, &self.pack, self.folder.run())
    }
}
