//! The seeds of the configuration's fuzz target, replayed without a fuzzer.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(unreachable_pub, reason = "it is the fuzz crate's module, where they are reachable")]
#[path = "../fuzz/src/daemon.rs"]
mod targets;

use std::fs;
use std::path::Path;

#[test]
fn a_daemons_configuration_is_taken_and_no_other() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/config");
    for file in fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
        let ours = file.file_name().unwrap().to_string_lossy().starts_with("daemon-");
        assert_eq!(targets::config(&fs::read(&file).unwrap()), ours, "{}", file.display());
    }
}
