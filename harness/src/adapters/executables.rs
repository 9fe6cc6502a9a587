//! Custom tests that are executables. They start through the shim like the functions of a pack, with limits on memory and time.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::spawn::{Launch, Launcher, ProgramSetup, not_run};
use crate::{
    model::{
        names::RecipeName,
        pack::{CustomTest, Origin},
        protocol::{ExecutableContext, PROTOCOL},
        tested_app::TestedApp,
    },
    ports::{ChildRegister, Executables, ProgramError, Ran, RunFolder},
    pure::recipe::executables::{FileKind, KIND_LINES, SeenFile, TESTS},
    redact::Redact,
};

/// The private memory that each process of a test may have, in bytes.
pub const MEMORY: u64 = 2 << 30;
/// The part of a file that decides its kind, in bytes.
const FIRST_BYTES: u64 = 4 << 10;

/// The folders that hold executables.
#[derive(Debug, Clone, Default)]
pub struct ExecutableFolders {
    /// The folder whose `tests/` replaces that of the run's checkout.
    pub repository: Option<PathBuf>,
    /// The folder that the request names.
    pub folder: Option<PathBuf>,
}

/// The executables of one run.
pub struct TestExecutables {
    launcher: Launcher,
    folders: ExecutableFolders,
    calls: AtomicU32,
}

impl TestExecutables {
    /// The executables in `folders`. `setup` gives their environment; its program is not used.
    pub fn new(setup: ProgramSetup, folders: ExecutableFolders, children: Arc<dyn ChildRegister>, redact: Arc<Redact>) -> Self {
        Self { launcher: Launcher::new(setup, children, redact), folders, calls: AtomicU32::new(0) }
    }

    /// The folder that the paths of files of `origin` are relative to.
    fn root(&self, origin: Origin) -> Option<PathBuf> {
        match origin {
            Origin::Pack => None,
            Origin::Repository => {
                Some(self.folders.repository.clone().unwrap_or_else(|| self.launcher.setup.folder.executables()))
            }
            Origin::Folder => self.folders.folder.clone(),
        }
    }

    /// Writes the context of call `number` and returns the file and its content.
    fn write_context(
        &self,
        number: u32,
        TestedApp { head, images }: TestedApp<'_>,
        budget: Duration,
    ) -> io::Result<(PathBuf, Vec<u8>)> {
        let work_dir = self.launcher.create_work_dir()?;
        let ProgramSetup { host, folder, .. } = &self.launcher.setup;
        let context = ExecutableContext {
            version: PROTOCOL,
            recipe: head.recipe.clone(),
            run: folder.run().clone(),
            domain: head.domain.clone(),
            url: format!("https://{}", head.domain),
            stack: head.stack.clone(),
            images: images.clone(),
            ingress: host.ingress,
            ca: host.ca.clone(),
            engine: host.engine.clone(),
            budget_ms: u64::try_from(budget.as_millis()).unwrap_or(u64::MAX),
            work_dir: work_dir.clone(),
        };
        let file = work_dir.join(format!("{number:03}-executable.json"));
        let text = serde_json::to_vec(&context)?;
        fs::write(&file, &text)?;
        Ok((file, text))
    }
}

#[async_trait]
impl Executables for TestExecutables {
    async fn find(&self, recipe: &RecipeName, origin: Origin) -> Result<Vec<SeenFile>, ProgramError> {
        let Some(root) = self.root(origin) else { return Ok(Vec::new()) };
        if origin == Origin::Repository && self.folders.repository.is_none() {
            let checkout = self.launcher.setup.folder.abra_dir().join("recipes").join(recipe.as_str()).join(TESTS);
            copy(&checkout, &root.join(TESTS)).map_err(not_run)?;
        }
        let below = if origin == Origin::Repository { TESTS } else { "" };
        let mut files = Vec::new();
        gather(&root, below, &mut files).map_err(not_run)?;
        Ok(files)
    }

    async fn execute(&self, test: &CustomTest, app: TestedApp<'_>, budget: Duration) -> Result<Ran, ProgramError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let (context, input) = self.write_context(number, app, budget).map_err(not_run)?;
        let root = self.root(test.origin).ok_or_else(|| not_run(io::Error::other("it is not an executable")))?;
        let seconds = budget.as_secs().max(1).to_string();
        let launch = Launch {
            argv: vec![root.join(&test.file).into()],
            limits: vec!["--memory".into(), MEMORY.to_string().into(), "--seconds".into(), OsString::from(seconds)],
            home: self.launcher.work_dir(),
            doing: format!("executable, {}", test.name),
            context: Some(&context),
            input: &input,
        };
        let (exited, raw) = self.launcher.run(launch, budget).await?;
        Ok(Ran { exited, answer: None, output: self.launcher.redacted(&raw), attachments: Vec::new() })
    }
}

/// Adds all files below `root`/`below` to `files`, recursively. Links to folders are not followed.
pub fn gather(root: &Path, below: &str, files: &mut Vec<SeenFile>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(below)) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if name != ".git" {
                gather(root, &path, files)?;
            }
            continue;
        }
        let executable = kind.is_file() && entry.metadata()?.permissions().mode() & 0o111 != 0;
        let (kind, first) = match (kind.is_file(), executable) {
            (false, _) => (FileKind::Special, String::new()),
            (true, false) => (FileKind::Plain, String::new()),
            (true, true) => (FileKind::Executable, first_lines(&entry.path())?),
        };
        files.push(SeenFile { path, kind, first });
    }
    Ok(())
}

fn first_lines(path: &Path) -> io::Result<String> {
    let lines = BufReader::new(fs::File::open(path)?.take(FIRST_BYTES)).split(b'\n').take(KIND_LINES);
    let lines: Vec<String> = lines.map(|line| Ok(String::from_utf8_lossy(&line?).into_owned())).collect::<io::Result<_>>()?;
    Ok(lines.join("\n"))
}

/// Copies a folder recursively if it exists. Links stay links.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() || from.is_symlink() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
