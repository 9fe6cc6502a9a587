//! What ends a run early from outside: signals, and the death of the process that started it.

use std::io;

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a run to end: the hang-up of its terminal, an interrupt, a termination. From here on they do not end the
/// process by themselves.
///
/// When the process that started the run dies, the kernel sends a termination too, unless that process was init already.
pub fn signals() -> io::Result<BoxStream<'static, i32>> {
    let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()];
    let mut streams = Vec::new();
    for kind in kinds {
        streams.push(numbers(signal(kind)?, kind.as_raw_value()).boxed());
    }
    let parent = rustix::process::getppid();
    if parent.is_some_and(|pid| !pid.is_init()) {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    }
    Ok(stream::select_all(streams).boxed())
}

fn numbers(signal: Signal, number: i32) -> impl stream::Stream<Item = i32> + Send {
    stream::unfold(signal, move |mut signal| async move {
        signal.recv().await?;
        Some((number, signal))
    })
}
