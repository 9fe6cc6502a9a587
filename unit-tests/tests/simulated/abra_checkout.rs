//! The checkout, on real git repositories.

use std::{fs, path::PathBuf, sync::Arc};

use harness::{
    adapters::{checkout::GitCheckout, clock::SystemClock},
    journal::Journal,
    model::names::RecipeName,
    ports::{Checked, Checkout, CheckoutError},
    pure::host::claim::{Claim, Claimed},
};
use tempfile::TempDir;
use unit_tests::{
    recipe::{self, VERSIONS, git},
    stacks::fresh_run,
};

struct Place {
    dir: TempDir,
    checkout: GitCheckout,
    claim: Claim,
    _journal: Journal,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let abra_dir = dir.path().join("run/abra");
        let journal = Journal::create(&dir.path().join("run"), fresh_run(), Arc::new(SystemClock::start())).unwrap();
        let (claim, _) = journal.claim(Claimed::Dir { path: abra_dir.clone() }, &"swarm".parse().unwrap()).unwrap();
        let checkout = GitCheckout::new(&abra_dir, std::env::var_os("PATH").unwrap());
        Self { dir, checkout, claim, _journal: journal }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("mine")
    }

    fn clone(&self) -> PathBuf {
        self.dir.path().join("run/abra/recipes/small")
    }

    fn adopt(&self) -> bool {
        block_on(self.checkout.adopt(&self.claim, &small(), &self.folder())).unwrap()
    }

    fn read(&self) -> Checked {
        block_on(self.checkout.read(&small())).unwrap()
    }
}

fn small() -> RecipeName {
    "small".parse().unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_bare_repository_is_taken_over_with_its_history() {
    let place = Place::new();
    let from = place.dir.path().join("from");
    recipe::make(&from);
    git(place.dir.path(), &["clone", "--quiet", "--bare", &from.display().to_string(), &place.folder().display().to_string()]);
    assert!(!place.adopt());
    let checked = place.read();
    assert_eq!(checked.head.as_str(), git(&from, &["rev-parse", "HEAD"]));
    assert_eq!(checked.tags.len(), 3);
    assert!(checked.files.contains(&"compose.yml".to_owned()), "{:?}", checked.files);
}

#[test]
fn a_clean_folder_is_taken_over_as_it_is() {
    let place = Place::new();
    recipe::make(&place.folder());
    git(&place.folder(), &["tag", "light"]);
    assert!(!place.adopt());
    let checked = place.read();
    assert_eq!(checked.head.as_str(), git(&place.folder(), &["rev-parse", "HEAD"]));
    let tags: Vec<(&str, bool)> = checked.tags.iter().map(|tag| (tag.name.as_str(), tag.annotated)).collect();
    assert_eq!(tags, [("0.10.0+1.1.0", true), ("0.9.0+1.0.0", true), ("1.0.0+2.0.0", true), ("light", false)]);
    for tag in &checked.tags {
        let peeled = git(&place.folder(), &["rev-parse", &format!("refs/tags/{}^{{commit}}", tag.name)]);
        assert_eq!(tag.commit.as_str(), peeled, "{}", tag.name);
    }
    assert!(checked.files.contains(&"compose.yml".to_owned()) && checked.files.contains(&".env.sample".to_owned()));
}

#[test]
fn uncommitted_changes_become_one_commit_on_top_and_the_folder_stays_as_it_was() {
    let place = Place::new();
    let folder = place.folder();
    recipe::make(&folder);
    fs::write(folder.join("compose.yml"), "changed").unwrap();
    fs::remove_file(folder.join("README.md")).unwrap();
    fs::write(folder.join("untracked.yml"), "new").unwrap();
    fs::write(folder.join(".gitignore"), "ignored\n").unwrap();
    fs::write(folder.join("ignored"), "x").unwrap();
    git(&folder, &["add", "untracked.yml"]);
    let before = git(&folder, &["status", "--porcelain"]);
    assert!(place.adopt());
    assert_eq!(git(&folder, &["status", "--porcelain"]), before);

    let clone = place.clone();
    assert_eq!(fs::read_to_string(clone.join("compose.yml")).unwrap(), "changed");
    assert_eq!(fs::read_to_string(clone.join("untracked.yml")).unwrap(), "new");
    assert!(!clone.join("README.md").exists() && !clone.join("ignored").exists());
    assert_eq!(git(&clone, &["rev-parse", "HEAD^"]), git(&folder, &["rev-parse", "HEAD"]));
    assert_eq!(git(&clone, &["status", "--porcelain"]), "", "the clone itself is clean");
    assert_eq!(git(&clone, &["rev-parse", "HEAD"]), place.read().head.as_str());
}

#[test]
fn a_folder_without_a_repository_becomes_one() {
    let place = Place::new();
    fs::create_dir_all(place.folder()).unwrap();
    fs::write(place.folder().join("compose.yml"), "x").unwrap();
    // Also when it lies in somebody's repository.
    git(place.dir.path(), &["init", "--quiet"]);
    assert!(place.adopt());
    assert_eq!(place.read().files, ["compose.yml"]);
    assert_eq!(git(&place.clone(), &["rev-list", "--count", "HEAD"]), "1");
    assert!(!place.folder().join(".git").exists());
}

#[test]
fn it_goes_wherever_it_is_told_whatever_it_was_on() {
    let place = Place::new();
    recipe::make(&place.folder());
    git(&place.folder(), &["branch", "work", VERSIONS[1]]);
    place.adopt();
    let go = |at: &str| block_on(place.checkout.go(&place.claim, &small(), at));
    let tagged = go(VERSIONS[0]).unwrap();
    assert_eq!(tagged, place.read().head);
    assert!(!place.clone().join("compose.worker.yml").exists());
    // An untracked file that the other ref tracks stands in the way of a plain checkout.
    fs::write(place.clone().join("compose.worker.yml"), "mine").unwrap();
    fs::write(place.clone().join("compose.yml"), "mine").unwrap();
    assert_eq!(go("work").unwrap().as_str(), git(&place.folder(), &["rev-parse", "work"]));
    assert_ne!(fs::read_to_string(place.clone().join("compose.worker.yml")).unwrap(), "mine");
    assert_eq!(go(tagged.as_str()).unwrap(), tagged);
    assert_eq!(go(&tagged.as_str()[..8]).unwrap(), tagged);
    for at in ["nowhere", "", "--help", "0.9.0"] {
        assert_eq!(go(at).unwrap_err(), CheckoutError::NoSuchRef { at: at.to_owned() });
    }
}

#[test]
fn without_git_or_a_claim_nothing_is_done() {
    let place = Place::new();
    recipe::make(&place.folder());
    let bare = GitCheckout::new(&place.dir.path().join("run/abra"), "/nonexistent".into());
    assert_eq!(block_on(bare.adopt(&place.claim, &small(), &place.folder())).unwrap_err(), CheckoutError::NoGit);
    let other = GitCheckout::new(&place.dir.path().join("other/abra"), std::env::var_os("PATH").unwrap());
    let refused = block_on(other.adopt(&place.claim, &small(), &place.folder())).unwrap_err();
    assert!(matches!(refused, CheckoutError::File { .. }), "{refused:?}");
    assert!(!place.dir.path().join("other").exists());
}

#[test]
fn what_a_pack_adds_lies_in_the_checkout_and_nowhere_else() {
    let place = Place::new();
    recipe::make(&place.folder());
    place.adopt();
    let outside = place.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, place.clone().join("link")).unwrap();
    std::os::unix::fs::symlink(outside.join("file"), place.clone().join("leads.conf")).unwrap();
    let add = |path: &str| {
        let files = [(path.to_owned(), "x\n".to_owned())].into();
        block_on(place.checkout.add(&place.claim, &small(), &files))
    };
    for path in ["compose.ci.yml", "conf/deep/extra.conf"] {
        add(path).unwrap();
        assert_eq!(fs::read_to_string(place.clone().join(path)).unwrap(), "x\n");
    }
    for path in ["../escape", "link/file", "link/deep/file", "leads.conf", ".git/hooks/post-checkout"] {
        assert!(matches!(add(path), Err(CheckoutError::File { .. })), "{path}");
    }
    assert!(fs::read_dir(&outside).unwrap().next().is_none(), "nothing was written behind a link");
    let status = git(&place.clone(), &["status", "--porcelain"]);
    assert!(status.contains("?? compose.ci.yml"), "it is dirty on purpose: {status}");
}

#[test]
fn a_pristine_clone_holds_one_commit_all_tags_and_asks_nobody() {
    let place = Place::new();
    recipe::make(&place.folder());
    // One commit on a branch that no clone takes over, one on none at all, and one file that git does not know.
    git(&place.folder(), &["checkout", "--quiet", "-B", "master", VERSIONS[1]]);
    git(&place.folder(), &["commit", "--quiet", "--allow-empty", "--message", "aside"]);
    git(&place.folder(), &["tag", "light"]);
    fs::write(place.folder().join("compose.mine.yml"), "version: \"3.8\"\n").unwrap();
    assert!(place.adopt(), "it has a change that is not committed");
    fs::write(place.clone().join("compose.left.yml"), "left\n").unwrap();
    let (head, older) = (place.read().head, git(&place.folder(), &["rev-parse", &format!("{}^{{commit}}", VERSIONS[0])]));
    for (name, commit, mine) in [("head", head.as_str(), true), ("base", older.trim(), false)] {
        let abra_dir = place.dir.path().join("run/abra").join(name);
        let commit = commit.parse().unwrap();
        block_on(place.checkout.pristine(&place.claim, &small(), &commit, &abra_dir)).unwrap();
        let clone = abra_dir.join("recipes/small");
        let says = |args: &[&str]| git(&clone, args).trim().to_owned();
        assert_eq!(says(&["rev-parse", "HEAD"]), commit.as_str(), "{name}");
        assert_eq!(says(&["for-each-ref", "--format=%(refname)", "refs/heads"]), "refs/heads/main");
        assert_eq!(says(&["symbolic-ref", "HEAD"]), "refs/heads/main");
        assert_eq!(says(&["tag"]).lines().count(), VERSIONS.len() + 1, "{name} has all tags");
        assert_eq!(says(&["remote", "get-url", "origin"]), clone.display().to_string());
        assert_eq!(says(&["rev-parse", "refs/remotes/origin/main"]), commit.as_str(), "what is fetched from there is itself");
        assert_eq!(says(&["status", "--porcelain", "--ignored"]), "", "{name} has nothing else in it");
        assert_eq!((clone.join("compose.mine.yml").exists(), clone.join("compose.left.yml").exists()), (mine, false));
        says(&["fetch", "--tags", "--force", "origin"]);
    }
    let elsewhere = place.dir.path().join("elsewhere");
    let refused = block_on(place.checkout.pristine(&place.claim, &small(), &place.read().head, &elsewhere));
    assert!(matches!(refused, Err(CheckoutError::File { .. })), "{refused:?}");
    assert!(!elsewhere.exists(), "what no claim covers is not made");
}
