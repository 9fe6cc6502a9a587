//! Apps that outlive their run: until when, and what of them anybody may use. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    journal::Reading,
    model::{
        names::{Domain, StackName},
        time::Wall,
    },
    pure::{
        host::claim::Claimed,
        run::event::{Event, Kind},
    },
};

/// An app that its run has kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// The app.
    pub domain: Domain,
    /// Until when nobody sweeps it.
    pub until: Wall,
}

/// Where a kept app stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeping {
    /// The run keeps nothing.
    Nothing,
    /// It is left alone.
    Valid(Kept),
    /// Its time is over, and whoever comes by sweeps it.
    Over(Kept),
}

/// What the run of a journal keeps at `now`: what it said last, as long as the app's stack is claimed.
pub fn keeping(reading: &Reading, now: Wall) -> Keeping {
    let said = |event: &Event| match &event.kind {
        Kind::Kept { domain, until } => Some(Kept { domain: domain.clone(), until: *until }),
        _ => None,
    };
    let Some(kept) = reading.events.iter().rev().find_map(said) else { return Keeping::Nothing };
    let stack = Claimed::Stack { name: StackName::of(&kept.domain) };
    match (reading.claims.iter().any(|claim| *claim.what() == stack), now < kept.until) {
        (false, _) => Keeping::Nothing,
        (true, true) => Keeping::Valid(kept),
        (true, false) => Keeping::Over(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{names::RunId, time::Mono},
        pure::host::claim::Claim,
    };

    fn reading(kept: &[i64], claimed: bool) -> Reading {
        let domain: Domain = "hello-aebagbaf.taster.test".parse().unwrap();
        let run: RunId = "20261121-101502-aebagbaf".parse().unwrap();
        let stack = Claimed::Stack { name: StackName::of(&domain) };
        let event = |until: &i64| Event {
            seq: 1,
            at: Wall::from_millis(0),
            mono: Mono(0),
            kind: Kind::Kept { domain: domain.clone(), until: Wall::from_millis(*until) },
        };
        let claims = if claimed { vec![Claim::new(run, "swarm".parse().unwrap(), stack)] } else { Vec::new() };
        let mut reading = Reading::default();
        (reading.events, reading.claims) = (kept.iter().map(event).collect(), claims);
        reading
    }

    #[test]
    fn an_app_is_kept_as_long_as_its_run_said_and_its_stack_is_claimed() {
        let word = |kept: &[i64], claimed, now| match keeping(&reading(kept, claimed), Wall::from_millis(now)) {
            Keeping::Nothing => "nothing",
            Keeping::Valid(_) => "valid",
            Keeping::Over(_) => "over",
        };
        for (kept, claimed, now, expected) in [
            (&[][..], true, 0, "nothing"),
            (&[1000], true, 999, "valid"),
            (&[1000], true, 1000, "over"),
            (&[1000], false, 999, "nothing"),
            (&[1000, 3000], true, 2000, "valid"),
            (&[3000, 1000], true, 2000, "over"),
        ] {
            assert_eq!(word(kept, claimed, now), expected, "{kept:?}, {claimed}, {now}");
        }
    }
}
