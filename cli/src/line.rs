//! What a command waits for, on one line of the terminal that is written again and again.
//!
//! It is drawn on stderr, where that is a terminal, and not for `--json`; it has no colours, and goes before anything
//! else is printed. What takes no longer than [`PATIENCE`] is not mentioned.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::time::Duration;

use rustix::termios::tcgetwinsize;
use tokio::time::{Instant, interval_at};

use crate::print::{self, Printer, clean};

/// How long somebody waits before being told what for.
const PATIENCE: Duration = Duration::from_millis(300);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Columns of a terminal that does not say how many it has.
const COLUMNS: u16 = 80;

/// The line. It goes when this does.
#[derive(Debug)]
pub(crate) struct Line {
    on: bool,
}

impl Line {
    /// The line of a command.
    pub(crate) fn new(out: Printer) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { on: !out.json && !dumb && io::stderr().is_terminal() }
    }

    /// Awaits `work`, and shows meanwhile what `doing` says and for how long.
    pub(crate) async fn during<T>(
        &self,
        work: impl Future<Output = T>,
        doing: impl AsyncFn() -> String,
    ) -> T {
        if !self.on {
            return work.await;
        }
        let done = tokio::select! {
            biased;
            done = work => done,
            never = self.tell(doing) => match never {},
        };
        print::pass();
        done
    }

    async fn tell(&self, doing: impl AsyncFn() -> String) -> Infallible {
        let begun = Instant::now();
        let mut looks = interval_at(begun + PATIENCE, LOOK);
        loop {
            looks.tick().await;
            let doing = doing().await;
            match begun.elapsed().as_secs() {
                0 => self.show(&doing),
                seconds => self.show(&format!("{doing} ({seconds} s)")),
            }
        }
    }

    /// Shows it, in place of what was shown.
    pub(crate) fn show(&self, text: &str) {
        if self.on {
            let columns = tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col);
            let columns = if columns == 0 { COLUMNS } else { columns };
            // The last column stays free, or some terminals begin a new line.
            let text: String = clean(text).chars().take(usize::from(columns) - 1).collect();
            print::show(&text);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        print::pass();
    }
}
