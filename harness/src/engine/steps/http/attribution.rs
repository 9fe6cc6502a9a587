//! Whether the answers come from the app that was deployed. What says that they may not is a gap, neither a pass nor a failure.

use std::{collections::BTreeSet, time::Duration};

use formats::traefik::labels::{Backend, Routing};

use super::{Services, ask::Answer};
use crate::{
    engine::steps::shared::context::StepContext,
    model::{engine::SwarmError, head::Head, http::HttpView, outcome::Gap},
    ports::{OriginError, TaskRequest},
    pure::host::{
        converge::TaskState,
        http::{
            agreement::{Agreement, agreement},
            impostors::{Exposure, Impostor, impostors, own_router},
        },
    },
};

/// How long a task may take to answer.
const TASK_TIMEOUT: Duration = Duration::from_secs(10);
/// The most tasks that are asked.
const MOST_TASKS: usize = 4;
/// The middlewares that leave path, status and body of an answer as they are.
const TRANSPARENT: [&str; 5] = ["headers", "redirectscheme", "compress", "buffering", "contenttype"];

/// What the engine shows of all that may answer, from the first reading on.
pub(super) struct Attribution {
    found: BTreeSet<Impostor>,
    foreign: BTreeSet<String>,
    unread: Option<SwarmError>,
    latest: Vec<Exposure>,
}

impl Attribution {
    /// The first reading, before a request.
    pub(super) async fn begin(context: &StepContext<'_>, head: &Head) -> Self {
        let mut all = Self { found: BTreeSet::new(), foreign: BTreeSet::new(), unread: None, latest: Vec::new() };
        all.read(context, head, &BTreeSet::from([head.domain.to_string()])).await;
        all
    }

    /// Reads again, after an answer from `hosts`.
    pub(super) async fn read(&mut self, context: &StepContext<'_>, head: &Head, hosts: &BTreeSet<String>) {
        match context.ports.origin.exposures().await {
            Ok(exposures) => {
                self.unread = None;
                for host in hosts {
                    self.found.extend(impostors(&exposures, &head.stack, host));
                    if *host != head.domain.as_str() && own_router(&exposures, &head.stack, host).is_none() {
                        self.foreign.insert(host.clone());
                    }
                }
                self.latest = exposures;
            }
            Err(error) => self.unread = Some(error),
        }
    }

    /// Why the answers so far may be those of something else.
    pub(super) fn gap(&self) -> Option<Gap> {
        let named = |what: Vec<String>| Some(Gap::Unattributed { what: what.join("; ") });
        if !self.found.is_empty() {
            return named(self.found.iter().map(ToString::to_string).collect());
        }
        if let Some(error) = &self.unread {
            return named(vec![format!("which services have the app's names is not known: {error}")]);
        }
        if !self.foreign.is_empty() {
            let of = |host: &String| format!("the app leads to {host}, which no router of its own takes");
            return named(self.foreign.iter().map(of).collect());
        }
        None
    }

    /// Asks the app's own tasks, and says how their answers differ from the one through the ingress. What cannot be asked shows
    /// nothing.
    pub(super) async fn compare(&self, context: &StepContext<'_>, head: &Head, answer: &Answer, services: &Services) -> Compared {
        let Some(through) = &answer.first else { return Compared::Unasked("there was no answer".into()) };
        let Some((service, backend)) = self.backend(head) else {
            return Compared::Unasked("its labels do not say which port answers".into());
        };
        let own = services.iter().filter(|(name, _)| name.as_str() == service);
        let running = own
            .flat_map(|(_, view)| &view.tasks)
            .filter(|task| task.state == TaskState::Running && task.desired == TaskState::Running);
        let containers = running.filter_map(|task| task.container.clone()).take(MOST_TASKS);
        let mut last = Compared::Unasked("none of its tasks runs".into());
        for container in containers {
            let request = TaskRequest {
                container,
                port: backend,
                host: head.domain.to_string(),
                path: context.pack.settings.health_path.as_str().to_owned(),
            };
            last = match self.of_task(context, &request, through).await {
                Ok(Agreement::Agrees) => return Compared::Agrees,
                Ok(Agreement::Differs { what }) => Compared::Differs(what),
                Err(error) => Compared::Unasked(error.to_string()),
            };
        }
        last
    }

    async fn of_task(
        &self,
        context: &StepContext<'_>,
        request: &TaskRequest,
        through: &HttpView,
    ) -> Result<Agreement, OriginError> {
        let redacted = |view: HttpView| HttpView { body: context.log.redact(&view.body), ..view };
        let first = redacted(context.ports.origin.ask_task(request, TASK_TIMEOUT).await?);
        let second = redacted(context.ports.origin.ask_task(request, TASK_TIMEOUT).await?);
        Ok(agreement(through, [&first, &second]))
    }

    /// The service of the stack that gets requests to the domain, and its port, where nothing on the way changes the answer.
    fn backend(&self, head: &Head) -> Option<(String, u16)> {
        let (exposure, name) = own_router(&self.latest, &head.stack, head.domain.as_str())?;
        let routing = Routing::of(&exposure.name, &exposure.labels).ok()??;
        let router = routing.routers.get(&name)?;
        let transparent = router.middlewares.iter().all(|middleware| {
            let middleware = routing.middlewares.get(middleware.split('@').next().unwrap_or_default());
            middleware.is_some_and(|node| {
                node.children.iter().all(|kind| TRANSPARENT.contains(&kind.name.to_ascii_lowercase().as_str()))
            })
        });
        let Backend { port, scheme, .. } = routing.services.get(router.service.split('@').next().unwrap_or_default())?;
        (transparent && scheme == "http").then_some(())?;
        Some((exposure.name.clone(), port.parse().ok()?))
    }
}

/// How the answer of the app's tasks compares with the one through the ingress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Compared {
    /// A task gives the same.
    Agrees,
    /// No task does.
    Differs(String),
    /// No task could be asked, which shows nothing.
    Unasked(String),
}
