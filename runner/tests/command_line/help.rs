//! The texts that users read: help, and errors in their one form. After a change of a text edit its snapshot here.

use insta::assert_snapshot;

use crate::taster::{Taster, stderr_of};

/// The help of a command, as wide as in the reference.
fn help(args: &[&str]) -> String {
    let output = Taster::new().command(args).env("COLUMNS", "100").output().expect("taster starts");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn help_of_taster_is_as_reviewed() {
    assert_snapshot!(help(&["--help"]), @"
    Tests a Co-op Cloud recipe on a real Docker Swarm

    `taster --recipe NAME` is `taster run --recipe NAME`; `taster run --help` names the options.

    Data goes to standard output, everything else to standard error. Exit codes: 0 green or done, 1 red,
    2 usage, 3 nothing is proved or the host is not fit, 4 something was left or changed, 5 nothing ran,
    6 taster itself failed, 128+n ended by signal n.

    The environment variable `TASTER_LOG` selects the level of the log on standard error: off, error,
    warn (the default), info, debug or trace.

    Usage: taster --recipe NAME [OPTIONS]
           taster <COMMAND>

    Commands:
      run          Tests a recipe: deploys it, checks it, removes it, and prints a verdict
      plan         Shows what a run would do: its steps in order with their budgets, what is not run and
                   why, what it needs, what policy decides
      list         Lists the recipes that can be tested, each with its last run
      show         Shows a run from its journal, with the lines that its terminal showed
      verify       Repeats the run of a results.json from scratch, and compares the results
      new          Writes the first pack of a recipe
      watch        Runs tests again on a kept app, each time a file with tests is saved
      status       Shows live what a stack waits for, and why, until it has settled or failed
      doctor       Checks whether the host is fit for a run, and prints what to do where it is not
      janitor      Cleans up after dead runs
      prune        Removes the folders of old runs
      sandbox      Makes, shows or removes the sandbox, the host that taster makes itself
      schema       Prints the JSON Schema of a document; without a name, the names of the documents
      completions  Prints the completions for a shell

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
}

#[test]
fn help_of_plan_is_as_reviewed() {
    assert_snapshot!(help(&["plan", "-h"]), @"
    Shows what a run would do: its steps in order with their budgets, what is not run and why, what it
    needs, what policy decides

    Usage: taster plan [OPTIONS] --recipe <NAME> [-- <TESTS>...]

    Arguments:
      [TESTS]...  A choice of custom tests, after `--` as for a test program: parts of names, --skip
                  PART, --exact; the custom tier is then not verified

    Options:
          --recipe <NAME>       The recipe
          --ref <REF>           The tag, branch or commit to test; the newest release by default
          --path <DIR>          A folder with the recipe, tested with its uncommitted changes
          --tiers <LIST>        The tiers to run, separated by commas; install is always among them, and
                                backup with restore. By default install, upgrade, backup, restore, and
                                custom where the recipe has custom tests
          --base <REF>          The release or older commit to upgrade from; by default the highest
                                release that the tested commit replaces
          --disaster            Removes the app with its volumes and secrets after its tests, installs
                                it again, restores it and looks for its data; the results have the time
                                that this took
          --thorough            Deploys head again, starts its services again, removes and installs it
                                again with its data kept, and resolves every combination of its compose
                                files; the verdict includes these checks
          --keep [<FOR>]        Keeps the app after the run, for a time such as `90s`, `30m` or `2h`, by
                                default an hour and at most a day; the last lines show how to test it
                                again and how to remove it
          --pack <DIR>          Runs the executables in this folder as custom tests too
          --trust-tests         Runs the executables below `tests/` of the recipe's own repository,
                                which otherwise only the host file allows
          --no-canaries         Seeds no data in the app, so that nothing is proved about upgrades and
                                restores of its data
          --offline             Uses no network for the recipe: it must have been fetched before, and
                                its images must be on the host
          --retries <N>         How often a custom test that failed is tried again; a test that passes
                                then is flaky, and the results name it [default: 1]
          --fail-on-flaky       Counts a flaky custom test as failed
          --failed              Runs only the custom tests that did not pass in the last run of the
                                recipe; the custom tier is then not verified
          --deadline <SECONDS>  The longest that the run may take, in seconds; then it is ended, and
                                what it made is removed [default: 1800]
          --host <FILE>         The host file to use
          --pr <N>              The number of the pull request that the run is for; the results have it
                                as `pr`
          --trigger <TEXT>      What started the run, such as `!testme` or a schedule; the results have
                                it as `trigger`
          --json                Prints JSON
          --resolved            Prints what would be deployed instead: the compose files, merged as
                                Docker merges them, and where each value comes from
          --format <FORMAT>     The format of --resolved, by default yaml; without --resolved `json` is
                                the same as --json [possible values: yaml, json]
      -h, --help                Print help (see more with '--help')
    ");
}

#[test]
fn help_of_status_is_as_reviewed() {
    assert_snapshot!(help(&["status", "--help"]), @"
    Shows live what a stack waits for, and why, until it has settled or failed

    The stack may be any one on the Swarm; it is only read. The exit code is 0 when it settled, 1 when
    it failed, 3 when neither was decided in time.

    Usage: taster status [OPTIONS] <STACK>

    Arguments:
      <STACK>
              The name of the stack, as `docker stack ls` prints it

    Options:
          --record <FILE>
              Writes each observation and wake-up into this file, one JSON document a line

          --engine <SOCKET>
              The engine's socket

              [default: /var/run/docker.sock]

          --upgrade
              Evaluates an update: a rollback, a pause and a change by another client count as such

          --budget <SECONDS>
              Gives up after this many seconds

              [default: 600]

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[test]
fn help_of_janitor_is_as_reviewed() {
    assert_snapshot!(help(&["janitor", "--help"]), @"
    Cleans up after dead runs

    Goes through the folders of all runs. A run whose process lives is left alone; of a dead run
    everything is removed that its journal claims. An app that is kept is left alone until its time is
    over, unless the command names its run. A run on another machine is known by its marker on the
    Swarm, and everything of it is removed once the marker has expired. The janitor may be stopped at
    any moment and started again. The exit code is 4 when something is left that could not be removed.

    Usage: taster janitor [OPTIONS] [RUN]

    Arguments:
      [RUN]
              The only run to clean up after, by its id; then an app that it keeps is removed before its
              time

    Options:
          --runs <DIR>
              The folder with one folder per run, instead of `runs` in taster's state folder

          --engine <SOCKET>
              The engine's socket, instead of the one that each run used

          --dry-run
              Prints what would be removed, and removes nothing

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[test]
fn unknown_recipe_as_command_prints_the_option() {
    let taster = Taster::new();
    assert_snapshot!(stderr_of(&mut taster.command(&["ghost"]), 2, &[]), @"
    Error: there is no command `ghost`; did you mean `taster --recipe ghost`?
    Hint: `taster --help` lists the commands.
    ");
}

#[test]
fn help_as_a_command_prints_the_help() {
    assert_eq!(help(&["help"]), help(&["--help"]));
    assert_eq!(help(&["help", "status"]), help(&["status", "--help"]));
    assert_eq!(help(&["help", "sandbox", "up"]), help(&["sandbox", "up", "--help"]));
}

#[test]
fn wrong_option_is_an_error_in_the_form_of_all_errors() {
    let taster = Taster::new();
    assert_snapshot!(stderr_of(&mut taster.command(&["run", "--recipe", "hello", "--tier", "install"]), 2, &[]), @"
    Error: unexpected argument '--tier' found

    Hint: a similar argument exists: '--tiers'
    Hint: to pass '--tier' as a value, use '-- --tier'

    Usage: taster run --recipe <NAME> --tiers <LIST> [-- <TESTS>...]

    For more information, try '--help'.
    ");
}

#[test]
fn missing_host_file_prints_cause_and_hints() {
    let taster = Taster::new();
    assert_snapshot!(stderr_of(&mut taster.command(&["--recipe", "hello", "--host", "missing.toml"]), 2, &[]), @r#"
    Error: cannot read the host file missing.toml
    Caused by: No such file or directory (os error 2)
    Hint: A host file is TOML with at least `zone = "ci.example.org"`. Without a host file the sandbox is used.
    "#);
}

#[test]
fn misspelled_key_of_a_host_file_prints_position_and_closest_key() {
    let taster = Taster::new();
    taster.write("host.toml", "zone = \"example.org\"\ningres = \"127.0.0.1:443\"\n");
    assert_snapshot!(stderr_of(&mut taster.command(&["doctor", "--host", "host.toml"]), 2, &[]), @r#"
    Error: host.toml, line 2, column 1: unknown key `ingres`; did you mean `ingress`?
    Hint: A host file is TOML with at least `zone = "ci.example.org"`. Without a host file the sandbox is used.
    "#);
}

#[test]
fn absent_engine_prints_what_to_start() {
    let taster = Taster::new();
    assert_snapshot!(stderr_of(&mut taster.command(&["status", "shop", "--engine", "/nonexistent/docker.sock"]), 3, &[]), @"
    Error: no engine answers at /nonexistent/docker.sock
    Hint: Name another engine with --engine SOCKET, or join its group `docker`.
    ");
}

#[test]
fn contradicting_options_print_a_hint() {
    let taster = Taster::new();
    assert_snapshot!(stderr_of(&mut taster.command(&["plan", "--recipe", "hello", "--tiers", "install", "--base", "main"]), 2, &[]), @"
    Error: --base needs the upgrade, and --tiers leaves it out
    Hint: Leave one of them out.
    ");
}

#[test]
fn unknown_log_level_prints_the_levels() {
    let taster = Taster::new();
    let stderr = stderr_of(taster.command(&["list"]).env("TASTER_LOG", "loud"), 2, &[]);
    assert_snapshot!(stderr, @"
    Error: TASTER_LOG names no level: loud
    Hint: The levels are off, error, warn, info, debug and trace.
    ");
}
