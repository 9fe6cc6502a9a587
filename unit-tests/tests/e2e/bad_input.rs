//! Wrong requests and hosts that are not fit: one clear sentence with the remedy, the right exit code, nothing left.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener},
};

use libtest_mimic::Trial;
use unit_tests::{
    command_output::{CommandOutput, started},
    sandbox_fixture::SandboxFixture,
    test_env::TestEnv,
    test_run::{
        Outcome::{Inconclusive, Red},
        Status::Fail,
    },
};

use crate::trials::{e2e_tests, in_env};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            unknown_recipe_is_refused,
            unknown_ref_is_refused,
            wrong_host_file_is_refused,
            unfit_engine_is_refused,
            abra_that_cannot_be_started_is_named,
            abra_that_behaves_oddly_is_inconclusive,
            silent_abra_is_ended,
            abra_that_refuses_to_deploy_is_red,
            state_folder_that_cannot_be_written_is_refused,
        ],
    )
}

fn unknown_recipe_is_refused(env: &TestEnv<'_>) {
    let empty = env.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("compose.yml"), "services: {}\n").unwrap();

    let misspelled = env.run("helo").output();
    let malformed = env.run("He llo").output();
    let absent = env.run("hello").args(&["--path", "/nowhere"]).output();
    let incomplete = env.run("hello").path(&empty).output();

    misspelled.exit(2).says("no recipe `helo`; did you mean `hello`?").says("--path DIR");
    malformed.exit(2).says("'He llo'").says("a recipe name is lower-case letters");
    absent.exit(2).says("cannot read /nowhere").says("Caused by: No such file");
    incomplete.exit(2).says(&format!("{} is not a recipe: it has no .env.sample", empty.display()));
    assert_eq!(env.runs().len(), 0, "no run was begun");
}

fn unknown_ref_is_refused(env: &TestEnv<'_>) {
    let run = env.run("hello").args(&["--ref", "9.9.9"]).expect(Inconclusive);

    run.exit(2).says("no tag, branch or commit \"9.9.9\"; its newest release is 2.0.0").nothing_left();
}

fn wrong_host_file_is_refused(env: &TestEnv<'_>) {
    let misspelled = env.run("hello").host("serwer", "default").output();
    let absent = env.run("hello").args(&["--host", "/nowhere.toml"]).output();

    misspelled.exit(2).says("host.toml, line 8, column 1: unknown key `serwer`; did you mean `server`?");
    absent.exit(2).says("cannot read the host file /nowhere.toml");
    assert_eq!(env.runs().len(), 0);
}

/// Answers like an engine without a Swarm.
fn lone_engine(listener: UnixListener) {
    let answer = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nApi-Version: 1.41\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
            let known = match path.rsplit('/').next() {
                Some("info") => Some(
                    r#"{"ServerVersion":"20.10.24","Swarm":{"LocalNodeState":"inactive","ControlAvailable":false},"SecurityOptions":[]}"#,
                ),
                Some("version") => Some(r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#),
                Some("volumes") => Some(r#"{"Volumes":[],"Warnings":null}"#),
                Some("json" | "networks") => Some("[]"),
                _ => None,
            };
            let (status, body) = match known {
                Some(body) => ("200 OK", body),
                None => ("503 Service Unavailable", r#"{"message":"This node is not a swarm manager."}"#),
            };
            let _ = stream.write_all(answer(status, body).as_bytes());
        }
    });
}

fn unfit_engine_is_refused(env: &TestEnv<'_>) {
    let absent = env.path().join("absent.sock").display().to_string();
    let lone = env.path().join("lone.sock");
    lone_engine(UnixListener::bind(&lone).unwrap());

    let without_engine = env.run("hello").host("engine", &absent).output();
    let without_swarm = env.run("hello").host("engine", &lone.display().to_string()).finish();

    without_engine
        .exit(3)
        .says(&format!("no engine answers at {absent}"))
        .says("Start the engine, or name another one in the host file");
    without_swarm.exit(3).says("why (infrastructure): the engine is not a Swarm manager; `docker swarm init` makes it one");
    env.assert_nothing_left();
}

fn abra_that_cannot_be_started_is_named(env: &TestEnv<'_>) {
    let remedy = "name the right program as `abra` in the host file";
    let absent = env.path().join("absent").display().to_string();
    let script = env.script("exit 0");
    let mode = |mode| fs::set_permissions(&script, fs::Permissions::from_mode(mode)).unwrap();

    let without_file = env.run("hello").host("abra", &absent).expect(Inconclusive);
    mode(0o644);
    let without_run_bit = env.run("hello").host("abra", &script).expect(Inconclusive);
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    mode(0o755);
    let without_interpreter = env.run("hello").host("abra", &script).expect(Inconclusive);

    without_file.exit(3).says(&format!("why (infrastructure): cannot start abra at {absent}: the file does not exist; {remedy}"));
    without_run_bit.exit(3).says(&format!("cannot start abra at {script}: it is not executable; {remedy}"));
    without_interpreter
        .exit(3)
        .says(&format!("cannot start abra at {script}: No such file or directory"))
        .says(remedy)
        .nothing_left();
}

fn abra_that_behaves_oddly_is_inconclusive(env: &TestEnv<'_>) {
    for (script, sentence) in [
        ("printf 'Continue? [y/N] '; read answer", "abra asks a question that a run cannot answer: Continue? [y/N]"),
        ("kill -s SEGV $$", "abra was ended by signal 11"),
        ("echo wibble", "cannot read what abra printed for --version"),
    ] {
        let run = env.run("hello").abra(script).expect(Inconclusive);

        run.exit(3)
            .says("inconclusive (install, upgrade, backup, restore")
            .says("why (infrastructure)")
            .says(sentence)
            .nothing_left();
    }
}

/// The first question to abra is its version, with a limit of twenty seconds.
fn silent_abra_is_ended(env: &TestEnv<'_>) {
    let run = env.run("hello").abra("sleep 63").expect(Inconclusive);

    run.exit(3).says("why (infrastructure): abra did not end within 20s").says("find out by hand").nothing_left();
}

fn abra_that_refuses_to_deploy_is_red(env: &TestEnv<'_>) {
    let refuses = "case \"$*\" in *'app deploy'*) echo 'FATA the moon is not right'; exit 1;; esac\nexec \"$ABRA\" \"$@\"";

    let run = env.run("hello").tiers("install").abra(refuses).expect(Red);

    run.says("red (install failed)")
        .says("why (recipe): abra app deploy ended with exit code 1: the moon is not right")
        // There is nothing to undeploy.
        .says("undeploy: skipped")
        .step("deploy", Fail)
        .cause("abra-fatal")
        .nothing_left();
}

/// Not even root can make a folder below a file.
fn state_folder_that_cannot_be_written_is_refused(env: &TestEnv<'_>) {
    let file = env.path().join("file");
    fs::write(&file, "").unwrap();
    let mut taster = env.command(&["--recipe", "hello"]);
    taster.env("XDG_STATE_HOME", &file);

    let output = CommandOutput::soon(started(&mut taster));

    output.exit(3).says("cannot be used").says("Set XDG_STATE_HOME to a folder that you can write to");
}
