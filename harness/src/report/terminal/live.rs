//! The live block on a terminal: lines of finished steps scroll up, and below them are the running steps.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Paint, block::Board, line};
use crate::{
    model::time::{Mono, millis},
    ports::{ReportError, Reporter},
    pure::run::{
        event::{Event, Kind},
        state::RunState,
    },
};

/// The pause between two drawings of the block, which keep its times going.
const TICK: Duration = Duration::from_millis(100);
/// The width of a terminal that does not report one.
const WIDTH: u16 = 80;

/// The reporter that draws on the terminal behind standard error, from a thread of its own, so that times go on while nothing
/// happens.
pub struct Live {
    bar: ProgressBar,
    shown: Arc<Mutex<Shown>>,
    paint: Paint,
    ticker: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

struct Shown {
    board: Board,
    at: Instant,
}

impl Live {
    /// Begins to draw.
    pub fn on_stderr(paint: Paint) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The template is a constant, so that the default with its bar is never drawn.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        let shown = Arc::new(Mutex::new(Shown { board: Board::default(), at: Instant::now() }));
        let (stop, stopped) = mpsc::channel();
        let ticker = thread::Builder::new().name("live block".into()).spawn({
            let (bar, shown) = (bar.clone(), shown.clone());
            move || {
                while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                    draw(&bar, &shown);
                }
            }
        });
        // Without the thread the block is still drawn after each event.
        Self { bar, shown, paint, ticker: ticker.ok().map(|ticker| (stop, ticker)) }
    }

    fn end(&mut self) {
        if let Some((stop, ticker)) = self.ticker.take() {
            drop(stop);
            let _ = ticker.join();
        }
        self.bar.finish_and_clear();
    }
}

fn draw(bar: &ProgressBar, shown: &Mutex<Shown>) {
    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Mono(shown.board.last().0.saturating_add(millis(shown.at.elapsed())));
    // Some terminals wrap a line that is as wide as they are.
    let lines = shown.board.block(now, usize::from(width().saturating_sub(1)));
    bar.set_message(lines.join("\n"));
}

fn width() -> u16 {
    rustix::termios::tcgetwinsize(io::stderr()).map_or(WIDTH, |size| if size.ws_col == 0 { WIDTH } else { size.ws_col })
}

impl Reporter for Live {
    fn on(&mut self, event: &Event, state: &RunState) -> Result<(), ReportError> {
        {
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            shown.board.note(event, state);
            shown.at = Instant::now();
        }
        for line in line::lines(event, state) {
            self.bar.println(line.text(event.mono, self.paint));
        }
        match event.kind {
            Kind::RunFinished => self.end(),
            _ => draw(&self.bar, &self.shown),
        }
        Ok(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.end();
    }
}
