//! The stand-in for abra with a `docker` that records how it is called.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::taster::Taster;

const DOMAIN: &str = "hello-aebagbaf.taster.test";
const STACK: &str = "hello-aebagbaf_taster_test";

/// A home with an app, and a `docker` that copies its environment and its compose files into the folder `seen`.
struct StandIn {
    taster: Taster,
}

impl StandIn {
    fn new(env: &str, files: &[(&str, &str)], docker: &str) -> Self {
        let taster = Taster::new();
        taster.write(format!("abra/servers/default/{DOMAIN}.env"), env);
        for (file, text) in files {
            taster.write(Path::new("abra/recipes/hello").join(file), text);
        }
        let recipe = taster.home().join("abra/recipes/hello");
        for args in [&["init", "--quiet"][..], &["add", "--all"], &["commit", "--quiet", "--message=one"]] {
            let identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"];
            let git = Command::new("git").args(identity).arg("-C").arg(&recipe).args(args).status();
            assert!(git.expect("git").success());
        }
        let seen = taster.home().join("seen");
        fs::create_dir(&seen).unwrap();
        let script = format!(
            "#!/bin/sh\nseen='{}'\ncase \"$*\" in\n*'stack deploy'*)\n/usr/bin/tr '\\0' '\\n' < /proc/$$/environ > $seen/environ\n\
             for word; do case \"$word\" in *.yml) /bin/cp \"$word\" $seen;; esac; done\n{docker}\n;;\nesac\n",
            seen.display()
        );
        let program = PathBuf::from(taster.write("bin/docker", script));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { taster }
    }

    fn deploy(&self) -> Command {
        let home = self.taster.home();
        let args = ["-n", "-o", "app", "deploy", "-C", "-D", "-c", DOMAIN];
        let mut command = self.taster.command(&[["sandbox", "abra", "--home", "sandbox", "--"].as_slice(), &args].concat());
        let path = format!("{}:/usr/bin:/bin", home.join("bin").display());
        command.env("PATH", path).env("ABRA_DIR", home.join("abra")).env("TMPDIR", home.join("temporary"));
        fs::create_dir_all(home.join("temporary")).unwrap();
        command
    }

    fn seen(&self, file: &str) -> String {
        fs::read_to_string(self.taster.home().join("seen").join(file)).unwrap_or_default()
    }

    fn temporary(&self) -> Vec<PathBuf> {
        entries(&self.taster.home().join("temporary"))
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let ours = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("abra-"));
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).filter(ours).collect();
    found.sort();
    found
}

#[test]
fn docker_gets_files_without_variables_and_no_environment() {
    let env = format!(
        "TYPE=hello\nDOMAIN={DOMAIN}\nCOMPOSE_FILE=sub/compose.yml:compose.more.yml\nLD_PRELOAD=/evil.so\nDOCKER_HOST=tcp://evil\n\
         HOME=/evil\nPATH=/evil\nHASH='$2y$05$abc'\nfoo=1\nPLAIN=x$foo\nTEXT=\"a\nCOMPOSE_FILE=evil.yml\n\"\n"
    );
    let compose = "version: '3.8'\nservices:\n  app:\n    image: a:$TAG${NOPE:-x}\n    environment: [HASH, HOME, NONE, 'COST=5$$']\n    \
                   env_file: app.env\n    ports: [{target: 80, published: $PORT, mode: host}]\n";
    let more = "version: '3.8'\nservices: {app: {labels: {plain: $PLAIN}}}\n";
    let script = "export TAG=v1\nexport PORT=8080\n";
    let files = [("sub/compose.yml", compose), ("sub/app.env", "PLAIN=\n"), ("compose.more.yml", more), ("abra.sh", script)];
    let stand_in = StandIn::new(&env, &files, "exit 0");

    let done = stand_in.deploy().output().unwrap();

    assert!(done.status.success(), "{done:?}");
    assert_eq!(stand_in.seen("environ"), "");
    let folder = stand_in.taster.home().join("abra/recipes/hello/sub");
    assert_eq!(
        stand_in.seen("0.yml"),
        format!(
            "{{\"services\": {{\"app\": {{\"env_file\": \"{}/app.env\", \"environment\": [\"HASH=$$2y$$05$$abc\", \"HOME=/evil\", \
             \"NONE\", \"COST=5$$\", \"PLAIN=x$$foo\"], \"image\": \"a:v1x\", \"ports\": [{{\"mode\": \"host\", \"published\": \
             8080, \"target\": 80}}]}}}}, \"version\": \"3.8\"}}",
            folder.display()
        )
    );
    assert_eq!(stand_in.seen("1.yml"), "{\"services\": {\"app\": {\"labels\": {\"plain\": \"x$$foo\"}}}, \"version\": \"3.8\"}");
    assert!(stand_in.seen("2.yml").contains(&format!("coop-cloud.{STACK}.chaos")), "{}", stand_in.seen("2.yml"));
    assert!(stand_in.temporary().is_empty(), "{:?}", stand_in.temporary());
}

#[test]
fn killed_deploy_leaves_files_only_in_the_folder_of_its_caller() {
    let compose = "version: '3.8'\nservices: {app: {image: a}}\n";
    let env = format!("TYPE=hello\nDOMAIN={DOMAIN}\nPASSWORD=secret\n");
    let stand_in = StandIn::new(&env, &[("compose.yml", compose)], "exec /bin/sleep 3");
    let before = entries(Path::new("/tmp"));

    let mut deploy = stand_in.deploy().stdout(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while stand_in.seen("1.yml").is_empty() && begun.elapsed() < Duration::from_secs(20) {
        sleep(Duration::from_millis(20));
    }
    deploy.kill().unwrap();
    deploy.wait().unwrap();

    assert_eq!(stand_in.temporary().len(), 1, "the deploy was killed too late");
    assert_eq!(entries(Path::new("/tmp")), before);
}

#[test]
fn env_that_godotenv_refuses_is_refused() {
    for (line, expected) in [
        ("A=\"open", "the quote \" is not closed"),
        ("A-B=1\n", "'-' is not allowed in a variable's name"),
        ("SECRET_A_VERSION=v1 # length=many\n", "the length \"many\" is not a number"),
    ] {
        let env = format!("TYPE=hello\nDOMAIN={DOMAIN}\n{line}");
        let stand_in = StandIn::new(&env, &[("compose.yml", "version: '3.8'\nservices: {app: {image: a}}\n")], "exit 0");

        let done = stand_in.deploy().output().unwrap();

        let printed = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!(done.status.code(), Some(1), "{line}: {printed}");
        assert!(printed.contains("FATA") && printed.contains("line 3") && printed.contains(expected), "{line}: {printed}");
        assert_eq!(stand_in.seen("0.yml"), "");
    }
}
