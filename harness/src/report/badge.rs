//! `badge.svg`: level and verdict in a picture of two parts, for a page that lists recipes.

use askama::Template;

use crate::pure::run::{
    level::{level, rungs},
    state::RunState,
    verdict::{VerdictOutcome, verdict_so_far},
};

/// The width of a character of the badge's font, in pixels; wide enough for any letter that it shows.
const CHARACTER: usize = 7;
/// The room beside a part's text, in pixels.
const MARGIN: usize = 7;

#[derive(Template)]
#[template(path = "badge.svg", escape = "xml")]
struct Badge {
    name: &'static str,
    said: String,
    colour: &'static str,
    left: usize,
    right: usize,
}

/// The badge of a run: `taster | level 1 · green (install)`. Its texts are in it as text, so colour adds nothing to them.
pub fn badge(state: &RunState) -> Result<String, String> {
    let verdict = verdict_so_far(state);
    let said = format!("level {} · {verdict}", level(&rungs(state)).number);
    let width = |text: &str| text.chars().count() * CHARACTER + 2 * MARGIN;
    let name = "taster";
    let colour = match verdict.outcome {
        VerdictOutcome::Green => "#1a7f37",
        VerdictOutcome::Red => "#b91c1c",
        VerdictOutcome::Inconclusive => "#855700",
    };
    Badge { name, colour, left: width(name), right: width(&said), said }.render().map_err(|error| error.to_string())
}
