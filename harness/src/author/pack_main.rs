//! A pack's test program: it accepts libtest's `--list --format terse` and `<name> --exact`, and writes an answer file for the
//! run.

use std::{
    ffi::OsString,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use futures_util::FutureExt;
use libtest_mimic::{Arguments, Completion, Failed as Reported, Trial};

use super::{
    ConfigureContext, Function, Linked, TestContext, TestError,
    lifecycle::{Canary, Check, Hook, Lifecycle},
    linked::stem,
    test_error::Kind,
};
use crate::{
    disk::plain_file::{self, DOCUMENT_LIMIT, Links},
    model::{
        pack::{CanaryAct, Database, TestName},
        protocol::{Answer, AppConfiguration, Ended, FunctionContext, InsertedSecret, PROTOCOL, SECRET_FILE_PREFIX},
    },
};

/// The exit code for an invalid pack.
const BAD_PACK: u8 = 2;
/// The pause between two polls of a readiness probe.
const PROBE_PAUSE: Duration = Duration::from_millis(250);

/// Runs the functions of a pack that libtest's `args` select. `context` is the context file of the run; without one only `--list`
/// works, and every function fails.
pub fn main(pack: &Linked, context: Option<&Path>, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let databases = match pack.pack() {
        Ok(pack) => pack.settings.databases,
        Err(error) => {
            say(&error.to_string());
            return ExitCode::from(BAD_PACK);
        }
    };
    let args = std::iter::once(OsString::from(pack.name)).chain(args);
    let mut arguments = Arguments::from_iter(args);
    // Functions of one run share an app, so they run one after another.
    arguments.test_threads = Some(1);
    let context = context.map(Path::to_owned);
    let trials = functions(pack).into_iter().map(|(name, work)| {
        let (context, databases) = (context.clone(), databases.clone());
        Trial::ignorable_test(name.as_str(), move || reported(run(context.as_deref(), databases, work)))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// The kind of a pack's function.
pub(super) enum Work {
    Function(Function),
    /// A probe that is polled until it succeeds.
    Probe(Function),
    Configure(Hook),
}

/// All functions of a pack by name, in the order of a run.
fn functions(pack: &Linked) -> Vec<(TestName, Work)> {
    let lifecycle = pack.lifecycle.map(|lifecycle| lifecycle()).unwrap_or_default();
    let Lifecycle { configure, ready, canaries, checks } = lifecycle;
    let mut all = Vec::new();
    all.extend(configure.map(|hook| (TestName::reported(TestName::CONFIGURE), Work::Configure(hook))));
    all.extend(ready.map(|probe| (TestName::reported(TestName::READY), Work::Probe(probe))));
    for Canary { name, seed, check, corrupt } in canaries {
        let acts = CanaryAct::ALL.into_iter().zip([seed, check, corrupt]);
        all.extend(acts.map(|(act, function)| (TestName::of_canary(name, act), Work::Function(function))));
    }
    all.extend(checks.into_iter().map(|Check { tier, name, run }| (TestName::of_check(tier, name), Work::Function(run))));
    for (file, suite) in pack.suites {
        let tests = suite().into_tests().into_iter();
        all.extend(tests.map(|test| (TestName::of_test(stem(file), test.name), Work::Function(test.run))));
    }
    all
}

/// Runs one function and writes the answer. The error is a failure to write it.
pub(super) fn run(context: Option<&Path>, databases: Vec<Database>, work: Work) -> Result<Ended, String> {
    let file = context.ok_or("there is no context: TASTER_CONTEXT names the file that a run writes")?;
    let text = plain_file::read(file, DOCUMENT_LIMIT, Links::Followed)
        .map_err(|error| format!("the context {} cannot be read: {error}", file.display()))?;
    let context: FunctionContext =
        serde_json::from_slice(&text).map_err(|error| format!("the context {} is not valid: {error}", file.display()))?;
    if context.version != PROTOCOL {
        return Err(format!("the context is of version {}, and this program knows version {PROTOCOL}", context.version));
    }
    let cx = TestContext::of(context.clone(), databases);
    let mut configuration = None;
    let ended = match catch_unwind(AssertUnwindSafe(|| perform(&cx, &context, work, &mut configuration))) {
        Ok(ended) => ended?,
        Err(panic) => Ended::Panicked { sentence: panic_message(&*panic) },
    };
    let (notes, attachments) = (cx.taken_notes(), cx.taken_attachments());
    let answer = Answer { version: PROTOCOL, ended: ended.clone(), notes, attachments, configuration };
    leave(&context, &answer).map_err(|error| format!("the answer cannot be written: {error}"))?;
    Ok(ended)
}

fn perform(
    cx: &TestContext,
    context: &FunctionContext,
    work: Work,
    configuration: &mut Option<AppConfiguration>,
) -> Result<Ended, String> {
    let budget = Duration::from_millis(context.budget_ms);
    let function = async {
        match work {
            Work::Function(function) => Ok::<_, String>(function(cx.clone()).await),
            Work::Probe(probe) => {
                Ok(cx.until(budget.saturating_sub(PROBE_PAUSE), "the app is ready", async || probe(cx.clone()).await).await)
            }
            Work::Configure(hook) => {
                let mut app = ConfigureContext::of(context.domain.clone(), context.run.clone());
                let done = hook(&mut app);
                *configuration =
                    Some(app_configuration(context, app).map_err(|error| format!("the secrets cannot be kept: {error}"))?);
                Ok(done)
            }
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        // A panic is caught inside of the runtime, so that evidence can still be gathered.
        let done = tokio::time::timeout(budget, AssertUnwindSafe(function).catch_unwind()).await;
        let ended = match done {
            Err(_) => Ended::TimedOut { after_ms: context.budget_ms },
            Ok(Err(panic)) => Ended::Panicked { sentence: panic_message(&*panic) },
            Ok(Ok(done)) => match cx.collected().with(done?) {
                Ok(()) => Ended::Passed,
                Err(failed) => match failed.kind() {
                    Kind::Assertion => ended(&failed),
                    Kind::NotApplicable => Ended::NotApplicable { reason: failed.sentence().to_owned() },
                    Kind::Unwritten => Ended::Unwritten,
                    Kind::ToolAbsent => Ended::ToolAbsent { what: failed.sentence().to_owned() },
                },
            },
        };
        cx.evidence().gather(context, &ended).await;
        Ok(ended)
    })
}

fn ended(failed: &TestError) -> Ended {
    let at = Some(failed.at().to_owned()).filter(|at| !at.is_empty());
    Ended::Failed { sentence: failed.sentence().to_owned(), at }
}

/// The app configuration as data. The values of its secrets go into files of their own.
fn app_configuration(context: &FunctionContext, app: ConfigureContext) -> std::io::Result<AppConfiguration> {
    let mut secrets = Vec::new();
    for (number, (name, version, value)) in app.secrets.into_iter().enumerate() {
        // A temporary file is readable for its owner only.
        let mut file =
            tempfile::Builder::new().prefix(&format!("{SECRET_FILE_PREFIX}{number}-")).tempfile_in(&context.work_dir)?;
        file.write_all(value.as_bytes())?;
        let (_, file) = file.keep().map_err(|error| error.error)?;
        secrets.push(InsertedSecret { name, version, file });
    }
    Ok(AppConfiguration { env: app.env, secrets, files: app.files })
}

/// Writes the answer atomically.
fn leave(context: &FunctionContext, answer: &Answer) -> std::io::Result<()> {
    let folder = context.answer.parent().unwrap_or(Path::new("."));
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(&serde_json::to_vec(answer)?)?;
    draft.persist(&context.answer)?;
    Ok(())
}

/// The result for libtest's own report. A run reads the answer file instead.
fn reported(ended: Result<Ended, String>) -> Result<Completion, Reported> {
    match ended? {
        Ended::Passed => Ok(Completion::Completed),
        Ended::NotApplicable { reason } => Ok(Completion::ignored_with(reason)),
        Ended::Unwritten => Ok(Completion::ignored_with("it is not written yet")),
        Ended::Failed { sentence, at } => Err(at.map_or(sentence.clone(), |at| format!("{sentence} ({at})")).into()),
        Ended::ToolAbsent { what } => Err(format!("not verified: {what}").into()),
        Ended::Panicked { sentence } => Err(format!("panicked: {sentence}").into()),
        Ended::TimedOut { after_ms } => Err(format!("did not end within {after_ms} ms").into()),
    }
}

/// The message of a panic.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".to_owned())
}

pub(super) fn say(sentence: &str) {
    let _ = writeln!(std::io::stderr(), "{sentence}");
}
