//! The choice of the base: the version from which the app is upgraded.

use std::collections::{BTreeMap, BTreeSet};

use harness::{
    model::{
        git::{Branch, Lineage, Tag},
        names::Commit,
    },
    pure::recipe::upgrade_base::{
        Base, BaseChoice, BaseFacts, Chooser, Chosen,
        LeftOutReason::{
            self, AfterHead, DuplicateVersion, IdenticalTree, IsHead, NewerThanHead, NoUpstreamPart, PreRelease, Unparseable,
            Unreachable,
        },
        base, can_be_pinned, is_deployed,
    },
};
use proptest::prelude::*;

/// A different commit for each number.
fn commit(number: u8) -> Commit {
    format!("{number:040}").parse().unwrap()
}

/// A repository: its tags with their commits, those with `~` in front lightweight, and each commit with its parents.
#[derive(Debug, Clone, Copy)]
struct Repository {
    tags: &'static [(&'static str, u8)],
    history: &'static [(u8, &'static [u8])],
}

impl Repository {
    fn tags(&self) -> Vec<Tag> {
        let tag = |(name, number): &(&str, u8)| {
            let bare = name.trim_start_matches('~');
            Tag { name: bare.to_owned(), commit: commit(*number), annotated: bare == *name }
        };
        self.tags.iter().map(tag).collect()
    }

    /// The lineage of a head whose deployed files are those of the commits `same` as well. Commits are as old as their numbers.
    fn lineage(&self, head: u8, same: &[u8]) -> Lineage {
        let parents = self.history.iter().map(|(child, above)| (commit(*child), above.iter().copied().map(commit).collect()));
        let parents: BTreeMap<Commit, Vec<Commit>> = parents.collect();
        let changed = |(number, _): &(u8, _)| {
            let paths = if same.contains(number) { vec!["README.md"] } else { vec!["README.md", "compose.yml"] };
            (commit(*number), paths.into_iter().map(str::to_owned).collect())
        };
        let committed = self.history.iter().map(|(number, _)| (commit(*number), i64::from(*number))).collect();
        let changed = self.history.iter().map(changed).collect();
        Lineage { changed, committed, ..Lineage::of(&commit(head), &parents) }
    }
}

/// Releases on a main line, 1 to 4 and 6 to 9, with a patch of an old line, 5, which has a successor, 21. 20 continues the main
/// line.
const MANY: Repository = Repository {
    tags: &[
        ("4.0.0+25.0.1", 1),
        ("4.1.2+25.0.4", 2),
        ("5.0.0+26.0.0", 3),
        ("5.0.2+26.0.1", 4),
        ("5.0.3+27.0.1-fpm", 5),
        ("6.0.0+28.0.1", 6),
        ("6.0.1+28.0.2-fpm", 7),
        ("6.1.0+28.0.3", 8),
        ("6.2.0+29.0.0", 9),
        ("1.13.4_1", 1),
        ("1.14.1-rootless_1", 1),
        ("latest", 9),
    ],
    history: &[
        (1, &[]),
        (2, &[1]),
        (3, &[2]),
        (4, &[3]),
        (5, &[4]),
        (6, &[4]),
        (7, &[6]),
        (8, &[7]),
        (9, &[8]),
        (20, &[9]),
        (21, &[5]),
    ],
};

/// [`MANY`] with pre-releases of the next version on the main line, 30 and 31, and of a former one, 33.
const WITH_PRE_RELEASES: Repository = Repository {
    tags: &[
        ("6.1.0+28.0.3", 8),
        ("6.2.0+29.0.0", 9),
        ("6.3.0-rc2+29.0.1", 30),
        ("6.3.0-rc10+29.0.1", 31),
        ("6.1.1-rc1+28.0.4", 33),
    ],
    history: &[(8, &[]), (9, &[8]), (30, &[9]), (31, &[30]), (32, &[31]), (33, &[8])],
};

/// Two releases in a row, 1 and 2, and a commit after them, 3.
const TWO: Repository = Repository { tags: &[("1.0.0+1", 1), ("1.1.0+1", 2)], history: &[(1, &[]), (2, &[1]), (3, &[2])] };

/// A repository without tags.
const NONE: Repository = Repository { tags: &[], history: &[(1, &[]), (2, &[1]), (3, &[2])] };

/// The choice for a head with this label, where main is at `tip`.
fn choice(from: Repository, head: u8, label: Option<&str>, same: &[u8], tip: Option<u8>) -> BaseChoice {
    let (tags, lineage, head) = (from.tags(), from.lineage(head, same), commit(head));
    let branch = tip.map(|tip| Branch { name: "main".into(), commit: commit(tip) });
    let (branch, head_version) = (branch.as_ref(), label);
    let known = BaseFacts { head: &head, head_version, tags: &tags, stray_tags: &[], lineage: &lineage, branch, chosen: None };
    let found = base(&known).unwrap();
    assert_ne!(found.base.commit(), Some(&head));
    found
}

/// The reasons by tag.
fn left_out(choice: &BaseChoice) -> Vec<(&str, LeftOutReason)> {
    choice.left_out.iter().map(|left| (left.tag.as_str(), left.reason)).collect()
}

fn is_unverified(base: &Base) -> bool {
    matches!(base, Base::None { unverified: true, .. })
}

const OTHERS: [(&str, LeftOutReason); 3] =
    [("1.13.4_1", Unparseable), ("1.14.1-rootless_1", Unparseable), ("latest", Unparseable)];

#[test]
fn base_is_highest_release_that_head_replaces() {
    for (case, from, head, label, expected, reasons) in [
        ("a change that left the label", MANY, 20, Some("6.2.0+29.0.0"), "6.2.0+29.0.0", &[][..]),
        ("the newest release itself", MANY, 9, Some("6.2.0+29.0.0"), "6.1.0+28.0.3", &[("6.2.0+29.0.0", IsHead)]),
        (
            "a patch of an old line",
            MANY,
            21,
            Some("5.0.4+27.0.2"),
            "5.0.3+27.0.1-fpm",
            &[
                ("6.0.0+28.0.1", NewerThanHead),
                ("6.0.1+28.0.2-fpm", NewerThanHead),
                ("6.1.0+28.0.3", NewerThanHead),
                ("6.2.0+29.0.0", NewerThanHead),
            ],
        ),
        ("the next major version", MANY, 20, Some("7.0.0+30.0.0"), "6.2.0+29.0.0", &[]),
        ("files without a version", MANY, 20, None, "6.2.0+29.0.0", &[]),
        ("files with an invalid version", MANY, 20, Some("latest"), "6.2.0+29.0.0", &[]),
        (
            "an older release, which later ones were made from",
            MANY,
            4,
            Some("5.0.2+26.0.1"),
            "5.0.0+26.0.0",
            &[
                ("5.0.2+26.0.1", IsHead),
                ("5.0.3+27.0.1-fpm", AfterHead),
                ("6.0.0+28.0.1", AfterHead),
                ("6.0.1+28.0.2-fpm", AfterHead),
                ("6.1.0+28.0.3", AfterHead),
                ("6.2.0+29.0.0", AfterHead),
            ],
        ),
    ] {
        let found = choice(from, head, label, &[], Some(9));
        assert_eq!(found.base.to_string(), expected, "{case}");
        assert_eq!(left_out(&found), [reasons, &OTHERS].concat(), "{case}");
    }
}

#[test]
fn pre_release_is_no_candidate_and_is_listed() {
    let found = choice(WITH_PRE_RELEASES, 32, Some("6.3.0+29.0.1"), &[], Some(32));
    assert_eq!(found.base.to_string(), "6.2.0+29.0.0");
    let listed = [("6.1.1-rc1+28.0.4", PreRelease), ("6.3.0-rc2+29.0.1", PreRelease), ("6.3.0-rc10+29.0.1", PreRelease)];
    assert_eq!(left_out(&found), listed);
}

#[test]
fn label_that_was_left_or_forgotten_hides_no_release() {
    for (case, tags, head, label, expected) in [
        ("a change on the only release, label left", &[("1.0.0+1", 1)][..], 2, "1.0.0+1", "1.0.0+1"),
        ("a tag at head whose label was forgotten", &[("1.0.0+1", 1), ("1.1.0+1", 2)], 2, "1.0.0+1", "1.0.0+1"),
        ("a newer commit with the label of the newest release", &[("1.0.0+1", 1), ("1.1.0+1", 2)], 3, "1.1.0+1", "1.1.0+1"),
        ("an ancestor above the label", &[("1.0.0+1", 1), ("1.2.0+1", 2)], 3, "1.1.0+1", "1.2.0+1"),
    ] {
        let from = Repository { tags, ..TWO };
        assert_eq!(choice(from, head, Some(label), &[], Some(3)).base.to_string(), expected, "{case}");
    }
}

#[test]
fn release_with_the_deployed_files_of_head_is_passed_over() {
    let found = choice(TWO, 3, Some("1.1.0+1"), &[2], Some(3));
    assert_eq!((found.base.to_string().as_str(), left_out(&found)), ("1.0.0+1", vec![("1.1.0+1", IdenticalTree)]));
}

#[test]
fn releases_are_ordered_by_version_and_not_by_date() {
    // The patch of an old line is the youngest commit.
    let tags = &[("1.9.0+1", 1), ("1.10.0+1", 2), ("2.0.0+1", 3), ("1.9.1+1", 4)];
    let from = Repository { tags, history: &[(1, &[]), (2, &[1]), (3, &[2]), (4, &[1]), (5, &[3])] };
    assert_eq!(choice(from, 5, None, &[], None).base.to_string(), "2.0.0+1");
    assert_eq!(choice(from, 3, Some("2.0.0+1"), &[], None).base.to_string(), "1.10.0+1");
}

#[test]
fn release_without_anything_before_it_is_unverified_and_says_why() {
    // A newer tip of main is no base: that would be a downgrade.
    for tip in [None, Some(1), Some(3)] {
        let found = choice(TWO, 1, Some("1.0.0+1"), &[], tip).base;
        assert!(is_unverified(&found), "{found:?}");
        assert_eq!(found.why(), "no release can be the base of head: 1.0.0+1 is head itself; 1.1.0+1 was made after head");
    }
}

#[test]
fn branch_is_base_only_without_any_release() {
    let of = |from: Repository, head: u8, tip: Option<u8>| choice(from, head, Some("1.0.0+1"), &[], tip).base;
    let by_branch = of(NONE, 3, Some(2));
    assert_eq!((by_branch.to_string().as_str(), by_branch.why()), ("main", "the tip of main, because there is no release"));
    // Neither a tag of something else nor a pre-release is a release.
    let others = Repository { tags: &[("nightly", 1), ("1.0.0", 1), ("1.0.0-rc1+1", 1)], ..NONE };
    let found = choice(others, 3, Some("1.0.0+1"), &[], Some(2));
    assert_eq!(found.base.to_string(), "main");
    assert_eq!(left_out(&found), [("1.0.0-rc1+1", PreRelease), ("1.0.0", NoUpstreamPart), ("nightly", Unparseable)]);
    for (tip, why) in [
        (None, "there is no release"),
        (Some(2), "there is no release, and head is the tip of main"),
        (Some(3), "there is no release, and the tip of main was made after head"),
    ] {
        assert_eq!(of(NONE, 2, tip), Base::none(why));
    }
}

#[test]
fn history_that_is_cut_off_leaves_the_base_open() {
    let (tags, head) = (TWO.tags(), commit(3));
    let lineage = Lineage { shallow: true, ..TWO.lineage(3, &[]) };
    let facts = |chosen| BaseFacts {
        head: &head,
        head_version: None,
        tags: &tags,
        stray_tags: &[],
        lineage: &lineage,
        branch: None,
        chosen,
    };
    let open = base(&facts(None)).unwrap().base;
    assert!(is_unverified(&open) && open.why().contains("git fetch --unshallow"), "{open:?}");
    let ancestor = Chosen { name: "1.1.0+1".into(), commit: commit(2), by: Chooser::Request };
    assert_eq!(base(&facts(Some(&ancestor))).unwrap().base.to_string(), "1.1.0+1", "it certainly is an ancestor");
}

#[test]
fn tags_without_a_commit_and_doubled_versions_are_listed() {
    let tags = &[("1.2.3+4.10", 1), ("1.2.3+4.9", 2), ("1.0.0+1", 3)];
    let from = Repository { tags, history: &[(1, &[]), (2, &[1]), (3, &[2]), (4, &[3])] };
    let (tags, lineage, head) = (from.tags(), from.lineage(4, &[]), commit(4));
    let stray_tags = ["1.1.0+1".to_owned()];
    let known = BaseFacts {
        head: &head,
        head_version: None,
        tags: &tags,
        stray_tags: &stray_tags,
        lineage: &lineage,
        branch: None,
        chosen: None,
    };

    let found = base(&known).unwrap();

    assert_eq!(found.base.to_string(), "1.2.3+4.9", "the later commit counts");
    assert_eq!(left_out(&found), [("1.1.0+1", Unreachable), ("1.2.3+4.10", DuplicateVersion)]);
}

/// The base that a request or a pack chooses for a head of [`MANY`] with a pre-release and an untagged ancestor.
fn chosen(head: u8, name: &str, number: u8, by: Chooser) -> Result<String, String> {
    const FROM: Repository = Repository {
        tags: &[("1.0.0+1", 1), ("1.1.0-rc1+1", 2), ("1.1.0+1", 4), ("2.0.0+1", 6), ("1.0.9+1", 7)],
        history: &[(1, &[]), (2, &[1]), (3, &[2]), (4, &[3]), (5, &[4]), (6, &[5]), (7, &[1]), (8, &[1])],
    };
    let (tags, lineage, head) = (FROM.tags(), FROM.lineage(head, &[]), commit(head));
    let chosen = Chosen { name: name.to_owned(), commit: commit(number), by };
    let known = BaseFacts {
        head: &head,
        head_version: Some("1.2.0+1"),
        tags: &tags,
        stray_tags: &[],
        lineage: &lineage,
        branch: None,
        chosen: Some(&chosen),
    };
    base(&known).map(|choice| format!("{} {}", choice.base, choice.base.why())).map_err(|error| error.to_string())
}

#[test]
fn chosen_base_is_a_candidate_or_an_unreleased_ancestor() {
    for (name, number, expected) in [
        ("1.0.0+1", 1, "1.0.0+1 chosen by --base"),
        ("1.1.0+1", 4, "1.1.0+1 chosen by --base"),
        // A release of another line, below head's label.
        ("1.0.9+1", 7, "1.0.9+1 chosen by --base"),
        ("1.1.0-rc1+1", 2, "1.1.0-rc1+1 chosen by --base"),
        ("work", 3, "work chosen by --base"),
        // A branch that is at a release.
        ("stable", 4, "1.1.0+1 chosen by --base"),
    ] {
        assert_eq!(chosen(5, name, number, Chooser::Request).as_deref(), Ok(expected));
    }
}

#[test]
fn chosen_base_that_is_no_older_version_is_refused_with_the_remedy() {
    let remedy = "name an older release, such as 1.1.0+1 or 1.0.9+1 or 1.0.0+1, or leave the upgrade out with --tiers";
    for (name, number, reason) in [
        ("main", 5, "is head itself"),
        ("2.0.0+1", 6, "was made after head"),
        ("side", 8, "is neither a release that head can replace nor an ancestor of head"),
    ] {
        assert_eq!(chosen(5, name, number, Chooser::Request), Err(format!("--base is {name}, which {reason}; {remedy}")));
    }
    let oldest = chosen(1, "2.0.0+1", 6, Chooser::Request).unwrap_err();
    assert!(oldest.starts_with("--base is 2.0.0+1, which was made after head; "), "{oldest}");
}

#[test]
fn choice_of_a_pack_counts_only_where_it_fits() {
    assert_eq!(chosen(5, "1.0.0+1", 1, Chooser::Pack).as_deref(), Ok("1.0.0+1 chosen by the recipe's pack"));
    for (name, number) in [("2.0.0+1", 6), ("itself", 5)] {
        let found = chosen(5, name, number, Chooser::Pack).unwrap();
        assert!(found.starts_with("1.1.0+1 the highest release"), "{found}");
    }
}

#[test]
fn files_for_people_and_other_programs_are_not_deployed() {
    for path in ["README.md", "release/1.0.0+1", "tests/a.sh", ".drone.yml", ".gitea/workflows/ci.yml", "LICENSE"] {
        assert!(!is_deployed(path), "{path}");
    }
    for path in ["compose.yml", "compose.sso.yml", "abra.sh", ".env.sample", "nginx.conf.tmpl", "conf/help.md", "entrypoint.sh"] {
        assert!(is_deployed(path), "{path}");
    }
}

#[test]
fn one_lightweight_release_tag_prevents_every_pin() {
    for (tags, pinned) in [
        (&[("1.0.0+1", 1), ("2.0.0+1", 2)][..], true),
        (&[("1.0.0+1", 1), ("~2.0.0+1", 2)], false),
        (&[("1.0.0+1", 1), ("~nightly", 2)], true),
        (&[], true),
    ] {
        assert_eq!(can_be_pinned(&Repository { tags, ..NONE }.tags()), pinned, "{tags:?}");
    }
}

/// A history that branches and merges.
const BRANCHED: &[(u8, &[u8])] = &[(1, &[]), (2, &[1]), (3, &[2]), (4, &[2]), (5, &[3, 4]), (6, &[5]), (7, &[4]), (8, &[6])];

proptest! {
    /// The order of the tags does not matter, the base is one of them, no later version of them is a candidate, and every other
    /// tag has a reason.
    #[test]
    fn choice_depends_on_the_set_of_tags_alone(numbers in prop::collection::vec((0_u64..4, 0_u64..4, 1_u8..9), 0..8), head in 1_u8..9) {
        let from = Repository { tags: &[], history: BRANCHED };
        let lineage = from.lineage(head, &[]);
        let tags: BTreeMap<String, Tag> = numbers
            .into_iter()
            .map(|(major, minor, at)| format!("{major}.{minor}.0+1").parse::<String>().map(|name| (name, at)).unwrap())
            .map(|(name, at)| (name.clone(), Tag { name, commit: commit(at), annotated: true }))
            .collect();
        let head = commit(head);
        let choose = |tags: &[Tag]| {
            let known = BaseFacts { head: &head, head_version: Some("2.0.0+1"), tags, stray_tags: &[], lineage: &lineage, branch: None, chosen: None };
            base(&known).unwrap()
        };
        let sorted: Vec<Tag> = tags.values().cloned().collect();
        let reversed: Vec<Tag> = sorted.iter().rev().cloned().collect();

        let found = choose(&sorted);

        prop_assert_eq!(&found, &choose(&reversed));
        let named: BTreeSet<&str> = found.left_out.iter().map(|left| left.tag.as_str()).collect();
        let excluded: usize = sorted.iter().filter(|tag| named.contains(tag.name.as_str())).count();
        prop_assert_eq!(excluded, named.len());
        match found.base.commit() {
            Some(base) => {
                prop_assert!(*base != head && !lineage.descendants.contains(base));
                prop_assert!(!named.contains(found.base.to_string().as_str()));
            }
            None => prop_assert_eq!(is_unverified(&found.base), !sorted.is_empty()),
        }
    }
}
