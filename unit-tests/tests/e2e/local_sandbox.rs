//! A second sandbox on the machine's engine: other ports, other names, another folder than those of the user's sandbox.

use std::{
    fs,
    net::TcpListener,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use libtest_mimic::{Failed, Trial};
use sandbox::{
    SandboxError,
    home::Home,
    images,
    layout::{Layout, Setup},
    recipes,
};

use crate::trials::{Named, e2e_tests, trial};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Trial> {
    let tests: [Named<SandboxTest>; 5] = e2e_tests![
        app_is_reached_by_its_labels_and_nothing_is_left,
        taken_port_is_named_with_its_process,
        backup_service_comes_back_with_its_snapshots,
        image_without_a_name_goes_with_the_sandbox,
        custom_html_serves_its_page_on_real_nginx,
    ];
    tests.into_iter().map(|(name, test)| trial(name, move || in_a_sandbox(test))).collect()
}

type Done = Result<(), Failed>;
type SandboxTest = fn(&LocalSandbox) -> Done;

/// A sandbox for one test.
struct LocalSandbox {
    home: Home,
    setup: Setup,
    prefix: String,
}

/// Runs a test in a new sandbox and takes the sandbox down, also after a failure.
fn in_a_sandbox(test: SandboxTest) -> Done {
    let folder = tempfile::tempdir()?;
    let free = || TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map(|address| address.port());
    let (http, https) = (free()?, free()?);
    let prefix = format!("sandbox-{https}");
    // Each test has its own net, so that tests run beside each other: Docker refuses a net that overlaps another.
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let subnet = 64 + std::process::id() % 16 * 8 + STARTED.fetch_add(1, Ordering::Relaxed) % 8;
    let layout = Layout {
        prefix: prefix.clone(),
        http,
        https,
        gateway: false,
        network: format!("{prefix}-proxy"),
        subnet: format!("10.{subnet}.0.0/16"),
        task_range: format!("10.{subnet}.128.0/17"),
        ingress: format!("10.{subnet}.1.1").parse()?,
        ..Layout::default()
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let setup = Setup { layout, exe: std::env::current_exe()?, abra: None, path, engine: None };
    let local = LocalSandbox { home: Home::at(folder.path()), setup, prefix };
    let done = catch_unwind(AssertUnwindSafe(|| test(&local)));
    // The sandbox is removed even if the stack cannot be removed, and neither error hides the failure of the test.
    let removed = local.remove_stack();
    let down = block(sandbox::down(&local.home, &mut |_| {}));
    done.unwrap_or_else(|panic| resume_unwind(panic))?;
    removed?;
    down?;
    for list in [&["ps", "-aq"][..], &["network", "ls", "-q"], &["service", "ls", "-q"], &["volume", "ls", "-q"]] {
        let filter = format!("name={}", local.prefix);
        let left = docker(&[list, &["--filter", &filter]].concat())?;
        expect(left.is_empty(), format!("docker {list:?} shows what is left: {left}"))?;
    }
    Ok(())
}

impl LocalSandbox {
    fn up(&self) -> Result<(Vec<String>, Duration), SandboxError> {
        let mut progress = Vec::new();
        let up = block(sandbox::up(&self.home, &self.setup, &mut |step| progress.push(step.message)))?;
        Ok((progress, up.took))
    }

    fn stack(&self) -> String {
        format!("{}_taster_test", self.prefix)
    }

    fn domain(&self) -> String {
        format!("{}.taster.test", self.prefix)
    }

    fn remove_stack(&self) -> Done {
        let stack = self.stack();
        // For a stack that is being removed the client reports a missing network.
        let _ = docker(&["stack", "rm", &stack]);
        let name = format!("name={stack}");
        until("the stack is gone", || {
            Ok(docker(&["ps", "-aq", "--filter", &name])?.is_empty()
                && docker(&["network", "ls", "-q", "--filter", &name])?.is_empty())
        })?;
        for kind in ["secret", "config", "volume"] {
            for object in docker(&[kind, "ls", "-q", "--filter", &name])?.split_whitespace() {
                docker(&[kind, "rm", object])?;
            }
        }
        Ok(())
    }

    /// Deploys a version of a recipe with `docker stack deploy`, without abra.
    fn deploy(&self, recipe: &str, tag: &str) -> Done {
        let clone = self.home.root().join("clone");
        let _ = fs::remove_dir_all(&clone);
        run(Command::new("git").args(["clone", "--quiet", "--branch", tag]).arg(self.home.recipes().join(recipe)).arg(&clone))?;
        let compose = fs::read_to_string(clone.join("compose.yml"))?;
        // The test's network has another name than the one that recipes name.
        let proxy = format!("  proxy:\n    name: {}\n    external: true", self.setup.layout.network);
        fs::write(clone.join("compose.yml"), compose.replace("  proxy:\n    external: true", &proxy))?;
        fs::write(clone.join("dnsrr.yml"), "version: \"3.8\"\nservices:\n  app:\n    deploy:\n      endpoint_mode: dnsrr\n")?;
        let secret = format!("{}_token_v1", self.stack());
        if docker(&["secret", "ls", "-q", "--filter", &format!("name={secret}")])?.is_empty() {
            let source = clone.join("abra.sh");
            docker(&["secret", "create", &secret, path(&source)?])?;
        }
        let files = [path(&clone.join("compose.yml"))?.to_owned(), path(&clone.join("dnsrr.yml"))?.to_owned()];
        run(Command::new("docker")
            .args(["stack", "deploy", "--resolve-image", "never", "-c", &files[0], "-c", &files[1], &self.stack()])
            .env("STACK_NAME", self.stack())
            .env("DOMAIN", self.domain())
            .env("EXTRA_DOMAINS", format!(", `www-{}`", self.domain()))
            .envs([
                ("SECRET_TOKEN_VERSION", "v1"),
                ("MOTD_VERSION", "v1"),
                ("SITE_CONF_VERSION", "v1"),
                ("LETS_ENCRYPT_ENV", ""),
            ]))?;
        Ok(())
    }

    /// Status and headers, then the body, of a page of a host, over HTTPS with the sandbox's CA and no other.
    fn get(&self, host: &str, page: &str) -> Result<String, Failed> {
        let port = self.setup.layout.https;
        let ca = self.home.ca();
        let asked = Command::new("curl")
            .args(["-sS", "-i", "--max-time", "10", "--cacert", path(&ca)?])
            .args(["--resolve", &format!("{host}:{port}:127.0.0.1"), &format!("https://{host}:{port}{page}")])
            .output()?;
        Ok(format!("{}{}", String::from_utf8_lossy(&asked.stdout), String::from_utf8_lossy(&asked.stderr)))
    }

    fn until_answer(&self, host: &str, page: &str, wanted: &str) -> Done {
        let mut last = String::new();
        until(wanted, || {
            last = self.get(host, page)?;
            Ok(last.contains(wanted))
        })
        .map_err(|failed| format!("{}; the last answer was {last}", failed.message().unwrap_or_default()).into())
    }
}

fn app_is_reached_by_its_labels_and_nothing_is_left(local: &LocalSandbox) -> Done {
    let (progress, _) = local.up()?;
    expect(progress.iter().any(|line| line.contains("started the ingress")), format!("{progress:?}"))?;
    let (progress, _) = local.up()?;
    expect(progress.is_empty(), format!("a second up does {progress:?}"))?;
    let host = local.domain();
    local.until_answer(&host, "/", "taster-ingress: no-route")?;
    local.deploy("hello", "1.0.0+1.0.0")?;
    local.until_answer(&host, "/", "<h1>hello 1.0.0</h1>")?;
    local.until_answer(&format!("www-{host}"), "/health", "ok")?;
    let outside = local.get("other.example", "/")?;
    expect(!outside.contains("HTTP/"), format!("the certificate answers for a name outside the zone: {outside}"))?;

    // The ingress forgets its routes when it restarts, and the agent gives them again.
    docker(&["restart", "-t", "0", &local.setup.layout.ingress_name()])?;
    local.until_answer(&host, "/", "<h1>hello 1.0.0</h1>")?;

    let agent = fs::read_to_string(local.home.ingress().join("agent.toml"))?;
    let pid = agent.lines().find_map(|line| line.strip_prefix("pid = ")).ok_or("no pid in agent.toml")?;
    run(Command::new("kill").args(["-9", pid]))?;
    let mut progress = Vec::new();
    until("up starts the agent that died", || {
        progress.extend(local.up()?.0);
        Ok(!progress.is_empty())
    })?;
    expect(progress == ["started the agent of the ingress"], format!("{progress:?}"))?;

    docker(&["service", "scale", "--detach", &format!("{}_app=0", local.stack())])?;
    local.until_answer(&host, "/", "taster-ingress: backend")?;
    docker(&["stack", "rm", &local.stack()])?;
    local.until_answer(&host, "/", "taster-ingress: no-route")
}

fn taken_port_is_named_with_its_process(local: &LocalSandbox) -> Done {
    let taken = TcpListener::bind(("127.0.0.1", local.setup.layout.https))?;
    let error = local.up().err().ok_or("up succeeded on a port that is taken")?;
    let me = format!("(process {})", std::process::id());
    expect(matches!(&error, SandboxError::PortTaken { by, .. } if by.ends_with(&me)), error.to_string())?;
    drop(taken);
    local.up()?;
    Ok(())
}

fn backup_service_comes_back_with_its_snapshots(local: &LocalSandbox) -> Done {
    let (progress, _) = local.up()?;
    let name = local.setup.layout.backup_name();
    let started = format!("started the backup service {name}");
    expect(progress.contains(&started), format!("{progress:?}"))?;
    // A container of a service that was removed is still there for a moment, and cannot be entered.
    let exec = |argv: &[&str]| {
        let over = Instant::now() + Duration::from_secs(60);
        loop {
            let of_service = format!("label=com.docker.swarm.service.name={name}");
            let containers = docker(&["ps", "-q", "--filter", &of_service])?;
            let done = docker(&[&["exec", containers.lines().next().unwrap_or_default()], argv].concat());
            if done.is_ok() || Instant::now() > over {
                return done;
            }
        }
    };
    // The service has its repository a moment after its start, and a caller of the bot has it at once.
    exec(&["/usr/bin/backup", "-h", "kept", "snapshots"])?;
    exec(&["restic", "backup", "--quiet", "--host", "kept", "/bin/sh"])?;
    docker(&["service", "rm", &name])?;
    let (progress, _) = local.up()?;
    expect(progress == [started], format!("{progress:?}"))?;
    let kept = exec(&["restic", "snapshots", "--compact"])?;
    expect(kept.contains("kept"), format!("the snapshots are {kept}"))
}

fn image_without_a_name_goes_with_the_sandbox(local: &LocalSandbox) -> Done {
    let tar = local.home.root().join("empty.tar");
    fs::write(&tar, [0; 1024])?;
    let import = |label: &str| docker(&["import", "--change", &format!("LABEL {label}"), path(&tar)?]);
    let (ours, foreign) = (import("taster.sandbox=1")?, import("example.org=1")?);
    local.up()?;
    block(sandbox::down(&local.home, &mut |_| {}))?;
    let there = |id: &str| docker(&["image", "inspect", id]).is_ok();
    let left = (there(&ours), there(&foreign));
    docker(&["image", "rm", &foreign])?;
    expect(left == (false, true), format!("ours and another's are there: {left:?}"))
}

fn custom_html_serves_its_page_on_real_nginx(local: &LocalSandbox) -> Done {
    local.up()?;
    block(images::provide(&local.home, &recipes::images("custom-html"), &mut |_| {}))?;
    local.deploy("custom-html", "1.10.0+1.22.1")?;
    local.until_answer(&local.domain(), "/", "Welcome to nginx!")?;
    local.until_answer(&local.domain(), "/", "server: nginx/1.22.1")
}

fn block<T>(future: impl Future<Output = Result<T, SandboxError>>) -> Result<T, SandboxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

fn docker(args: &[&str]) -> Result<String, Failed> {
    Ok(String::from_utf8_lossy(&run(Command::new("docker").args(args))?.stdout).trim().to_owned())
}

fn run(command: &mut Command) -> Result<Output, Failed> {
    let done = command.stdin(Stdio::null()).output()?;
    if done.status.success() {
        return Ok(done);
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&done.stderr)).into())
}

fn path(path: &Path) -> Result<&str, Failed> {
    path.to_str().ok_or_else(|| "the folder's name is not UTF-8".into())
}

fn expect(holds: bool, else_say: String) -> Done {
    if holds { Ok(()) } else { Err(else_say.into()) }
}

/// Waits until a condition holds, at most a minute.
fn until(what: &str, mut holds: impl FnMut() -> Result<bool, Failed>) -> Done {
    let started = Instant::now();
    while !holds()? {
        if started.elapsed() > Duration::from_secs(60) {
            return Err(format!("not within a minute: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
