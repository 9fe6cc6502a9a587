//! A run of taster in a test: how it is started, and named expectations on its output and its results.
//!
//! A failed expectation prints the output and the whole `results.json`, so that one failure is enough to understand it. Verdicts,
//! statuses and step ids are spelled here and not taken from the harness: a wrong spelling there must not agree with itself.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Child,
};

use serde_json::Value;

use crate::{
    command_output::{CommandOutput, signal, started},
    engine::until,
    test_env::{TestEnv, journal, results},
};

/// The verdict on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Green,
    /// Exit code 1.
    Red,
    /// Any other exit code.
    Inconclusive,
}

/// The status of a step, a tier or a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It passed.
    Pass,
    /// It failed.
    Fail,
    /// It was left out on purpose.
    Skip,
    /// It was not verified.
    Unver,
}

/// A moment at which a canary is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After it was put into the app.
    Seeded,
    /// After the upgrade.
    AfterUpgrade,
    /// After it was changed on purpose.
    Corrupted,
    /// After the restore.
    AfterRestore,
    /// After the restore of an app that was lost.
    AfterDisaster,
    /// After the start of all services.
    AfterRestart,
    /// After a second install.
    AfterReinstall,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Green => "green",
            Self::Red => "red",
            Self::Inconclusive => "inconclusive",
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Unver => "unver",
        })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seeded => "seeded",
            Self::AfterUpgrade => "after-upgrade",
            Self::Corrupted => "corrupted",
            Self::AfterRestore => "after-restore",
            Self::AfterDisaster => "after-disaster",
            Self::AfterRestart => "after-restart",
            Self::AfterReinstall => "after-reinstall",
        })
    }
}

/// A run that has not started.
#[derive(Debug, Clone)]
#[must_use]
pub struct RunBuilder<'a> {
    env: &'a TestEnv<'a>,
    args: Vec<String>,
    host: Vec<(String, String)>,
    allowed: Option<String>,
}

impl TestEnv<'_> {
    /// A run of `recipe`, to be started.
    pub fn run(&self, recipe: &str) -> RunBuilder<'_> {
        RunBuilder::new(self, recipe)
    }

    /// A run that `child` performs: taster in another network, on a terminal, under a shell.
    pub fn running(&self, child: Child) -> RunningRun<'_> {
        RunningRun::new(self, child, Vec::new())
    }
}

impl<'a> RunBuilder<'a> {
    fn new(env: &'a TestEnv<'a>, recipe: &str) -> Self {
        Self { env, args: vec!["--recipe".into(), recipe.into()], host: Vec::new(), allowed: None }
    }

    /// The tiers to run, with commas between them.
    pub fn tiers(self, tiers: &str) -> Self {
        self.args(&["--tiers", tiers])
    }

    /// The recipe in this folder.
    pub fn path(self, folder: &Path) -> Self {
        self.args(&["--path", &folder.display().to_string()])
    }

    /// The deadline, in seconds.
    pub fn deadline(self, seconds: u32) -> Self {
        self.args(&["--deadline", &seconds.to_string()])
    }

    /// Further options.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// A value of the host file in the place of the sandbox's.
    pub fn host(mut self, key: &str, value: &str) -> Self {
        self.host.push((key.into(), value.into()));
        self
    }

    /// Further lines of the host file, such as a table `[allow]`.
    pub fn host_lines(mut self, lines: &str) -> Self {
        self.allowed = Some(lines.into());
        self
    }

    /// A shell script in the place of abra; `$ABRA` in it is the sandbox's abra.
    pub fn abra(self, script: &str) -> Self {
        let abra = self.env.script(script);
        self.host("abra", &abra)
    }

    /// Starts the run.
    ///
    /// # Panics
    /// If it cannot be started, or the host file cannot be read or written.
    #[track_caller]
    pub fn start(self) -> RunningRun<'a> {
        let known = self.env.runs();
        let child = self.spawn();
        RunningRun::new(self.env, child, known)
    }

    /// Performs the run to its end.
    ///
    /// # Panics
    /// If it cannot be started, does not end, or leaves no results.
    #[track_caller]
    pub fn finish(self) -> FinishedRun<'a> {
        self.start().finish()
    }

    /// Performs the run to its end and expects this verdict.
    ///
    /// # Panics
    /// If the verdict or the exit code is another one.
    #[track_caller]
    pub fn expect(self, outcome: Outcome) -> FinishedRun<'a> {
        self.finish().expect(outcome)
    }

    /// The output of a request that is refused before there is a run.
    ///
    /// # Panics
    /// If taster cannot be started or does not end.
    #[track_caller]
    pub fn output(self) -> CommandOutput {
        CommandOutput::after(self.spawn())
    }

    #[track_caller]
    fn spawn(&self) -> Child {
        let mut taster = self.env.command(&[]);
        taster.args(&self.args);
        if !self.host.is_empty() || self.allowed.is_some() {
            let changed: Vec<(&str, &str)> = self.host.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let file = self.env.host_file(&changed);
            if let Some(lines) = &self.allowed {
                let text = fs::read_to_string(&file).unwrap();
                fs::write(&file, format!("{text}\n{lines}\n")).unwrap();
            }
            taster.arg("--host").arg(file);
        }
        started(&mut taster)
    }
}

/// A run whose process lives.
#[derive(Debug)]
#[must_use]
pub struct RunningRun<'a> {
    env: &'a TestEnv<'a>,
    /// The process that was started.
    pub child: Child,
    known: Vec<PathBuf>,
    folder: Option<PathBuf>,
}

impl<'a> RunningRun<'a> {
    fn new(env: &'a TestEnv<'a>, child: Child, known: Vec<PathBuf>) -> Self {
        Self { env, child, known, folder: None }
    }

    /// The process id of taster.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The run's folder.
    ///
    /// # Panics
    /// If there is none yet.
    #[track_caller]
    pub fn folder(&self) -> PathBuf {
        self.new_folder().unwrap_or_else(|| panic!("the run has no folder yet"))
    }

    fn new_folder(&self) -> Option<PathBuf> {
        self.folder.clone().or_else(|| self.env.runs().into_iter().find(|run| !self.known.contains(run)))
    }

    /// The results so far.
    ///
    /// # Panics
    /// If they cannot be read.
    #[track_caller]
    pub fn results(&self) -> Value {
        results(&self.folder())
    }

    /// Waits until the run's journal has `text` in it.
    ///
    /// # Panics
    /// If that does not happen within a minute.
    #[track_caller]
    pub fn reached(&mut self, text: &str) -> &mut Self {
        until(&format!("the journal says {text}"), || self.new_folder().is_some_and(|run| journal(&run).contains(text)));
        self.folder = self.new_folder();
        self
    }

    /// Sends a signal to taster by its name, such as `TERM`.
    ///
    /// # Panics
    /// If taster has ended.
    #[track_caller]
    pub fn signal(&mut self, name: &str) -> &mut Self {
        signal(self.pid(), name);
        self
    }

    /// Kills taster and leaves its guardian alive.
    ///
    /// # Panics
    /// If that fails.
    pub fn kill(&mut self) {
        // `kill` of the standard library is SIGKILL.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Kills taster and its guardian: nothing cleans up after the run.
    ///
    /// # Panics
    /// If the run has no guardian.
    pub fn kill_with_guardian(&mut self) {
        // A stopped run starts no other guardian.
        self.signal("STOP");
        let guardians = self.env.guardians();
        assert!(!guardians.is_empty(), "the run has a guardian");
        guardians.into_iter().for_each(|guardian| signal(guardian, "KILL"));
        self.kill();
    }

    /// Waits for the end of the run.
    ///
    /// # Panics
    /// If it does not end, or leaves no results.
    #[track_caller]
    pub fn finish(self) -> FinishedRun<'a> {
        let Self { env, child, known, folder } = self;
        FinishedRun::new(env, CommandOutput::after(child), &known, folder)
    }

    /// Waits a minute at most for the end of the run.
    ///
    /// # Panics
    /// If it does not end within a minute, or leaves no results.
    #[track_caller]
    pub fn finish_soon(self) -> FinishedRun<'a> {
        let Self { env, child, known, folder } = self;
        FinishedRun::new(env, CommandOutput::soon(child), &known, folder)
    }

    /// Waits for the end of the run and expects this verdict.
    ///
    /// # Panics
    /// If the verdict or the exit code is another one.
    #[track_caller]
    pub fn expect(self, outcome: Outcome) -> FinishedRun<'a> {
        self.finish().expect(outcome)
    }

    /// The run, which has ended with this exit code and this output under a process that is gone.
    ///
    /// # Panics
    /// If it has left no results.
    #[track_caller]
    pub fn finished_with(self, code: Option<i32>, out: String) -> FinishedRun<'a> {
        FinishedRun::new(self.env, CommandOutput { code, out, err: String::new() }, &self.known, self.folder)
    }
}

/// A run that has ended, with its results. Each expectation panics where it does not hold.
#[derive(Debug)]
pub struct FinishedRun<'a> {
    env: &'a TestEnv<'a>,
    /// Its exit code and output.
    pub output: CommandOutput,
    /// Its folder.
    pub folder: PathBuf,
    /// Its results.
    pub results: Value,
    /// The step that the last expectation named.
    step: Option<String>,
}

impl<'a> FinishedRun<'a> {
    #[track_caller]
    fn new(env: &'a TestEnv<'a>, output: CommandOutput, known: &[PathBuf], folder: Option<PathBuf>) -> Self {
        let folder = folder.or_else(|| env.runs().into_iter().find(|run| !known.contains(run)));
        let Some(folder) = folder else { panic!("there is no run:\n{output}") };
        if !folder.join("results.json").exists() {
            panic!("the run has no results:\n{output}");
        }
        let results = results(&folder);
        Self { env, output, folder, results, step: None }
    }

    /// Panics with `problem`, the output and the results.
    #[track_caller]
    fn fail(&self, problem: &str) -> ! {
        panic!("{problem}\n\n{}\n{}/results.json: {:#}", self.output, self.folder.display(), self.results)
    }

    /// Expects that `holds`.
    #[track_caller]
    fn ensure(self, holds: bool, problem: impl FnOnce(&Self) -> String) -> Self {
        if !holds {
            self.fail(&problem(&self));
        }
        self
    }

    /// The entry of a step in the results.
    #[track_caller]
    pub fn entry(&self, step: &str) -> &Value {
        find_step(&self.results, step).unwrap_or_else(|| self.fail(&format!("the results have no step {step}")))
    }

    /// The entry of the step that was named last.
    #[track_caller]
    fn named(&self) -> (&str, &Value) {
        let Some(step) = self.step.as_deref() else { panic!("`step` names the step first") };
        (step, self.entry(step))
    }

    /// Expects this verdict in the results, the output and the exit code.
    #[track_caller]
    pub fn expect(self, outcome: Outcome) -> Self {
        let verdict = self.results["verdict"]["outcome"].as_str().unwrap_or_default().to_owned();
        let code = match outcome {
            Outcome::Green => self.output.code == Some(0),
            Outcome::Red => self.output.code == Some(1),
            Outcome::Inconclusive => !matches!(self.output.code, None | Some(0 | 1)),
        };
        let same = self.output.code.is_none_or(|code| self.results["exit_code"] == code);
        self.ensure(verdict == outcome.to_string(), |_| format!("the verdict is {verdict}, not {outcome}"))
            .ensure(code && same, |run| format!("{outcome} does not fit the exit code {:?}", run.output.code))
            .says(&format!("{outcome} ("))
    }

    /// Expects this exit code.
    #[track_caller]
    pub fn exit(self, code: i32) -> Self {
        let holds = self.output.code == Some(code);
        self.ensure(holds, |run| format!("the exit code is {:?}, not {code}", run.output.code))
    }

    /// Expects `text` in the output.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let holds = self.output.contains(text);
        self.ensure(holds, |_| format!("the output lacks {text:?}"))
    }

    /// Expects that the output is without `text`.
    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        let holds = !self.output.contains(text);
        self.ensure(holds, |_| format!("the output has {text:?}"))
    }

    /// Expects a value of the results, by its JSON pointer.
    #[track_caller]
    pub fn value(self, pointer: &str, expected: impl Into<Value>) -> Self {
        let expected = expected.into();
        let found = self.results.pointer(pointer).cloned().unwrap_or(Value::Null);
        self.ensure(found == expected, |_| format!("{pointer} is {found}, not {expected}"))
    }

    /// Expects the owner of the verdict.
    #[track_caller]
    pub fn owner(self, owner: &str) -> Self {
        self.value("/owner", owner)
    }

    /// Expects the level.
    #[track_caller]
    pub fn level(self, level: u32) -> Self {
        self.value("/level", level)
    }

    /// Expects how many deploys there were.
    #[track_caller]
    pub fn deploys(self, count: u32) -> Self {
        self.value("/deploys", count)
    }

    /// Expects which version runs in the end: `base`, `head` or `mixed`.
    #[track_caller]
    pub fn ends_on(self, subject: &str) -> Self {
        self.value("/runs", subject)
    }

    /// Expects the status of a tier.
    #[track_caller]
    pub fn tier(self, tier: &str, status: Status) -> Self {
        self.value(&format!("/results/{tier}"), status.to_string())
    }

    /// Expects the status of a rung.
    #[track_caller]
    pub fn rung(self, rung: &str, status: Status) -> Self {
        self.value(&format!("/rungs/{rung}"), status.to_string())
    }

    /// Expects the status of a step. Further expectations on a step speak of this one.
    #[track_caller]
    pub fn step(mut self, step: &str, status: Status) -> Self {
        let found = self.entry(step)["status"].as_str().unwrap_or_default().to_owned();
        self.step = Some(step.into());
        self.ensure(found == status.to_string(), |_| format!("{step} is {found}, not {status}"))
    }

    /// Expects the status of each of these steps.
    #[track_caller]
    pub fn steps(self, steps: &[&str], status: Status) -> Self {
        steps.iter().fold(self, |run, step| run.step(step, status))
    }

    /// Expects a value of the step's entry, by its JSON pointer.
    #[track_caller]
    pub fn step_value(self, pointer: &str, expected: impl Into<Value>) -> Self {
        let expected = expected.into();
        let (step, entry) = self.named();
        let (step, found) = (step.to_owned(), entry.pointer(pointer).cloned().unwrap_or(Value::Null));
        self.ensure(found == expected, |_| format!("{pointer} of {step} is {found}, not {expected}"))
    }

    /// Expects the owner of the step's failure.
    #[track_caller]
    pub fn owned_by(self, owner: &str) -> Self {
        self.step_value("/owner", owner)
    }

    /// Expects the cause of the step's failure.
    #[track_caller]
    pub fn cause(self, cause: &str) -> Self {
        self.step_value("/outcome/detail/cause/cause", cause)
    }

    /// Expects the gap that kept the step from being verified.
    #[track_caller]
    pub fn gap(self, gap: &str) -> Self {
        self.step_value("/outcome/detail/gap", gap)
    }

    /// Expects `text` in the message of the step's failure.
    #[track_caller]
    pub fn message(self, text: &str) -> Self {
        let (step, found) = (self.named().0.to_owned(), self.failure()["message"].as_str().unwrap_or_default().to_owned());
        self.ensure(found.contains(text), |_| format!("the message of {step} lacks {text:?}"))
    }

    /// The failure of the step that was named last.
    #[track_caller]
    pub fn failure(&self) -> &Value {
        &self.named().1["outcome"]["detail"]
    }

    /// Expects `text` among the remarks.
    #[track_caller]
    pub fn remark(self, text: &str) -> Self {
        let holds = self.remarks().any(|remark| remark.contains(text));
        self.ensure(holds, |_| format!("no remark has {text:?}"))
    }

    /// Expects that no remark has `text`.
    #[track_caller]
    pub fn no_remark(self, text: &str) -> Self {
        let holds = !self.remarks().any(|remark| remark.contains(text));
        self.ensure(holds, |_| format!("a remark has {text:?}"))
    }

    fn remarks(&self) -> impl Iterator<Item = &str> {
        self.results["remarks"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// Expects the statuses of a canary at these moments and at no others.
    #[track_caller]
    pub fn canary(self, name: &str, expected: &[(Moment, Status)]) -> Self {
        let expected: serde_json::Map<String, Value> =
            expected.iter().map(|(moment, status)| (moment.to_string(), status.to_string().into())).collect();
        let canaries = self.results["canaries"].as_array().into_iter().flatten();
        let Some(canary) = canaries.into_iter().find(|canary| canary["name"] == name) else {
            self.fail(&format!("there is no canary {name:?}"))
        };
        let seen = canary["seen"].as_object().into_iter().flatten();
        let found: serde_json::Map<String, Value> = seen.map(|(moment, seen)| (moment.clone(), seen["status"].clone())).collect();
        self.ensure(found == expected, |_| format!("the canary {name:?} is {found:?}, not {expected:?}"))
    }

    /// Expects the status of a canary at a moment.
    #[track_caller]
    pub fn canary_at(self, name: &str, moment: Moment, status: Status) -> Self {
        let canaries = self.results["canaries"].as_array().into_iter().flatten();
        let canary = canaries.into_iter().find(|canary| canary["name"] == name);
        let found = canary.map(|canary| canary["seen"][moment.to_string()]["status"].clone()).unwrap_or_default();
        self.ensure(found == status.to_string(), |_| format!("the canary {name:?} is {found} {moment}, not {status}"))
    }

    /// Expects `text` in a file of the run's folder.
    #[track_caller]
    pub fn file(self, name: &str, text: &str) -> Self {
        let found = self.read(name);
        self.ensure(found.contains(text), |_| format!("{name} lacks {text:?}:\n{found}"))
    }

    /// The text of a file of the run's folder.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_else(|error| self.fail(&format!("{name}: {error}")))
    }

    /// Expects that `holds` of the results.
    #[track_caller]
    pub fn that(self, what: &str, holds: impl FnOnce(&Value) -> bool) -> Self {
        let holds = holds(&self.results);
        self.ensure(holds, |_| format!("it does not hold that {what}"))
    }

    /// Expects that nothing of the run is left, according to its output, its results, docker, its folder and its journal.
    #[track_caller]
    pub fn nothing_left(self) -> Self {
        let run = self.says("left behind: nothing").value("/claimed", Value::Array(Vec::new()));
        run.env.assert_nothing_left();
        run
    }
}

/// The entry of a step in results: within its tier, or among the steps that belong to no tier.
pub fn find_step<'r>(results: &'r Value, name: &str) -> Option<&'r Value> {
    let stages = results["stages"].as_array().into_iter().flatten();
    let within = stages.flat_map(|stage| stage["steps"].as_array().into_iter().flatten());
    let beside = results["steps"].as_array().into_iter().flatten();
    within.chain(beside).find(|step| step["name"] == name)
}
