//! What is typed wrong, and hosts that are not fit: one clear sentence with the remedy, the right exit code, nothing left.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener},
};

use libtest_mimic::Trial;
use unit_tests::{sandbox_fixture::SandboxFixture, test_env::TestEnv};

use super::runs::on_stages;

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    on_stages(
        fixture,
        &[
            ("bad_input::recipes_that_are_not_there", no_recipe),
            ("bad_input::host_files_that_say_something_wrong", host_files),
            ("bad_input::engines_that_are_not_fit", engines),
            ("bad_input::an_abra_that_cannot_be_started", no_abra),
            ("bad_input::an_abra_that_does_something_else", odd_abra),
            ("bad_input::an_abra_that_says_nothing", silent_abra),
            ("bad_input::an_abra_that_refuses_to_deploy", refusing_abra),
            ("bad_input::a_state_folder_that_cannot_be_written", no_folder),
        ],
    )
}

fn no_recipe(env: &TestEnv<'_>) {
    env.run(&["--recipe", "helo"]).assert(2, &["no recipe `helo`; did you mean `hello`?", "--path DIR"]);
    env.run(&["--recipe", "He llo"]).assert(2, &["'He llo'", "a recipe name is lower-case letters"]);
    env.run(&["--recipe", "hello", "--path", "/nowhere"]).assert(2, &["cannot read /nowhere: No such file"]);
    let empty = env.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("compose.yml"), "services: {}\n").unwrap();
    let shown = empty.display().to_string();
    env.run(&["--recipe", "hello", "--path", &shown]).assert(2, &[&format!("{shown} is no recipe: it has no .env.sample")]);
    assert_eq!(env.runs().len(), 0, "nothing of this is a run");

    let told = env.run(&["--recipe", "hello", "--ref", "9.9.9"]);
    told.assert(2, &["no tag, branch or commit \"9.9.9\"; its newest release is 2.0.0", "left behind: nothing"]);
    env.assert_zero();
}

fn host_files(env: &TestEnv<'_>) {
    let told = env.run_on(&[("serwer", "default")], &["--recipe", "hello"]);
    told.assert(2, &["host.toml, line 8, column 1: unknown key `serwer`; did you mean `server`?"]);
    env.run(&["--recipe", "hello", "--host", "/nowhere.toml"]).assert(2, &["cannot read the host file /nowhere.toml"]);
    assert_eq!(env.runs().len(), 0);
}

/// What a simple engine answers that knows no Swarm.
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

fn engines(env: &TestEnv<'_>) {
    let socket = env.path().join("absent.sock").display().to_string();
    let told = env.run_on(&[("engine", &socket)], &["--recipe", "hello"]);
    told.assert(3, &[&format!("no engine answers at {socket}"), "start the engine, or name another one in the host file"]);

    let socket = env.path().join("lone.sock");
    lone_engine(UnixListener::bind(&socket).unwrap());
    let told = env.run_on(&[("engine", &socket.display().to_string())], &["--recipe", "hello"]);
    told.assert(3, &["why (infrastructure): the engine is not a Swarm manager; `docker swarm init` makes it one"]);
    env.assert_zero();
}

fn no_abra(env: &TestEnv<'_>) {
    let remedy = "name the right program as `abra` in the host file";
    let absent = env.path().join("absent").display().to_string();
    let told = env.run_on(&[("abra", &absent)], &["--recipe", "hello"]);
    told.assert(3, &[&format!("why (infrastructure): cannot start abra at {absent}: there is no such file; {remedy}")]);
    let plain = env.script("exit 0");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    let told = env.run_on(&[("abra", &plain)], &["--recipe", "hello"]);
    told.assert(3, &[&format!("cannot start abra at {plain}: it is no executable file; {remedy}")]);
    fs::write(&plain, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o755)).unwrap();
    let told = env.run_on(&[("abra", &plain)], &["--recipe", "hello"]);
    told.assert(3, &[&format!("cannot start abra at {plain}: No such file or directory"), remedy, "left behind: nothing"]);
    env.assert_zero();
}

fn odd_abra(env: &TestEnv<'_>) {
    for (script, sentence) in [
        ("printf 'Continue? [y/N] '; read answer", "abra asks a question although it was told not to: Continue? [y/N]"),
        ("kill -s SEGV $$", "abra was ended by signal 11"),
        ("echo wibble", "cannot read what abra printed for --version"),
    ] {
        let abra = env.script(script);
        let told = env.run_on(&[("abra", &abra)], &["--recipe", "hello"]);
        told.assert(
            3,
            &["inconclusive (install, upgrade, backup, restore", "why (infrastructure)", sentence, "left behind: nothing"],
        );
    }
    env.assert_zero();
}

/// The version is what abra is asked for first, and it gets twenty seconds for it, whatever else is asked beside.
fn silent_abra(env: &TestEnv<'_>) {
    let abra = env.script("sleep 63");
    let told = env.run_on(&[("abra", &abra)], &["--recipe", "hello"]);
    told.assert(3, &["why (infrastructure): abra did not end within 20s", "find out by hand", "left behind: nothing"]);
    env.assert_zero();
}

fn refusing_abra(env: &TestEnv<'_>) {
    let abra =
        env.script("case \"$*\" in *'app deploy'*) echo 'FATA the moon is not right'; exit 1;; esac\nexec \"$ABRA\" \"$@\"");
    let told = env.run_on(&[("abra", &abra)], &["--recipe", "hello", "--tiers", "install"]);
    told.assert(1, &["red (install)", "why (recipe): abra app deploy ended with exit code 1: the moon is not right"]);
    assert!(told.err.contains("undeploy: skipped"), "there is nothing to undeploy:\n{told}");
    let results = env.results();
    assert_eq!(results["stages"][1]["outcome"]["detail"]["cause"]["cause"], "abra-fatal", "{results}");
    env.assert_zero();
}

/// Not even root can make a folder below a file.
fn no_folder(env: &TestEnv<'_>) {
    let file = env.path().join("file");
    fs::write(&file, "").unwrap();
    let mut taster = env.taster(&["--recipe", "hello"]);
    taster.env("XDG_STATE_HOME", &file);
    let told = unit_tests::test_env::ended(unit_tests::test_env::started(&mut taster));
    told.assert(3, &["cannot write the run's folder", "set XDG_STATE_HOME to a folder with room"]);
}
