//! The tutorial on tests, done as it is written: each command of it is run in a copy of the sources, each file is written, and the
//! lines that it shows are looked for in what is really said.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use unit_tests::{
    background_process::BackgroundProcess,
    engine::printed,
    sandbox_fixture::{self, SandboxFixture},
    test_env::{CommandOutput, TestEnv, started},
};

use crate::runs::on_stages;

/// The page.
const PAGE: &str = include_str!("../../../docs/tutorial-tests.md");
/// How a command of the page begins that goes on while others are run.
const GOES_ON: &str = "cargo run -- watch ";

/// How long what goes on may take to build taster and to run its tests.
const PATIENCE: Duration = Duration::from_secs(400);

/// The test of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    on_stages(fixture, &[("tutorial::whoever_does_what_the_page_says_sees_what_it_shows", told)])
}

/// What the page has somebody do, in its order.
#[derive(Debug, PartialEq, Eq)]
enum Act {
    /// A command with the lines that it is shown to print.
    Run { command: String, shown: Vec<String> },
    /// A file that is written.
    Write { file: String, text: String },
    /// Lines that the command prints that goes on.
    Shown { lines: Vec<String> },
}

/// What stands between the fences of the page. A block of a language is a file; the last words in backticks before it are its name.
fn acts(page: &str) -> Vec<Act> {
    let (mut acts, mut named, mut fence) = (Vec::new(), String::new(), None::<(&str, Vec<&str>)>);
    for line in page.lines() {
        match (&mut fence, line.strip_prefix("```")) {
            (None, Some(language)) => fence = Some((language, Vec::new())),
            (None, None) => named = line.split('`').skip(1).step_by(2).last().map_or(named, str::to_owned),
            (Some((_, lines)), None) => lines.push(line),
            (Some((language, lines)), Some(_)) => {
                match *language {
                    "console" => acts.extend(commands(lines)),
                    "text" => acts.push(Act::Shown { lines: lines.iter().map(|&line| line.to_owned()).collect() }),
                    _ => acts.push(Act::Write { file: named.clone(), text: lines.join("\n") + "\n" }),
                }
                fence = None;
            }
        }
    }
    acts
}

fn commands(lines: &[&str]) -> Vec<Act> {
    let mut acts: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines {
        match (line.strip_prefix("$ "), acts.last_mut()) {
            (Some(command), _) => acts.push((command.to_owned(), Vec::new())),
            (None, Some((_, shown))) => shown.push((*line).to_owned()),
            (None, None) => panic!("nothing prints {line:?}"),
        }
    }
    acts.into_iter().map(|(command, shown)| Act::Run { command, shown }).collect()
}

/// The words of a line that are the same each time: without the clock before it, and without how long something took.
fn essential(line: &str) -> String {
    let line = line.trim();
    let line = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(line, |(_, rest)| rest);
    let words: Vec<&str> = line.split_whitespace().collect();
    let lasts = |at: usize| {
        let number = |word: &&str| word.parse::<f64>().is_ok();
        let unit = |word: &&str| word.trim_end_matches([':', ',']) == "s";
        let (before, after) = (at.checked_sub(1).and_then(|at| words.get(at)), words.get(at + 1));
        number(&words[at]) && after.is_some_and(&unit) || unit(&words[at]) && before.is_some_and(number)
    };
    (0..words.len()).filter(|at| !lasts(*at)).map(|at| words[at]).collect::<Vec<_>>().join(" ")
}

/// The names that a run has of its own, by what stands before them in the line that tells of an app that is kept.
fn own_names(lines: impl Iterator<Item = String>) -> Option<[String; 3]> {
    let line = lines.into_iter().find(|line| line.trim().starts_with("kept: "))?;
    let after = |words: &str| line.split_once(words)?.1.split([' ', ';', '`']).next().map(str::to_owned);
    Some([after("kept: ")?, after(" until ")?, after("taster janitor ")?])
}

fn told(env: &TestEnv<'_>) {
    let acts = acts(PAGE);
    assert!(acts.iter().any(|act| matches!(act, Act::Write { .. })) && acts.len() > 8, "{acts:?}");
    let sources = Sources::copied();
    let mut page = Page { env, sources: &sources, named: Vec::new(), goes_on: None };
    for act in acts {
        page.act(act);
    }
    assert!(page.goes_on.is_none(), "what went on was ended");
    env.assert_zero();
}

/// The page as somebody goes through it.
struct Page<'a> {
    env: &'a TestEnv<'a>,
    sources: &'a Sources,
    /// The names on the page, each with the one that there really is.
    named: Vec<(String, String)>,
    /// What goes on while other commands are run, and how much of what it said was looked at.
    goes_on: Option<(BackgroundProcess, usize)>,
}

impl Page<'_> {
    fn act(&mut self, act: Act) {
        match act {
            Act::Write { file, text } => {
                let path = self.sources.path().join(&file);
                assert!(path.parent().unwrap().is_dir(), "{file} is the name of a file");
                fs::write(path, text).unwrap();
            }
            Act::Shown { lines } => self.goes_on_to_say(&lines),
            Act::Run { command, shown } if command.starts_with(GOES_ON) => {
                let log = self.env.path().join("goes-on");
                self.goes_on = Some((BackgroundProcess::start(&mut self.command(&command), log), 0));
                self.goes_on_to_say(&shown);
            }
            Act::Run { command, shown } => {
                if let Some((before, _)) = self.goes_on.take_if(|_| !command.contains("--attach")) {
                    before.interrupt();
                }
                let told = CommandOutput::after(started(&mut self.command(&command)));
                let said = told.err + &told.out;
                let real = own_names(said.lines().map(str::to_owned));
                if let (Some(page), Some(real)) = (own_names(shown.iter().cloned()), real) {
                    self.named.extend(page.into_iter().zip(real));
                }
                let missing = self.missing(&said, &shown);
                assert!(missing.is_empty(), "`{command}` does not say {missing:#?}, but:\n{said}");
            }
        }
    }

    /// Waits until what goes on has said these lines since it was last looked at.
    fn goes_on_to_say(&mut self, lines: &[String]) {
        let (mut going, from) = self.goes_on.take().expect("something goes on");
        let over = Instant::now() + PATIENCE;
        let said = loop {
            // What it said before it ended is read after it has.
            let ended = going.ended();
            let said = going.said();
            let missing = self.missing(&said[from..], lines);
            if missing.is_empty() {
                break said;
            }
            if ended.is_some() || Instant::now() > over {
                panic!("what goes on does not say {missing:#?} ({ended:?}), but:\n{said}");
            }
            sleep(Duration::from_millis(50));
        };
        self.goes_on = Some((going, said.len()));
    }

    /// The lines that nothing of what was said has in it.
    fn missing(&self, said: &str, lines: &[String]) -> Vec<String> {
        let said: BTreeSet<String> = said.lines().map(essential).collect();
        let wanted = lines.iter().map(|line| essential(&self.real(line)));
        wanted.filter(|line| !said.iter().any(|said| said.contains(line))).collect()
    }

    /// A line of the page with the names that there really are.
    fn real(&self, line: &str) -> String {
        self.named.iter().fold(line.to_owned(), |line, (page, real)| line.replace(page, real))
    }

    fn command(&self, line: &str) -> Command {
        let line = self.real(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut command = Command::new(words[0]);
        // As taster itself is started on a env, and with what cargo needs.
        self.env.equip(command.args(&words[1..])).env("CARGO_NET_OFFLINE", "true");
        command.env("CARGO_TARGET_DIR", self.sources.path().join("target")).current_dir(self.sources.path());
        let home = std::env::home_dir().unwrap();
        for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            command.env(name, std::env::var_os(name).unwrap_or_else(|| home.join(folder).into()));
        }
        command
    }
}

/// A copy of the sources in which little has to be built: what was built of them lies there, too.
struct Sources(tempfile::TempDir);

impl Sources {
    fn copied() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let built = sandbox_fixture::env().exe.parent().unwrap().to_owned();
        // Beside what was built, so that a file can have two names.
        let copy = Self(tempfile::tempdir_in(built.parent().unwrap()).unwrap());
        let at = |path: &Path| path.display().to_string();
        let names = fs::read_dir(root).unwrap().flatten().map(|entry| entry.path());
        let sources: Vec<String> =
            names.filter(|path| !["target", ".git"].iter().any(|name| path.ends_with(name))).map(|path| at(&path)).collect();
        // The times of files and folders tell cargo what has changed, so they are copied too.
        printed(Command::new("cp").arg("-a").args(&sources).arg(copy.path()), &["cp", "-a"]);
        let profile = copy.path().join("target").join(built.file_name().unwrap());
        fs::create_dir_all(profile.join("deps")).unwrap();
        for folder in [".fingerprint", "build"] {
            printed(Command::new("cp").arg("-a").arg(built.join(folder)).arg(&profile), &["cp", "-a", folder]);
        }
        for entry in fs::read_dir(built.join("deps")).unwrap().flatten() {
            let (from, to) = (entry.path(), profile.join("deps").join(entry.file_name()));
            match from.extension().and_then(|ending| ending.to_str()) {
                // Compilers put a new file in the place of a library, and never write into it.
                Some("rlib" | "rmeta" | "so") => fs::hard_link(&from, &to).unwrap(),
                Some("d") => printed(Command::new("cp").arg("-p").arg(&from).arg(&to), &["cp", "-p"]).clear(),
                Some(_) | None => {}
            }
        }
        copy
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}
