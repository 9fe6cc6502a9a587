//! The command that repeats a run makes the same request: a property over requests with all options.

use std::{collections::BTreeSet, ffi::OsString, fs, os::unix::ffi::OsStringExt, path::Path, process::Command, time::Duration};

use clap::{Args, FromArgMatches};
use harness::{
    model::{
        names::RecipeName,
        outcome::Tier,
        pack::{CustomTest, Origin, Pack, TestKind, TestName},
        request::{Attach, Authoring, Extent, Request, Source, Tests},
    },
    report::repeat::command,
};
use proptest::{collection::vec, option, prelude::*, sample::subsequence};

use super::Run;
use crate::env::Env;

/// The custom tests of the recipe; the last one has a name that no shell should see bare.
const TESTS: [&str; 5] = ["posts::a post", "posts::the page", "mail::it's sent", "mail::\"$HOME\"", "tests/-x y.sh"];

fn pack() -> Pack {
    let test = |name: &str| CustomTest {
        name: TestName::reported(name),
        kind: TestKind::Health,
        file: "custom/posts.rs".into(),
        origin: Origin::Pack,
        flaw: None,
    };
    Pack { tests: TESTS.iter().map(|name| test(name)).collect(), ..Pack::default() }
}

/// A text with blanks, quotes, escapes, and characters that cannot be seen.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-z0-9-]{1,5}",
        proptest::sample::select(vec![
            " ",
            "'",
            "\"",
            "$(x)",
            "`",
            "\\",
            "\n",
            "\u{1b}[31m",
            "é",
            "\u{202e}",
            "*",
            "~",
            "#",
            "!",
            "--"
        ])
        .prop_map(str::to_owned),
    ];
    vec(part, 1..6).prop_map(|parts| parts.concat())
}

/// A tag, branch or commit.
fn reference() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["1.0.0+2.1", "main", "feat/it's-$x", "é`\"b", "0123456789012345678901234567890123456789"])
        .prop_map(str::to_owned)
}

fn extent() -> impl Strategy<Value = (Extent, BTreeSet<Tier>, Option<String>)> {
    let tiers = subsequence(Tier::ALL.to_vec(), 0..=5);
    (tiers, any::<[bool; 3]>(), option::of(reference())).prop_map(|(tiers, [disaster, thorough, no_canaries], base)| {
        let mut tiers: BTreeSet<Tier> = tiers.into_iter().chain([Tier::Install]).collect();
        if tiers.contains(&Tier::Restore) {
            tiers.insert(Tier::Backup);
        }
        let disaster = disaster && tiers.contains(&Tier::Restore);
        let base = base.filter(|_| tiers.contains(&Tier::Upgrade));
        (Extent { disaster, thorough, no_canaries: no_canaries && !disaster }, tiers, base)
    })
}

fn tests() -> impl Strategy<Value = Tests> {
    let names = subsequence(TESTS.to_vec(), 0..3);
    let skip = subsequence(TESTS.to_vec(), 0..2);
    let failed = option::weighted(0.3, subsequence(TESTS.to_vec(), 1..=5));
    (names, skip, any::<[bool; 3]>(), failed, 0..=10u32).prop_map(
        |(names, skip, [exact, cut, fail_on_flaky], failed, retries)| {
            // Parts of names, where they need not be whole.
            let part = |name: &&str| if cut && !exact { name[name.len() / 2..].to_owned() } else { (*name).to_owned() };
            Tests {
                names: names.iter().map(part).collect(),
                skip: skip.iter().map(part).collect(),
                exact,
                failed: failed.map(|failed| failed.into_iter().map(TestName::reported).collect()),
                retries,
                fail_on_flaky,
            }
        },
    )
}

/// The folders and files that a request may name, below one folder.
#[derive(Debug, Clone)]
struct Named {
    path: Option<String>,
    pack: Option<String>,
    host: Option<String>,
}

fn named() -> impl Strategy<Value = Named> {
    let name = || option::of(text());
    (name(), name(), name()).prop_map(|(path, pack, host)| Named { path, pack, host })
}

prop_compose! {
    /// A request; its folders are made below `root`.
    fn request(root: std::path::PathBuf)(
        (extent, tiers, base) in extent(),
        tests in tests(),
        named in named(),
        at in option::of(reference()),
        deadline in 1..=86_400u64,
        keep in option::of(1..=86_400u64),
        [trusted, offline, attached] in any::<[bool; 3]>(),
        pr in option::of(1..=u64::MAX),
        trigger in option::of(text()),
        files in subsequence(vec!["custom/posts.rs", "tests/it's here.sh"], 0..=2),
    ) -> Request {
        let folder = |kind: &str, name: &Option<String>| name.as_ref().map(|name| {
            let folder = root.join(kind).join(name);
            fs::create_dir_all(&folder).unwrap();
            folder
        });
        let path = folder("path", &named.path);
        for file in ["compose.yml", ".env.sample"] {
            path.iter().for_each(|path| fs::write(path.join(file), "").unwrap());
        }
        let tests = if tests.choose() && (attached || tiers.contains(&Tier::Custom)) && selected(&tests).contains(&true) {
            tests
        } else {
            Tests { names: Vec::new(), skip: Vec::new(), failed: None, exact: false, ..tests }
        };
        let attach = Attach {
            domain: "hello-aebagbaf.taster.test".parse().unwrap(),
            run: "20261121-101502-aebagbaf".parse().unwrap(),
        };
        let common = Request {
            recipe: "hello".parse().unwrap(),
            source: path.map_or(Source::Catalogue { at: None }, |path| Source::Folder { path }),
            tiers,
            base: None,
            extent: Extent::default(),
            tests,
            deadline: Duration::from_secs(deadline),
            host_file: named.host.map(|name| root.join("host").join(name)),
            authoring: Authoring { folder: folder("pack", &named.pack), trusted, ..Authoring::default() },
            pr: pr.map(|number| number.to_string()),
            trigger,
            offline: None,
        };
        if attached {
            let files = files.into_iter().map(str::to_owned).collect();
            let authoring = Authoring { attach: Some(attach), files, ..common.authoring };
            return Request { tiers: [Tier::Custom].into(), authoring, ..common };
        }
        let source = match common.source {
            Source::Catalogue { .. } => Source::Catalogue { at },
            folder => folder,
        };
        let authoring = Authoring { keep: keep.map(Duration::from_secs), ..common.authoring };
        Request { source, base, extent, authoring, offline: offline.then(|| root.join("abra/recipes")), ..common }
    }
}

/// Which of the tests a choice takes.
fn selected(tests: &Tests) -> Vec<bool> {
    TESTS.iter().map(|test| tests.leave_out(&TestName::reported(test)).is_none()).collect()
}

/// The words of a command as a shell hands them to a program.
fn args_of(command: &str) -> Vec<OsString> {
    let output = Command::new("bash").args(["-c", &format!("printf '%s\\0' {command}")]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{command}: {output:?}");
    let mut args: Vec<OsString> = output.stdout.split(|byte| *byte == 0).map(|arg| OsString::from_vec(arg.to_vec())).collect();
    args.pop();
    args
}

/// The request that the command line means.
fn parsed(command: &str, root: &Path) -> Request {
    let args = args_of(command).into_iter().skip(1);
    let line = Run::augment_args(clap::Command::new("run").no_binary_name(true));
    let run =
        Run::from_arg_matches(&line.try_get_matches_from(args).unwrap_or_else(|error| panic!("{command}: {error}"))).unwrap();
    let env = Env::read(|name| (name == "ABRA_DIR").then(|| root.join("abra").into()), "/taster".into());
    let recipe: RecipeName = run.recipe.unwrap();
    let pack = pack();
    let request = match run.attach {
        Some(domain) => {
            let attach = Attach { domain, run: "20261121-101502-aebagbaf".parse().unwrap() };
            run.args.request_on_kept(&env, recipe, attach, run.file, &pack)
        }
        None => run.args.source().and_then(|source| run.args.request(&env, recipe, source, None, &pack)),
    };
    request.unwrap_or_else(|error| panic!("{command}: {}", error.in_one_line()))
}

/// The request without its choice of tests, which is compared by what it takes: the tests of `--failed` are named in a command.
fn without_choice(request: &Request) -> Request {
    let tests = Tests { names: Vec::new(), skip: Vec::new(), failed: None, exact: false, ..request.tests.clone() };
    Request { tests, ..request.clone() }
}

#[test]
fn command_that_repeats_a_run_makes_the_same_request() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("abra/recipes/hello/.git")).unwrap();
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(request in request(root.clone()))| {
        let command = command(&request, None);
        let again = parsed(&command, &root);
        prop_assert!(!command.contains(char::is_control), "{command:?}");
        prop_assert_eq!(without_choice(&again), without_choice(&request), "{}", command);
        prop_assert_eq!(again.tests.choose(), request.tests.choose(), "{}", command);
        prop_assert_eq!(selected(&again.tests), selected(&request.tests), "{}", command);
    });
}

#[test]
fn command_of_a_known_head_names_its_commit() {
    let request = Request {
        source: Source::Catalogue { at: Some("main".into()) },
        ..parsed("taster --recipe hello --tiers install", Path::new("/nonexistent"))
    };
    assert_eq!(command(&request, Some("0123")), "taster --recipe hello --ref 0123 --tiers install");
}
