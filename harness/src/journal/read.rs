//! The reader of a journal, whole or cut off.
//!
//! It reads claims and children of every version, and reports each line that it cannot read: a claim that was lost silently would
//! never be cleaned up. A claim that the run of this folder cannot have made is not believed, and reported as well.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use super::FILE;
use crate::{
    disk::plain_file::{self, JOURNAL_LIMIT, Links},
    model::{
        names::{RunId, SwarmId},
        settings::in_plain_words,
        time::{Mono, Wall},
    },
    ports::Child,
    pure::{
        host::claim::{Claim, ClaimPlace, Claimed, Disbelief, believable_child},
        run::event::{Event, JOURNAL_VERSION, Kind},
    },
};

/// The content of a journal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JournalReading {
    /// The run: that of the first line; without one that of the folder, where something is claimed. Absent otherwise.
    pub run: Option<RunId>,
    /// All events that can be read, in order.
    pub events: Vec<Event>,
    /// The claims that are not released, each once.
    pub claims: Vec<Claim>,
    /// The claims that are released.
    pub released: Vec<Claim>,
    /// The children that were started and whose end is not recorded.
    pub children: Vec<Child>,
    /// The engine's socket that the run used.
    pub socket: Option<PathBuf>,
    /// Whether the run came to its own end.
    pub finished: bool,
    /// Whether a step or a child was acting at the journal's last line. If so, the engine may still work on their requests.
    pub was_acting: bool,
    /// When another process first cleaned up after the run.
    pub cleaned_after: Option<Wall>,
    /// The lines that could not be read, a sentence each.
    pub unread: Vec<String>,
    /// The claims and children that are not believed to be the run's, a sentence each. Nothing acts upon them.
    pub disbelieved: Vec<String>,
    /// How many lines may hold a claim that could not be read. A run with such a line is never known to be clean.
    pub lost_claims: usize,
    /// Whether the last line was cut off. It was never durable, so no act followed it.
    pub cut_off: bool,
    /// The length of all whole lines, in bytes.
    pub(super) whole_bytes: u64,
    /// Whether the last whole line lacks its line end.
    pub(super) lacks_line_end: bool,
    pub(super) last_seq: u64,
    pub(super) last_mono: Mono,
}

impl JournalReading {
    /// Whether nothing of the run can be left: all its claims are released and all its children have ended.
    pub fn settled(&self) -> bool {
        self.claims.is_empty() && self.children.is_empty() && !self.may_claim_more()
    }

    /// Whether the journal may claim more than [`JournalReading::claims`]: lines that cannot be read, or that are not believed.
    pub fn may_claim_more(&self) -> bool {
        self.lost_claims > 0 || !self.disbelieved.is_empty()
    }
}

/// Reads the journal in `run_dir`. A folder without one reads as an empty journal: its run has claimed nothing yet.
pub fn read(run_dir: &Path) -> Result<JournalReading, io::Error> {
    match bytes(run_dir) {
        Ok(bytes) => Ok(parse(&bytes, run_dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(JournalReading::default()),
        Err(error) => Err(error),
    }
}

/// Whether the journal in `run_dir` is [`JournalReading::settled`]. It parses only the few lines that matter to that, so that the
/// folders of a thousand old runs cost next to nothing.
pub fn settled(run_dir: &Path) -> Result<bool, io::Error> {
    match bytes(run_dir) {
        Ok(bytes) => Ok(parse(&relevant_lines(&bytes), run_dir).settled()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn bytes(run_dir: &Path) -> Result<Vec<u8>, io::Error> {
    plain_file::read(&run_dir.join(FILE), JOURNAL_LIMIT, Links::Refused)
}

/// The place of the claims of `run`, whose folder is `run_dir`.
pub(super) fn place(run_dir: &Path, run: RunId) -> ClaimPlace {
    ClaimPlace { run, folder: Some(resolved(run_dir)) }
}

/// A path with the links of its existing part resolved.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let above = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let Some((above, real)) = above else { return path.to_owned() };
    path.strip_prefix(above).map_or_else(|_| path.to_owned(), |rest| real.join(rest))
}

/// The lines without those that are surely of a kind that claims nothing. Quotes within a text are escaped, so a line that names
/// two kinds is two lines that ran into one, and has to be read.
fn relevant_lines(bytes: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b"\"event\":\"";
    const PLAIN: [&[u8]; 6] =
        [b"step-started\"", b"step-finished\"", b"observed\"", b"check-finished\"", b"noted\"", b"task-changed\""];
    let plain = |line: &[u8]| {
        let mut kinds =
            line.windows(MARK.len()).enumerate().filter(|(_, part)| *part == MARK).map(|(at, _)| &line[at + MARK.len()..]);
        let kind = kinds.next().filter(|_| kinds.next().is_none());
        kind.is_some_and(|kind| PLAIN.iter().any(|plain| kind.starts_with(plain)))
    };
    bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| !plain(line)).flatten().copied().collect()
}

/// The part of an event that claims and children are found by. All else in a line may be of a later version.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum CleanupFact {
    RunStarted {
        version: u32,
        run: RunId,
        host: Option<Value>,
    },
    Claimed {
        engine: SwarmId,
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
    #[serde(alias = "swept-after")]
    CleanedAfter,
    #[serde(other)]
    Other,
}

#[derive(Default)]
struct Fold {
    reading: JournalReading,
    claims: Vec<(SwarmId, Claimed)>,
    released: Vec<(SwarmId, Claimed)>,
    children: BTreeMap<i32, (u64, String)>,
    /// The steps that have not ended.
    steps: BTreeSet<String>,
    /// Whether a child was acting at the first cleanup after the run.
    child_acted: bool,
}

/// Parses the bytes of a journal. Total: it returns what can be read and a sentence for each line that cannot.
pub(super) fn parse(bytes: &[u8], run_dir: &Path) -> JournalReading {
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
            fold.reading.cut_off = true;
            fold.reading.unread.push(format!("line {number}: cut off, so no act followed it"));
            break;
        }
        fold.reading.lacks_line_end = !ended;
        match value {
            Ok(value) => fold.line(number, value),
            Err(error) => fold.lost(format!("line {number}: no JSON: {}", in_words(&error))),
        }
        at = next;
        fold.reading.whole_bytes = at as u64;
    }
    fold.end(run_dir)
}

/// An error of the JSON of one line, in plain words and without the line's own number.
fn in_words(error: &serde_json::Error) -> String {
    in_plain_words(&error.to_string()).replace(" at line 1 column ", " at column ")
}

impl Fold {
    fn line(&mut self, number: usize, value: Value) {
        let name = value.get("event").and_then(Value::as_str).unwrap_or("?").to_owned();
        let reading = &mut self.reading;
        reading.last_seq = reading.last_seq.max(value.get("seq").and_then(Value::as_u64).unwrap_or(0));
        reading.last_mono = reading.last_mono.max(Mono(value.get("mono").and_then(Value::as_u64).unwrap_or(0)));
        let reported = reading.unread.len();
        match CleanupFact::deserialize(&value) {
            Ok(CleanupFact::CleanedAfter) => {
                let at = value.get("at").and_then(|at| Wall::deserialize(at).ok());
                self.reading.cleaned_after = self.reading.cleaned_after.or(at);
                self.child_acted |= !self.children.is_empty();
            }
            Ok(CleanupFact::Other) if !Kind::is_known(&name) => {
                // It may be a claim under the name of a later version, so nothing of the run counts as settled.
                self.lost(format!("line {number}: {name}: a kind of event that this version does not know"));
                return;
            }
            Ok(fact) => self.apply(fact),
            Err(error) if matches!(name.as_str(), "run-started" | "claimed" | "child-started") => {
                self.lost(format!("line {number}: {name}: {}", in_words(&error)));
            }
            // A claim whose release cannot be read counts as held, which the inventory then corrects.
            Err(error) => self.reading.unread.push(format!("line {number}: {name}: {}", in_words(&error))),
        }
        match Event::deserialize(value) {
            Ok(event) => self.reading.events.push(event),
            // Its line is reported already.
            Err(_) if self.reading.unread.len() > reported => {}
            Err(error) => {
                let why = in_words(&error);
                self.reading.unread.push(format!("line {number}: not an event that this version knows: {why}"));
            }
        }
    }

    fn apply(&mut self, fact: CleanupFact) {
        match fact {
            CleanupFact::RunStarted { version, run, host } => {
                if version > JOURNAL_VERSION {
                    // A later version may claim in other ways, so nothing of the run counts as settled.
                    self.lost(format!(
                        "the journal has version {version}, newer than {JOURNAL_VERSION}, which this taster knows"
                    ));
                }
                self.reading.run = Some(run);
                let socket = host.as_ref().and_then(|host| host.get("engine")).and_then(Value::as_str);
                self.reading.socket = socket.map(PathBuf::from);
            }
            CleanupFact::Claimed { engine, what } => self.claims.push((engine, what)),
            CleanupFact::Released { what } => self.released.extend(self.claims.extract_if(.., |(_, claimed)| *claimed == what)),
            CleanupFact::ChildStarted { pid, start_ticks, doing } => {
                self.children.insert(pid, (start_ticks, doing));
            }
            CleanupFact::ChildEnded { pid } => {
                self.children.remove(&pid);
            }
            CleanupFact::StepStarted { step } => {
                self.steps.insert(step);
            }
            CleanupFact::StepFinished { step } => {
                self.steps.remove(&step);
            }
            CleanupFact::RunFinished => self.reading.finished = true,
            CleanupFact::CleanedAfter | CleanupFact::Other => {}
        }
    }

    fn lost(&mut self, sentence: String) {
        self.reading.lost_claims += 1;
        self.reading.unread.push(sentence);
    }

    fn end(mut self, run_dir: &Path) -> JournalReading {
        let folder = resolved(run_dir);
        let of_folder: Option<RunId> = folder.file_name().and_then(|name| name.to_str()?.parse().ok());
        if self.reading.run.is_none() && !(self.claims.is_empty() && self.children.is_empty() && self.released.is_empty()) {
            self.reading.run.clone_from(&of_folder);
        }
        self.reading.was_acting = self.child_acted || !self.steps.is_empty() || !self.children.is_empty();
        let Some(run) = self.reading.run.clone() else {
            self.reading.lost_claims += self.claims.len() + self.children.len();
            return self.reading;
        };
        // A journal in the folder of another run is a copy or a forgery.
        let foreign = (of_folder.as_ref() != Some(&run)).then(|| Disbelief::OtherFolder { named: run.clone() });
        let place = ClaimPlace { run: run.clone(), folder: Some(folder) };
        let mut seen = BTreeSet::new();
        let mut believed = |all: Vec<(SwarmId, Claimed)>| {
            let once = all.into_iter().filter(|claim| seen.insert(claim.clone()));
            let claims = once.map(|(engine, what)| match &foreign {
                Some(foreign) => Err((what, foreign.clone())),
                None => Claim::believed(what.clone(), engine, &place, resolved).map_err(|why| (what, why)),
            });
            let (claims, disbelieved): (Vec<_>, Vec<_>) = claims.partition(Result::is_ok);
            let sentence = |(what, why): (Claimed, Disbelief)| format!("{what}: {why}");
            let claims: Vec<Claim> = claims.into_iter().flatten().collect();
            (claims, disbelieved.into_iter().filter_map(Result::err).map(sentence).collect::<Vec<_>>())
        };
        (self.reading.claims, self.reading.disbelieved) = believed(self.claims);
        // Nothing is left of what was released, so it does not matter who claimed it.
        (self.reading.released, _) = believed(self.released);
        for (pid, (start_ticks, doing)) in self.children {
            match foreign.clone().map_or_else(|| believable_child(pid), Err) {
                Ok(()) => self.reading.children.push(Child { run: run.clone(), pid, start_ticks, doing }),
                Err(why) => self.reading.disbelieved.push(format!("process {pid}: {why}")),
            }
        }
        self.reading
    }
}
