//! `cococtl`: scripts a coco daemon over its control socket.
//!
//! A command line becomes [`args::Args`], a command in [`commands`] turns that into requests to the
//! daemon through [`client`], and what comes back leaves through [`mod@print`]: the result on stdout,
//! everything else on stderr. Whatever goes wrong is a [`fail::Fail`], which knows its text and its
//! exit code. What can be checked here is checked here; the daemon decides the rest.
//!
//! Run by a shell at a Tab, it completes instead: [`complete`].
//!
//! One command does more than ask and print: [`mod@run`] lives in namespaces, and starts this program anew in them.

mod apply;
mod args;
mod client;
mod commands;
mod complete;
mod dashboard;
mod duration;
mod fail;
mod interrupt;
mod line;
#[cfg(test)]
mod manual;
mod place;
mod print;
mod qr;
mod run;
mod secret;
mod table;
mod units;
mod until;

use std::process::ExitCode;

use fail::Fail;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(fail) => fail.report(),
    }
}

fn run() -> Result<ExitCode, Fail> {
    let words: Vec<_> = std::env::args_os().collect();
    if let [_, second, command @ ..] = words.as_slice()
        && second == run::SECOND
    {
        return Ok(ExitCode::from(run::inside::live(command)));
    }
    if complete::answer(&words)? {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(args) = args::parse(&words)? else { return Ok(ExitCode::SUCCESS) };
    // One request at a time: one thread is enough, and starts faster.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Fail::failed("cannot start")
            .because(error)
            .hint("ulimit -n, if it is about open files: 64 are enough")
    })?;
    runtime.block_on(commands::run(args))
}
