//! Compares the world with what it was before the run.

use super::{Context, unread};
use crate::{
    event::Kind,
    facts::readings,
    model::outcome::{Gap, Outcome},
    world::{self, Ignore},
};

pub(super) async fn compare(context: &Context<'_>) -> Outcome {
    let Some(before) = &context.before else {
        return Outcome::Unverified(Gap::NotRun { because: "the world before the run is not known".into() });
    };
    match readings::world(context.ports).await {
        Ok(after) => {
            let now = context.ports.clock.wall();
            let (over, holding): (Vec<&Ignore>, Vec<&Ignore>) = context.host.ignore.iter().partition(|ignore| ignore.over(now));
            for ignore in over {
                let text =
                    format!("{} was to be ignored until {} and is counted again: {}", ignore.what, ignore.until, ignore.reason);
                context.log.record(Kind::Warned { text });
            }
            let hygiene = world::diff(before, &after, &context.log.claims(), &context.touched.borrow(), &holding);
            context.log.record(Kind::WorldCompared { hygiene });
            Outcome::Passed
        }
        Err(error) => unread(&error),
    }
}
