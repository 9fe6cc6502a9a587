//! Lints base or head on a pristine clone in an `ABRA_DIR` of its own, so that nothing else of the run disturbs it or is
//! disturbed.

use std::{path::Path, time::Duration};

use super::shared::context::StepContext;
use crate::{
    model::{
        outcome::{Cause, Failure, Gap, Outcome, Subject},
        text::with_causes,
    },
    ports::{AbraError, Call},
    pure::{
        host::claim::Claimed,
        recipe::{
            lint::{self, BaseLint, Fault, Linted},
            release::ReleaseFaults,
            upgrade_base::Base,
        },
        run::{
            event::{Kind, Note, tail},
            plan::StepId,
        },
    },
};

/// The part of the step's budget for the clone, and for ending an abra that hangs.
const BESIDE_ABRA: Duration = Duration::from_secs(10);

pub(super) async fn lint(context: &StepContext<'_>, id: &StepId, budget: Duration, subject: Subject) -> Outcome {
    let linted = match lint_commit(context, id, budget, subject).await {
        Ok(linted) => linted,
        // What the tags and labels show is known without abra.
        Err(outcome) => return failed_as_release(context, id, subject).unwrap_or(outcome),
    };
    context.log.note(Note::Linted { subject, linted: linted.clone() });
    match (subject, &linted) {
        (Subject::Head | Subject::Mixed, head) => evaluate(context, id, head),
        (Subject::Base, Linted::Rules { .. }) => Outcome::Passed,
        (Subject::Base, Linted::Invalid { reason }) => Outcome::Unverified(Gap::Unread { what: reason.clone() }),
    }
}

/// The findings of abra for the commit; without any, the outcome of the step.
async fn lint_commit(context: &StepContext<'_>, id: &StepId, budget: Duration, subject: Subject) -> Result<Linted, Outcome> {
    let recipe = context.head()?.recipe.clone();
    let abra_dir = context.folder.lint_dir(subject);
    let claim = context.claim(Claimed::Dir { path: abra_dir.clone() })?;
    let cloned = context.ports.checkout.pristine(&claim, &recipe, &context.linted(subject)?, &abra_dir).await;
    cloned.map_err(|error| unread(format!("there is no clone to lint: {error}")))?;
    let offline = context.log.state().begun.as_ref().is_some_and(|begun| begun.request.offline.is_some());
    let call = Call::Lint { recipe, abra_dir, offline };
    match context.ports.abra.call(&call, Some(&claim), budget.saturating_sub(BESIDE_ABRA)).await {
        Ok(exchange) => {
            keep(context, id, &exchange.text);
            lint::parse(&exchange.text).map_err(|error| unread(format!("what abra printed of lint cannot be read: {error}")))
        }
        Err(AbraError::Fatal { reason, exchange, .. }) if reason.starts_with(lint::INVALID) => {
            keep(context, id, &exchange.text);
            Ok(Linted::Invalid { reason: reason.replace('\n', " ") })
        }
        Err(error) => {
            if let AbraError::Fatal { exchange, .. } = &error {
                keep(context, id, &exchange.text);
            }
            Err(unread(error.to_string().replace('\n', " ")))
        }
    }
}

/// Errors that head introduced fail it; those that base has too are warnings.
fn evaluate(context: &StepContext<'_>, id: &StepId, head: &Linted) -> Outcome {
    let state = context.log.state();
    let base = context.lint_base.as_ref().filter(|base| base.commit().is_some());
    let before = match (base, state.lint.get(&Subject::Base)) {
        (None, _) if matches!(context.lint_base, Some(Base::None { unverified: true, .. })) => BaseLint::Unknown,
        (None, _) => BaseLint::NoBase,
        (Some(_), Some(linted)) => BaseLint::Known(linted),
        (Some(_), None) => BaseLint::Unknown,
    };
    let compared = lint::compared(head, before, &release_faults(context, Subject::Head));
    let sentence = |what: &[Fault], base_clause: &str| sentence(context, what, base_clause);
    if !compared.existing.is_empty() {
        context.log.record(Kind::Warned { text: sentence(&compared.existing, "has them too") });
    }
    if let Some(outcome) = failed(context, id, &compared.introduced) {
        return outcome;
    }
    if !compared.unclear.is_empty() {
        let what = sentence(&compared.unclear, "could not be linted, so whether they are new is not known");
        context.log.record(Kind::Warned { text: what.clone() });
        return Outcome::Unverified(Gap::Incomparable { what });
    }
    Outcome::Passed
}

/// The failure of head by errors that it introduced; absent without any.
fn failed(context: &StepContext<'_>, id: &StepId, introduced: &[Fault]) -> Option<Outcome> {
    let rules: Vec<String> = introduced.iter().filter_map(Fault::rule).map(str::to_owned).collect();
    let failure = || Failure::new(Cause::Lint { rules }, sentence(context, introduced, "does not have them"));
    (!introduced.is_empty()).then(|| Outcome::Failed(Failure { evidence: file(id), ..failure() }))
}

/// The failure of head by its faults as a release alone; absent without any.
fn failed_as_release(context: &StepContext<'_>, id: &StepId, subject: Subject) -> Option<Outcome> {
    let introduced: Vec<Fault> = release_faults(context, subject).introduced.into_iter().map(Fault::Release).collect();
    failed(context, id, &introduced)
}

fn sentence(context: &StepContext<'_>, what: &[Fault], base_clause: &str) -> String {
    match context.lint_base.as_ref().filter(|base| base.commit().is_some()) {
        Some(base) => format!("head has lint errors, base {base} {base_clause}: {}", lint::list_faults(what)),
        None => format!("head has lint errors: {}", lint::list_faults(what)),
    }
}

/// The faults of head as a release; base has its own before the run.
fn release_faults(context: &StepContext<'_>, subject: Subject) -> ReleaseFaults {
    let state = context.log.state();
    let planned = state.plan.as_ref().filter(|_| subject != Subject::Base);
    planned.map(|plan| plan.faults.clone()).unwrap_or_default()
}

/// The name of the file with what abra printed.
fn file(id: &StepId) -> String {
    format!("{id}.txt")
}

/// Keeps what abra printed. A failure to do so changes no outcome.
fn keep(context: &StepContext<'_>, id: &StepId, printed: &str) {
    let text = context.log.redact(printed);
    let name = file(id);
    match context.folder.replace(Path::new(&name), text.as_bytes()) {
        Ok(()) => {
            let what = "what abra recipe lint printed".to_owned();
            context.log.record(Kind::EvidenceKept { step: id.clone(), file: name.into(), what, tail: tail(&text) });
        }
        Err(error) => context.log.record(Kind::Warned { text: format!("{name} is not kept: {}", with_causes(&error)) }),
    }
}

fn unread(what: String) -> Outcome {
    Outcome::Unverified(Gap::Unread { what })
}
