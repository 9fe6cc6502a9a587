//! The data of an app: volumes through a container that never starts, commands in containers, snapshots of the backup service.

use std::{collections::HashMap, io::Read, time::Duration};

use async_trait::async_trait;
use bollard::{
    Docker, body_full,
    models::{ContainerCreateBody, HostConfig, Mount, MountType},
    query_parameters::{
        CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptions,
        TopOptions, UploadToContainerOptionsBuilder,
    },
};
use futures_util::TryStreamExt;
use serde_json::Value;

use super::{
    DockerSwarm,
    call::{answer, failed, found},
    observe::NAMESPACE,
};
use crate::{
    model::{
        engine::SwarmError,
        names::{ImageRef, ServiceName, TaskId},
    },
    ports::{Access, Data, ExecOutput, VolumeFile, VolumeHolder},
    pure::host::claim::{Claim, Claimed},
};

/// The parent folder of the mounted volumes in the holder.
const MOUNTS: &str = "/taster";
/// The longest file that is read from a volume, in bytes.
const FILE_LIMIT: u64 = 1 << 20;
/// The length of a header in an archive, in bytes.
const HEADER: usize = 512;
/// The permissions of a folder that is made for a file.
const FOLDER_MODE: u32 = 0o755;
/// The longest listing or forgetting of snapshots.
const RESTIC_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause before another attempt on a locked repository.
const LOCK_PAUSE: Duration = Duration::from_millis(200);
/// The longest wait for a restore whose abra has ended.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(30);
/// The arguments of a restore by the bot and by restic.
const RESTORE_COMMANDS: [&str; 1] = ["restore"];
/// The arguments of a backup by them.
const BACKUP_COMMANDS: [&str; 2] = ["backup", "create"];
/// Prints the command lines of all processes with the app in their environment.
const LIST_COMMANDS: &str = "for it in $(grep -lsF \"SERVICE=$1\" /proc/[0-9]*/environ); do
    tr '\\0' ' ' <\"${it%environ}cmdline\" && echo; done 2>/dev/null";
/// The pause between two checks whether the backup service is idle.
const POLL: Duration = Duration::from_millis(200);

#[async_trait]
impl Data for DockerSwarm {
    async fn hold(&self, claim: &Claim, image: &ImageRef, volumes: &[String]) -> Result<VolumeHolder, SwarmError> {
        let Claimed::Stack { name: stack } = claim.what() else { return Err(uncovered("container create")) };
        if let Some(foreign) = volumes.iter().find(|volume| !stack.owns(volume)) {
            return Err(SwarmError::Refused { call: "container create".into(), message: format!("no claim covers {foreign}") });
        }
        let container = format!("{stack}_taster-holder");
        remove(&self.docker, &container).await?;
        let mount = |(number, volume): (usize, &String)| Mount {
            typ: Some(MountType::VOLUME),
            source: Some(volume.clone()),
            target: Some(format!("{MOUNTS}/{number}")),
            ..Mount::default()
        };
        let mounts = volumes.iter().enumerate().map(mount).collect();
        let body = ContainerCreateBody {
            image: Some(image.to_string()),
            entrypoint: Some(vec!["/never-started".into()]),
            host_config: Some(HostConfig { mounts: Some(mounts), network_mode: Some("none".into()), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(&container).build();
        answer("container create", self.docker.create_container(Some(options), body)).await?;
        Ok(VolumeHolder { container, volumes: volumes.to_vec() })
    }

    async fn put(&self, holder: &VolumeHolder, volume: &str, path: &str, file: &VolumeFile) -> Result<(), SwarmError> {
        let packed = packed(path, file).map_err(|error| failed("archive put", error.to_string()))?;
        let options = UploadToContainerOptionsBuilder::default().path(&mount_path(holder, volume)?).build();
        let body = body_full(packed.into());
        answer("archive put", self.docker.upload_to_container(&holder.container, Some(options), body)).await
    }

    async fn get(&self, holder: &VolumeHolder, volume: &str, path: &str) -> Result<Option<VolumeFile>, SwarmError> {
        let at = format!("{}/{path}", mount_path(holder, volume)?);
        let options = DownloadFromContainerOptionsBuilder::default().path(&at).build();
        let packed = self.docker.download_from_container(&holder.container, Some(options));
        let packed = packed.try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        let Some(packed) = found("archive get", packed).await? else { return Ok(None) };
        let unreadable = |error: std::io::Error| failed("archive get", error.to_string());
        let mut archive = tar::Archive::new(packed.as_slice());
        for entry in archive.entries().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if entry.header().entry_type().is_file() {
                let access = access_of(entry.header()).map_err(unreadable)?;
                let mut bytes = Vec::new();
                entry.take(FILE_LIMIT).read_to_end(&mut bytes).map_err(unreadable)?;
                return Ok(Some(VolumeFile { bytes, access }));
            }
        }
        Ok(None)
    }

    async fn access(&self, holder: &VolumeHolder, volume: &str, path: &str) -> Result<Option<Access>, SwarmError> {
        let at = format!("{}/{path}", mount_path(holder, volume)?);
        let options = DownloadFromContainerOptionsBuilder::default().path(&at).build();
        let mut packed = Box::pin(self.docker.download_from_container(&holder.container, Some(options)));
        // The first header is that of the file or folder itself; what is in it is not read.
        let header = async {
            let mut first = Vec::new();
            while first.len() < HEADER {
                match packed.try_next().await? {
                    Some(piece) => first.extend_from_slice(&piece),
                    None => break,
                }
            }
            Ok(first)
        };
        let Some(first) = found("archive get", header).await? else { return Ok(None) };
        let short = || failed("archive get", "the archive ends before its first header");
        let header: &[u8; HEADER] = first.first_chunk().ok_or_else(short)?;
        access_of(tar::Header::from_byte_slice(header)).map(Some).map_err(|error| failed("archive get", error.to_string()))
    }

    async fn release(&self, holder: VolumeHolder) -> Result<(), SwarmError> {
        remove(&self.docker, &holder.container).await
    }

    async fn exec(&self, claim: &Claim, task: &TaskId, argv: &[String], timeout: Duration) -> Result<ExecOutput, SwarmError> {
        let Claimed::Stack { name: stack } = claim.what() else { return Err(uncovered("exec")) };
        let labels = [format!("com.docker.swarm.task.id={task}"), format!("{NAMESPACE}={stack}")];
        let container = running(&self.docker, &labels).await?;
        let container = container.ok_or_else(|| failed("exec", format!("no container of task {task} runs on this engine")))?;
        exec(&self.docker, &container, argv, timeout).await
    }

    async fn restored(&self, claim: &Claim) -> Result<(), SwarmError> {
        let Claimed::Snapshots { app, service } = claim.what() else { return Err(uncovered("exec")) };
        match running(&self.docker, &[service_label(service)]).await? {
            Some(container) => wait_until_idle(&self.docker, &container, app.as_str(), &RESTORE_COMMANDS, RESTORE_TIMEOUT).await,
            None => Ok(()),
        }
    }

    async fn snapshots(&self, claim: &Claim) -> Result<Vec<String>, SwarmError> {
        let (container, app) = backup_container(&self.docker, claim).await?;
        // A backup goes on in the service after the end of its abra and leaves a snapshot.
        wait_until_idle(&self.docker, &container, &app, &BACKUP_COMMANDS, RESTIC_TIMEOUT).await?;
        let argv = ["restic", "snapshots", "--json", "--host", &app, "--tag", &app].map(str::to_owned);
        let output = restic(&self.docker, &container, &argv).await?;
        let unreadable = || failed("restic snapshots", format!("its output is not JSON: {}", output.trim()));
        // Warnings may precede the list.
        let list = output
            .lines()
            .find(|line| line.starts_with('['))
            .or(output.trim().is_empty().then_some("[]"))
            .ok_or_else(unreadable)?;
        let list: Vec<Value> = serde_json::from_str(list).map_err(|_| unreadable())?;
        list.iter().map(|snapshot| snapshot["short_id"].as_str().map(str::to_owned).ok_or_else(unreadable)).collect()
    }

    async fn forget(&self, claim: &Claim, snapshots: &[String]) -> Result<(), SwarmError> {
        let (container, _) = backup_container(&self.docker, claim).await?;
        let argv: Vec<String> = ["restic", "forget"].map(str::to_owned).into_iter().chain(snapshots.iter().cloned()).collect();
        restic(&self.docker, &container, &argv).await.map(drop)
    }

    async fn runs(&self, service: &ServiceName) -> Result<bool, SwarmError> {
        Ok(running(&self.docker, &[service_label(service)]).await?.is_some())
    }
}

/// An archive of one file, with the folders above it.
fn packed(path: &str, file: &VolumeFile) -> std::io::Result<Vec<u8>> {
    let header = |size: u64, mode: u32| {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(mode);
        header.set_uid(file.access.uid);
        header.set_gid(file.access.gid);
        header
    };
    let mut tar = tar::Builder::new(Vec::new());
    for (end, _) in path.match_indices('/') {
        let mut folder = header(0, FOLDER_MODE);
        folder.set_entry_type(tar::EntryType::Directory);
        tar.append_data(&mut folder, &path[..end], std::io::empty())?;
    }
    tar.append_data(&mut header(file.bytes.len() as u64, file.access.mode), path, file.bytes.as_slice())?;
    tar.into_inner()
}

fn access_of(header: &tar::Header) -> std::io::Result<Access> {
    // The engine puts the type of a file into the bits above those of permission.
    Ok(Access { uid: header.uid()?, gid: header.gid()?, mode: header.mode()? & 0o7777 })
}

/// The output of restic after success. The repository is locked while snapshots of another app are forgotten, and restic does not
/// wait for the lock itself.
async fn restic(docker: &Docker, container: &str, argv: &[String]) -> Result<String, SwarmError> {
    let deadline = tokio::time::Instant::now() + RESTIC_TIMEOUT;
    loop {
        let output = exec(docker, container, argv, RESTIC_TIMEOUT).await?;
        if !output.text.contains("already locked") || tokio::time::Instant::now() > deadline {
            return success_output(output, &argv.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" "));
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

fn service_label(service: &ServiceName) -> String {
    format!("com.docker.swarm.service.name={service}")
}

/// The container of the claimed app's backup service, and the app's name.
async fn backup_container(docker: &Docker, claim: &Claim) -> Result<(String, String), SwarmError> {
    let Claimed::Snapshots { app, service } = claim.what() else { return Err(uncovered("exec")) };
    let container = running(docker, &[service_label(service)]).await?;
    let absent = || failed("exec", format!("no container of the backup service {service} runs on this engine"));
    Ok((container.ok_or_else(absent)?, app.to_string()))
}

/// Waits until no process of the service runs one of `commands` for the app.
async fn wait_until_idle(
    docker: &Docker,
    container: &str,
    app: &str,
    commands: &[&str],
    timeout: Duration,
) -> Result<(), SwarmError> {
    let began = tokio::time::Instant::now();
    loop {
        let top = answer("container top", docker.top_processes(container, None::<TopOptions>)).await?;
        let processes: Vec<String> = top.processes.into_iter().flatten().map(|columns| columns.join(" ")).collect();
        let argv = ["sh", "-c", LIST_COMMANDS, "sh", app].map(str::to_owned);
        // In an image without these programs the script prints nothing, and only the list of processes counts.
        let of_environment = exec(docker, container, &argv, timeout).await?.text;
        let Some(command) = active_command(commands, app, &processes, &of_environment) else { return Ok(()) };
        if began.elapsed() >= timeout {
            return Err(failed(&format!("{command} of {app}"), "it still runs in the backup service"));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The one of `commands` that the service runs for an app. `processes` are all its command lines, of which those count that name
/// the app or its stack. `of_environment` are the command lines of processes with the app in their environment, where abra puts
/// it.
fn active_command<'a>(commands: &[&'a str], app: &str, processes: &[String], of_environment: &str) -> Option<&'a str> {
    let stack = app.replace('.', "_");
    let of_app = processes.iter().filter(|process| process.contains(app) || process.contains(&stack)).map(String::as_str);
    let mut lines = of_app.chain(of_environment.lines());
    lines.find_map(|line| commands.iter().copied().find(|command| line.split_whitespace().any(|word| word == *command)))
}

/// The first running container with all these labels.
async fn running(docker: &Docker, labels: &[String]) -> Result<Option<String>, SwarmError> {
    let filters = HashMap::from([("label", labels.to_vec()), ("status", vec!["running".to_owned()])]);
    let options = ListContainersOptionsBuilder::default().filters(&filters).build();
    let found = answer("container ls", docker.list_containers(Some(options))).await?;
    Ok(found.into_iter().find_map(|container| container.id))
}

async fn exec(docker: &Docker, container: &str, argv: &[String], timeout: Duration) -> Result<ExecOutput, SwarmError> {
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let silent = |_| SwarmError::Silent { call: format!("exec {}", argv.first().unwrap_or(&"")), after: timeout };
    let (exit, text) = tokio::time::timeout(timeout, super::exec::exec(docker, container, &argv)).await.map_err(silent)??;
    Ok(ExecOutput { exit, text })
}

/// The output of a command that ended with exit code 0.
fn success_output(output: ExecOutput, call: &str) -> Result<String, SwarmError> {
    match output.exit {
        0 => Ok(output.text),
        exit => Err(failed(call, format!("exit code {exit}: {}", output.text.trim()))),
    }
}

fn mount_path(holder: &VolumeHolder, volume: &str) -> Result<String, SwarmError> {
    let number = holder.volumes.iter().position(|held| held == volume);
    number.map(|number| format!("{MOUNTS}/{number}")).ok_or_else(|| failed("archive", format!("{volume} is not mounted")))
}

async fn remove(docker: &Docker, container: &str) -> Result<(), SwarmError> {
    // Anonymous volumes, which the image declares, are removed with the container; named ones stay.
    let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
    found("container rm", docker.remove_container(container, Some(options))).await.map(drop)
}

fn uncovered(call: &str) -> SwarmError {
    SwarmError::Refused { call: call.to_owned(), message: "no claim covers it".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_command_is_found_by_process_or_environment_of_the_app() {
        let app = "hello-aebagbaf.taster.test";
        for (process, of_environment, backup, restore) in [
            ("restic backup --json --host hello-aebagbaf.taster.test --tag x -- /a", "", Some("backup"), None),
            ("restic restore 1a2b --target / --include /v/hello-aebagbaf_taster_test_posts", "", None, Some("restore")),
            ("/usr/bin/backup -h hello-aebagbaf.taster.test restore", "", None, Some("restore")),
            ("/usr/bin/backup restore", "/usr/bin/backup restore \n", None, Some("restore")),
            ("/usr/bin/backup create", "/usr/bin/backup create \n", Some("create"), None),
            ("/usr/bin/backup restore", "", None, None),
            ("restic restore 1a2b --target / --include /v/hello-aebagbag_taster_test_posts", "", None, None),
            ("restic snapshots --json --host hello-aebagbaf.taster.test", "restic snapshots \n", None, None),
            ("", "", None, None),
        ] {
            let active = |commands: &[&'static str]| active_command(commands, app, &[process.to_owned()], of_environment);
            assert_eq!(
                (active(&BACKUP_COMMANDS), active(&RESTORE_COMMANDS)),
                (backup, restore),
                "{process:?} {of_environment:?}"
            );
        }
    }
}
