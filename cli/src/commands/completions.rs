//! `completions`.

use clap::CommandFactory;
use clap_complete::{generate, shells};

use crate::args::{Args, Shell};
use crate::fail::Fail;
use crate::print::Printer;

pub(super) fn print(out: Printer, shell: Shell) -> Result<(), Fail> {
    let mut command = Args::command();
    let mut script = Vec::new();
    match shell {
        Shell::Bash => generate(shells::Bash, &mut command, "cococtl", &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, "cococtl", &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, "cococtl", &mut script),
    }
    out.verbatim(&String::from_utf8_lossy(&script))
}
