//! The engine, by the command line of Docker. The stand-in does not use the engine's API.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::error::{CommandResult, Fatal};

/// The label of the stack, which `docker stack deploy` adds to its objects.
const NAMESPACE: &str = "com.docker.stack.namespace";

fn failed(what: &str, output: &Output) -> Fatal {
    let text = String::from_utf8_lossy(&output.stderr);
    // Newer clients add a line about their own options, which abra does not have.
    let text: Vec<&str> = text.lines().filter(|line| !line.contains("--detach=false")).collect();
    let text = text.join("\n").trim().to_owned();
    Fatal::new(if text.is_empty() { format!("{what} failed") } else { text })
}

fn run(command: &mut Command) -> CommandResult<Output> {
    command.output().map_err(|error| Fatal::new(format!("cannot run docker: {error}")))
}

/// Runs a command of Docker and returns its standard output.
fn docker(args: &[&str]) -> CommandResult<String> {
    let output = run(Command::new("docker").args(args).stdin(Stdio::null()))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(failed(args.first().unwrap_or(&"docker"), &output)),
    }
}

/// The lines of a command of Docker.
fn names(args: &[&str]) -> CommandResult<Vec<String>> {
    Ok(docker(args)?.lines().map(str::to_owned).collect())
}

/// The full names of a stack's services.
pub(super) fn services(stack: &str) -> CommandResult<Vec<String>> {
    names(&["service", "ls", "--filter", &format!("label={NAMESPACE}={stack}"), "--format", "{{.Name}}"])
}

/// The names of all stacks.
pub(super) fn stacks() -> CommandResult<Vec<String>> {
    names(&["stack", "ls", "--format", "{{.Name}}"])
}

/// The number of running and wanted tasks of each service of a stack, such as `1/1`.
pub(super) fn replicas(stack: &str) -> CommandResult<Vec<(String, String)>> {
    let lines = names(&["stack", "services", stack, "--format", "{{.Name}} {{.Replicas}}"])?;
    Ok(lines.iter().filter_map(|line| line.split_once(' ')).map(|(name, count)| (name.to_owned(), count.to_owned())).collect())
}

/// The labels of a service; empty without such a service.
pub(super) fn labels(service: &str) -> BTreeMap<String, String> {
    let text = docker(&["service", "inspect", service, "--format", "{{json .Spec.Labels}}"]).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// A container, as `docker ps` shows it.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Container {
    pub(super) running_for: String,
    pub(super) image: String,
    pub(super) ports: String,
    pub(super) state: String,
    pub(super) status: String,
}

impl Container {
    /// A container with `text` in every field.
    pub(super) fn filled_with(text: &str) -> Self {
        let [running_for, image, ports, state, status] = [(); 5].map(|()| text.to_owned());
        Self { running_for, image, ports, state, status }
    }
}

/// The newest running container of a service.
pub(super) fn newest_container(service: &str) -> CommandResult<Option<Container>> {
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let text = docker(&["ps", "--filter", &filter, "--format", "{{json .}}"])?;
    Ok(text.lines().next().and_then(|line| serde_json::from_str(line).ok()))
}

/// The names of the services with a label, `key=value`.
pub(super) fn services_with_label(label: &str) -> CommandResult<Vec<String>> {
    names(&["service", "ls", "--filter", &format!("label={label}"), "--format", "{{.Name}}"])
}

/// The id of the newest running container of a service.
pub(super) fn running_container(service: &str) -> CommandResult<Option<String>> {
    let filter = format!("label=com.docker.swarm.service.name={service}");
    Ok(names(&["ps", "--filter", &filter, "--format", "{{.ID}}"])?.into_iter().next())
}

/// Runs a command in a container, on the terminal of this process. Returns its exit code; `None` after a signal.
pub(super) fn exec(container: &str, env: &[String], argv: &[&str]) -> CommandResult<Option<i32>> {
    let mut command = Command::new("docker");
    command.args(["exec", "--interactive", "--tty"]);
    for pair in env {
        command.args(["--env", pair]);
    }
    let status = command.arg(container).args(argv).status();
    status.map(|status| status.code()).map_err(|error| Fatal::new(format!("cannot run docker: {error}")))
}

/// Copies a file into a container.
pub(super) fn copy_in(container: &str, source: &Path, path: &str) -> CommandResult {
    docker(&["cp", &source.to_string_lossy(), &format!("{container}:{path}")]).map(drop)
}

/// Copies a file out of a container.
pub(super) fn copy_out(container: &str, path: &str, target: &Path) -> CommandResult {
    docker(&["cp", &format!("{container}:{path}"), &target.to_string_lossy()]).map(drop)
}

/// The names of a stack's volumes.
pub(super) fn volumes(stack: &str) -> CommandResult<Vec<String>> {
    names(&["volume", "ls", "--filter", &format!("label={NAMESPACE}={stack}"), "--format", "{{.Name}}"])
}

pub(super) fn remove_volume(name: &str) -> CommandResult {
    docker(&["volume", "rm", name]).map(drop)
}

/// The names of a stack's secrets. abra's secrets have no label, so the prefix of the name decides.
pub(super) fn secrets(stack: &str) -> CommandResult<Vec<String>> {
    let all = names(&["secret", "ls", "--format", "{{.Name}}"])?;
    let prefix = format!("{stack}_");
    Ok(all.into_iter().filter(|name| name.starts_with(&prefix)).collect())
}

pub(super) fn create_secret(name: &str, value: &[u8]) -> CommandResult {
    let command = &mut Command::new("docker");
    let mut child = command
        .args(["secret", "create", name, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Fatal::new(format!("cannot run docker: {error}")))?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(value)?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() { Ok(()) } else { Err(failed("secret create", &output)) }
}

pub(super) fn remove_secret(name: &str) -> CommandResult {
    docker(&["secret", "rm", name]).map(drop)
}

/// `docker stack deploy` of `files` in an empty environment, because Docker fills in its own environment where a file leaves a
/// variable of a service without a value. Returns its output. `resolve` asks the registry for the digests of images.
pub(super) fn deploy(stack: &str, files: &[PathBuf], resolve: bool) -> CommandResult<String> {
    let mut command = Command::new(program()?);
    command.env_clear().stdin(Stdio::null());
    if let Some(home) = std::env::var_os("HOME").filter(|home| !home.is_empty()) {
        command.arg("--config").arg(Path::new(&home).join(".docker"));
    }
    command.args(["stack", "deploy", "--resolve-image", if resolve { "always" } else { "never" }]);
    for file in files {
        command.arg("-c").arg(file);
    }
    let output = run(command.arg(stack))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(failed("stack deploy", &output)),
    }
}

/// The path of Docker's program.
fn program() -> CommandResult<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("docker")).find(|file| file.is_file());
    found.ok_or_else(|| Fatal::new("cannot run docker: it is not in PATH"))
}

/// Asks for the removal of a stack and does not wait for it. A network in use stays, with a warning.
pub(super) fn remove_stack(stack: &str) -> CommandResult {
    let output = run(Command::new("docker").args(["stack", "rm", stack]).stdin(Stdio::null()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let serious = errors.lines().filter(|line| !line.contains("network") && !line.contains("Failed to remove some resources"));
    match (output.status.success(), serious.count()) {
        (false, 1..) => Err(failed("stack rm", &output)),
        (false, 0) => {
            super::terminal::warn(errors.trim());
            Ok(())
        }
        (true, _) => Ok(()),
    }
}
