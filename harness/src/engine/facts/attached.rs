//! The facts of a run of tests on an app that another run keeps.

use std::{collections::BTreeMap, path::Path};

use super::{FactSources, claim_abra_dir, executables};
use crate::{
    journal::JournalReading,
    model::{
        head::Head,
        outcome::{Cause, Failure, Subject},
        pack::Pack,
        refusal::Refusal,
        request::Source,
        tested_app::Images,
    },
    pure::run::{
        event::{Kind, Note},
        state::{RunState, fold},
    },
};

/// The kept app, as the journal of its run has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAppFacts {
    /// The commit that is deployed, and its app.
    pub head: Head,
    /// Which of base and head runs.
    pub runs: Option<Subject>,
    /// Where the recipe came from.
    pub source: Source,
    /// The versions of the tools that it was deployed with.
    pub tools: BTreeMap<String, String>,
    /// The images that its services ran before and after the upgrade.
    pub images: Images,
}

impl KeptAppFacts {
    /// Reads it from a journal; `None` when the journal has no deployed app.
    pub fn of(reading: &JournalReading) -> Option<Self> {
        let state = reading.events.iter().fold(RunState::default(), fold);
        let (head, source) = (state.plan?.head?, state.begun?.request.source);
        let images = Images { base: state.images_before, head: state.images };
        Some(Self { head, runs: state.runs, source, tools: state.tools, images })
    }
}

/// Gathers the facts of a run on a kept app: the Swarm, that the app is on it, and the executables in addition to the pack.
pub async fn gather(attached: &KeptAppFacts, sources: FactSources<'_>) -> Result<Pack, Refusal> {
    let FactSources { input, ports, log, folder, baseline } = sources;
    let failed = |failure: Failure| Refusal::Facts(failure);
    let engine = ports.swarm.host().await.map_err(|error| failed(error.into()))?;
    let swarm = engine.swarm.ok_or_else(|| failed(Failure::new(Cause::Engine, "the engine manages no Swarm")))?;
    let swarm = baseline.swarm.get_or_init(|| swarm);
    let inventory = ports.swarm.inventory().await.map_err(|error| failed(error.into()))?;
    baseline.keep(inventory, ports);
    let domain = &attached.head.domain;
    let services = ports.swarm.observe(&attached.head.stack).await.map_err(|error| failed(error.into()))?;
    if services.is_empty() {
        return Err(Refusal::Request { sentence: format!("this Swarm has no service of {domain} any more") });
    }
    claim_abra_dir(log, folder, swarm)?;
    for (tool, version) in &attached.tools {
        log.note(Note::Tool { tool: tool.clone(), version: version.clone() });
    }
    log.note(Note::Domain { domain: domain.clone() });
    if let Some(subject) = attached.runs {
        log.note(Note::Runs { subject });
    }
    let files = &input.request.authoring.files;
    if !files.is_empty() {
        let named: Vec<&str> = files.iter().map(String::as_str).collect();
        log.note(Note::Remark { text: format!("only the tests of {} were run", named.join(", ")) });
    }
    let pack = executables::add_to_pack(input, ports).await?;
    for file in files.iter().filter(|file| !pack.tests.iter().any(|test| test.file == **file)) {
        log.record(Kind::Warned { text: format!("{} has no tests", Path::new(file).display()) });
    }
    Ok(pack)
}
