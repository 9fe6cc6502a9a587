use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    model::{ignore::Ignore, names::StackName},
    pure::host::{inventory::Object, inventory_diff::diff},
};

const ENGINE: &str = "swarm1";

fn claim(what: Claimed) -> Claim {
    Claim::new("20261121-101502-k3v7q2m7".parse().unwrap(), ENGINE.parse().unwrap(), what)
}

fn stack_claim(name: &str) -> Claim {
    claim(Claimed::Stack { name: name.parse().unwrap() })
}

fn env_file() -> Claim {
    claim(Claimed::EnvFile { path: "/srv/default/shop.env".into() })
}

fn marker() -> Claim {
    claim(Claimed::Marker { name: "taster-run".into() })
}

/// An inventory of objects, each written as `kind name`, `@stack` for its label, and `>kind name` for what it uses.
fn inventory(objects: &[&str]) -> Inventory {
    let parse = |text: &&str| {
        let mut words = text.split_whitespace();
        let id = id(words.next().unwrap(), words.next().unwrap());
        let (mut stack, mut uses) = (None, BTreeSet::new());
        while let Some(word) = words.next() {
            match word.split_at(1) {
                ("@", label) => stack = Some(label.parse().unwrap()),
                (">", kind) => {
                    uses.insert(self::id(kind, words.next().unwrap()));
                }
                other => panic!("{other:?}"),
            }
        }
        let name = id.id.clone();
        (id, Object { name, stack, labels: BTreeMap::new(), version: "1".into(), uses })
    };
    Inventory {
        engine: ENGINE.parse().unwrap(),
        objects: objects.iter().map(parse).collect(),
        files: BTreeMap::new(),
        snapshots: BTreeMap::new(),
    }
}

fn id(kind: &str, name: &str) -> ObjectId {
    let kind = ObjectKind::ALL.into_iter().find(|one| one.name() == kind).unwrap_or_else(|| panic!("{kind}"));
    ObjectId { kind, id: name.to_owned() }
}

fn removes(plan: &CleanupPlan) -> Vec<String> {
    plan.remove.iter().map(|(_, removal)| removal.to_string()).collect()
}

#[test]
fn services_go_first_then_containers_then_what_nothing_uses() {
    let claims = [stack_claim("shop")];
    let all = [
        "service shop_app @shop >network shop_net >volume shop_data >secret shop_pw_v1",
        "task shop_app.1.x @shop",
        "container shop_app.1.x @shop >volume shop_data >network shop_net",
        "network shop_net @shop",
        "volume shop_data @shop",
        "secret shop_pw_v1",
        "config shop_conf_v1 @shop",
    ];
    for (what, objects, remove, waiting) in [
        ("all", &all[..], vec!["service shop_app"], 6),
        ("services gone", &all[1..], vec!["container shop_app.1.x", "secret shop_pw_v1", "config shop_conf_v1"], 3),
        ("task about to end", &all[1..2], vec![], 1),
        (
            "containers gone",
            &all[3..],
            vec!["network shop_net", "volume shop_data", "secret shop_pw_v1", "config shop_conf_v1"],
            0,
        ),
    ] {
        let now = cleanup_plan(&claims, &inventory(objects));
        assert_eq!(removes(&now), remove, "{what}");
        assert_eq!((now.waiting.len(), now.blocked.len(), now.clean), (waiting, 0, false), "{what}");
    }
    assert!(cleanup_plan(&claims, &inventory(&[])).clean);
}

#[test]
fn name_is_the_claim_unless_a_foreign_label_outweighs_it() {
    for (object, others, ours) in [
        ("volume shop_data @shop", &[][..], true),
        ("secret shop_pw_v1", &[], true),
        ("secret shop_pw_v1 @inn", &[], false),
        ("service shop_extra_app @shop_extra", &[], false),
        ("secret shop_extra_pw_v1", &["service shop_extra_app @shop_extra"], false),
        ("secret shop_extra_pw_v1", &["service shop_extras_app @shop_extras"], true),
        ("volume shop2_data", &[], false),
        ("volume shop-2_data", &[], false),
        ("volume myshop_data", &[], false),
        ("volume shop", &[], false),
        ("network backend @shop", &[], true),
        ("volume my-own-name @shop", &[], true),
        ("container shop_seed", &[], true),
        ("network backend", &[], false),
    ] {
        let mut objects = others.to_vec();
        objects.push(object);
        let now = cleanup_plan(&[stack_claim("shop")], &inventory(&objects));
        assert_eq!(removes(&now).len(), usize::from(ours), "{object} beside {others:?}");
        assert_eq!(now.clean, !ours, "{object} beside {others:?}");
    }
}

#[test]
fn label_that_can_be_set_on_any_object_is_no_proof() {
    let now = cleanup_plan(&[stack_claim("shop")], &inventory(&["secret borrowed @shop"]));
    assert_eq!(removes(&now), Vec::<String>::new());
    assert_eq!(now.blocked[0].to_string(), "secret borrowed: it has the stack's label but not its name");
}

#[test]
fn object_that_a_stranger_uses_is_blocked_and_names_the_stranger() {
    let objects = [
        "network shop_net @shop",
        "volume shop_data @shop",
        "volume shop_free @shop",
        "container ingress >network shop_net",
        "container dump >volume shop_data",
        "container other >volume shop_data",
    ];
    let now = cleanup_plan(&[stack_claim("shop")], &inventory(&objects));
    assert_eq!(removes(&now), ["volume shop_free"]);
    let blocked: Vec<String> = now.blocked.iter().map(Left::to_string).collect();
    assert_eq!(
        blocked,
        ["network shop_net: used by container ingress", "volume shop_data: used by container dump, container other"]
    );
}

#[test]
fn files_go_after_objects_and_the_marker_last() {
    let claims = [marker(), env_file(), stack_claim("shop")];
    let with_file = |objects: &[&str]| {
        let mut inventory = inventory(objects);
        for path in ["/srv/default/shop.env", "/srv/default/inn.env"] {
            inventory.files.insert(path.into(), "x".into());
        }
        inventory
    };
    let first = cleanup_plan(&claims, &with_file(&["volume shop_data", "config taster-run"]));
    assert_eq!((removes(&first), first.files.len(), first.waiting.len()), (vec!["volume shop_data".to_owned()], 0, 2));
    let second = cleanup_plan(&claims, &with_file(&["config taster-run"]));
    assert_eq!((removes(&second).len(), second.waiting.len()), (0, 1));
    assert_eq!(
        second.files.iter().map(|(_, path)| path.as_path()).collect::<Vec<_>>(),
        ["/srv/default/shop.env".as_ref() as &std::path::Path]
    );
    assert_eq!(removes(&cleanup_plan(&claims, &inventory(&["config taster-run"]))), ["config taster-run"]);
    let blocked =
        cleanup_plan(&claims, &with_file(&["volume shop_data", "container dump >volume shop_data", "config taster-run"]));
    assert_eq!(
        (blocked.files.len(), blocked.waiting.len(), removes(&blocked).len()),
        (1, 1, 0),
        "the marker stays, the file does not"
    );
    assert_eq!(
        cleanup_plan(&claims, &inventory(&["secret taster-run", "config taster-run @taster"])).remove,
        [],
        "the marker is a config without a stack"
    );
}

#[test]
fn claim_for_another_swarm_is_refused_with_a_sentence() {
    let mut elsewhere = inventory(&["volume shop_data"]);
    elsewhere.engine = "swarm2".parse().unwrap();
    let claims = [stack_claim("shop")];
    let now = cleanup_plan(&claims, &elsewhere);
    assert_eq!((now.remove.len(), now.clean), (0, false));
    assert_eq!(now.refused[0].to_string(), "stack shop: it is on the Swarm swarm1, which this engine does not belong to");
    assert_eq!(released(&claims, &now), BTreeSet::new(), "a claim out of reach is not known to be gone");
}

#[test]
fn object_that_is_claimed_twice_is_removed_once() {
    let claims = [stack_claim("shop"), stack_claim("inn"), stack_claim("shop")];
    assert_eq!(
        removes(&cleanup_plan(&claims, &inventory(&["volume shop_data", "volume inn_data"]))),
        ["volume inn_data", "volume shop_data"]
    );
}

#[test]
fn claims_are_released_one_by_one() {
    let claims = [stack_claim("shop"), stack_claim("inn"), marker()];
    let now = cleanup_plan(&claims, &inventory(&["volume shop_data", "config taster-run"]));
    assert_eq!(released(&claims, &now), BTreeSet::from([stack_claim("inn").what().clone()]));
    assert_eq!(released(&claims, &cleanup_plan(&claims, &inventory(&[]))).len(), 3);
}

#[test]
fn changed_stranger_counts_only_if_a_claim_or_a_call_reached_it() {
    let before = inventory(&["volume shop_data", "volume inn_data", "secret inn_pw", "config kept", "network shop_old"]);
    let mut after =
        inventory(&["volume inn_data", "secret inn_pw", "config kept", "network shop_new", "volume late", "network shop_old"]);
    for name in ["inn_data", "inn_pw"] {
        for (id, object) in &mut after.objects {
            if id.id == name {
                object.version = "2".into();
            }
        }
    }
    let seen = diff(&before, &after, &[stack_claim("shop")], &BTreeSet::from([id("secret", "inn_pw")]), &[]);
    assert_eq!(seen.leaked, ["network shop_new"], "an object from before the run is not leaked");
    assert_eq!(seen.changed_bystanders, ["volume shop_data vanished", "secret inn_pw changed"]);
    assert_eq!(seen.others, ["volume inn_data changed", "volume late appeared"]);
    assert!(diff(&before, &before, &[stack_claim("shop")], &BTreeSet::new(), &[]).clean());
}

#[test]
fn ignored_change_is_listed_with_its_reason_and_a_leak_is_never_ignored() {
    let before = inventory(&["volume shop_data", "volume inn_data"]);
    let after = inventory(&["network shop_new"]);
    let ignore = |what: &str| Ignore {
        what: what.to_owned().try_into().unwrap(),
        reason: "the inn turns it over".into(),
        until: "2026-12-31".to_owned().try_into().unwrap(),
    };
    let ignores = [ignore("volume shop_data"), ignore("volume inn_*"), ignore("network shop_*")];
    let seen = diff(&before, &after, &[stack_claim("shop")], &BTreeSet::new(), &ignores.iter().collect::<Vec<_>>());
    assert_eq!(seen.leaked, ["network shop_new"]);
    let ignored = |what: &str| format!("volume {what} vanished: the inn turns it over, until 2026-12-31");
    assert_eq!((seen.changed_bystanders.len(), seen.others.len()), (0, 0), "{seen:?}");
    assert_eq!(seen.ignored, [ignored("inn_data"), ignored("shop_data")]);
}

#[test]
fn env_file_of_our_app_is_ours_in_any_folder() {
    let domain = "shop-aebagbaf.taster.test".parse().unwrap();
    let claim = claim(Claimed::Stack { name: StackName::of(&domain) });
    let (before, mut after) = (inventory(&[]), inventory(&[]));
    for name in ["shop-aebagbaf.taster.test", "inn.taster.test"] {
        after.files.insert(format!("/home/operator/.abra/servers/default/{name}.env").into(), "a".into());
    }
    let seen = diff(&before, &after, &[claim], &BTreeSet::new(), &[]);
    assert_eq!(seen.leaked, ["file /home/operator/.abra/servers/default/shop-aebagbaf.taster.test.env"]);
    assert_eq!(seen.others, ["file /home/operator/.abra/servers/default/inn.taster.test.env appeared"]);
}

#[test]
fn files_are_compared_as_objects_are() {
    let (mut before, mut after) = (inventory(&[]), inventory(&[]));
    for (path, old, new) in [
        ("/srv/default/shop.env", None, Some("a")),
        ("/srv/default/inn.env", Some("a"), Some("b")),
        ("/srv/default/gone.env", Some("a"), None),
        ("/srv/default/same.env", Some("a"), Some("a")),
    ] {
        before.files.extend(old.map(|digest: &str| (path.into(), digest.to_owned())));
        after.files.extend(new.map(|digest: &str| (path.into(), digest.to_owned())));
    }
    let seen = diff(&before, &after, &[env_file()], &BTreeSet::new(), &[]);
    assert_eq!(seen.leaked, ["file /srv/default/shop.env"]);
    assert_eq!(seen.others, ["file /srv/default/gone.env vanished", "file /srv/default/inn.env changed"]);
    assert!(seen.changed_bystanders.is_empty());
}
