//! A simulated test program of a pack, whose functions have configured behaviours.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use harness::{
    model::{
        pack::{Pack, TestName},
        protocol::{Answer, AppConfiguration, Ended, InsertedSecret, PROTOCOL},
        tested_app::TestedApp,
    },
    ports::{AttachedFile, AttachmentError, Exited, ProgramError, Ran, TestProgram},
    pure::run::event::TAIL_BYTES,
};

/// The behaviour of a function of a simulated pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionBehaviour {
    /// Its assertions hold.
    Passes,
    /// An assertion does not hold.
    Fails,
    /// It fails with a long line of output. The end of it that an event carries begins within a secret.
    FailsWithLongOutput,
    /// It fails the first time and passes from then on.
    FailsOnce,
    /// It fails the first time, and then a signal ends its process.
    FailsThenCrashes,
    /// It passes and leaves a text with a secret in it, a picture, a picture with a secret in it, and a file that cannot be read.
    AttachesFiles,
    /// It reports that it does not apply.
    DoesNotApply,
    /// It reports that it is not written yet.
    IsUnwritten,
    /// It panics.
    Panics,
    /// It uses up its budget.
    Hangs,
    /// A signal ends its process before it has answered.
    Crashes,
    /// Its process ends with exit code 0 and without an answer.
    GivesNoAnswer,
    /// The program does not have it.
    IsMissing,
    /// Its process cannot be started.
    CannotStart,
}

/// The test program of a pack.
#[derive(Debug, Clone, Default)]
pub struct SimProgram {
    functions: BTreeMap<TestName, FunctionBehaviour>,
    tried: Arc<Mutex<BTreeSet<TestName>>>,
}

impl SimProgram {
    /// The program of `pack`; a function that `behaviours` does not name passes.
    pub fn of(pack: &Pack, behaviours: &[(&'static str, FunctionBehaviour)]) -> Self {
        let tests = pack.tests.iter().map(|test| test.name.clone());
        let hooks = pack.hooks.configure.then(|| TestName::reported(TestName::CONFIGURE));
        let ready = pack.hooks.ready.then(|| TestName::reported(TestName::READY));
        let checks = pack.hooks.checks.iter().map(|(_, name)| name.clone());
        let mut functions: BTreeMap<TestName, FunctionBehaviour> =
            tests.chain(hooks).chain(ready).chain(checks).map(|name| (name, FunctionBehaviour::Passes)).collect();
        functions.extend(behaviours.iter().map(|&(name, behaviour)| (TestName::reported(name), behaviour)));
        Self { functions, tried: Arc::default() }
    }
}

#[async_trait]
impl TestProgram for SimProgram {
    async fn list(&self, _: Duration) -> Result<BTreeSet<TestName>, ProgramError> {
        let known = self.functions.iter().filter(|(_, behaviour)| **behaviour != FunctionBehaviour::IsMissing);
        Ok(known.map(|(name, _)| name.clone()).collect())
    }

    async fn run_one(&self, test: &TestName, _: TestedApp<'_>, budget: Duration) -> Result<Ran, ProgramError> {
        let behaviour = self.functions.get(test).copied().unwrap_or(FunctionBehaviour::IsMissing);
        let (ended, exited) = match behaviour {
            FunctionBehaviour::FailsOnce | FunctionBehaviour::FailsThenCrashes
                if self.tried.lock().expect("no test panics in it").insert(test.clone()) =>
            {
                (Some(Ended::Failed { sentence: "the post is late".into(), at: None }), Exited::Code(101))
            }
            FunctionBehaviour::Passes | FunctionBehaviour::FailsOnce | FunctionBehaviour::AttachesFiles => {
                (Some(Ended::Passed), Exited::Code(0))
            }
            FunctionBehaviour::Fails | FunctionBehaviour::FailsWithLongOutput => {
                (Some(Ended::Failed { sentence: "the post is gone".into(), at: None }), Exited::Code(101))
            }
            FunctionBehaviour::DoesNotApply => {
                (Some(Ended::NotApplicable { reason: "it sends no mail".into() }), Exited::Code(0))
            }
            FunctionBehaviour::IsUnwritten => (Some(Ended::Unwritten), Exited::Code(0)),
            FunctionBehaviour::Panics => (Some(Ended::Panicked { sentence: "no such index".into() }), Exited::Code(101)),
            FunctionBehaviour::Hangs => {
                tokio::time::sleep(budget).await;
                (None, Exited::Deadline(budget))
            }
            FunctionBehaviour::Crashes | FunctionBehaviour::FailsThenCrashes => (None, Exited::Signal(11)),
            FunctionBehaviour::GivesNoAnswer | FunctionBehaviour::IsMissing => (None, Exited::Code(0)),
            FunctionBehaviour::CannotStart => return Err(ProgramError::NotRun { message: "no memory".into() }),
        };
        let configuration = (test.as_str() == TestName::CONFIGURE).then(|| AppConfiguration {
            env: vec![("OWN".into(), "pack".into())],
            secrets: vec![InsertedSecret { name: "key".into(), version: "v1".into(), file: "/nonexistent".into() }],
            files: BTreeMap::from([("extra.conf".into(), "x\n".into())]),
        });
        let answer = ended.map(|ended| Answer {
            version: PROTOCOL,
            ended,
            notes: vec!["noted".into()],
            attachments: Vec::new(),
            configuration,
        });
        let files: [(&str, Result<Vec<u8>, AttachmentError>); 4] = [
            ("page.html", Ok(b"<p>hunter22hunter22</p>".to_vec())),
            ("page.png", Ok(vec![0x89, 0xff, 1])),
            ("leak.png", Ok(b"\xffhunter22hunter22".to_vec())),
            ("gone.txt", Err(AttachmentError::Unreadable { message: "no such file".into() })),
        ];
        let attached = files.map(|(name, bytes)| AttachedFile { name: name.into(), bytes });
        let attachments = if behaviour == FunctionBehaviour::AttachesFiles { attached.into() } else { Vec::new() };
        let long_output = || format!("{}hunter22hunter22{}\n", "y".repeat(1000), "x".repeat(TAIL_BYTES - 4));
        let output =
            if behaviour == FunctionBehaviour::FailsWithLongOutput { long_output() } else { format!("{test} was here\n") };
        Ok(Ran { exited, answer, output, attachments })
    }
}
