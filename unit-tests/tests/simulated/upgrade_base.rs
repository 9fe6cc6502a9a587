//! The choice of the base: the version from which the app is upgraded.

use harness::{
    model::{
        git::{Branch, Tag},
        names::Commit,
    },
    pure::recipe::upgrade_base::{Base, BaseFacts, Chooser, Chosen, Green, base, can_be_pinned, duplicates},
};

/// A different commit for each number.
fn commit(number: u8) -> Commit {
    format!("{number:040}").parse().unwrap()
}

/// Tags on commits 1, 2, 3 …, those with `~` in front lightweight.
fn tags(names: &[&str]) -> Vec<Tag> {
    let tag = |(name, number): (&&str, u8)| {
        let bare = name.trim_start_matches('~');
        Tag { name: bare.to_owned(), commit: commit(number), annotated: bare == *name }
    };
    names.iter().zip(1..).map(tag).collect()
}

/// The number of a commit without tag.
const UNTAGGED: u8 = 90;
/// The number of the tip of the branch.
const TIP: u8 = 80;

/// The facts of a choice, and the base with the reason for it.
struct Row {
    case: &'static str,
    tags: &'static [&'static str],
    head: u8,
    head_version: Option<&'static str>,
    branch: Option<u8>,
    green: Option<&'static str>,
    expected: (&'static str, &'static str),
}

const SOME: &[&str] = &["1.0.0+1.0", "1.1.0+1.1", "2.0.0+1.1"];

/// Head is the newest of three releases.
const NEWEST: Row = Row {
    case: "",
    tags: SOME,
    head: 3,
    head_version: Some("2.0.0+1.1"),
    branch: Some(TIP),
    green: None,
    expected: ("1.1.0+1.1", "the newest release before 2.0.0+1.1"),
};

fn assert_bases(rows: &[Row]) {
    for row in rows {
        let (tags, head) = (tags(row.tags), commit(row.head));
        let branch = row.branch.map(|tip| Branch { name: "main".into(), commit: commit(tip) });
        let green = row.green.map(|version| Green { version: version.into() });
        let (branch, green) = (branch.as_ref(), green.as_ref());
        let known = BaseFacts { head: &head, head_version: row.head_version, tags: &tags, branch, green, chosen: None };

        let found = base(&known).unwrap();

        assert_eq!((found.to_string().as_str(), found.why()), row.expected, "{}", row.case);
        assert_ne!(found.commit(), Some(&head), "{}", row.case);
    }
}

#[test]
fn base_is_newest_release_before_head() {
    assert_bases(&[
        Row { case: "the newest release is tasted", ..NEWEST },
        Row {
            case: "a change with a version above all releases is upgraded from the newest one",
            head: UNTAGGED,
            head_version: Some("2.1.0+1.2"),
            expected: ("2.0.0+1.1", "the newest release before 2.1.0+1.2"),
            ..NEWEST
        },
        Row {
            case: "a change that kept the version of the newest release is upgraded from the one before",
            head: UNTAGGED,
            expected: ("1.1.0+1.1", "the newest release before 2.0.0+1.1"),
            ..NEWEST
        },
    ]);
}

#[test]
fn base_is_last_green_run_unless_it_is_head_newer_or_gone() {
    assert_bases(&[
        Row {
            case: "the version of the last green run comes before the newest release",
            green: Some("1.0.0+1.0"),
            expected: ("1.0.0+1.0", "the head of the last green run on this host"),
            ..NEWEST
        },
        Row {
            case: "a head that was green here already is upgraded from the release before it",
            green: Some("2.0.0+1.1"),
            expected: ("1.1.0+1.1", "the newest release before 2.0.0+1.1, which was green on this host already"),
            ..NEWEST
        },
        Row {
            case: "the version of the last green run is newer than head",
            head: 2,
            head_version: Some("1.1.0+1.1"),
            green: Some("2.0.0+1.1"),
            expected: ("1.0.0+1.0", "the newest release before 1.1.0+1.1"),
            ..NEWEST
        },
        Row {
            case: "the version of the last green run has no tag any more",
            green: Some("1.0.5+1.0"),
            expected: ("1.1.0+1.1", "the newest release before 2.0.0+1.1"),
            ..NEWEST
        },
    ]);
}

#[test]
fn releases_are_ordered_by_number_and_other_tags_do_not_count() {
    assert_bases(&[
        Row {
            case: "versions are ordered as numbers, and a patch on an old line is not the newest",
            tags: &["1.9.0+1", "1.10.0+1", "1.9.1+1", "2.0.0+1"],
            head: 4,
            head_version: Some("2.0.0+1"),
            expected: ("1.10.0+1", "the newest release before 2.0.0+1"),
            ..NEWEST
        },
        Row {
            case: "a pre-release comes before its release",
            tags: &["1.0.0+1", "2.0.0-rc1+1", "2.0.0+1"],
            head: 3,
            head_version: Some("2.0.0+1"),
            expected: ("2.0.0-rc1+1", "the newest release before 2.0.0+1"),
            ..NEWEST
        },
        Row {
            case: "tags that are not versions do not count, lightweight ones do",
            tags: &["latest", "v2", "~1.0.0+1", "2.0.0+1"],
            head: 4,
            head_version: Some("2.0.0+1"),
            expected: ("1.0.0+1", "the newest release before 2.0.0+1"),
            ..NEWEST
        },
    ]);
}

#[test]
fn base_without_older_release_is_tip_of_branch() {
    assert_bases(&[
        Row {
            case: "the first release has only the branch before it",
            head: 1,
            head_version: Some("1.0.0+1.0"),
            expected: ("main", "the tip of main, because there is no release before 1.0.0+1.0"),
            ..NEWEST
        },
        Row {
            case: "files without a version",
            head: UNTAGGED,
            head_version: None,
            expected: ("main", "the tip of main, because head's files name no version"),
            ..NEWEST
        },
        Row {
            case: "files with an invalid version",
            head: UNTAGGED,
            head_version: Some("latest"),
            expected: ("main", "the tip of main, because head's files name no version"),
            ..NEWEST
        },
    ]);
}

#[test]
fn base_without_older_release_and_branch_is_absent() {
    assert_bases(&[
        Row {
            case: "head is the tip of the branch",
            head: TIP,
            head_version: Some("1.0.0+1.0"),
            expected: ("none", "there is no release before 1.0.0+1.0, and head is the tip of main"),
            ..NEWEST
        },
        Row {
            case: "no release before it and no branch",
            head: 1,
            head_version: Some("1.0.0+1.0"),
            branch: None,
            expected: ("none", "there is no release before 1.0.0+1.0"),
            ..NEWEST
        },
    ]);
}

#[test]
fn chosen_base_is_taken_unless_it_is_head() {
    let tags = tags(&["1.0.0+1.0", "nightly"]);
    let head = commit(9);
    let chosen = |name: &str, number| Chosen { name: name.into(), commit: commit(number), by: Chooser::Request };
    let base_for = |chosen: &Chosen| {
        let green = Green { version: "1.0.0+1.0".into() };
        base(&BaseFacts { head: &head, head_version: None, tags: &tags, branch: None, green: Some(&green), chosen: Some(chosen) })
    };
    let why = || "chosen by --base".to_owned();
    for (name, number, expected) in [
        ("1.0.0+1.0", 1, Base::Release { version: "1.0.0+1.0".into(), commit: commit(1), why: why() }),
        ("nightly", 2, Base::Ref { name: "nightly".into(), commit: commit(2), why: why() }),
        ("0000000", 5, Base::Ref { name: "0000000".into(), commit: commit(5), why: why() }),
    ] {
        assert_eq!(base_for(&chosen(name, number)), Ok(expected));
    }

    let refused = base_for(&chosen("main", 9)).unwrap_err().to_string();

    assert_eq!(refused, "--base is main, which is head itself; name an older one, or leave the upgrade out with --tiers");
}

#[test]
fn one_lightweight_release_tag_prevents_every_pin() {
    for (names, pinned) in
        [(&["1.0.0+1", "2.0.0+1"][..], true), (&["1.0.0+1", "~2.0.0+1"], false), (&["1.0.0+1", "~nightly"], true), (&[], true)]
    {
        assert_eq!(can_be_pinned(&tags(names)), pinned, "{names:?}");
    }
}

#[test]
fn versions_of_equal_order_are_reported() {
    assert_eq!(duplicates(&tags(&["1.0.0+1", "1.0.1+1"])), Vec::<String>::new());
    assert_eq!(
        duplicates(&tags(&["1.2.3+4.10", "1.2.3+4.9"])),
        ["1.2.3+4.9 and 1.2.3+4.10 claim the same place among the releases; 1.2.3+4.10 counts"]
    );
}
