//! The program of a pack behind the port: one process for each function.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{
    browser,
    spawn::{Launch, Launcher, not_run},
};
use crate::{
    disk::plain_file::{self, DOCUMENT_LIMIT, Links, SETTINGS_LIMIT},
    model::{
        pack::TestName,
        protocol::{Answer, Attachment, FunctionContext, MEMORY, PROTOCOL, SECRET_FILE_PREFIX, is_attachable},
        tested_app::TestedApp,
        time::format_duration,
    },
    ports::{AttachedFile, AttachmentError, ChildRegister, Exited, ProgramError, Ran, RunFolder, TestProgram},
    redact::Redact,
};

pub use super::spawn::ProgramSetup;

/// The largest attachment that is kept, in bytes.
const MAX_ATTACHMENT_BYTES: u64 = 10 << 20;
/// The part of the budget of a process that its function does not get, so that the function can still report why it ends.
const REPORT_TIME: Duration = Duration::from_secs(2);

/// The program of a pack.
pub struct PackProgram {
    launcher: Launcher,
    calls: AtomicU32,
}

impl PackProgram {
    /// The program of one run's pack. `children` registers each process before it acts; `redact` learns the secrets that the pack
    /// generates.
    pub fn new(setup: ProgramSetup, children: Arc<dyn ChildRegister>, redact: Arc<Redact>) -> Self {
        Self { launcher: Launcher::new(setup, children, redact), calls: AtomicU32::new(0) }
    }

    /// Runs the program with these arguments of libtest to its end.
    async fn run(
        &self,
        args: &[&str],
        doing: String,
        context: Option<&Path>,
        budget: Duration,
    ) -> Result<(Exited, Vec<u8>), ProgramError> {
        let setup = &self.launcher.setup;
        let argv = setup.program.iter().cloned().chain(args.iter().map(OsString::from)).collect();
        let launch = Launch { argv, limits: Vec::new(), home: setup.home.clone(), doing, context, input: b"" };
        self.launcher.run(launch, budget).await
    }

    /// Writes the context of call `number`. No earlier call has the same file for its answer.
    fn write_context(
        &self,
        number: u32,
        TestedApp { head, images }: TestedApp<'_>,
        budget: Duration,
    ) -> io::Result<(PathBuf, FunctionContext)> {
        let setup = &self.launcher.setup;
        let work_dir = self.launcher.create_work_dir()?;
        let own = work_dir.join(MEMORY);
        if let Some(memory) = setup.memory.as_ref().filter(|memory| memory.is_file() && !own.exists()) {
            fs::copy(memory, own)?;
        }
        let host = &setup.host;
        let context = FunctionContext {
            version: PROTOCOL,
            recipe: head.recipe.clone(),
            run: setup.folder.run().clone(),
            domain: head.domain.clone(),
            stack: head.stack.clone(),
            images: images.clone(),
            zone: host.zone.clone(),
            ingress: host.ingress,
            ca: host.ca.clone(),
            engine: host.engine.clone(),
            browser: browser::find(&setup.path),
            budget_ms: u64::try_from(budget.as_millis()).unwrap_or(u64::MAX),
            answer: work_dir.join(format!("{number:03}-answer.json")),
            work_dir: work_dir.clone(),
        };
        let file = work_dir.join(format!("{number:03}-context.json"));
        fs::write(&file, serde_json::to_vec(&context)?)?;
        Ok((file, context))
    }

    /// Learns the secrets that functions generated or read, also those of a function without an answer.
    fn learn_secrets(&self) {
        for entry in fs::read_dir(self.launcher.work_dir()).into_iter().flatten().flatten() {
            let hidden = entry.file_name().to_string_lossy().starts_with(SECRET_FILE_PREFIX);
            if let Some(value) =
                hidden.then(|| plain_file::read_text(&entry.path(), SETTINGS_LIMIT, Links::Refused).ok()).flatten()
            {
                self.launcher.redact.learn(&value);
            }
        }
    }
}

#[async_trait]
impl TestProgram for PackProgram {
    async fn list(&self, budget: Duration) -> Result<BTreeSet<TestName>, ProgramError> {
        let (exited, raw) = self.run(&["--list", "--format", "terse"], "pack, list of tests".into(), None, budget).await?;
        let text = String::from_utf8_lossy(&raw).into_owned();
        match exited {
            Exited::Code(0) => Ok(parse_list(&text)),
            other => {
                let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no output");
                let message = format!("{}: {}", format_exit(other), self.launcher.redact.text(last));
                Err(ProgramError::Unlisted { message })
            }
        }
    }

    async fn run_one(&self, test: &TestName, app: TestedApp<'_>, budget: Duration) -> Result<Ran, ProgramError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let own = budget.saturating_sub(REPORT_TIME).max(budget / 2);
        let (file, context) = self.write_context(number, app, own).map_err(not_run)?;
        let args = [test.as_str(), "--exact", "--test-threads", "1", "--color", "never"];
        let doing = format!("{}, {test}", self.launcher.setup.work_dir);
        let (exited, raw) = self.run(&args, doing, Some(&file), budget).await?;
        self.learn_secrets();
        let answer = read_answer(&context.answer);
        let attachments =
            answer.iter().flat_map(|answer| &answer.attachments).map(|file| attached(&context.work_dir, file)).collect();
        Ok(Ran { exited, answer, output: self.launcher.redacted(&raw), attachments })
    }
}

/// The answer of a function; `None` when it is missing or cannot be read.
fn read_answer(file: &Path) -> Option<Answer> {
    let answer: Answer = serde_json::from_slice(&plain_file::read(file, DOCUMENT_LIMIT, Links::Refused).ok()?).ok()?;
    (answer.version == PROTOCOL).then_some(answer)
}

fn format_exit(exited: Exited) -> String {
    match exited {
        Exited::Code(code) => format!("it ended with exit code {code}"),
        Exited::Signal(signal) => format!("it was ended by signal {signal}"),
        Exited::Deadline(after) => format!("it did not end within {}", format_duration(after)),
    }
}

/// Reads a file that a function left for the results. Only a plain file in the folder of the tests is read, because an answer may
/// name any path.
fn attached(work_dir: &Path, left: &Attachment) -> AttachedFile {
    let read = || {
        if !is_attachable(&left.name) || left.file.parent() != Some(work_dir) {
            return Err(AttachmentError::Misplaced);
        }
        let unreadable = |error: io::Error| AttachmentError::Unreadable { message: error.to_string() };
        let kind = fs::symlink_metadata(&left.file).map_err(unreadable)?;
        match kind.is_file() && kind.len() <= MAX_ATTACHMENT_BYTES {
            true => plain_file::read(&left.file, MAX_ATTACHMENT_BYTES, Links::Refused).map_err(unreadable),
            false => Err(AttachmentError::Unfit { most_mib: MAX_ATTACHMENT_BYTES >> 20 }),
        }
    };
    AttachedFile { name: left.name.clone(), bytes: read() }
}

/// The names of the tests in the output of `--list --format terse`. Other lines come from the program itself.
fn parse_list(text: &str) -> BTreeSet<TestName> {
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(TestName::reported).collect()
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::{
        adapters::{folder::Folder, no_child_register::NoChildRegister},
        model::host::Host,
    };

    #[test]
    fn attachment_outside_the_folder_of_the_tests_is_not_read() {
        let outside = tempfile::tempdir().unwrap();
        let work_dir = outside.path().join("work_dir");
        fs::create_dir(&work_dir).unwrap();
        for file in [outside.path().join("passwd"), work_dir.join("page.html")] {
            fs::write(file, "text").unwrap();
        }
        std::os::unix::fs::symlink(outside.path().join("passwd"), work_dir.join("link")).unwrap();
        for (name, file, kept) in [
            ("page.html", work_dir.join("page.html"), true),
            ("../page.html", work_dir.join("page.html"), false),
            ("page.html", work_dir.join("../passwd"), false),
            ("page.html", outside.path().join("passwd"), false),
            ("page.html", work_dir.join("link"), false),
            ("page.html", work_dir.join("nothing"), false),
        ] {
            let attached = attached(&work_dir, &Attachment { name: name.into(), file: file.clone() });
            assert_eq!(attached.bytes.is_ok(), kept, "{name} {}: {attached:?}", file.display());
        }
    }

    #[tokio::test]
    async fn detached_process_that_keeps_writing_does_not_delay_the_result() {
        const SHIM: &str = "while [ \"$1\" != -- ]; do shift; done; shift; read go; exec \"$@\"";
        // Another session, an empty environment and no parent. It ends by itself once its output has no reader.
        const PROGRAM: &str = "env -i setsid sh -c 'while echo word; do >away; sleep 0.02; done' & \
                               until [ -e away ]; do sleep 0.02; done; echo 'it is listed: test'";
        let state = tempfile::tempdir().unwrap();
        let argv = |args: &[&str]| args.iter().map(OsString::from).collect::<Vec<_>>();
        let setup = ProgramSetup {
            program: argv(&["sh", "-c", PROGRAM, "program"]),
            shim: argv(&["sh", "-c", SHIM, "shim"]),
            folder: Folder::of(state.path(), &"20261121-101502-k3v7q2m7".parse().unwrap()),
            host: Host::parse("zone = \"taster.test\"").unwrap(),
            home: state.path().to_owned(),
            path: "/usr/local/bin:/usr/bin:/bin".into(),
            work_dir: "pack",
            memory: None,
        };
        let program = PackProgram::new(setup, Arc::new(NoChildRegister), Arc::new(Redact::new()));
        let names = timeout(Duration::from_secs(60), program.list(Duration::from_secs(30))).await.unwrap().unwrap();
        assert_eq!(names.iter().map(TestName::as_str).collect::<Vec<_>>(), ["it is listed"]);
    }

    #[test]
    fn list_of_tests_ignores_other_lines() {
        let names = parse_list("posts::a: b: test\ncanary::x::seed: test\nsome::bench: benchmark\n\nwarning: nothing\n");
        assert_eq!(names.iter().map(TestName::as_str).collect::<Vec<_>>(), ["canary::x::seed", "posts::a: b"]);
    }
}
