//! Custom tests that are executables, started through the shim like the functions of a pack, with limits besides.

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

use super::program::{Launch, PackProgram, Setup};
use crate::{
    model::{
        head::Head,
        names::RecipeName,
        pack::{CustomTest, Origin},
        protocol::{ExecutableContext, PROTOCOL},
    },
    ports::{ChildRegister, Executables, ProgramError, Ran, RunFolder},
    pure::recipe::executables::{FileKind, KIND_LINES, SeenFile, TESTS},
    redact::Redact,
};

/// How much memory of its own each process of a test may have, in bytes.
pub const MEMORY: u64 = 2 << 30;
/// How much of a file is read to find its kind, in bytes.
const FIRST_BYTES: u64 = 4 << 10;

/// Where executables are.
#[derive(Debug, Clone, Default)]
pub struct ExecutableFolders {
    /// The folder whose `tests/` is the repository's, when it is not what the run has checked out.
    pub repository: Option<PathBuf>,
    /// The folder that the request names.
    pub folder: Option<PathBuf>,
}

/// The executables of one run.
pub struct TestExecutables {
    program: PackProgram,
    setup: Setup,
    folders: ExecutableFolders,
    calls: AtomicU32,
}

impl TestExecutables {
    /// The executables at `folders`, started as `setup` says; its program is not used.
    pub fn new(setup: Setup, folders: ExecutableFolders, children: Arc<dyn ChildRegister>, redact: Arc<Redact>) -> Self {
        let program = PackProgram::new(setup.clone(), children, redact);
        Self { program, setup, folders, calls: AtomicU32::new(0) }
    }

    /// The folder that the paths of files of `origin` begin at.
    fn root(&self, origin: Origin) -> Option<PathBuf> {
        match origin {
            Origin::Pack => None,
            Origin::Repository => Some(self.folders.repository.clone().unwrap_or_else(|| self.setup.folder.executables())),
            Origin::Folder => self.folders.folder.clone(),
        }
    }

    fn context(&self, number: u32, head: &Head, budget: Duration) -> io::Result<(PathBuf, Vec<u8>)> {
        let room = self.program.room();
        fs::create_dir_all(&room)?;
        let host = &self.setup.host;
        let context = ExecutableContext {
            version: PROTOCOL,
            recipe: head.recipe.clone(),
            run: self.setup.folder.run().clone(),
            domain: head.domain.clone(),
            url: format!("https://{}", head.domain),
            stack: head.stack.clone(),
            ingress: host.ingress,
            ca: host.ca.clone(),
            engine: host.engine.clone(),
            budget_ms: u64::try_from(budget.as_millis()).unwrap_or(u64::MAX),
            room: room.clone(),
        };
        let file = room.join(format!("{number:03}-executable.json"));
        let text = serde_json::to_vec(&context)?;
        fs::write(&file, &text)?;
        Ok((file, text))
    }
}

#[async_trait]
impl Executables for TestExecutables {
    async fn find(&self, recipe: &RecipeName, origin: Origin) -> Result<Vec<SeenFile>, ProgramError> {
        let not_run = |error: io::Error| ProgramError::NotRun { message: error.to_string() };
        let Some(root) = self.root(origin) else { return Ok(Vec::new()) };
        if origin == Origin::Repository && self.folders.repository.is_none() {
            let checkout = self.setup.folder.abra_dir().join("recipes").join(recipe.as_str()).join(TESTS);
            copy(&checkout, &root.join(TESTS)).map_err(not_run)?;
        }
        let below = if origin == Origin::Repository { TESTS } else { "" };
        let mut files = Vec::new();
        gather(&root, below, &mut files).map_err(not_run)?;
        Ok(files)
    }

    async fn execute(&self, test: &CustomTest, head: &Head, budget: Duration) -> Result<Ran, ProgramError> {
        let not_run = |error: io::Error| ProgramError::NotRun { message: error.to_string() };
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let (context, input) = self.context(number, head, budget).map_err(not_run)?;
        let root = self.root(test.origin).ok_or_else(|| not_run(io::Error::other("it is no executable")))?;
        let seconds = budget.as_secs().max(1).to_string();
        let launch = Launch {
            argv: vec![root.join(&test.file).into()],
            limits: vec!["--memory".into(), MEMORY.to_string().into(), "--seconds".into(), OsString::from(seconds)],
            home: self.program.room(),
            doing: format!("executable, {}", test.name),
            context: Some(&context),
            input: &input,
        };
        let (exited, raw) = self.program.launch(launch, budget).await?;
        Ok(Ran { exited, answer: None, output: self.program.redacted(&raw), attachments: Vec::new() })
    }
}

/// All files below `root`/`below`, in depth. Folders that links lead to are not entered.
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

/// Copies a folder as it is; links stay links, and nothing is done where it is not there.
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
