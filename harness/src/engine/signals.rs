//! The ends of a run from outside: signals, and the death of the process that started it.

use std::io;

use futures_util::stream::{self, BoxStream, StreamExt};
use rustix::process::{Signal, getpid, getppid, kill_process, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};

/// The signals that ask a run to end: the hang-up of its terminal, an interrupt, a termination. Once this is called they no
/// longer end the process.
///
/// When the process that started the run dies, the kernel sends a termination too, unless that process was init already.
pub fn signals() -> io::Result<BoxStream<'static, i32>> {
    let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()];
    let mut streams = Vec::new();
    for kind in kinds {
        streams.push(numbers(signal(kind)?, kind.as_raw_value()).boxed());
    }
    let parent = getppid();
    if parent.is_some_and(|pid| !pid.is_init()) {
        set_parent_process_death_signal(Some(Signal::TERM))?;
        // A parent that died before this call sends nothing; this process has another parent since.
        if getppid() != parent {
            kill_process(getpid(), Signal::TERM)?;
        }
    }
    Ok(stream::select_all(streams).boxed())
}

fn numbers(signal: tokio::signal::unix::Signal, number: i32) -> impl stream::Stream<Item = i32> + Send {
    stream::unfold(signal, move |mut signal| async move {
        signal.recv().await?;
        Some((number, signal))
    })
}
