//! `badge.svg`: level and verdict as a picture in two parts, for a page that lists recipes.

use askama::Template;

use crate::pure::run::{
    level::{level, rungs},
    state::RunState,
    verdict::{VerdictOutcome, verdict_so_far},
};

/// The width of a character of the badge's font, in pixels; wide enough for each letter that it shows.
const CHARACTER: usize = 7;
/// The padding on each side of a part's text, in pixels.
const MARGIN: usize = 7;

#[derive(Template)]
#[template(path = "badge.svg", escape = "xml")]
struct Badge {
    name: &'static str,
    text: String,
    fill: &'static str,
    left: usize,
    right: usize,
}

/// The badge of a run: `taster | level 1 · green (install)`. Its words are text, so that colour adds nothing to them.
///
/// # Errors
/// When the template cannot be rendered.
pub fn badge(state: &RunState) -> Result<String, askama::Error> {
    let verdict = verdict_so_far(state);
    let text = format!("level {} · {verdict}", level(&rungs(state)).number);
    let width = |text: &str| text.chars().count() * CHARACTER + 2 * MARGIN;
    let name = "taster";
    let fill = match verdict.outcome {
        VerdictOutcome::Green => "#1a7f37",
        VerdictOutcome::Red => "#b91c1c",
        VerdictOutcome::Inconclusive => "#855700",
    };
    Badge { name, fill, left: width(name), right: width(&text), text }.render()
}
