//! Cleanup after killed runs whose work is not over: escaped children, a backup service in the middle of a restore, several
//! janitors, runs of other machines. In the end nothing is left.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use harness::model::names::{Domain, RunId};
use libtest_mimic::Trial;
use unit_tests::{
    command_output::{CommandOutput, signal},
    engine::{Engine, printed, until},
    sandbox_fixture::SandboxFixture,
    stacks::{fresh_run, stack_of},
    test_env::{TestEnv, journal, run_id},
    test_run::RunningRun,
};

use crate::{
    backup::snapshots,
    guardian::left_alive,
    trials::{e2e_tests, in_env, with_scratch_engine},
    unfit_hosts::scratch_swarm,
};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    let mut tests = in_env(
        fixture,
        &e2e_tests![
            objects_of_an_escaped_child_are_removed_by_a_later_cleanup,
            guardian_and_two_janitors_at_once_remove_each_object_once,
            backup_of_a_killed_run_leaves_no_snapshot,
            restore_of_a_killed_run_leaves_no_folder_of_a_volume,
        ],
    );
    tests.extend(with_scratch_engine(fixture, &e2e_tests![marker_of_another_machine_holds_until_it_expires]));
    tests
}

/// A shell line that sets `$stack` and `$domain` to the app that abra is called for.
const APP: &str = "for word in \"$@\"; do case $word in *.taster.test) domain=$word; esac; done
stack=$(printf %s \"$domain\" | tr . _)";

const PLAIN_ABRA: &str = "exec \"$ABRA\" \"$@\"";
/// The event of a cleanup after the end of a run.
const CLEANED: &str = "cleaned-after";

/// A run of `hello` with this abra, killed when `reached` returns, while its guardian lives.
fn killed<'a>(env: &'a TestEnv<'_>, abra: &str, reached: impl FnOnce(&mut RunningRun<'a>)) -> RunningRun<'a> {
    let mut run = env.run("hello").abra(abra).start();
    reached(&mut run);
    run.kill();
    run
}

fn domain(run: &RunningRun<'_>) -> Domain {
    Domain::of(&"hello".parse().unwrap(), &run_id(&run.folder()), &"taster.test".parse().unwrap()).unwrap()
}

fn stack(run: &RunningRun<'_>) -> String {
    stack_of(&run_id(&run.folder())).to_string()
}

/// Waits until the guardian has ended and expects that it has left nothing and the results of a killed run.
fn assert_cleaned_up(env: &TestEnv<'_>, run: &RunningRun<'_>) {
    env.until_guardians_end();
    env.assert_nothing_left();
    let results = run.results();
    assert_eq!(results["verdict"]["outcome"], "inconclusive", "{results}");
    assert!(results["verdict"].to_string().contains("the run was killed"), "{results}");
}

/// abra has started two processes in separate sessions. One has the run in its environment and ends with the run. The other has
/// no mark of the run: it waits for the first cleanup, and then makes objects for two seconds.
fn objects_of_an_escaped_child_are_removed_by_a_later_cleanup(env: &TestEnv<'_>) {
    let made = env.path().join("made");
    let makes = format!(
        "i=0; until grep -qs {CLEANED} \"$1\"/taster/runs/*/events.jsonl; do i=$((i+1)); [ $i -gt 600 ] && exit; sleep 0.1; done
         for i in 1 2 3 4; do sleep 0.5; echo x | docker secret create \"$2_late$i\" -; docker volume create \"$2_late$i\";
         docker network create --driver overlay \"$2_late$i\"; done; touch '{}'",
        made.display()
    );
    fs::write(env.path().join("makes.sh"), makes).unwrap();
    let folder = env.path().display().to_string();
    let abra = format!(
        "case \"$*\" in *'app deploy'*) {APP}
         setsid sleep 66.125 >/dev/null 2>&1 </dev/null &
         setsid env -i PATH=\"$PATH\" sh '{folder}/makes.sh' '{folder}' \"$stack\" >/dev/null 2>&1 </dev/null &
         \"$ABRA\" \"$@\"; touch '{folder}/deployed'; sleep 67.125;; *) exec \"$ABRA\" \"$@\";; esac"
    );

    let run = killed(env, &abra, |_| until("abra has deployed", || env.path().join("deployed").exists()));

    until("the escaped child has made its objects", || made.exists());
    assert_cleaned_up(env, &run);
    assert!(!left_alive("66.125") && !left_alive("67.125"), "a child with the run's environment ends with the run");
    let journal = journal(&run.folder());
    assert!(journal.matches(&format!(r#""event":"{CLEANED}""#)).count() >= 2, "each cleanup is recorded: {journal}");
    assert_eq!(env.fixture.engine.left_of(&stack(&run), &[]), "");
}

fn guardian_and_two_janitors_at_once_remove_each_object_once(env: &TestEnv<'_>) {
    let run = killed(env, PLAIN_ABRA, |run| {
        run.reached(r#""event":"observed","step":"deploy""#);
    });

    let janitors = [env.start(&["janitor"]), env.start(&["janitor"])];

    for janitor in janitors {
        CommandOutput::soon(janitor).exit(0).says("runs checked");
    }
    assert_cleaned_up(env, &run);
    let journal = journal(&run.folder());
    let removed = journal.lines().filter(|line| line.contains(CLEANED) && !line.contains("\"removed\":0")).count();
    assert_eq!(removed, 1, "one process removes everything: {journal}");
    let count = |event: &str| journal.matches(&format!(r#""event":"{event}""#)).count();
    assert_eq!(count("claimed"), count("released"), "each claim is released once: {journal}");
}

/// The backup service continues a backup after the death of the abra that requested it.
fn backup_of_a_killed_run_leaves_no_snapshot(env: &TestEnv<'_>) {
    let run = killed(env, PLAIN_ABRA, |run| {
        run.reached("abra app-backup-create");
    });

    assert_cleaned_up(env, &run);
    assert_eq!(snapshots(&env.fixture.engine, &domain(&run)), Vec::<String>::new());
}

/// The backup service continues a restore, which must not bring back a volume that the engine has removed. restic is
/// stopped until a cleanup that does not wait for it has ended.
fn restore_of_a_killed_run_leaves_no_folder_of_a_volume(env: &TestEnv<'_>) {
    let engine = &env.fixture.engine;
    let mut restic = None;
    let run = killed(env, PLAIN_ABRA, |run| {
        run.reached("abra app-restore");
        let app = domain(run);
        until("restic restores", || {
            restic = restic_for(&app).pop();
            restic.is_some()
        });
        signal(restic.unwrap(), "STOP");
    });
    let (restic, stack) = (restic.unwrap(), stack(&run));

    let held = Instant::now() + Duration::from_secs(4);
    while Instant::now() < held && !engine.folders_of(&stack).is_empty() {
        thread::sleep(Duration::from_millis(50));
    }
    signal(restic, "CONT");

    assert_cleaned_up(env, &run);
    until("restic has ended", || !Path::new(&format!("/proc/{restic}")).exists());
    assert_eq!(engine.folders_of(&stack), Vec::<String>::new());
}

/// The processes of restic that restore the app, by their arguments.
fn restic_for(app: &Domain) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let has = |pid: u32, file: &str, text: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).split('\0').any(|part| part == text)
    };
    pids.filter(|pid| has(*pid, "environ", &format!("SERVICE={app}")) && has(*pid, "cmdline", "--include")).collect()
}

/// A marker like one of another machine, and a network, a secret and a volume of its run.
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

fn marker_of_another_machine_holds_until_it_expires(env: &TestEnv<'_>) {
    let scratch = scratch_swarm(&[]);
    let engine = scratch.engine();
    let (expired, valid) = (elsewhere(&engine, "2026-01-02T00:00:00.000Z"), elsewhere(&engine, "2999-01-01T00:00:00.000Z"));
    let stack = stack_of(&valid).to_string();
    let marker = format!("taster-{valid}");
    let (secret, network, volume) = (format!("{stack}_password_v1"), format!("{stack}_default"), format!("{stack}_data"));
    let portrait = || engine.portrait(&[("config", &marker), ("secret", &secret), ("network", &network), ("volume", &volume)]);
    let before = portrait();
    let socket = scratch.socket().display().to_string();

    let dry_run = env.taster(&["janitor", "--engine", &socket, "--dry-run"]);
    let first = env.taster(&["janitor", "--engine", &socket]);
    let second = env.taster(&["janitor", "--engine", &socket]);

    let alone = format!("{marker}: left alone: its journal is on there:/srv/taster/runs; the run is left alone until 2999-01-01");
    dry_run.exit(0).says(&format!("taster-{expired}: would remove ")).says(&alone);
    first.exit(0).says(&format!("taster-{expired}: 4 removed in ")).says(&alone);
    second.exit(0).says(&alone).never_says(expired.as_str());
    assert_eq!(engine.left_of(stack_of(&expired).as_str(), &[]), "");
    assert!(!engine.ok(&["config", "inspect", &format!("taster-{expired}")]), "the expired marker is removed last");
    assert_eq!(portrait(), before, "the valid run is unchanged");
}
