//! Makes the app known to abra: its `.env`, its secrets, and the checkout put back on what is under test.

use std::collections::BTreeMap;

use super::{ABRA_PATIENCE, Context};
use crate::{
    claim::Claimed,
    event::Note,
    model::outcome::{Cause, Failure},
    ports::Call,
};

/// How long the marker on the Swarm speaks for the run, in milliseconds: longer than any deadline.
const MARKER_LIFE_MS: i64 = 24 * 60 * 60 * 1000;

pub(super) async fn provision(context: &Context<'_>) -> Result<(), Failure> {
    let head = context.head()?;
    let run = context.folder.run();
    let stack = context.claim(Claimed::Stack { name: head.stack.clone() })?;
    let marker = context.claim(Claimed::Marker { name: format!("taster-{run}") })?;
    let expiry = crate::model::time::Wall::from_millis(context.ports.clock.wall().millis() + MARKER_LIFE_MS);
    let labels = BTreeMap::from([
        ("taster.run".to_owned(), run.to_string()),
        ("taster.stack".to_owned(), head.stack.to_string()),
        ("taster.expires".to_owned(), expiry.to_string()),
    ]);
    context.ports.swarm.mark(&marker, &labels).await?;

    let env_file = context.claim(Claimed::EnvFile { path: context.folder.env_file(&context.host.server, &head.domain) })?;
    context.log.note(Note::Domain { domain: head.domain.clone() });
    let new = Call::New { recipe: head.recipe.clone(), domain: head.domain.clone(), server: context.host.server.clone() };
    context.ports.abra.call(&new, Some(&env_file), ABRA_PATIENCE).await?;
    // `app new` leaves the checkout on the newest release, and a chaos deploy takes whatever is checked out.
    let checkout = context.claim(Claimed::Dir { path: context.folder.abra_dir() })?;
    let at = context.ports.checkout.go(&checkout, &head.recipe, head.commit.as_str()).await?;
    if at != head.commit {
        return Err(Failure::new(
            Cause::Preflight { check: "recipe checkout".into() },
            format!("the checkout is on {at} and not on {}", head.commit),
        ));
    }
    // An empty resolver keeps the ingress from asking a certificate authority for a name that nobody can reach.
    context.ports.checkout.set_env(&env_file, &[("LETS_ENCRYPT_ENV", "")]).await?;
    let generate = Call::SecretGenerate { domain: head.domain.clone() };
    context.ports.abra.call(&generate, Some(&stack), ABRA_PATIENCE).await?;
    Ok(())
}
