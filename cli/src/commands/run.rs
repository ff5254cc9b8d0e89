//! `run`: a program that sees a network's resources and nothing else.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use coconet::control::Run;

use super::Context;
use crate::args;
use crate::fail::Fail;
use crate::run::{self, Order};

/// The shell of a user who has named none.
const SHELL: &str = "/bin/sh";

pub(in crate::commands) async fn run(context: &Context, command: args::Run) -> Result<ExitCode, Fail> {
    let args::Run { network, resource, shell, command } = command;
    let shell = shell.then(|| {
        let named = env::var_os("SHELL").filter(|named| !named.is_empty());
        vec![named.unwrap_or_else(|| OsString::from(SHELL))]
    });
    let run = Run { network, resources: resource, kept: Vec::new() };
    let order = Order { run, command: shell.unwrap_or(command) };
    run::run(&context.client, order).await.map(ExitCode::from)
}
