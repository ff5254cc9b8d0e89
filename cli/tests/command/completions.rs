//! The completion files in the tree are what the generator makes.

use std::env;
use std::fs;
use std::path::Path;

use crate::daemon::{Ended, cococtl};

/// Set, the test writes the files instead of comparing them.
const REWRITE: &str = "REWRITE_COMPLETIONS";

#[test]
fn the_completion_files_are_the_generated_ones() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../completions");
    for (shell, file) in [("bash", "cococtl.bash"), ("zsh", "_cococtl"), ("fish", "cococtl.fish")] {
        let Ended { code, out, err } = Ended::of(&mut cococtl(&["completions", shell]));
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("COCOCTL_COMPLETE"), "{shell}: {out}");
        let path = directory.join(file);
        if env::var_os(REWRITE).is_some() {
            fs::write(&path, &out).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == out, "completions/{file} is old: {REWRITE}=1 cargo test -p cococtl completion");
    }
}
