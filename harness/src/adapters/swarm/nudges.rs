//! The engine's events as reasons to look again.

use bollard::Docker;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::{model::names::StackName, ports::Nudge};

pub(super) fn nudges(_docker: Docker, _stack: StackName) -> BoxStream<'static, Nudge> {
    stream::pending().boxed()
}
