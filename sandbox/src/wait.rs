//! The one bounded wait: polls until a state is reached, and names the last observation when it is not.

use std::time::{Duration, Instant};

use crate::error::{LastObservation, SandboxError};

const POLL: Duration = Duration::from_millis(20);

/// Polls `observe` until it returns `None`, at most for `timeout`. `what` names the state in the error.
pub(crate) async fn wait_until(
    what: &str,
    timeout: Duration,
    mut observe: impl AsyncFnMut() -> Result<Option<LastObservation>, SandboxError>,
) -> Result<(), SandboxError> {
    let started = Instant::now();
    while let Some(source) = observe().await? {
        if started.elapsed() > timeout {
            return Err(SandboxError::NotReady { what: what.to_owned(), after: timeout, source });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wait_ends_at_the_state_or_names_the_last_observation() {
        let mut left = 3;
        let counted = wait_until("the end", Duration::from_secs(60), async || {
            left -= 1;
            Ok((left > 0).then(|| LastObservation::State(format!("{left} left"))))
        });
        counted.await.unwrap();
        assert_eq!(left, 0);
        let late = wait_until("the end", Duration::ZERO, async || Ok(Some(LastObservation::State("1 left".into())))).await;
        assert_eq!(late.unwrap_err().with_causes(), "the end was not ready within 0ns: 1 left");
    }
}
