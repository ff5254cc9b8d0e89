//! `dashboard`: the daemon's networks on a terminal, live.
//!
//! [`feed`] asks the daemon every second what `status --json` would, listens to its events, and looks at members
//! and the relay's use while they are shown; what kind of NAT there is it asks once for each session with a manager.
//! What comes becomes a message, like a key, and [`update()`] takes it into the [`State`], which
//! [`view`](view::view) draws: three pure parts, tested without a terminal and without a daemon. Only
//! [`terminal`] and [`feed`] touch the world.
//!
//! The screen is drawn when something has changed, and then once for all that has: an idle dashboard costs a
//! request and a comparison of two screens a second, and writes nothing. A daemon that restarts is found again by
//! the next request; the last it said stays on the screen, under a line that says so.

mod details;
mod feed;
mod keys;
mod rows;
mod state;
mod terminal;
mod update;
mod view;

use std::io::IsTerminal;

use tokio::sync::{mpsc, watch};

use crate::commands::Context;
use crate::fail::Fail;
use state::{State, Tab};
use terminal::Screen;
use update::{Effect, update};

/// Messages that may wait to be taken in.
const BACKLOG: usize = 256;

/// Runs until `q`.
pub(crate) async fn run(context: &Context) -> Result<(), Fail> {
    if context.out.json {
        let me = context.me();
        return Err(Fail::usage("a dashboard is for people").hint(format!("{me} status --watch --json")));
    }
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let me = context.me();
        return Err(Fail::usage("the dashboard needs a terminal")
            .hint(format!("{me} status, or for programs {me} status --watch --json")));
    }
    // A daemon that cannot be reached is told before the screen is taken; one that goes later is waited for.
    context.client.get::<coconet::control::Status>("/v1/status").await?;
    let no_terminal = |error| {
        let hint = format!("{} status --watch", context.me());
        Fail::failed("cannot draw on this terminal").because(error).hint(hint)
    };
    let mut screen = Screen::open().map_err(no_terminal)?;
    let (messages, mut arriving) = mpsc::channel(BACKLOG);
    let (effects, wanted) = mpsc::channel(BACKLOG);
    let (look, looking) = watch::channel(Tab::default());
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut state = State::new(colours, screen.area());
    terminal::listen(messages.clone());
    let mut ended = terminal::ended().map_err(no_terminal)?;
    let showing = async {
        loop {
            screen.draw(&state).map_err(no_terminal)?;
            let mut next = tokio::select! {
                message = arriving.recv() => message,
                () = ended.wait() => return Ok(()),
            };
            // All that waits is drawn at once.
            while let Some(message) = next {
                match update(&mut state, message) {
                    None => {}
                    Some(Effect::Quit) => return Ok(()),
                    Some(Effect::Copy(text)) => screen.copy(&text).map_err(no_terminal)?,
                    Some(Effect::Look(tab)) => drop(look.send_replace(tab)),
                    // Whoever asks for more than can wait sees that nothing comes of it.
                    Some(effect) => drop(effects.try_send(effect)),
                }
                next = arriving.try_recv().ok();
            }
        }
    };
    tokio::select! {
        done = showing => done,
        () = feed::run(&context.client, messages, wanted, looking) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
