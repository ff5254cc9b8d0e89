//! `coco-manager`: see [`cli`] for the commands and [`coco_manager`] for what serves.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::main()
}
