//! The commands in the pages of `docs/` are commands.

use std::fs;
use std::path::Path;

use crate::daemon::{Ended, cococtl};

/// What a page tells to type: code in a line that begins with `cococtl`, and lines of blocks that do.
fn commands(page: &str) -> Vec<String> {
    let inline = page.split('`').skip(1).step_by(2);
    let blocks = page.lines().filter_map(|line| line.trim_start().strip_prefix("$ "));
    let commands = inline.chain(blocks).filter(|code| code.starts_with("cococtl ") && !code.contains('\n'));
    commands.map(str::to_owned).collect()
}

/// The commands in a hint: each up to where prose begins.
pub(crate) fn commands_in(hint: &str) -> Vec<String> {
    const ENDS: [&str; 9] = [",", ";", ":", " && ", " lists ", " shows ", " makes ", " says ", " should "];
    let found = hint.match_indices("cococtl ").map(|(at, _)| {
        let rest = &hint[at..];
        let end = ENDS.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
        rest[..end].to_owned()
    });
    found.filter(|command| !command.contains(['\'', '"']) && !command.ends_with(" ...")).collect()
}

/// The words of a command for which help is given instead of doing it, and only where all before that makes sense.
pub(crate) fn asking_for_help(command: &str) -> Vec<String> {
    command.split_whitespace().skip(1).map(filled).chain(["--help".to_owned()]).collect()
}

/// Something to stand for what people put there.
fn filled(word: &str) -> String {
    const KEYS: &str = "mgr1qe4xodvipulv6vvdkrtmgtd6ztfy3curwtxdpis56yhvxd6jwokm5dj22hglmm7mpnymc6auuxdw5tics2cqkdjui5c\
                        3ubmhbzmh2wpunioyw";
    match word {
        "ID" => format!("i:{}", "a".repeat(52)),
        word if word.chars().all(|c| c.is_ascii_uppercase()) => word.to_lowercase(),
        word => word.replace("mgr1...", KEYS),
    }
}

#[test]
fn every_command_in_a_page_is_one_with_its_options() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut tried = 0;
    for entry in fs::read_dir(docs).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        for command in commands(&fs::read_to_string(&file).unwrap()) {
            let words = asking_for_help(&command);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let Ended { code, err, .. } = Ended::of(&mut cococtl(&words));
            assert_eq!(code, 0, "{}: {command}: {err}", file.display());
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried} commands were found");
}
