//! A simulated program of a pack, whose functions have configured endings.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use harness::{
    model::{
        head::Head,
        pack::{Pack, TestName},
        protocol::{Answer, AppConfiguration, Ended, InsertedSecret, PROTOCOL},
    },
    ports::{Attached, AttachmentError, Exited, ProgramError, Ran, TestProgram},
    pure::run::event::TAIL_BYTES,
};

/// How a function of a simulated pack ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// What it asserts holds.
    Well,
    /// What it asserts does not hold.
    Fails,
    /// What it asserts does not hold, and it prints a long line; the end of it that an event carries begins within a secret.
    Chatters,
    /// What it asserts does not hold the first time, and does from then on.
    Flaky,
    /// It leaves a text with a secret in it, a picture, a picture with a secret in it, and a file that is not there.
    Attaches,
    /// It does not apply.
    NotApplicable,
    /// It is not written yet.
    Unwritten,
    /// It panics.
    Panics,
    /// It uses up its budget.
    Hangs,
    /// Its process dies by a signal, before it has answered.
    Crashes,
    /// Its process ends with exit code 0, and without an answer.
    Silent,
    /// The program does not know it.
    Missing,
    /// The program cannot be started for it.
    Unstartable,
}

/// The program of a pack.
#[derive(Debug, Clone, Default)]
pub struct SimProgram {
    functions: BTreeMap<TestName, Ends>,
    tried: Arc<Mutex<BTreeSet<TestName>>>,
}

impl SimProgram {
    /// The program of `pack`; a function that is not named in `ends` ends well.
    pub fn of(pack: &Pack, ends: Vec<(&'static str, Ends)>) -> Self {
        let tests = pack.tests.iter().map(|test| test.name.clone());
        let hooks = pack.hooks.configure.then(|| TestName::reported(TestName::CONFIGURE));
        let ready = pack.hooks.ready.then(|| TestName::reported(TestName::READY));
        let checks = pack.hooks.checks.iter().map(|(_, name)| name.clone());
        let mut functions: BTreeMap<TestName, Ends> =
            tests.chain(hooks).chain(ready).chain(checks).map(|name| (name, Ends::Well)).collect();
        functions.extend(ends.into_iter().map(|(name, ends)| (TestName::reported(name), ends)));
        Self { functions, tried: Arc::default() }
    }
}

#[async_trait]
impl TestProgram for SimProgram {
    async fn list(&self, _: Duration) -> Result<BTreeSet<TestName>, ProgramError> {
        let known = self.functions.iter().filter(|(_, ends)| **ends != Ends::Missing);
        Ok(known.map(|(name, _)| name.clone()).collect())
    }

    async fn run_one(&self, test: &TestName, _: &Head, budget: Duration) -> Result<Ran, ProgramError> {
        let ends = self.functions.get(test).copied().unwrap_or(Ends::Missing);
        let (ended, exited) = match ends {
            Ends::Flaky if self.tried.lock().expect("no test panics in it").insert(test.clone()) => {
                (Some(Ended::Failed { sentence: "the post is late".into(), at: None }), Exited::Code(101))
            }
            Ends::Well | Ends::Flaky | Ends::Attaches => (Some(Ended::Passed), Exited::Code(0)),
            Ends::Fails | Ends::Chatters => {
                (Some(Ended::Failed { sentence: "the post is gone".into(), at: None }), Exited::Code(101))
            }
            Ends::NotApplicable => (Some(Ended::NotApplicable { reason: "it sends no mail".into() }), Exited::Code(0)),
            Ends::Unwritten => (Some(Ended::Unwritten), Exited::Code(0)),
            Ends::Panics => (Some(Ended::Panicked { sentence: "no such index".into() }), Exited::Code(101)),
            Ends::Hangs => {
                tokio::time::sleep(budget).await;
                (None, Exited::Deadline(budget))
            }
            Ends::Crashes => (None, Exited::Signal(11)),
            Ends::Silent | Ends::Missing => (None, Exited::Code(0)),
            Ends::Unstartable => return Err(ProgramError::NotRun { message: "no memory".into() }),
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
        let attached = files.map(|(name, bytes)| Attached { name: name.into(), bytes });
        let attachments = if ends == Ends::Attaches { attached.into() } else { Vec::new() };
        let chatter = || format!("{}hunter22hunter22{}\n", "y".repeat(1000), "x".repeat(TAIL_BYTES - 4));
        let output = if ends == Ends::Chatters { chatter() } else { format!("{test} was here\n") };
        Ok(Ran { exited, answer, output, attachments })
    }
}
