//! `taster plan` and a run read a recipe alike: for every recipe of the sandbox, in every situation of a base.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use harness::{
    adapters::{checkout::GitCheckout, clock::SystemClock, folder::Folder},
    engine::{
        facts::{FactSources, HostBaseline, RunInput, gather},
        log::Log,
    },
    journal::Journal,
    model::{
        host::Host,
        outcome::Tier,
        pack::Pack,
        refusal::Refusal,
        request::{Request, Source},
    },
    ports::{Ports, RunFolder},
    pure::run::{
        facts::{Facts, recipe},
        plan::plan,
    },
    redact::Redact,
    report::reporters,
};
use runner::recipe_reading::{placeholder_run, read_copy};
use tempfile::TempDir;
use unit_tests::{event_log::request, recipe::git, sim_host::SimHost};

/// All tiers but the custom tests.
const TIERS: [Tier; 4] = [Tier::Install, Tier::Upgrade, Tier::Backup, Tier::Restore];

/// The repositories of the sandbox's recipes, and clones of them.
struct Repositories(TempDir);

impl Repositories {
    async fn of_sandbox() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for recipe in sandbox::recipes::all() {
            sandbox::recipes::create(&recipe, &dir.path().join("bare").join(&recipe)).await.unwrap();
        }
        Self(dir)
    }

    fn bare(&self) -> PathBuf {
        self.0.path().join("bare")
    }

    /// A clone with a work tree, changed by `change`.
    fn clone_of(&self, recipe: &str, name: &str, change: impl Fn(&Path)) -> PathBuf {
        let (from, to) = (self.bare().join(recipe), self.0.path().join(name).join(recipe));
        git(self.0.path(), &["clone", "--quiet", &from.display().to_string(), &to.display().to_string()]);
        change(&to);
        to
    }
}

fn path() -> OsString {
    std::env::var_os("PATH").unwrap()
}

/// What decides a run: its plan, and all that it rests on. A run has found the executables of the recipe too.
fn decided(facts: Facts, request: &Request, host: &Host) -> String {
    let facts = Facts { pack: Pack::default(), ..facts };
    let plan = plan(request, &facts, &host.limits).map(|plan| serde_json::to_string_pretty(&plan).unwrap());
    format!("{plan:?}\n{}\n{facts:#?}", facts.tree.digest())
}

/// What a plan decides, or why it is refused.
async fn planned(request: &Request, host: &Host, folder: &Path) -> Result<String, Vec<String>> {
    let input = RunInput { request, host, pack: &Pack::default() };
    let read = read_copy(&path(), input, folder, Arc::new(Redact::new())).await;
    let read = read.map_err(|error| vec![error.to_string()])?;
    if !read.refusals.is_empty() {
        return Err(read.refusals.into_iter().take(1).flat_map(sentences).collect());
    }
    let from = read.base_files.as_ref().map(|files| &files.resolved);
    let facts = Facts {
        needs: recipe::needs_of_run(&read.resolved, from, &Pack::default().settings.resources),
        head: read.head,
        tree: read.tree,
        resolved: read.resolved,
        base: read.base,
        base_files: read.base_files,
        against: read.against,
        left_out: read.left_out,
        faults: read.faults,
        pack: Pack::default(),
    };
    Ok(decided(facts, request, host))
}

fn sentences(refusal: Refusal) -> Vec<String> {
    match refusal {
        Refusal::Request { sentence } => vec![sentence],
        Refusal::Policy { sentences } => sentences,
        Refusal::Facts(failure) => vec![failure.message],
    }
}

/// What a run decides, or why it is refused. Its run has the letters of a plan's.
async fn run(request: &Request, host: &Host) -> Result<String, Vec<String>> {
    let runs = tempfile::tempdir().unwrap();
    let folder = Folder::of(runs.path(), &placeholder_run().unwrap());
    let redact = Arc::new(Redact::new());
    let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(SystemClock::start())).unwrap();
    let run_folder: Arc<dyn RunFolder> = Arc::new(folder.clone());
    let log = Log::new(journal, redact.clone(), reporters(&run_folder, &redact));
    let checkout = Arc::new(GitCheckout::new(&folder.abra_dir(), path()).learning(redact.clone()));
    let ports = Ports { checkout, ..SimHost::healthy().ports() };
    let (input, baseline) = (RunInput { request, host, pack: &Pack::default() }, HostBaseline::default());

    let gathered = gather(FactSources { input, ports: &ports, log: &log, folder: &folder, baseline: &baseline }).await;

    let facts = gathered.map_err(sentences)?;
    let checked_out = folder.abra_dir().join("recipes").join(facts.head.recipe.as_str());
    assert_eq!(git(&checked_out, &["rev-parse", "HEAD"]), facts.head.commit.as_str(), "head is checked out");
    Ok(decided(facts, request, host))
}

#[tokio::test]
async fn plan_and_run_decide_alike() {
    let repositories = Repositories::of_sandbox().await;
    let host = Host::parse("zone = \"taster.test\"").unwrap();
    let all = request(&TIERS);
    let mut compared = 0;
    for recipe in sandbox::recipes::all() {
        let catalogue = |at: Option<&str>| Request {
            recipe: recipe.parse().unwrap(),
            source: Source::Catalogue { at: at.map(str::to_owned) },
            offline: Some(repositories.bare()),
            ..all.clone()
        };
        let of_folder =
            |folder: &Path| Request { source: Source::Folder { path: folder.to_owned() }, offline: None, ..catalogue(None) };
        let bare = repositories.bare().join(&recipe);
        let oldest = sandbox::recipes::tags(&recipe).remove(0);
        let changed = repositories.clone_of(&recipe, "changed", |folder| {
            fs::write(folder.join("compose.mine.yml"), "version: \"3.8\"\n").unwrap();
            fs::write(folder.join("abra.sh"), b"# caf\xe9\n").unwrap();
        });
        let mut cases = vec![
            ("newest release", catalogue(None), bare.clone()),
            ("oldest release", catalogue(Some(&oldest)), bare.clone()),
            ("changed folder", of_folder(&changed), changed.clone()),
        ];
        if recipe == "hello" {
            let clean = repositories.clone_of(&recipe, "clean", |_| {});
            cases.push(("clean folder at the tip", of_folder(&clean), clean.clone()));
            let untagged = repositories.clone_of(&recipe, "untagged", |folder| {
                let tags = git(folder, &["tag"]);
                git(folder, &[&["tag", "--delete"], &tags.lines().collect::<Vec<_>>()[..]].concat());
                git(folder, &["commit", "--quiet", "--allow-empty", "--message", "more"]);
            });
            let ahead = repositories.clone_of(&recipe, "ahead", |folder| {
                fs::write(folder.join("README.md"), "# hello\n").unwrap();
                git(folder, &["commit", "--quiet", "--all", "--message", "readme"]);
                git(folder, &["tag", "3.0.0+1.1.0"]);
                git(folder, &["tag", "latest"]);
                git(folder, &["tag", "2.1.0-rc1+1.1.0", "HEAD^"]);
            });
            let plain = repositories.0.path().join("plain/hello");
            fs::create_dir_all(&plain).unwrap();
            for file in ["compose.yml", ".env.sample", "abra.sh"] {
                fs::copy(clean.join(file), plain.join(file)).unwrap();
            }
            let submodule = repositories.clone_of(&recipe, "submodule", |folder| {
                let tip = git(folder, &["rev-parse", "HEAD"]);
                git(folder, &["update-index", "--add", "--cacheinfo", &format!("160000,{tip},module")]);
                git(folder, &["commit", "--quiet", "--message", "module"]);
                git(folder, &["tag", "--annotate", "--message", "x", "9.0.0+1"]);
            });
            let with_base = |base: &str| Request { base: Some(base.to_owned()), ..catalogue(None) };
            let newer = Request { base: Some("2.0.0+1.1.0".into()), ..catalogue(Some(&oldest)) };
            cases.extend([
                ("a folder without releases", of_folder(&untagged), untagged),
                ("a lightweight release without its label", of_folder(&ahead), ahead),
                ("a folder without a repository", of_folder(&plain), plain),
                ("a chosen base", with_base(&oldest), bare.clone()),
                ("a base that is head", with_base("2.0.0+1.1.0"), bare.clone()),
                ("a base that is newer", newer, bare.clone()),
                ("an unknown base", with_base("9.9.9+1"), bare.clone()),
                ("an unknown head", catalogue(Some("nowhere")), bare.clone()),
                ("no upgrade", Request { tiers: [Tier::Install].into(), ..catalogue(None) }, bare.clone()),
                ("a submodule", of_folder(&submodule), submodule),
            ]);
        }
        for (case, request, folder) in cases {
            let (by_plan, by_run) = tokio::join!(planned(&request, &host, &folder), run(&request, &host));
            assert_eq!(by_plan, by_run, "{recipe}, {case}");
            compared += 1;
        }
    }
    assert_eq!(compared, sandbox::recipes::all().len() * 3 + 11);
}
