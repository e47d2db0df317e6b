//! Shows the steps: a line for each, and on a terminal the time that a run may still take.

use crate::output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// The steps on standard error.
pub(super) struct StepDisplay {
    bar: Option<ProgressBar>,
    /// The number of steps that have begun.
    number: usize,
    /// The largest possible number of steps; 0 while that is not known.
    pub(super) last: usize,
}

impl StepDisplay {
    /// Makes a display that shows nothing yet.
    pub(super) fn new() -> Self {
        Self {
            bar: None,
            number: 0,
            last: 0,
        }
    }

    /// Shows that a step begins.
    pub(super) fn step(&mut self, what: &str) {
        self.finish();
        self.number += 1;
        let of = match self.last {
            0 => String::new(),
            last => format!(" of at most {last}"),
        };
        output::message(&format!("step {}{of}: {what}", self.number));
    }

    /// Shows a bar for a run that takes at most this long and that shows nothing itself.
    pub(super) fn wait(&mut self, limit: Duration) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let bar =
            ProgressBar::with_draw_target(Some(limit.as_secs()), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} of at most {msg}") {
            bar.set_style(style);
        }
        bar.set_message(format!("{} s", limit.as_secs()));
        bar.enable_steady_tick(Duration::from_millis(250));
        self.bar = Some(bar);
    }

    /// Removes the bar.
    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
