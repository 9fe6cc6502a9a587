//! Runs that are killed while others are at work for them: children that escape, services that go on, sweepers beside each other,
//! runs of other machines. Whoever comes after them, the end is zero.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use harness::model::names::{Domain, RunId};
use libtest_mimic::Trial;
use unit_tests::{
    engine::{Engine, printed, until},
    sandbox_fixture::SandboxFixture,
    stacks::{fresh_run, stack_of},
    test_env::{TestEnv, ended, journal, run_id, signal},
};

use super::{
    backup::snapshots,
    guardian::left_alive,
    runs::on_stages,
    unfit_hosts::{on_scratch_engines, scratch_swarm},
};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    let tests = on_stages(
        fixture,
        &[
            ("after_kill::what_escaped_from_a_killed_run_makes_more_after_the_first_sweep", escaped),
            ("after_kill::a_guardian_and_two_janitors_at_once_remove_each_thing_once", at_once),
            ("after_kill::a_backup_that_is_being_made_when_its_run_is_killed_leaves_no_snapshot", backed_up),
            ("after_kill::a_restore_that_goes_on_when_its_run_is_killed_leaves_no_folder_of_a_volume", restored),
        ],
    );
    let elsewhere =
        on_stages(fixture, &[("after_kill::the_marker_of_another_machine_speaks_until_it_expires", of_another_machine)]);
    tests.into_iter().chain(on_scratch_engines(fixture, elsewhere)).collect()
}

/// Says in `$stack` and `$domain` which app abra is asked for.
const APP: &str = "for word in \"$@\"; do case $word in *.taster.test) domain=$word; esac; done
stack=$(printf %s \"$domain\" | tr . _)";

/// A run of `hello` with this abra, which is killed when `reached` returns; nobody kills its guardian.
fn killed(env: &TestEnv<'_>, abra: &str, reached: impl FnOnce()) -> (Domain, String) {
    let abra = env.script(abra);
    let mut run = env.start_on(&[("abra", &abra)], &["--recipe", "hello"]);
    reached();
    // `kill` of the standard library is SIGKILL.
    run.kill().unwrap();
    run.wait().unwrap();
    let id = run_id(&env.only_run());
    let domain = Domain::of(&"hello".parse().unwrap(), &id, &"taster.test".parse().unwrap()).unwrap();
    (domain, stack_of(&id).to_string())
}

fn is_over(env: &TestEnv<'_>) {
    until("the guardian is gone", || env.guardians().is_empty());
    env.assert_zero();
    let results = env.results();
    assert_eq!(results["verdict"]["outcome"], "inconclusive", "{results}");
    assert!(results["verdict"].to_string().contains("the run was killed"), "{results}");
}

/// abra has started two processes with sessions of their own. One is known by its environment and ends with the run. The other has
/// thrown everything away by which it could be known: it waits for the first sweep, and then makes things for two seconds.
fn escaped(env: &TestEnv<'_>) {
    let place = env.path().join("made").display().to_string();
    let makes = format!(
        "i=0; until grep -qs swept-after \"$1\"/taster/runs/*/events.jsonl; do i=$((i+1)); [ $i -gt 600 ] && exit; sleep 0.1; done
         for i in 1 2 3 4; do sleep 0.5; echo x | docker secret create \"$2_late$i\" -; docker volume create \"$2_late$i\";
         docker network create --driver overlay \"$2_late$i\"; done; touch '{place}'"
    );
    fs::write(env.path().join("makes.sh"), makes).unwrap();
    let folder = env.path().display().to_string();
    let abra = format!(
        "case \"$*\" in *'app deploy'*) {APP}
         setsid sleep 66.125 >/dev/null 2>&1 </dev/null &
         setsid env -i PATH=\"$PATH\" sh '{folder}/makes.sh' '{folder}' \"$stack\" >/dev/null 2>&1 </dev/null &
         \"$ABRA\" \"$@\"; touch '{folder}/deployed'; sleep 67.125;; *) exec \"$ABRA\" \"$@\";; esac"
    );
    let (_, stack) = killed(env, &abra, || until("abra has deployed", || env.path().join("deployed").exists()));
    until("the escaped child has made what it makes", || fs::exists(&place).unwrap());
    is_over(env);
    assert!(!left_alive("66.125") && !left_alive("67.125"), "what a child started goes with it, whatever its session");
    let told = journal(&env.only_run());
    assert!(told.matches(r#""event":"swept-after""#).count() >= 2, "what came late is told: {told}");
    assert_eq!(env.fixture.engine.left_of(&stack, &[]), "");
}

fn at_once(env: &TestEnv<'_>) {
    killed(env, "exec \"$ABRA\" \"$@\"", || env.reached(r#""event":"observed","step":"deploy""#));
    let janitors = [env.start(&["janitor"]), env.start(&["janitor"])];
    for janitor in janitors {
        ended(janitor).assert(0, &["runs looked at"]);
    }
    is_over(env);
    let told = journal(&env.only_run());
    let removed = told.lines().filter(|line| line.contains("swept-after") && !line.contains("\"removed\":0")).count();
    assert_eq!(removed, 1, "one of them has removed it all: {told}");
    let (claimed, released) = (told.matches(r#""event":"claimed""#).count(), told.matches(r#""event":"released""#).count());
    assert_eq!(claimed, released, "each claim is released once: {told}");
}

/// The service goes on with a backup when the abra that asked for it is dead.
fn backed_up(env: &TestEnv<'_>) {
    let (app, _) = killed(env, "exec \"$ABRA\" \"$@\"", || env.reached("abra app-backup-create"));
    is_over(env);
    assert_eq!(snapshots(&env.fixture.engine, &app), Vec::<String>::new());
}

/// So it does with a restore, which must not put the app's volume on the disk again when the engine has removed it. restic is held until
/// a sweep that did not wait for it would be over.
fn restored(env: &TestEnv<'_>) {
    let engine = &env.fixture.engine;
    let mut restic = None;
    let (_, stack) = killed(env, "exec \"$ABRA\" \"$@\"", || {
        env.reached("abra app-restore");
        let app = Domain::of(&"hello".parse().unwrap(), &run_id(&env.only_run()), &"taster.test".parse().unwrap()).unwrap();
        until("restic restores", || {
            restic = restic_for(&app).pop();
            restic.is_some()
        });
        signal(restic.unwrap(), "STOP");
    });
    let held = Instant::now() + Duration::from_secs(4);
    while Instant::now() < held && !engine.folders_of(&stack).is_empty() {
        thread::sleep(Duration::from_millis(50));
    }
    signal(restic.unwrap(), "CONT");
    is_over(env);
    until("restic is over", || !Path::new(&format!("/proc/{}", restic.unwrap())).exists());
    assert_eq!(engine.folders_of(&stack), Vec::<String>::new());
}

/// The processes of restic that restore the app, by what abra gives the bot and the bot gives them.
fn restic_for(app: &Domain) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let has = |pid: u32, file: &str, text: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).split('\0').any(|part| part == text)
    };
    pids.filter(|pid| has(*pid, "environ", &format!("SERVICE={app}")) && has(*pid, "cmdline", "--include")).collect()
}

/// A marker as another machine would have made it, by hand, and a network, a secret and a volume of its run.
fn elsewhere(engine: &Engine, expires: &str) -> RunId {
    let run = fresh_run();
    let stack = stack_of(&run).to_string();
    let swarm = engine.ask(&["info", "--format", "{{.Swarm.Cluster.ID}}"]);
    let name = format!("taster-{run}");
    let labels = [
        format!("taster.run={run}"),
        format!("taster.stack={stack}"),
        format!("taster.swarm={swarm}"),
        "taster.instance=there:/srv/taster/runs".to_owned(),
        "taster.boot=b".to_owned(),
        format!("taster.expires={expires}"),
    ];
    let options = labels.iter().flat_map(|label| ["--label", label]);
    let made: Vec<&str> = ["config", "create"].into_iter().chain(options).chain([name.as_str(), "/etc/hostname"]).collect();
    printed(engine.docker().args(&made), &made);
    engine.secret(&format!("{stack}_password_v1"));
    let label = format!("com.docker.stack.namespace={stack}");
    engine.ask(&["network", "create", "--driver", "overlay", "--label", &label, &format!("{stack}_default")]);
    engine.ask(&["volume", "create", "--label", &label, &format!("{stack}_data")]);
    run
}

fn of_another_machine(env: &TestEnv<'_>) {
    let scratch = scratch_swarm(&[]);
    let engine = scratch.engine();
    let (over, valid) = (elsewhere(&engine, "2026-01-02T00:00:00.000Z"), elsewhere(&engine, "2999-01-01T00:00:00.000Z"));
    let names = |run: &RunId| {
        let stack = stack_of(run).to_string();
        (format!("taster-{run}"), format!("{stack}_password_v1"), format!("{stack}_default"), format!("{stack}_data"))
    };
    let (marker, secret, network, volume) = names(&valid);
    let portrait = || engine.portrait(&[("config", &marker), ("secret", &secret), ("network", &network), ("volume", &volume)]);
    let before = portrait();
    let socket = scratch.socket().display().to_string();
    let alone =
        format!("{marker}: left alone: its journal is on there:/srv/taster/runs; its marker speaks for it until 2999-01-01");
    let would = env.run(&["janitor", "--engine", &socket, "--dry-run"]);
    would.assert(0, &[&format!("taster-{over}: would remove "), &alone]);
    let told = env.run(&["janitor", "--engine", &socket]);
    told.assert(0, &[&format!("taster-{over}: 4 removed in "), &alone]);
    assert_eq!(engine.left_of(stack_of(&over).as_str(), &[]), "");
    assert!(!engine.ok(&["config", "inspect", &format!("taster-{over}")]), "the marker goes last, and goes");
    assert_eq!(portrait(), before, "the other one is as it was");
    let again = env.run(&["janitor", "--engine", &socket]);
    again.assert(0, &[&alone]);
    assert!(!again.out.contains(over.as_str()), "{again}");
}
