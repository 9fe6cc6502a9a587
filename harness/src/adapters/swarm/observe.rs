//! One observation of a stack, in three calls; the last lines and the health of a task.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Display,
    path::Path,
    time::Duration,
};

use bollard::{
    Docker,
    models::{
        ContainerInspectResponse, EndpointPortConfig, EndpointPortConfigPublishModeEnum, EndpointSpecModeEnum, HealthConfig,
        ServiceSpec, ServiceSpecUpdateConfig, ServiceSpecUpdateConfigFailureActionEnum as FailureAction,
        ServiceSpecUpdateConfigOrderEnum, ServiceUpdateStatusStateEnum, Task, TaskSpecRestartPolicy,
        TaskSpecRestartPolicyConditionEnum as Condition, TaskState as EngineState,
    },
    query_parameters::LogsOptionsBuilder,
};
use data_encoding::HEXLOWER;
use futures_util::TryStreamExt;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    call::{answer, failed, found},
    raw::{self, RawService},
    tasks::tasks,
};
use crate::{
    adapters::output::keep,
    model::{
        engine::SwarmError,
        names::{ServiceName, StackName, TaskId},
    },
    ports::ContainerEnd,
    pure::host::converge::{
        Endpoint, Health, HostPort, Index, Mode, OnFailure, Order, RestartCondition, RestartPolicy, RollPolicy, ServiceView,
        SpecDigest, TaskState, TaskView, UpdateState, UpdateView,
    },
};

/// The label with which `docker stack` and abra tie services to their stack.
pub(super) const NAMESPACE: &str = "com.docker.stack.namespace";

/// The name of an observation in errors.
const OBSERVE: &str = "observe";
/// The least size of the kept end of a task's log, in bytes. A request for more lines than that gets fewer.
const LOG_LIMIT: usize = 64 * 1024;

/// The engine's default for the failed checks in a row that make a container unhealthy.
const RETRIES: i64 = 3;

pub(super) async fn observe(
    docker: &Docker,
    socket: &Path,
    stack: &StackName,
) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError> {
    let label = ("label".to_owned(), vec![format!("{NAMESPACE}={stack}")]);
    let of_stack: HashMap<String, Vec<String>> = HashMap::from([label.clone()]);
    let current: HashMap<String, Vec<String>> = HashMap::from([label, ("_up-to-date".to_owned(), vec!["true".to_owned()])]);
    // A task that appears between the answers is in the next observation. A task counts as current only if it is in both lists.
    let (services, tasks, current) = tokio::try_join!(
        raw::services(socket, Some(&of_stack)),
        tasks("tasks", docker, Some(&of_stack)),
        tasks("current tasks", docker, Some(&current)),
    )?;
    let current: BTreeSet<String> = current.into_iter().filter_map(|task| task.id).collect();
    assemble(services, tasks, &current)
}

pub(super) async fn services(socket: &Path) -> Result<BTreeMap<String, BTreeMap<String, String>>, SwarmError> {
    let specs = raw::all(socket).await?.into_iter().filter_map(|service| service.spec);
    let named = specs.map(|spec| (spec.name.unwrap_or_default(), spec.labels.unwrap_or_default().into_iter().collect()));
    Ok(named.collect())
}

pub(super) async fn logs(docker: &Docker, task: &TaskId, lines: u32) -> Result<String, SwarmError> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
    let stream = docker.task_logs(task.as_str(), Some(options));
    // Both outputs are frames of one stream, in the order of writing.
    let collected = stream.map_ok(|frame| frame.into_bytes()).try_fold(Vec::new(), |mut kept, bytes| async move {
        keep(&mut kept, &bytes, LOG_LIMIT);
        Ok(kept)
    });
    let bytes = answer("task logs", collected).await?;
    let text = String::from_utf8_lossy(&bytes);
    // The engine does not always count lines per task, so the limit is applied again.
    let all: Vec<&str> = text.lines().map(str::trim_end).collect();
    let from = all.len().saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
    Ok(all[from..].join("\n"))
}

pub(super) async fn container_end(docker: &Docker, container: &str) -> Result<Option<ContainerEnd>, SwarmError> {
    let inspected = found("container", docker.inspect_container(container, None)).await?;
    Ok(inspected.map(|inspected| ContainerEnd {
        unhealthy: unhealthy_output(&inspected),
        out_of_memory: inspected.state.as_ref().and_then(|state| state.oom_killed).unwrap_or_default(),
        memory_limit: inspected.host_config.and_then(|config| u64::try_from(config.memory?).ok()).filter(|limit| *limit > 0),
    }))
}

/// The output of the last check of an unhealthy container. The count of failed checks decides, without those of the start period,
/// because the engine reports every ended container with a health check as unhealthy.
fn unhealthy_output(inspected: &ContainerInspectResponse) -> Option<String> {
    let health = inspected.state.as_ref()?.health.clone()?;
    let config = inspected.config.as_ref()?.healthcheck.as_ref()?;
    let retries = config.retries.filter(|retries| *retries > 0).unwrap_or(RETRIES);
    // The newest comes last.
    let last = health.log.and_then(|mut log| log.pop());
    (health.failing_streak? >= retries).then(|| last.and_then(|last| last.output).unwrap_or_default())
}

fn assemble(
    services: Vec<RawService>,
    tasks: Vec<Task>,
    current: &BTreeSet<String>,
) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError> {
    let mut of_service: HashMap<String, Vec<Task>> = HashMap::new();
    for task in tasks {
        of_service.entry(task.service_id.clone().unwrap_or_default()).or_default().push(task);
    }
    services
        .into_iter()
        .map(|service| {
            let tasks = of_service.remove(service.read.id.as_deref().unwrap_or_default()).unwrap_or_default();
            view(service, tasks, current)
        })
        .collect()
}

fn view(service: RawService, tasks: Vec<Task>, current: &BTreeSet<String>) -> Result<(ServiceName, ServiceView), SwarmError> {
    let RawService { read: service, spec: raw_spec } = service;
    let spec = service.spec.ok_or_else(|| failed(OBSERVE, "a service without a spec"))?;
    let name: ServiceName = spec.name.clone().unwrap_or_default().parse().map_err(unreadable)?;
    let template = spec.task_template.clone().unwrap_or_default();
    let container = template.container_spec.unwrap_or_default();
    let iteration = service.job_status.and_then(|status| status.job_iteration).and_then(|version| version.index);
    let is_job = spec.mode.as_ref().is_some_and(|mode| mode.replicated_job.is_some() || mode.global_job.is_some());
    let is_current = |task: &Task| {
        // A job that runs again keeps the tasks of its earlier iterations.
        let this_iteration = !is_job || task.job_iteration.as_ref().and_then(|version| version.index) == iteration;
        this_iteration && task.id.as_ref().is_some_and(|id| current.contains(id))
    };
    let tasks = tasks.into_iter().map(|task| (is_current(&task), task));
    let mut tasks: Vec<TaskView> = tasks.map(|(current, task)| task_view(task, current)).collect::<Result<_, SwarmError>>()?;
    tasks.sort_by(|a, b| (a.slot, &a.node, &a.id).cmp(&(b.slot, &b.node, &b.id)));
    let endpoint_spec = spec.endpoint_spec.clone().unwrap_or_default();
    let view = ServiceView {
        index: Index(service.version.and_then(|version| version.index).unwrap_or_default()),
        spec: digest(&raw_spec),
        image: container.image.unwrap_or_default().parse().or_else(|_| "unnamed".parse()).map_err(unreadable)?,
        mode: mode(&spec, &tasks),
        update: service.update_status.and_then(|status| {
            Some(UpdateView { state: update_state(status.state?)?, message: status.message.unwrap_or_default() })
        }),
        roll: roll(spec.update_config.unwrap_or_default()),
        restart: restart(template.restart_policy.unwrap_or_default()),
        health: health(container.health_check),
        host_ports: host_ports(endpoint_spec.ports.unwrap_or_default()),
        endpoint: match endpoint_spec.mode {
            Some(EndpointSpecModeEnum::DNSRR) => Endpoint::Dnsrr,
            _ => Endpoint::Vip,
        },
        labels: spec.labels.unwrap_or_default().into_iter().collect(),
        tasks,
    };
    Ok((name, view))
}

/// The ports that the service publishes in mode `host`.
fn host_ports(ports: Vec<EndpointPortConfig>) -> Vec<HostPort> {
    let of_host = ports.into_iter().filter(|port| port.publish_mode == Some(EndpointPortConfigPublishModeEnum::HOST));
    of_host
        .filter_map(|port| {
            let protocol = port.protocol.map_or_else(|| "tcp".to_owned(), |protocol| protocol.to_string());
            Some(HostPort { port: u16::try_from(port.published_port?).ok()?, protocol })
        })
        .collect()
}

fn unreadable(error: impl Display) -> SwarmError {
    failed(OBSERVE, error.to_string())
}

fn task_view(task: Task, current: bool) -> Result<TaskView, SwarmError> {
    let status = task.status.unwrap_or_default();
    let state = status.state.map_or(TaskState::New, task_state);
    let container = status.container_status.unwrap_or_default();
    let id = container.container_id.filter(|id| !id.is_empty());
    Ok(TaskView {
        id: task.id.unwrap_or_default().parse().map_err(unreadable)?,
        slot: task.slot.and_then(|slot| u64::try_from(slot).ok()).filter(|slot| *slot > 0),
        node: task.node_id.and_then(|node| node.parse().ok()),
        current,
        desired: task.desired_state.map_or(TaskState::New, task_state),
        state,
        // The engine reports 0 while the container runs.
        exit: match state {
            TaskState::Complete | TaskState::Failed | TaskState::Shutdown if id.is_some() => {
                container.exit_code.and_then(|code| i32::try_from(code).ok())
            }
            _ => None,
        },
        error: status.err.unwrap_or_default(),
        container: id,
    })
}

/// The digest of the canonical JSON of a spec: sorted keys, no null fields.
fn digest(spec: &Value) -> SpecDigest {
    let mut text = String::new();
    canonical(spec, &mut text);
    SpecDigest(HEXLOWER.encode(&Sha256::digest(text)))
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().filter(|(_, value)| !value.is_null()).collect();
            out.push('{');
            for (key, value) in sorted {
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

fn mode(spec: &ServiceSpec, tasks: &[TaskView]) -> Mode {
    let mode = spec.mode.clone().unwrap_or_default();
    let count = |number: Option<i64>, default| number.map_or(default, |number| u64::try_from(number).unwrap_or(0));
    if let Some(job) = mode.replicated_job {
        Mode::Job { completions: count(job.total_completions.or(job.max_concurrent), 1) }
    } else if mode.global_job.is_some() {
        // One on each eligible node; only the number of tasks shows how many there are.
        Mode::Job { completions: tasks.iter().filter(|task| task.current).count().max(1) as u64 }
    } else if mode.global.is_some() {
        Mode::Global
    } else {
        Mode::Replicated { replicas: count(mode.replicated.and_then(|replicated| replicated.replicas), 1) }
    }
}

/// A duration of the engine in nanoseconds; `default` if it is absent or negative.
fn nanos(number: Option<i64>, default: Duration) -> Duration {
    number.and_then(|number| u64::try_from(number).ok()).map_or(default, Duration::from_nanos)
}

/// A duration of the engine in nanoseconds; `default` also for 0, which the engine reads as absent.
fn positive_nanos(number: Option<i64>, default: Duration) -> Duration {
    nanos(number.filter(|number| *number != 0), default)
}

/// The update policy with Swarm's defaults for absent fields: one slot at a time, without delay.
fn roll(update: ServiceSpecUpdateConfig) -> RollPolicy {
    RollPolicy {
        parallelism: update.parallelism.map_or(1, |number| u64::try_from(number).unwrap_or(1)),
        delay: nanos(update.delay, Duration::ZERO),
        monitor: positive_nanos(update.monitor, Duration::from_secs(5)),
        order: match update.order {
            Some(ServiceSpecUpdateConfigOrderEnum::START_FIRST) => Order::StartFirst,
            _ => Order::StopFirst,
        },
        on_failure: match update.failure_action {
            Some(FailureAction::CONTINUE) => OnFailure::Continue,
            Some(FailureAction::ROLLBACK) => OnFailure::Rollback,
            _ => OnFailure::Pause,
        },
    }
}

fn restart(policy: TaskSpecRestartPolicy) -> RestartPolicy {
    RestartPolicy {
        condition: match policy.condition {
            Some(Condition::NONE) => RestartCondition::None,
            Some(Condition::ON_FAILURE) => RestartCondition::OnFailure,
            _ => RestartCondition::Any,
        },
        delay: nanos(policy.delay, Duration::from_secs(5)),
        max_attempts: policy.max_attempts.and_then(|number| u64::try_from(number).ok()).unwrap_or(0),
    }
}

fn health(config: Option<HealthConfig>) -> Health {
    let Some(config) = config else { return Health::Absent };
    match config.test.as_deref().unwrap_or_default() {
        [] => Health::Absent,
        [first, ..] if first == "NONE" => Health::Disabled,
        _ => Health::Probe {
            interval: positive_nanos(config.interval, Duration::from_secs(30)),
            timeout: positive_nanos(config.timeout, Duration::from_secs(30)),
            retries: config
                .retries
                .and_then(|number| u64::try_from(number).ok())
                .filter(|number| *number > 0)
                .unwrap_or(RETRIES.unsigned_abs()),
            start_period: nanos(config.start_period, Duration::ZERO),
        },
    }
}

fn update_state(state: ServiceUpdateStatusStateEnum) -> Option<UpdateState> {
    match state {
        ServiceUpdateStatusStateEnum::EMPTY => None,
        ServiceUpdateStatusStateEnum::UPDATING => Some(UpdateState::Updating),
        ServiceUpdateStatusStateEnum::PAUSED => Some(UpdateState::Paused),
        ServiceUpdateStatusStateEnum::COMPLETED => Some(UpdateState::Completed),
        ServiceUpdateStatusStateEnum::ROLLBACK_STARTED => Some(UpdateState::RollbackStarted),
        ServiceUpdateStatusStateEnum::ROLLBACK_PAUSED => Some(UpdateState::RollbackPaused),
        ServiceUpdateStatusStateEnum::ROLLBACK_COMPLETED => Some(UpdateState::RollbackCompleted),
    }
}

fn task_state(state: EngineState) -> TaskState {
    match state {
        EngineState::NEW => TaskState::New,
        EngineState::ALLOCATED => TaskState::Allocated,
        EngineState::PENDING => TaskState::Pending,
        EngineState::ASSIGNED => TaskState::Assigned,
        EngineState::ACCEPTED => TaskState::Accepted,
        EngineState::PREPARING => TaskState::Preparing,
        EngineState::READY => TaskState::Ready,
        EngineState::STARTING => TaskState::Starting,
        EngineState::RUNNING => TaskState::Running,
        EngineState::COMPLETE => TaskState::Complete,
        EngineState::SHUTDOWN => TaskState::Shutdown,
        EngineState::FAILED => TaskState::Failed,
        EngineState::REJECTED => TaskState::Rejected,
        EngineState::REMOVE => TaskState::Remove,
        EngineState::ORPHANED => TaskState::Orphaned,
    }
}
