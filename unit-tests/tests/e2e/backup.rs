//! The sandbox's backup service on a real Swarm: corrupted and restored volumes, hooks, two apps at once.

use std::{process::Command, thread};

use harness::{adapters::abra::Ended, model::names::Domain};
use libtest_mimic::Trial;
use unit_tests::{
    engine::{Engine, printed, until},
    sandbox_fixture::IMAGE,
};

use crate::{
    abra::{Cleanup, Place},
    conformance::{Given, Prepared},
    trials::{e2e_tests, on_engine},
};

/// The label by which abra finds the service.
const BOT: &str = "coop-cloud.backupbot.enabled=true";

/// The tests of this file.
pub(crate) fn tests(engine: &Engine) -> Vec<Trial> {
    on_engine(
        engine,
        &e2e_tests![
            corrupted_data_comes_back_as_the_labels_say,
            older_snapshot_comes_back_when_named_or_newest,
            two_apps_at_once_do_not_disturb_each_other,
            failed_copy_makes_no_snapshot,
        ],
    )
}

/// A program run in the container of the backup service. A snapshot at the same moment locks the repository for a while.
fn bot(engine: &Engine, env: &[&str], argv: &[&str]) -> Result<String, String> {
    let filter = format!("label={}", BOT);
    let service = engine.ask(&["service", "ls", "--filter", &filter, "--format", "{{.Name}}"]);
    let own = service.lines().find(|name| *name == "taster-backup").expect("the sandbox has a backup service");
    let container = engine.ask(&["ps", "--quiet", "--filter", &format!("label=com.docker.swarm.service.name={own}")]);
    let mut result = Err(String::new());
    until("the repository is not locked", || {
        let env = env.iter().flat_map(|pair| ["--env", pair]);
        let done = engine.docker().arg("exec").args(env).arg(&container).args(argv).output().unwrap();
        let output = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let locked = output.contains("already locked");
        result = if done.status.success() { Ok(output) } else { Err(output) };
        !locked
    });
    result
}

/// The ids of an app's snapshots, oldest first.
pub(crate) fn snapshots(engine: &Engine, app: &Domain) -> Vec<String> {
    let listed = bot(engine, &[&format!("SERVICE={app}")], &["/usr/bin/backup", "--", "snapshots"]).unwrap();
    let lines = listed.lines().filter_map(|line| line.split_once(' ')).filter(|(time, _)| time.len() == 19);
    lines.map(|(_, id)| id.to_owned()).collect()
}

fn forget(engine: &Engine, ids: &[String]) {
    let ids = ids.iter().map(String::as_str);
    bot(engine, &[], &["restic", "forget"].into_iter().chain(ids).collect::<Vec<_>>()).unwrap();
}

/// Forgets all snapshots of an app, also when its test failed.
pub(crate) struct Forget<'a>(pub(crate) &'a Engine, pub(crate) Domain);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let Forget(engine, app) = self;
        let left = snapshots(engine, app);
        if !left.is_empty() {
            forget(engine, &left);
        }
    }
}

/// An app of two services: the specimen, which has no shell, and one that has, with all volumes of both.
struct DeployedApp<'a> {
    engine: &'a Engine,
    place: Place,
}

impl<'a> DeployedApp<'a> {
    /// The app with these labels added to its second service.
    fn deployed(engine: &'a Engine, labels: &[&str]) -> (Self, (Forget<'a>, Cleanup<'a>)) {
        let place = Place::new();
        let cleanup = (Forget(engine, place.domain()), Cleanup(engine, place.stack()));
        Prepared::new(&place).prepare(Given::App).unwrap();
        let app = Self { engine, place };
        let labels: Vec<String> = labels.iter().map(|label| format!("        - {label:?}\n")).collect();
        let compose = format!(
            r#"version: "3.8"
services:
  app:
    image: {}
    volumes: ["posts:/data", "cache:/cache"]
    deploy:
      endpoint_mode: dnsrr
      labels:
        - "backupbot.backup=true"
        - "backupbot.backup.volumes.cache=false"
  db:
    image: {IMAGE}
    command: sleep 100000
    stop_grace_period: 0s
    volumes: ["posts:/posts", "cache:/cache", "db:/db"]
    deploy:
      endpoint_mode: dnsrr
      labels:
        - "other=1"
{}volumes:
  posts:
  cache:
  db:
"#,
            sandbox::images::specimen(),
            labels.concat()
        );
        let file = app.place.dir.path().join("stack.yml");
        std::fs::write(&file, compose).unwrap();
        let file = file.to_str().unwrap();
        engine.ask(&["stack", "deploy", "--resolve-image", "never", "-c", file, &app.place.stack()]);
        engine.running(&app.place.stack(), 2);
        (app, cleanup)
    }

    /// What a shell line prints in the container that has all volumes.
    fn inside(&self, line: &str) -> String {
        let filter = format!("label=com.docker.swarm.service.name={}_db", self.place.stack());
        let container = self.engine.ask(&["ps", "--quiet", "--filter", &filter]);
        self.engine.ask(&["exec", &container, "sh", "-c", line])
    }

    /// Calls abra on a terminal. Returns whether it succeeded, and its output.
    fn abra(&self, words: &str) -> Result<String, String> {
        let args: Vec<String> = format!("-n -o app {words} -C {}", self.place.domain()).split(' ').map(str::to_owned).collect();
        match Prepared::new(&self.place).on_terminal(&args) {
            (Ended::Exit(0), output) => Ok(output),
            (_, output) => Err(output),
        }
    }
}

/// All files with their contents.
const PORTRAIT: &str = "cd / && for f in posts/* posts/*/* cache/* db/*; do test -f $f && echo $f: $(cat $f); done; true";

fn corrupted_data_comes_back_as_the_labels_say(engine: &Engine) {
    let hooks = [
        "backupbot.backup.volumes.db.path=dump",
        "backupbot.backup.pre-hook=cat /db/live > /db/dump",
        "backupbot.restore.post-hook=cat /db/dump > /db/live",
    ];
    let (app, _cleanup) = DeployedApp::deployed(engine, &hooks);
    app.inside("mkdir /posts/old; echo 1 > /posts/1; echo 2 > '/posts/old/2'; echo warm > /cache/c; echo rows > /db/live");
    app.inside("chown 1000:1001 /posts/1; chmod 640 /posts/1; touch '/posts/a*[b]'");
    let created = app.abra("backup create").unwrap();
    let before = app.inside(PORTRAIT);
    assert_eq!(before, "posts/1: 1\nposts/a*[b]:\nposts/old/2: 2\ncache/c: warm\ndb/dump: rows\ndb/live: rows");

    app.inside(
        "echo bad > /posts/1; rm -r /posts/old; echo new > /posts/3; echo cold > /cache/c; echo bad > /db/live; rm /db/dump",
    );
    app.abra("restore").unwrap();
    let restored = "posts/1: 1\nposts/a*[b]:\nposts/old/2: 2\ncache/c: cold\ndb/dump: rows\ndb/live: bad";
    assert_eq!(app.inside(PORTRAIT), restored, "all but the volume that is left out, and no hook");
    assert!(app.inside("ls -ln /posts/1").contains("-rw-r-----    1 1000     1001"));

    app.abra("restore -H").unwrap();
    assert_eq!(app.inside("cat /db/live"), "rows", "the hook loads the dump");

    app.inside("echo bad > /posts/1; echo bad > /db/dump");
    app.abra("restore -v db").unwrap();
    assert_eq!(app.inside("cat /posts/1 /db/dump"), "bad\nrows", "only the volume that was asked for");
    let unknown = app.abra("restore -v nothing").unwrap_err();
    assert!(unknown.contains("has no volume nothing"), "{unknown}");

    let id = snapshots(engine, &app.place.domain()).pop().unwrap();
    assert!(created.contains(&format!("\"snapshot_id\":\"{id}")), "{id} in {created}");
}

fn older_snapshot_comes_back_when_named_or_newest(engine: &Engine) {
    let (app, _cleanup) = DeployedApp::deployed(engine, &[]);
    let name = app.place.domain();
    for text in ["first", "second"] {
        app.inside(&format!("echo {text} > /posts/1"));
        app.abra("backup create").unwrap();
    }
    let ids = snapshots(engine, &name);
    assert_eq!(ids.len(), 2);
    let service = format!("SERVICE={name}");
    let named = format!("SNAPSHOT={}", ids[0]);
    bot(engine, &[&service, &named], &["/usr/bin/backup", "--", "restore"]).unwrap();
    assert_eq!(app.inside("cat /posts/1"), "first");
    bot(engine, &[], &["/usr/bin/backup", "-h", name.as_str(), "restore", "--snapshot", &ids[1]]).unwrap();
    assert_eq!(app.inside("cat /posts/1"), "second");
    let strange = bot(engine, &["SERVICE=other.taster.test", &named], &["/usr/bin/backup", "--", "ls"]).unwrap_err();
    assert!(strange.contains("found for app other.taster.test"), "{strange}");

    forget(engine, &ids[1..]);
    assert_eq!(snapshots(engine, &name), ids[..1]);
    app.abra("restore").unwrap();
    assert_eq!(app.inside("cat /posts/1"), "first", "the newest that is left");
    forget(engine, &ids[1..]);
}

fn two_apps_at_once_do_not_disturb_each_other(engine: &Engine) {
    let apps = [DeployedApp::deployed(engine, &[]), DeployedApp::deployed(engine, &[])];
    thread::scope(|scope| {
        let each = apps.iter().enumerate().map(|(at, (app, _))| {
            scope.spawn(move || {
                app.inside(&format!("echo {at} > /posts/1"));
                for _ in 0..2 {
                    app.abra("backup create").unwrap();
                }
            })
        });
        let each: Vec<_> = each.collect();
        // `forget` locks the repository.
        while each.iter().any(|one| !one.is_finished()) {
            forget(engine, &["00000000".to_owned()]);
        }
    });
    for (app, _) in &apps {
        assert_eq!(snapshots(engine, &app.place.domain()).len(), 2);
    }
    let (first, second) = (&apps[0].0, &apps[1].0);
    first.inside("echo bad > /posts/1");
    second.inside("echo bad > /posts/1");
    first.abra("restore").unwrap();
    assert_eq!((first.inside("cat /posts/1"), second.inside("cat /posts/1")), ("0".to_owned(), "bad".to_owned()));
}

fn failed_copy_makes_no_snapshot(engine: &Engine) {
    let (app, _cleanup) = DeployedApp::deployed(engine, &["backupbot.backup.volumes.db.path=dump"]);
    let label_of = |service: &str, label: &str| {
        let service = format!("{}_{service}", app.place.stack());
        engine.ask(&["service", "update", "--detach", "--quiet", "--label-add", label, &service]);
        // An early update replaces the task even when only a label changes.
        let current = format!(r#"filters={{"service":["{service}"],"desired-state":["running"],"_up-to-date":["true"]}}"#);
        until("a task with the label runs", || {
            let mut asked = Command::new("curl");
            asked.args(["-sS", "-G", "http://engine/tasks", "--data-urlencode", &current, "--unix-socket"]).arg(engine.socket());
            printed(&mut asked, &["curl"]).contains(r#""State":"running""#)
        });
    };
    let label = |label: &str| label_of("db", label);
    let refused = |says: &str| {
        let output = app.abra("backup create").unwrap_err();
        assert!(output.contains(says) && output.contains("FATA "), "{says} in {output}");
    };
    refused("_db/_data/dump does not exist");
    label("backupbot.backup.volumes.db.path=out/dump");
    label("backupbot.backup.pre-hook=echo why; exit 3");
    refused("_db failed with exit code 3: why");
    // Without a shell in the image the words are the command; this one lacks an address.
    label_of("app", "backupbot.backup.pre-hook=/specimen probe nothing");
    refused("_app failed with exit code 1");
    label_of("app", "backupbot.backup.pre-hook=");
    assert!(snapshots(engine, &app.place.domain()).is_empty());

    // A restore does not follow a link in the data of an app.
    label("backupbot.backup.pre-hook=mkdir -p /db/out && touch /db/out/dump");
    app.abra("backup create").unwrap();
    app.inside(&format!("rm -r /db/out; echo kept > /posts/dump; {} /db/out", link(&app)));
    let output = app.abra("restore -v db").unwrap_err();
    assert!(output.contains("leads out of its volume"), "{output}");
    assert_eq!(app.inside("cat /posts/dump"), "kept");
}

/// A command that makes a link to the volume of posts, as the backup service sees it.
fn link(app: &DeployedApp<'_>) -> String {
    format!("/bin/busybox ln -s ../../{}_posts/_data", app.place.stack())
}
