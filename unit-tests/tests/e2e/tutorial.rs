//! Follows the tutorial on tests: runs each of its commands in a copy of the sources, writes each of its files, and expects the
//! lines that it shows in the real output.

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
    command_output::{CommandOutput, started},
    engine::printed,
    sandbox_fixture::{self, SandboxFixture},
    test_env::TestEnv,
};

use crate::trials::{e2e_tests, in_env};

/// The page.
const PAGE: &str = include_str!("../../../docs/tutorial-tests.md");
/// The beginning of a command of the page that runs in the background of others.
const BACKGROUND: &str = "cargo run -- watch ";

/// The time limit of the background command, which builds taster and runs its tests.
const BACKGROUND_LIMIT: Duration = Duration::from_secs(400);

/// The test of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(fixture, &e2e_tests![commands_of_the_page_print_its_lines])
}

/// The instructions of the page, in its order.
#[derive(Debug, PartialEq, Eq)]
enum Act {
    /// A command with the lines that it is shown to print.
    Run { command: String, shown: Vec<String> },
    /// A file that is written.
    Write { file: String, text: String },
    /// Lines that the background command prints.
    Shown { lines: Vec<String> },
}

/// The instructions between the fences of the page. A block of a language is a file; its name are the last words in backticks
/// before it.
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
            (None, None) => panic!("no command prints {line:?}"),
        }
    }
    acts.into_iter().map(|(command, shown)| Act::Run { command, shown }).collect()
}

/// The constant words of a line: without the clock before it, and without durations.
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

/// The names that differ from run to run, from the line about the kept app.
fn own_names(lines: impl Iterator<Item = String>) -> Option<[String; 3]> {
    let line = lines.into_iter().find(|line| line.trim().starts_with("kept: "))?;
    let after = |words: &str| line.split_once(words)?.1.split([' ', ';', '`']).next().map(str::to_owned);
    Some([after("kept: ")?, after(" until ")?, after("taster janitor ")?])
}

fn commands_of_the_page_print_its_lines(env: &TestEnv<'_>) {
    let acts = acts(PAGE);
    assert!(acts.iter().any(|act| matches!(act, Act::Write { .. })) && acts.len() > 8, "{acts:?}");
    let sources = Sources::copied();
    let mut page = Page { env, sources: &sources, named: Vec::new(), background: None };
    for act in acts {
        page.act(act);
    }
    assert!(page.background.is_none(), "the background command was ended");
    env.assert_nothing_left();
}

/// The page while its instructions are followed.
struct Page<'a> {
    env: &'a TestEnv<'a>,
    sources: &'a Sources,
    /// The names on the page, each with the real one.
    named: Vec<(String, String)>,
    /// The background command, and how much of its output was compared.
    background: Option<(BackgroundProcess, usize)>,
}

impl Page<'_> {
    fn act(&mut self, act: Act) {
        match act {
            Act::Write { file, text } => {
                let path = self.sources.path().join(&file);
                assert!(path.parent().unwrap().is_dir(), "{file} is the name of a file");
                fs::write(path, text).unwrap();
            }
            Act::Shown { lines } => self.background_prints(&lines),
            Act::Run { command, shown } if command.starts_with(BACKGROUND) => {
                let log = self.env.path().join("background");
                self.background = Some((BackgroundProcess::start(&mut self.command(&command), log), 0));
                self.background_prints(&shown);
            }
            Act::Run { command, shown } => {
                if let Some((before, _)) = self.background.take_if(|_| !command.contains("--attach")) {
                    before.interrupt();
                }
                let output = CommandOutput::after(started(&mut self.command(&command)));
                let output = output.err + &output.out;
                let real = own_names(output.lines().map(str::to_owned));
                if let (Some(page), Some(real)) = (own_names(shown.iter().cloned()), real) {
                    self.named.extend(page.into_iter().zip(real));
                }
                let missing = self.missing(&output, &shown);
                assert!(missing.is_empty(), "`{command}` lacks {missing:#?}:\n{output}");
            }
        }
    }

    /// Waits until the background command prints these lines after those that were compared before.
    fn background_prints(&mut self, lines: &[String]) {
        let (mut going, from) = self.background.take().expect("a background command");
        let over = Instant::now() + BACKGROUND_LIMIT;
        let output = loop {
            // The output is read after the exit status: it is whole then.
            let ended = going.ended();
            let output = going.output();
            let missing = self.missing(&output[from..], lines);
            if missing.is_empty() {
                break output;
            }
            if ended.is_some() || Instant::now() > over {
                panic!("the background command lacks {missing:#?} ({ended:?}):\n{output}");
            }
            sleep(Duration::from_millis(50));
        };
        self.background = Some((going, output.len()));
    }

    /// The lines that the output lacks.
    fn missing(&self, output: &str, lines: &[String]) -> Vec<String> {
        let output: BTreeSet<String> = output.lines().map(essential).collect();
        let wanted = lines.iter().map(|line| essential(&self.real(line)));
        wanted.filter(|line| !output.iter().any(|output| output.contains(line))).collect()
    }

    /// A line of the page with the real names.
    fn real(&self, line: &str) -> String {
        self.named.iter().fold(line.to_owned(), |line, (page, real)| line.replace(page, real))
    }

    fn command(&self, line: &str) -> Command {
        let line = self.real(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut command = Command::new(words[0]);
        // The environment of taster, and the variables that cargo needs.
        self.env.equip(command.args(&words[1..])).env("CARGO_NET_OFFLINE", "true");
        command.env("CARGO_TARGET_DIR", self.sources.path().join("target")).current_dir(self.sources.path());
        let home = std::env::home_dir().unwrap();
        for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            command.env(name, std::env::var_os(name).unwrap_or_else(|| home.join(folder).into()));
        }
        command
    }
}

/// A copy of the sources with the build results, so that little has to be built.
struct Sources(tempfile::TempDir);

impl Sources {
    fn copied() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let built = sandbox_fixture::env().exe.parent().unwrap().to_owned();
        // On the file system of the build results, so that files can be hard links.
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
                // Compilers replace a library by a new file and never write into the old one.
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
