//! Apps that outlive their run, and until when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        names::{Domain, StackName},
        time::Wall,
    },
    pure::{
        host::claim::{Claim, Claimed},
        run::event::{Event, Kind},
    },
};

/// An app that its run has kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// The app.
    pub domain: Domain,
    /// Until when no janitor removes it.
    pub until: Wall,
}

/// The state of a kept app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeping {
    /// The run keeps nothing.
    Nothing,
    /// The app is left alone.
    Valid(Kept),
    /// Its time is over, and the next janitor removes it.
    Over(Kept),
}

/// What a run with these events and unreleased claims keeps at `now`: what it recorded last, as long as the app's stack is
/// claimed.
pub fn keeping(events: &[Event], claims: &[Claim], now: Wall) -> Keeping {
    let kept = |event: &Event| match &event.kind {
        Kind::Kept { domain, until } => Some(Kept { domain: domain.clone(), until: *until }),
        _ => None,
    };
    let Some(kept) = events.iter().rev().find_map(kept) else { return Keeping::Nothing };
    let stack = Claimed::Stack { name: StackName::of(&kept.domain) };
    match (claims.iter().any(|claim| *claim.what() == stack), now < kept.until) {
        (false, _) => Keeping::Nothing,
        (true, true) => Keeping::Valid(kept),
        (true, false) => Keeping::Over(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{names::RunId, time::Mono};

    fn kept(until: &i64) -> Event {
        let domain = "hello-aebagbaf.taster.test".parse().unwrap();
        let kind = Kind::Kept { domain, until: Wall::from_millis(*until) };
        Event { seq: 1, at: Wall::from_millis(0), mono: Mono(0), kind }
    }

    fn claim() -> Claim {
        let domain: Domain = "hello-aebagbaf.taster.test".parse().unwrap();
        let run: RunId = "20261121-101502-aebagbaf".parse().unwrap();
        Claim::new(run, "swarm".parse().unwrap(), Claimed::Stack { name: StackName::of(&domain) })
    }

    #[test]
    fn app_is_kept_as_long_as_its_run_recorded_and_its_stack_is_claimed() {
        for (until, claims, now, expected) in [
            (&[][..], vec![claim()], 0, "nothing"),
            (&[1000], vec![claim()], 999, "valid"),
            (&[1000], vec![claim()], 1000, "over"),
            (&[1000], vec![], 999, "nothing"),
            (&[1000, 3000], vec![claim()], 2000, "valid"),
            (&[3000, 1000], vec![claim()], 2000, "over"),
        ] {
            let events: Vec<Event> = until.iter().map(kept).collect();
            let keeping = match keeping(&events, &claims, Wall::from_millis(now)) {
                Keeping::Nothing => "nothing",
                Keeping::Valid(_) => "valid",
                Keeping::Over(_) => "over",
            };
            assert_eq!(keeping, expected, "{until:?}, {claims:?}, {now}");
        }
    }
}
