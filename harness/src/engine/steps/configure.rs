//! Configures the app before its first deploy as its pack says: overlay, variables, files, secrets.

use std::collections::BTreeSet;

use super::shared::{ABRA_TIMEOUT, context::StepContext, new_app::settings, pack_function::run_function, test_outcome};
use crate::{
    model::{
        outcome::{Cause, Failure, Gap, Outcome, Owner},
        pack::TestName,
        protocol::AppConfiguration,
    },
    ports::Call,
    pure::{
        recipe::{compose::Env, policy},
        run::{
            event::Note,
            facts::recipe::{OVERLAY, REPAIR, listed_with},
            plan::Planned,
        },
    },
};

pub(super) async fn configure(context: &StepContext<'_>, planned: &Planned) -> Result<Option<Gap>, Failure> {
    let head = context.head()?;
    let configuration = run_configure_hook(context, planned).await?;
    let stack = context.claim_stack()?;
    let env_file = context.claim_env_file()?;
    let dir = context.claim_abra_dir()?;
    let checkout = &context.ports.checkout;

    let objections: Vec<String> = configuration.env.iter().filter_map(|(key, _)| policy::set_objection(key)).collect();
    if !objections.is_empty() {
        return Ok(Some(Gap::NotPermitted { sentences: objections }));
    }
    let mut files = configuration.files.clone();
    checkout.set_env(&env_file, &settings(configuration.env)).await?;
    for (file, text) in [(OVERLAY, context.pack.overlay.as_ref()), (REPAIR, context.repair())] {
        let Some(text) = text else { continue };
        files.insert(file.to_owned(), text.clone());
        let env = Env::parse(&checkout.env(&env_file).await?).unwrap_or_default();
        checkout.set_env(&env_file, &[("COMPOSE_FILE", listed_with(&env, file).as_str()).into()]).await?;
    }
    context.added_files.borrow_mut().extend(configuration.files);
    if !files.is_empty() {
        checkout.add(&dir, &head.recipe, &files).await?;
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        let text = format!("the pack adds to the recipe's files, so what runs is not the commit alone: {}", names.join(", "));
        context.log.note(Note::Remark { text });
    }
    // Variables and files decide which secrets there are, so they are made last.
    let by_hook: BTreeSet<String> = configuration.secrets.iter().map(|secret| secret.name.clone()).collect();
    let missing = context.make_secrets(&by_hook).await?;
    for secret in configuration.secrets {
        let (name, version) = (secret.name, secret.version);
        context.inserted_secrets.borrow_mut().insert((name.clone(), version.clone()));
        let insert = Call::SecretInsert { domain: head.domain.clone(), name, version, file: secret.file };
        context.ports.abra.call(&insert, Some(&stack), ABRA_TIMEOUT).await?;
    }
    Ok(missing)
}

/// The answer of the configure hook; empty without one. A hook runs before there is an app, so its failure is the pack's fault.
async fn run_configure_hook(context: &StepContext<'_>, planned: &Planned) -> Result<AppConfiguration, Failure> {
    if !context.pack.hooks.configure {
        return Ok(AppConfiguration::default());
    }
    let hook = TestName::reported(TestName::CONFIGURE);
    let ran = run_function(context, &hook, planned.budget() / 2).await?;
    match test_outcome::of_function(&hook, &ran) {
        Outcome::Passed => {}
        Outcome::Skipped(_) => return Ok(AppConfiguration::default()),
        Outcome::Failed(failure) => return Err(failure.owned_by(Owner::Test)),
        Outcome::Unverified(_) => return Err(without_answer(&hook)),
    }
    ran.answer.and_then(|answer| answer.configuration).ok_or_else(|| without_answer(&hook))
}

fn without_answer(hook: &TestName) -> Failure {
    Failure::new(Cause::TestProgram, format!("{hook}: the configure hook returned no configuration"))
}
