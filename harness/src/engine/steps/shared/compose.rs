//! The app's compose files, resolved with its `.env` as it is now.

use std::collections::BTreeMap;

use super::context::StepContext;
use crate::{
    model::{
        names::ServiceName,
        outcome::{Failure, Subject},
    },
    pure::{
        host::converge::{Endpoint, ServiceView},
        recipe::compose::{self, BadEnv, Env, Kernel, Resolved, Tree, Unresolved},
        run::facts::recipe,
    },
};

/// Why the files of the app cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine::steps) enum Unresolvable {
    /// The app's `.env` cannot be parsed.
    #[error(".env, {0}")]
    EnvFile(BadEnv),
    /// The compose files cannot be resolved as one app.
    #[error(transparent)]
    Compose(#[from] Unresolved),
}

/// Whether the services were deployed for a kernel without IPVS. Where the host has it, that is a difference.
pub(in crate::engine::steps) fn kernel(context: &StepContext<'_>, services: &BTreeMap<ServiceName, ServiceView>) -> Kernel {
    let dnsrr = !services.is_empty() && services.values().all(|service| service.endpoint == Endpoint::Dnsrr);
    if dnsrr && context.lacks_ipvs() { Kernel::NoIpvs } else { Kernel::Ipvs }
}

impl StepContext<'_> {
    /// The files of `tree`, resolved with the app's `.env` as it is now.
    pub(in crate::engine::steps) async fn resolved(&self, tree: &Tree) -> Result<Result<Resolved, Unresolvable>, Failure> {
        let head = self.head()?;
        let claim = self.claim_env_file()?;
        let text = self.ports.checkout.env(&claim).await?;
        Ok(Env::parse(&text).map_err(Unresolvable::EnvFile).and_then(|env| {
            let env = recipe::with_own(env, &head.domain);
            Ok(compose::resolve(tree, &env, &head.stack)?)
        }))
    }

    /// The files that were installed first, resolved with the app's `.env` as it is now.
    pub(in crate::engine::steps) async fn installed_resolved(&self) -> Result<Result<Resolved, Unresolvable>, Failure> {
        let (_, tree) = self.installed()?;
        self.resolved(tree).await
    }

    /// The files of what runs, resolved with the app's `.env` as it is now. Where base and head are mixed, those of head.
    pub(in crate::engine::steps) async fn running_resolved(&self) -> Result<Result<Resolved, Unresolvable>, Failure> {
        let runs = self.log.state().runs;
        match runs {
            Some(Subject::Base) => self.installed_resolved().await,
            Some(Subject::Head | Subject::Mixed) | None => self.resolved(&self.tree).await,
        }
    }

    /// The files of head, resolved for a new app.
    pub(in crate::engine::steps) fn resolved_sample(&self) -> Result<Resolved, Failure> {
        let head = self.head()?;
        recipe::resolved_with(&self.tree, &head.domain, &head.stack, &self.pack, self.folder.run())
    }
}
