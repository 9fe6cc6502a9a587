//! The engine's events as reasons to observe a stack again.

use std::{collections::HashMap, pin::Pin, time::Duration};

use bollard::{Docker, errors::Error, models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};

use super::observe::NAMESPACE;
use crate::{model::names::StackName, ports::WakeUp};

/// The container events that can mean a change of a task. The engine filters, because each health probe causes three `exec_*`
/// events.
const CONTAINER_EVENTS: [&str; 7] = ["create", "start", "kill", "die", "oom", "destroy", "health_status"];
/// Service events.
const SERVICE_EVENTS: [&str; 3] = ["create", "update", "remove"];

/// The pause before the stream is opened again, doubled with each failure in a row up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

type Events = Pin<Box<dyn Stream<Item = Result<EventMessage, Error>> + Send>>;

struct Source {
    docker: Docker,
    stack: StackName,
    open: Option<Events>,
    pause: Option<Duration>,
}

/// The wake-ups of a stack, without end. The stream reopens after each end of the engine's stream.
pub(super) fn wake_ups(docker: Docker, stack: StackName) -> BoxStream<'static, WakeUp> {
    let source = Source { docker, stack, open: None, pause: None };
    stream::unfold(source, |mut source| async move {
        let wake_up = source.next().await;
        Some((wake_up, source))
    })
    .boxed()
}

impl Source {
    async fn next(&mut self) -> WakeUp {
        loop {
            let Some(events) = &mut self.open else {
                if let Some(pause) = self.pause {
                    tokio::time::sleep(pause).await;
                }
                self.open = Some(open(&self.docker));
                // The engine does not repeat events from before the opening, so each opening is a wake-up.
                return WakeUp { what: "listening".into() };
            };
            match events.next().await {
                Some(Ok(event)) => {
                    self.pause = None;
                    if let Some(wake_up) = wake_up(&self.stack, &event) {
                        return wake_up;
                    }
                }
                // An event that the library cannot read ends the stream, as does a lost engine.
                Some(Err(_)) | None => {
                    self.open = None;
                    self.pause = Some(self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE)));
                }
            }
        }
    }
}

fn open(docker: &Docker) -> Events {
    let events: Vec<&str> = CONTAINER_EVENTS.into_iter().chain(SERVICE_EVENTS).collect();
    let filters: HashMap<&str, Vec<&str>> = HashMap::from([("type", vec!["container", "service"]), ("event", events)]);
    Box::pin(docker.events(Some(EventsOptionsBuilder::new().filters(&filters).build())))
}

/// The wake-up of an event of the stack; `None` for other events.
///
/// A service event carries no labels, only the service's name, so the stack cannot be a filter at the engine.
fn wake_up(stack: &StackName, event: &EventMessage) -> Option<WakeUp> {
    let actor = event.actor.as_ref()?;
    let attributes = actor.attributes.as_ref()?;
    let name = attributes.get("name").map(String::as_str).unwrap_or_default();
    let ours = match attributes.get(NAMESPACE) {
        Some(namespace) => namespace == stack.as_str(),
        None => stack.owns(name),
    };
    let kind = event.typ.as_ref().map(ToString::to_string).unwrap_or_default();
    let action = event.action.as_deref().unwrap_or_default();
    let detail = attributes.get("updatestate.new").or(attributes.get("exitCode"));
    ours.then(|| WakeUp {
        what: match detail {
            Some(detail) => format!("{kind} {action} {name} {detail}"),
            None => format!("{kind} {action} {name}"),
        },
    })
}
