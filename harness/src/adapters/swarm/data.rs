//! Volumes through a container that is never started, commands in containers, and the snapshots of the backup service.

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
    ports::{Data, Holder, ExecOutput},
    pure::host::claim::{Claim, Claimed},
};

/// Where the volumes are mounted in the container that holds them.
const MOUNTS: &str = "/taster";
/// The longest file that is read from a volume, in bytes.
const FILE_LIMIT: u64 = 1 << 20;
/// How long the backup service may take to list or forget.
const RESTIC: Duration = Duration::from_secs(60);
/// The pause before a repository that is locked by somebody else is tried again.
const LOCKED: Duration = Duration::from_millis(200);
/// The longest that a restore is waited for that nobody else waits for.
const RESTORE: Duration = Duration::from_secs(30);
/// The words by which bot and restic are asked for a restore.
const RESTORES: [&str; 1] = ["restore"];
/// And for a copy.
const COPIES: [&str; 2] = ["backup", "create"];
/// Prints the command lines of all processes that were started for an app.
const OF_APP: &str = "for it in $(grep -lsF \"SERVICE=$1\" /proc/[0-9]*/environ); do
    tr '\\0' ' ' <\"${it%environ}cmdline\" && echo; done 2>/dev/null";
/// How often it is looked whether work that nobody waits for has ended.
const AGAIN: Duration = Duration::from_millis(200);

#[async_trait]
impl Data for DockerSwarm {
    async fn hold(&self, claim: &Claim, image: &ImageRef, volumes: &[String]) -> Result<Holder, SwarmError> {
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
        Ok(Holder { container, volumes: volumes.to_vec() })
    }

    async fn put(&self, holder: &Holder, volume: &str, path: &str, bytes: &[u8]) -> Result<(), SwarmError> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        let packed = tar.append_data(&mut header, path, bytes).and_then(|()| tar.into_inner());
        let packed = packed.map_err(|error| failed("archive put", error.to_string()))?;
        let options = UploadToContainerOptionsBuilder::default().path(&mounted(holder, volume)?).build();
        let body = body_full(packed.into());
        answer("archive put", self.docker.upload_to_container(&holder.container, Some(options), body)).await
    }

    async fn get(&self, holder: &Holder, volume: &str, path: &str) -> Result<Option<Vec<u8>>, SwarmError> {
        let at = format!("{}/{path}", mounted(holder, volume)?);
        let options = DownloadFromContainerOptionsBuilder::default().path(&at).build();
        let packed = self.docker.download_from_container(&holder.container, Some(options));
        let packed = packed.try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        let Some(packed) = found("archive get", packed).await? else { return Ok(None) };
        let unread = |error: std::io::Error| failed("archive get", error.to_string());
        let mut archive = tar::Archive::new(packed.as_slice());
        for entry in archive.entries().map_err(unread)? {
            let entry = entry.map_err(unread)?;
            if entry.header().entry_type().is_file() {
                let mut bytes = Vec::new();
                entry.take(FILE_LIMIT).read_to_end(&mut bytes).map_err(unread)?;
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    async fn release(&self, holder: Holder) -> Result<(), SwarmError> {
        remove(&self.docker, &holder.container).await
    }

    async fn exec(&self, claim: &Claim, task: &TaskId, argv: &[String], patience: Duration) -> Result<ExecOutput, SwarmError> {
        let Claimed::Stack { name: stack } = claim.what() else { return Err(uncovered("exec")) };
        let labels = [format!("com.docker.swarm.task.id={task}"), format!("{NAMESPACE}={stack}")];
        let container = running(&self.docker, &labels).await?;
        let container = container.ok_or_else(|| failed("exec", format!("no container of task {task} runs on this engine")))?;
        exec(&self.docker, &container, argv, patience).await
    }

    async fn restored(&self, claim: &Claim) -> Result<(), SwarmError> {
        let Claimed::Snapshots { app, service } = claim.what() else { return Err(uncovered("exec")) };
        match running(&self.docker, &[of_service(service)]).await? {
            Some(container) => idle(&self.docker, &container, app.as_str(), &RESTORES, RESTORE).await,
            None => Ok(()),
        }
    }

    async fn snapshots(&self, claim: &Claim) -> Result<Vec<String>, SwarmError> {
        let (container, app) = bot(&self.docker, claim).await?;
        // A copy whose abra was ended goes on in the service and leaves a snapshot all the same.
        idle(&self.docker, &container, &app, &COPIES, RESTIC).await?;
        let argv = ["restic", "snapshots", "--json", "--host", &app, "--tag", &app].map(str::to_owned);
        let said = restic(&self.docker, &container, &argv).await?;
        let unread = || failed("restic snapshots", format!("it does not print JSON: {}", said.trim()));
        // Warnings may stand before the list.
        let list =
            said.lines().find(|line| line.starts_with('[')).or(said.trim().is_empty().then_some("[]")).ok_or_else(unread)?;
        let list: Vec<Value> = serde_json::from_str(list).map_err(|_| unread())?;
        list.iter().map(|snapshot| snapshot["short_id"].as_str().map(str::to_owned).ok_or_else(unread)).collect()
    }

    async fn forget(&self, claim: &Claim, snapshots: &[String]) -> Result<(), SwarmError> {
        let (container, _) = bot(&self.docker, claim).await?;
        let argv: Vec<String> = ["restic", "forget"].map(str::to_owned).into_iter().chain(snapshots.iter().cloned()).collect();
        restic(&self.docker, &container, &argv).await.map(drop)
    }

    async fn runs(&self, service: &ServiceName) -> Result<bool, SwarmError> {
        Ok(running(&self.docker, &[of_service(service)]).await?.is_some())
    }
}

/// What restic prints that ends well. Its repository is another app's for the moment in which that has a snapshot forgotten, and this
/// restic does not wait by itself.
async fn restic(docker: &Docker, container: &str, argv: &[String]) -> Result<String, SwarmError> {
    let over = tokio::time::Instant::now() + RESTIC;
    loop {
        let said = exec(docker, container, argv, RESTIC).await?;
        if !said.text.contains("already locked") || tokio::time::Instant::now() > over {
            return well(said, &argv.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" "));
        }
        tokio::time::sleep(LOCKED).await;
    }
}

fn of_service(service: &ServiceName) -> String {
    format!("com.docker.swarm.service.name={service}")
}

/// The container of the claimed app's backup service, and the app's name.
async fn bot(docker: &Docker, claim: &Claim) -> Result<(String, String), SwarmError> {
    let Claimed::Snapshots { app, service } = claim.what() else { return Err(uncovered("exec")) };
    let container = running(docker, &[of_service(service)]).await?;
    let absent = || failed("exec", format!("no container of the backup service {service} runs on this engine"));
    Ok((container.ok_or_else(absent)?, app.to_string()))
}

/// Waits until the service is not at work for the app with one of these commands.
async fn idle(docker: &Docker, container: &str, app: &str, commands: &[&str], patience: Duration) -> Result<(), SwarmError> {
    let began = tokio::time::Instant::now();
    loop {
        let top = answer("container top", docker.top_processes(container, None::<TopOptions>)).await?;
        let processes: Vec<String> = top.processes.into_iter().flatten().map(|columns| columns.join(" ")).collect();
        let argv = ["sh", "-c", OF_APP, "sh", app].map(str::to_owned);
        // An image without these programs has an exit code and no word for it, and what its processes say of themselves is all there is.
        let own = exec(docker, container, &argv, patience).await?.text;
        let Some(command) = at_work(commands, app, &processes, &own) else { return Ok(()) };
        if began.elapsed() >= patience {
            return Err(failed(&format!("{command} of {app}"), "it still goes on in the backup service"));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The command with which a service is at work for an app: one of its processes names the app or its volumes, or has been asked for it by its
/// environment, as abra does.
fn at_work<'a>(commands: &[&'a str], app: &str, processes: &[String], own: &str) -> Option<&'a str> {
    let stack = app.replace('.', "_");
    let of_app = processes.iter().filter(|process| process.contains(app) || process.contains(&stack)).map(String::as_str);
    let mut lines = of_app.chain(own.lines());
    lines.find_map(|line| commands.iter().copied().find(|command| line.split_whitespace().any(|word| word == *command)))
}

/// The first running container with all these labels.
async fn running(docker: &Docker, labels: &[String]) -> Result<Option<String>, SwarmError> {
    let filters = HashMap::from([("label", labels.to_vec()), ("status", vec!["running".to_owned()])]);
    let options = ListContainersOptionsBuilder::default().filters(&filters).build();
    let found = answer("container ls", docker.list_containers(Some(options))).await?;
    Ok(found.into_iter().find_map(|container| container.id))
}

async fn exec(docker: &Docker, container: &str, argv: &[String], patience: Duration) -> Result<ExecOutput, SwarmError> {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let silent = |_| SwarmError::Silent { call: format!("exec {}", words.first().unwrap_or(&"")), after: patience };
    let (exit, text) = tokio::time::timeout(patience, super::exec::exec(docker, container, &words)).await.map_err(silent)??;
    Ok(ExecOutput { exit, text })
}

/// What a command printed that went well.
fn well(said: ExecOutput, call: &str) -> Result<String, SwarmError> {
    match said.exit {
        0 => Ok(said.text),
        exit => Err(failed(call, format!("exit code {exit}: {}", said.text.trim()))),
    }
}

fn mounted(holder: &Holder, volume: &str) -> Result<String, SwarmError> {
    let number = holder.volumes.iter().position(|held| held == volume);
    number.map(|number| format!("{MOUNTS}/{number}")).ok_or_else(|| failed("archive", format!("{volume} is not held")))
}

async fn remove(docker: &Docker, container: &str) -> Result<(), SwarmError> {
    // Volumes that the image itself declares are made with the container and go with it; named ones stay.
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
    fn a_service_is_at_work_for_the_app_that_its_processes_are_for() {
        let app = "hello-aebagbaf.taster.test";
        for (process, own, copies, restores) in [
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
            let work = |commands: &[&'static str]| at_work(commands, app, &[process.to_owned()], own);
            assert_eq!((work(&COPIES), work(&RESTORES)), (copies, restores), "{process:?} {own:?}");
        }
    }
}
