//! The commands that the manual and the README show work.
//!
//! Each page has a machine of its own ([`house`]): a real manager, real daemons, and on its LAN a camera, web pages and
//! a broker at the addresses that the examples use. There its commands are run one after the other as they stand, but
//! for what [`table`] says: what a person would put in, and which commands cannot be run in a test, with the reason.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod house;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::collections::BTreeSet;

use coco_manual::{examples, pages};

use crate::house::House;
use crate::table::{BEFORE, LEFT_OUT, left_out};

/// Runs all commands of a page, and says which did not do what they should.
fn failures(page: &str, commands: &[String]) -> Vec<String> {
    let mut house = House::new();
    for command in table::before(page) {
        let ran = house.run(command);
        assert_eq!(ran.code, 0, "{page}, before the examples: {command}\n{}", ran.stderr);
    }
    let mut failures = Vec::new();
    for command in commands.iter().filter(|command| left_out(command).is_none()) {
        let ran = house.run(command);
        let expected = table::exit_code(page, command);
        if ran.code != expected {
            let told = format!("{}{}", ran.stdout, ran.stderr);
            failures.push(format!("{page}: $ {command}\nends with {} and not {expected}:\n{told}", ran.code));
        }
    }
    failures
}

#[test]
fn the_examples_of_the_manual_work() {
    let mut failed = Vec::new();
    for (name, text) in pages() {
        let commands = examples::of_page(&text);
        let program = name.ends_with(".1") || name.ends_with(".8");
        assert_eq!(!commands.is_empty(), program, "{name}: a page of a program has examples, and no other");
        if program {
            failed.extend(failures(&name, &commands));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn nothing_is_left_out_that_no_page_shows() {
    let shown: Vec<String> = pages().values().flat_map(|text| examples::of_page(text)).collect();
    let unused: Vec<_> = LEFT_OUT
        .iter()
        .filter(|(begin, _)| !shown.iter().any(|command| command.starts_with(begin)))
        .collect();
    assert!(unused.is_empty(), "no page shows {unused:?}");
    let names: BTreeSet<String> = pages().into_keys().collect();
    assert!(BEFORE.iter().all(|(page, _)| names.contains(*page)));
}
