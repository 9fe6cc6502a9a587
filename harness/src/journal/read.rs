//! Reading a journal, whole or cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use super::FILE;
use crate::{
    model::{
        names::{EngineId, RunId},
        time::{Mono, Wall},
    },
    ports::Child,
    pure::{
        host::claim::{Claim, Claimed},
        run::event::{Event, JOURNAL_VERSION},
    },
};

/// What a journal says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The run; absent when even the first line was cut.
    pub run: Option<RunId>,
    /// All events that can be read, in order.
    pub events: Vec<Event>,
    /// What is claimed and not released, each once.
    pub claims: Vec<Claim>,
    /// All that was ever claimed and is released.
    pub released: Vec<Claim>,
    /// The children that were started and are not known to have ended.
    pub children: Vec<Child>,
    /// The engine's socket that the run used.
    pub engine: Option<PathBuf>,
    /// Whether the run came to its own end.
    pub finished: bool,
    /// Whether a step or a child acts by the journal's last word. If so, the engine may still be at work on what it was asked for.
    pub busy: bool,
    /// When somebody else swept after the run for the first time.
    pub cleaned_after: Option<Wall>,
    /// What could not be read, a sentence each.
    pub unread: Vec<String>,
    /// How many lines may hold a claim that could not be read. A run with such a line is never known to be clean.
    pub lost_claims: usize,
    /// Whether the last line was cut off. It was never durable, so nothing was done upon it.
    pub torn: bool,
    /// How many bytes hold whole lines.
    pub(super) whole: u64,
    /// Whether the last whole line lacks its end.
    pub(super) unended: bool,
    pub(super) last_seq: u64,
    pub(super) last_mono: Mono,
}

impl Reading {
    /// Whether nothing of the run can be left: all that it claimed is released and all its children have ended.
    pub fn settled(&self) -> bool {
        self.claims.is_empty() && self.children.is_empty() && self.lost_claims == 0
    }
}

/// Reads the journal in `run_dir`. A folder without one reads as an empty journal: nothing was claimed in it yet.
pub fn read(run_dir: &Path) -> Result<Reading, io::Error> {
    match std::fs::read(run_dir.join(FILE)) {
        Ok(bytes) => Ok(parse(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Reading::default()),
        Err(error) => Err(error),
    }
}

/// Whether the journal in `run_dir` says that nothing of the run can be left, see [`Reading::settled`]. It parses only the few
/// lines that matter to that, so that the folders of a thousand old runs cost next to nothing.
pub fn settled(run_dir: &Path) -> Result<bool, io::Error> {
    match std::fs::read(run_dir.join(FILE)) {
        Ok(bytes) => Ok(parse(&telling(&bytes)).settled()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// The lines without those that are surely of a kind that claims nothing. Inside of a text the quotes would be escaped, so one that names
/// two kinds is two lines that ran into one, and has to be read.
fn telling(bytes: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b"\"event\":\"";
    const PLAIN: [&[u8]; 5] = [b"step-", b"observed\"", b"check-", b"noted\"", b"task-"];
    let plain = |line: &[u8]| {
        let mut kinds =
            line.windows(MARK.len()).enumerate().filter(|(_, part)| *part == MARK).map(|(at, _)| &line[at + MARK.len()..]);
        let kind = kinds.next().filter(|_| kinds.next().is_none());
        kind.is_some_and(|kind| PLAIN.iter().any(|plain| kind.starts_with(plain)))
    };
    bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| !plain(line)).flatten().copied().collect()
}

/// The part of an event that claims and children are found by. Everything else in a line may be of a version to come.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Lean {
    RunStarted {
        version: u32,
        run: RunId,
        host: Option<Value>,
    },
    Claimed {
        engine: EngineId,
        what: Claimed,
    },
    Released {
        what: Claimed,
    },
    ChildStarted {
        pid: i32,
        start_ticks: u64,
        doing: String,
    },
    ChildEnded {
        pid: i32,
    },
    StepStarted {
        step: String,
    },
    StepFinished {
        step: String,
    },
    RunFinished,
    CleanedAfter,
    #[serde(other)]
    Other,
}

#[derive(Default)]
struct Fold {
    reading: Reading,
    claims: Vec<(EngineId, Claimed)>,
    released: Vec<(EngineId, Claimed)>,
    children: BTreeMap<i32, (u64, String)>,
    /// The steps that have not ended, and whether a child acted when the run was last heard of.
    steps: BTreeSet<String>,
    acted: bool,
}

/// What the bytes of a journal say. Total: whatever they are, what can be read is returned and the rest is said.
pub(super) fn parse(bytes: &[u8]) -> Reading {
    let mut fold = Fold::default();
    let mut at = 0;
    let mut number = 0;
    while at < bytes.len() {
        number += 1;
        let rest = &bytes[at..];
        let (line, ended, next) = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&rest[..end], true, at + end + 1),
            None => (rest, false, bytes.len()),
        };
        let value: Result<Value, _> = serde_json::from_slice(line);
        if !ended && value.is_err() {
            fold.reading.torn = true;
            fold.reading.unread.push(format!("line {number}: cut off, so nothing was done upon it"));
            break;
        }
        fold.reading.unended = !ended;
        match value {
            Ok(value) => fold.line(number, value),
            Err(error) => fold.lost(format!("line {number}: {error}")),
        }
        at = next;
        fold.reading.whole = at as u64;
    }
    fold.end()
}

impl Fold {
    fn line(&mut self, number: usize, value: Value) {
        let name = value.get("event").and_then(Value::as_str).unwrap_or("?").to_owned();
        let reading = &mut self.reading;
        reading.last_seq = reading.last_seq.max(value.get("seq").and_then(Value::as_u64).unwrap_or(0));
        reading.last_mono = reading.last_mono.max(Mono(value.get("mono").and_then(Value::as_u64).unwrap_or(0)));
        match Lean::deserialize(&value) {
            Ok(Lean::CleanedAfter) => {
                let at = value.get("at").and_then(|at| Wall::deserialize(at).ok());
                self.reading.cleaned_after = self.reading.cleaned_after.or(at);
                self.acted |= !self.children.is_empty();
            }
            Ok(lean) => self.lean(lean),
            Err(error) if matches!(name.as_str(), "run-started" | "claimed" | "child-started") => {
                self.lost(format!("line {number}: {name}: {error}"));
            }
            // What is not known to be released or ended counts as being there, which the inventory then corrects.
            Err(error) => self.reading.unread.push(format!("line {number}: {name}: {error}")),
        }
        match Event::deserialize(value) {
            Ok(event) => self.reading.events.push(event),
            Err(error) => self.reading.unread.push(format!("line {number}: no event that this version knows: {error}")),
        }
    }

    fn lean(&mut self, lean: Lean) {
        match lean {
            Lean::RunStarted { version, run, host } => {
                if version > JOURNAL_VERSION {
                    let text =
                        format!("the journal has version {version}, newer than {JOURNAL_VERSION}, which this taster knows");
                    self.reading.unread.push(text);
                }
                self.reading.run = Some(run);
                let socket = host.as_ref().and_then(|host| host.get("engine")).and_then(Value::as_str);
                self.reading.engine = socket.map(PathBuf::from);
            }
            Lean::Claimed { engine, what } => self.claims.push((engine, what)),
            Lean::Released { what } => self.released.extend(self.claims.extract_if(.., |(_, claimed)| *claimed == what)),
            Lean::ChildStarted { pid, start_ticks, doing } => {
                self.children.insert(pid, (start_ticks, doing));
            }
            Lean::ChildEnded { pid } => {
                self.children.remove(&pid);
            }
            Lean::StepStarted { step } => {
                self.steps.insert(step);
            }
            Lean::StepFinished { step } => {
                self.steps.remove(&step);
            }
            Lean::RunFinished => self.reading.finished = true,
            Lean::CleanedAfter | Lean::Other => {}
        }
    }

    fn lost(&mut self, sentence: String) {
        self.reading.lost_claims += 1;
        self.reading.unread.push(sentence);
    }

    fn end(mut self) -> Reading {
        let Some(run) = self.reading.run.clone() else {
            // Without its first line a journal cannot say whose its claims are.
            self.reading.lost_claims += self.claims.len();
            return self.reading;
        };
        self.reading.busy = self.acted || !self.steps.is_empty() || !self.children.is_empty();
        let mut seen = BTreeSet::new();
        let mut claims = |all: Vec<(EngineId, Claimed)>| {
            let once = all.into_iter().filter(|claim| seen.insert(claim.clone()));
            once.map(|(engine, what)| Claim::new(run.clone(), engine, what)).collect()
        };
        self.reading.claims = claims(self.claims);
        self.reading.released = claims(self.released);
        let child = |(pid, (start_ticks, doing))| Child { run: run.clone(), pid, start_ticks, doing };
        self.reading.children = self.children.into_iter().map(child).collect();
        self.reading
    }
}
