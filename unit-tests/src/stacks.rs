//! Stacks made by hand on a real Swarm, as abra makes them.

use std::{
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use harness::{
    model::{
        host::{Host, Limits},
        names::{Domain, RunId, StackName},
        outcome::Tier,
        request::{Authoring, Extent, Request, Source, Tests},
    },
    pure::run::event::{JOURNAL_VERSION, Kind},
};

use crate::engine::{Engine, until};

/// A unique run id.
///
/// # Panics
/// Never: the stamp is a valid one.
pub fn fresh_run() -> RunId {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    let mixed = u64::from(nanos) << 16 ^ u64::from(std::process::id()) << 8 ^ u64::from(COUNT.fetch_add(1, Ordering::Relaxed));
    let bytes = mixed.to_le_bytes();
    RunId::new("20260101-000000", [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4]]).unwrap()
}

/// The stack of `run`'s app.
///
/// # Panics
/// Never: the names are valid ones.
pub fn stack_of(run: &RunId) -> StackName {
    StackName::of(&Domain::of(&"hello".parse().unwrap(), run, &"taster.test".parse().unwrap()).unwrap())
}

/// The text of a file in `stacks`.
///
/// # Panics
/// If there is no such file.
pub fn stack_file(name: &str) -> String {
    let path = stacks().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn stacks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks")
}

impl Engine {
    /// Deploys `stacks/<file>` as `stack`, with the secret that its file names, made as abra makes it: without labels.
    ///
    /// # Panics
    /// If Docker refuses.
    pub fn deploy(&self, file: &str, stack: &str) {
        let text = stack_file(file);
        if text.contains("${STACK}_password_v1") {
            self.secret(&format!("{stack}_password_v1"));
        }
        self.submit(&text, stack);
    }

    /// Deploys the text of a compose file as `stack` and waits for nothing.
    ///
    /// # Panics
    /// If Docker refuses.
    pub fn submit(&self, text: &str, stack: &str) {
        let done = self.submitting(text, stack, "--detach=true").wait_with_output().unwrap();
        assert!(done.status.success(), "deploy of {stack}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// The docker client at work on a deploy. `detach` is the option on whether to wait.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn submitting(&self, text: &str, stack: &str, detach: &str) -> Child {
        let mut deploy = self.docker();
        deploy.args(["stack", "deploy", "--resolve-image", "never", detach, "--compose-file", "-", stack]);
        // Files that a compose file names are looked for from where the client runs.
        deploy.env("IMAGE", self.image()).env("STACK", stack).current_dir(stacks());
        let mut child = deploy.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child
    }

    /// Calls `act` with a unique name of a stack and removes the stack afterwards by force, also after a panic.
    pub fn on_a_stack<T>(&self, act: impl FnOnce(&str) -> T) -> T {
        let stack = stack_of(&fresh_run()).to_string();
        let done = catch_unwind(AssertUnwindSafe(|| act(&stack)));
        self.remove_stack(&stack);
        done.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Removes all of a stack by force, unlabelled objects of its name too, and waits until `leftovers.sh` says that
    /// nothing is left.
    ///
    /// # Panics
    /// If something is left after a minute.
    pub fn remove_stack(&self, stack: &str) {
        let filter = format!("label=com.docker.stack.namespace={stack}");
        // A task that is still being prepared makes its networks anew, and its node does not remove them when the container is
        // gone.
        let listed = self.docker().args(["stack", "ps", "--quiet", "--no-trunc", stack]).output().unwrap().stdout;
        let tasks = String::from_utf8(listed).unwrap();
        let living = |task: &str| {
            let state = ["inspect", "--type", "task", "--format", "{{.Status.State}}", task];
            let state = self.docker().args(state).output().unwrap().stdout;
            !matches!(state.trim_ascii(), b"" | b"complete" | b"shutdown" | b"failed" | b"rejected" | b"remove" | b"orphaned")
        };
        until(&format!("nothing is left of {stack}"), || {
            self.ok(&["stack", "rm", stack]);
            // All objects of a task exist before it ends, so the tasks are awaited first.
            let over = !tasks.lines().any(living);
            let containers = self.ask(&["container", "ls", "--all", "--quiet", "--filter", &filter]);
            let mut remove = vec!["container", "rm", "--force", "--volumes"];
            remove.extend(containers.lines());
            // One may be gone by now; the script finds what is left.
            self.ok(&remove);
            let left = self.left_of(stack, &[]);
            for line in left.lines() {
                // These do not go with the stack that uses them, and not at all as long as it does.
                if let Some((kind @ ("secret" | "config" | "volume"), name)) =
                    line.strip_prefix("labelled ").unwrap_or(line).split_once(' ')
                {
                    self.ok(&[kind, "rm", name]);
                }
            }
            over && left.is_empty()
        });
    }

    /// Makes a secret without labels.
    ///
    /// # Panics
    /// If Docker refuses.
    pub fn secret(&self, name: &str) {
        self.create_from_text(&["secret", "create", name, "-"]);
    }

    /// Makes a config without labels.
    ///
    /// # Panics
    /// If Docker refuses.
    pub fn config(&self, name: &str) {
        self.create_from_text(&["config", "create", name, "-"]);
    }

    fn create_from_text(&self, args: &[&str]) {
        let mut create = self.docker().args(args).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        create.stdin.take().unwrap().write_all(b"something\n").unwrap();
        assert!(create.wait().unwrap().success(), "{args:?}");
    }

    /// Waits until all that should run of the stack runs.
    ///
    /// # Panics
    /// If it does not within a minute.
    pub fn running(&self, stack: &str, containers: usize) {
        let filter = format!("label=com.docker.stack.namespace={stack}");
        until(&format!("{containers} containers of {stack} run"), || {
            self.ask(&["container", "ls", "--quiet", "--filter", &filter]).lines().count() >= containers
        });
    }

    /// Everything that Docker has about the named objects, tasks apart. The same text again means that they are unchanged.
    ///
    /// # Panics
    /// If one of them is not there.
    pub fn portrait(&self, objects: &[(&str, &str)]) -> String {
        objects.iter().map(|(kind, name)| self.ask(&[kind, "inspect", name])).collect::<Vec<_>>().join("\n")
    }
}

/// The first event of a run on the engine behind the socket.
///
/// # Panics
/// Never: the values are valid ones.
pub fn started(run: &RunId, engine: &Path) -> Kind {
    Kind::RunStarted {
        version: JOURNAL_VERSION,
        run: run.clone(),
        taster: "test".into(),
        commit: None,
        request: Request {
            recipe: "hello".parse().unwrap(),
            source: Source::Catalogue { at: None },
            tiers: [Tier::Install].into(),
            deadline: Duration::from_secs(600),
            host_file: None,
            base: None,
            extent: Extent::default(),
            tests: Tests::default(),
            offline: None,
            pr: None,
            trigger: None,
            authoring: Authoring::default(),
        },
        host: Host {
            zone: "taster.test".parse().unwrap(),
            abra: "abra".into(),
            server: "default".into(),
            engine: engine.to_owned(),
            ingress: None,
            ca: None,
            backup: None,
            allow: std::collections::BTreeMap::new(),
            limits: Limits::default(),
            ignore: Vec::new(),
        },
    }
}
