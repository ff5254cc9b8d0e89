//! `cocod --sandbox-check`: what an intruder could do, tried.
//!
//! This process enters the sandbox that the configuration makes, with the same directories and ports, and then
//! tries to get out of it. It opens no state and disturbs no daemon that runs.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use coco_sandbox::enter;
use coco_sandbox::trial::{Preparation, let_through, table};
use cocod::config::Config;
use cocod::sandbox;

/// Print the layers and the attempts. An error when one of them succeeded.
pub(crate) fn run(config: &Config, state: &Path, beside: Option<PathBuf>) -> anyhow::Result<()> {
    let keeps = sandbox::keeps(config, state, beside, &BTreeSet::new());
    let preparation = Preparation::new(&keeps);
    let report = enter(&keeps)?;
    let attempts = preparation.run();
    // An error means that nobody reads it.
    let _ = std::io::stdout().write_all(table(&report, &attempts).as_bytes());
    Ok(let_through(&attempts)?)
}
