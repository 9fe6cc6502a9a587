//! Admission: a run waits until the host has enough memory, disk and addresses for it and the other runs of this machine.

use std::time::Duration;

use super::{FactSources, readings};
use crate::{
    model::{text::with_causes, time::format_duration},
    pure::{
        host::preflight::{HostReadings, Needs, waits},
        run::event::{Kind, Note},
    },
};

/// The pause between two attempts to be admitted.
const QUEUE_PAUSE: Duration = Duration::from_millis(500);

/// Waits until the host can take these needs in addition to those of the other runs, and records the admission.
pub(super) async fn wait_for_room(sources: FactSources<'_>, needs: &Needs, readings: &mut HostReadings) {
    let FactSources { input, ports, log, folder, .. } = sources;
    let began = ports.clock.mono();
    let mut queued = Vec::new();
    loop {
        let lock = match ports.neighbours.lock_admission().await {
            Ok(lock) => Some(lock),
            // The preflight still sees what other runs have taken, only not what they will take.
            Err(error) => {
                let text = format!("other runs of this machine cannot be seen: {}", with_causes(&error));
                log.record(Kind::Warned { text });
                None
            }
        };
        let neighbours = lock.as_ref().map(|lock| lock.living()).unwrap_or_default();
        // Another run may have taken since what was free at the first reading.
        if !neighbours.is_empty() {
            readings::renew(readings, ports, folder.root()).await;
        }
        let waiting_for = waits(needs, &input.host.limits, readings, &neighbours);
        if waiting_for.is_empty() {
            log.record(Kind::Admitted { needs: needs.clone() });
            if !queued.is_empty() {
                let (waited, last) = (format_duration(ports.clock.mono().since(began)), queued.join("; "));
                log.note(Note::Remark {
                    text: format!("waited {waited} for other runs of this machine, most recently for {last}"),
                });
            }
            return;
        }
        drop(lock);
        if queued != waiting_for {
            log.record(Kind::Queued { waiting_for: waiting_for.clone() });
            queued = waiting_for;
        }
        tokio::time::sleep(QUEUE_PAUSE).await;
    }
}
