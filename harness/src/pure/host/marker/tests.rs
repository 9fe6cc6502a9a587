use super::*;
use crate::model::object::ObjectId;

const RUN_ID: &str = "20261121-101502-k3v7q2m7";

fn at(hours: i64) -> Wall {
    Wall::from_millis(1_795_255_302_000 + hours * 3_600_000)
}

fn marker() -> Marker {
    Marker {
        run: RUN_ID.parse().unwrap(),
        stack: "hello-k3v7q2m7_taster_test".parse().unwrap(),
        swarm: "swarm1".parse().unwrap(),
        instance: "there:/home/operator/.local/state/taster/runs".into(),
        boot: "b".into(),
        expires: at(24),
    }
}

fn inventory(name: &str, labels: BTreeMap<String, String>, stack: Option<&str>) -> Inventory {
    let id = ObjectId { kind: ObjectKind::Config, id: "c1".into() };
    let stack = stack.map(|stack| stack.parse().unwrap());
    let config = Object { name: name.into(), stack, labels, version: "1".into(), uses: BTreeSet::new() };
    let other = Object { name: "settings".into(), labels: BTreeMap::new(), stack: None, ..config.clone() };
    let other = (ObjectId { kind: ObjectKind::Config, id: "c2".into() }, other);
    let objects = [(id, config), other].into();
    Inventory { engine: "swarm1".parse().unwrap(), objects, files: BTreeMap::new(), snapshots: BTreeMap::new() }
}

fn state_of(name: &str, labels: BTreeMap<String, String>, stack: Option<&str>, now: Wall, journals: &[&str]) -> MarkerState {
    let journals = journals.iter().map(|run| run.parse().unwrap()).collect();
    let mut all = states(&inventory(name, labels, stack), now, &journals);
    assert_eq!(all.len(), 1, "other configs are not markers: {all:?}");
    all.remove(0).1
}

fn word(state: &MarkerState) -> &str {
    match state {
        MarkerState::OfJournal => "journal",
        MarkerState::Until(_) => "until",
        MarkerState::Expired(_) => "expired",
        MarkerState::Untrusted(why) => why,
    }
}

#[test]
fn marker_is_read_as_it_was_written() {
    let inventory = inventory(&Marker::name(&marker().run), marker().labels(), None);
    let config = markers(&inventory).next().unwrap();
    assert_eq!(Marker::read(config).unwrap(), marker());
    assert_eq!(names(&inventory).collect::<Vec<_>>(), [marker().run]);
}

#[test]
fn standing_of_a_marker_follows_from_its_labels_and_the_time() {
    let name = format!("taster-{RUN_ID}");
    let with = |label: &str, value: Option<&str>| {
        let mut labels = marker().labels();
        labels.remove(label);
        labels.extend(value.map(|value| (label.to_owned(), value.to_owned())));
        labels
    };
    let good = Marker::labels;
    for (what, name, labels, now, journals, expected) in [
        ("its journal is here", &*name, good(&marker()), at(48), &[RUN_ID][..], "journal"),
        ("also where its labels are gone", &name, BTreeMap::new(), at(48), &[RUN_ID], "journal"),
        ("another run's journal is here", &name, good(&marker()), at(1), &["20261121-101502-aebagbaf"], "until"),
        ("its time is not over", &name, good(&marker()), at(23), &[], "until"),
        ("its time is over", &name, good(&marker()), at(24), &[], "expired"),
        ("the clock was set back", &name, good(&marker()), at(-9999), &[], "until"),
        ("no labels", &name, BTreeMap::new(), at(48), &[], "it has no label taster.run"),
        ("no stack", &name, with(STACK, None), at(48), &[], "it has no label taster.stack"),
        ("no expiry", &name, with(EXPIRES, None), at(48), &[], "it has no label taster.expires"),
        ("no time", &name, with(EXPIRES, Some("soon")), at(48), &[], "its label taster.expires: \"soon\" is not a time"),
        ("no run", &name, with(RUN, Some("yesterday")), at(48), &[], "\"yesterday\" is not a valid run id"),
        ("a foreign stack", &name, with(STACK, Some("shop_example_org")), at(48), &[], "does not contain the letters of its run"),
        ("a stack with the letters elsewhere", &name, with(STACK, Some("shop_k3v7q2m7_x")), at(48), &[], "does not contain"),
        ("a stack with more letters", &name, with(STACK, Some("shop-k3v7q2m7x_y")), at(48), &[], "does not contain"),
        ("another Swarm's", &name, with(SWARM, Some("swarm2")), at(48), &[], "was made on the Swarm swarm2"),
        ("no Swarm", &name, with(SWARM, None), at(48), &[], "it has no label taster.swarm"),
        ("another name", "settings-of-taster", good(&marker()), at(48), &[], "not named after its run"),
        ("another run's name", "taster-20261121-101502-aebagbaf", good(&marker()), at(48), &[], "not named after its run"),
    ] {
        let found = state_of(name, labels, None, now, journals);
        assert!(word(&found).contains(expected), "{what}: {found:?}");
    }
    assert!(word(&state_of(&name, good(&marker()), Some("shop"), at(48), &[])).contains("belongs to a stack"));
}

#[test]
fn expired_marker_claims_its_stack_and_itself_and_nothing_else() {
    let MarkerState::Expired(claims) = state_of(&format!("taster-{RUN_ID}"), marker().labels(), None, at(25), &[]) else {
        panic!("it is expired");
    };
    let whats: Vec<String> = claims.iter().map(|claim| claim.what().to_string()).collect();
    assert_eq!(whats, ["stack hello-k3v7q2m7_taster_test", &format!("marker taster-{RUN_ID}")]);
    assert!(claims.iter().all(|claim| claim.engine().as_str() == "swarm1"));
}
