//! `completions`.

use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use crate::args::Shell;
use crate::complete::VARIABLE;
use crate::fail::Fail;
use crate::print::Printer;

/// The program that the scripts complete, and run for it.
const PROGRAM: &str = "cococtl";

/// How clap's script for zsh ends. As a file that zsh loads at the first Tab it would do nothing that time.
const ZSH_END: &str = "compdef _clap_dynamic_completer_cococtl cococtl";

/// How ours does: loaded as a function it completes, sourced it says what will.
const ZSH_OWN_END: &str = "\
if [[ \"$funcstack[1]\" == _cococtl ]]; then
    _clap_dynamic_completer_cococtl \"$@\"
else
    compdef _clap_dynamic_completer_cococtl cococtl
fi";

pub(super) fn print(out: Printer, shell: Shell) -> Result<(), Fail> {
    let mut script = Vec::new();
    let written = match shell {
        Shell::Bash => Bash.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script),
        Shell::Zsh => Zsh.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script),
        Shell::Fish => Fish.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script),
    };
    written.map_err(|error| Fail::failed("cannot write the script").because(error))?;
    let script = String::from_utf8_lossy(&script);
    let script = match shell {
        Shell::Zsh => script.replace(ZSH_END, ZSH_OWN_END),
        Shell::Bash | Shell::Fish => script.into_owned(),
    };
    out.verbatim(&format!("{}\n", script.trim()))
}
