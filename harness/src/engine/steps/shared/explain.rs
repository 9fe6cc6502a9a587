//! What explains a failure of a stack beyond its tasks: the output and the end of a container, and the answer of a registry.

use crate::{
    model::{
        engine::SwarmError,
        names::ServiceName,
        outcome::{Cause, Failure},
        task_fault::TaskFault,
        text::plain,
    },
    ports::{Capacity, ContainerEnd, Swarm},
    pure::host::converge::{DecisiveTask, Watch, registry_fault},
};

/// How many last lines of a failing task are quoted.
const LOG_LINES: u32 = 5;
/// How many characters of the output of a health check are quoted.
const HEALTH_WIDTH: usize = 300;
/// Bytes in a MiB.
const MIB: u64 = 1 << 20;

/// The failures, each with the last lines of the task that explains it best, with the output of its health check if that had
/// failed, with its end for want of memory, and with what its registry answers where its image is missing. An engine before the
/// 29 line says of such a task only that it does not have the image.
pub(super) async fn explained(swarm: &dyn Swarm, registry: &dyn Capacity, watch: &Watch, failures: Vec<Failure>) -> Vec<Failure> {
    let mut explained = Vec::new();
    for failure in failures {
        if let Some(image) = service_of(&failure.cause).and_then(|service| watch.absent_image(service)) {
            explained.push(with_answer(failure, registry.look_up(&image).await));
            continue;
        }
        let ran = !matches!(failure.cause, Cause::ImageMissing { .. });
        let task = service_of(&failure.cause).filter(|_| ran).and_then(|service| watch.decisive_task(service));
        let Some(DecisiveTask { task, container }) = task else {
            explained.push(failure);
            continue;
        };
        let failure = match container {
            Some(container) => match swarm.container_end(container).await {
                Ok(end) => {
                    let default = service_of(&failure.cause).is_some_and(|service| watch.has_default_memory(service));
                    with_end(failure, &end.unwrap_or_default(), default)
                }
                Err(error) => adding(failure, &format!("how its container ended cannot be read: {error}")),
            },
            None => failure,
        };
        explained.push(match swarm.logs(&task, LOG_LINES).await {
            Ok(lines) if lines.trim().is_empty() => adding(failure, "it wrote nothing"),
            Ok(lines) => failure.with_output(&lines),
            Err(error) => adding(failure, &format!("its logs cannot be read: {error}")),
        });
    }
    explained
}

/// The failure for an image that a node does not have, with the answer of its registry.
fn with_answer(failure: Failure, answer: Result<(), SwarmError>) -> Failure {
    match answer {
        Ok(()) => adding(failure, "its registry has the image now"),
        Err(SwarmError::Refused { message, .. } | SwarmError::Failed { message, .. }) => {
            let answer = plain(&message).split_whitespace().collect::<Vec<_>>().join(" ");
            let because = registry_fault(&answer);
            let failure = adding(failure, &format!("{}: it answers: {answer}", because.sentence()));
            failure.because(because)
        }
        Err(error) => adding(failure, &format!("its registry cannot be asked: {error}")),
    }
}

fn adding(failure: Failure, more: &str) -> Failure {
    Failure { message: format!("{}; {more}", failure.message), ..failure }
}

/// The failure of a task with the end of its container.
fn with_end(failure: Failure, end: &ContainerEnd, default: bool) -> Failure {
    match &end.unhealthy {
        Some(output) => with_health(failure, output),
        None if end.out_of_memory => with_memory(failure, end.memory_limit, default),
        None => failure,
    }
}

/// The failure of a task that the kernel ended for want of memory. Its own limit is the recipe's, unless the recipe sets none and
/// the limit is the `default` of the host file; without one the host had none left.
fn with_memory(failure: Failure, limit: Option<u64>, default: bool) -> Failure {
    let (sentence, because) = match limit {
        Some(limit) if default => {
            let limit = limit / MIB;
            let sentence = format!(
                "the kernel ended it because it used more than {limit} MiB of memory, which is limits.app.memory_mib of the host \
                 file and no limit of the recipe"
            );
            (sentence, TaskFault::HostMemory)
        }
        Some(limit) => {
            (format!("the kernel ended it because it used more than its {} MiB of memory", limit / MIB), TaskFault::OutOfMemory)
        }
        None => ("the kernel ended it because the host had no memory left".to_owned(), TaskFault::HostMemory),
    };
    adding(failure, &sentence).because(because)
}

/// The failure of a task with the output of its health check, which had failed. An app that obeys the order to end leaves exit
/// code 0 and no trace of its health, so Swarm shows it like one that has done its work.
fn with_health(failure: Failure, output: &str) -> Failure {
    let output = plain(output).split_whitespace().collect::<Vec<_>>().join(" ");
    let failure = adding(failure, "its health check had failed");
    let failure = match &output.chars().take(HEALTH_WIDTH).collect::<String>()[..] {
        "" => adding(failure, "the check itself printed nothing"),
        output => adding(failure, &format!("the check itself printed: {output}")),
    };
    match failure.cause {
        Cause::ExitedForGood { service }
        | Cause::CrashLoop { service, exit: Some(0), .. }
        | Cause::AttemptsSpent { service, exit: Some(0) } => Failure { cause: Cause::Unhealthy { service }, ..failure },
        Cause::RolledBack { because: TaskFault::Exited, .. } | Cause::Paused { because: TaskFault::Exited, .. } => {
            failure.because(TaskFault::Unhealthy)
        }
        _ => failure,
    }
}

/// The service whose output explains the failure.
pub(in crate::engine::steps) fn service_of(cause: &Cause) -> Option<&ServiceName> {
    match cause {
        Cause::Restarted { service, .. }
        | Cause::CrashLoop { service, .. }
        | Cause::AttemptsSpent { service, .. }
        | Cause::ExitedForGood { service }
        | Cause::Unhealthy { service }
        | Cause::RolledBack { service, .. }
        | Cause::Paused { service, .. }
        | Cause::ImageMissing { service, .. } => Some(service),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Owner;

    fn failures() -> [Failure; 4] {
        let service: ServiceName = "shop_app".parse().unwrap();
        let (because, image) = (TaskFault::ImageAbsent, "r.test/app:1".to_owned());
        [
            Failure::new(Cause::ImageMissing { service: service.clone(), image, because }, "app"),
            Failure::new(Cause::RolledBack { service: service.clone(), because }, "app"),
            Failure::new(Cause::Paused { service: service.clone(), because }, "app"),
            Failure::new(Cause::Rejected { service, because }, "app"),
        ]
    }

    #[test]
    fn answer_of_the_registry_is_quoted_and_decides_about_the_owner_wherever_an_image_is_missing() {
        let refused = |message: &str| Err(SwarmError::Refused { call: "registry look-up".into(), message: message.into() });
        for (answer, owner, quoted) in [
            (refused("manifest unknown: manifest unknown"), Owner::Recipe, "it answers: manifest unknown"),
            (refused("errors:\nname unknown: repository\n"), Owner::Recipe, "errors: name unknown: repository"),
            (refused("toomanyrequests: pull rate limit"), Owner::Infrastructure, "it answers: toomanyrequests"),
            (refused("denied: requested access"), Owner::Infrastructure, "wants a log-in"),
            (refused("Get \"https://r.test/v2/\": dial tcp: no such host"), Owner::Infrastructure, "does not answer"),
            (refused("the moon"), Owner::Infrastructure, "the moon"),
            (Ok(()), Owner::Infrastructure, "its registry has the image now"),
        ] {
            for failure in failures() {
                let cause = format!("{:?}", failure.cause);
                let explained = with_answer(failure, answer.clone());
                assert_eq!(explained.owner, owner, "{cause} {answer:?}");
                assert!(explained.message.contains(quoted), "{}", explained.message);
            }
        }
    }

    #[test]
    fn end_for_want_of_memory_is_the_recipes_only_by_its_own_limit() {
        let service: ServiceName = "shop_app".parse().unwrap();
        for (limit, default, owner, sentence) in [
            (Some(64 * MIB), false, Owner::Recipe, "the kernel ended it because it used more than its 64 MiB of memory"),
            (None, false, Owner::Infrastructure, "the kernel ended it because the host had no memory left"),
            (
                Some(64 * MIB),
                true,
                Owner::Infrastructure,
                "the kernel ended it because it used more than 64 MiB of memory, which is limits.app.memory_mib of the host file and \
                 no limit of the recipe",
            ),
        ] {
            let end = ContainerEnd { out_of_memory: true, memory_limit: limit, ..ContainerEnd::default() };
            for cause in [
                Cause::CrashLoop { service: service.clone(), exit: Some(137), times: 3 },
                Cause::RolledBack { service: service.clone(), because: TaskFault::Exited },
            ] {
                let failure = with_end(Failure::new(cause, "app"), &end, default);
                assert_eq!((failure.owner, failure.message), (owner, format!("app; {sentence}")));
            }
        }
    }
}
