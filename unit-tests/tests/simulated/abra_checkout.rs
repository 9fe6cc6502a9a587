//! The adapter for the checkout of a recipe, on real git repositories.

use std::fs;

use harness::{
    adapters::checkout::GitCheckout,
    ports::{Checkout, CheckoutError},
};
use unit_tests::{
    checkout_place::{CheckoutPlace, block_on, small},
    recipe::{self, VERSIONS, git},
};

#[test]
fn bare_repository_is_adopted_with_its_history() {
    let place = CheckoutPlace::new();
    let from = place.dir.path().join("from");
    recipe::make(&from);
    git(place.dir.path(), &["clone", "--quiet", "--bare", &from.display().to_string(), &place.folder().display().to_string()]);

    let (changed, checked) = (place.adopt().unwrap(), place.read());

    assert!(!changed);
    assert_eq!(checked.head.as_str(), git(&from, &["rev-parse", "HEAD"]));
    assert_eq!(checked.tags.len(), 3);
    assert!(place.checkout_dir().join("compose.yml").is_file());
}

#[test]
fn clean_folder_is_adopted_unchanged() {
    let place = CheckoutPlace::new();
    recipe::make(&place.folder());
    git(&place.folder(), &["tag", "light"]);

    let (changed, checked) = (place.adopt().unwrap(), place.read());

    assert!(!changed);
    assert_eq!(checked.head.as_str(), git(&place.folder(), &["rev-parse", "HEAD"]));
    let tags: Vec<(&str, bool)> = checked.tags.iter().map(|tag| (tag.name.as_str(), tag.annotated)).collect();
    assert_eq!(tags, [("0.10.0+1.1.0", true), ("0.9.0+1.0.0", true), ("1.0.0+2.0.0", true), ("light", false)]);
    for tag in &checked.tags {
        let peeled = git(&place.folder(), &["rev-parse", &format!("refs/tags/{}^{{commit}}", tag.name)]);
        assert_eq!(tag.commit.as_str(), peeled, "{}", tag.name);
    }
    assert!(place.checkout_dir().join("compose.yml").is_file() && place.checkout_dir().join(".env.sample").is_file());
}

#[test]
fn uncommitted_changes_become_one_commit_and_leave_the_folder_unchanged() {
    let place = CheckoutPlace::new();
    let folder = place.folder();
    recipe::make(&folder);
    fs::write(folder.join("compose.yml"), "changed").unwrap();
    fs::remove_file(folder.join("README.md")).unwrap();
    fs::write(folder.join("untracked.yml"), "new").unwrap();
    fs::write(folder.join(".gitignore"), "ignored\n").unwrap();
    fs::write(folder.join("ignored"), "x").unwrap();
    git(&folder, &["add", "untracked.yml"]);
    let before = git(&folder, &["status", "--porcelain"]);

    let changed = place.adopt().unwrap();

    assert!(changed);
    assert_eq!(git(&folder, &["status", "--porcelain"]), before);
    let clone = place.checkout_dir();
    assert_eq!(fs::read_to_string(clone.join("compose.yml")).unwrap(), "changed");
    assert_eq!(fs::read_to_string(clone.join("untracked.yml")).unwrap(), "new");
    assert!(!clone.join("README.md").exists() && !clone.join("ignored").exists());
    assert_eq!(git(&clone, &["rev-parse", "HEAD^"]), git(&folder, &["rev-parse", "HEAD"]));
    assert_eq!(git(&clone, &["status", "--porcelain"]), "", "the clone itself is clean");
    assert_eq!(git(&clone, &["rev-parse", "HEAD"]), place.read().head.as_str());
}

#[test]
fn folder_without_repository_becomes_one_commit() {
    let place = CheckoutPlace::new();
    fs::create_dir_all(place.folder()).unwrap();
    fs::write(place.folder().join("compose.yml"), "x").unwrap();
    // A repository around the folder does not count.
    git(place.dir.path(), &["init", "--quiet"]);

    let changed = place.adopt().unwrap();

    assert!(changed);
    assert_eq!(place.tree().paths().collect::<Vec<_>>(), ["compose.yml"]);
    assert_eq!(git(&place.checkout_dir(), &["rev-list", "--count", "HEAD"]), "1");
    assert!(!place.folder().join(".git").exists());
}

#[test]
fn checkout_goes_to_any_ref_over_local_changes() {
    let place = CheckoutPlace::new();
    recipe::make(&place.folder());
    git(&place.folder(), &["branch", "work", VERSIONS[1]]);
    place.adopt().unwrap();
    let go = |at: &str| block_on(place.checkout.go(&place.claim, &small(), at));

    let tagged = go(VERSIONS[0]).unwrap();

    assert_eq!(tagged, place.read().head);
    assert!(!place.checkout_dir().join("compose.worker.yml").exists());

    // A plain checkout fails on an untracked file that the other ref tracks.
    fs::write(place.checkout_dir().join("compose.worker.yml"), "mine").unwrap();
    fs::write(place.checkout_dir().join("compose.yml"), "mine").unwrap();

    let worked = go("work").unwrap();

    assert_eq!(worked.as_str(), git(&place.folder(), &["rev-parse", "work"]));
    assert_ne!(fs::read_to_string(place.checkout_dir().join("compose.worker.yml")).unwrap(), "mine");
    assert_eq!(go(tagged.as_str()).unwrap(), tagged);
    assert_eq!(go(&tagged.as_str()[..8]).unwrap(), tagged);
    for at in ["nowhere", "", "--help", "0.9.0"] {
        assert_eq!(go(at).unwrap_err(), CheckoutError::NoSuchRef { at: at.to_owned() });
    }
}

#[test]
fn adoption_without_git_or_claim_is_refused() {
    let place = CheckoutPlace::new();
    recipe::make(&place.folder());
    let without_git = GitCheckout::new(&place.dir.path().join("run/abra"), "/nonexistent".into());
    let without_claim = GitCheckout::new(&place.dir.path().join("other/abra"), std::env::var_os("PATH").unwrap());
    let adopt = |checkout: GitCheckout| block_on(checkout.adopt(&place.claim, &small(), &place.folder())).unwrap_err();

    assert_eq!(adopt(without_git), CheckoutError::NoGit);
    let refused = adopt(without_claim);
    assert!(matches!(refused, CheckoutError::File { .. }), "{refused:?}");
    assert!(!place.dir.path().join("other").exists());
}

#[test]
fn files_of_a_pack_never_leave_the_checkout() {
    let place = CheckoutPlace::new();
    recipe::make(&place.folder());
    place.adopt().unwrap();
    let outside = place.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, place.checkout_dir().join("link")).unwrap();
    std::os::unix::fs::symlink(outside.join("file"), place.checkout_dir().join("leads.conf")).unwrap();
    let add = |path: &str| {
        let files = [(path.to_owned(), "x\n".to_owned())].into();
        block_on(place.checkout.add(&place.claim, &small(), &files))
    };

    for path in ["compose.ci.yml", "conf/deep/extra.conf"] {
        add(path).unwrap();
        assert_eq!(fs::read_to_string(place.checkout_dir().join(path)).unwrap(), "x\n");
    }
    for path in ["../escape", "link/file", "link/deep/file", "leads.conf", ".git/hooks/post-checkout"] {
        assert!(matches!(add(path), Err(CheckoutError::File { .. })), "{path}");
    }
    assert!(fs::read_dir(&outside).unwrap().next().is_none(), "no file was written behind a link");
    let status = git(&place.checkout_dir(), &["status", "--porcelain"]);
    assert!(status.contains("?? compose.ci.yml"), "it is dirty on purpose: {status}");
}

#[test]
fn pristine_clone_has_one_branch_all_tags_and_itself_as_remote() {
    let place = CheckoutPlace::new();
    recipe::make(&place.folder());
    // One commit on a branch that no clone takes over, one on no branch, and one file that git does not track.
    git(&place.folder(), &["checkout", "--quiet", "-B", "master", VERSIONS[1]]);
    git(&place.folder(), &["commit", "--quiet", "--allow-empty", "--message", "aside"]);
    git(&place.folder(), &["tag", "light"]);
    fs::write(place.folder().join("compose.mine.yml"), "version: \"3.8\"\n").unwrap();
    assert!(place.adopt().unwrap(), "it has a change that is not committed");
    fs::write(place.checkout_dir().join("compose.left.yml"), "left\n").unwrap();
    let (head, older) = (place.read().head, git(&place.folder(), &["rev-parse", &format!("{}^{{commit}}", VERSIONS[0])]));
    for (name, commit, mine) in [("head", head.as_str(), true), ("base", older.trim(), false)] {
        let abra_dir = place.dir.path().join("run/abra").join(name);
        let commit = commit.parse().unwrap();

        block_on(place.checkout.pristine(&place.claim, &small(), &commit, &abra_dir)).unwrap();

        let clone = abra_dir.join("recipes/small");
        let git_output = |args: &[&str]| git(&clone, args).trim().to_owned();
        assert_eq!(git_output(&["rev-parse", "HEAD"]), commit.as_str(), "{name}");
        assert_eq!(git_output(&["for-each-ref", "--format=%(refname)", "refs/heads"]), "refs/heads/main");
        assert_eq!(git_output(&["symbolic-ref", "HEAD"]), "refs/heads/main");
        assert_eq!(git_output(&["tag"]).lines().count(), VERSIONS.len() + 1, "{name} has all tags");
        assert_eq!(git_output(&["remote", "get-url", "origin"]), clone.display().to_string());
        assert_eq!(git_output(&["rev-parse", "refs/remotes/origin/main"]), commit.as_str(), "its remote is itself");
        assert_eq!(git_output(&["status", "--porcelain", "--ignored"]), "", "{name} has nothing else in it");
        assert_eq!((clone.join("compose.mine.yml").exists(), clone.join("compose.left.yml").exists()), (mine, false));
        git_output(&["fetch", "--tags", "--force", "origin"]);
    }
}

#[test]
fn pristine_clone_without_claim_is_refused() {
    let place = CheckoutPlace::new();
    recipe::make(&place.folder());
    place.adopt().unwrap();
    let elsewhere = place.dir.path().join("elsewhere");

    let refused = block_on(place.checkout.pristine(&place.claim, &small(), &place.read().head, &elsewhere));

    assert!(matches!(refused, Err(CheckoutError::File { .. })), "{refused:?}");
    assert!(!elsewhere.exists(), "a folder without claim is not made");
}
