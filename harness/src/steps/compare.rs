//! Compares the world with what it was before the run.

use super::{Context, unread};
use crate::{
    event::Kind,
    model::outcome::{Gap, Outcome},
    world,
};

pub(super) async fn compare(context: &Context<'_>) -> Outcome {
    let Some(before) = &context.before else {
        return Outcome::Unverified(Gap::NotRun { because: "the world before the run is not known".into() });
    };
    match context.ports.swarm.world().await {
        Ok(after) => {
            let hygiene = world::diff(before, &after, &context.log.claims(), &context.touched.borrow());
            context.log.record(Kind::WorldCompared { hygiene });
            Outcome::Passed
        }
        Err(error) => unread(&error),
    }
}
