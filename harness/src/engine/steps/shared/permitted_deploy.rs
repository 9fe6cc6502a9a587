//! A deploy by abra, with policy asked immediately before it on the files and the `.env` as they lie on disk.
//!
//! The plan asks policy on files of a commit with the sample's variables. What abra reads is younger: the checkout with what the
//! pack adds, and an `.env` that was migrated. Between this question and the deploy nothing of the run writes to either.

use super::{ABRA_TIMEOUT, context::StepContext, deployment::refused_deploy, failure::unread, last_deploy::LastDeploy};
use crate::{
    model::{
        head::Head,
        outcome::{Cause, Failure, Gap, Outcome, Subject},
    },
    ports::{Call, CheckoutError},
    pure::{
        host::claim::Claim,
        recipe::{
            compose::{self, Entry, Env, Resolved, Setting, Tree},
            policy::{DefaultLimits, Deployable, LIMITS_NAME, listed_with_limits, without_limits},
        },
        run::{event::Note, facts::recipe},
    },
};

/// Has abra deploy the files of `subject`, if policy allows what lies on disk. With a version abra checks that release out
/// itself, so the checkout is compared once more after it. Otherwise the outcome of the step.
pub(in crate::engine::steps) async fn deploy(
    context: &StepContext<'_>,
    head: &Head,
    claim: &Claim,
    subject: Subject,
    version: Option<String>,
) -> Result<(), Outcome> {
    let tree = context.on_disk(subject).map_err(Outcome::Failed)?;
    let limits = set_default_limits(context, head, &tree).await?;
    let (resolved, env) = ask_policy(context, head, &tree).await?;
    context.last_deploy.replace(Some(LastDeploy { resolved, env, limits }));
    let pinned = version.is_some();
    let call = Call::Deploy { domain: head.domain.clone(), version };
    if let Err(error) = context.ports.abra.call(&call, Some(claim), ABRA_TIMEOUT).await {
        return Err(Outcome::Failed(refused_deploy(error)));
    }
    if pinned {
        compare_with_disk(context, head, &tree).await?;
    }
    Ok(())
}

/// Puts the limits of the host file into a compose file beside the checkout, for what the files set none, and lists it in the
/// `.env`.
async fn set_default_limits(context: &StepContext<'_>, head: &Head, tree: &Tree) -> Result<DefaultLimits, Outcome> {
    let (resolved, env) = read(context, head, tree).await?;
    let cpus = match context.ports.swarm.host().await {
        // Of the other nodes nothing is known but that they have one.
        Ok(engine) if engine.nodes <= 1 => engine.cpus.unwrap_or(1),
        Ok(_) => 1,
        Err(error) => return Err(unread(&error)),
    };
    let limits = DefaultLimits::of(&resolved, &context.host.limits.app, cpus);
    let put = async {
        context.ports.checkout.put_beside(&context.claim_abra_dir()?, LIMITS_NAME, &limits.file).await?;
        let listed = listed_with_limits(&env);
        if env.get("COMPOSE_FILE") != Some(listed.as_str()) {
            context.ports.checkout.set_env(&context.claim_env_file()?, &[Setting::new("COMPOSE_FILE", listed)]).await?;
        }
        Ok::<(), Failure>(())
    };
    put.await.map_err(Outcome::Failed)?;
    if !limits.without_processes.is_empty() {
        let services = limits.without_processes.join(", ");
        let text =
            format!("no limit of processes holds for {services}: version {} of the files' format has none", resolved.version);
        context.log.note(Note::Remark { text });
    }
    Ok(limits)
}

/// Asks policy on the files and the `.env` on disk, and returns both as policy saw them.
async fn ask_policy(context: &StepContext<'_>, head: &Head, tree: &Tree) -> Result<(Resolved, Env), Outcome> {
    compare_with_disk(context, head, tree).await?;
    let (resolved, env) = read(context, head, tree).await?;
    let app = Deployable { resolved: &resolved, tree, env: &env, domain: &head.domain };
    let sentences = recipe::objections(&app, &head.recipe, context.host);
    match sentences.is_empty() {
        true => Ok((resolved, env)),
        false => Err(Outcome::Unverified(Gap::NotPermitted { sentences })),
    }
}

/// The files, resolved with the `.env` on disk without taster's own limits, and that `.env`.
async fn read(context: &StepContext<'_>, head: &Head, tree: &Tree) -> Result<(Resolved, Env), Outcome> {
    let unresolvable = |sentence: String| Outcome::Failed(Failure::new(Cause::Unresolvable, sentence));
    let env_file = context.claim_env_file().map_err(Outcome::Failed)?;
    let text = context.ports.checkout.env(&env_file).await.map_err(|error| Outcome::Failed(error.into()))?;
    let env = Env::parse(&text).map_err(|error| unresolvable(format!(".env, {error}")))?;
    let resolved = compose::resolve(tree, &without_limits(env.clone()), &head.stack);
    Ok((resolved.map_err(|error| unresolvable(error.to_string()))?, env))
}

/// Compares the checkout on disk with the files that policy is asked about.
async fn compare_with_disk(context: &StepContext<'_>, head: &Head, tree: &Tree) -> Result<(), Outcome> {
    context.ports.checkout.verify(&head.recipe, tree).await.map_err(|error| match error {
        CheckoutError::Differs { .. } | CheckoutError::Unreadable { .. } => {
            Outcome::Unverified(Gap::NotPermitted { sentences: vec![error.to_string()] })
        }
        error => Outcome::Failed(error.into()),
    })
}

impl StepContext<'_> {
    /// The files that policy is asked about and that have to lie on disk: those of base or head with what the run adds to them.
    fn on_disk(&self, subject: Subject) -> Result<Tree, Failure> {
        let tree = match subject {
            Subject::Base => self.base()?.1.tree.clone(),
            Subject::Head | Subject::Mixed => self.tree.clone(),
        };
        let added = self.added_files.borrow();
        Ok(added.iter().fold(tree, |tree, (path, text)| tree.with(path, Entry::Text(text.clone()))))
    }
}
