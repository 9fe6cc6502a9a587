//! Repositories that are not the run's own: nothing of their configuration takes effect, what is checked out is the bytes of the
//! commit, and what cannot be read is refused.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use harness::{
    ports::{Checkout, CheckoutError},
    pure::recipe::compose::Entry,
};
use unit_tests::{
    checkout_place::{CheckoutPlace, block_on, small},
    recipe::{VERSIONS, git},
};

/// What a case changes before it reads.
type Change<'a, T> = &'a dyn Fn(&T);

/// The sentence of a refusal.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, CheckoutError>) -> String {
    match result.unwrap_err() {
        CheckoutError::Unreadable { sentence } => sentence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn attributes_change_no_byte_of_a_checkout() {
    let place = CheckoutPlace::with_recipe();
    let bytes = "volumes: [\"\u{ff0f}etc\u{ff1a}/host\"] # $Id$ $Format:%H$\n";
    for (attribute, path) in [
        ("working-tree-encoding=ASCII//TRANSLIT", "encoded.yml"),
        ("working-tree-encoding=UTF-16", "wide.yml"),
        ("text eol=crlf", "crlf.yml"),
        ("crlf", "old.yml"),
        ("ident", "ident.yml"),
        ("export-subst", "subst.yml"),
        ("filter=other", "filter.yml"),
    ] {
        place.write(path, bytes);
        git(&place.folder(), &["add", path]);
        git(&place.folder(), &["commit", "--quiet", "--message", path]);
        // The attributes are committed after the file, so that the blob has the bytes above.
        let attributes = fs::read_to_string(place.folder().join(".gitattributes")).unwrap_or_default();
        let by_macro = format!("[attr]{}odd {attribute}\n{path} {}odd\n", path.len(), path.len());
        place.write(".gitattributes", format!("{attributes}{path} {attribute}\n{by_macro}"));
        git(&place.folder(), &["add", ".gitattributes"]);
        git(&place.folder(), &["commit", "--quiet", "--message", "attributes"]);
    }
    let trap = place.trap();
    git(&place.folder(), &["config", "filter.other.smudge", &trap]);
    git(&place.folder(), &["config", "filter.other.clean", &trap]);

    let bare = place.dir.path().join("bare");
    let (from, to) = (place.folder().display().to_string(), bare.display().to_string());
    git(place.dir.path(), &["clone", "--quiet", "--bare", &from, &to]);
    assert!(!place.adopt_from(&bare).unwrap());

    for path in ["encoded.yml", "wide.yml", "crlf.yml", "old.yml", "ident.yml", "subst.yml", "filter.yml"] {
        assert_eq!(fs::read_to_string(place.checkout_dir().join(path)).unwrap(), bytes, "{path}");
        assert_eq!(place.tree().entry(path), Some(&Entry::Text(bytes.to_owned())), "{path}");
    }
    assert_eq!(place.verify(&place.tree()), Ok(()));
    // abra's own checkout by any git writes the same.
    git(&place.checkout_dir(), &["checkout", "--quiet", "--force", "--detach", VERSIONS[0]]);
    git(&place.checkout_dir(), &["checkout", "--quiet", "--force", "--detach", place.head().as_str()]);
    git(&place.checkout_dir(), &["checkout", "--quiet", "--force", "--detach", "refs/remotes/origin/main"]);
    assert_eq!(fs::read_to_string(place.checkout_dir().join("crlf.yml")).unwrap(), bytes);
    assert_eq!(place.started(), "");
}

#[test]
fn nothing_of_a_foreign_configuration_is_started() {
    let place = CheckoutPlace::with_recipe();
    let (folder, trap) = (place.folder(), place.trap());
    let included = place.dir.path().join("included");
    fs::write(&included, format!("[core]\n\tpager = {trap}\n\talternateRefsCommand = {trap}\n")).unwrap();
    for (key, value) in [
        ("core.fsmonitor", trap.as_str()),
        ("core.sshCommand", &trap),
        ("core.gitProxy", &trap),
        ("core.editor", &trap),
        ("core.askPass", &trap),
        ("core.hooksPath", &place.dir.path().display().to_string()),
        ("credential.helper", &trap),
        ("diff.external", &trap),
        ("diff.odd.textconv", &trap),
        ("merge.odd.driver", &trap),
        ("filter.odd.clean", &trap),
        ("filter.odd.smudge", &trap),
        ("filter.odd.process", &trap),
        ("uploadpack.packObjectsHook", &trap),
        ("gpg.program", &trap),
        ("commit.gpgSign", "true"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", &format!("ext::{trap}")),
        ("remote.origin.uploadpack", &trap),
        ("protocol.ext.allow", "always"),
        ("protocol.allow", "always"),
        ("include.path", &included.display().to_string()),
        ("core.attributesFile", &included.display().to_string()),
    ] {
        git(&folder, &["config", key, value]);
    }
    place.write(".gitattributes", "* filter=odd diff=odd merge=odd\n");
    place.write("compose.mine.yml", "version: \"3.8\"\n");
    for hook in ["post-checkout", "post-index-change", "reference-transaction", "pre-commit", "fsmonitor-watchman"] {
        fs::copy(&trap, folder.join(".git/hooks").join(hook)).unwrap();
        fs::copy(&trap, place.dir.path().join(hook)).unwrap();
    }

    assert!(place.adopt().unwrap(), "it has uncommitted files");
    let head = place.head();
    block_on(place.checkout.lineage(&small(), &head, &[])).unwrap();
    block_on(place.checkout.go(&place.claim, &small(), VERSIONS[1])).unwrap();
    block_on(place.checkout.pristine(&place.claim, &small(), &head, &place.dir.path().join("run/abra/lint"))).unwrap();

    assert_eq!(place.started(), "");
    let config = fs::read_to_string(place.checkout_dir().join(".git/config")).unwrap();
    assert!(!config.contains("trap") && !config.contains("include"), "{config}");
    assert!(!place.checkout_dir().join(".git/hooks").exists());
}

#[test]
fn work_tree_elsewhere_and_replaced_objects_do_not_count() {
    let place = CheckoutPlace::with_recipe();
    let (folder, elsewhere) = (place.folder(), place.dir.path().join("elsewhere"));
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("compose.yml"), "elsewhere").unwrap();
    let own = git(&folder, &["rev-parse", "HEAD:compose.yml"]);
    let other = git(&folder, &["rev-parse", "HEAD:README.md"]);
    git(&folder, &["replace", &own, &other]);
    git(&folder, &["config", "core.worktree", &elsewhere.display().to_string()]);
    // A graft that makes the tip an orphan, which a version of git may still follow.
    let tip = fs::read_to_string(folder.join(".git/refs/heads/main")).unwrap();
    fs::create_dir_all(folder.join(".git/info")).unwrap();
    fs::write(folder.join(".git/info/grafts"), &tip).unwrap();

    assert!(!place.adopt().unwrap());

    let Some(Entry::Text(compose)) = place.tree().entry("compose.yml").cloned() else { panic!("no compose.yml") };
    assert!(compose.contains("services:"), "{compose}");
    let lineage = block_on(place.checkout.lineage(&small(), &place.head(), &[])).unwrap();
    assert_eq!(lineage.ancestors.len(), 3);
}

#[test]
fn folders_that_share_objects_or_a_repository_are_adopted_whole() {
    let place = CheckoutPlace::with_recipe();
    let (source, shared, tree) = (place.folder(), place.dir.path().join("shared"), place.dir.path().join("tree"));
    let text = |path: &Path| path.display().to_string();
    git(place.dir.path(), &["clone", "--quiet", "--shared", &text(&source), &text(&shared)]);
    git(&source, &["worktree", "add", "--quiet", "--detach", &text(&tree), VERSIONS[1]]);
    for (folder, expected) in [(shared, "main"), (tree, VERSIONS[1])] {
        assert!(!place.adopt_from(&folder).unwrap(), "{}", folder.display());
        let expected = git(&source, &["rev-parse", &format!("{expected}^{{commit}}")]);
        assert_eq!(place.head().as_str(), expected);
        assert!(!place.checkout_dir().join(".git/objects/info/alternates").exists(), "it needs the folder no more");
        assert_eq!(place.verify(&place.tree()), Ok(()));
        fs::remove_dir_all(place.checkout_dir()).unwrap();
    }
}

#[test]
fn repository_that_is_not_whole_says_so() {
    let place = CheckoutPlace::with_recipe();
    let (source, clone) = (place.folder(), place.dir.path().join("clone"));
    let (from, to) = (format!("file://{}", source.display()), clone.display().to_string());
    git(&source, &["config", "uploadpack.allowFilter", "true"]);
    git(place.dir.path(), &["clone", "--quiet", "--no-checkout", "--filter=blob:none", &from, &to]);
    let sentence = refused(place.adopt_from(&clone));
    assert!(sentence.contains("is not complete") && sentence.contains("git fetch --refetch"), "{sentence}");

    fs::remove_dir_all(place.checkout_dir()).unwrap();
    fs::remove_dir_all(&clone).unwrap();
    git(place.dir.path(), &["clone", "--quiet", "--depth=1", &from, &to]);
    assert!(!place.adopt_from(&clone).unwrap());
    assert!(block_on(place.checkout.lineage(&small(), &place.head(), &[])).unwrap().shallow);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let links =
        |place: &CheckoutPlace, target: &str, path: &str| std::os::unix::fs::symlink(target, place.folder().join(path)).unwrap();
    let cases: [(&str, Change<CheckoutPlace>); 9] = [
        ("\"nested\" is a repository of its own", &|place| {
            place.write("nested/compose.yml", "x");
            git(&place.folder().join("nested"), &["init", "--quiet"]);
            git(&place.folder().join("nested"), &["config", "core.fsmonitor", &place.trap()]);
        }),
        ("\"conf\" is a repository of its own", &|place| {
            place.write("conf/nginx.conf", "x");
            place.write("conf/.git", "gitdir: ../../elsewhere\n");
        }),
        ("\"pipe\" is neither a file nor a folder nor a link", &|place| {
            assert!(std::process::Command::new("mkfifo").arg(place.folder().join("pipe")).status().unwrap().success());
        }),
        ("differ only in upper and lower case", &|place| place.write("Compose.yml", "x")),
        ("has a control character in its name", &|place| place.write("a\u{202e}b.yml", "x")),
        ("\"large\" has 16777217 bytes", &|place| place.write("large", vec![b' '; (16 << 20) + 1])),
        ("abra.sh, line 1: it exports a value that is not UTF-8", &|place| place.write("abra.sh", b"export A=\xe9\n")),
        (".env.sample, line 1: it is not UTF-8", &|place| place.write(".env.sample", b"A=\xe9\n")),
        ("abra.sh is a link to", &|place| {
            fs::remove_file(place.folder().join("abra.sh")).unwrap();
            links(place, "/etc/hostname", "abra.sh");
        }),
    ];
    for (expected, change) in cases {
        let place = CheckoutPlace::with_recipe();
        change(&place);

        let sentence = refused(place.adopt());

        assert!(sentence.contains(expected), "{expected}: {sentence}");
        assert_eq!(place.started(), "");
    }
}

#[test]
fn submodule_and_odd_paths_of_a_commit_are_refused() {
    let place = CheckoutPlace::with_recipe();
    let tip = git(&place.folder(), &["rev-parse", "HEAD"]);
    git(&place.folder(), &["update-index", "--add", "--cacheinfo", &format!("160000,{tip},module")]);
    git(&place.folder(), &["commit", "--quiet", "--message", "module"]);
    let bare = place.dir.path().join("bare");
    let (from, to) = (place.folder().display().to_string(), bare.display().to_string());
    git(place.dir.path(), &["clone", "--quiet", "--bare", &from, &to]);

    let sentence = refused(place.adopt_from(&bare));

    assert!(sentence.contains("\"module\" is a submodule"), "{sentence}");
}

#[test]
fn script_with_a_byte_that_is_no_text_is_read_to_its_end() {
    let place = CheckoutPlace::with_recipe();
    place.write("abra.sh", b"# caf\xe9\nexport APP_CONF_VERSION=v7\n");

    assert!(place.adopt().unwrap());

    assert!(place.tree().script("abra.sh").unwrap().contains("export APP_CONF_VERSION=v7"));
    assert_eq!(fs::read(place.checkout_dir().join("abra.sh")).unwrap(), b"# caf\xe9\nexport APP_CONF_VERSION=v7\n");
}

#[test]
fn checkout_that_was_changed_after_policy_was_asked_is_noticed() {
    let changes: [(&str, &str, Change<Path>); 5] = [
        ("compose.yml", "has other content", &|dir| fs::write(dir.join("compose.yml"), "other").unwrap()),
        ("compose.more.yml", "was added", &|dir| fs::write(dir.join("compose.more.yml"), "").unwrap()),
        ("abra.sh", "is gone", &|dir| fs::remove_file(dir.join("abra.sh")).unwrap()),
        ("abra.sh", "has another mode", &|dir| {
            fs::set_permissions(dir.join("abra.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        }),
        ("README.md", "has another mode", &|dir| {
            fs::remove_file(dir.join("README.md")).unwrap();
            std::os::unix::fs::symlink("# small\n", dir.join("README.md")).unwrap();
        }),
    ];
    for (path, difference, change) in changes {
        let place = CheckoutPlace::with_recipe();
        place.adopt().unwrap();
        let expected = place.tree();
        assert_eq!(place.verify(&expected), Ok(()));
        // git itself may have been asked not to look.
        git(&place.checkout_dir(), &["update-index", "--assume-unchanged", "compose.yml", "abra.sh", "README.md"]);

        change(&place.checkout_dir());

        let differs = CheckoutError::Differs { path: path.to_owned(), difference: difference.to_owned() };
        assert_eq!(place.verify(&expected), Err(differs));
    }
}

#[test]
fn checkout_has_the_files_of_its_commit_alone() {
    let place = CheckoutPlace::with_recipe();
    place.adopt().unwrap();
    fs::write(place.checkout_dir().join("compose.left.yml"), "left").unwrap();

    block_on(place.checkout.go(&place.claim, &small(), VERSIONS[2])).unwrap();

    assert!(!place.checkout_dir().join("compose.left.yml").exists());
    assert_eq!(place.verify(&place.tree()), Ok(()));
}

#[test]
fn lineage_has_the_releases_before_and_after_a_commit() {
    let place = CheckoutPlace::with_recipe();
    place.adopt().unwrap();
    let of = |tag: &str| block_on(place.checkout.find(&small(), tag)).unwrap();
    let [first, second, third] = VERSIONS.map(of);

    let lineage = block_on(place.checkout.lineage(&small(), &second, &[place.head()])).unwrap();

    assert_eq!(lineage.ancestors, [first.clone()].into());
    assert_eq!(lineage.descendants, [third.clone(), place.head()].into());
    assert_eq!(lineage.changed[&first], ["abra.sh", "compose.worker.yml", "compose.yml"]);
    assert_eq!(lineage.changed[&second], Vec::<String>::new());
    assert_eq!(lineage.changed[&place.head()], ["README.md", "abra.sh", "compose.yml"]);
    assert!(!lineage.shallow && lineage.committed[&first] > 0);
}

#[test]
fn folder_of_another_user_is_adopted_without_trusting_it() {
    let place = CheckoutPlace::with_recipe();
    place.write("compose.mine.yml", "x");
    if !rustix_is_root() {
        return;
    }
    let owned = std::process::Command::new("chown").args(["-R", "65534:65534"]).arg(place.folder()).status().unwrap();
    assert!(owned.success());

    assert!(place.adopt().unwrap());

    assert!(place.checkout_dir().join("compose.mine.yml").exists());
}

fn rustix_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}
