//! Seeds, checks or corrupts one canary: a file through a container that is never started, a row through the database's client,
//! and one of the pack through the pack's program.

use std::time::Duration;

use crate::{
    engine::steps::shared::{
        answer_time::not_answering, context::StepContext, failure::unread, pack_function::run_function, test_outcome,
    },
    model::{
        engine::SwarmError,
        head::Head,
        names::{StackName, TaskId},
        outcome::{Cause, Failure, Gap, Outcome, Owner, SkipReason},
        pack::{CanaryAct, Database, DatabaseKind, TestName},
    },
    ports::{Access, ExecOutput, VolumeFile, VolumeHolder},
    pure::{
        host::{claim::Claim, converge::TaskState},
        recipe::{
            canary::{CORRUPTED, Canary, FILES, Moment, REDIS_RUNS, nonce, row},
            database,
        },
        run::{
            event::{Kind, Note},
            plan::Planned,
        },
    },
};

/// The permissions of a canary's file.
const FILE_MODE: u32 = 0o644;
/// How long a database's client may take.
const CLIENT: Duration = Duration::from_secs(30);

/// Does `act` with each canary, one after the other, and records the outcomes.
pub(super) async fn each(
    context: &StepContext<'_>,
    planned: &Planned,
    canaries: &[Canary],
    moment: Moment,
    act: CanaryAct,
) -> Vec<Outcome> {
    if canaries.is_empty() {
        return Vec::new();
    }
    let claimed = context.head().cloned().and_then(|head| Ok((head, context.claim_stack()?)));
    let (head, claim) = match claimed {
        Ok(claimed) => claimed,
        Err(failure) => return vec![Outcome::Failed(failure)],
    };
    let holder = match hold_volumes(context, &head, &claim, canaries).await {
        Ok(holder) => holder,
        Err(error) => {
            let outcome = unread(&error);
            canaries.iter().for_each(|canary| record(context, planned, canary, moment, &outcome));
            return vec![outcome];
        }
    };
    let one = OneCanary { context, head: &head, claim: &claim, planned, holder: holder.as_ref(), moment };
    let mut outcomes = Vec::new();
    for canary in canaries {
        let outcome = one.act(canary, act).await;
        record(context, planned, canary, moment, &outcome);
        outcomes.push(outcome);
    }
    if let Some(holder) = holder
        && let Err(error) = context.ports.data.release(holder).await
    {
        // Cleanup removes it with the stack.
        let text = format!("the container that held the volumes stays for now: {error}");
        context.log.record(Kind::Warned { text });
    }
    outcomes
}

/// Records the outcome of a canary.
pub(super) fn record(context: &StepContext<'_>, planned: &Planned, canary: &Canary, moment: Moment, outcome: &Outcome) {
    context.check(&planned.id, &canary.to_string(), outcome);
    context.log.note(Note::Canary { canary: canary.clone(), moment, outcome: outcome.clone() });
}

/// Holds the volumes of those canaries that are files. The image of a running service is surely on the engine.
async fn hold_volumes(
    context: &StepContext<'_>,
    head: &Head,
    claim: &Claim,
    canaries: &[Canary],
) -> Result<Option<VolumeHolder>, SwarmError> {
    let volumes: Vec<String> = canaries
        .iter()
        .filter_map(|canary| match canary {
            Canary::File { name, .. } => Some(name.clone()),
            Canary::Row { .. } | Canary::Pack { .. } => None,
        })
        .collect();
    if volumes.is_empty() {
        return Ok(None);
    }
    let services = context.ports.swarm.observe(&head.stack).await?;
    let image = services.values().next().map(|service| service.image.clone());
    let image = image.ok_or_else(|| SwarmError::Failed { call: "observe".into(), message: "no service runs any more".into() })?;
    context.ports.data.hold(claim, &image, &volumes).await.map(Some)
}

/// One canary at one moment.
struct OneCanary<'a> {
    context: &'a StepContext<'a>,
    head: &'a Head,
    claim: &'a Claim,
    planned: &'a Planned,
    holder: Option<&'a VolumeHolder>,
    moment: Moment,
}

impl OneCanary<'_> {
    async fn act(&self, canary: &Canary, act: CanaryAct) -> Outcome {
        match canary {
            Canary::File { name, .. } => self.file(canary, name, act).await,
            Canary::Row { service, .. } => self.row(canary, service, act).await,
            Canary::Pack { name } => self.of_pack(name, act).await,
        }
    }

    async fn file(&self, canary: &Canary, volume: &str, act: CanaryAct) -> Outcome {
        let Some(holder) = self.holder else {
            return Outcome::Failed(Failure::new(Cause::Defect, "the volume of a canary is not held"));
        };
        match self.each_file(holder, canary, volume, act).await {
            Ok(outcome) => outcome,
            Err(error) => unread(&error),
        }
    }

    async fn each_file(
        &self,
        holder: &VolumeHolder,
        canary: &Canary,
        volume: &str,
        act: CanaryAct,
    ) -> Result<Outcome, SwarmError> {
        let data = &*self.context.ports.data;
        if act == CanaryAct::Seed {
            for marker in database::MARKERS {
                if data.access(holder, volume, marker).await?.is_some() {
                    return Ok(self.beside_a_database(volume, marker));
                }
            }
        }
        let sound = nonce(self.context.folder.run().as_str(), canary);
        let wanted = if act == CanaryAct::Corrupt { CORRUPTED } else { sound.as_str() };
        for path in FILES {
            let at = (volume.to_owned(), path.to_owned());
            if act != CanaryAct::Check {
                // Ordinary files belong to whom the volume belongs.
                let before = data.get(holder, volume, path).await?.map(|file| file.access);
                let owner = data.access(holder, volume, "").await?.map(|owner| Access { mode: FILE_MODE, ..owner });
                let root = Access { uid: 0, gid: 0, mode: FILE_MODE };
                let access = before.filter(|_| act == CanaryAct::Corrupt).or(owner).unwrap_or(root);
                self.context.canary_access.borrow_mut().insert(at.clone(), access);
                let file = VolumeFile { bytes: wanted.as_bytes().to_vec(), access };
                data.put(holder, volume, path, &file).await?;
            }
            let found = data.get(holder, volume, path).await?;
            let text = found.as_ref().map(|file| String::from_utf8_lossy(&file.bytes));
            match self.compare(&canary.to_string(), act, text.as_deref(), wanted, CORRUPTED) {
                Outcome::Passed => {}
                Outcome::Failed(failure) => {
                    let message = format!("{} ({path})", failure.message);
                    return Ok(Outcome::Failed(Failure { message, ..failure }));
                }
                outcome => return Ok(outcome),
            }
            let before = self.context.canary_access.borrow().get(&at).copied();
            if let (Some(before), Some(now)) = (before, found.map(|file| file.access))
                && self.moment.restored()
                && before != now
            {
                let sentence = format!("{canary} came back with {now} instead of {before} ({path})");
                return Ok(Outcome::Failed(Failure::new(Cause::DataLost, sentence)));
            }
        }
        Ok(Outcome::Passed)
    }

    /// The outcome for a volume in which a database lies: files beside its own could disturb it.
    fn beside_a_database(&self, volume: &str, marker: &str) -> Outcome {
        match self.context.pack.hooks.canaries.is_empty() {
            true => Outcome::Unverified(Gap::NotRun {
                because: format!(
                    "a database lies in volume {volume} ({marker}), which taster writes no files into; name the database in \
                     recipe.toml, or give the pack a canary"
                ),
            }),
            false => {
                let because = format!("a database lies in volume {volume} ({marker}), and the pack has canaries of its own");
                Outcome::Skipped(SkipReason::NotApplicable { because })
            }
        }
    }

    async fn row(&self, canary: &Canary, service: &str, act: CanaryAct) -> Outcome {
        let Canary::Row { kind, .. } = canary else {
            return Outcome::Failed(Failure::new(Cause::Defect, "a row is in no database"));
        };
        let named = self.named(service);
        let shown = Database::of(service.to_owned(), *kind);
        let known = named.unwrap_or(&shown);
        let sound = row(self.context.folder.run().as_str());
        let wanted = if act == CanaryAct::Corrupt { database::CORRUPTED } else { sound.as_str() };
        if act != CanaryAct::Check {
            match self.run_client(service, known, act, &sound).await {
                Ok(output) if output.exit == 0 => {}
                Ok(output) => return self.refused(canary, &output),
                Err(error) => return unread(&error),
            }
        }
        match self.run_client(service, known, CanaryAct::Check, &sound).await {
            Ok(output) if output.exit == 0 => {
                let found = Some(output.text.trim()).filter(|text| !text.is_empty());
                match self.compare(&canary.to_string(), act, found, wanted, database::CORRUPTED) {
                    Outcome::Failed(_) if *kind == DatabaseKind::Redis && self.moment.restored() => {
                        Outcome::Unverified(Gap::NotRun { because: format!("{canary} did not come back: {REDIS_RUNS}") })
                    }
                    outcome => outcome,
                }
            }
            // A missing table is lost data; the output of a client that cannot connect is quoted.
            Ok(output) => self.refused(canary, &output),
            Err(error) => unread(&error),
        }
    }

    /// The database of this service that the pack names.
    fn named(&self, service: &str) -> Option<&Database> {
        self.context.pack.settings.databases.iter().find(|database| database.service == *service)
    }

    async fn run_client(
        &self,
        service: &str,
        database: &Database,
        act: CanaryAct,
        nonce: &str,
    ) -> Result<ExecOutput, SwarmError> {
        let task = task_of(self.context, &self.head.stack, service).await?;
        let argv = database::command(database, act, nonce);
        self.context.ports.data.exec(self.claim, &task, &argv, CLIENT).await
    }

    /// The failure of a client that ends with an error. While seeding and corrupting it is the pack's description of the database
    /// that is wrong.
    fn refused(&self, canary: &Canary, output: &ExecOutput) -> Outcome {
        let last = output.text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
        let sentence = format!("{canary}: the client ended with exit code {}: {last}", output.exit);
        let failure = Failure::new(Cause::DataLost, sentence).with_output(&output.text);
        let named = matches!(canary, Canary::Row { service, .. } if self.named(service).is_some());
        match self.moment {
            Moment::Seeded | Moment::Corrupted if !named => Outcome::Unverified(Gap::NotRun {
                because: format!("{}; name the database in recipe.toml, or give the pack a canary", failure.message),
            }),
            Moment::Seeded | Moment::Corrupted => Outcome::Failed(failure.owned_by(Owner::Test)),
            Moment::AfterUpgrade
            | Moment::AfterRestart
            | Moment::AfterReinstall
            | Moment::AfterRestore
            | Moment::AfterDisaster => Outcome::Failed(failure),
        }
    }

    async fn of_pack(&self, name: &str, act: CanaryAct) -> Outcome {
        if let Some(gap) = not_answering(self.context) {
            return Outcome::Unverified(gap);
        }
        let run = async |act| -> Outcome {
            let test = TestName::of_canary(name, act);
            match run_function(self.context, &test, self.planned.budget()).await {
                Ok(ran) => test_outcome::of_function(&test, &ran),
                Err(failure) => Outcome::Failed(failure),
            }
        };
        let done = run(act).await;
        match (act, &done) {
            // Its check must fail on a corrupted canary; otherwise it would pass after any restore.
            (CanaryAct::Corrupt, Outcome::Passed) => match run(CanaryAct::Check).await {
                Outcome::Failed(failure) if failure.cause == Cause::Assertion => Outcome::Passed,
                Outcome::Passed => Outcome::Failed(
                    Failure::new(Cause::Assertion, format!("{name}: was corrupted, and its check does not notice"))
                        .owned_by(Owner::Test),
                ),
                other => other,
            },
            (CanaryAct::Seed, Outcome::Passed) => run(CanaryAct::Check).await,
            (CanaryAct::Seed | CanaryAct::Corrupt, Outcome::Failed(failure)) => {
                Outcome::Failed(failure.clone().owned_by(Owner::Test))
            }
            (CanaryAct::Check, Outcome::Failed(failure)) if failure.cause == Cause::Assertion => {
                Outcome::Failed(Failure { cause: Cause::DataLost, ..failure.clone() })
            }
            _ => done,
        }
    }

    /// Compares the value that was read with the expected one.
    fn compare(&self, canary: &str, act: CanaryAct, found: Option<&str>, wanted: &str, corrupted: &str) -> Outcome {
        let lost = |sentence: String| Outcome::Failed(Failure::new(Cause::DataLost, sentence));
        match found {
            Some(found) if found == wanted => Outcome::Passed,
            _ if act != CanaryAct::Check => {
                Outcome::Unverified(Gap::Unread { what: format!("{canary} was written and is not there") })
            }
            Some(found) if self.moment.restored() && found == corrupted => {
                lost(format!("{canary} is still corrupted: the restore did not bring it back"))
            }
            Some(_) => lost(format!("{canary} has other contents than were seeded")),
            None => lost(format!("{canary} is gone")),
        }
    }
}

/// The running task of a service.
async fn task_of(context: &StepContext<'_>, stack: &StackName, service: &str) -> Result<TaskId, SwarmError> {
    let services = context.ports.swarm.observe(stack).await?;
    let found = services.iter().find(|(name, _)| stack.short(name) == service);
    let running = found.and_then(|(_, view)| {
        let mut tasks = view.tasks.iter().filter(|task| task.state == TaskState::Running);
        tasks.find(|task| task.current).map(|task| task.id.clone())
    });
    running.ok_or_else(|| SwarmError::Failed { call: "exec".into(), message: format!("no task of service {service} runs") })
}
