//! The conformance cases of `sandbox/conformance`, on the stand-in or on the abra that `TASTER_ABRA` names.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use harness::adapters::abra::{
    Ended, screen_text,
    terminal::{Start, start},
};
use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use unit_tests::{engine::Engine, recipe::git};

use crate::{
    abra::{Cleanup, Place, block_on},
    backup::Forget,
};

const BUDGET: Duration = Duration::from_secs(60);
/// Functions for shell lines: a shell line in the app's container, and a label for the app's service. An early update
/// replaces the task even when only a label changes, so the engine is asked whether one runs that is up to date.
const PRELUDE: &str = r#"
inside() { docker exec "$(docker ps -q --filter "label=com.docker.swarm.service.name=${STACK}_app")" sh -c "$1"; }
label() {
    docker service update --detach --quiet --label-add "$1" "${STACK}_app"
    until current | grep -q '"State":"running"'; do sleep 0.05; done
}
current() {
    curl -sS -G --unix-socket /var/run/docker.sock http://engine/tasks --data-urlencode \
        "filters={\"service\":[\"${STACK}_app\"],\"desired-state\":[\"running\"],\"_up-to-date\":[\"true\"]}"
}
"#;
const QUIET: Duration = Duration::from_millis(700);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    fact: String,
    trust: Trust,
    given: Given,
    step: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Trust {
    Bin,
    Src,
    Doc,
    Mem,
    Inf,
}

/// The state that a case starts from. Each has everything that those before it have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Given {
    Empty,
    Recipe,
    App,
    Secrets,
    Deployed,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    args: Option<Vec<String>>,
    run: Option<String>,
    #[serde(default = "yes")]
    terminal: bool,
    exit: Exit,
    #[serde(default)]
    says: Vec<String>,
    #[serde(default)]
    never: Vec<String>,
    /// Whether standard error counts as output when there is no terminal.
    #[serde(default = "yes")]
    stderr: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Exit {
    Code(i32),
    Word(String),
}

/// The cases that need no engine.
pub(crate) fn local() -> Vec<Trial> {
    let own = match std::env::var_os("TASTER_ABRA") {
        Some(_) => Vec::new(),
        None => cases("sandbox.toml"),
    };
    cases("local.toml").into_iter().chain(cases("lint.toml")).chain(own).map(|case| trial(case, None)).collect()
}

/// The cases on a Swarm.
pub(crate) fn tests(engine: &Engine) -> Vec<Trial> {
    let cases = ["swarm.toml", "backup.toml"].into_iter().flat_map(cases);
    cases.map(|case| trial(case, Some(engine.clone()))).collect()
}

fn cases(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sandbox/conformance").join(file);
    let text = fs::read_to_string(&path).unwrap();
    toml::from_str::<File>(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).case
}

fn trial(case: Case, engine: Option<Engine>) -> Trial {
    let name = format!("conformance::{}", case.name.replace(' ', "_"));
    Trial::test(name, move || {
        let place = Place::new();
        let _cleanup = engine.as_ref().map(|engine| (Forget(engine, place.domain()), Cleanup(engine, place.stack())));
        let prepared = Prepared::new(&place);
        prepared.prepare(case.given)?;
        let failed = |at: usize, problem: String| {
            Failed::from(format!("step {}: {problem}\n(docs/reference/abra.md {}, trust {:?})", at + 1, case.fact, case.trust))
        };
        case.step.iter().enumerate().try_for_each(|(at, step)| prepared.take(step).map_err(|problem| failed(at, problem)))
    })
}

pub(crate) struct Prepared<'a> {
    place: &'a Place,
    abra: PathBuf,
    env: BTreeMap<&'static str, std::ffi::OsString>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(place: &'a Place) -> Self {
        let setup = place.setup();
        let env = BTreeMap::from([
            ("HOME", setup.home.into_os_string()),
            ("PATH", setup.path),
            ("ABRA_DIR", place.abra_dir().into_os_string()),
            ("LC_ALL", "C.UTF-8".into()),
            ("TERM", "xterm-256color".into()),
            ("NO_COLOR", "1".into()),
        ]);
        Self { place, abra: setup.abra, env }
    }

    pub(crate) fn prepare(&self, given: Given) -> Result<(), String> {
        let dir = self.place.abra_dir();
        for folder in ["servers/default", "recipes", "cwd"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        if given >= Given::Recipe {
            let source = self.place.home().join("recipes/small");
            git(&dir.join("recipes"), &["clone", "--quiet", source.to_str().unwrap(), "small"]);
        }
        let commands = [
            (Given::App, "-n -o app new -C -s default -D {app} small"),
            (Given::Secrets, "-n -o app secret generate -C -m --all {app}"),
            (Given::Deployed, "-n -o app deploy -C -c -D {app}"),
        ];
        for (level, words) in commands.into_iter().filter(|(level, _)| *level <= given) {
            let args = Some(words.split(' ').map(str::to_owned).collect());
            let step = Step { args, run: None, terminal: true, exit: Exit::Code(0), says: vec![], never: vec![], stderr: true };
            self.take(&step).map_err(|problem| format!("the state {level:?} cannot be made: {problem}"))?;
        }
        if given == Given::Deployed {
            let filter = format!("label=com.docker.stack.namespace={}", self.place.stack());
            let running = || {
                let listed = Command::new("docker").args(["ps", "-q", "--filter", &filter]).output().unwrap();
                !listed.stdout.is_empty()
            };
            unit_tests::engine::until("the app runs", running);
        }
        Ok(())
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{app}", self.place.domain().as_str()).replace("{stack}", &self.place.stack())
    }

    fn take(&self, step: &Step) -> Result<(), String> {
        let (ended, text) = match (&step.args, &step.run) {
            (Some(args), None) => {
                let args: Vec<String> = args.iter().map(|arg| self.fill(arg)).collect();
                if step.terminal { self.on_terminal(&args) } else { self.on_pipes(&args, step.stderr) }
            }
            (None, Some(line)) => self.shell(line),
            _ => return Err("it needs either args or run".to_owned()),
        };
        let wanted = match &step.exit {
            Exit::Code(code) => Ended::Exit(*code),
            Exit::Word(word) if word == "asks" => Ended::Prompted,
            Exit::Word(word) => return Err(format!("{word:?} is not a way to end")),
        };
        if ended != wanted {
            return Err(format!("it ended with {ended:?}, not with {wanted:?}, and said:\n{text}"));
        }
        let matches = |pattern: &String| {
            let pattern = self.fill(pattern);
            text.lines().any(|line| like(&pattern, line.trim_end()))
        };
        if let Some(missing) = step.says.iter().find(|pattern| !matches(pattern)) {
            return Err(format!("no line is like {:?} in:\n{text}", self.fill(missing)));
        }
        match step.never.iter().find(|pattern| matches(pattern)) {
            Some(found) => Err(format!("a line is like {:?} in:\n{text}", self.fill(found))),
            None => Ok(()),
        }
    }

    pub(crate) fn on_terminal(&self, args: &[String]) -> (Ended, String) {
        let mut argv = self.place.setup().shim;
        argv.extend(["--parent".into(), std::process::id().to_string().into(), "--".into(), self.abra.clone().into()]);
        argv.extend(args.iter().map(std::ffi::OsString::from));
        let mark = ("TASTER_CALL", self.place.run.to_string());
        let start_it = Start { argv, env: self.env.clone(), cwd: self.place.abra_dir().join("cwd"), mark };
        let finished = block_on(async { start(start_it).unwrap().run(BUDGET, QUIET).await.unwrap() });
        (finished.ended, screen_text(&finished.raw))
    }

    fn on_pipes(&self, args: &[String], stderr: bool) -> (Ended, String) {
        let mut command = Command::new(&self.abra);
        command.args(args).current_dir(self.place.abra_dir().join("cwd"));
        self.collect(command, stderr)
    }

    fn shell(&self, line: &str) -> (Ended, String) {
        let mut command = Command::new("timeout");
        command.args(["60", "sh", "-c", &format!("{PRELUDE}{line}")]);
        let checkout = self.place.abra_dir().join("recipes/small");
        command.current_dir(if checkout.exists() { checkout } else { self.place.abra_dir() });
        command.env("APP", self.place.domain().as_str()).env("STACK", self.place.stack()).env("ENV", self.place.env_file());
        command.env("ABRA", &self.abra);
        self.collect(command, true)
    }

    fn collect(&self, mut command: Command, stderr: bool) -> (Ended, String) {
        let keep = command.get_envs().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))).collect::<Vec<_>>();
        let output = command.env_clear().envs(&self.env).envs(keep).stdin(Stdio::null()).output().unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        if stderr {
            text.push_str(&String::from_utf8_lossy(&output.stderr));
        }
        (Ended::Exit(output.status.code().unwrap_or(-1)), text)
    }
}

/// Whether `text` is like `pattern`, in which `*` stands for anything and `?` for one character.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut here, mut star) = (0, 0, None);
    while here < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(c) if *c == '?' || *c == text[here] => (at, here) = (at + 1, here + 1),
            _ => match star {
                Some((back, from)) => {
                    star = Some((back, from + 1));
                    (at, here) = (back + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}
