//! Benchmarks: how long taster takes, each beside the tools that do the same without it, in one run and one after the other. They
//! are printed and never asserted: machines differ.
//!
//! `cargo build --release && cargo bench -p unit-tests --bench benchmarks [-- NAME…]`; all of them take about ten minutes. The
//! sandbox must be up.

mod baseline;
mod calls;
mod cleanup;
mod ends;
mod guardian;
mod inventory;
mod page;
mod stacks;
mod starts;
mod table;
mod tests;

use std::process::ExitCode;

use unit_tests::sandbox_fixture::{self, SandboxFixture};

use crate::table::print_line;

/// The sandbox and the runtime of the benchmarks.
struct Bench {
    fixture: SandboxFixture,
    runtime: tokio::runtime::Runtime,
}

/// A benchmark: its name, its subject, and its function.
type Benchmark = (&'static str, &'static str, fn(&Bench));

const BENCHMARKS: [Benchmark; 15] = [
    ("converge", "convergence of services that do nothing, from the start of the deploy", stacks::converge),
    (
        "crash-loop",
        "a lone service that crashes, from the start of the deploy to its name, exit code and last lines",
        ends::crash_loop,
    ),
    ("one-shot", "a one-shot, from its end to the evaluation as settled", ends::one_shot),
    ("rollback", "a rollback, from Swarm's event to our evaluation", ends::rollback),
    ("cleanup", "the removal of twelve services with a stop grace of 8 s", cleanup::cleanup),
    ("calls", "calls to the engine while a service stays in its start period", calls::calls),
    ("inventory", "all objects of a Swarm with a hundred stacks, and their changes", inventory::inventory),
    ("hello", "a whole run of `hello` on a warm sandbox", starts::hello),
    ("up", "`sandbox up` when it is up", starts::up),
    ("page", "the page of a failed run with the longest possible journal", page::made),
    ("plan", "`taster plan` of a recipe of the sandbox", starts::plan),
    ("list", "`taster list` on the sandbox", starts::list),
    ("tests", "a custom test that does nothing, from the start of its process to its answer", tests::overhead),
    ("guardian", "the memory of a guardian while it waits", guardian::memory),
    ("version", "`taster --version` of the release build", starts::version),
];

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    if args.nth(1).is_some_and(|first| first == tests::EMPTY) {
        return tests::empty(args);
    }
    // cargo itself adds `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if let Some(unknown) = wanted.iter().find(|name| BENCHMARKS.iter().all(|(known, ..)| known != name)) {
        let names: Vec<&str> = BENCHMARKS.iter().map(|(name, ..)| *name).collect();
        print_line(&format!("there is no benchmark `{unknown}`; there are {}", names.join(", ")));
        return ExitCode::from(2);
    }
    let fixture = match SandboxFixture::find() {
        Ok(fixture) => fixture,
        Err(why) => {
            print_line(&format!("no benchmarks: {why}; `taster sandbox up` makes it"));
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bench = Bench { fixture, runtime };
    print_line(&format!("engine {}, docker client {}", bench.engine_version(), bench.client_version()));
    for (name, what, take) in BENCHMARKS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            print_line(&format!("\n{name}: {what}"));
            take(&bench);
        }
    }
    ExitCode::SUCCESS
}

impl Bench {
    fn engine_version(&self) -> String {
        self.fixture.engine.ask(&["version", "--format", "{{.Server.Version}}"])
    }

    fn client_version(&self) -> String {
        self.fixture.engine.ask(&["version", "--format", "{{.Client.Version}}"])
    }

    /// The release build; a line says so where there is none.
    fn release(&self) -> Option<std::path::PathBuf> {
        let exe = sandbox_fixture::env().exe;
        if !exe.is_file() {
            print_line(&format!("  left out: there is no {}; `cargo build --release` makes it", exe.display()));
            return None;
        }
        Some(exe)
    }
}
