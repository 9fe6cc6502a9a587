//! Decisions about an upgrade: the proof of head, dropped services and volumes, canaries, and the data that a restore brings
//! back.

use std::collections::BTreeMap;

use harness::{
    model::{
        names::{Commit, ServiceName, StackName},
        pack::{DatabaseKind, Hooks, Pack, Settings},
    },
    pure::{
        host::converge::ServiceView,
        recipe::{
            backup::{Backed, Coverage},
            canary::{self, Canary, DroppedVolume, Moment, NotExpected, dropped_volumes, expected},
            compose::{Entry, Env, Resolved, Tree, resolve},
            upgrade::{differs, dropped, flaws},
        },
    },
};
use unit_tests::recording::Recording;

fn stack() -> StackName {
    "shop_taster_test".parse().unwrap()
}

/// The resolved files of an app with these services and volumes; each service is `name: volume,volume`.
fn app(services: &[(&str, &str)], labels: &str) -> Resolved {
    let mut compose = "version: \"3.8\"\nservices:\n".to_owned();
    let mut volumes = std::collections::BTreeSet::new();
    for (name, mounted) in services {
        compose += &format!("  {name}:\n    image: bb:1\n");
        let mounted: Vec<&str> = mounted.split(',').filter(|volume| !volume.is_empty()).collect();
        if !mounted.is_empty() {
            compose += "    volumes:\n";
        }
        for volume in mounted {
            compose += &format!("      - {volume}:/{volume}\n");
            volumes.insert(volume);
        }
        if *name == "app" && !labels.is_empty() {
            compose += &format!("    deploy:\n      labels: [{labels}]\n");
        }
    }
    if !volumes.is_empty() {
        compose += "volumes:\n";
        volumes.iter().for_each(|volume| compose += &format!("  {volume}:\n"));
    }
    let tree: Tree = [("compose.yml".to_owned(), Entry::Text(compose))].into_iter().collect();
    resolve(&tree, &Env::default(), &stack()).unwrap()
}

/// The running services, with the commit in abra's label.
fn live(services: &[(&str, Option<&str>)]) -> BTreeMap<ServiceName, ServiceView> {
    let view = Recording::load("healthy").observations.last().unwrap().services.values().next().unwrap().clone();
    let of = |(name, label): &(&str, Option<&str>)| {
        let labels = label.map(|label| (format!("coop-cloud.{}.chaos-version", stack()), label.to_owned()));
        let view = ServiceView { labels: labels.into_iter().collect(), ..view.clone() };
        (format!("{}_{name}", stack()).parse().unwrap(), view)
    };
    services.iter().map(of).collect()
}

#[test]
fn head_is_verified_by_the_commit_in_abras_label() {
    let head: Commit = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    for (labels, flaw) in [
        (&[("app", Some("01234567"))][..], None),
        (&[("app", Some("01234567+U"))], None),
        (&[("app", Some("01234567")), ("db", None)], None),
        (&[("app", Some("89abcdef"))], Some("service app was deployed from commit 89abcdef and not from head")),
        (&[("app", Some("01234567")), ("db", Some("89abcdef"))], Some("service db was deployed from commit 89abcdef")),
        (&[("app", Some("0123"))], Some("service app was deployed from commit 0123")),
        (&[("app", None)], Some("no service bears the label coop-cloud.shop_taster_test.chaos-version")),
        (&[], Some("no service bears the label")),
    ] {
        let found = flaws(&head, &stack(), &live(labels));

        assert_eq!(found.is_empty(), flaw.is_none(), "{labels:?}: {found:?}");
        assert!(flaw.is_none_or(|flaw| found[0].starts_with(flaw)), "{labels:?}: {found:?}");
    }
}

#[test]
fn running_service_outside_of_head_is_dropped() {
    let head = app(&[("app", ""), ("db", "")], "");
    for (services, expected) in [(&["app", "db"][..], ""), (&["app", "db", "worker"], "worker"), (&["app"], "")] {
        let live = live(&services.iter().map(|name| (*name, None)).collect::<Vec<_>>());

        let found: Vec<String> = dropped(&head, &live).iter().map(|name| stack().short(name).to_owned()).collect();

        assert_eq!(found.join(" "), expected, "{services:?}");
    }
}

#[test]
fn version_labels_alone_are_no_change() {
    let version = |version: &str| app(&[("app", "data")], &format!("\"coop-cloud.shop_taster_test.version={version}\""));

    assert!(!differs(&version("1.0.0+1"), &version("1.0.1+1")));
    assert!(differs(&app(&[("app", "data")], ""), &app(&[("app", "data")], "\"a=b\"")));
    assert!(differs(&app(&[("app", "data")], ""), &app(&[("app", "more")], "")));
    assert!(differs(&app(&[("app", "")], ""), &app(&[("app", ""), ("db", "")], "")));
}

#[test]
fn volume_that_a_remaining_service_drops_is_lost() {
    let lost = |service: &str| DroppedVolume::Lost { service: service.into() };
    for (base, head, gone) in [
        (&[("app", "data")][..], &[("app", "data")][..], vec![]),
        (&[("app", "data")], &[("app", "data"), ("db", "rows")], vec![]),
        (&[("app", "data")], &[("app", "files")], vec![("data", lost("app"))]),
        (&[("app", "data")], &[("app", "")], vec![("data", lost("app"))]),
        (&[("app", "data"), ("cache", "tmp")], &[("app", "data")], vec![("tmp", DroppedVolume::Unused)]),
        (&[("app", "data"), ("worker", "data")], &[("app", "data")], vec![]),
        (&[("app", "data"), ("worker", "data")], &[("app", "data"), ("worker", "")], vec![("data", lost("worker"))]),
    ] {
        let expected: Vec<(String, DroppedVolume)> = gone.into_iter().map(|(volume, what)| (volume.to_owned(), what)).collect();
        assert_eq!(dropped_volumes(&app(base, ""), &app(head, "")), expected, "{base:?} to {head:?}");
    }
}

#[test]
fn volume_with_a_database_gets_a_row_and_no_file() {
    let resolved = app(&[("app", "data,upload"), ("db", "rows")], "");
    let canaries = |settings: &str| {
        let pack = Pack { settings: Settings::parse(settings).unwrap(), ..Pack::default() };
        canary::of(&resolved, &pack).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };

    assert_eq!(canaries(""), "a file in volume data, a file in volume rows, a file in volume upload");
    assert_eq!(
        canaries("[[databases]]\nservice = \"db\"\nkind = \"postgres\"\n"),
        "a row in the PostgreSQL database of db, a file in volume data, a file in volume upload"
    );
    assert_eq!(
        canaries("[[databases]]\nservice = \"app\"\nkind = \"sqlite\"\npath = \"/upload/app.db\"\n"),
        "a row in the SQLite database of app, a file in volume data, a file in volume rows"
    );
}

/// An app with a database of this image in the volume `rows`, with labels of the database's service.
fn with_database(image: &str, labels: &[(&str, &str)]) -> Resolved {
    let mut resolved = app(&[("app", "data"), ("db", "rows")], "\"backupbot.backup=true\"");
    let db = resolved.services.get_mut("db").unwrap();
    db.image = image.parse().unwrap();
    db.labels.extend(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    resolved
}

#[test]
fn database_that_its_image_shows_gets_a_row_without_any_setting() {
    let own = Pack { hooks: Hooks { canaries: vec!["a post".into()], ..Hooks::default() }, ..Pack::default() };
    for (image, pack, wanted) in [
        ("postgres:16-alpine", Pack::default(), "a row in the PostgreSQL database of db, a file in volume data"),
        ("mariadb:11", Pack::default(), "a row in the MariaDB or MySQL database of db, a file in volume data"),
        ("redis:7", Pack::default(), "a file in volume data"),
        ("postgres:16-alpine", own, "a post, a file in volume data"),
        ("ghost:5", Pack::default(), "a file in volume data, a file in volume rows"),
    ] {
        let canaries: Vec<String> = canary::of(&with_database(image, &[]), &pack).iter().map(ToString::to_string).collect();
        assert_eq!(canaries.join(", "), wanted, "{image}");
    }
}

#[test]
fn database_in_no_backup_is_a_gap_and_a_cache_is_not() {
    let left_out = ("backupbot.backup.volumes.rows", "false");
    let dumped = ("backupbot.backup.pre-hook", "pg_dump -f /backup/dump.sql");
    for (kind, labels, wanted) in [
        (DatabaseKind::Postgres, &[][..], Ok(())),
        (DatabaseKind::Postgres, &[left_out], Err(NotExpected::NotBackedUp)),
        (DatabaseKind::Postgres, &[left_out, dumped], Ok(())),
        (DatabaseKind::Postgres, &[left_out, ("backupbot.backup.pre-hook", " ")], Err(NotExpected::NotBackedUp)),
        (DatabaseKind::Redis, &[left_out], Err(NotExpected::CacheExcluded)),
        (DatabaseKind::Redis, &[], Ok(())),
    ] {
        let resolved = with_database("postgres:16", labels);
        let row = Canary::Row { service: "db".into(), kind };
        let found = expected(&row, Moment::AfterRestore, &Backed::of(&resolved), &resolved);
        assert_eq!(found, wanted, "{kind:?} {labels:?}");
        assert_eq!(found.is_err_and(|reason| reason.is_gap()), wanted == Err(NotExpected::NotBackedUp));
    }
}

#[test]
fn database_that_is_copied_while_it_runs_is_named() {
    let none = Pack::default();
    let sqlite = "[[databases]]\nservice = \"db\"\nkind = \"sqlite\"\npath = \"/rows/shop.db\"\n";
    let sqlite = Pack { settings: Settings::parse(sqlite).unwrap(), ..Pack::default() };
    for (image, pack, labels, named) in [
        ("postgres:16", &none, &[][..], true),
        ("mysql:8", &none, &[], true),
        ("postgres:16", &none, &[("backupbot.backup.pre-hook", "pg_dump")], false),
        ("postgres:16", &none, &[("backupbot.backup.volumes.rows", "false")], false),
        ("postgres:16", &none, &[("backupbot.backup.volumes.rows.path", "dump.sql")], false),
        ("redis:7", &none, &[], false),
        ("ghost:5", &none, &[], false),
        ("ghost:5", &sqlite, &[], true),
        ("ghost:5", &sqlite, &[("backupbot.backup.volumes.rows.path", "shop.db")], true),
        ("ghost:5", &sqlite, &[("backupbot.backup.volumes.rows.path", "dump.sql")], false),
    ] {
        let found = canary::copied_while_running(&with_database(image, labels), pack);
        assert_eq!(!found.is_empty(), named, "{image} {labels:?}: {found:?}");
        assert!(found.iter().all(|sentence| sentence.contains("volume rows is in the backup")), "{found:?}");
    }
    let off = app(&[("db", "rows")], "");
    assert_eq!(canary::copied_while_running(&off, &none), Vec::<String>::new(), "nothing is copied without a backup");
}

#[test]
fn data_in_the_backup_is_expected_after_a_restore() {
    let canary = Canary::File { volume: "data".into(), name: "shop_taster_test_data".into() };
    let on = "\"backupbot.backup=true\"";
    for (labels, coverage, comes_back) in [
        (on.to_owned(), Coverage::Whole, true),
        (format!("{on}, \"backupbot.backup.volumes.data=false\""), Coverage::Excluded, false),
        (format!("{on}, \"backupbot.backup.volumes.data=true\""), Coverage::Whole, true),
        (
            format!("{on}, \"backupbot.backup.volumes.data.path=/dump.sql, two\""),
            Coverage::Paths { paths: vec!["dump.sql".into(), "two".into()] },
            false,
        ),
        (format!("{on}, \"backupbot.backup.path=/data\""), Coverage::Whole, true),
    ] {
        let resolved = app(&[("app", "data")], &labels);
        let backed = Backed::of(&resolved);

        assert_eq!((backed.enabled(), backed.coverage("data")), (true, coverage), "{labels}");
        let restored = expected(&canary, Moment::AfterRestore, &backed, &resolved);
        assert_eq!(restored.is_ok(), comes_back, "{labels}: {restored:?}");
        assert_eq!(expected(&canary, Moment::AfterUpgrade, &backed, &resolved), Ok(()), "an upgrade keeps everything");
    }
}

#[test]
fn app_without_backup_label_is_not_backed_up() {
    for labels in ["", "\"backupbot.backup=false\"", "\"backupbot.backup=${NOTHING:-false}\""] {
        assert!(!Backed::of(&app(&[("app", "data")], labels)).enabled(), "{labels}");
    }
}
