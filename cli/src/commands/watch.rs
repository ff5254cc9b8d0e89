//! `--watch`: the same answer again and again. As JSON each is a line; for people it is printed when it has changed.

use coconet::control::ErrorKind;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Context;
use crate::args::Watch;
use crate::client::Answer;
use crate::fail::Fail;

/// Print what `ask` finds, once or until interrupted.
pub(super) async fn run<T: Serialize>(
    context: &Context,
    watch: Watch,
    ask: impl AsyncFn() -> Result<Answer<T>, Fail>,
    human: impl Fn(&T) -> Vec<String>,
) -> Result<(), Fail> {
    if !watch.watch {
        let answer = ask().await?;
        return context.out.answer(&answer, |value| human(value));
    }
    let mut ticks = interval_at(Instant::now(), watch.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown = Vec::new();
    let mut away = false;
    loop {
        ticks.tick().await;
        let answer = match ask().await {
            Ok(answer) => answer,
            // The first answer has to come; later a daemon may restart.
            Err(fail) if !shown.is_empty() && fail.kind() == Some(ErrorKind::Unreachable) => {
                if !std::mem::replace(&mut away, true) {
                    context.out.note(&format!("waiting for the daemon: {}", fail.summary()));
                }
                continue;
            }
            Err(fail) => return Err(fail),
        };
        away = false;
        let lines = human(&answer.value);
        if context.out.json {
            context.out.answer(&answer, |_| [])?;
        } else if lines != shown {
            let apart = (!shown.is_empty()).then(String::new);
            context.out.lines(apart.into_iter().chain(lines.iter().cloned()))?;
        }
        shown = lines;
    }
}
