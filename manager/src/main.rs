//! `coco-manager`: see [`cli`] for the commands and [`coco_manager`] for what serves.

use std::process::ExitCode;

mod cli;
#[cfg(test)]
mod manual;

fn main() -> ExitCode {
    cli::main()
}
